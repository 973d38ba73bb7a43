"""likewise study human."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.answers import labelled_items
from likewise.cli.console import answer, progress, say
from likewise.cli.options import DataArgument, GroupFrom, Json, Seed
from likewise.cli.study.classes import Sizes
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
    way_of_classes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.apps.study import Resolution, Run

MACHINE = "machine"  # the folder in OUT of what is trained for comparison


def human(
    where: DataArgument,
    out: Folder,
    person: Annotated[str, typer.Option(help="Who answers; several may, one after the other, with --resume.")] = "me",
    each: Annotated[int, typer.Option(min=1, help="Questions of each size.")] = 20,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Ask here, instead of on a page for a browser on this machine.")
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A `study resolution` of DATA; unless said, it is made once all is answered."),
    ] = None,
    sizes: Sizes = None,
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
    """How well people do at each size, beside the machine: what of its error can be won, and how."""
    tried = None if sizes is None else numbers_in(sizes, "--sizes")
    split_by = way_of_classes(by)
    from likewise.apps.study import Asker, Human, Page, Resolution, Terminal, conduct

    labelled = labelled_items(where, group_from=group_from, targets=())
    made = None if beside is None else runs_beside(beside)
    if made is not None and tried is None:
        tried = sorted({run.settings["size"] for run in made})
    study = Resolution(labelled, tried, backbone=backbone, by=split_by, folds=folds, fit=fit_of(epochs, augment, seed))
    if beside is not None:
        check_same(beside, study)

    def machine() -> Sequence[Run]:
        if made is not None:
            return made
        say("Now the machine, on the same items.")
        with progress("training") as bar:
            return conduct(study, out / MACHINE, resume=True, say=say, progress=bar).runs

    with ExitStack() as stack:
        asker: Asker = Terminal(sys.stderr, sys.stdin, out) if terminal else stack.enter_context(Page(say))
        found = conduct(Human(study, person, asker, machine, each=each), out, resume=resume, say=say)
    answer(as_json, found.as_dict(), "\n".join([found.advice, *map(str, found.files)]))


def runs_beside(folder: Path) -> Sequence[Run]:
    """The runs of a study of resolution.

    Raises:
        DataError: there is none in `folder`. UsageError: it is another study, or has no runs.
    """
    from likewise.apps.study import Resolution, runs_in
    from likewise.errors import UsageError

    what, runs = runs_in(folder)
    if what.get("study") != Resolution.name or not runs:
        found = f"a study of {what.get('study')} with {len(runs)} runs in {str(folder)!r}"
        raise UsageError("People are set beside a study of resolution", found, "Make one: `likewise study resolution`.")
    return runs


def check_same(folder: Path, study: Resolution) -> None:
    """Refuses figures of other data, or of others of their items.

    Raises:
        UsageError: they are.
    """
    from likewise.apps.study import runs_in
    from likewise.errors import UsageError

    theirs, ours = runs_in(folder)[0], study.options()
    if theirs.get("data") != ours["data"]:
        raise UsageError("People and machine are compared on the same data", f"others in {str(folder)!r}")
    if theirs.get("split") != ours["split"]:
        raise UsageError(
            "People and machine are compared on the same items", f"another split in {str(folder)!r}",
            "Pass its --split, --folds and --seed.",
        )  # fmt: skip
