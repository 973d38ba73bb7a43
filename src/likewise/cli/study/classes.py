"""likewise study: resolution, data, split."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.answers import labelled_items
from likewise.cli.options import DataArgument, GroupFrom, Json, Seed
from likewise.cli.study.options import (
    Augment,
    Backbone,
    Epochs,
    Folder,
    Folds,
    Resume,
    Way,
    fit_of,
    numbers_in,
    tell,
    way_of_classes,
)

Sizes = Annotated[
    str | None,
    typer.Option(
        help="Pixels a side to try, of sounds hertz; unless said 8,16,32,64,128, or 1000,2000,4000,8000,16000, up to"
        " what DATA have."
    ),
]


def resolution(
    where: DataArgument,
    out: Folder,
    sizes: Sizes = None,
    grey: Annotated[bool, typer.Option("--grey", help="Try every size without colour too.")] = False,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 10,
    augment: Augment = "none",
    by: Way = None,
    folds: Folds = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Which size of picture, or rate of sound, is enough to tell classes apart, and whether colour is needed."""
    tried = None if sizes is None else numbers_in(sizes, "--sizes")
    split_by = way_of_classes(by)
    from likewise.apps.study import Resolution

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Resolution(
        labelled, tried, colourless=grey, backbone=backbone, by=split_by, folds=folds, fit=fit_of(epochs, augment, seed)
    )
    tell(study, out, resume=resume, as_json=as_json)


def data(
    where: DataArgument,
    out: Folder,
    error: Annotated[float, typer.Option(help="Share of wrong answers one would be content with.")] = 0.01,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Shares drawn of each size; unless said 2, with folds 1.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels pictures are brought to.")] = None,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 10,
    augment: Augment = "none",
    by: Way = None,
    folds: Folds = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """How many more examples it would take: errors of growing shares, and the power law they follow."""
    split_by = way_of_classes(by)
    from likewise.apps.study import Learning

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Learning(
        labelled, error, repeats=repeats, backbone=backbone, size=size, by=split_by, folds=folds,
        fit=fit_of(epochs, augment, seed),
    )  # fmt: skip
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
