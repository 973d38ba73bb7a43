"""Labelled items: what training, calibration and evaluation are given."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.data.contents import content_keys, identity_keys, name_keys
from likewise.errors import DataError, UsageError

IntArray = NDArray[np.int64]

MEMBER_BYTES_LIMIT = 256 * 2**20  # a member of a zip larger than this is refused before it is unpacked


@final
@dataclass(frozen=True)
class ZipMember:
    """One file inside a zip, read in place."""

    archive: zipfile.ZipFile  # open; reading from several threads is safe
    member: str

    def read(self) -> bytes:
        """The member's bytes.

        Raises:
            DataError: it is damaged, encrypted or unreasonably large.
        """
        try:
            size = self.archive.getinfo(self.member).file_size
            if size <= MEMBER_BYTES_LIMIT:
                return self.archive.read(self.member)
        except Exception as error:  # zipfile and its decompressors raise many kinds; to the user they are one
            raise DataError(f"A zip member can be read: {self}", str(error), "Make the zip again.") from error
        raise DataError(
            f"A file inside a zip has at most {MEMBER_BYTES_LIMIT} bytes", f"{size} in {self}", "Unpack it first."
        )

    def __str__(self) -> str:
        return f"{self.archive.filename}:{self.member}"


Source = Path | ZipMember | NDArray[np.generic]


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Items with an integer label each.

    Attributes:
        sources: where each item comes from: paths, members of a zip, or one array (N, ...) holding them all.
        files: (N,) what to call each item when speaking to a person, for files the path as given.
        labels: (N,) int64; ``names[labels[i]]`` is the identity of item i.
        names: name of each identity; every dataset split off from this one keeps all of them.
        groups: (N,) int64 or None; items of one group (speaker, camera, drawer) were made together.
        group_names: name of each group.
        parts: (N,) or None; the part ("train", "test", ...) the data themselves put each item in.
        targets: (N, K) float32 or None; numbers that are to be answered for each item, where its label is not.
        target_names: (K,) what each of them says.
        others: columns of the table that the items are listed in and that say none of this, (N,) cells each; whoever
            writes the table again writes them too.
        origin: where it all came from and which part of it this is, in words; recorded with models.
        whole: the dataset this one was split off from, in any number of steps; None if from none.
    """

    sources: Sequence[Source] | NDArray[np.generic]
    files: tuple[str, ...]
    labels: IntArray
    names: tuple[str, ...]
    groups: IntArray | None = None
    group_names: tuple[str, ...] = ()
    parts: NDArray[np.str_] | None = None
    targets: NDArray[np.float32] | None = None
    target_names: tuple[str, ...] = ()
    others: Mapping[str, NDArray[np.generic]] = field(default_factory=dict[str, NDArray[np.generic]], repr=False)
    origin: str = "in memory"
    whole: Dataset | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.ndim != 1 or not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
            raise DataError("Labels are one row of whole numbers", f"{labels.dtype} of shape {labels.shape}")
        if len(labels) != len(self.sources) or len(self.files) != len(labels):
            raise DataError("There is one label for each item", f"{len(labels)} labels for {len(self.sources)} items")
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.names)):
            raise DataError(
                "Every label has a name", f"labels {labels.min()} to {labels.max()}, {len(self.names)} names"
            )
        for what, column in (("group", self.groups), ("part", self.parts)):
            if column is not None and len(column) != len(labels):
                raise DataError(f"There is one {what} for each item", f"{len(column)} for {len(labels)} items")
        if self.targets is not None and self.targets.shape != (len(labels), len(self.target_names)):
            shape = f"{self.targets.shape}, {len(self.target_names)} names"
            raise DataError(f"Targets of {len(labels)} items are a row for each, with a name for each column", shape)
        for name, cells in self.others.items():
            if len(cells) != len(labels):
                raise DataError(f"There is one {name} for each item", f"{len(cells)} for {len(labels)} items")
        object.__setattr__(self, "labels", labels.astype(np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> IntArray:
        """(number of names,) items of each identity; zero for identities that are in another part."""
        return np.bincount(self.labels, minlength=len(self.names)).astype(np.int64)

    @property
    def identities(self) -> int:
        """How many identities have at least one item here."""
        return int(np.count_nonzero(self.counts()))

    @property
    def comparable(self) -> bool:
        """Whether a pair of the same identity and a pair of different ones can be made of the items."""
        return self.identities >= 2 and int(self.counts().max()) >= 2

    @cached_property
    def contents(self) -> IntArray:
        """(N,) a number for the content of each item, the same for copies; reads every item, once (`content_keys`)."""
        return content_keys(self.sources)

    def identity_keys(self) -> IntArray:
        """(N,) a number for the identity of each item, the same in all parts of one whole (`identity_keys`).

        Reads the first item that the whole has of each identity.
        """
        return identity_keys(name_keys(self.names)[self.labels], self.first_contents())

    def first_contents(self) -> IntArray:
        """(N,) the content of the first item that the whole has of the identity of each; reads only these."""
        whole = self if self.whole is None else self.whole
        here, of = np.unique(self.labels, return_inverse=True)
        labels, first = np.unique(whole.labels, return_index=True)
        return whole.subset(first[np.searchsorted(labels, here)]).contents[of]

    def subset(self, indices: NDArray[np.integer] | Sequence[int], origin: str | None = None) -> Dataset:
        """The items at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        found = replace(
            self,
            sources=self.sources[chosen]
            if isinstance(self.sources, np.ndarray)
            else tuple(self.sources[i] for i in chosen),
            files=tuple(self.files[i] for i in chosen),
            labels=self.labels[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            parts=None if self.parts is None else self.parts[chosen],
            targets=None if self.targets is None else self.targets[chosen],
            others={name: cells[chosen] for name, cells in self.others.items()},
            origin=origin or self.origin,
            whole=self if self.whole is None else self.whole,
        )
        if "contents" in vars(self):  # what was read is not read again
            vars(found)["contents"] = self.contents[chosen]
        return found

    def part(self, name: str) -> Dataset:
        """The items which the data themselves put in part `name` ("train", "test", ...).

        Raises:
            UsageError: the data say nothing of parts, or have none of that name.
        """
        return self.subset(of_part(self.parts, name), f"{self.origin}, its own {name} part")

    def of_identities(self, labels: Sequence[int] | IntArray) -> Dataset:
        """The items of the given identities."""
        return self.subset(np.flatnonzero(np.isin(self.labels, labels)))

    def class_weights(self) -> NDArray[np.float32]:
        """(number of names,) weights inversely proportional to counts, mean 1 over the items; 0 where there is none."""
        counts = self.counts()
        present = counts > 0
        weights = np.zeros(len(counts), dtype=np.float32)
        weights[present] = len(self) / (present.sum() * counts[present])
        return weights

    def split(
        self, *shares: float, by: str = "item", seed: int = 0, kept: IntArray | None = None
    ) -> tuple[Dataset, ...]:
        """Disjoint parts holding about the given shares; see `likewise.data.splits`.

        Args:
            shares: positive, summing to at most 1.
            by: "item" (every identity in every part, copies of one content in one), "identity" (no identity in two
                parts) or "group".
            seed: same seed, same parts.
            kept: (N,) the part, from 0, that an item is to stay in, or -1.
        """
        from likewise.data.splits import split

        return split(self, shares, by=by, seed=seed, kept=kept)

    def __repr__(self) -> str:
        return f"<Dataset {self.origin}: {len(self):,} items of {self.identities:,} identities>"

    def _repr_html_(self) -> str:
        counts = self.counts()
        order = np.argsort(-counts, kind="stable")[:10]
        rows = "".join(f"<tr><td>{escape(self.names[i])}</td><td>{counts[i]}</td></tr>" for i in order if counts[i])
        return (
            f"<b>{len(self)} items of {self.identities} identities</b> ({escape(self.origin)})"
            f"<table><tr><th>identity</th><th>items</th></tr>{rows}</table>"
        )


def of_part(parts: NDArray[np.str_] | None, name: str) -> IntArray:
    """Where `parts` says `name`."""
    if parts is None or name not in parts:
        have = "none" if parts is None else ", ".join(sorted(set(parts.tolist())))
        raise UsageError(
            f"The data have a part called {name!r}",
            have,
            "Parts are folders called train, valid, tune or test, or the column split of a table.",
        )
    return np.flatnonzero(parts == name)


@final
@dataclass(frozen=True, eq=False)
class PairSet:
    """Items known only in pairs: the same, or not.

    Attributes:
        items: the items. Their labels say of which identity each is, as far as pairs tell: labels that a pair of the
            same joins become one, here and once for all, so that parts and subsets keep what the whole set told.
            Without `named`, items that no chain of pairs links may be of one identity all the same.
        first, second: (M,) int64 positions in `items`.
        same: (M,) bool.
        parts: (M,) or None; the part ("train", "test", ...) the data themselves put each pair in.
        origin: where they came from.
        named: whether the labels were given, and not only found from pairs.
        mixed: whether `split` had to part items of one identity.
    """

    items: Dataset
    first: IntArray
    second: IntArray
    same: NDArray[np.bool_]
    parts: NDArray[np.str_] | None = None
    origin: str = "in memory"
    named: bool = False
    mixed: bool = False

    def __post_init__(self) -> None:
        if not len(self.first) == len(self.second) == len(self.same):
            raise DataError(
                "A pair has a first item, a second and an answer",
                f"{len(self.first)}, {len(self.second)} and {len(self.same)}",
            )
        if self.parts is not None and len(self.parts) != len(self.same):
            raise DataError("There is one part for each pair", f"{len(self.parts)} for {len(self.same)} pairs")
        object.__setattr__(self, "items", self._joined())

    def __len__(self) -> int:
        return len(self.same)

    @property
    def comparable(self) -> bool:
        """Whether there are pairs of both kinds."""
        return bool(self.same.any() and not self.same.all())

    def subset(self, indices: NDArray[np.integer], origin: str | None = None) -> PairSet:
        """The pairs at `indices`, in that order, and of the items those they need, in the order they stand here."""
        needed, position = np.unique(np.r_[self.first[indices], self.second[indices]], return_inverse=True)
        return replace(
            self,
            items=self.items.subset(needed),
            first=position[: len(indices)].astype(np.int64),
            second=position[len(indices) :].astype(np.int64),
            same=self.same[indices],
            parts=None if self.parts is None else self.parts[indices],
            origin=origin or self.origin,
        )

    def part(self, name: str) -> PairSet:
        """The pairs which the data themselves put in part `name` ("train", "test", ...).

        Raises:
            UsageError: the data say nothing of parts, or have none of that name.
        """
        return self.subset(of_part(self.parts, name), f"{self.origin}, its own {name} part")

    @property
    def contents(self) -> IntArray:
        """(number of items,) see `Dataset.contents`."""
        return self.items.contents

    def identity_keys(self) -> IntArray:
        """(number of items,) a number for the identity of each, the same in all parts of one whole.

        Without given names it is the content of its first item. Of pairs that were mixed besides, all have one: nothing
        says whose item is whose.
        """
        if self.named:
            return self.items.identity_keys()
        if self.mixed:
            whole = self.items if self.items.whole is None else self.items.whole
            return np.full(len(self.items), whole.contents.sum())
        return self.items.first_contents()

    def _joined(self) -> Dataset:
        """The items with one label, the smallest, wherever pairs of the same join several."""
        from likewise.data.splits import linked

        labels = self.items.labels
        if (labels[self.first[self.same]] == labels[self.second[self.same]]).all():
            return self.items
        chain = linked(len(self.items.names), labels[self.first[self.same]], labels[self.second[self.same]])
        joined = replace(self.items, labels=np.unique(chain, return_index=True)[1][chain][labels])
        if "contents" in vars(self.items):
            vars(joined)["contents"] = self.items.contents
        return joined

    def positions(self, kept: IntArray) -> tuple[NDArray[np.bool_], IntArray]:
        """Where pairs are when only the items `kept` could be read.

        Returns:
            (M,) bool, which pairs are still whole; (m, 2) int64, their items as positions in `kept`.
        """
        place = np.full(len(self.items), -1)
        place[kept] = np.arange(len(kept))
        pairs = np.stack([place[self.first], place[self.second]], axis=1).astype(np.int64)
        whole: NDArray[np.bool_] = np.all(pairs >= 0, axis=1)
        return whole, pairs[whole]

    def split(self, *shares: float, seed: int = 0, kept: IntArray | None = None) -> tuple[PairSet, ...]:
        """Parts holding about the given shares of the pairs, no item in two of them; see `likewise.data.splits`.

        Where too many items hang together for that, pairs across parts are left out; `origin` says how many.

        Args:
            shares: positive, summing to at most 1.
            seed: same seed, same parts.
            kept: (number of items,) the part, from 0, that an item is to stay in, or -1.
        """
        from likewise.data.splits import split_pairs

        return split_pairs(self, shares, seed=seed, kept=kept)

    def __repr__(self) -> str:
        same = int(self.same.sum())
        return f"<PairSet {self.origin}: {same:,} same and {len(self) - same:,} different pairs>"

    def _repr_html_(self) -> str:
        same = int(self.same.sum())
        return (
            f"<b>{len(self)} pairs of {len(self.items)} items</b> ({escape(self.origin)})"
            f"<table><tr><th>same</th><th>different</th></tr>"
            f"<tr><td>{same}</td><td>{len(self) - same}</td></tr></table>"
        )
