"""What tells style and content: a network that stays as it is, and whose taps are looked at."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from likewise.apps.inspect import reach
from likewise.apps.style.tiles import Tile, summed, tiles_of
from likewise.encoder import Encoder, Pictures, evaluating
from likewise.errors import UsageError
from likewise.objective.style import content_loss, gram, style_loss

# Gatys, Ecker and Bethge (2016), section 3.
GATYS = (("conv4_2",), ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"))
MOST_STYLE = 5  # taps of other networks, evenly from the first to the last
PROBE = 256  # pixels a side, of what taps are tried with

Maps = dict[str, Tensor]


@final
@dataclass(frozen=True, eq=False)
class Targets:
    """What pictures of one size are to come near to.

    Attributes:
        content: for each tile that they are computed in, by tap (C, h, w) of the content there.
        energy: by tap the sum of squares of that.
        places: by tap how many there are.
        grams: by tap (C, C) of the styles, per place.
    """

    content: dict[Tile, Maps]
    energy: Maps
    places: dict[str, int]
    grams: Maps


@final
class Judge:
    """Computes content and style losses of pictures of any size.

    Args:
        encoder: whose taps tell them; it is copied.
        content, style: names of taps; None for those of Gatys et al. in VGG19, and in other networks the middle of the
            taps that have places, and five from the first to the last.
        tile: pixels; what is larger is computed in tiles of about this side.
        dtype: of the network's numbers.
        device: it is computed on.

    Attributes:
        channels: 1 or 3, of what it sees.
        content, style: names of taps.

    Raises:
        UsageError: no encoder of pictures, a tap that is not there, or one that has no places.
    """

    def __init__(
        self,
        encoder: Encoder,
        content: tuple[str, ...] | None = None,
        style: tuple[str, ...] | None = None,
        *,
        tile: int = 1024,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        how = encoder.ready()
        if not isinstance(how, Pictures):
            raise UsageError("Style is told by a network that sees pictures", f"one of {how.kind}s")
        self.channels, self._tile, self._dtype = how.channels, tile, dtype
        grids = _grids(encoder)
        if not grids:
            raise UsageError(
                "Style is told by a network whose taps have places", f"backbone {encoder.backbone}", "Use vgg19, say."
            )
        usual_content, usual_style = _usual(list(grids))
        self.content, self.style = content or usual_content, style or usual_style
        for tap in (*self.content, *self.style):
            if tap not in grids:
                raise UsageError(f"Taps that tell style and content are {', '.join(grids)}", repr(tap))
        self._taps = [tap for tap in grids if tap in (*self.content, *self.style)]
        self._encoder, self._grids = encoder, {tap: grids[tap] for tap in self._taps}
        self._front = how.front().to(device)
        self._network = deepcopy(encoder).eval().requires_grad_(False)
        needed = encoder.taps[: encoder.taps.index(self._taps[-1]) + 1]
        self._network.stages = nn.ModuleDict({tap: self._network.stages[tap] for tap in needed})
        self._network.stages.to(device, dtype)
        for stage in self._network.stages.values():
            for parameter in stage.parameters():
                if parameter.ndim == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def check(self, height: int, width: int) -> None:
        """Refuses, before any work, pictures that could not be computed.

        Raises:
            UsageError: larger than a tile, and the taps do not allow tiles.
        """
        if max(height, width) > self._tile and self._grid is None:
            raise UsageError(
                f"Pictures of more than {self._tile} pixels are computed in tiles, and "
                f"{self._encoder.backbone} does not allow them, as it loses borders",
                f"{width} x {height}",
                "Pass a smaller size, a larger tile if there is memory for it, or another judge.",
            )

    def targets(self, content: Tensor, styles: list[tuple[Tensor, float]]) -> Targets:
        """What pictures of the size of `content` are to come near to.

        Args:
            content: (1, C, H, W) in [0, 1].
            styles: (1, C, h, w) each, of any size, and its share.

        Raises:
            UsageError: see `check`.
        """
        grams: Maps = {}
        wanted: dict[Tile, Maps] = {}
        energy: Maps = {}
        places = dict.fromkeys(self.style, 0)
        with torch.no_grad():
            for picture, share in styles:
                for tap, found in self._grams(picture).items():
                    grams[tap] = share * found + grams.get(tap, 0)
            for tile in self._tiles(content):
                maps = self._outputs(tile.crop(content), tile)
                wanted[tile] = {tap: maps[tap].float() for tap in self.content}
                for tap in self.content:
                    energy[tap] = wanted[tile][tap].square().sum() + energy.get(tap, 0)
                for tap in self.style:
                    places[tap] += maps[tap][0].numel()
        return Targets(wanted, energy, places, grams)

    def _grams(self, style: Tensor) -> Maps:
        """(1, C, h, w) -> by tap (C, C) per place. Of outputs one tile's are kept: all are many times the picture."""
        grams: Maps = {}
        places = dict.fromkeys(self.style, 0)
        for tile in self._tiles(style):
            maps = self._outputs(tile.crop(style), tile)
            for tap in self.style:
                grams[tap] = gram(maps[tap]) + grams.get(tap, 0)
                places[tap] += maps[tap][0].numel()
        return {tap: grams[tap] / places[tap] for tap in self.style}

    def losses(self, pictures: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """(1, C, H, W) in [0, 1] -> () content loss and () style loss, means over their taps; gradients pass back."""

        def sums(part: Tensor, tile: Tile) -> tuple[Tensor, ...]:
            found, wanted = self._outputs(part, tile), targets.content[tile]
            missed = [(found[tap].float() - wanted[tap]).square().sum() for tap in self.content]
            return (*missed, *(gram(found[tap]) for tap in self.style))

        totals = iter(summed(pictures, list(targets.content), sums))
        content = [content_loss(next(totals), targets.energy[tap]) for tap in self.content]
        style = [style_loss(next(totals) / targets.places[tap], targets.grams[tap]) for tap in self.style]
        return torch.stack(content).mean(), torch.stack(style).mean()

    def _outputs(self, part: Tensor, tile: Tile) -> Maps:
        """(1, C, h, w) of a tile and its margin -> by tap (C, h, w) of the places that are the tile's own."""
        features = self._front(part.expand(-1, self.channels, -1, -1)).to(self._dtype)
        found = self._network.from_features(features, self._taps)
        return {tap: tile.own(maps[0], self._grids[tap]) for tap, maps in found.items()}

    def _tiles(self, picture: Tensor) -> list[Tile]:
        height, width = picture.shape[2:]
        self.check(height, width)
        if max(height, width) <= self._tile or self._grid is None:
            return [Tile(0, height, 0, width, (0, height, 0, width))]
        return tiles_of(height, width, self._tile, self._margin, self._grid)

    @cached_property
    def _grid(self) -> int | None:
        """Pixels of a place of the coarsest tap; None where tiles cannot be put together."""
        grids = [grid for grid in self._grids.values() if grid is not None]
        return math.lcm(*grids) if len(grids) == len(self._grids) else None

    @cached_property
    def _margin(self) -> int:
        """Pixels in each direction that a place depends on."""
        return max(reach(self._encoder, tap) for tap in self._taps)


def _grids(encoder: Encoder) -> dict[str, int | None]:
    """Of each tap that has places, pixels from one to the next.

    None where there is no such number, as borders are lost on the way.
    """
    probe = torch.zeros(1, *encoder.ready().shape[:1], PROBE, PROBE)
    found: dict[str, int | None] = {}
    with evaluating(encoder), torch.inference_mode():
        for tap, stage in encoder.stages.items():
            try:
                probe = stage(probe)
            except RuntimeError:  # made for pictures of one size, as are all behind it
                break
            if probe.ndim != 4 or min(probe.shape[2:]) < 2:
                break
            count = probe.shape[2]
            found[tap] = PROBE // count if PROBE % count == 0 else None
    return found


def _usual(taps: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The taps that tell content and style unless others are named."""
    if set(GATYS[0] + GATYS[1]) <= set(taps):
        return GATYS
    chosen = [taps[round(i)] for i in np.linspace(0, len(taps) - 1, MOST_STYLE)] if taps else []
    return tuple(taps[len(taps) // 2 : len(taps) // 2 + 1]), tuple(dict.fromkeys(chosen))
