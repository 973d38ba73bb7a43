"""The filters of the first layer: what the network looks for in the item itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from likewise.apps.drawing import Tile, roomy, signed, tiled
from likewise.apps.inspect.subject import upright
from likewise.encoder import Encoder
from likewise.media.pictures import Pixels

MOST, COLUMNS, SIDE = 64, 8, 72  # shown, in a row, and pixels
LAYERS = (nn.Conv2d, nn.Conv1d, nn.Linear)


@final
@dataclass(frozen=True, eq=False)
class Filters:
    """The weights of a first layer.

    Attributes:
        stage: that the layer is in.
        weights: (K, C, h, w), one filter for each channel that it gives.
        shown: (n,) numbers of those that are drawn: all, or the 64 with the largest weights.
    """

    stage: str
    weights: NDArray[np.float32]
    shown: NDArray[np.int64]

    def said(self) -> str:
        """What there is to see, in a sentence."""
        count, channels, height, width = self.weights.shape
        some = f"The {len(self.shown)} strongest of {count}" if len(self.shown) < count else f"All {count}"
        colour = (
            "in their own colours, grey for none"
            if channels == 3
            else "vermilion where bright excites, blue where it dampens"
        )
        return (
            f"{some} filters of {self.stage}, {height} x {width}: what the first layer looks for at each place,"
            f" {colour}. Each is shown at its own contrast."
        )

    def draw(self) -> Image.Image:
        """One tile for each filter, with its number."""
        tiles = [Tile(_shown(self.weights[k]), str(k)) for k in self.shown.tolist()]
        side = roomy(self.weights.shape[2:], SIDE)
        return tiled(tiles, side=side, columns=COLUMNS, title=f"{self.stage}: filters of the first layer")


def first_filters(encoder: Encoder) -> Filters:
    """The weights of the first layer that has any.

    Of a layer that sees all pixels at once a filter is as large as the item; of one over time as high as there are
    bands.
    """
    for name, stage in encoder.stages.items():
        for layer in stage.modules():
            if isinstance(layer, LAYERS):
                weights = layer.weight.detach().cpu()
                if isinstance(layer, nn.Linear):
                    weights = weights.view(-1, *encoder.ready().shape)
                elif isinstance(layer, nn.Conv1d):
                    weights = weights[:, None]
                found = upright(encoder, weights).numpy()
                norms = np.linalg.norm(found.reshape(len(found), -1), axis=1)
                return Filters(name, found, np.sort(np.argsort(-norms, kind="stable")[:MOST]))
    raise AssertionError("the last stage of every encoder is linear")


def _shown(weights: NDArray[np.floating[Any]]) -> Pixels:
    """(C, h, w) -> (h, w, 3)."""
    most = float(np.abs(weights).max())
    if len(weights) == 3:
        level = weights.transpose(1, 2, 0) / (most or 1)
        return (127.5 + 127.5 * level).round().astype(np.uint8)
    return signed(weights.mean(axis=0), most)
