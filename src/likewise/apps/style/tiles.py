"""Sums over the places of a picture, computed tile by tile: the same numbers and gradients in bounded memory.

Each tile is seen with a margin as wide as the network looks, and only places of the tile itself are counted, so that no
place misses anything of what it depends on. What is kept is one tile's outputs, not the picture's: gradients compute
each tile once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Tile:
    """A part of a picture, in pixels.

    Attributes:
        top, bottom, left, right: of what is counted; bottom and right are outside.
        seen: the same of what is looked at, which is that and the margin.
    """

    top: int
    bottom: int
    left: int
    right: int
    seen: tuple[int, int, int, int]

    def crop(self, picture: Tensor) -> Tensor:
        """(N, C, H, W) -> the part of it that is looked at."""
        top, bottom, left, right = self.seen
        return picture[:, :, top:bottom, left:right]

    def own(self, maps: Tensor, grid: int | None) -> Tensor:
        """(C, h, w) of what is looked at -> the part of what is counted; all where both are the same.

        Args:
            maps: outputs of a tap.
            grid: pixels from one place to the next.
        """
        top, bottom, left, right = self.seen
        if (top, bottom, left, right) == (self.top, self.bottom, self.left, self.right) or grid is None:
            return maps
        rows, columns = (
            slice((first - seen) // grid, None if after == seen_after else (after - seen) // grid)
            for first, after, seen, seen_after in (
                (self.top, self.bottom, top, bottom), (self.left, self.right, left, right),
            )
        )  # fmt: skip
        return maps[:, rows, columns]


Sums = Callable[[Tensor, Tile], tuple[Tensor, ...]]  # (N, C, h, w) of a tile and its margin -> sums over its places


def tiles_of(height: int, width: int, side: int, margin: int, grid: int) -> list[Tile]:
    """Tiles of at most about `side` pixels that cover a picture; one where it is no larger.

    Args:
        height, width: of the picture.
        side: of a tile; rounded to whole places.
        margin: that is looked at around it.
        grid: pixels of a place of the coarsest tap, on whose borders tiles begin.
    """
    rows, columns = (_cuts(length, side, grid) for length in (height, width))
    return [
        Tile(
            top,
            bottom,
            left,
            right,
            (*_seen(top, bottom, height, margin, grid), *_seen(left, right, width, margin, grid)),
        )
        for top, bottom in rows
        for left, right in columns
    ]


def _seen(first: int, after: int, length: int, margin: int, grid: int) -> tuple[int, int]:
    """From where to where is looked at: what is left out, on both sides, are whole places.

    So a tile is as long as the picture up to whole places, and layers whose borders depend on the length (odd or even,
    at each of their strides: `SameConv2d`) sample both at the same pixels.
    """
    return max(0, (first - margin) // grid * grid), length - max(0, (length - after - margin) // grid * grid)


def _cuts(length: int, side: int, grid: int) -> list[tuple[int, int]]:
    """Where parts begin and end: as few as there can be, of about the same length."""
    count = -(-length // side)
    each = max(grid, round(length / count / grid) * grid)
    starts = [i * each for i in range(count) if i * each < length]
    return list(zip(starts, [*starts[1:], length], strict=True))


def summed(pixels: Tensor, tiles: list[Tile], sums: Sums) -> tuple[Tensor, ...]:
    """`sums` over all places of a picture (N, C, H, W); gradients pass back to it."""
    if len(tiles) == 1:
        return sums(pixels, tiles[0])
    found: Any = _InTiles.apply(pixels, tiles, sums)
    return found


class _InTiles(torch.autograd.Function):
    """Adds up what tiles give, and in the second pass their gradients, margins and all."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, tiles: list[Tile], sums: Sums) -> tuple[Tensor, ...]:
        ctx.save_for_backward(pixels)
        ctx.tiles, ctx.sums = tiles, sums
        total = list(sums(tiles[0].crop(pixels), tiles[0]))
        for tile in tiles[1:]:
            total = [one + more for one, more in zip(total, sums(tile.crop(pixels), tile), strict=True)]
        return tuple(total)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (pixels,) = ctx.saved_tensors
        gradient = torch.zeros_like(pixels)
        for tile in ctx.tiles:
            with torch.enable_grad():
                part = tile.crop(pixels).detach().requires_grad_()
                found = ctx.sums(part, tile)
            tile.crop(gradient).add_(torch.autograd.grad(found, part, grads)[0])
        return gradient, None, None
