"""A toy prepare step: bright squares of 8 x 8 on a black picture. The service's decoders import it by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from likewise.media.pictures import Pixels
from likewise.prepare import Finder, Part

SIDE = 8


@final
@dataclass(frozen=True)
class Tiles(Finder):
    """Finds every square of the grid that is not all black; one without any black is flawed."""

    kind: ClassVar[str] = "tiles"
    one: ClassVar[str] = "a tile"
    many: ClassVar[str] = "tiles"

    def find(self, picture: Pixels) -> list[Part]:
        """See `Finder`."""
        found: list[Part] = []
        for top in range(0, picture.shape[0] - SIDE + 1, SIDE):
            for left in range(0, picture.shape[1] - SIDE + 1, SIDE):
                tile = picture[top : top + SIDE, left : left + SIDE]
                if tile.any():
                    flaw = "too bright: nothing is black" if tile.all() else None
                    found.append(Part(tile, (left, top, SIDE, SIDE), flaw))
        return found

    def sources(self) -> dict[str, str]:
        """See `Finder`."""
        return {}
