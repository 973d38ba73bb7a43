"""From a picture of any kind to the tensor an encoder takes; part of the encoder, so training and use cannot differ."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, final, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.media.pictures import Pixels, Resize, read_picture
from likewise.prepare import Box, Finder, Part, finder_from, parts_of, shown_part, sole_part

Progress = Callable[[int, int, str], None]

DECODED_AT_ONCE = 256  # items handed to the decoding threads between two progress reports
SAMPLED_FOR_SHAPE = 256  # items looked at to choose size and channels
LARGEST_DEFAULT_SIDE = 128  # pixels


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
        pixels: (n, C, H, W) uint8.
        kept: (n,) int64, positions of the items they are of, among those given; never falling.
        problems: position and one-line reason of each item that was skipped.
        boxes: (n) where in its picture each part is; None for all of it. Empty where all are.
        flaws: (n) why nothing should be decided by a part, None for good ones. Empty where all are good.
    """

    pixels: Tensor
    kept: NDArray[np.int64]
    problems: tuple[tuple[int, str], ...]
    boxes: tuple[Box | None, ...] = ()
    flaws: tuple[str | None, ...] = ()


@final
@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes numbers.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        height, width: pixels.
        resize: "squash" ignores the aspect ratio, "pad" keeps it with a border, "crop" keeps it and cuts.
        mean, std: per channel, of pixels scaled to [0, 1]; taken off and divided by inside the encoder.
        prepare: finds the parts of a picture that are encoded; None to encode all of it.
    """

    channels: int
    height: int
    width: int
    resize: Resize = "squash"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    prepare: Finder | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError("Pictures have 1 or 3 channels", self.channels)
        if not (1 <= self.height <= 4096 and 1 <= self.width <= 4096):
            raise UsageError("Pictures are encoded at 1 to 4096 pixels a side", f"{self.height} x {self.width}")
        finite = np.isfinite([*self.mean, *self.std]).all()
        if not finite or not len(self.mean) == len(self.std) == self.channels or min(self.std) <= 0:
            raise UsageError("There is one mean and one positive std per channel", f"{self.mean}, {self.std}")
        if self.resize not in get_args(Resize):
            raise UsageError("Pictures are resized by squash, pad or crop", repr(self.resize))

    @classmethod
    def of(
        cls,
        items: Sequence[Item] | NDArray[Any],
        size: int | tuple[int, int] | None = None,
        resize: Resize = "squash",
        prepare: Finder | None = None,
    ) -> Preprocessing:
        """Channels and size that suit `items`; mean and std are set from the pixels by `standardised`.

        Grey unless a sampled picture has colour. Pictures all of one size up to 128 pixels a side keep it; others are
        brought to their median shape, at most 128 pixels on the longer side.

        Args:
            items: at least one readable picture.
            size: one side or (height, width) in pixels, to set it by hand.
            resize, prepare: see the class.

        Raises:
            DataError: nothing can be read.
        """
        count = len(items)
        shapes: list[tuple[int, int, int]] = []
        reason = "no items"
        for i in np.unique(np.linspace(0, count - 1, min(count, SAMPLED_FOR_SHAPE)).astype(int)) if count else []:
            try:
                item = items[int(i)]
                picture = _read(item, None)
                if prepare is not None:
                    picture = shown_part(prepare.find(picture), prepare, _name(item)).pixels
                shapes.append(picture.shape)  # type: ignore[arg-type]  # always three long
            except LikewiseError as error:
                reason = str(error)
        if not shapes:
            raise DataError("At least one item can be read", reason)
        channels = max(shape[2] for shape in shapes)
        if size is None:
            height, width = (int(np.median([shape[k] for shape in shapes])) for k in (0, 1))
            scale = min(1.0, LARGEST_DEFAULT_SIDE / max(height, width))
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
        else:
            height, width = (size, size) if isinstance(size, int) else size
        half = (0.5,) * channels
        return cls(channels, height, width, resize, half, half, prepare)

    def standardised(self, pixels: Tensor) -> Preprocessing:
        """The same with mean and std of `pixels` (N, C, H, W) uint8."""
        histogram = torch.stack([torch.bincount(pixels[:, c].reshape(-1), minlength=256) for c in range(self.channels)])
        share = histogram.double() / histogram.sum(dim=1, keepdim=True)
        level = torch.arange(256, dtype=torch.float64) / 255
        mean = share @ level
        # A set of one flat colour has no spread; dividing by a little keeps the numbers finite.
        std = ((share * (level - mean[:, None]) ** 2).sum(dim=1)).sqrt().clamp_min(1 / 255)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    def parts(self, item: Item) -> list[Part]:
        """What of an item is encoded, the most prominent part first, each (H, W, C).

        Raises:
            DataError: it cannot be read.
        """
        picture = _read(item, "L" if self.channels == 1 else "RGB")
        return parts_of(picture, self.prepare, self.height, self.width, self.resize)

    def one(self, item: Item) -> Part:
        """The most prominent part of an item.

        Raises:
            DataError: it cannot be read, or nothing is found in it.
        """
        return shown_part(self.parts(item), self.prepare, _name(item))

    def sole(self, item: Item) -> Part:
        """The only part of an item.

        Raises:
            DataError: it cannot be read, or does not show one thing and show it well.
        """
        return sole_part(self.parts(item), self.prepare, _name(item))

    def decode(self, items: Sequence[Item] | NDArray[Any], progress: Progress | None = None) -> Decoded:
        """Reads all `items` on all cores, one part of each; an unreadable one is skipped and reported, never fatal."""
        return self._decode(items, self.one, progress)

    def decode_sole(self, items: Sequence[Item] | NDArray[Any]) -> Decoded:
        """Reads all `items` on all cores, the only part of each; reports those that do not show one thing well too."""
        return self._decode(items, self.sole)

    def _decode(
        self, items: Sequence[Item] | NDArray[Any], part_of: Callable[[Item], Part], progress: Progress | None = None
    ) -> Decoded:
        if isinstance(items, np.ndarray) and self._is_ready(items):
            pixels = torch.from_numpy(np.array(items.reshape(len(items), *self.shape)))
            return Decoded(pixels, np.arange(len(items)), ())
        pixels = torch.empty((len(items), *self.shape), dtype=torch.uint8)
        view = pixels.numpy()
        problems: list[tuple[int, str]] = []
        boxes: list[Box | None] = [None] * len(items)
        flaws: list[str | None] = [None] * len(items)

        def read(i: int) -> tuple[int, str] | None:
            try:
                part = part_of(items[i])
            except LikewiseError as error:
                return i, str(error)
            view[i], boxes[i], flaws[i] = part.pixels.transpose(2, 0, 1), part.box, part.flaw
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
            return Decoded(pixels[: len(kept)], kept, tuple(problems))
        there = kept.tolist()
        return Decoded(
            pixels[: len(kept)], kept, tuple(problems), tuple(boxes[i] for i in there), tuple(flaws[i] for i in there)
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
        rows = [part.pixels.transpose(2, 0, 1) for _, part in parts]
        pixels = np.stack(rows) if rows else np.empty((0, *self.shape), np.uint8)
        return Decoded(
            torch.from_numpy(pixels),
            np.array([i for i, _ in parts], np.int64),
            tuple((i, some) for i, some in enumerate(found) if isinstance(some, str)),
            tuple(part.box for _, part in parts),
            tuple(part.flaw for _, part in parts),
        )

    def _is_ready(self, items: NDArray[Any]) -> bool:
        """Whether `items` are one grey uint8 array of the right size already, which needs no work per item."""
        return (
            self.prepare is None
            and items.dtype == np.uint8
            and self.channels == 1
            and items.shape[1:] in ((self.height, self.width), (self.height, self.width, 1))
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": "picture",
            **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(replace(self, prepare=None)).items()},
            "prepare": None if self.prepare is None else self.prepare.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """Inverse of `as_dict`.

        Raises:
            ModelError: a key is missing, unknown or of the wrong kind.
        """
        try:
            described = values["prepare"]
            if values["kind"] != "picture":
                raise ValueError(f"kind {values['kind']!r}")
            mean, std = (tuple(float(v) for v in values[name]) for name in ("mean", "std"))
            size = (values["channels"], values["height"], values["width"])
            if not all(type(number) is int for number in size):
                raise ValueError(f"size {size}")
            whole = cls(*size, values["resize"], mean, std)
        except (TypeError, KeyError, ValueError, UsageError) as error:
            raise ModelError(
                "The preprocessing of a model is complete", str(error), "Copy the folder again."
            ) from error
        return whole if described is None else replace(whole, prepare=finder_from(described))


def _name(item: Item) -> str:
    return str(item) if isinstance(item, (str, os.PathLike, Readable)) else "a picture"


def _read(item: Item, mode: Literal["L", "RGB"] | None) -> Pixels:
    if isinstance(item, Readable):
        return read_picture(item.read(), mode=mode, name=str(item))
    return read_picture(Path(item) if isinstance(item, (str, os.PathLike)) else item, mode=mode)
