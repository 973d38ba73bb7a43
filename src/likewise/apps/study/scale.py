"""The sizes that pictures, and the rates that sounds, may be brought to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from likewise.data import Dataset
from likewise.encoder import Pictures, Preprocessing, Sounds, Wanted
from likewise.encoder.backbones import SMALLEST_SIDE
from likewise.errors import DataError, UsageError

SIZES = (8, 16, 32, 64, 128)  # pixels a side
RATES = (1000, 2000, 4000, 8000, 16000)  # hertz


@final
class Scale:
    """What items of some data are brought to, from coarse to fine: pixels a side, or samples per second.

    Args:
        data: pictures or sounds.

    Attributes:
        sounds: whether they are.
        colour: whether they are pictures of which some have colour.
        native: the size that most of the data have.
        unit: what a size is counted in.

    Raises:
        DataError: none can be read.
    """

    def __init__(self, data: Dataset) -> None:
        how = Wanted().suiting(data.sources)
        self.sounds = isinstance(how, Sounds)
        self.colour = isinstance(how, Pictures) and how.channels == 3
        self._seconds = how.seconds if isinstance(how, Sounds) else None
        self.native = how.rate if isinstance(how, Sounds) else max(how.shape[1:])
        self.unit = "Hz" if self.sounds else "pixels a side"

    def usual(self, backbone: str) -> tuple[int, ...]:
        """Sizes below what the data have, and that; larger ones could show no more.

        Raises:
            DataError: the data have no size below theirs that the backbone takes.
        """
        least = self._least(backbone)
        smaller = [size for size in (RATES if self.sounds else SIZES) if least <= size < self.native]
        if not smaller and self.native // 2 < least:
            raise DataError(
                f"A study of resolution makes items coarser, and {backbone} takes {least:,} {self.unit} or more",
                f"{self.native:,} {self.unit} in most of the data", "Bring finer ones, or take another --backbone.",
            )  # fmt: skip
        return (*(smaller or [self.native // 2]), self.native)

    def how(self, data: Dataset, size: int, *, grey: bool = False) -> Preprocessing:
        """What brings items to a size.

        Raises:
            DataError: none can be read.
        """
        wanted = Wanted(rate=size, seconds=self._seconds) if self.sounds else Wanted(size=size, grey=grey)
        return wanted.suiting(data.sources)

    def check(self, sizes: Sequence[int], backbone: str) -> None:
        """Refuses what no run could be made of.

        Raises:
            UsageError: sizes that are not rising, or too small for the backbone.
        """
        if len(sizes) < 2 or sorted(set(sizes)) != list(sizes):
            raise UsageError("A study of resolution has two sizes or more, rising", ", ".join(map(str, sizes)))
        least = self._least(backbone)
        if sizes[0] < least:
            kind, unit = ("sounds", "Hz") if self.sounds else ("pictures", "pixels a side")
            raise UsageError(f"{backbone} takes {kind} of {least:,} {unit} or more", sizes[0], "Leave it out.")

    def _least(self, backbone: str) -> int:
        return 1_000 if self.sounds else SMALLEST_SIDE.get(backbone, 4)

    def called(self, size: int) -> str:
        """Items of a size."""
        return f"sounds at {size:,} Hz" if self.sounds else f"pictures of {size} x {size}"
