"""What of an item a place of a feature map depends on: its receptive field."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.apps.inspect.subject import on_grid
from likewise.encoder import Encoder

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
AT_ONCE = 8  # places


@final
@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Which rows and columns of what the network sees the places of a tap depend on.

    Attributes:
        rows: (h, 2) int64, of each row of places: the first that it sees, and the first after those.
        columns: (w, 2) int64, likewise.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of what a place sees; bottom and right are outside."""
        top, bottom = self.rows[row].tolist()
        left, right = self.columns[column].tolist()
        return top, bottom, left, right


def receptive_field(encoder: Encoder, tap: str) -> ReceptiveField:
    """The receptive field of every place of a tap, exactly, whatever its stages are made of.

    It is what gradients reach in a copy of the stages in which nothing cancels and nothing is cut off: all weights are
    above 0, all inputs too, normalisation does nothing, and means stand for maxima. Of a recurrent layer it is all that
    came before.
    """
    stages = _open(encoder, tap)
    seen = torch.ones(1, *encoder.ready().shape, dtype=torch.float64)
    with torch.no_grad():
        height, width = on_grid(encoder, tap, stages(seen)).shape[2:]
    return ReceptiveField(
        *(
            np.concatenate(
                [_reached(encoder, tap, stages, seen, axis, block) for block in torch.arange(size).split(AT_ONCE)]
            )
            for axis, size in ((2, height), (3, width))
        )
    )


def _open(encoder: Encoder, tap: str) -> nn.Sequential:
    """The stages up to `tap`, through which everything passes."""
    stages = nn.Sequential(*deepcopy([encoder.stages[name] for name in encoder.taps[: encoder.taps.index(tap) + 1]]))
    for module in list(stages.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, (*NORMS, nn.ReLU6)):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for parameter in stages.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.fill_(1 / fan_in if parameter.ndim > 1 else 0)  # so that sums stay near 1; biases are 0
    return stages.double().eval()


def _reached(
    encoder: Encoder, tap: str, stages: nn.Module, seen: Tensor, axis: int, places: Tensor
) -> NDArray[np.int64]:
    """(n, 2) for rows (`axis` 2) or columns (3) of places: the first row or column each sees, and the first after."""
    inputs = seen.expand(len(places), -1, -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        found = on_grid(encoder, tap, stages(inputs)).sum(dim=(1, 5 - axis))  # (n, h) or (n, w)
        (gradient,) = torch.autograd.grad(found.gather(1, places[:, None]).sum(), inputs)
    reached = (gradient != 0).any(dim=1).any(dim=4 - axis)  # (n, H) or (n, W)
    first = reached.int().argmax(dim=1)
    after = reached.shape[1] - reached.flip(1).int().argmax(dim=1)
    return torch.stack([first, after], dim=1).numpy()
