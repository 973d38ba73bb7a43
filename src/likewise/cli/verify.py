"""likewise verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from likewise.cli.console import answer
from likewise.cli.options import Json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)


def _check(context: typer.Context, given: list[str]) -> list[str]:
    """Three arguments, or files for one name of a gallery; the options are known before the arguments are looked at."""
    gallery, name = (context.params.get(option) for option in ("gallery", "name"))
    if (gallery is None) != (name is None):
        raise typer.BadParameter("--gallery and --name go together")
    if gallery is None and len(given) != 3:
        missing = ("MODEL", "A", "B")[len(given) : len(given) + 1]
        raise typer.BadParameter(f"missing {missing[0]!r}" if missing else f"{len(given)} of them")
    return given


def verify(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL A B",
            callback=_check,
            help="A model folder and two pictures; with --gallery, pictures that are said to be of NAME.",
        ),
    ],
    gallery: Annotated[
        str | None, typer.Option(metavar="GALLERY", is_eager=True, help="Compare with what is enrolled instead.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", is_eager=True, help="Who the pictures are said to be of.")
    ] = None,
    fmr: Annotated[float | None, typer.Option(help="Which promised rate to hold, if not the model's own.")] = None,
    as_json: Json = False,
) -> int:
    """Are A and B the same? Or is each picture of NAME? Exit status 0 if so, 1 if not."""
    if gallery is not None and name is not None:
        return _verify_name(gallery, name, given, fmr, as_json)
    from likewise.matching import load

    model, a, b = given
    verdict = load(model).verify(a, b, fmr=fmr)
    answer(as_json, verdict.as_dict(), str(verdict))
    return 0 if verdict.same else 1


def _verify_name(gallery: str, name: str, files: list[str], fmr: float | None, as_json: bool) -> int:
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        claims = [opened.verify(file, name, fmr=fmr) for file in files]
    worst = max(claims, key=lambda claim: claim.distance)
    values: dict[str, Any] = worst.as_dict()
    if len(files) > 1:
        values["files"] = [{"file": file, **claim.as_dict()} for file, claim in zip(files, claims, strict=True)]
    answer(as_json, values, "\n".join(f"{file}: {claim}" for file, claim in zip(files, claims, strict=True)))
    return 0 if worst.same else 1
