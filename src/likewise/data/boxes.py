"""Pictures in which it is known what is where: what a detector learns from and is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from likewise.data.contents import content_keys
from likewise.data.dataset import Dataset, IntArray, of_part
from likewise.data.dataset import Source as DatasetSource
from likewise.errors import DataError, UsageError

Boxes: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Source: TypeAlias = DatasetSource | bytes

SLACK = 1e-6  # pixels by which a box may pass the edge of its picture: sums of floats are rounded


@final
@dataclass(frozen=True, eq=False)
class BoxSet:
    """Pictures and the boxes in them, in pixels of the picture as it is shown, with its EXIF orientation applied.

    Attributes:
        sources: where each picture comes from: paths, members of a zip, the bytes of files, arrays, or one array
            (N, ...) of all.
        files: (N,) what to call each when speaking to a person, for files the path as given.
        names: name of each class; every set split off from this one keeps all of them.
        boxes: of each picture (k, 4) float64: x and y of the top left corner, width and height, inside the picture.
        labels: of each picture (k,) int64; ``names[labels[i][j]]`` is the class of its box j.
        ignored: of each picture (k,) bool: boxes that are neither learned from nor counted (difficult objects of
            Pascal VOC, crowds of COCO).
        sizes: (N, 2) int64 height and width of each picture.
        groups: (N,) int64 or None; pictures of one group (camera, place) were made together.
        group_names: name of each group.
        parts: (N,) or None; the part ("train", "valid", "tune", "test") the data themselves put each picture in.
        origin: where it all came from and which part of it this is, in words; recorded with models.
        problems: file and reason of all that was left out or put right when it was read; none in a part of a set.
    """

    sources: Sequence[Source] | NDArray[np.generic]
    files: tuple[str, ...]
    names: tuple[str, ...]
    boxes: tuple[Boxes, ...]
    labels: tuple[IntArray, ...]
    ignored: tuple[Flags, ...]
    sizes: IntArray
    groups: IntArray | None = None
    group_names: tuple[str, ...] = ()
    parts: NDArray[np.str_] | None = None
    origin: str = "in memory"
    problems: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Raises DataError for columns of unlike lengths and for a box that cannot be."""
        count = len(self.files)
        columns = [self.sources, self.boxes, self.labels, self.ignored, self.sizes]
        columns += [each for each in (self.groups, self.parts) if each is not None]
        if any(len(column) != count for column in columns):
            of = f"{', '.join(str(len(column)) for column in columns)} of these for {count} files"
            raise DataError("Each picture has a source, boxes, labels, flags and a size", of)
        shapes = {"boxes": (np.float64, (-1, 4)), "labels": (np.int64, (-1,)), "ignored": (np.bool_, (-1,))}
        for name, (kind, shape) in shapes.items():
            column = tuple(np.asarray(each, kind).reshape(shape) for each in getattr(self, name))
            object.__setattr__(self, name, column)
        object.__setattr__(self, "sizes", np.asarray(self.sizes, np.int64).reshape(count, 2))
        for file, *of_one in zip(self.files, self.boxes, self.labels, self.ignored, strict=True):
            if len({len(each) for each in of_one}) > 1:
                lengths = " and ".join(str(len(each)) for each in of_one)
                raise DataError("Each box has a label, and is ignored or not", f"{lengths} of these in {file}")
        self._check_boxes()

    def _check_boxes(self) -> None:
        every, of = self.every_box, self.picture_of
        size = self.sizes[of][:, ::-1]
        good = np.isfinite(every).all(axis=1) & (every[:, 2:] > 0).all(axis=1)
        good &= (every[:, :2] >= -SLACK).all(axis=1) & (every[:, :2] + every[:, 2:] <= size + SLACK).all(axis=1)
        if not good.all():
            i = int(np.argmin(good))
            where = f"{shown(every[i])} of {size[i, 0]} x {size[i, 1]} in {self.files[of[i]]}"
            raise DataError("A box (x, y, width, height) has an area and lies in its picture", where)
        label = self.every_label
        if len(label) and not 0 <= label.min() <= label.max() < len(self.names):
            raise DataError("Every label has a name", f"{label.min()} to {label.max()}, {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def every_box(self) -> Boxes:
        """(M, 4) the boxes of all pictures, one picture after the other."""
        return np.concatenate([np.empty((0, 4)), *self.boxes])

    @property
    def every_label(self) -> IntArray:
        """(M,) their labels."""
        return np.concatenate([np.empty(0, np.int64), *self.labels])

    @property
    def every_ignored(self) -> Flags:
        """(M,) whether they are ignored."""
        return np.concatenate([np.empty(0, np.bool_), *self.ignored])

    @property
    def picture_of(self) -> IntArray:
        """(M,) in which picture each of them is."""
        return np.repeat(np.arange(len(self)), [len(each) for each in self.boxes])

    def counts(self) -> IntArray:
        """(number of names,) boxes of each class that are not ignored."""
        return np.bincount(self.every_label[~self.every_ignored], minlength=len(self.names)).astype(np.int64)

    @cached_property
    def contents(self) -> IntArray:
        """(N,) a number for the content of each picture; reads every one, once (see `Dataset.contents`)."""
        return content_keys(self.sources)

    def identity_keys(self) -> IntArray:
        """(N,) a number for whose each is; no two pictures stand for the same."""
        return self.contents

    def subset(self, indices: NDArray[np.integer] | Sequence[int], origin: str | None = None) -> BoxSet:
        """The pictures at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        found = replace(
            self,
            sources=self.sources[chosen]
            if isinstance(self.sources, np.ndarray)
            else tuple(self.sources[i] for i in chosen),
            files=tuple(self.files[i] for i in chosen),
            boxes=tuple(self.boxes[i] for i in chosen),
            labels=tuple(self.labels[i] for i in chosen),
            ignored=tuple(self.ignored[i] for i in chosen),
            sizes=self.sizes[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            parts=None if self.parts is None else self.parts[chosen],
            origin=origin or self.origin,
            problems=(),
        )
        if "contents" in vars(self):  # what was read is not read again
            vars(found)["contents"] = self.contents[chosen]
        return found

    def part(self, name: str) -> BoxSet:
        """The pictures which the data themselves put in part `name` ("train", "test", ...).

        Raises:
            UsageError: the data say nothing of parts, or have none of that name.
        """
        return self.subset(of_part(self.parts, name), f"{self.origin}, its own {name} part")

    def split(
        self, *shares: float, by: str = "item", seed: int = 0, kept: IntArray | None = None
    ) -> tuple[BoxSet, ...]:
        """Disjoint parts holding about the given shares of the pictures; see `likewise.data.splits`.

        By item the rarest class of each picture decides with which others it is dealt, so that every part gets its
        share of rare classes; copies of one picture stay together.

        Args:
            shares: positive, summing to at most 1.
            by: "item" or "group".
            seed: same seed, same parts.
            kept: (N,) the part, from 0, that a picture is to stay in, or -1.

        Raises:
            UsageError: shares that cannot be, or another `by`.
            DataError: a part would be empty, or there are no groups.
        """
        from likewise.data.splits import assigned
        from likewise.data.splits import of_part as called

        if by not in ("item", "group"):
            raise UsageError("Pictures with boxes are split by item or by group", repr(by), "Use one of these.")
        part = assigned(self._by_rarest(), shares, by=by, seed=seed, kept=kept)
        return tuple(
            self.subset(np.flatnonzero(part == i), called(self.origin, i, shares, by, seed)) for i in range(len(shares))
        )

    def _by_rarest(self) -> Dataset:
        """The pictures as items of the rarest class that each, or the first copy of it, shows."""
        counts, nothing = self.counts(), len(self.names)
        shown_by = [each[~ignored] for each, ignored in zip(self.labels, self.ignored, strict=True)]
        rarest = np.array([min(each, key=counts.__getitem__, default=nothing) for each in shown_by], np.int64)
        _, first, copy = np.unique(self.contents, return_index=True, return_inverse=True)
        sources: NDArray[np.generic] = np.arange(len(self))  # nobody reads them: `contents` are known
        names, groups = (*self.names, "nothing"), (self.groups, self.group_names)
        items = Dataset(sources, self.files, rarest[first][copy], names, *groups, origin=self.origin)
        vars(items)["contents"] = self.contents
        return items

    def __repr__(self) -> str:
        boxes = int(self.counts().sum())
        return f"<BoxSet {self.origin}: {len(self):,} pictures, {boxes:,} boxes of {len(self.names)} classes>"


def shown(box: NDArray[np.float64] | Sequence[float]) -> str:
    """A box as a person reads it."""
    return " ".join(f"{value:g}" for value in box)
