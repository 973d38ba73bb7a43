"""Moves are those of torch's optimisers, and what is remembered fits another size."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.training.movers import LBFGS, Adam, Mover


def bowl(size: tuple[int, int] = (6, 5), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Where a curved valley is lowest, and how steep it is in each direction, in double precision."""
    rng = torch.Generator().manual_seed(seed)
    lowest = torch.rand((1, 2, *size), generator=rng, dtype=torch.float64)
    return lowest, 1 + 30 * torch.rand((1, 2, *size), generator=rng, dtype=torch.float64)


def loss_of(values: Tensor, lowest: Tensor, steep: Tensor) -> Tensor:
    return (steep * (values - lowest).square()).sum() + 0.3 * (values - lowest).pow(4).sum()


def moved(mover: Mover, start: Tensor, steps: int, seed: int = 0) -> list[Tensor]:
    lowest, steep = bowl(seed=seed)
    found = [start.clone()]
    for _ in range(steps):
        values = found[-1].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of(values, lowest, steep), values)
        found.append(values.detach() + mover.step(values.detach(), gradient))
    return found


def test_adam_is_that_of_torch() -> None:
    start = torch.zeros(1, 2, 6, 5, dtype=torch.float64)
    theirs = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.05, eps=1e-300)
    lowest, steep = bowl()
    for ours in moved(Adam(0.05), start, 40)[1:]:
        optimizer.zero_grad()
        loss_of(theirs, lowest, steep).backward()
        optimizer.step()
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("history", [3, 20])
def test_lbfgs_is_that_of_torch(history: int) -> None:
    start = torch.zeros(1, 2, 6, 5, dtype=torch.float64)
    theirs = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([theirs], max_iter=1, history_size=history, tolerance_grad=0, tolerance_change=0)
    lowest, steep = bowl()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(theirs, lowest, steep)
        loss.backward()
        return loss

    for ours in moved(LBFGS(1 / start.numel(), history), start, 15)[1:]:
        optimizer.step(closure)
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-9)


def test_lbfgs_finds_the_lowest_point_far_sooner_than_going_downhill() -> None:
    lowest, steep = bowl(seed=2)
    start = torch.zeros_like(lowest)
    assert float((moved(LBFGS(0.01), start, 40, seed=2)[-1] - lowest).abs().max()) < 1e-6
    values = start
    for _ in range(40):
        values = values - (values - lowest) * 2 * steep / (2 * steep.max() + 4)
    assert float((values - lowest).abs().max()) > 0.01


def test_memory_is_bounded() -> None:
    mover = LBFGS(0.01, history=20, memory=3 * 2 * 60 * 8)
    moved(mover, torch.zeros(1, 2, 6, 5, dtype=torch.float64), 12)
    assert len(mover._pairs) == 3


@pytest.mark.parametrize("mover", [LBFGS(0.01), Adam(0.05)], ids=["lbfgs", "adam"])
def test_what_is_remembered_serves_twice_the_size(mover: Mover) -> None:
    """Of a mean over values, which is what losses of pictures are: the gradient of one is a quarter as large."""
    rng = torch.Generator().manual_seed(3)
    lowest = torch.rand((1, 1, 8, 8), generator=rng, dtype=torch.float64)
    steep = 1 + 30 * torch.rand((1, 1, 8, 8), generator=rng, dtype=torch.float64)

    def twice(values: Tensor) -> Tensor:
        return F.interpolate(values, scale_factor=2, mode="nearest")

    values = torch.zeros_like(lowest)
    for _ in range(10):
        values = values + mover.step(values, 2 * steep * (values - lowest) / values.numel())
    gradient, other = 2 * steep * (values - lowest) / values.numel(), deepcopy(mover)
    other.resized(lambda same: same, 1.0)
    mover.resized(twice, 4.0)
    after = mover.step(twice(values), twice(gradient) / 4)
    torch.testing.assert_close(after, twice(other.step(values, gradient)))
    assert float(after.abs().max()) > 0.01


def test_a_gradient_of_nothing_moves_nothing() -> None:
    for mover in (LBFGS(1.0), Adam(0.1)):
        for _ in range(3):
            assert torch.equal(mover.step(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)), torch.zeros(1, 1, 2, 2))
