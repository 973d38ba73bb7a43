"""Colours kept and brightness alone given a style (Gatys et al. 2016, "Preserving Color in Neural Style Transfer")."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in the paper's YIQ


def luminance(picture: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W), in [0, 1]."""
    return (picture * torch.tensor(LUMA, device=picture.device).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def matched(style: Tensor, content: Tensor) -> Tensor:
    """`style` (1, 1, h, w) with mean and standard deviation of `content` (section 3.2); it may leave [0, 1]."""
    spread = content.std() / style.std().clamp_min(1 / 255)
    return (style - style.mean()) * spread + content.mean()


def room(content: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 3, H, W) -> (1, 1, H, W) each: the least and the greatest brightness that its colours can be shown at."""
    now = luminance(content)
    return now - content.amin(dim=1, keepdim=True), now + (1 - content.amax(dim=1, keepdim=True))


def with_colours(brightness: Tensor, content: Tensor) -> Tensor:
    """(1, 1, H, W) and (1, 3, H, W) -> (1, 3, H, W) with the brightness of one and the colours of the other.

    All three channels move by the same, which leaves I and Q of YIQ as they are, and no further than all can be shown:
    what is cut off at black or white would be another colour.
    """
    least, most = room(content)
    return content + (brightness.clamp(least, most) - luminance(content))
