"""The health of pictures with boxes: how many of each class, how large, what is hard to find, marked twice, or bad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from likewise.data.boxes import BoxSet, shown
from likewise.data.health import Problem, examined

TINY = 8.0  # pixels of the shorter side of a box, in a picture made to fit 416 x 416, which a small detector looks at
LOOKED_AT = 416
TWICE = 0.8  # intersection over union of two boxes of one class that are one thing marked twice
IMBALANCE_WORTH_SAYING = 5.0  # largest class over the median one
COMPARED_AT_ONCE = 512  # boxes of a picture with all of it
MOST_TOLD = 10  # files of one problem that are named


@final
@dataclass(frozen=True)
class BoxesHealth:
    """What `check_boxes` found.

    Attributes:
        pictures: readable ones.
        without: of these, in which nothing is marked.
        boxes: that count, in readable pictures.
        ignored: boxes that do not.
        classes: boxes of each class, largest first.
        sides: 5th, 50th and 95th percentile of the longer side of a box in parts of that of its picture; NaN without.
        crowded: the most boxes in one picture.
        problems: most serious kind first: "unreadable", "annotation", "twice", "two annotations", "tiny", "imbalance"
            or "no boxes".
    """

    pictures: int
    without: int
    boxes: int
    ignored: int
    classes: dict[str, int]
    sides: tuple[float, float, float]
    crowded: int
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"sides": list(self.sides)}


def check_boxes(data: BoxSet, progress: Callable[[int, int, str], None] | None = None) -> BoxesHealth:
    """Reads every picture once and reports what would spoil training or make a figure dishonest."""
    hashes, problems = examined(data, progress)
    readable = data.subset(np.flatnonzero([each is not None for each in hashes]))
    problems += [Problem("annotation", f"{file}: {reason}", (file,)) for file, reason in data.problems]
    problems += _same_file(data, hashes)
    problems += _marked_twice(readable)
    counts = readable.counts()
    sizes = readable.sizes[readable.picture_of]
    sides = readable.every_box[:, 2:]
    tiny = sides.min(axis=1, initial=np.inf) * LOOKED_AT / sizes.max(axis=1, initial=1) < TINY
    tiny &= ~readable.every_ignored
    if tiny.any():
        files = tuple(dict.fromkeys(readable.files[i] for i in readable.picture_of[tiny]))
        text = f"{int(tiny.sum())} of {int(counts.sum())} boxes have a side below {TINY:g} pixels at {LOOKED_AT}: "
        problems.append(Problem("tiny", text + f"hardly to be found, in {files[0]} for example", files[:MOST_TOLD]))
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > IMBALANCE_WORTH_SAYING * np.median(present):
        largest = data.names[int(np.argmax(counts))]
        text = f"{largest!r} has {present.max()} boxes, the median class {np.median(present):g}"
        problems.append(Problem("imbalance", text))
    missing = [name for name, count in zip(data.names, counts, strict=True) if not count]
    if missing:
        shown_names = ", ".join(missing[:MOST_TOLD]) + (" and more" if len(missing) > MOST_TOLD else "")
        problems.append(Problem("no boxes", f"{len(missing)} of {len(data.names)} classes have no box: {shown_names}"))
    share = sides.max(axis=1, initial=0) / sizes.max(axis=1, initial=1)
    order = np.argsort(-counts, kind="stable")
    each = np.array([len(boxes) for boxes in readable.boxes], np.int64)
    low, middle, high = np.quantile(share, [0.05, 0.5, 0.95]).tolist() if len(share) else [float("nan")] * 3
    return BoxesHealth(
        pictures=len(readable),
        without=int((each == 0).sum()),
        boxes=int(counts.sum()),
        ignored=int(readable.every_ignored.sum()),
        classes={data.names[i]: int(counts[i]) for i in order if counts[i]},
        sides=(low, middle, high),
        crowded=int(each.max(initial=0)),
        problems=tuple(problems),
    )


def _same_file(data: BoxSet, hashes: list[str | None]) -> list[Problem]:
    """Pictures of one content: the same with the same boxes, or with others."""
    first: dict[str, int] = {}
    found: list[Problem] = []
    for i, digest in enumerate(hashes):
        if digest is None or (j := first.setdefault(digest, i)) == i:
            continue
        files = (data.files[j], data.files[i])
        alike = data.boxes[i].shape == data.boxes[j].shape and bool(
            (data.boxes[i] == data.boxes[j]).all() and (data.labels[i] == data.labels[j]).all()
        )
        kind, text = ("twice", "") if alike else ("two annotations", ", with other boxes")
        found.append(Problem(kind, f"{files[0]} and {files[1]} are the same file{text}", files))
    return sorted(found, key=lambda problem: problem.kind != "two annotations")


def _marked_twice(data: BoxSet) -> list[Problem]:
    """Boxes of one class in one picture that are nearly the same."""
    import torch

    from likewise.objective.boxes import iou_between, sized_to_corners

    found: list[Problem] = []
    for i, (boxes, labels, ignored) in enumerate(zip(data.boxes, data.labels, data.ignored, strict=True)):
        corners = sized_to_corners(torch.from_numpy(boxes))
        for start in range(0, len(boxes) if len(boxes) > 1 else 0, COMPARED_AT_ONCE):
            rows = slice(start, start + COMPARED_AT_ONCE)
            over = iou_between(corners[rows], corners).numpy() > TWICE
            over &= (labels[rows, None] == labels) & ~ignored[rows, None] & ~ignored
            for a, b in zip(*np.nonzero(np.triu(over, 1 + start)), strict=True):
                pair = f"{shown(boxes[start + a])} and {shown(boxes[b])}"
                text = f"{data.files[i]}: {data.names[labels[b]]!r} marked twice, {pair}"
                found.append(Problem("twice", text, (data.files[i],)))
    return found
