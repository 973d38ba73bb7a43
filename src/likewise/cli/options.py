"""Options and arguments that several commands share."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else there.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a name from `models list`.")]
TrainedArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, of `train --task`.")]
GalleryArgument = Annotated[
    str, typer.Argument(metavar="GALLERY", help="A gallery's file, or http://host:port/name on a Milvus server.")
]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures or sounds, or folders of them.")]


class MissingArgument(typer.BadParameter):
    """What is lacking of an argument of several parts, told as typer tells it of one that is not there at all."""

    def format_message(self) -> str:
        """One line."""
        return f"Missing argument {self.message!r}."


def _no_model(context: typer.Context, data: str) -> str:
    """`data`, unless it is a model, as it is where MODEL and DATA were swapped."""
    from likewise.errors import UsageError

    if _is_model(data):
        model = context.params.get("model", data)  # before DATA, where the command has one
        swapped = not _is_model(model)
        raise UsageError(
            "DATA are labelled items",
            f"{data!r}, which is a model{' folder' if Path(data).is_dir() else ''}",
            f"Did you mean `{context.command_path} {shlex.join([data, model])}`?" if swapped else "Name the data.",
        )
    return data


def _is_model(where: str) -> bool:
    from likewise.encoder.files import NETWORK, PARAMETERS
    from likewise.matching import CONFIG, is_registered

    held = {name for name in (CONFIG, PARAMETERS, NETWORK) if (Path(where) / name).is_file()}
    return is_registered(where) or (CONFIG in held and len(held) > 1)


DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Folder of folders, .zip, manifest (.csv, .parquet), .npz, or a known name; or pictures with boxes.",
        callback=_no_model,
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="Regular expression with one (group): what it finds in a file's name, or with a / in it in the whole path,"
        " is the item's group."
    ),
]
Part = Annotated[
    str | None,
    typer.Option(help="train, valid, tune or test: DATA's own, or the items that had this use in MODEL's training."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random; the same seed gives the same result.")]
Out = Annotated[Path, typer.Option(help="Model folder to write; an older model there is replaced at the end.")]


def above_zero(parameter: typer.CallbackParam, value: float | None) -> float | None:
    """`value`, if it is above 0 and finite, or None."""
    return _held(parameter, value, "above 0", value is None or 0 < value < math.inf)


def at_least_zero(parameter: typer.CallbackParam, value: float) -> float | None:
    """`value`, if it is 0 or more and finite."""
    return _held(parameter, value, "at least 0", 0 <= value < math.inf)


def below_one(parameter: typer.CallbackParam, value: float) -> float | None:
    """`value`, if it is 0 or more and below 1."""
    return _held(parameter, value, "in [0, 1)", 0 <= value < 1)


def _held(parameter: typer.CallbackParam, value: float | None, rule: str, holds: bool) -> float | None:
    if holds:
        return value
    from likewise.errors import UsageError

    usual = parameter.default
    remedy = "Leave it out for what suits." if usual is None else f"Leave it out for {usual:g}, which suits most."
    raise UsageError(f"{parameter.opts[0]} is {rule}", f"{value:g}", remedy)
