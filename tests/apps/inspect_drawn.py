"""An encoder with weights set by hand, which sees red and nothing else, and pictures with a red square."""

from __future__ import annotations

import numpy as np
import torch

from likewise.encoder import Encoder, Pictures

SIDE, SQUARE = 64, 8


def red_encoder() -> Encoder:
    """Its first channel is how red a place is, all others are silent; the embedding is of that channel's maximum."""
    how = Pictures(3, SIDE, SIDE, mean=(0.5,) * 3, std=(0.5,) * 3)
    encoder = Encoder("convnet-small", 4, preprocessing=how, unit=True, seed=0)
    with torch.no_grad():
        for name, stage in encoder.stages.items():
            if name.startswith("conv"):
                for parameter in stage.parameters():
                    if parameter.ndim == 4:
                        parameter.zero_()
                        parameter[0, 0, 1, 1] = 1.0
        first = next(encoder.stages["conv1"].parameters())
        first[0, :, 1, 1] = torch.tensor([1.0, -0.5, -0.5])
        last = encoder.stages["embedding"]
        last.weight.zero_()
        last.bias.zero_()
        last.weight[:, 128] = torch.tensor([1.0, 2.0, 0.0, -1.0])  # the maximum of channel 0: means come before maxima
    return encoder.eval()


def with_square(top: int, left: int, seed: int = 0) -> np.ndarray:
    """(SIDE, SIDE, 3) grey noise with a red square."""
    rng = np.random.default_rng(seed)
    found = np.repeat(rng.integers(90, 160, (SIDE, SIDE, 1), np.uint8), 3, axis=2)
    found[top : top + SQUARE, left : left + SQUARE] = (230, 20, 20)
    return found
