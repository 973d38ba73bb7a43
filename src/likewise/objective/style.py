"""Style and content as losses on the outputs of taps (Gatys, Ecker and Bethge 2016, "Image Style Transfer Using CNNs").

Both are relative: 0 where nothing is missed, 1 where all of it is. So taps of any network count alike, and a weight
means the same for each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEAST = 1e-12  # that is divided by: a picture to which a tap says nothing at all has nothing that could be missed


def gram(features: Tensor) -> Tensor:
    """(C, H, W) -> (C, C) float32: sums over places of products of channels (equation 3).

    Divided by H W they are what style is told by: which channels answer together, and not where. Products of bfloat16
    are summed in float32, and each sum then rounded to bfloat16.
    """
    return _Gram.apply(features.flatten(1))


class _Gram(torch.autograd.Function):
    """F Fᵀ, whose gradient takes one product here and two where its factors may differ."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        """(C, P) -> (C, C) float32."""
        ctx.save_for_backward(flat)
        return (flat @ flat.T).float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Of a function with derivative D: (D + Dᵀ) F."""
        (flat,), (grad,) = ctx.saved_tensors, grads
        return (grad + grad.T).to(flat.dtype) @ flat


def style_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """(C, C), (C, C) -> (): |G - A|² / |A|², Frobenius norms of Gram matrices per place.

    Equation 4 with |A|² for its 4 N² M², which leaves taps with large answers, and few channels, to outweigh others.
    """
    return (found - wanted).square().sum() / wanted.square().sum().clamp_min(LEAST)


def content_loss(squares: Tensor, energy: Tensor) -> Tensor:
    """(), () -> (): sum of squares of F - P over that of P (equation 1 with the latter for its 2)."""
    return squares / energy.clamp_min(LEAST)


def total_variation(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,): mean square of the differences between pixels and those below and beside them."""
    down, aside = pictures.diff(dim=2), pictures.diff(dim=3)
    return down.square().mean(dim=(1, 2, 3)) + aside.square().mean(dim=(1, 2, 3))
