"""The health of a labelled set: counts, imbalance, what cannot be read, what stands twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from typing import Any, final

import numpy as np

from likewise.data.dataset import Dataset, Source, ZipMember
from likewise.errors import LikewiseError
from likewise.media.pictures import content_hash, read_picture

IMBALANCE_WORTH_SAYING = 5.0  # largest identity over the median one
CHECKED_AT_ONCE = 256  # items between two progress reports


@final
@dataclass(frozen=True)
class Problem:
    """Something to mend before training.

    Attributes:
        kind: "unreadable", "two labels", "two parts", "twice", "single" or "imbalance".
        text: one line.
        files: the files concerned; at most a few where there are many.
    """

    kind: str
    text: str
    files: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Health:
    """What `check` found.

    Attributes:
        items: readable items.
        identities: with at least one readable item.
        counts: items of each identity, largest first.
        problems: most serious kind first.
    """

    items: int
    identities: int
    counts: dict[str, int]
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "items": self.items,
            "identities": self.identities,
            "counts": self.counts,
            "problems": [{"kind": p.kind, "text": p.text, "files": list(p.files)} for p in self.problems],
        }

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(p.kind)}</td><td>{escape(p.text)}</td></tr>" for p in self.problems)
        rows = rows or "<tr><td>no problems</td></tr>"
        return f"<b>{self.items} items of {self.identities} identities</b><table>{rows}</table>"


def check(data: Dataset, progress: Callable[[int, int, str], None] | None = None) -> Health:
    """Reads every item once and reports what would spoil training or make a figure dishonest."""
    hashes: list[str | None] = []
    problems: list[Problem] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(data), CHECKED_AT_ONCE):
            positions = range(start, min(start + CHECKED_AT_ONCE, len(data)))
            for i, (digest, reason) in zip(
                positions, pool.map(_examine, (data.sources[i] for i in positions)), strict=True
            ):
                hashes.append(digest)
                if digest is None:
                    problems.append(Problem("unreadable", reason, (data.files[i],)))
            if progress:
                progress(positions.stop, len(data), "checking")
    problems += _repeated(data, hashes)
    readable = data.subset(np.flatnonzero([digest is not None for digest in hashes]))
    counts = readable.counts()
    single = np.flatnonzero(counts == 1)
    if len(single):
        files = tuple(readable.files[int(np.flatnonzero(readable.labels == i)[0])] for i in single[:10])
        text = f"{len(single)} of {readable.identities} identities have one item: no pair of the same can be made of it"
        problems.append(Problem("single", text, files))
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > IMBALANCE_WORTH_SAYING * np.median(present):
        largest = data.names[int(np.argmax(counts))]
        text = f"{largest!r} has {present.max()} items, the median identity {np.median(present):g}: consider --balanced"
        problems.append(Problem("imbalance", text))
    order = np.argsort(-counts, kind="stable")
    named = {data.names[i]: int(counts[i]) for i in order if counts[i]}
    return Health(len(readable), readable.identities, named, tuple(problems))


def _examine(source: Source) -> tuple[str | None, str]:
    """Content hash, or None and the reason."""
    try:
        raw = source.read() if isinstance(source, ZipMember) else source
        read_picture(raw)
        return content_hash(raw), ""
    except LikewiseError as error:
        return None, str(error)


def _repeated(data: Dataset, hashes: list[str | None]) -> list[Problem]:
    """Identical contents: worst under two labels, bad across parts, a waste within one identity."""
    first: dict[str, int] = {}
    found: dict[str, list[Problem]] = {"two labels": [], "two parts": [], "twice": []}
    for i, digest in enumerate(hashes):
        if digest is None:
            continue
        j = first.setdefault(digest, i)
        if i == j:
            continue
        files = (data.files[j], data.files[i])
        same = f"{files[0]} and {files[1]} are the same file"
        if data.labels[i] != data.labels[j]:
            names = f"{data.names[data.labels[j]]!r} and {data.names[data.labels[i]]!r}"
            found["two labels"].append(Problem("two labels", f"{same} under two labels, {names}", files))
        elif data.parts is not None and data.parts[i] != data.parts[j]:
            found["two parts"].append(Problem("two parts", f"{same} in {data.parts[j]} and {data.parts[i]}", files))
        else:
            found["twice"].append(Problem("twice", same, files))
    return [*found["two labels"], *found["two parts"], *found["twice"]]
