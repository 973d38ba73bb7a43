"""likewise study: resolution, data, split, human, dim, objective, tap, tune."""

from __future__ import annotations

import typer

from likewise.cli.study.classes import data, resolution, split
from likewise.cli.study.embeddings import dim, objective, tap
from likewise.cli.study.human import human
from likewise.cli.study.tune import tune


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Ask questions of data before training for good; each ends with a picture and a sentence.",
    )
    for command in (resolution, data, split, human, dim, objective, tap, tune):
        group.command()(command)
    app.add_typer(group, name="study")
