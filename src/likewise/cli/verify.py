"""likewise verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer
from likewise.cli.options import Json, MissingArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)


def _check(context: typer.Context, given: list[str] | None) -> list[str]:
    """Three arguments, or files for one name of a gallery; the options are known before the arguments are looked at."""
    gallery, name = (context.params.get(option) for option in ("gallery", "name"))
    if (gallery is None) != (name is None):
        raise typer.BadParameter("--gallery and --name go together")
    given = given or []
    if gallery is not None and not given:
        raise MissingArgument("FILE...")
    if gallery is None and len(given) < 3:
        raise MissingArgument(("MODEL A B", "A B", "B")[len(given)])
    if gallery is None and len(given) > 3:
        raise typer.BadParameter(f"{len(given)} of them, and 3 are wanted")
    return given


def verify(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL A B",
            callback=_check,
            help="A model and two pictures; with --gallery, pictures that are said to be of NAME, which vote.",
        ),
    ] = None,
    gallery: Annotated[
        str | None, typer.Option(metavar="GALLERY", is_eager=True, help="Compare with what is enrolled instead.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", is_eager=True, help="Who the pictures are said to be of.")
    ] = None,
    fmr: Annotated[float | None, typer.Option(help="Which promised rate to hold, if not the model's own.")] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --gallery: add the decision, or the refusal, to FILE as a line of JSON."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Are A and B the same? Or are the pictures of NAME? Exit status 0 if so, 1 if not."""
    given = given or []
    if gallery is not None and name is not None:
        return _verify_name(gallery, name, given, fmr, log, as_json)
    from likewise.errors import UsageError
    from likewise.matching import load

    if log is not None:
        raise UsageError("A log is for decisions about names", "--log without --gallery", "Leave it out.")
    model, a, b = given
    verdict = load(model).verify(a, b, fmr=fmr)
    answer(as_json, verdict.as_dict(), str(verdict))
    return 0 if verdict.same else 1


def _verify_name(gallery: str, name: str, files: list[str], fmr: float | None, log: Path | None, as_json: bool) -> int:
    from likewise.apps.entrance import verify_logged
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        claim = opened.verify(files, name, fmr=fmr) if log is None else verify_logged(opened, files, name, log, fmr=fmr)
    answer(as_json, claim.as_dict(), str(claim))
    return 0 if claim.same else 1
