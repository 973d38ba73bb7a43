"""Many small pictures in one: a sprite sheet of bounded size."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from likewise.errors import UsageError

LONGEST_SIDES = (128, 96, 64, 48, 32, 24, 16)  # pixels a thumbnail is shrunk to, the first that fits
MOST_PIXELS = 32_000_000  # of the sheet: 128 MB once a browser has decoded it
MOST_BYTES = 9_000_000  # of the file: 12 MB as base64
BLOCK = 2_048  # thumbnails shrunk at a time


@dataclass(frozen=True)
class Sheet:
    """Thumbnails side by side, row after row, in one JPEG.

    Attributes:
        jpeg: the file.
        size: (width, height) of one thumbnail.
        cell: (width, height) of the room it has: whole JPEG blocks, so that none colours its neighbours.
        columns: cells per row.
        every: cell c shows item c * every; items between have no thumbnail.
    """

    jpeg: bytes
    size: tuple[int, int]
    cell: tuple[int, int]
    columns: int
    every: int


def sheet_of(thumbnails: Any) -> Sheet:
    """One sheet of (N, h, w, C) uint8 thumbnails, C = 1 or 3: at most 9 MB and 32 million pixels.

    Thumbnails are shrunk as far as that takes, never enlarged, and keep their shape. If they do not fit even
    at 16 pixels, every second, third, ... item keeps its own.

    Raises:
        UsageError: another shape or type.
    """
    pictures = np.asarray(thumbnails)
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or pictures.shape[3] not in (1, 3) or 0 in pictures.shape:
        raise UsageError(
            "Thumbnails are uint8 of shape (N, height, width, 1 or 3)",
            f"{pictures.dtype} {pictures.shape}",
            "",
        )
    height, width = pictures.shape[1:3]
    longest = max(height, width)
    sides = [side for side in (longest, *LONGEST_SIDES) if side <= min(longest, LONGEST_SIDES[0])]
    every = 1
    while True:
        kept = pictures[::every]
        for side in sides:
            size = max(1, round(width * side / longest)), max(1, round(height * side / longest))
            cell = tuple(8 * math.ceil(length / 8) for length in size)
            if len(kept) * cell[0] * cell[1] > MOST_PIXELS:
                continue
            columns = math.ceil(math.sqrt(len(kept) * cell[1] / cell[0]))
            jpeg = _jpeg(_tiled(_shrunk(kept, size), (cell[0], cell[1]), columns))
            if len(jpeg) <= MOST_BYTES:
                return Sheet(jpeg, size, (cell[0], cell[1]), columns, every)
        every += 1


def _shrunk(pictures: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(N, h, w, C) -> (N, size[1], size[0], C), antialiased."""
    if pictures.shape[1:3] == size[::-1]:
        return pictures
    blocks = [
        interpolate(torch.tensor(block).permute(0, 3, 1, 2), size[::-1], mode="bilinear", antialias=True)
        for block in np.split(pictures, range(BLOCK, len(pictures), BLOCK))
    ]
    return torch.cat(blocks).permute(0, 2, 3, 1).numpy()


def _tiled(pictures: NDArray[np.uint8], cell: tuple[int, int], columns: int) -> NDArray[np.uint8]:
    """(N, h, w, C) -> (rows * cell height, columns * cell width, C)."""
    n, height, width, channels = pictures.shape
    rows = math.ceil(n / columns)
    padded = np.pad(pictures, ((0, 0), (0, cell[1] - height), (0, cell[0] - width), (0, 0)), mode="edge")
    sheet = np.zeros((rows * columns, cell[1], cell[0], channels), np.uint8)
    sheet[:n] = padded
    grid = sheet.reshape(rows, columns, cell[1], cell[0], channels).swapaxes(1, 2)
    return grid.reshape(rows * cell[1], columns * cell[0], channels)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    # Full colour resolution: with half of it a block is 16 pixels wide and would reach into the next cell.
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=85, subsampling=0)
    return file.getvalue()
