from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from likewise.objective.distances import Distance, Euclidean

Drawn = tuple[Tensor, Tensor]


@pytest.fixture(scope="session")
def cloud() -> Callable[..., Drawn]:
    """Draws one cloud of points for each identity; at the default spread identities overlap."""

    def draw(seed: int, sizes: Sequence[int], dim: int = 5, spread: float = 0.7) -> Drawn:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        centres = torch.randn(len(sizes), dim, generator=generator)
        points = centres[labels] + spread * torch.randn(len(labels), dim, generator=generator)
        order = torch.randperm(len(labels), generator=generator)
        return points[order], labels[order]

    return draw


@pytest.fixture(scope="session")
def lattice(cloud: Callable[..., Drawn]) -> Callable[..., Drawn]:
    """The same on whole numbers: many distances tie, and every one is computed without rounding."""

    def draw(seed: int, sizes: Sequence[int], dim: int = 5) -> Drawn:
        points, labels = cloud(seed, sizes, dim)
        return (2 * points).round(), labels

    return draw


class Watched(Distance):
    """Euclidean distance that remembers how large a result was asked of it."""

    name = "watched"

    def __init__(self) -> None:
        super().__init__()
        self.inner = Euclidean()
        self.largest = 0

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        self.largest = max(self.largest, len(a))
        return self.inner.rowwise(a, b)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        self.largest = max(self.largest, len(a) * len(b))
        return self.inner.between(a, b)


@pytest.fixture
def watched() -> Watched:
    return Watched()
