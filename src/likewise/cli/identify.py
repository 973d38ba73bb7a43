"""likewise identify."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say
from likewise.cli.options import FilesArgument, GalleryArgument, Json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(identify)


def identify(
    gallery: GalleryArgument,
    files: FilesArgument,
    k: Annotated[
        int | None, typer.Option(help="How many of the nearest records decide; 5 unless calibrated so.")
    ] = None,
    rule: Annotated[
        Literal["vote", "mean"] | None,
        typer.Option(help="vote: of the nearest records; mean: distance to the mean of each name near."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Who is on FILEs: a name, "unsure" or "unknown". Exit status 0 if all are known, 1 if any is not."""
    from likewise.gallery import Gallery
    from likewise.gallery.items import files_in

    with Gallery.open(gallery) as opened, progress("encoding") as bar:
        found = opened.identify(files_in(files), k=k, rule=rule, progress=bar)
    report_skipped(found.skipped)
    answer(as_json, found.as_dict(), str(found))
    say(found.lines.in_words())
    return 0 if found.all_known else 1
