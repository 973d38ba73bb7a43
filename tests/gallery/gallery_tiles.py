"""A finder for tests: a picture is a row of square tiles, black where there is nothing, and dark where it is poor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from likewise.prepare import Finder, Part

SIDE = 8
DARK = "too dark"


@dataclass(frozen=True)
class Tiles(Finder):
    """The brightest first."""

    kind: ClassVar[str] = "tiles"
    one: ClassVar[str] = "tile"
    many: ClassVar[str] = "tiles"
    darkest: int = 60

    def find(self, picture: np.ndarray) -> list[Part]:
        cut = [(left, picture[:SIDE, left : left + SIDE]) for left in range(0, picture.shape[1], SIDE)]
        cut = sorted(((left, tile) for left, tile in cut if tile.any()), key=lambda one: -one[1].mean())
        return [Part(tile, (left, 0, SIDE, SIDE), DARK if tile.mean() < self.darkest else None) for left, tile in cut]

    def sources(self) -> dict[str, str]:
        return {}
