"""likewise classify."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, say
from likewise.cli.options import FilesArgument, Json, TrainedArgument
from likewise.cli.tasks import check_trained
from likewise.errors import visible

SHOWN = 10  # files that are named of those that cannot be read; --json names all


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(classify)


def classify(
    model: TrainedArgument,
    files: FilesArgument,
    top: Annotated[
        int, typer.Option(min=1, help="How many classes to show for each file; all numbers are shown, and what holds.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Say what FILEs show: which class, which of several, or how much, with probabilities that were calibrated."""
    from likewise.apps.classify import Answer, Classifier
    from likewise.data.loaders import files_below
    from likewise.errors import DataError

    check_trained(model, Classifier.task)
    loaded = Classifier.load(model)
    found = [file for path in files for file in ([path / f for f in files_below(path)] if path.is_dir() else [path])]
    if not found:
        raise DataError("There is something to classify", f"no files in {', '.join(map(str, files))}")
    with progress("classifying") as bar:
        answers = loaded.classify(found, bar)
    skipped = [(str(file), said) for file, said in zip(found, answers, strict=True) if isinstance(said, str)]
    said = [said for said in answers if isinstance(said, Answer)]
    if len(skipped) == 1 and not said:
        raise DataError(skipped[0][1])
    report_skipped(skipped[:SHOWN])
    if len(skipped) > SHOWN:
        say(f"and {len(skipped) - SHOWN:,} more")
    if not said:
        raise DataError("At least one file can be read", f"none of {len(skipped):,}")
    values = {
        "model": model,
        "head": loaded.head.kind,
        "files": [one.as_dict(top) for one in said],
        "skipped": [{"file": file, "reason": reason} for file, reason in skipped],
    }
    answer(as_json, values, "\n".join(line(one, top) for one in said))
    if skipped:
        raise typer.Exit(1)


def line(said: object, top: int) -> str:
    """One answer as text."""
    from likewise.apps.classify import Answer

    assert isinstance(said, Answer)
    file, label = visible(said.file), visible(said.label)  # a name may hold what a terminal would obey
    if said.probability is None:
        ends = "".join(
            f", {visible(name)} 90% in {low:.4g} to {high:.4g}" for name, (low, high) in said.between.items()
        )
        return f"{file}: {label}{ends}"
    others = ", ".join(f"{visible(name)} {value:.1%}" for name, value in said.shown(top).items())
    return f"{file}: {label} ({others})"
