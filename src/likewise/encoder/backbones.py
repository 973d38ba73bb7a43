"""The networks in front of the embedding: ordered, named stages that end in a row of features.

A backbone is a function of the input shape; the encoder adds the last layer. Each stage's name is a tap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@final
@dataclass(frozen=True)
class Backbone:
    """Stages to run in order, and how many features the last one gives."""

    stages: dict[str, nn.Module]
    features: int


Shape = tuple[int, int, int]  # (C, H, W)


def mlp(shape: Shape) -> Backbone:
    """Two hidden layers of 512 and 256 units on all pixels at once."""
    channels, height, width = shape
    return Backbone(
        {
            "hidden1": nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 512), nn.ReLU()),
            "hidden2": nn.Sequential(nn.Linear(512, 256), nn.ReLU()),
        },
        256,
    )


def tutorial(shape: Shape) -> Backbone:
    """The plain network of introductions: two 5 x 5 convolutions with pooling and one hidden layer.

    With 28 x 28 grey pictures and a 100-d embedding it has 196,196 parameters. No batch normalisation. Larger pictures
    are pooled to the same 4 x 4 grid, so that the size of the network does not depend on them.
    """
    channels, _, _ = shape
    return Backbone(
        {
            "conv1": nn.Sequential(nn.Conv2d(channels, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
            "conv2": nn.Sequential(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
            "hidden": nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU()),
        },
        128,
    )


def convnet_small(shape: Shape) -> Backbone:
    """Four convolutions with batch normalisation, 32 to 128 channels: a laptop's first choice for small pictures."""
    channels, height, width = shape
    halvings = _halvings(height, width, least=2)
    stages: dict[str, nn.Module] = {
        "conv1": _conv_bn(channels, 32, pool=halvings > 0),
        "conv2": _conv_bn(32, 64, pool=halvings > 1),
        "conv3": _conv_bn(64, 128, pool=halvings > 2),
        "conv4": _conv_bn(128, 128),
    }
    for extra in range(3, halvings):  # larger pictures get more stages, so that the last one sees all of them
        stages[f"conv{extra + 2}"] = _conv_bn(128, 128, pool=True)
    stages["pooled"] = _Pooled()
    return Backbone(stages, 256)


def convnet(shape: Shape) -> Backbone:
    """Residual blocks with batch normalisation, 64 to 256 channels."""
    channels, height, width = shape
    halvings = _halvings(height, width, least=3)
    stages: dict[str, nn.Module] = {"stem": _conv_bn(channels, 64)}
    before = 64
    for i in range(max(3, halvings)):
        after = min(256, 64 * 2**i)
        stages[f"block{i + 1}"] = _Residual(before, after, stride=2 if i < halvings else 1)
        before = after
    stages["pooled"] = _Pooled()
    return Backbone(stages, 2 * before)


def resnet18(shape: Shape) -> Backbone:
    """ResNet-18 (He et al. 2016) for larger pictures: 7 x 7 stem with stride 2, four pairs of blocks, 64 to 512."""
    channels, _, _ = shape
    stem = nn.Sequential(
        nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    stages: dict[str, nn.Module] = {"stem": stem}
    before = 64
    for i, after in enumerate((64, 128, 256, 512)):
        first = _Residual(before, after, stride=1 if i == 0 else 2)
        stages[f"block{i + 1}"] = nn.Sequential(first, _Residual(after, after, stride=1))
        before = after
    stages["pooled"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(stages, 512)


BACKBONES: dict[str, Callable[[Shape], Backbone]] = {
    "tutorial": tutorial,
    "mlp": mlp,
    "convnet-small": convnet_small,
    "convnet": convnet,
    "resnet-18": resnet18,
}

SMALLEST_SIDE = {"tutorial": 16, "resnet-18": 32}  # pixels; below it nothing is left after the stem


def _halvings(height: int, width: int, least: int) -> int:
    """How often the picture can be halved until its shorter side is about `least` pixels."""
    side, count = min(height, width), 0
    while side // 2 >= least:
        side, count = side // 2, count + 1
    return count


def _conv_bn(before: int, after: int, *, pool: bool = False) -> nn.Sequential:
    # Pooling before normalisation leaves a quarter of the numbers to normalise: 1.3 times the images per second.
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(after), nn.ReLU())


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class _Pooled(nn.Module):
    """Mean and maximum over the picture, side by side: what is there on the whole, and what is there at all."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
