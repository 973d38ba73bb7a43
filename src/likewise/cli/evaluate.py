"""likewise evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.alarms import evaluate_word
from likewise.cli.answers import evaluate_answers
from likewise.cli.console import METRICS, answer, progress, report_skipped, say, table
from likewise.cli.detect import evaluate_boxes
from likewise.cli.mistakes import check_places, tell_mistakes
from likewise.cli.options import DataArgument, GroupFrom, Json, ModelArgument, Part, Seed
from likewise.cli.tasks import check_given, foreign_to


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(evaluate)


OPTIONS_OF = {
    "embed": frozenset({"part", "unit", "ways", "shots", "group_by", "group_from", "seed", "errors"}),
    "classify": frozenset({"part", "group_from", "errors"}),
    "triggerword": frozenset({"per_hour", "threshold", "errors"}),
    "detect": frozenset({"part", "group_from"}),
}


def evaluate(
    context: typer.Context,
    model: ModelArgument,
    data: DataArgument,
    part: Part = None,
    unit: Annotated[
        Literal["identity", "item"] | None,
        typer.Option(help="What intervals take for a sample: identity, or item where DATA's were trained on."),
    ] = None,
    ways: Annotated[int | None, typer.Option(min=2, help="N of the N-way K-shot figure; 20 unless said.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="K of it; 1 unless said.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and pictures.")] = None,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Folder of its own for what goes wrong: a page with the most confident mistakes, hard cases and"
            " suspected wrong labels, and a manifest to correct them in."
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Figures for each group as well: a column of a manifest, such as sex, or group for what --group-from "
            "finds.",
        ),
    ] = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    per_hour: Annotated[
        float | None, typer.Option(help="Trigger word: which promise to measure; the default one unless said.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Trigger word: measure at this one instead.")] = None,
    as_json: Json = False,
) -> None:
    """Measure MODEL on DATA it has not seen: neighbours, error rates with intervals, clusters, hardest pairs.

    Of a trigger word: misses and false alarms per hour on clips, and a curve over thresholds. Of a classifier: how
    often it is right, and whether its probabilities are what they say. Of a detector: mean average precision.
    """
    from likewise.apps.mistakes import mistakes_in
    from likewise.apps.parts import calibrated_on, part_of
    from likewise.data import Dataset, PairSet, open_data
    from likewise.errors import UsageError
    from likewise.evaluation import Report
    from likewise.evaluation import evaluate as measure
    from likewise.matching import EMBED, load, task_of
    from likewise.media.files import replacing_folder

    task = task_of(model)
    check_given(context, foreign_to(task, OPTIONS_OF), task)
    if task == "classify":
        evaluate_answers(model, data, part, out, errors, group_from, as_json=as_json)
        return
    if task == "detect":
        evaluate_boxes(model, data, part, out, group_from, as_json=as_json)
        return
    if task != EMBED:
        evaluate_word(model, data, out, errors, per_hour, threshold, as_json=as_json)
        return
    check_places(out, errors)
    loaded = load(model)
    whole = open_data(data, group_from=group_from, group_by=group_by)
    if errors is not None and isinstance(whole, PairSet):
        raise UsageError("Mistakes are looked for among labelled items", "a pairs file", "Leave out --errors.")
    opened = part_of(loaded, whole, part, say)
    if (known := calibrated_on(loaded, opened)) is not None:
        say(known)
    by_group = group_by is not None or group_from is not None
    with progress("encoding") as bar:
        report = measure(loaded, opened, unit=unit, ways=ways, shots=shots, by_group=by_group, seed=seed, progress=bar)
    if isinstance(opened, PairSet) and not opened.named:
        say("Pairs do not tell who is who (columns id_a and id_b do), so intervals may be too narrow.")
    report_skipped(report.skipped)
    values = report.as_dict()
    rows = report.rows()
    if out is not None:
        with replacing_folder(out, marker=METRICS) as fresh:
            written = [str(out / file.name) for file in report.write(fresh)]
        values["files"] = written
        rows.append(("files", ", ".join(written)))
    if errors is not None and isinstance(report, Report) and isinstance(whole, Dataset):
        tell_mistakes(mistakes_in(loaded, report.labelled, whole), errors, values, rows)
    answer(as_json, values, table(rows))
