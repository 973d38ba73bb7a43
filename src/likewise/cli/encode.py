"""likewise encode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped
from likewise.cli.options import Json, ModelArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(encode)


def encode(
    model: ModelArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures or sounds, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write: .npz or .parquet.")],
    as_json: Json = False,
) -> None:
    """Embeddings of FILEs, with the model's fingerprint."""
    from likewise.apps.embeddings import encode_files

    with progress("encoding") as bar:
        written = encode_files(model, files, out, bar)
    report_skipped(written.skipped)
    answer(as_json, written.as_dict(), f"{written.items} items of {written.dim} numbers in {written.file}")
