"""Clips of sound in which it is known where each word begins and ends."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.data.contents import content_keys
from likewise.data.dataset import IntArray
from likewise.data.loaders import complete, readable_table
from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media.sounds import sound_info

MANIFEST = "manifest.csv"  # of a folder of clips
POSITIVE, NEGATIVE = "positive", "negative"  # kinds of words: the trigger, and others
SLACK = 0.01  # seconds by which a word may end after its clip: times are rounded
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Clips:
    """Clips, and the words in them.

    Attributes:
        sources: (N,) files.
        seconds: (N,) length of each.
        clip: (M,) int64, never falling: in which clip each word is.
        start, end: (M,) seconds from the beginning of the clip, start < end.
        positive: (M,) whether the word is the trigger.
        voices: (M,) who says it, as far as known: a group, or else the file it was taken from; "" where nothing is.
        origin: where it all came from, in words.
    """

    sources: tuple[Path, ...]
    seconds: Floats
    clip: IntArray
    start: Floats
    end: Floats
    positive: NDArray[np.bool_]
    voices: NDArray[np.str_]
    origin: str

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def files(self) -> tuple[str, ...]:
        """(N,) what to call each clip when speaking to a person."""
        return tuple(str(source) for source in self.sources)

    @property
    def hours(self) -> float:
        """Of all clips together."""
        return float(self.seconds.sum()) / 3600

    @property
    def triggers(self) -> int:
        """How many words are the trigger."""
        return int(self.positive.sum())

    @cached_property
    def contents(self) -> IntArray:
        """(N,) a number for the content of each clip; see `Dataset.contents`."""
        return content_keys(self.sources)

    def identity_keys(self) -> IntArray:
        """(N,) a number for whose each is; no two clips stand for the same."""
        return self.contents

    @cached_property
    def digest(self) -> str:
        """Of the contents of all clips, and of their words."""
        columns = (self.contents, self.clip, self.start, self.end, self.positive)
        return hashlib.sha256(b"".join(np.ascontiguousarray(column).tobytes() for column in columns)).hexdigest()

    def subset(self, indices: NDArray[np.integer] | Sequence[int], origin: str | None = None) -> Clips:
        """The clips at `indices`, in that order, none twice."""
        chosen = np.asarray(indices, dtype=np.int64)
        place = np.full(len(self), -1)
        place[chosen] = np.arange(len(chosen))
        words = np.flatnonzero(place[self.clip] >= 0)
        words = words[np.argsort(place[self.clip[words]], kind="stable")]
        return Clips(
            tuple(self.sources[i] for i in chosen), self.seconds[chosen], place[self.clip[words]], self.start[words],
            self.end[words], self.positive[words], self.voices[words], origin or f"{len(chosen)} of {self.origin}",
        )  # fmt: skip

    def split(self, *shares: float, seed: int = 0) -> tuple[Clips, ...]:
        """Parts by drawn clips. Voices and backgrounds are shared between them: see `likewise synthesize --take`.

        Raises:
            UsageError: shares that are not above 0 or do not sum to 1.
        """
        if not shares or not min(shares) > 0 or not abs(sum(shares) - 1) <= 1e-6:
            raise UsageError("Shares are above 0 and sum to 1", ", ".join(f"{share:g}" for share in shares))
        order = np.random.default_rng(seed).permutation(len(self))
        edges = np.round(np.cumsum(shares) * len(self)).astype(int)
        return tuple(
            self.subset(np.sort(part), f"part {i + 1} of {len(shares)} of {self.origin}")
            for i, part in enumerate(np.split(order, edges[:-1]))
        )

    def step_labels(self, first: IntArray, lasting: IntArray, steps: int, hold: int, grace: int) -> NDArray[np.int8]:
        """(N, S) what the output at each step is to be: 1 after a trigger has ended, -1 for either, else 0.

        A trigger is known only when it has ended; an answer a little before is no mistake. Where it ends with its clip,
        after the last step, that step is taken for the first to have heard it. Steps beyond the end of a clip are -1.

        Args:
            first: (M,) the first step that has heard all of each word.
            lasting: (N,) steps of each clip, without those that hear more than there is of it.
            steps: S.
            hold: steps that are 1 from `first` on.
            grace: steps before it that may be either.
        """
        labels = np.zeros((len(self), steps), np.int8)
        clip, begin = self.clip[self.positive], first[self.positive]
        begin = np.where(begin == lasting[clip], begin - 1, begin)
        for value, offsets in ((-1, np.arange(-grace, 0)), (1, np.arange(hold))):
            place = begin[:, None] + offsets
            inside = (place >= 0) & (place < steps)
            labels[np.broadcast_to(clip[:, None], place.shape)[inside], place[inside]] = value
        labels[np.arange(steps) >= lasting[:, None]] = -1
        return labels

    def __repr__(self) -> str:
        return f"Clips({len(self)} of {self.hours:.2f} h, {self.triggers} triggers, from {self.origin})"


def clips(path: str | os.PathLike[str]) -> Clips:
    """Reads a folder of clips with its manifest.csv, as `likewise synthesize` writes it, or such a table.

    Columns: ``path`` (from the folder of the table), ``start`` and ``end`` in seconds of one word per row, both empty
    in the row of a clip without any. Optional: ``seconds`` (length of the clip, else read from the file), ``kind``
    ("positive", which it is without the column, or "negative"), ``group`` and ``source`` (who or which file said it).

    Raises:
        DataError: no such table; a row that cannot be.
    """
    file = Path(path) / MANIFEST if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise DataError(
            f"Clips are a folder with {MANIFEST}, or such a table",
            f"{str(path)!r}, {'a folder without' if Path(path).is_dir() else 'which is not there'}",
            "Make them with `likewise synthesize`.",
        )
    table = readable_table(file)
    missing = [name for name in ("path", "start", "end") if name not in table.columns]
    if missing:
        raise DataError(
            "A table of clips has the columns path, start, end", f"none called {', '.join(missing)} in {file}"
        )
    complete(table, ["path"], file)
    table = table.astype(object).where(table.notna(), "").astype(str)
    names = table["path"].tolist()
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    clip = np.array([number[name] for name in names], np.int64)
    sources = tuple(file.parent / name for name in number)
    seconds = _lengths(table, clip, sources, file)
    empty = (table["start"].str.strip() + table["end"].str.strip() == "").to_numpy()
    start, end = (_numbers(table[name].where(~empty, "0"), file) for name in ("start", "end"))
    reach = np.zeros(len(sources))
    np.maximum.at(reach, clip, end)
    seconds = np.where(np.isnan(seconds), np.maximum(reach, SLACK), seconds)  # what cannot be read lasts as its words
    length = seconds[clip]
    _refuse(
        ~empty & ~((start >= 0) & (start < end) & (end <= length + SLACK)), file,
        "A word starts before it ends, within its clip", lambda i: f"{start[i]:g} to {end[i]:g} s of {length[i]:g} s",
    )  # fmt: skip
    kinds = table["kind"].to_numpy(str) if "kind" in table.columns else np.full(len(table), POSITIVE)
    _refuse(
        ~empty & ~np.isin(kinds, (POSITIVE, NEGATIVE)), file, f"A word is {POSITIVE} or {NEGATIVE}",
        lambda i: f"kind {kinds[i].item()!r}",
    )  # fmt: skip
    rows = np.flatnonzero(~empty)
    rows = rows[np.argsort(clip[rows], kind="stable")]
    voices = np.full(len(table), "", object)
    for name in ("source", "group"):  # a group says more
        if name in table.columns:
            column = table[name].to_numpy(object)
            voices = np.where(column != "", column, voices)
    return Clips(
        sources, seconds, clip[rows], start[rows], end[rows], kinds[rows] == POSITIVE, voices[rows].astype(str),
        str(path),
    )  # fmt: skip


def _lengths(table: Any, clip: IntArray, sources: Sequence[Path], file: Path) -> Floats:
    """(N,) seconds of each clip: as the table says, or as the header of the file does."""
    if "seconds" not in table.columns:
        return np.array([_length(source) for source in sources])
    told = _numbers(table["seconds"], file)
    _refuse(~(told > 0), file, "A clip lasts longer than 0 s", lambda i: f"{told[i]:g} s")
    found = told[np.unique(clip, return_index=True)[1]]
    _refuse(told != found[clip], file, "A clip has one length", lambda i: f"{told[i]:g} and {found[clip[i]]:g} s")
    return found


def _length(source: Path) -> float:
    """Seconds of a file; NaN of one that cannot be read, which is skipped and told when it is listened to."""
    try:
        return sound_info(source).seconds
    except LikewiseError:
        return np.nan


def _numbers(column: Any, file: Path) -> Floats:
    """(R,) finite numbers."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    _refuse(~np.isfinite(found), file, f"A {column.name} is a number of seconds", lambda i: f"{column.iloc[i]!r}")
    return found


def _refuse(wrong: NDArray[np.bool_], file: Path, rule: str, received: Callable[[int], str]) -> None:
    """Names the first row that is `wrong`, as an editor counts lines."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(rule, f"{received(row)} in row {row + 2} of {file}")
