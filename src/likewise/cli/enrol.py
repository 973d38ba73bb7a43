"""likewise enrol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, say
from likewise.cli.options import FilesArgument, GalleryArgument, Json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(enrol)


def enrol(
    gallery: GalleryArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose pictures or sounds these are.")],
    files: FilesArgument,
    model: Annotated[
        str | None, typer.Option(help="A model folder: needed the first time, the gallery keeps a copy.")
    ] = None,
    keep_originals: Annotated[
        bool, typer.Option("--keep-originals", help="Keep the files too, so that the model can be exchanged.")
    ] = False,
    metadata: Annotated[
        str | None, typer.Option(help='To remember beside each record: a JSON object such as {"door": 3}.')
    ] = None,
    as_json: Json = False,
) -> None:
    """Enter FILEs into GALLERY under NAME; trains nothing. Says what could not be used; exit status 0 if any could."""
    from likewise.errors import UsageError
    from likewise.gallery import Gallery
    from likewise.gallery.items import files_in
    from likewise.gallery.names import check_name
    from likewise.media.kinds import kind_of

    name = check_name(name)  # before a new gallery is made
    if kind_of(name) is not None and Path(name).is_file():
        remedy = "Say whose it is: likewise enrol GALLERY NAME FILE..."
        raise UsageError("Behind the gallery comes a name", f"{name!r}, which is a {kind_of(name)}", remedy)
    noted = None
    if metadata is not None:
        try:
            noted = json.loads(metadata)
        except (ValueError, RecursionError):
            noted = None
        if not isinstance(noted, dict):
            raise UsageError("Metadata are a JSON object", repr(metadata[:100]), 'Pass for example {"door": 3}.')
    found = files_in(files)
    with Gallery.open(gallery, model) as opened, progress("encoding") as bar:
        done = opened.enrol(name, found, metadata=noted, keep_originals=keep_originals, progress=bar)
    report_skipped(done.skipped)
    items = f"{kind_of(found[0]) or 'item'}s"
    if not keep_originals:
        say(f"originals are not kept: another model would need these {items} again (see --keep-originals)")
    elif done.already:
        say("what was there already stays as it is: to keep its originals, forget it and enrol it again")
    already = f", {len(done.already)} were there already" if done.already else ""
    text = f"{len(done.added)} of {len(found)} items enrolled as {done.name}{already}"
    answer(as_json, {"gallery": gallery, **done.as_dict()}, text)
