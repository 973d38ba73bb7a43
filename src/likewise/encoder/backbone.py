"""What a backbone is: ordered, named stages that end in a row of features. Each stage's name is a tap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import nn

Shape = tuple[int, int, int]  # (C, H, W)


@final
@dataclass(frozen=True)
class Backbone:
    """Stages to run in order, and how many features the last one gives."""

    stages: dict[str, nn.Module]
    features: int


def mean_of_places() -> nn.Sequential:
    """(N, C, H, W) -> (N, C): the mean of each channel over all places."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
