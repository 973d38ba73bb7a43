"""likewise data: list, get, check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.console import answer, progress, say, shown, table
from likewise.cli.options import DataArgument, GroupFrom, Json

if TYPE_CHECKING:
    from likewise.data import Problem

MOST_SHOWN = 10  # classes, or files


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Named data sets, and the health of your own."
    )
    group.command("list")(list_)
    group.command()(get)
    group.command()(check)
    group.command()(boxes)
    app.add_typer(group, name="data")


def list_(as_json: Json = False) -> None:
    """Data sets known by name, and where their files are."""
    from likewise import assets

    found = [assets.status(name) for name in assets.ASSETS]
    places = [", ".join(map(str, s.where)) or ("in a package" if s.found else "to be fetched") for s in found]
    width = max(map(len, places))
    rows = [(s.asset.name, f"{place:<{width}}  {s.asset.description}") for s, place in zip(found, places, strict=True)]
    answer(as_json, {"sets": [status.as_dict() for status in found]}, table(rows))


def get(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """Fetch a data set by name and check it against its known checksums."""
    from likewise import assets

    with progress(f"getting {name}") as bar:
        files = assets.fetch(name, progress=bar)
    values = {role: str(path) for role, path in files.items()}
    rows = [(role.replace("_", " "), path) for role, path in values.items()]
    answer(as_json, {"name": name, "files": values}, table(rows or [("files", "none to fetch: a package has them")]))


def check(data: DataArgument, group_from: GroupFrom = None, as_json: Json = False) -> None:
    """The health of data: counts, imbalance, unreadable files, the same content twice, pairs that contradict.

    Of clips of `synthesize`: how long they are, and the words in them. Of pictures with boxes (Pascal VOC, COCO, YOLO):
    boxes of each class and their sizes. Of one flat folder: its files.
    """
    from likewise.data import are_clips, box_format, open_data, pile, with_groups
    from likewise.data import check as examine
    from likewise.data.loaders import below

    if box_format(data):
        _check_boxes(data, group_from, as_json)
        return
    if are_clips(data):
        _check_clips(data, group_from, as_json)
        return
    flat = pile(data)
    if flat is None:
        opened = open_data(data, group_from=group_from)
    else:
        opened = flat if group_from is None else with_groups(flat, group_from)
        say(f"one flat folder, taken for a pile of {flat.names[0]}; to train takes a sub-folder for each identity")
        others = below(Path(data), lambda name: name.lower().endswith((".json", ".xml", ".txt")))
        if others:
            say(f"not read, as no format of boxes is known there: {', '.join(map(str, others[:MOST_SHOWN]))}")
    with progress("checking") as bar:
        health = examine(opened, bar)
    counts = list(health.counts.items())
    identities = "not known, only pairs" if health.identities is None else f"{health.identities:,}"
    rows = [("items", f"{health.items:,}"), ("identities", identities)]
    rows += [(f"  {name}", f"{count:,}") for name, count in counts[:10]]
    if len(counts) > 10:
        rows.append((f"  and {len(counts) - 10:,} more", f"{counts[-1][1]} to {counts[10][1]} items each"))
    answer(as_json, health.as_dict(), table([*rows, *_told(health.problems)]))


def _check_clips(data: str, group_from: str | None, as_json: bool) -> None:
    from likewise.data import check_clips, clips
    from likewise.errors import UsageError

    if group_from is not None:
        raise UsageError("Groups of clips are in their manifest", "--group-from", "Leave it out.")
    with progress("checking") as bar:
        health = check_clips(clips(data), bar)
    rows = [
        ("clips", f"{health.clips:,}, {health.without:,} of them without the trigger"),
        ("length", f"{health.seconds:,.0f} s, which is {health.seconds / 3600:.3g} h"),
        ("triggers", f"{health.triggers:,} by {health.voices:,} voices or files"),
        ("other words", f"{health.others:,}"),
    ]
    answer(as_json, health.as_dict(), table([*rows, *_told(health.problems)]))


def _check_boxes(data: str, group_from: str | None, as_json: bool) -> None:
    from likewise.data import check_boxes, open_boxes

    with progress("checking") as bar:
        health = check_boxes(open_boxes(data, group_from=group_from, progress=bar), bar)
    low, middle, high = (f"{100 * share:.3g}%" for share in health.sides)
    ignored = f", and {health.ignored:,} ignored" if health.ignored else ""
    rows = [
        ("pictures", f"{health.pictures:,}, {health.without:,} of them without a box"),
        ("boxes", f"{health.boxes:,}{ignored}; at most {health.crowded:,} in a picture"),
        ("classes", f"{len(health.classes):,}"),
    ]
    rows += [(f"  {name}", f"{count:,}") for name, count in list(health.classes.items())[:MOST_SHOWN]]
    if len(health.classes) > MOST_SHOWN:
        rows.append((f"  and {len(health.classes) - MOST_SHOWN:,} more", ""))
    if health.boxes:
        rows.append(("longer side", f"{middle} of the picture's, 90% of boxes {low} to {high}"))
    answer(as_json, health.as_dict(), table([*rows, *_told(health.problems)]))


def boxes(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of pictures with boxes, or a COCO .json.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder to write, new or empty.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="coco, voc or yolo.")] = "coco",
    as_json: Json = False,
) -> None:
    """Convert pictures with boxes between Pascal VOC, COCO and YOLO: into a folder with copies of the pictures."""
    from likewise.data import open_boxes, write_boxes
    from likewise.media.files import check_outside, check_replaceable

    check_outside(out, [data])
    check_replaceable(out, marker=None)
    with progress("converting") as bar:
        opened = open_boxes(data, progress=bar)
        problems = [*opened.problems, *write_boxes(opened, out, to, progress=bar)]
    for file, reason in problems[:MOST_SHOWN]:
        say(f"{file}: {reason}")
    if len(problems) > MOST_SHOWN:
        say(f"{len(problems) - MOST_SHOWN} more; --json has all")
    found = {
        "pictures": len(opened),
        "boxes": len(opened.every_label),
        "classes": list(opened.names),
        "problems": [{"file": file, "reason": reason} for file, reason in problems],
        "out": str(out),
    }
    rows = [("pictures", len(opened)), ("boxes", len(opened.every_label)), ("written to", str(out))]
    answer(as_json, found, table(rows))


def _told(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    return [(problem.kind, shown(problem.text)) for problem in problems] or [("problems", "none")]
