"""What the annotations of every format are brought to, and what is asked of all of them alike."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from likewise.data.boxes import Boxes, BoxSet, Flags, shown
from likewise.data.dataset import IntArray
from likewise.data.loaders import groups_in, part_name
from likewise.errors import DataError, LikewiseError
from likewise.media.opening import opened
from likewise.media.pictures import picture_shape

Problems: TypeAlias = list[tuple[str, str]]  # file and reason
Progress: TypeAlias = Callable[[int, int, str], None]

OVERHANG = 1.0  # pixels past the edge that are rounding, or counting from 0 or 1: cut off without a word
MOST_BOXES = 10_000  # of one picture
CHECKED_AT_ONCE = 256  # pictures between two progress reports


@final
@dataclass(frozen=True)
class Marked:
    """What is said of one picture, as it is said.

    Attributes:
        file: what to call it.
        source: the picture.
        corners: (k, 4) left, top, right, bottom.
        labels: (k,) positions in the names of classes.
        ignored: (k,) difficult, or a crowd.
        size: height and width of the picture as the annotation has them; None where it says nothing.
        relative: whether corners are shares of width and height instead of pixels.
        first: the pixel that is counted first; at 1, right and bottom are those of the last pixels in the box.
        part: train, valid, tune or test, as a list of files has it; None where none says.
    """

    file: str
    source: Path
    corners: Boxes
    labels: IntArray
    ignored: Flags
    size: tuple[int, int] | None = None
    relative: bool = False
    first: int = 0
    part: str | None = None


@final
@dataclass(frozen=True)
class Annotations:
    """What one format's reader found.

    Attributes:
        marked: of each picture what is said of it.
        names: of classes.
        problems: file and reason of what could not be used.
    """

    marked: Sequence[Marked]
    names: tuple[str, ...]
    problems: Problems = field(default_factory=list)


def gathered(
    found: Annotations, origin: str, *, group_from: str | None = None, progress: Progress | None = None
) -> BoxSet:
    """Looks at every picture's size, and puts right or leaves out what cannot be.

    Raises:
        DataError: nothing is left of what there was.
    """
    made: list[_Sound | Problems] = []
    problems = list(found.problems)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(found.marked), CHECKED_AT_ONCE):
            made += pool.map(_sound, found.marked[start : start + CHECKED_AT_ONCE])
            if progress:
                progress(len(made), len(found.marked), "reading annotations")
    kept = [each for each in made if isinstance(each, _Sound)]
    for each in made:
        problems += each.problems if isinstance(each, _Sound) else each
    if not kept:
        reason = f"none in {origin!r}"
        if problems:
            reason = f"none of {len(problems)}: {problems[0][0]}: {problems[0][1]}"
        raise DataError("At least one picture with its boxes can be used", reason)
    files = tuple(each.marked.file for each in kept)
    parts = _parts_by_lists([each.marked for each in kept], problems) or _parts_by_folders(files, problems)
    groups, group_names = (None, ()) if group_from is None else groups_in(files, group_from)
    return BoxSet(
        sources=tuple(each.marked.source for each in kept),
        files=files,
        names=found.names,
        boxes=tuple(each.boxes for each in kept),
        labels=tuple(each.marked.labels[each.rows] for each in kept),
        ignored=tuple(each.marked.ignored[each.rows] for each in kept),
        sizes=np.array([each.size for each in kept], np.int64).reshape(-1, 2),
        groups=groups,
        group_names=group_names,
        parts=None if parts is None else np.array(parts),
        origin=origin,
        problems=tuple(problems),
    )


def _parts_by_lists(marked: Sequence[Marked], problems: Problems) -> list[str] | None:
    """The part that a list of files puts each picture in; None where no list does, or all are in one."""
    found = [each.part or "train" for each in marked]
    if len(set(found)) < 2:
        return None
    rest = [each.file for each in marked if each.part is None]
    if rest:
        rule, received = "Where lists say which part a picture is of, each is in one", f"{len(rest):,} that are in none"
        problems.append(flaw(rest[0], rule, received, "they are trained on"))
    return found


def _parts_by_folders(files: Sequence[str], problems: Problems) -> list[str] | None:
    """The part that a folder on the way to each picture is called by, as Ultralytics and Roboflow lay them out.

    None where all are in one part, or in none; a problem where only some are in one.
    """
    found = [
        next((part for folder in PurePosixPath(file).parts[:-1] if (part := part_name(folder))), None) for file in files
    ]
    named = [part for part in found if part]
    if len(set(named)) < 2:
        return None
    if len(named) < len(found):
        rule = "Where pictures lie in folders called train, valid and test, all do"
        received = f"{len(found) - len(named):,} of {len(found):,} that lie in none"
        problems.append(flaw(files[found.index(None)], rule, received, "these folders are not taken for parts"))
        return None
    return named


@final
@dataclass(frozen=True)
class _Sound:
    """A picture that can be used: its size, the boxes that can be, of which rows, and what was wrong with others."""

    marked: Marked
    size: tuple[int, int]
    boxes: Boxes
    rows: IntArray
    problems: Problems


def _sound(marked: Marked) -> _Sound | Problems:
    """What can be used of a picture; only the problem where nothing can."""
    if len(marked.corners) > MOST_BOXES:
        return [flaw(marked.file, f"A picture has at most {MOST_BOXES:,} boxes", len(marked.corners), LEFT_OUT)]
    try:
        height, width, orientation = picture_shape(marked.source, name=marked.file)
    except LikewiseError as error:
        return [(marked.file, str(error))]
    corners, problems = marked.corners.copy(), Problems()

    def told(i: int, rule: str, done: str) -> None:
        received = f"{shown(marked.corners[i])} (box {i + 1}) of {width} x {height}"
        problems.append(flaw(marked.file, rule, received, done))

    finite = np.isfinite(corners).all(axis=1)
    if not finite.all():
        told(int(np.argmin(finite)), "Left, top, right and bottom of a box are finite numbers", LEFT_OUT)
        return problems
    corners, swapped = _ordered(corners)
    if marked.relative:
        corners *= (width, height, width, height)
    corners[:, :2] -= marked.first
    if not marked.relative and marked.size not in (None, (height, width)):
        as_stored = orientation in _TURNED and marked.size == (width, height)
        received = f"{marked.size[1]} x {marked.size[0]}, where it has {width} x {height}"
        done = "turned with it by EXIF" if as_stored else "boxes taken as they are"
        problems.append(flaw(marked.file, "An annotation says the size of the picture it belongs to", received, done))
        corners = _turned(corners, width, height, orientation) if as_stored else corners
    edges = np.array([width, height], np.float64)
    flat: Flags = np.any(corners[:, 2:] <= corners[:, :2], axis=1)
    outside: Flags = np.any((corners[:, 2:] <= 0) | (corners[:, :2] >= edges), axis=1)
    over: Flags = np.any((corners[:, :2] < -OVERHANG) | (corners[:, 2:] > edges + OVERHANG), axis=1)
    good: Flags = ~flat & ~outside
    for i in np.flatnonzero(~good | swapped | over).tolist():
        if flat[i]:
            told(i, "A box has an area", "box left out")
        elif outside[i]:
            told(i, "A box lies in its picture", "box left out")
        if swapped[i] and good[i]:
            told(i, "Left is left of right and top above bottom", "corners swapped")
        if over[i] and good[i]:
            told(i, "A box lies in its picture", "clipped")
    if len(good) and not good.any():  # that is no picture in which nothing is
        problems.append(flaw(marked.file, "Of what is marked in a picture some boxes can be", "none", LEFT_OUT))
        return problems
    rows = np.flatnonzero(good)
    corners = np.clip(corners, 0, np.tile(edges, 2))[rows]
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return _Sound(marked, (height, width), boxes, rows, problems)


def _ordered(corners: Boxes) -> tuple[Boxes, Flags]:
    """(k, 4) with left and top first, and (k,) where they were not."""
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high], axis=1), np.any(corners[:, :2] > corners[:, 2:], axis=1)


LEFT_OUT = "picture left out"


def flaw(file: str, rule: str, received: object, done: str) -> tuple[str, str]:
    """A problem of `file`: the rule, what came instead, and what was done about it."""
    return file, f"{str(DataError(rule, received)).removesuffix('.')}: {done}"


def refused(file: str, error: DataError) -> tuple[str, str]:
    """The problem that the whole annotation `file` cannot be used."""
    return file, f"{str(error).removesuffix('.')}: {LEFT_OUT}"


# EXIF orientation -> where a point (x, y) of the picture as stored, `width` x `height`, is when it is shown.
_TURNED: dict[int, Callable[[Any, Any, float, float], tuple[Any, Any]]] = {
    5: lambda x, y, width, height: (y, x),
    6: lambda x, y, width, height: (height - y, x),
    7: lambda x, y, width, height: (height - y, width - x),
    8: lambda x, y, width, height: (y, width - x),
}


def _turned(corners: Boxes, width: int, height: int, orientation: int) -> Boxes:
    """(k, 4) corners in the picture as stored -> as it is shown, `width` x `height`."""
    x, y = _TURNED[orientation](corners[:, 0::2], corners[:, 1::2], height, width)
    return _ordered(np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1))[0]


def bounded(path: Path, most: int, what: str) -> bytes:
    """The bytes of an annotation file of at most `most`.

    Raises:
        DataError: it cannot be read, or is larger.
    """
    with opened(path, what) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise DataError(f"{what} has at most {most:,} bytes", f"more in {path.name}")
    return content


def lines_of(path: Path, most: int, what: str) -> list[str]:
    """The lines of a text file of at most `most` bytes.

    Raises:
        DataError: it cannot be read, is larger, or in UTF-16.
    """
    content = bounded(path, most, what)
    if b"\0" in content:
        raise DataError(f"{what} is text in UTF-8", "zeros among its bytes, as UTF-16 has them")
    return content.decode("utf-8-sig", "replace").splitlines()


def number(value: Any) -> float:
    """A number as JSON or text has it; NaN for what is none, which `gathered` refuses."""
    try:
        return float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def flags(values: Sequence[bool]) -> NDArray[np.bool_]:
    """(k,) bool, of none too."""
    return np.array(values, np.bool_).reshape(-1)
