"""Distances between embeddings. Small means same, whatever the distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn


class Distance(nn.Module, ABC):
    """How far apart two embeddings are; a module, because some distances have weights of their own.

    A distance is part of the model: it is saved with the encoder and used by everything downstream.
    Values are >= 0. `rowwise` and `between` agree: ``between(a, b).diagonal() == rowwise(a, b)``.
    """

    name: ClassVar[str]

    @abstractmethod
    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,): row i of `a` against row i of `b`."""

    @abstractmethod
    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M): every row of `a` against every row of `b`; callers pass blocks."""

    def options(self) -> dict[str, Any]:
        """Constructor arguments, JSON-ready, from which ``DISTANCES[name](**options)`` rebuilds the module."""
        return {}

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Same as `rowwise`."""
        return self.rowwise(a, b)
