"""likewise identify."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say
from likewise.cli.options import Json, MissingArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(identify)


def _check(context: typer.Context, given: list[str] | None) -> list[str]:
    """A gallery and files, or files alone where the known people are a folder."""
    given = given or []
    known = context.params.get("known") is not None
    if len(given) < (1 if known else 2):
        raise MissingArgument("FILE..." if known or given else "GALLERY FILE...")
    return given


def identify(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GALLERY FILE...",
            callback=_check,
            help="A gallery's file, or http://host:port/name on a Milvus server; and pictures, or folders of them."
            " With --known, pictures alone.",
        ),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", is_eager=True, help="Known people instead of a gallery: one sub-folder or picture for each."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="With --known: what encodes; dlib-face-128 unless said.")
    ] = None,
    k: Annotated[
        int | None, typer.Option(help="How many of the nearest records decide; 5 unless calibrated so.")
    ] = None,
    rule: Annotated[
        Literal["vote", "mean"] | None,
        typer.Option(help="vote: of the nearest records; mean: distance to the mean of each name near."),
    ] = None,
    format: Annotated[
        Literal["text", "csv", "csv-full"],
        typer.Option(
            help="csv: path,name,distance for each face; unknown_person is also who is unsure, no_persons_found a"
            " picture without a face, and one that cannot be read has no line. csv-full: a heading, behind these three"
            " the decision, who it perhaps is, the box and what is wrong, and a line for every picture."
        ),
    ] = "text",
    annotated: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            metavar="DIR",
            help="Write copies of the pictures here, with boxes and names; a new or empty folder. A name that the font"
            " lacks is a number, told beside.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Who is on FILEs: a name, "unsure" or "unknown". Exit status 0 if all are known, 1 if any is not."""
    from likewise.apps.recognise import annotate, as_csv, check_new, known_people
    from likewise.errors import UsageError
    from likewise.gallery import Gallery
    from likewise.gallery.items import files_in

    given = given or []
    if known is None and model is not None:
        raise UsageError("A gallery has its model", f"--model {model}", "Leave it out, or pass --known DIR.")
    if annotated is not None:
        check_new(annotated)  # before the work
    files = files_in([Path(file) for file in (given if known is not None else given[1:])])
    with ExitStack() as stack:
        bar = stack.enter_context(progress("encoding"))
        if known is None:
            opened = stack.enter_context(Gallery.open(given[0]))
        else:
            opened, unused = stack.enter_context(known_people(known, model or "dlib-face-128", bar))
            report_skipped(unused)
        found = opened.identify(files, k=k, rule=rule, progress=bar)
    report_skipped(found.skipped)
    values: dict[str, Any] = found.as_dict()
    if annotated is not None:
        shown = annotate(found, annotated)
        values["annotated"] = [str(file) for file in shown.files]
        values["numbered"] = {str(number): name for number, name in shown.numbered.items()}
        for number, name in shown.numbered.items():
            say(f"in the pictures #{number} is {name}")
    answer(as_json, values, str(found) if format == "text" else as_csv(found, full=format == "csv-full"))
    say(found.lines.in_words())
    return 0 if found.all_known else 1
