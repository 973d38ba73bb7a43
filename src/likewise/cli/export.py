"""likewise export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from likewise.cli.console import answer
from likewise.cli.options import Json
from likewise.cli.tasks import check_given, check_trained, foreign_to

OPTIONS_OF = {"triggerword": frozenset({"per_hour"}), "detect": frozenset[str]()}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(export)


def export(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model of `train --task triggerword` or `--task detect`.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx file to write; an older one is replaced.")],
    per_hour: Annotated[
        float | None, typer.Option(help="Whose threshold goes into the file: at most so many false alarms per hour.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Of probabilities, instead of a promise; of the scores of a detector.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as ONNX, to run without Python: samples in, probability out; of a detector pixels in, boxes out."""
    from likewise.apps.triggerword import TriggerWord
    from likewise.apps.triggerword.onnx_step import export
    from likewise.errors import UsageError
    from likewise.matching import task_of

    if file.suffix.lower() != ".onnx":
        raise UsageError("A model is exported to a .onnx file", str(file), "Name it so.")
    check_trained(model, *OPTIONS_OF)
    if task_of(model) == "detect":
        from likewise.apps.detect import Detector
        from likewise.apps.detect.onnx_look import export as export_detector

        check_given(context, foreign_to("detect", OPTIONS_OF), "detect")
        answer(as_json, {"file": str(file), **export_detector(Detector.load(model), file, threshold)})
        return
    loaded = TriggerWord.load(model)
    values: dict[str, Any] = {"file": str(file), **export(loaded, file, loaded.rule(per_hour, threshold))}
    answer(as_json, values)
