"""likewise study: dim, objective, tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.answers import labelled_items
from likewise.cli.console import say
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
    way,
)

if TYPE_CHECKING:
    from likewise.data import Dataset


def dim(
    where: DataArgument,
    out: Folder,
    dims: Annotated[str, typer.Option(help="Lengths to try.")] = "2,4,8,16,32,64,128,256,512",
    loss: Annotated[str, typer.Option(help="Objective of every run, as of train.")] = "supcon",
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
    """How many numbers an embedding needs: what is too short loses what tells identities apart."""
    lengths, split_by = numbers_in(dims, "--dims"), way(by)
    from likewise.apps.study import Dim

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Dim(
        labelled, lengths, loss=loss, backbone=backbone, by=split_by, folds=folds, fit=fit_of(epochs, augment, seed)
    )
    tell(study, out, resume=resume, as_json=as_json)


def objective(
    where: DataArgument,
    out: Folder,
    losses: Annotated[str | None, typer.Option(help="Objectives to try; all unless said.")] = None,
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
    """The objectives of the project side by side, on DATA."""
    split_by = way(by)
    from likewise.apps.study import Objectives
    from likewise.objective import OBJECTIVES

    named = [loss.strip() for loss in losses.split(",")] if losses is not None else list(OBJECTIVES)
    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Objectives(labelled, named, backbone=backbone, by=split_by, folds=folds, fit=fit_of(epochs, augment, seed))
    tell(study, out, resume=resume, as_json=as_json)


def tap(
    where: DataArgument,
    out: Folder,
    model: Annotated[
        str | None, typer.Option(help="Whose taps; unless said, one is trained on a part of DATA first.")
    ] = None,
    task_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What is to be told apart: label, group, or a column of the manifest; may be given again. Unless said,"
            " label, and group where there are groups.",
        ),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Network to train; convnet-small unless said.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of its training; 10 unless said.")] = None,
    augment: Annotated[str | None, typer.Option(help="As of train; none unless said.")] = None,
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Where in a network the encoding is best taken from, for each way of telling DATA apart."""
    split_by = way(by)
    from likewise.apps.study import Taps
    from likewise.errors import UsageError

    if model is not None:
        asked = {"--backbone": backbone, "--epochs": epochs, "--augment": augment, "--split": by}
        given = [f"{option} {value}" for option, value in asked.items() if value is not None]
        if given:
            raise UsageError("A model is trained already", f"{', '.join(given)} with --model", "Leave it out.")
    labelled = with_columns(where, group_from, task_column or [])
    encoder = None
    if model is not None:
        from likewise.apps.classify import Classifier
        from likewise.matching import EMBED, load, overlap, task_of
        from likewise.training import trainable

        embeds = task_of(model) == EMBED
        encoder = trainable(load(model).encoder if embeds else Classifier.load(model).encoder)
        if known := overlap(encoder.seen, labelled).said():
            say(f"The model was trained on {known} of these, which flatters it.")
    fit = fit_of(epochs or 10, augment or "none", seed)
    study = Taps(labelled, encoder, task_column, backbone=backbone or "convnet-small", by=split_by, fit=fit)
    tell(study, out, resume=resume, as_json=as_json)


def with_columns(where: str, group_from: str | None, tasks: list[str]) -> Dataset:
    """DATA, with the columns that are to be told apart as targets: equal numbers for equal cells.

    Raises:
        UsageError: there is no such column.
    """
    from dataclasses import replace

    import numpy as np
    from numpy.typing import NDArray

    from likewise.apps.study.taps import GROUP, LABEL
    from likewise.data import PairSet, open_data
    from likewise.errors import UsageError

    labelled = labelled_items(where, group_from=group_from, targets=())
    columns = [name for name in dict.fromkeys(tasks) if name not in (LABEL, GROUP)]
    if not columns:
        return labelled
    values: list[NDArray[np.int64]] = []
    for name in columns:
        if name not in labelled.others:
            there = ", ".join([LABEL, *(name for name in labelled.others if name != LABEL)])
            raise UsageError(
                "What is to be told apart is label, group, or another column of a manifest",
                f"--task-column {name} for {where!r}, where there is {there}",
                "Name what is there.",
            )
        told = open_data(where, group_by=name)
        assert not isinstance(told, PairSet)  # as `labelled_items` has seen
        assert told.groups is not None  # the column's
        values.append(told.groups)
    return replace(labelled, targets=np.stack(values, axis=1).astype(np.float32), target_names=tuple(columns))
