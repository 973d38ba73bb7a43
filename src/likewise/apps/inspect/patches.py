"""What a channel looks for, in the data: the patches of items to which it answers most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from likewise.apps.drawing import Tile, roomy, tiled
from likewise.apps.inspect.channels import Level
from likewise.apps.inspect.receptive import ReceptiveField, receptive_field
from likewise.apps.inspect.subject import outputs_at
from likewise.data import Clips, Dataset
from likewise.encoder import Encoder, Progress, Sounds
from likewise.errors import DataError
from likewise.media.pictures import Pixels

KEPT = 9  # patches of a channel, of as many items
AT_ONCE, POINTS_AT_ONCE = 256, 1 << 20  # items that go through the network together, and pixels of them
COLUMNS, SIDE, OUTSIDE = 9, 76, 216  # patches in a row, pixels, and the grey of what lies beyond an item


@final
@dataclass(frozen=True)
class Patch:
    """A part of an item that excites a channel.

    Attributes:
        item: position in the data.
        file: what the item is called.
        answer: of the channel.
        box: top, bottom, left and right of the item's pixels that the answer depends on; bottom and right are outside.
    """

    item: int
    file: str
    answer: float
    box: tuple[int, int, int, int]


@final
@dataclass(frozen=True, eq=False)
class StrongestPatches:
    """The patches to which channels of one tap answer most.

    Attributes:
        level: which channels.
        patches: of each channel at most nine, the strongest first, of different items; none of a channel that answers
            to nothing.
        pixels: (h, w, 1 or 3) uint8 of each of them.
        items: how many were looked at.
        skipped: file and reason of those that could not be read.
    """

    level: Level
    patches: list[list[Patch]]
    pixels: list[list[Pixels]]
    items: int
    skipped: tuple[tuple[str, str], ...]

    def said(self) -> str:
        """What there is to see, in a sentence."""
        silent = sum(not found for found in self.patches)
        boxes = [patch.box for found in self.patches for patch in found]
        height = max((bottom - top for top, bottom, _, _ in boxes), default=0)
        width = max((right - left for _, _, left, right in boxes), default=0)
        gone = f" {silent} of the channels answer to none of them." if silent else ""
        return (
            f"{self.level.tap}: a row for each channel, with the {KEPT} patches of {self.items:,} items to which it"
            f" answers most, the strongest first and at most one of an item. A patch is all that the answer depends on,"
            f" up to {height} x {width} pixels.{gone}"
        )

    def draw(self) -> Image.Image:
        """A row of patches for each channel."""
        size = [max((one.shape[k] for row in self.pixels for one in row), default=1) for k in (0, 1)]
        blank = np.full((*size, 3), 255, np.uint8)
        tiles: list[Tile] = []
        for name, found, row in zip(self.level.names, self.patches, self.pixels, strict=True):
            told = [f"{patch.answer:.2f}" for patch in found] or ["none"]
            told[0] = f"{name}: {told[0]}"
            told += [""] * (KEPT - len(told))
            tiles += [Tile(one, text) for one, text in zip([*row, *[blank] * (KEPT - len(row))], told, strict=True)]
        title = f"{self.level.tap}: strongest patches, a row for each channel"
        return tiled(tiles, side=roomy(size, SIDE), columns=COLUMNS, title=title)


class _Best(NamedTuple):
    """Of (K) channels at most nine answers each, falling, with the items and the places they are from."""

    answers: Tensor
    items: Tensor
    places: Tensor

    def with_block(self, maps: Tensor, positions: Tensor) -> _Best:
        """The best of these and those of more items: (n, K, h, w), and where in the data (n,) they are."""
        peaks, places = maps.flatten(2).max(dim=2)  # (n, K): one place of an item
        together = [
            torch.cat([old, new.T], dim=1)
            for old, new in zip(self, (peaks, positions[:, None].expand_as(places), places), strict=True)
        ]
        order = together[0].argsort(dim=1, descending=True, stable=True)[:, :KEPT]
        return _Best(*(one.gather(1, order) for one in together))


def strongest_patches(
    encoder: Encoder, levels: Sequence[Level], data: Dataset | Clips, *, progress: Progress | None = None
) -> list[StrongestPatches]:
    """The patches of `data` to which the channels of `levels` answer most (Zeiler and Fergus 2014, figure 2).

    Items are gone through once, and only the best are kept.

    Args:
        encoder: whose channels.
        levels: of `levels_of`.
        data: items, best those that were trained on.
        progress: called with items done, items in all and a word.

    Raises:
        DataError: none of the items can be read.
    """
    how, taps = encoder.ready(), [level.tap for level in levels]
    best = [_nothing(len(level.channels)) for level in levels]
    skipped: list[tuple[str, str]] = []
    at_once = max(1, min(AT_ONCE, POINTS_AT_ONCE // math.prod(how.shape[1:])))
    for start in range(0, len(data), at_once):
        decoded = how.decode(data.sources[start : start + at_once])
        skipped += [(data.files[start + i], reason) for i, reason in decoded.problems]
        if len(decoded.values):
            with torch.inference_mode():
                features = encoder.features(decoded.values)
            positions = torch.from_numpy(start + decoded.kept)
            for place, maps in enumerate(outputs_at(encoder, features, taps).values()):
                best[place] = best[place].with_block(maps[:, list(levels[place].channels)], positions)
        if progress:
            progress(min(start + at_once, len(data)), len(data), "looking for patches")
    if len(skipped) == len(data):
        raise DataError("At least one item can be read", skipped[0][1] if skipped else "no items")
    looked = len(data) - len(skipped)
    return [
        _cut(encoder, level, found, data, looked, tuple(skipped)) for level, found in zip(levels, best, strict=True)
    ]


def _nothing(channels: int) -> _Best:
    empty = torch.empty((channels, 0), dtype=torch.int64)
    return _Best(torch.empty((channels, 0)), empty, empty)


def _cut(
    encoder: Encoder,
    level: Level,
    best: _Best,
    data: Dataset | Clips,
    looked: int,
    skipped: tuple[tuple[str, str], ...],
) -> StrongestPatches:
    how, field = encoder.ready(), receptive_field(encoder, level.tap)
    width = len(field.columns)
    patches: list[list[Patch]] = []
    pixels: list[list[Pixels]] = []
    for answers, items, places in zip(*(one.tolist() for one in best), strict=True):
        found = [
            Patch(item, data.files[item], answer, _shown_box(encoder, field, place // width, place % width))
            for answer, item, place in zip(answers, items, places, strict=True)
            if answer > 0
        ]
        patches.append(found)
        again = how.decode([data.sources[patch.item] for patch in found])
        pixels.append([_patch(one, p.box, field) for one, p in zip(how.shown(again.values), found, strict=True)])
    return StrongestPatches(level, patches, pixels, looked, skipped)


def _shown_box(encoder: Encoder, field: ReceptiveField, row: int, column: int) -> tuple[int, int, int, int]:
    """The box of a place in the item as it is shown, which has the high bands of a sound above."""
    top, bottom, left, right = field.box(row, column)
    if isinstance(how := encoder.ready(), Sounds):
        top, bottom = how.mels - bottom, how.mels - top
    return top, bottom, left, right


def _patch(pixels: Pixels, box: tuple[int, int, int, int], field: ReceptiveField) -> Pixels:
    """What is in `box`, in as much room as any place of the tap takes; what is missing at an edge is grey there."""
    top, bottom, left, right = box
    room = [int((ends[:, 1] - ends[:, 0]).max()) for ends in (field.rows, field.columns)]
    found = np.full((*room, pixels.shape[2]), OUTSIDE, np.uint8)
    y, x = (
        _offset(first, after, length, size)
        for (first, after), length, size in zip(((top, bottom), (left, right)), pixels.shape, room, strict=False)
    )
    found[y : y + bottom - top, x : x + right - left] = pixels[top:bottom, left:right]
    return found


def _offset(first: int, after: int, length: int, room: int) -> int:
    """Where a stretch of an item of some length begins in its room: it lacks what the item has not got."""
    missing = room - (after - first)
    if first == 0 and after == length:
        return missing // 2
    return missing if first == 0 else 0
