"""What every stage makes of an item: its feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likewise.apps.drawing import Tile, coloured, tiled
from likewise.apps.inspect.subject import Shown, channel_names, outputs_at, upright
from likewise.encoder import EMBEDDING, Encoder

MOST, COLUMNS, SIDE = 64, 8, 88  # channels shown, in a row, and pixels
NEARLY_ALL = 0.995  # of the outputs of a tap are not brighter than can be shown
NAMED = 32  # numbers of a whole item that are shown with their names; more are cells of a block
ACROSS, CELL = 32, 18  # cells in a row of it, and pixels of one
LONGEST, HIGH, THICK = 900, 480, 12  # pixels at most: of what goes along time, of all its rows, and of one


@final
@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The outputs of one tap for one item.

    Attributes:
        tap: its name.
        maps: (channels, h, w).
        names: of the channels.
        answers: whether they are what the model answers.
    """

    tap: str
    maps: NDArray[np.float32]
    names: list[str]
    answers: bool

    @property
    def most(self) -> float:
        """By which all are scaled: larger than nearly all, as a few may stand out so far that nothing else is seen."""
        return float(np.quantile(np.abs(self.maps), NEARLY_ALL)) or float(np.abs(self.maps).max())

    def shown(self) -> NDArray[np.int64]:
        """Numbers of the channels that are drawn: all, or the 64 that the item excites most."""
        peaks = np.abs(self.maps).max(axis=(1, 2))
        return np.sort(np.argsort(-peaks, kind="stable")[:MOST])

    def said(self) -> str:
        """What there is to see, in a sentence."""
        channels, height, width = self.maps.shape
        scale = "blue below 0, vermilion above" if (self.maps < 0).any() else "black is 0"
        if self.answers:
            return f"What {self.tap} says of the item as a whole, before it is made a probability: {scale}."
        if (height, width) == (1, 1):
            return f"What {self.tap} says of the item as a whole, in {channels} numbers: {scale}."
        if height == 1:
            return f"{self.tap}: {channels} channels, a row each, over {width} steps of time; {scale}."
        some = "" if channels <= MOST else f", the {MOST} that this item excites most"
        return (
            f"{self.tap}: {channels} channels of {height} x {width} places{some}; {scale}, and all on one scale, whose"
            f" end is {self.most:.3g}. {self._silent()}"
        )

    def draw(self) -> Image.Image:
        """A map for each channel; rows of what goes along time; cells of what is said of the whole."""
        channels, height, width = self.maps.shape
        if (height, width) == (1, 1):
            return self._draw_numbers()
        if height == 1:
            rows = np.repeat(coloured(self.maps[:, 0], self.most), max(1, min(THICK, HIGH // channels)), axis=0)
            wide = np.repeat(rows, max(1, LONGEST // width), axis=1)
            return tiled([Tile(wide)], side=max(wide.shape), columns=1, title=f"{self.tap}: channels over time")
        colours = coloured(self.maps, self.most)
        tiles = [Tile(colours[k], self.names[k]) for k in self.shown().tolist()]
        return tiled(tiles, side=SIDE, columns=COLUMNS, title=f"{self.tap}, {height} x {width}")

    def _draw_numbers(self) -> Image.Image:
        values = self.maps[:, 0, 0]
        if len(values) <= NAMED:
            colours = coloured(values[:, None, None], self.most)
            told = [
                f"{name} {value:.2f}" if self.answers else name for name, value in zip(self.names, values, strict=True)
            ]
            tiles = [Tile(colour, text) for colour, text in zip(colours, told, strict=True)]
            return tiled(tiles, side=SIDE if self.answers else 36, columns=COLUMNS, title=self.tap)
        padded = np.full(-(-len(values) // ACROSS) * ACROSS, np.nan, np.float32)
        padded[: len(values)] = values
        cells = coloured(np.nan_to_num(padded).reshape(-1, ACROSS), self.most)
        cells[np.isnan(padded).reshape(-1, ACROSS)] = 255
        return tiled([Tile(cells)], side=ACROSS * CELL, columns=1, title=f"{self.tap}: {len(values)} numbers")

    def _silent(self) -> str:
        silent = int((self.maps == 0).all(axis=(1, 2)).sum())
        return f"{silent} of them say nothing of it." if silent else ""


def feature_maps(encoder: Encoder, item: Shown) -> list[FeatureMaps]:
    """The outputs of every tap for `item`, from the first to the last."""
    found = outputs_at(encoder, item.features, list(encoder.taps))
    return [
        FeatureMaps(
            tap, upright(encoder, maps)[0].numpy(), channel_names(encoder, tap, maps.shape[1]),
            tap == EMBEDDING and encoder.head is not None,
        )
        for tap, maps in found.items()
    ]  # fmt: skip
