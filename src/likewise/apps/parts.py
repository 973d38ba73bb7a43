"""Four parts with one use each: how data are divided for training, and how a part is found again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from likewise.data import By, Dataset, PairSet, default_split, part_name
from likewise.data.dataset import IntArray
from likewise.data.splits import of_fixed_list
from likewise.encoder import PARTS, Seen
from likewise.errors import DataError, UsageError
from likewise.matching import Model, overlap, used_for

if TYPE_CHECKING:
    from likewise.apps.classify import Classifier

SHARES = {"train": 0.6, "valid": 0.1, "tune": 0.15, "test": 0.15}  # to fit, choose the epoch, calibrate, report
HELD_OUT_SHARE = 0.1  # of a training part that comes with a test part: each of valid and tune
HELD_OUT_ITEMS = 5000  # and no more than this many items each
NOTHING = Seen()


@final
@dataclass(frozen=True)
class Parts:
    """Four disjoint parts, each with one use.

    Attributes:
        train: to fit.
        valid: to choose the epoch.
        tune: to calibrate.
        test: to report.
        by: what was kept apart: "identity", "item" or "group".
        own: which parts are the data's own.
    """

    train: Dataset | PairSet
    valid: Dataset | PairSet
    tune: Dataset | PairSet
    test: Dataset | PairSet
    by: By
    own: tuple[str, ...] = ()

    def said(self) -> str:
        """The split in one line."""
        of = " pairs" if isinstance(self.train, PairSet) else ""
        sizes = ", ".join(f"{name} {len(part):,}{of}" for name, part in self.named().items())
        own = f" (the data's own: {', '.join(self.own)})" if self.own else ""
        return f"split by {self.by}{own}: {sizes}"

    def named(self) -> dict[str, Dataset | PairSet]:
        """The parts by name."""
        return {"train": self.train, "valid": self.valid, "tune": self.tune, "test": self.test}

    def seen(self) -> Seen:
        """What a model remembers that these four made."""
        return Seen().joined(*(Seen.of(name, p.contents, p.identity_keys()) for name, p in self.named().items()))


def divide(data: Dataset | PairSet, by: By | None = None, seed: int = 0, before: Seen = NOTHING) -> Parts:
    """Four parts of `data`: its own where it has some, and what it lacks taken from train.

    Args:
        data: what to divide.
        by: how to take parts off; None for by group where there are groups, else as the data's own parts show (new
            identities, or nearly all the same), else by identity from 20 identities on. Pairs show by themselves.
        seed: same seed, same parts.
        before: what the model has met that training starts from. Items keep the part they had then, and identities
            that were trained on stay in train; where that would leave a part empty, all are divided as if new.

    Raises:
        DataError: too little for four parts, or parts of the data's own and none of them train.
        UsageError: a rule for pairs, which are split so that no item is in two parts.
    """
    if by is not None and isinstance(data, PairSet):
        raise UsageError("Pairs are split by the items they link", f"split by {by}", "Leave it out.")
    names = set[str]() if data.parts is None else set(data.parts.tolist())
    own = {name: data.part(name) for name in PARTS if name in names}
    if own and "train" not in own:
        raise DataError("Data that come in parts have one to train on", ", ".join(own), "Call one of them train.")
    rest = own.get("train", data)
    lacking = [name for name in PARTS[1:] if name not in own]
    rule = by or _rule(rest, [part for name, part in own.items() if name != "train"])
    for kept in _wishes(before, rest, lacking, rule):
        try:
            parts = _parts(rest, own, lacking, rule, seed, kept)
            if parts.test.comparable:
                return parts
        except DataError:  # what was trained on leaves too little for a part
            pass
    return _parts(rest, own, lacking, rule, seed)


def part_of(
    model: Model | Classifier, data: Dataset | PairSet, name: str | None, say: Callable[[str], None]
) -> Dataset | PairSet:
    """The part of `data` that is called `name`: the data's own, or the items that had this use in training `model`.

    Items are known by content, whatever they are called by now and wherever they lie. Without a name all of `data`.
    What of the answer the model was trained on is said.

    Raises:
        UsageError: there is no such part.
    """
    part = name and (part_name(name) or name)
    met = overlap(model.encoder.seen, data)
    if part is None:
        found = data
    elif part not in PARTS or (met.parts < 0).all() or (data.parts is not None and part in data.parts):
        found = data.part(part)
    else:
        found = used_for(met, data, part)
        new = int(np.count_nonzero(met.parts < 0))
        if new:
            say(f"{new:,} of {len(met.parts):,} items are new to the model and belong to no part of its training.")
        if not len(found):
            uses = (f"{use} {np.count_nonzero(met.parts == i):,}" for i, use in enumerate(PARTS))
            raise UsageError(
                f"Some of the items had the use {part} when the model was trained",
                f"{', '.join(uses)}, new {new:,}",
                "Leave out --part, or name another one.",
            )
    known = overlap(model.encoder.seen, found).said() if part != "train" else ""
    if known:
        hint = "; --part test is what it never saw" if part is None and (met.parts == PARTS.index("test")).any() else ""
        say(f"The model was trained on {known} of these, which flatters it{hint}.")
    return found


def calibrated_on(model: Model, data: Dataset | PairSet) -> str | None:
    """That some of `data` set the threshold of `model`; None if none did, or it has no threshold.

    How a threshold keeps its promise on the very items that it was set with says nothing of others.
    """
    if model.calibration is None:
        return None
    met = overlap(model.encoder.seen, data).parts
    used = int(np.count_nonzero(met == PARTS.index("tune")))
    if not used:
        return None
    return f"{used:,} of {len(met):,} items calibrated this model: whether its promise holds shows on others only."


def _rule(train: Dataset | PairSet, given: Sequence[Dataset | PairSet]) -> By:
    """How to split where nobody says."""
    if isinstance(train, PairSet):
        return "identity"
    if train.groups is not None:
        return "group"
    if not given:
        return default_split(train)
    others = np.unique(np.concatenate([part.labels for part in given if isinstance(part, Dataset)]))
    return "item" if of_fixed_list(np.isin(others, train.labels)) else "identity"


def _parts(
    rest: Dataset | PairSet,
    own: dict[str, Dataset | PairSet],
    lacking: Sequence[str],
    rule: By,
    seed: int,
    kept: IntArray | None = None,
) -> Parts:
    """The data's own parts, and those they lack from `rest`, which is what may be trained on."""
    most = min(HELD_OUT_SHARE, HELD_OUT_ITEMS / max(len(rest), 1))
    shares = [most if "test" in own else SHARES[name] for name in lacking]
    if not lacking:
        taken: tuple[Dataset | PairSet, ...] = (rest,)
    elif isinstance(rest, PairSet):
        taken = rest.split(1 - sum(shares), *shares, seed=seed, kept=kept)
    else:
        taken = rest.split(1 - sum(shares), *shares, by=rule, seed=seed, kept=kept)
    found = {**own, **dict(zip(("train", *lacking), taken, strict=True))}
    train, valid, tune, test = (found[name] for name in PARTS)
    if isinstance(train, PairSet) and isinstance(test, PairSet):
        rule = "item" if train.mixed or np.isin(test.items.labels, train.items.labels).any() else "identity"
    return Parts(train, valid, tune, test, rule, tuple(own))


def _wishes(before: Seen, rest: Dataset | PairSet, lacking: Sequence[str], rule: By) -> Iterator[IntArray]:
    """(N,) which of the parts train and `lacking` an item is to be in as before, -1 for none; the best wish first."""
    met = overlap(before, rest)
    if not lacking or not ((met.parts >= 0).any() or met.known.any()):
        return
    place = np.full(len(PARTS) + 1, -1)  # the last is that of new items
    place[[PARTS.index(name) for name in ("train", *lacking)]] = np.arange(len(lacking) + 1)
    if rule == "identity":
        labels = (rest.items if isinstance(rest, PairSet) else rest).labels
        yield np.where(np.isin(labels, met.labels[met.known]), 0, place[met.parts])
    yield place[met.parts]
