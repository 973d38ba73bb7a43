"""likewise search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped
from likewise.cli.options import Json, ModelArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(search)


def search(
    model: ModelArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pictures, and of folders of them.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The picture to search for.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many matches.")] = 10,
    as_json: Json = False,
) -> None:
    """The pictures of DIR nearest to FILE; no gallery needed."""
    from likewise.apps.search import search_folder
    from likewise.matching import load

    loaded = load(model)
    with progress("searching") as bar:
        found = search_folder(loaded, folder, file, k, progress=bar)
    report_skipped(found.skipped)
    lines = [
        f"{match.distance:.4g}  {match.file}" if match.same is None
        else f"{match.distance:.4g}  {'the same' if match.same else 'not the same':<12}  {match.file}"
        for match in found.matches
    ]  # fmt: skip
    answer(as_json, found.as_dict(), "\n".join(lines))
