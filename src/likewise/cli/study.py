"""likewise study: resolution, data, split, dim, tap, objective."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.answers import labelled_items
from likewise.cli.console import answer, say
from likewise.cli.options import DataArgument, GroupFrom, Json, ModelArgument, Seed

if TYPE_CHECKING:
    from likewise.apps.study import Study
    from likewise.training import FitOptions

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for all runs, the picture and what was found.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a study that was stopped.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the data of every run.")]
Backbone = Annotated[str, typer.Option(help="Network of every run.")]
Way = Annotated[str | None, typer.Option("--split", help="item, identity or group; unless said, what suits DATA.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Ask questions of data before training for good; each ends with a picture and a sentence.",
    )
    for command in (resolution, data, split, dim, tap, objective):
        group.command()(command)
    app.add_typer(group, name="study")


def resolution(
    where: DataArgument,
    out: Folder,
    sizes: Annotated[str, typer.Option(help="Pixels a side to try.")] = "8,16,32,64,128",
    grey: Annotated[bool, typer.Option("--grey", help="Try every size without colour too.")] = False,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 20,
    augment: Annotated[str, typer.Option(help="As of train.")] = "none",
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Which size of picture is enough to tell classes apart, and whether colour is needed."""
    pixels = numbers_in(sizes, "--sizes")
    from likewise.apps.study import Resolution

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Resolution(
        labelled, pixels, colourless=grey, backbone=backbone, by=way(by), fit=fit_of(epochs, augment, seed)
    )
    tell(study, out, resume=resume, as_json=as_json)


def data(
    where: DataArgument,
    out: Folder,
    error: Annotated[float, typer.Option(help="Share of wrong answers one would be content with.")] = 0.01,
    repeats: Annotated[int, typer.Option(min=1, help="Shares drawn of each size.")] = 2,
    size: Annotated[int | None, typer.Option(help="Side in pixels pictures are brought to.")] = None,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 20,
    augment: Annotated[str, typer.Option(help="As of train.")] = "none",
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """How many more examples it would take: errors of growing shares, and the power law they follow."""
    from likewise.apps.study import Learning

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Learning(
        labelled, error, repeats=repeats, backbone=backbone, size=size, by=way(by), fit=fit_of(epochs, augment, seed)
    )
    tell(study, out, resume=resume, as_json=as_json)


def split(
    where: DataArgument,
    out: Folder,
    shares: Annotated[str, typer.Option(help="Shares of the items to measure on.")] = "0.5,0.2,0.02",
    accuracy: Annotated[float, typer.Option(help="That is expected.")] = 0.95,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """How sure 50/50, 80/20 and 98/2 let one be, and what leaks from one part into the other."""
    from likewise.apps.study import Split
    from likewise.errors import UsageError

    try:
        parsed = [float(share) for share in shares.split(",")]
    except ValueError as error:
        raise UsageError("--shares are numbers", repr(shares), "Pass for example 0.5,0.2.") from error
    study = Split(labelled_items(where, group_from=group_from, targets=()), parsed, accuracy=accuracy, seed=seed)
    tell(study, out, resume=resume, as_json=as_json)


def dim(
    where: DataArgument,
    out: Folder,
    dims: Annotated[str, typer.Option(help="Lengths to try.")] = "2,4,8,16,32,64,128,256,512",
    loss: Annotated[str, typer.Option(help="Objective of every run, as of train.")] = "supcon",
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 10,
    augment: Annotated[str, typer.Option(help="As of train.")] = "none",
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """How many numbers an embedding needs: what is too short loses what tells identities apart."""
    lengths = numbers_in(dims, "--dims")
    from likewise.apps.study import Dim

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Dim(labelled, lengths, loss=loss, backbone=backbone, by=way(by), fit=fit_of(epochs, augment, seed))
    tell(study, out, resume=resume, as_json=as_json)


def tap(
    model: ModelArgument,
    where: DataArgument,
    out: Folder,
    group_from: GroupFrom = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Where in MODEL the encoding of DATA, which it was not trained on, is best taken from."""
    from likewise.apps.study import Taps
    from likewise.matching import load
    from likewise.training import trainable

    encoder = trainable(load(model).encoder)
    study = Taps(encoder, labelled_items(where, group_from=group_from, targets=()))
    tell(study, out, resume=resume, as_json=as_json)


def objective(
    where: DataArgument,
    out: Folder,
    losses: Annotated[str | None, typer.Option(help="Objectives to try; all unless said.")] = None,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 10,
    augment: Annotated[str, typer.Option(help="As of train.")] = "none",
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """The objectives of the project side by side, on DATA."""
    from likewise.apps.study import Objectives
    from likewise.objective import OBJECTIVES

    named = [loss.strip() for loss in losses.split(",")] if losses is not None else list(OBJECTIVES)
    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Objectives(labelled, named, backbone=backbone, by=way(by), fit=fit_of(epochs, augment, seed))
    tell(study, out, resume=resume, as_json=as_json)


def tell(study: Study, out: Path, *, resume: bool, as_json: bool) -> None:
    """Conducts a study, and says what it found."""
    from likewise.apps.study import conduct

    found = conduct(study, out, resume=resume, say=say)
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
