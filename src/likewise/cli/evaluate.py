"""likewise evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import DataArgument, GroupFrom, Json, ModelArgument, Part, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(evaluate)


def evaluate(
    model: ModelArgument,
    data: DataArgument,
    part: Part = None,
    unit: Annotated[
        Literal["identity", "item"] | None,
        typer.Option(help="What intervals take for a sample: identity or item; as training showed unless said."),
    ] = None,
    ways: Annotated[int, typer.Option(help="N of the N-way K-shot figure.")] = 20,
    shots: Annotated[int, typer.Option(help="K of it.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json, roc.png and hardest.png.")] = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure MODEL on DATA it has not seen: neighbours, error rates with intervals, clusters, hardest pairs."""
    from likewise.apps.learn import part_of
    from likewise.data import PairSet, open_data
    from likewise.evaluation import evaluate as measure
    from likewise.evaluation import evaluate_pairs
    from likewise.matching import load

    loaded = load(model)
    opened = part_of(loaded, open_data(data, group_from=group_from), part, say)
    with progress("encoding") as bar:
        if isinstance(opened, PairSet):
            report = evaluate_pairs(loaded, opened, progress=bar)
            skipped = report.skipped
        else:
            report = measure(loaded, opened, unit=unit, ways=ways, shots=shots, seed=seed, progress=bar)
            skipped = report.labelled.skipped
    report_skipped(skipped)
    values = report.as_dict()
    rows = report.rows()
    if out is not None:
        from likewise.media.files import replacing_folder

        with replacing_folder(out, marker="metrics.json") as fresh:
            written = [str(out / file.name) for file in report.write(fresh)]
        values["files"] = written
        rows.append(("files", ", ".join(written)))
    answer(as_json, values, table(rows))
