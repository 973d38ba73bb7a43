"""Options that several studies share, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.console import answer, progress, say

if TYPE_CHECKING:
    from likewise.apps.study import Study
    from likewise.training import FitOptions

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for all runs, the picture and what was found.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a study that was stopped, or add to one.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the data of every run.")]
Augment = Annotated[str, typer.Option(help="As of train.")]
Backbone = Annotated[str, typer.Option(help="Network of every run.")]
Way = Annotated[str | None, typer.Option("--split", help="item, identity or group; unless said, what suits DATA.")]
Folds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Judge every item once, by as many networks; unless said, 5 where fewer than 30 groups or identities are"
        " kept apart, else one split.",
    ),
]


def tell(study: Study, out: Path, *, resume: bool, as_json: bool) -> None:
    """Conducts a study, and says what it found."""
    from likewise.apps.study import conduct

    with progress("trying") as bar:
        found = conduct(study, out, resume=resume, say=say, progress=bar)
    answer(as_json, found.as_dict(), "\n".join([found.advice, *map(str, found.files)]))


def fit_of(epochs: int, augment: str, seed: int) -> FitOptions:
    """Options of every run."""
    from likewise.training import FitOptions

    return FitOptions(epochs=epochs, augment=augment, seed=seed)


def way(by: str | None) -> Literal["item", "identity", "group"] | None:
    """How data are taken apart.

    Raises:
        UsageError: in no known way.
    """
    from likewise.errors import UsageError

    if by is None or by == "item" or by == "identity" or by == "group":
        return by
    raise UsageError("A split is by item, identity or group", repr(by))


def way_of_classes(by: str | None) -> Literal["item", "group"] | None:
    """How data are taken apart whose classes are the same in all parts.

    Raises:
        UsageError: by identity, or in no known way.
    """
    from likewise.errors import UsageError

    found = way(by)
    if found == "identity":
        raise UsageError("Classes are the same in all parts", "--split identity", "Pass --split item or group.")
    return found


def numbers_in(text: str, option: str) -> list[int]:
    """[8, 16] of "8,16".

    Raises:
        UsageError: something else.
    """
    from likewise.errors import UsageError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} are whole numbers", repr(text), "Pass for example 8,16,32.") from error
