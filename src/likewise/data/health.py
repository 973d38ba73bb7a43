"""The health of data: counts, imbalance, what cannot be read, what stands twice or contradicts itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, final

import numpy as np

from likewise.data.boxes import BoxSet
from likewise.data.boxes import Source as BoxSource
from likewise.data.clips import Clips
from likewise.data.dataset import Dataset, IntArray, PairSet, ZipMember
from likewise.errors import LikewiseError
from likewise.media.kinds import kind_of
from likewise.media.pictures import content_hash, read_picture
from likewise.media.sounds import read_sound

IMBALANCE_WORTH_SAYING = 5.0  # largest identity over the median one
SOUND_RATE = 16_000  # Hz, at which sounds are read; any would do
CHECKED_AT_ONCE = 256  # items between two progress reports


@final
@dataclass(frozen=True)
class Problem:
    """Something to mend before training.

    Attributes:
        kind: "unreadable", "two labels", "two parts", "twice", "one identity", "single" or "imbalance"; of pairs
            "unreadable", "two answers", "two parts" or "twice".
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
        identities: with at least one readable item; None where only pairs are known.
        counts: items of each identity, largest first; of pairs, how many readable ones are "same" and "different".
        problems: most serious kind first.
    """

    items: int
    identities: int | None
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
        of = "in pairs" if self.identities is None else f"of {self.identities} identities"
        return f"<b>{self.items} items {of}</b><table>{rows}</table>"


@final
@dataclass(frozen=True)
class ClipsHealth:
    """What `check_clips` found.

    Attributes:
        clips: readable clips.
        seconds: of these together.
        triggers: words in them that are the trigger.
        others: words that are not.
        without: clips without the trigger.
        voices: how many say the trigger, or files it was taken from; 0 where nothing is known.
        problems: most serious kind first: "unreadable", "no trigger" or "twice".
    """

    clips: int
    seconds: float
    triggers: int
    others: int
    without: int
    voices: int
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def check(data: Dataset | PairSet, progress: Callable[[int, int, str], None] | None = None) -> Health:
    """Reads every item once and reports what would spoil training or make a figure dishonest."""
    if isinstance(data, PairSet):
        return _check_pairs(data, *examined(data.items, progress))
    hashes, problems = examined(data, progress)
    problems += _repeated(data, hashes)
    readable = data.subset(np.flatnonzero([digest is not None for digest in hashes]))
    counts = readable.counts()
    if len(readable) and (counts > 0).sum() == 1:
        only = readable.names[int(readable.labels[0])]
        text = f"all items are of {only!r}: there is nothing to tell it from"
        problems.append(Problem("one identity", text))
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


def check_clips(clips: Clips, progress: Callable[[int, int, str], None] | None = None) -> ClipsHealth:
    """Reads every clip once and reports what would spoil training, or make false alarms per hour dishonest."""
    hashes, problems = examined(clips, progress)
    readable = clips.subset(np.flatnonzero([digest is not None for digest in hashes]))
    triggers = readable.triggers
    without = len(readable) - len(np.unique(readable.clip[readable.positive]))
    if not triggers:
        what = "no clip has the trigger: false alarms can be counted in them, but nothing learned from them"
        problems.append(Problem("no trigger", what))
    first: dict[str, int] = {}
    for i, digest in enumerate(hashes):
        if digest is not None and (j := first.setdefault(digest, i)) != i:
            files = (clips.files[j], clips.files[i])
            problems.append(Problem("twice", f"{files[0]} and {files[1]} are the same file", files))
    voices = len(set(readable.voices[readable.positive].tolist()) - {""})
    others = len(readable.clip) - triggers
    seconds = float(readable.seconds.sum())
    return ClipsHealth(len(readable), seconds, triggers, others, without, voices, tuple(problems))


def _check_pairs(pairs: PairSet, hashes: list[str | None], problems: list[Problem]) -> Health:
    # Items are what they show: one picture under two names is one item. What cannot be read is like nothing else.
    contents = np.unique([digest or f"unreadable {i}" for i, digest in enumerate(hashes)], return_inverse=True)[1]
    names = pairs.items.files
    two_answers: list[Problem] = []
    twice: list[Problem] = []
    first: dict[tuple[int, int], int] = {}
    for i, (a, b) in enumerate(np.sort(np.stack([contents[pairs.first], contents[pairs.second]], axis=1)).tolist()):
        files = (names[pairs.first[i]], names[pairs.second[i]])
        text = f"{files[0]} and {files[1]}"
        j = first.setdefault((a, b), i)
        if a == b and pairs.same[i]:
            twice.append(Problem("twice", f"{text} are the same file: such a pair says nothing", files))
        elif a == b:
            two_answers.append(Problem("two answers", f"{text} are the same file, listed as different", files))
        elif pairs.same[i] != pairs.same[j]:
            two_answers.append(Problem("two answers", f"{text} are listed as same and as different", files))
        elif not pairs.same[i] and pairs.items.labels[pairs.first[i]] == pairs.items.labels[pairs.second[i]]:
            two_answers.append(Problem("two answers", f"{text} are listed as different, but others link them", files))
        elif i != j:
            twice.append(Problem("twice", f"{text} are listed twice: one pair counts as two", files))
    readable = np.array([digest is not None for digest in hashes], dtype=bool)
    same = pairs.same[readable[pairs.first] & readable[pairs.second]]
    counts = {"same": int(same.sum()), "different": int((~same).sum())}
    found = (*problems, *two_answers, *_in_two_parts(pairs, contents), *twice)
    return Health(int(readable.sum()), None, counts, found)


def _in_two_parts(pairs: PairSet, contents: IntArray) -> list[Problem]:
    """One problem for all items that stand in pairs of two parts."""
    if pairs.parts is None:
        return []
    of_pair = np.unique(pairs.parts, return_inverse=True)[1]
    items = np.r_[pairs.first, pairs.second]
    uses = np.unique(np.stack([contents[items], np.r_[of_pair, of_pair]]), axis=1)  # each content with each part once
    content, parts = np.unique(uses[0], return_counts=True)
    shared = content[parts > 1]
    if not len(shared):
        return []
    files = tuple(pairs.items.files[int(np.flatnonzero(contents == i)[0])] for i in shared[:10])
    text = f"{len(shared)} items are in pairs of two parts, {files[0]} among them: what is tested was trained on"
    return [Problem("two parts", text, files)]


def examined(
    data: Dataset | Clips | BoxSet, progress: Callable[[int, int, str], None] | None
) -> tuple[list[str | None], list[Problem]]:
    """Content hash of each item, None where it cannot be read, and a problem for each of these."""
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
    return hashes, problems


def _examine(source: BoxSource) -> tuple[str | None, str]:
    """Content hash, or None and the reason."""
    try:
        raw, name = (source.read(), str(source)) if isinstance(source, ZipMember) else (source, None)
        if kind_of(source) == "sound":
            read_sound(raw, rate=SOUND_RATE, name=name)
        else:
            read_picture(raw, name=name)
        return content_hash(raw), ""
    except LikewiseError as error:
        return None, str(error)


def _repeated(data: Dataset, hashes: list[str | None]) -> list[Problem]:
    """Identical contents: under two labels, across parts, within one identity."""
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
            text = f"{same}: one {kind_of(data.sources[i]) or 'item'} counts as two"
            found["twice"].append(Problem("twice", text, files))
    return [*found["two labels"], *found["two parts"], *found["twice"]]
