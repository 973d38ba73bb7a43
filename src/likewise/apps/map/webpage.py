"""The map as one HTML page that needs nothing else, no network above all."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.apps.map.classes import classes_of
from likewise.apps.map.clips import Clips
from likewise.apps.map.layouts import Float32, Layout
from likewise.apps.map.thumbnails import Sheet, sheet_of
from likewise.errors import UsageError
from likewise.media.files import replacing_file

# Text from outside (names of people, of files) sits in a script element: nothing in it may close that
# element, open another or look like an address. To a JSON reader these mean the same.
ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "/": "\\/", "@": "\\u0040"})


@dataclass(frozen=True, eq=False)
class Times:
    """The same items at several times, one of which is shown; others are a slider away.

    Attributes:
        points: (T, N, 2 or 3) float32.
        names: (T) of the times.
        captions: (T) a line each.
        said: (T, N) place in `texts` of what is said of an item at a time.
        texts: such as "nearest to 7".
        wrong: (T, N) bool, what is said is not so: such items have a ring.
    """

    points: Float32
    names: Sequence[str]
    captions: Sequence[str]
    said: NDArray[np.int32]
    texts: Sequence[str]
    wrong: NDArray[np.bool_]


def page(
    layout: Layout,
    labels: Any,
    names: Sequence[str],
    file: Path | str,
    *,
    items: Sequence[str] | None = None,
    thumbnails: Any = None,
    clips: Clips | None = None,
    title: str = "",
    times: Times | None = None,
) -> None:
    """Write a map as one HTML page: hover, zoom, legend, search, and a lasso that shows what it holds.

    Points are embedded as binary float32 and drawn on one canvas, smoothly at 100,000 items. The page forbids
    itself every request (Content-Security-Policy). The file that was there stays until the new one is whole.

    Args:
        layout: from `layout`, with 2 or 3 dimensions.
        labels: (N,) integers.
        names: `names[label]` is the name of a label.
        file: where to.
        items: N texts, for example file names; "item 1", ... if left out.
        thumbnails: (N, h, w, C) uint8 with C = 1 or 3, or None. They are shrunk until together they take at
            most 12 MB of the page.
        clips: what is played of an item that is pointed at, from `clips_of`, or None.
        title: of the page.
        times: where the items are at several times; the page begins with the last, whose points `layout` has.

    Raises:
        UsageError: labels, items, thumbnails or times of another length or type, or a label without a name.
    """
    n = len(layout.points)
    classes = classes_of(labels, names, n)
    texts = [f"item {i + 1}" for i in range(n)] if items is None else [str(item) for item in items]
    if len(texts) != n or (thumbnails is not None and len(thumbnails) != n):
        given = f"{len(texts)} texts" if len(texts) != n else f"{len(thumbnails)} thumbnails"
        raise UsageError("A page has one text and one thumbnail per point", f"{given}, {n} points", "")
    if times is not None:
        _check_times(times, layout)
    sheet = None if thumbnails is None or n == 0 else sheet_of(thumbnails)

    data = {
        "title": title or "Map",
        "caption": layout.caption(),
        "notes": [note for note in (layout.note, _note(sheet, n), _heard(clips, n)) if note],
        "dimensions": layout.points.shape[1],
        "classes": [
            {"name": name, "colour": colour, "size": int(size)}
            for name, colour, size in zip(classes.names, classes.colours, classes.sizes, strict=True)
        ],
        "items": texts,
        "media": _media(sheet),
        "times": None
        if times is None
        else {"names": [*times.names], "captions": [*times.captions], "texts": [*times.texts]},
        "clips": None if clips is None else {"rate": clips.rate, "samples": clips.samples, "every": clips.every},
    }
    here = files("likewise.apps.map")
    html = Template((here / "page.html").read_text("utf-8")).substitute(
        style=(here / "page.css").read_text("utf-8"),
        script=(here / "page.js").read_text("utf-8"),
        data=json.dumps(data).translate(ESCAPES),  # ASCII: a file name need not be valid UTF-8
        points=_base64(layout.points.astype("<f4").tobytes()),
        classes=_base64(classes.of_item.astype("<i4").tobytes()),
        time_points=_base64(times.points.astype("<f4").tobytes() if times else b""),
        time_said=_base64(times.said.astype("<i4").tobytes() if times else b""),
        time_wrong=_base64(times.wrong.astype(np.uint8).tobytes() if times else b""),
        sheet=_base64(sheet.jpeg if sheet else b""),
        clips=_base64(clips.code if clips else b""),
    )
    with replacing_file(file) as target:
        target.write_text(html, "utf-8")


def _check_times(times: Times, layout: Layout) -> None:
    count = len(times.points)
    fits = times.points.shape[1:] == layout.points.shape and len(times.names) == len(times.captions) == count > 0
    if not fits or not times.said.shape == times.wrong.shape == times.points.shape[:2]:
        given = f"{times.points.shape}, {times.said.shape} and {times.wrong.shape} with {len(times.names)} names"
        raise UsageError(f"At each time there are {len(layout.points)} points, something said and a name", given)


def _media(sheet: Sheet | None) -> dict[str, Any]:
    """What the page shows of an item; `kind` names a row of the table MEDIA in page.js."""
    if sheet is None:
        return {"kind": "none"}
    return {
        "kind": "picture",
        "size": sheet.size,
        "cell": sheet.cell,
        "columns": sheet.columns,
        "every": sheet.every,
    }


def _note(sheet: Sheet | None, items: int) -> str:
    if sheet is None or sheet.every == 1:
        return ""
    room = len(range(0, items, sheet.every))
    return f"So many items leave room for {room:,} thumbnails: one item in {sheet.every} has one."


def _heard(clips: Clips | None, items: int) -> str:
    if clips is None:
        return ""
    part = "" if clips.every == 1 else f" One item in {clips.every} has a sound: there is no room for all {items:,}."
    return f"Click once, then point at an item to hear it.{part}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
