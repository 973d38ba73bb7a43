"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else there.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model folder.")]
GalleryArgument = Annotated[
    str, typer.Argument(metavar="GALLERY", help="A gallery's file, or http://host:port/name on a Milvus server.")
]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures, or folders of them.")]
DataArgument = Annotated[
    str,
    typer.Argument(metavar="DATA", help="Folder of folders, .zip, manifest (.csv, .parquet), .npz, or a known name."),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(help="Regular expression with one (group): what it finds in a file's name is the item's group."),
]
Part = Annotated[
    str | None,
    typer.Option(help="train, valid, tune or test: DATA's own, or as set aside when MODEL was trained on DATA."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random; the same seed gives the same result.")]
Out = Annotated[Path, typer.Option(help="Model folder to write; an older model there is replaced at the end.")]
