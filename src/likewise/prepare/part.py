"""A part of an item, ready to be encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the upright picture; may reach over its edges


@final
@dataclass(frozen=True)
class Part:
    """What is encoded of a picture, or of a sound.

    Attributes:
        values: (h, w, C) uint8, with as many channels as the picture: cut out and turned upright. (T,) int16 of a
            sound.
        box: where it is; None for all of the item.
        flaw: why nothing should be decided by it ("31 pixels wide, 40 are needed"); None for a good one.
    """

    values: NDArray[Any]
    box: Box | None = None
    flaw: str | None = None
