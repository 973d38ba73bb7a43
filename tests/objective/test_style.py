"""Style and content losses are those of the paper, written as loops; roughness is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from likewise.objective.style import content_loss, gram, style_loss, total_variation


def features(channels: int = 3, height: int = 4, width: int = 5, seed: int = 0) -> Tensor:
    return torch.randn((channels, height, width), generator=torch.Generator().manual_seed(seed))


def gram_by_loop(maps: Tensor) -> list[list[float]]:
    """Equation 3: G_ij is the sum over places k of F_ik F_jk."""
    channels, height, width = maps.shape
    return [
        [sum(float(maps[i, y, x]) * float(maps[j, y, x]) for y in range(height) for x in range(width))
         for j in range(channels)]
        for i in range(channels)
    ]  # fmt: skip


def test_gram_matrices_are_those_of_a_plain_loop() -> None:
    maps = features()
    torch.testing.assert_close(gram(maps), torch.tensor(gram_by_loop(maps)))


def test_in_bfloat16_only_the_sums_are_rounded() -> None:
    maps = features(8, 20, 30).to(torch.bfloat16)
    exact = gram(maps.float())
    assert gram(maps).dtype == torch.float32
    assert float((gram(maps) - exact).abs().max()) <= float(exact.abs().max()) * 2**-8


def test_gradients_of_gram_matrices_are_those_of_two_factors() -> None:
    maps, weights = features().requires_grad_(), torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    (ours,) = torch.autograd.grad((gram(maps) * weights).sum(), maps)
    flat = maps.flatten(1)
    (expected,) = torch.autograd.grad(((flat @ flat.T) * weights).sum(), maps)
    torch.testing.assert_close(ours, expected)


def test_style_loss_is_equation_4_over_what_the_style_has() -> None:
    one, other = features(seed=1), features(seed=2)
    places = 20
    found, wanted = (np.array(gram_by_loop(maps)) / places for maps in (one, other))
    by_hand = sum((found[i, j] - wanted[i, j]) ** 2 for i in range(3) for j in range(3)) / (wanted**2).sum()
    assert float(style_loss(gram(one) / places, gram(other) / places)) == pytest.approx(by_hand, rel=1e-5)


def test_losses_are_0_for_the_same_and_1_for_nothing() -> None:
    maps = features()
    same, nothing = gram(maps), torch.zeros(3, 3)
    assert float(style_loss(same, same)) == 0
    assert float(style_loss(nothing, same)) == 1
    energy = maps.square().sum()
    assert float(content_loss((maps - maps).square().sum(), energy)) == 0
    assert float(content_loss((0 * maps - maps).square().sum(), energy)) == 1


def test_what_is_black_in_all_channels_gives_no_nan() -> None:
    assert torch.isfinite(style_loss(torch.ones(2, 2), torch.zeros(2, 2)))
    assert float(style_loss(torch.zeros(2, 2), torch.zeros(2, 2))) == 0
    assert float(content_loss(torch.tensor(0.0), torch.tensor(0.0))) == 0


def test_style_says_nothing_of_where() -> None:
    maps = features()
    moved = maps.flatten(1)[:, torch.randperm(20, generator=torch.Generator().manual_seed(0))].view_as(maps)
    torch.testing.assert_close(gram(maps), gram(moved))


def test_total_variation_is_that_of_a_plain_loop() -> None:
    pictures = torch.from_numpy(np.random.default_rng(0).random((3, 2, 4, 5)))
    for picture, found in zip(pictures, total_variation(pictures), strict=True):
        down = [(picture[c, y + 1, x] - picture[c, y, x]) ** 2 for c in range(2) for y in range(3) for x in range(5)]
        aside = [(picture[c, y, x + 1] - picture[c, y, x]) ** 2 for c in range(2) for y in range(4) for x in range(4)]
        assert float(found) == pytest.approx(float(sum(down) / len(down) + sum(aside) / len(aside)))
