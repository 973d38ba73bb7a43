"""The networks in front of the embedding, each a function of the input shape; the encoder adds the last layer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.backbone import Backbone, Shape, mean_of_places
from likewise.encoder.efficientnet import efficientnet_lite0
from likewise.encoder.vgg import vgg19, vgg19_average
from likewise.errors import UsageError


def linear(shape: Shape) -> Backbone:
    """All pixels at once and nothing else: with a head logistic regression, for several classes its softmax form."""
    channels, height, width = shape
    return Backbone({"pixels": nn.Flatten()}, channels * height * width)


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


def darknet_tiny(shape: Shape) -> Backbone:
    """After Tiny YOLO (Redmon et al. 2016): 16 to 256 channels, halved five times, the first time by stride.

    Quick on large pictures, for detectors: 0.4 of the time that convnet-small takes at 416 pixels is left by beginning
    with few channels, and half of that by never computing at the full size.
    """
    channels, _, _ = shape
    stages: dict[str, nn.Module] = {"stem": _conv_bn(channels, 16, stride=2)}
    for i, (before, after) in enumerate(pairwise((16, 32, 64, 128, 256))):
        stages[f"conv{i + 2}"] = _conv_bn(before, after, pool=True)
    stages["pooled"] = _Pooled()
    return Backbone(stages, 512)


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
    stages["pooled"] = mean_of_places()
    return Backbone(stages, 512)


def dlib_face(shape: Shape) -> Backbone:
    """Dlib's network for faces (King 2017): 29 convolutions in residual blocks, 32 to 256 channels.

    It is the one its published weights fit, with the normalisation that training needed folded into the convolutions.
    Made for them and not for training anew: `likewise.encoder.dlib_face`.

    Raises:
        UsageError: pictures of another shape than 3 x 150 x 150.
    """
    if shape != (3, 150, 150):
        raise UsageError(
            "Backbone dlib-face takes 3 x 150 x 150 pixels",
            " x ".join(str(size) for size in shape),
            "Start from its weights with `--from dlib-face-128`, or pass another backbone.",
        )
    return Backbone(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 32, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            "level32": nn.Sequential(*(PaddedResidual(32, 32) for _ in range(3))),
            "level64": nn.Sequential(PaddedResidual(32, 64, halve=True), *(PaddedResidual(64, 64) for _ in range(3))),
            "level128": nn.Sequential(
                PaddedResidual(64, 128, halve=True), *(PaddedResidual(128, 128) for _ in range(2))
            ),
            "level256": nn.Sequential(
                PaddedResidual(128, 256, halve=True), *(PaddedResidual(256, 256) for _ in range(2))
            ),
            "top": PaddedResidual(256, 256, halve=True),
            "pooled": mean_of_places(),
        },
        256,
    )


BACKBONES: dict[str, Callable[[Shape], Backbone]] = {
    "linear": linear,
    "tutorial": tutorial,
    "mlp": mlp,
    "convnet-small": convnet_small,
    "darknet-tiny": darknet_tiny,
    "convnet": convnet,
    "resnet-18": resnet18,
    "dlib-face": dlib_face,
    "vgg19": vgg19,
    "vgg19-average": vgg19_average,
    "efficientnet-lite0": efficientnet_lite0,
}

SMALLEST_SIDE = {
    "linear": 1,
    "tutorial": 16,
    "resnet-18": 32,
    "darknet-tiny": 32,
    "vgg19": 16,
    "vgg19-average": 16,
}  # pixels; below it nothing is left after the stem


def _halvings(height: int, width: int, least: int) -> int:
    """How often the picture can be halved until its shorter side is about `least` pixels."""
    side, count = min(height, width), 0
    while side // 2 >= least:
        side, count = side // 2, count + 1
    return count


def _conv_bn(before: int, after: int, *, pool: bool = False, stride: int = 1) -> nn.Sequential:
    # Pooling before normalisation leaves a quarter of the numbers to normalise: 1.3 times the images per second.
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
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


class PaddedResidual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without parameters, as in dlib.

    Where the block halves the picture, the shortcut is the mean of 2 x 2 pixels. The convolution that halves has no
    border, so both may differ by a row and a column, and in channels: what is missing at the end of either is 0.
    """

    def __init__(self, before: int, after: int, *, halve: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=2 if halve else 1, padding=0 if halve else 1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H, W), or half as high and wide."""
        inner = self.conv2(F.relu(self.conv1(x)))
        if not self.halve:
            return F.relu(inner + x)
        short = F.avg_pool2d(x, 2)
        channels, height, width = (max(a, b) for a, b in zip(inner.shape[1:], short.shape[1:], strict=True))
        inner, short = (
            F.pad(part, (0, width - part.shape[3], 0, height - part.shape[2], 0, channels - part.shape[1]))
            for part in (inner, short)
        )
        return F.relu(inner + short)


class _Pooled(nn.Module):
    """Mean and maximum over the picture, side by side: what is there on the whole, and what is there at all."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
