"""A prepare step one can read: it cuts a sheet into tiles of 8 x 8 pixels and leaves out the empty ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from PIL import Image

from likewise.prepare import Finder, Part

SIDE = 8


@final
@dataclass(frozen=True)
class Tiles(Finder):
    """Tiles with something in them, from left to right."""

    kind: ClassVar[str] = "tiles"
    one: ClassVar[str] = "a tile"
    many: ClassVar[str] = "tiles"
    searching: ClassVar[frozenset[str]] = frozenset(["faintest"])
    faintest: int = 16
    turned: bool = False

    def find(self, picture: Any) -> list[Part]:
        tiles = [(left, picture[:SIDE, left : left + SIDE]) for left in range(0, picture.shape[1], SIDE)]
        return [
            Part(
                tile[::-1] if self.turned else tile,
                (left, 0, SIDE, SIDE),
                None if tile.max() > 99 else f"as faint as {tile.max()}, 100 are needed",
            )
            for left, tile in tiles
            if tile.max() > self.faintest
        ]

    def sources(self) -> dict[str, str]:
        return {}


def sheet(file: Path, *tiles: np.ndarray) -> None:
    """Writes tiles side by side."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack(tiles).astype(np.uint8)).save(file)
