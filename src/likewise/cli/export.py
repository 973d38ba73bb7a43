"""likewise export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from likewise.cli.console import answer
from likewise.cli.options import Json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(export)


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of `train --task triggerword`.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx file to write; an older one is replaced.")],
    per_hour: Annotated[
        float | None, typer.Option(help="Whose threshold goes into the file: at most so many false alarms per hour.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Of probabilities, instead of a promise.")] = None,
    as_json: Json = False,
) -> None:
    """Write the step of a model that hears a word as ONNX: samples in, probability out, without Python."""
    from likewise.apps.triggerword import TriggerWord
    from likewise.apps.triggerword.onnx_step import export
    from likewise.errors import UsageError

    if file.suffix.lower() != ".onnx":
        raise UsageError("A model is exported to a .onnx file", str(file), "Name it so.")
    loaded = TriggerWord.load(model)
    values: dict[str, Any] = {"file": str(file), **export(loaded, file, loaded.rule(per_hour, threshold))}
    answer(as_json, values)
