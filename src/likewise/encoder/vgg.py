"""VGG19, the usual judge of style (Simonyan and Zisserman 2015, "Very Deep Convolutional Networks", table 1, E)."""

from __future__ import annotations

from typing import Literal

from torch import nn

from likewise.encoder.backbone import Backbone, Shape, mean_of_places

Pooling = Literal["maximum", "average"]
POOLS: dict[Pooling, type[nn.MaxPool2d | nn.AvgPool2d]] = {"maximum": nn.MaxPool2d, "average": nn.AvgPool2d}
BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels and convolutions between two poolings


def vgg19(shape: Shape) -> Backbone:
    """Sixteen 3 x 3 convolutions of 64 to 512 channels in five blocks, conv1_1 to conv5_4, and a mean at the end.

    Each stage is a convolution and its ReLU, and the first of a block begins with the pooling before it. Without
    normalisation it is hard to train from the start; its published weights are in `likewise.encoder.imagenet`.
    """
    return _vgg19(shape, "maximum")


def vgg19_average(shape: Shape) -> Backbone:
    """The same with means of 2 x 2 places for their maximum, which Gatys, Ecker and Bethge (2016, section 2) prefer."""
    return _vgg19(shape, "average")


def _vgg19(shape: Shape, pooling: Pooling) -> Backbone:
    before, _, _ = shape
    stages: dict[str, nn.Module] = {}
    for block, (channels, count) in enumerate(BLOCKS, start=1):
        for place in range(1, count + 1):
            pool = [POOLS[pooling](2)] if block > 1 and place == 1 else []
            convolution = nn.Conv2d(before, channels, 3, padding=1)
            stages[f"conv{block}_{place}"] = nn.Sequential(*pool, convolution, nn.ReLU(inplace=True))
            before = channels
    return Backbone({**stages, "pooled": mean_of_places()}, before)
