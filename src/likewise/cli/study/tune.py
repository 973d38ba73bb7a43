"""likewise study tune."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from likewise.cli.answers import labelled_items
from likewise.cli.options import DataArgument, GroupFrom, Json, Seed, above_zero
from likewise.cli.study.options import Backbone, Epochs, Folder, Resume, Way, tell, way, way_of_classes


def tune(
    where: DataArgument,
    out: Folder,
    task: Annotated[Literal["embed", "classify"], typer.Option(help="As of train.")] = "embed",
    minutes: Annotated[float, typer.Option(help="To search; --resume adds as many.", callback=above_zero)] = 10,
    losses: Annotated[
        str | None, typer.Option(help="Embed: objectives to try; supcon,triplet,softmax,arcface unless said.")
    ] = None,
    select: Annotated[
        Literal["precision_at_1", "eer"] | None,
        typer.Option(help="Embed: the figure of the validation part that decides; eer unless said."),
    ] = None,
    backbone: Backbone = "convnet-small",
    epochs: Epochs = 10,
    by: Way = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Which options of train suit DATA: a search within some minutes, that ends with the command to train by."""
    from likewise.errors import UsageError

    split_by = way_of_classes(by) if task == "classify" else way(by)
    if task == "classify" and (given := [f"--{n}" for n, v in (("losses", losses), ("select", select)) if v]):
        raise UsageError("Objectives and their figures go with --task embed", ", ".join(given), "Leave it out.")
    from likewise.apps.study import Tune
    from likewise.apps.study.space import LOSSES
    from likewise.apps.study.tune import SELECT

    labelled = labelled_items(where, group_from=group_from, targets=())
    study = Tune(
        labelled, task, minutes, called=[where, *(["--group-from", group_from] if group_from else [])],
        losses=LOSSES if losses is None else [loss.strip() for loss in losses.split(",")],
        backbone=backbone, by=split_by, select=select or SELECT, epochs=epochs, seed=seed,
    )  # fmt: skip
    tell(study, out, resume=resume, as_json=as_json)
