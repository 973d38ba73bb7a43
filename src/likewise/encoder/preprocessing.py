"""From an item of any kind to the tensor an encoder takes; part of the encoder, so training and use cannot differ."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, final, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.errors import DataError, LikewiseError
from likewise.prepare import Box, Finder, Part, shown_part, sole_part

Progress = Callable[[int, int, str], None]

DECODED_AT_ONCE = 256  # items handed to the decoding threads between two progress reports
SAMPLED_FOR_SHAPE = 256  # items looked at to choose size and channels, or rate and length


@runtime_checkable
class Readable(Protocol):
    """Something that gives a file's bytes when asked, such as a member of a zip."""

    def read(self) -> bytes:
        """The bytes."""
        ...


Item = str | os.PathLike[str] | bytes | NDArray[Any] | Readable


@final
@dataclass(frozen=True)
class Decoded:
    """Items, or parts of them, as one tensor, and items that could not be read.

    Attributes:
        values: (n, ...) in the layout of the preprocessing: (n, C, H, W) uint8 of pictures, (n, T) int16 of sounds.
        kept: (n,) int64, positions of the items they are of, among those given; never falling.
        problems: position and one-line reason of each item that was skipped.
        boxes: (n) where in its picture each part is; None for all of it. Empty where all are.
        flaws: (n) why nothing should be decided by a part, None for good ones. Empty where all are good.
    """

    values: Tensor
    kept: NDArray[np.int64]
    problems: tuple[tuple[int, str], ...]
    boxes: tuple[Box | None, ...] = ()
    flaws: tuple[str | None, ...] = ()


class Preprocessing(ABC):
    """How an item becomes numbers: a frozen dataclass for each kind of item, whose fields are all that decides it.

    Reading gives whole numbers, which are held in memory and drawn from in training; `scaled` makes them floats, which
    augmentation may change; the `front` is the first stage of the encoder and makes of them what its network sees.

    Attributes:
        kind: what it is called in the config of a model.
        dtype: of the whole numbers.
        full: their largest value, which `scaled` makes 1.
        prepare: finds the parts of an item that are encoded; None to encode all of it.
    """

    kind: ClassVar[str]
    dtype: ClassVar[torch.dtype]
    full: ClassVar[int]
    prepare: Finder | None

    @property
    @abstractmethod
    def layout(self) -> tuple[int, ...]:
        """Shape of one item's whole numbers."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network sees."""

    @abstractmethod
    def standardised(self, values: Tensor) -> Self:
        """The same with mean and std of `values` (N, *layout)."""

    @abstractmethod
    def front(self) -> nn.Module:
        """(N, *layout) float, scaled -> (N, C, H, W): a module without parameters."""

    @abstractmethod
    def parts(self, item: Item) -> list[Part]:
        """What of an item is encoded, the most prominent part first.

        Raises:
            DataError: it cannot be read.
        """

    def one(self, item: Item) -> Part:
        """The most prominent part of an item.

        Raises:
            DataError: it cannot be read, or nothing is found in it.
        """
        return shown_part(self.parts(item), self.prepare, name_of(item) or f"a {self.kind}")

    def sole(self, item: Item) -> Part:
        """The only part of an item.

        Raises:
            DataError: it cannot be read, or does not show one thing and show it well.
        """
        return sole_part(self.parts(item), self.prepare, name_of(item) or f"a {self.kind}")

    @abstractmethod
    def laid_out(self, part: Part) -> NDArray[Any]:
        """The values of a part in `layout`."""

    @abstractmethod
    def already(self, items: NDArray[Any]) -> NDArray[Any] | None:
        """(N, *layout) of an array that needs no work per item; None of others."""

    @abstractmethod
    def shown(self, values: Tensor) -> NDArray[np.uint8]:
        """(N, *layout) whole numbers -> (N, h, w, 1 or 3): pictures for people, of what the encoder is given."""

    @abstractmethod
    def from_shown(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1], pictures such as `shown` makes -> what the network sees; a gradient passes."""

    @abstractmethod
    def drawn(self, rng: np.random.Generator, count: int) -> Tensor:
        """(count, *layout) whole numbers of made-up items, to try an encoder with; smooth, as real ones are."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `likewise.encoder.kinds.preprocessing_from` makes it again."""

    @staticmethod
    @abstractmethod
    def said(values: dict[str, Any]) -> str:
        """What items become, in words, of what `as_dict` gave: "grey pictures of 28 x 28 pixels"."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `as_dict`.

        Raises:
            ModelError: a key is missing, unknown or of the wrong kind.
        """

    def scaled(self, values: Tensor) -> Tensor:
        """Whole numbers as floats in [0, 1] or [-1, 1]; floats are taken to be that already."""
        return values if values.is_floating_point() else values.float() / self.full

    def decode(self, items: Sequence[Item] | NDArray[Any], progress: Progress | None = None) -> Decoded:
        """Reads all `items` on all cores, one part of each; an unreadable one is skipped and reported, never fatal."""
        return self._decode(items, self.one, progress)

    def decode_sole(self, items: Sequence[Item] | NDArray[Any]) -> Decoded:
        """Reads all `items` on all cores, the only part of each; reports those that do not show one thing well too."""
        return self._decode(items, self.sole)

    def _decode(
        self, items: Sequence[Item] | NDArray[Any], part_of: Callable[[Item], Part], progress: Progress | None = None
    ) -> Decoded:
        if isinstance(items, np.ndarray) and (ready := self.already(items)) is not None:
            return Decoded(torch.from_numpy(np.array(ready)), np.arange(len(items)), ())
        found = torch.empty((len(items), *self.layout), dtype=self.dtype)
        view = found.numpy()
        problems: list[tuple[int, str]] = []
        boxes: list[Box | None] = [None] * len(items)
        flaws: list[str | None] = [None] * len(items)

        def read(i: int) -> tuple[int, str] | None:
            try:
                part = part_of(items[i])
            except LikewiseError as error:
                return i, str(error)
            view[i], boxes[i], flaws[i] = self.laid_out(part), part.box, part.flaw
            return None

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(items), DECODED_AT_ONCE):
                stop = min(start + DECODED_AT_ONCE, len(items))
                problems += [problem for problem in pool.map(read, range(start, stop)) if problem]
                if progress:
                    progress(stop, len(items), "reading")
        kept = np.setdiff1d(np.arange(len(items)), [i for i, _ in problems])
        if problems:
            for place, i in enumerate(kept.tolist()):  # moved up in place: a copy of all would need the memory twice
                view[place] = view[i]
        if self.prepare is None:
            return Decoded(found[: len(kept)], kept, tuple(problems))
        there = kept.tolist()
        return Decoded(
            found[: len(kept)], kept, tuple(problems), tuple(boxes[i] for i in there), tuple(flaws[i] for i in there)
        )

    def decode_parts(self, items: Sequence[Item] | NDArray[Any]) -> Decoded:
        """Reads all `items` on all cores, with every part that is found in them; see `decode`."""
        if self.prepare is None:
            return self.decode(items)

        def read(i: int) -> list[Part] | str:
            try:
                return self.parts(items[i])
            except LikewiseError as error:
                return str(error)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(read, range(len(items))))
        parts = [(i, part) for i, some in enumerate(found) if not isinstance(some, str) for part in some]
        rows = [self.laid_out(part) for _, part in parts]
        return Decoded(
            torch.from_numpy(np.stack(rows)) if rows else torch.empty((0, *self.layout), dtype=self.dtype),
            np.array([i for i, _ in parts], np.int64),
            tuple((i, some) for i, some in enumerate(found) if isinstance(some, str)),
            tuple(part.box for _, part in parts),
            tuple(part.flaw for _, part in parts),
        )


Look = TypeVar("Look")


def sampled(
    items: Sequence[Item] | NDArray[Any], look: Callable[[Item], Look], most: int = SAMPLED_FOR_SHAPE
) -> list[Look]:
    """What `look` sees in items from all over the set; those it cannot read are left out.

    Raises:
        DataError: it can read none of them.
    """
    count, found, reason = len(items), list[Look](), "no items"
    for i in np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)) if count else []:
        try:
            found.append(look(items[int(i)]))
        except LikewiseError as error:
            reason = str(error)
    if not found:
        raise DataError("At least one item can be read", reason)
    return found


def name_of(item: Item) -> str | None:
    """What to call it; None where it has no name."""
    return str(item) if isinstance(item, (str, os.PathLike, Readable)) else None


def content_of(item: Item) -> Path | bytes | NDArray[Any]:
    """Its file, bytes or values."""
    if isinstance(item, Readable):
        return item.read()
    return Path(item) if isinstance(item, (str, os.PathLike)) else item
