"""EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019) without squeeze-and-excitation, and with ReLU6 for swish."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.backbone import Backbone, Shape, mean_of_places

# Tan and Le (2019), table 1: blocks, kernel, stride of the first, factor by which channels widen inside, channels.
LEVELS = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, FEATURES = 32, 1280


def efficientnet_lite0(shape: Shape) -> Backbone:
    """A stem, seven levels of inverted residual blocks of 16 to 320 channels, and 1,280 features.

    Its weights from ImageNet are in `likewise.encoder.imagenet`.
    """
    stages: dict[str, nn.Module] = {"stem": _layer(shape[0], STEM, kernel=3, stride=2)}
    before = STEM
    for number, (count, kernel, stride, wider, channels) in enumerate(LEVELS, start=1):
        blocks = [
            InvertedResidual(before if i == 0 else channels, channels, kernel, stride if i == 0 else 1, wider)
            for i in range(count)
        ]
        stages[f"block{number}"] = nn.Sequential(*blocks)
        before = channels
    stages |= {"head": _layer(before, FEATURES), "pooled": mean_of_places()}
    return Backbone(stages, FEATURES)


class SameConv2d(nn.Conv2d):
    """A convolution with as much border as gives ceil(size / stride) places, the odd row and column of it at the end.

    So are borders where these networks were trained; torch's own are alike on all sides.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[2:])
        return super().forward(
            F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2)) if kernel > 1 else input
        )


class InvertedResidual(nn.Module):
    """Few channels to many, a filter for each of them, and back (Sandler et al. 2018, figure 3b).

    Where nothing changes in size, beside a shortcut.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = before * wider
        self.expand = _layer(before, inner) if wider > 1 else nn.Identity()
        self.filter = _layer(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = nn.Sequential(nn.Conv2d(inner, after, 1, bias=False), _norm(after))
        self.shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, ceil(H / stride), ceil(W / stride))."""
        found = self.project(self.filter(self.expand(x)))
        return found + x if self.shortcut else found


def _layer(before: int, after: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = SameConv2d(before, after, kernel, stride=stride, groups=groups, bias=False)
    return nn.Sequential(convolution, _norm(after), nn.ReLU6(inplace=True))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # as it was trained
