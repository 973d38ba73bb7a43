"""Boxes on their way to a network and back: pixels of a picture, and shares of the page it is padded to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likewise.encoder.pictures import Pictures
from likewise.errors import UsageError
from likewise.media.pictures import padded

Boxes = NDArray[np.float64]


def to_page(boxes: Boxes, size: tuple[int, int], how: Pictures) -> Boxes:
    """(k, 4) x, y, width and height in pixels of a picture of `size` (height, width) -> (k, 4) centre x and y, width
    and height as shares of what the network sees.

    Raises:
        UsageError: pictures are not brought to the network by "pad".
    """
    scale, shift = _placed(size, how)
    corner, side = boxes[:, :2] * scale + shift, boxes[:, 2:] * scale
    return np.concatenate([corner + side / 2, side], axis=1) / np.tile([how.width, how.height], 2)


def from_page(boxes: Boxes, size: tuple[int, int], how: Pictures) -> Boxes:
    """The way back, exactly; boxes may reach over the edges of the picture then.

    Raises:
        UsageError: see `to_page`.
    """
    scale, shift = _placed(size, how)
    on_page = boxes * np.tile([how.width, how.height], 2)
    corner = on_page[:, :2] - on_page[:, 2:] / 2
    return np.concatenate([(corner - shift) / scale, on_page[:, 2:] / scale], axis=1)


def clipped(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """(k, 4) x, y, width and height, without what reaches over the edges of a picture of `size` (height, width)."""
    most = np.array([size[1], size[0]], np.float64)
    first, last = boxes[:, :2].clip(0, most), (boxes[:, :2] + boxes[:, 2:]).clip(0, most)
    return np.concatenate([first, last - first], axis=1)


def _placed(size: tuple[int, int], how: Pictures) -> tuple[Boxes, Boxes]:
    """How much larger, and where on the page, each (2,): across and down. Both sides are rounded to whole pixels."""
    if how.resize != "pad":
        raise UsageError("Boxes are found in pictures that keep their aspect ratio", repr(how.resize), "Use pad.")
    rows, columns = size
    inner, corner = padded(rows, columns, how.height, how.width)
    return np.array(inner) / (columns, rows), np.array(corner, np.float64)
