"""likewise forget."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.console import answer
from likewise.cli.gallery_ import counted
from likewise.cli.options import GalleryArgument, Json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(forget)


def forget(
    gallery: GalleryArgument,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Whose records to remove.")] = None,
    id: Annotated[
        int | None, typer.Option("--id", help="Remove one record only; `gallery list GALLERY NAME` lists ids.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove all records of NAME, with every byte that was kept of them; backups and exports are yours to delete."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        done = opened.forget(name, id=id)
    answer(as_json, done.as_dict(), f"{counted(done.records)} of {done.name} forgotten")
