"""What is inspected: an encoder whose stages can be looked into, and items as it is given them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from PIL import Image
from torch import Tensor

from likewise.apps.drawing import Tile, tiled
from likewise.apps.loading import load
from likewise.encoder import Encoder, Item, Sounds, evaluating
from likewise.encoder.preprocessing import name_of
from likewise.encoder.sequences import Recurrent
from likewise.errors import DataError, UsageError
from likewise.media.pictures import Pixels

SIDE = 340  # pixels


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """An item as an encoder is given it.

    Attributes:
        name: of its file.
        features: (1, C, H, W) what the network sees.
        pixels: (h, w, 1 or 3) uint8, the same for people; of a sound its spectrogram, high sounds above.
        kind: "picture" or "sound".
    """

    name: str
    features: Tensor
    pixels: Pixels
    kind: str

    def said(self) -> str:
        """What there is to see, in a sentence."""
        height, width = self.pixels.shape[:2]
        colour = "in colour" if self.pixels.shape[2] == 3 else "in grey"
        if self.kind == "sound":
            return f"What the model hears of it: a spectrogram of {height} bands and {width} frames, high sounds above."
        return f"What the model sees of it: {height} x {width} pixels, {colour}."

    def draw(self) -> Image.Image:
        """The item alone."""
        return tiled([Tile(self.pixels)], side=max(SIDE, *self.pixels.shape[:2]), columns=1)


def open_encoder(model: str | Path) -> Encoder:
    """The encoder of a model for any task.

    Raises:
        ModelError: no model, or a damaged one.
        UsageError: one of which only the embeddings are known, as of an ONNX file.
    """
    found = load(model).encoder
    if not isinstance(found, Encoder):
        raise UsageError(
            "Stages are looked into of a network that torch computes",
            f"{str(model)!r}, which {found.architecture()['engine']} computes as a whole",
            "What it makes of items as a whole is shown by `likewise map`.",
        )
    return found


def read_shown(encoder: Encoder, item: Item) -> Shown:
    """An item, read as the model reads it: of a picture with several faces, say, the most prominent.

    Raises:
        DataError: it cannot be read.
    """
    how = encoder.ready()
    decoded = how.decode([item])
    if decoded.problems:
        raise DataError(decoded.problems[0][1].rstrip("."))
    with torch.inference_mode():
        features = encoder.features(decoded.values)
    name = name_of(item)
    called = "the item" if name is None else Path(name).name
    return Shown(called, features.clone(), how.shown(decoded.values)[0], how.kind)


def outputs_at(encoder: Encoder, features: Tensor, taps: list[str]) -> dict[str, Tensor]:
    """(N, C, H, W) what the network sees -> by tap (N, channels, h, w); see `on_grid`."""
    with evaluating(encoder), torch.inference_mode():
        found = encoder.from_features(features, taps)
    return {tap: on_grid(encoder, tap, found[tap].float()) for tap in taps}


def on_grid(encoder: Encoder, tap: str, outputs: Tensor) -> Tensor:
    """Outputs of a tap as channels over places (N, channels, h, w).

    h is 1 for what goes along time, and both are 1 for what is of the whole item. Spectrograms, whose first band is the
    lowest, keep that order; `upright` turns them.
    """
    if outputs.ndim == 3:
        recurrent = [name for name, stage in encoder.stages.items() if isinstance(stage, Recurrent)]
        channels_last = encoder.taps.index(tap) >= encoder.taps.index(recurrent[0])  # (N, S, D) from there on
        return (outputs.transpose(1, 2) if channels_last else outputs)[:, :, None]
    return outputs if outputs.ndim == 4 else outputs[:, :, None, None]


def upright(encoder: Encoder, maps: Tensor) -> Tensor:
    """(..., h, w) as people look at it: of sounds with high ones above."""
    return maps.flip(-2) if isinstance(encoder.ready(), Sounds) else maps


def tap_called(encoder: Encoder, tap: str) -> str:
    """`tap`, if the encoder has it.

    Raises:
        UsageError: it has not.
    """
    if tap not in encoder.taps:
        raise UsageError(f"Taps of this model are {', '.join(encoder.taps)}", repr(tap))
    return tap


def channel_names(encoder: Encoder, tap: str, channels: int) -> list[str]:
    """What the channels of a tap are called: numbers from 0, and classes where these are what they stand for."""
    head = encoder.head
    if head is None or tap != encoder.taps[-1]:
        return [str(channel) for channel in range(channels)]
    return list(head.names[1:] if head.kind == "binary" else head.names)
