"""Which items a study trains on and which it judges by: one split, or folds where groups are few."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.parts import divide
from likewise.data import By, Dataset
from likewise.encoder import Pictures, Preprocessing, Progress, Sounds
from likewise.errors import DataError, UsageError

FEW = 30  # groups, or identities: below it the sixth or so of a split is hardly a sample
FOLDS = 5

Positions = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Fold:
    """Positions in the data of a plan.

    Attributes:
        train: to fit.
        valid: to choose the epoch; none where the last one is kept.
        judged: to compare runs by.
    """

    train: Positions
    valid: Positions
    judged: Positions

    @property
    def parts(self) -> tuple[Positions, Positions, Positions]:
        """What it trains on, chooses by and judges."""
        return self.train, self.valid, self.judged


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """Data without their test part, and how they are used.

    With one fold the judged part is the one that calibrates a model that is trained for good. With several every item
    is judged once, by a network that has seen neither it nor its group; few groups then have none to spare for choosing
    the epoch.

    Attributes:
        data: in the order they came in.
        folds: one or more.
        by: what is kept apart: "item", "identity" or "group".
        digest: of all the data, the test part included; see `digest_of`.
        split: digest of which of them every fold uses for what.
    """

    data: Dataset
    folds: tuple[Fold, ...]
    by: By
    digest: str
    split: str

    @classmethod
    def of(cls, data: Dataset, by: By | None, folds: int | None, seed: int) -> Plan:
        """Takes `data` apart as training does, and leaves the test part alone.

        Args:
            data: labelled items.
            by: what is to be kept apart; None for what suits the data.
            folds: how many; 1 for one split. None for 5 where fewer than 30 groups, or identities, are kept apart.
            seed: of the split.

        Raises:
            DataError: too little data. UsageError: a number of folds that cannot be.
        """
        if folds is not None and folds < 1:
            raise UsageError("There is 1 fold or more", folds, "Leave it out for what suits the data.")
        marked = numbered(data)
        parts = divide(marked, by, seed)
        train, valid, tune = (positions_of(part) for part in (parts.train, parts.valid, parts.tune))
        kept = np.sort(np.concatenate([train, valid, tune]))
        rest = data.subset(kept)
        units = len(np.unique(_units(rest, parts.by)))
        if folds is None:
            folds = 1 if parts.by == "item" or units >= FEW else min(FOLDS, units)
        if folds > units:
            raise UsageError(f"There are at most as many folds as {_PLURAL[parts.by]}: {units}", folds)
        if folds == 1:
            found = (Fold(*(np.searchsorted(kept, part) for part in (train, valid, tune))),)
        else:
            cuts = [positions_of(p) for p in numbered(rest).split(*[1 / folds] * folds, by=parts.by, seed=seed)]
            none, every = np.empty(0, np.int64), np.arange(len(rest))
            found = tuple(Fold(np.setdiff1d(every, cut), none, cut) for cut in cuts)
        return cls(rest, found, parts.by, digest_of(marked), _digest(*(kept[part] for f in found for part in f.parts)))

    def options(self) -> dict[str, Any]:
        """JSON-ready: what decides which items are used for what."""
        return {"data": self.digest, "by": self.by, "folds": len(self.folds), "split": self.split}

    def on(self, kept: Positions, data: Dataset) -> Plan:
        """The same use of `data`, which are the items at `kept` in another form."""
        place = np.full(len(self.data), -1)
        place[kept] = np.arange(len(kept))

        def moved(old: Positions) -> Positions:
            return place[old][place[old] >= 0]

        folds = tuple(Fold(moved(fold.train), moved(fold.valid), moved(fold.judged)) for fold in self.folds)
        return replace(self, data=data, folds=folds)

    def clusters(self, positions: Positions) -> NDArray[np.int64]:
        """(n,) what a judged item stands or falls with: its group, its identity where these are kept apart, itself."""
        if self.data.groups is not None:
            return self.data.groups[positions]
        return self.data.labels[positions] if self.by == "identity" else positions

    @property
    def judged(self) -> Positions:
        """All items that are judged, rising."""
        return np.sort(np.concatenate([fold.judged for fold in self.folds]))

    def said(self) -> str:
        """In one line."""
        if len(self.folds) == 1:
            sizes = (f"{len(part):,}" for part in (self.folds[0].train, self.folds[0].valid, self.folds[0].judged))
            return "split by {}: train {}, valid {}, judged {}; the test part is left alone".format(self.by, *sizes)
        units = len(np.unique(_units(self.data, self.by)))
        whose = "" if self.by == "item" else f" of {units} {_PLURAL[self.by]}"
        return (
            f"{len(self.folds)} folds by {self.by}: {len(self.data):,} items{whose}, each judged once; the test part is"
            " left alone"
        )


@final
@dataclass(frozen=True, eq=False)
class InMemory:
    """Items as an encoder sees them, so that they are read once for several trainings.

    Attributes:
        data: those that can be read.
        kept: their positions in the data they are of.
        skipped: file and reason of the others.
        asked: what to ask of an `Encoder` that is to take them as they are.
    """

    data: Dataset
    kept: Positions
    skipped: tuple[tuple[str, str], ...]
    asked: dict[str, Any]

    @classmethod
    def of(cls, data: Dataset, how: Preprocessing, progress: Progress | None = None) -> InMemory:
        """Reads `data`, and tells how far it is.

        Raises:
            DataError: none can be read.
        """
        decoded = how.decode(data.sources, progress)
        skipped = tuple((data.files[i], reason) for i, reason in decoded.problems)
        if not len(decoded.kept):
            raise DataError("At least one item can be read", skipped[0][1] if skipped else "no items")
        asked: dict[str, Any] = {}
        sources: Any = tuple(decoded.values.numpy())  # an array of sounds would look like one picture
        if isinstance(how, Sounds):
            asked = {"rate": how.rate, "seconds": how.seconds}
        elif isinstance(how, Pictures):
            asked, sources = {"size": (how.height, how.width)}, how.shown(decoded.values)
            sources = sources[..., 0] if how.channels == 1 else sources
        return cls(replace(data.subset(decoded.kept), sources=sources, whole=None), decoded.kept, skipped, asked)


def numbered(data: Dataset) -> Dataset:
    """The same, with each item called by its position, so that it is found again in a part."""
    return replace(data, files=tuple(map(str, range(len(data)))))


def positions_of(part: object) -> Positions:
    """Where the items of a part of `numbered` data stand in them."""
    assert isinstance(part, Dataset)  # as what was divided
    return np.array([int(file) for file in part.files], np.int64)


_PLURAL = {"item": "items", "identity": "identities", "group": "groups"}


def _units(data: Dataset, by: By) -> NDArray[np.int64]:
    if by == "group":
        assert data.groups is not None  # else there is no split by group
        return data.groups
    return data.labels if by == "identity" else np.arange(len(data))


def digest_of(data: Dataset) -> str:
    """Of contents, labels, groups, parts and targets, and of what all of these are called."""
    called = json.dumps([data.names, data.group_names, data.target_names]).encode()
    return _digest(data.contents, data.labels, data.groups, data.parts, data.targets, np.frombuffer(called, np.uint8))


def _digest(*arrays: NDArray[Any] | None) -> str:
    """SHA-256 of arrays in this order, of which some may be missing."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"none" if array is None else f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()
