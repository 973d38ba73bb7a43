"""likewise verify."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.console import answer
from likewise.cli.options import Json, ModelArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)


def verify(
    model: ModelArgument,
    a: Annotated[str, typer.Argument(metavar="A", help="A picture.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    fmr: Annotated[float | None, typer.Option(help="Which promised rate to hold, if not the model's own.")] = None,
    as_json: Json = False,
) -> int:
    """Are A and B the same? Exit status 0 if they are, 1 if not."""
    from likewise.matching import load

    verdict = load(model).verify(a, b, fmr=fmr)
    answer(as_json, verdict.as_dict(), str(verdict))
    return 0 if verdict.same else 1
