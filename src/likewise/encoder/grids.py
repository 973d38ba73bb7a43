"""Networks that look at a picture once and give outputs at every place of a grid, as detectors do.

What a sequence is to sounds: one output per step, here one per cell. Any backbone of convolutions serves, without its
pooling; behind it stands a neck, three convolutions that see what lies around a cell.
"""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import Tensor, nn

from likewise.encoder.backbone import Backbone, Shape
from likewise.encoder.head import Head
from likewise.errors import UsageError
from likewise.objective.yolo import PER_BOX

NECK = "neck"  # the stage
NARROWEST, WIDEST = 128, 256  # channels of a neck; in between as many as the backbone has
ROOTS = (0.3, 0.7)  # square roots of sides that the boxes of a cell begin with, the first and the last


def gridded(network: Backbone, shape: Shape, stride: int) -> Backbone:
    """The stages of `network` that halve the picture until cells of `stride` pixels, and a neck: (N, R, S, features).

    Raises:
        UsageError: sides that are no multiples of it, or no stage has such cells.
    """
    channels, height, width = shape
    if height % stride or width % stride:
        raise UsageError(f"Cells of {stride} pixels divide a picture", f"{height} x {width}", "Pass another size.")
    seen: dict[str, torch.Size] = {}
    h = torch.zeros(1, channels, height, width)
    with torch.no_grad():
        for name, stage in network.stages.items():
            h = stage.eval()(h)
            stage.train()
            seen[name] = h.shape
    fine = list(takewhile(lambda item: len(item[1]) == 4 and item[1][2] * stride >= height, seen.items()))
    if not fine or fine[-1][1][2:] != (height // stride, width // stride):
        there = {height // size[2] for size in seen.values() if len(size) == 4 and height % size[2] == 0}
        strides = ", ".join(str(one) for one in sorted(there)) or "none: it has no places"
        raise UsageError(f"Cells of this backbone are of {strides} pixels", stride, "Pass another stride or backbone.")
    before = fine[-1][1][1]
    after = min(max(before, NARROWEST), WIDEST)
    stages = {name: network.stages[name] for name, _ in fine}
    return Backbone({**stages, NECK: Neck(before, after)}, after)


def answering(features: int, head: Head) -> nn.Linear:
    """The last layer, (..., features) -> (..., B * 5 + C), that begins with boxes of several sizes, amid the cells.

    Alike they would all be equally far from every object, and one of them would learn them all.
    """
    layer = nn.Linear(features, head.outputs)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        each = layer.bias[: head.per_cell * PER_BOX].view(head.per_cell, PER_BOX)
        each[:, :2] = 0.5
        each[:, 2:4] = torch.linspace(*ROOTS, head.per_cell)[:, None]
    return layer


class Neck(nn.Module):
    """(N, before, R, S) -> (N, R, S, after): a convolution of single cells and two of 3 x 3, one of them spread out."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(before, after, 1), *_convolution(after, after, 3), *_convolution(after, after, 3, spread=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.layers(x).permute(0, 2, 3, 1)


def _convolution(before: int, after: int, kernel: int, spread: int = 1) -> list[nn.Module]:
    around = kernel // 2 * spread
    convolution = nn.Conv2d(before, after, kernel, padding=around, dilation=spread, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
