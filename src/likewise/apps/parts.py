"""Four parts with one use each: how data are divided for training, and how a part is found again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import numpy as np
from numpy.typing import NDArray

from likewise.data import By, Dataset, PairSet, default_split, part_name
from likewise.data.dataset import IntArray
from likewise.data.splits import of_fixed_list
from likewise.encoder import PARTS, Seen
from likewise.encoder.seen import TRAIN
from likewise.errors import DataError, UsageError
from likewise.matching import Model, overlap, used_for
from likewise.matching.overlap import Data
from likewise.training.targets import Classes

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


def divide(
    data: Dataset | PairSet,
    by: By | None = None,
    seed: int = 0,
    before: Seen = NOTHING,
    classes: Callable[[Dataset], Sequence[Classes]] | None = None,
) -> Parts:
    """Four parts of `data`: its own where it has some, and what it lacks taken from train.

    Args:
        data: what to divide.
        by: how to take parts off; None for by group where there are groups, else as the data's own parts show (new
            identities, or nearly all the same), else by identity from 20 identities on. Pairs show by themselves.
        seed: same seed, same parts.
        before: what the model has met that training starts from. Items keep the part they had then, and identities
            that were trained on stay in train; where that would leave a part empty, all are divided as if new.
        classes: of data that are to be answered what there is to tell apart, all of which train has to have. By group,
            the only group of a class stays in train. None for data that are to be compared.

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
    told_apart = classes(rest) if classes is not None and isinstance(rest, Dataset) else None
    stay = np.zeros(0, bool)
    if told_apart and rule == "group" and lacking and isinstance(rest, Dataset) and rest.groups is not None:
        stay = _only_groups(rest, rest.groups, told_apart, lacking)
    for kept in _wishes(before, rest, lacking, rule, answered=told_apart is not None):
        try:
            parts = _parts(rest, own, lacking, rule, seed, np.where(stay, 0, kept) if stay.any() else kept)
            if parts.test.comparable if classes is None else _complete(parts.train, told_apart or (), classes):
                return parts
        except DataError:  # what was trained on leaves too little for a part
            pass
    return _parts(rest, own, lacking, rule, seed, np.where(stay, 0, -1) if stay.any() else None)


def part_of(
    model: Model | Classifier, data: Dataset | PairSet, name: str | None, say: Callable[[str], None]
) -> Dataset | PairSet:
    """The part of `data` that is called `name`: the data's own, or the items that had this use in training `model`.

    Items are known by content, whatever they are called by now and wherever they lie. Without a name all of `data`.
    What of the answer the model was trained on is said.

    Raises:
        UsageError: there is no such part.
    """
    seen = model.encoder.seen
    found = items_of_part(seen, data, name, say)
    again = overlap(seen, found)
    # Of answers the labels are a fixed list, or which of several hold: not whose the items are.
    said = again.said() if isinstance(model, Model) else f"{again.items:,} of {len(again.parts):,} items"
    if (name is None or part_name(name) != "train") and said and (again.items or isinstance(model, Model)):
        unseen = name is None and (again.parts == PARTS.index("test")).any()
        hint = "; --part test is what it never saw" if unseen else ""
        say(f"The model was trained on {said} of these, which flatters it{hint}.")
    return found


def items_of_part(seen: Seen, data: Data, name: str | None, say: Callable[[str], None]) -> Data:
    """As `part_of`, of anything that has items, by what an encoder has `seen`; of what flatters it nothing is said.

    Raises:
        UsageError: there is no such part.
    """
    part = name and (part_name(name) or name)
    if part is None:
        return data
    uses = seen.uses(data.contents)
    if part not in PARTS or (uses < 0).all() or (data.parts is not None and part in data.parts):
        return cast(Data, data.part(part))
    new = int(np.count_nonzero(uses < 0))
    if new:
        say(f"{new:,} of {len(uses):,} items are new to the model and belong to no part of its training.")
    found = used_for(seen, data, part)
    if not len(found):
        told = (f"{use} {np.count_nonzero(uses == i):,}" for i, use in enumerate(PARTS))
        raise UsageError(
            f"Some of the items had the use {part} when the model was trained",
            f"{', '.join(told)}, new {new:,}",
            "Leave out --part, or name another one.",
        )
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


def _only_groups(
    data: Dataset, groups: IntArray, told_apart: Sequence[Classes], lacking: Sequence[str]
) -> NDArray[np.bool_]:
    """(N,) whether an item is of a group that is the only one of some class.

    In another part than train it would be of a class that training never met.

    Raises:
        DataError: that leaves fewer groups than there are other parts.
    """
    stay, which = np.zeros(len(data), bool), ""
    for values, names in told_apart:
        pairs = np.unique(np.column_stack([values, groups]), axis=0)
        value, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        only = pairs[first[count == 1], 1]
        if len(only):
            stay |= np.isin(groups, only)
            which = which or f"{names[int(value[count == 1][0])]!r} is only in {data.group_names[int(only[0])]!r}"
    left = len(np.unique(groups[~stay]))
    if stay.any() and left < len(lacking):
        raise DataError(
            f"A split by group gives each of {', '.join(lacking)} a group, and the only group of a class to train",
            f"{len(np.unique(groups))} groups of which {left} may leave train, as {which}",
            "Bring it from other groups, or split by item (--split item), which lets a group be in several parts.",
        )
    return stay


def _complete(
    train: Dataset | PairSet, told_apart: Sequence[Classes], classes: Callable[[Dataset], Sequence[Classes]]
) -> bool:
    """Whether train has all that there is to tell apart."""
    held = classes(train) if isinstance(train, Dataset) else ()
    return all(
        len(np.unique(some)) == len(np.unique(whole)) for (some, _), (whole, _) in zip(held, told_apart, strict=True)
    )


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


def _wishes(
    before: Seen, rest: Dataset | PairSet, lacking: Sequence[str], rule: By, *, answered: bool
) -> Iterator[IntArray]:
    """(N,) which of the parts train and `lacking` an item is to be in as before, -1 for none; the best wish first.

    Where classes are `answered`, those of a model that was split by identity may all have been in test. Then what was
    trained on stays in train, and the rest is free.
    """
    met = overlap(before.told_apart() if rule == "identity" else before, rest)
    if not lacking or not ((met.parts >= 0).any() or met.known.any()):
        return
    place = np.full(len(PARTS) + 1, -1)  # the last is that of new items
    place[[PARTS.index(name) for name in ("train", *lacking)]] = np.arange(len(lacking) + 1)
    if rule == "identity":
        labels = (rest.items if isinstance(rest, PairSet) else rest).labels
        yield np.where(np.isin(labels, met.labels[met.known]), 0, place[met.parts])
    yield place[met.parts]
    if answered:
        yield np.where(met.parts == TRAIN, 0, -1)
