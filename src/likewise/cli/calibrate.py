"""likewise calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.alarms import calibrate_word
from likewise.cli.answers import calibrate_answers
from likewise.cli.console import answer, progress, say, say_skipped, table
from likewise.cli.detect import calibrate_boxes
from likewise.cli.options import DataArgument, GroupFrom, Json, ModelArgument, Part, Seed
from likewise.cli.tasks import check_given, foreign_to

UNNAMED = ", as pairs do not tell who is who (columns id_a and id_b do)"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(calibrate)


OPTIONS_OF = {
    "embed": frozenset({"fmr", "unit", "part", "prepare", "group_from", "seed"}),
    "classify": frozenset({"group_from"}),
    "triggerword": frozenset({"per_hour", "hits", "refractory"}),
    "detect": frozenset({"score_precision", "part", "group_from"}),
}


def calibrate(
    context: typer.Context,
    model: ModelArgument,
    data: DataArgument,
    fmr: Annotated[float, typer.Option(help="Promised share of different pairs that may be accepted.")] = 1e-3,
    unit: Annotated[
        Literal["identity", "item"] | None,
        typer.Option(help="What DATA are a sample of: identity (people met later) or item (a fixed list of classes)."),
    ] = None,
    part: Part = None,
    prepare: Annotated[
        str | None,
        typer.Option(
            help="Encode what this finds in the pictures: faces, faces-cnn, faces-arcface or a detector's folder."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write a calibrated copy here instead of changing MODEL.")] = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    per_hour: Annotated[float, typer.Option(help="Trigger word: promised false alarms per hour.")] = 0.5,
    hits: Annotated[int | None, typer.Option(help="Trigger word: steps in a row that make an event.")] = None,
    refractory: Annotated[float | None, typer.Option(help="Trigger word: seconds between events.")] = None,
    score_precision: Annotated[
        float | None, typer.Option(help="Detect: promised share of right boxes, at 95%; the best F1 unless said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set the threshold of MODEL so that it holds a promised false match rate, from DATA it has not seen.

    Of a trigger word: a promised number of false alarms per hour, from hours of clips. Of a classifier: how its outputs
    become probabilities. Of a detector: from which score on a box counts.
    """
    from likewise import matching
    from likewise.apps.parts import part_of
    from likewise.apps.prepared import prepared
    from likewise.data import open_data, part_name
    from likewise.encoder import Seen
    from likewise.errors import UsageError
    from likewise.media.files import check_replaceable

    task = matching.task_of(model)
    check_given(context, foreign_to(task, OPTIONS_OF), task)
    if task == "classify":
        calibrate_answers(model, data, out, group_from, as_json=as_json)
        return
    if task == "detect":
        calibrate_boxes(model, data, part, out, score_precision, group_from, as_json=as_json)
        return
    if task != matching.EMBED:
        calibrate_word(model, data, out, per_hour, hits, refractory, as_json=as_json)
        return
    if part and part_name(part) == "train":
        raise UsageError(
            "A threshold comes from data the model was not trained on", f"--part {part}", "Pass --part tune."
        )
    named = matching.is_registered(model)
    if prepare is not None and out is None:
        raise UsageError(
            "A model with another prepare step is another model", "--prepare without --out",
            "Pass --out MODEL: a folder to write.",
        )  # fmt: skip
    if named and out is None:
        raise UsageError(
            "A model known by name stays as it is", f"{model!r} without --out", "Pass --out MODEL: a folder to write."
        )
    if out is not None:
        check_replaceable(out, marker=matching.CONFIG)
    loaded = matching.load(model)
    if prepare is not None:
        loaded = prepared(loaded, prepare)
    opened = part_of(loaded, open_data(data, group_from=group_from), part, say)
    with progress("encoding") as bar:
        calibrated = matching.calibrate(
            loaded.encoder, opened, fmr, unit=unit, seed=seed, progress=bar, skipped=say_skipped
        )
    met = Seen.of("tune", opened.contents, opened.identity_keys())
    calibrated.encoder.seen = calibrated.encoder.seen.joined(met)  # so that `evaluate` knows these items again
    if (named or prepare is not None) and out is not None:
        calibrated.save(out)
    else:
        calibrated.save_calibrated(Path(model), out)
    found = calibrated.calibrated()
    line, at_most = found.threshold_for(), found.support_at_most
    values = {
        **line.as_dict(),
        "fmr": line.promised,
        "fmr_measured": line.fmr.value,
        "unit": found.unit,
        "identities": found.identities,
        "items": found.items,
        "trials": found.trials,
        "support_at_most": at_most,
        "data": found.data,
        "pairs_different": found.pairs_different,
        "pairs_same": found.pairs_same,
        "ece": found.ece,
        "model": str(out or model),
    }
    rows = [
        ("promised FMR", f"{line.promised:g}"),
        ("threshold", f"{line.threshold:.5g}: the same if the distance is at most this"),
        ("measured FMR", f"{line.fmr.value:.3g} (95%: {line.fmr.low:.3g} to {line.fmr.high:.3g})"),
        ("measured FNMR", f"{line.fnmr.value:.3g} (95%: {line.fnmr.low:.3g} to {line.fnmr.high:.3g})"),
        ("from", f"{found.pairs_different:,} different and {found.pairs_same:,} same pairs of {found.data}"),
        ("a sample of", "new identities" if found.unit == "identity" else "items of a fixed list of identities"),
        ("support", f"{'at most ' if at_most else ''}{found.trials:,} trials{UNNAMED if at_most else ''}"),
        (
            "probability",
            f"calibration error {found.ece:.4f}" if found.ece is not None else "calibration error not known",
        ),
    ]
    answer(as_json, values, table(rows))
