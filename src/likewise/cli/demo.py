"""likewise demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, say, table
from likewise.cli.options import Json, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    data: Annotated[str, typer.Option(help="mnist, digits, or a folder of folders of your own.")] = "mnist",
    out: Annotated[Path, typer.Option(help="Folder for the model and its pictures.")] = Path("demo"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train, calibrate, measure and map on real data, in a minute or two."""
    from likewise.apps.demo import run
    from likewise.cli.training_bar import TrainingBar

    with TrainingBar("pictures") as watcher:
        shown = run(data, out, seed=seed, watcher=watcher)
    for note in shown.learned.notes:
        say(note)
    answer(as_json, shown.as_dict(), table(shown.rows()))
