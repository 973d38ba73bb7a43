"""A part of a picture, ready to be encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from likewise.media.pictures import Pixels

Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the upright picture; may reach over its edges


@final
@dataclass(frozen=True)
class Part:
    """What is encoded of a picture.

    Attributes:
        values: (h, w, C) uint8, with as many channels as the picture: cut out and turned upright.
        box: where it is; None for all of the picture.
        flaw: why nothing should be decided by it ("31 pixels wide, 40 are needed"); None for a good one.
    """

    values: Pixels
    box: Box | None = None
    flaw: str | None = None
