"""Ways to move pixels against a gradient, whose memory can be brought to another size of picture.

Those of torch keep theirs in shapes of their own, which cannot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor

MoverName = Literal["lbfgs", "adam"]


class Mover(ABC):
    """Makes a step of a gradient."""

    @abstractmethod
    def step(self, values: Tensor, gradient: Tensor) -> Tensor:
        """What to add to `values`, at which the loss has this `gradient`; both of one shape."""

    @abstractmethod
    def resized(self, resize: Callable[[Tensor], Tensor], larger: float) -> None:
        """Brings what is remembered to another size.

        Args:
            resize: does that to values.
            larger: by how much the number of values grows; the gradient of one falls by as much.
        """


@final
class Adam(Mover):
    """Kingma and Ba (2015), algorithm 1.

    Args:
        rate: what a value moves at most, about.
        first, second: for how much of the mean gradient, and of the mean square, the past counts.
    """

    def __init__(self, rate: float, first: float = 0.9, second: float = 0.999) -> None:
        self._rate, self._first, self._second = rate, first, second
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, values: Tensor, gradient: Tensor) -> Tensor:
        """See `Mover`."""
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._steps += 1
        self._mean = self._mean.lerp(gradient, 1 - self._first)
        self._square = self._square.lerp(gradient.square(), 1 - self._second)
        mean = self._mean / (1 - self._first**self._steps)
        spread = (self._square / (1 - self._second**self._steps)).sqrt_()
        return mean.div_(spread.add_(torch.finfo(spread.dtype).tiny)).mul_(-self._rate)

    def resized(self, resize: Callable[[Tensor], Tensor], larger: float) -> None:
        """See `Mover`."""
        if self._mean is not None and self._square is not None:
            self._mean = resize(self._mean) / larger
            self._square = resize(self._square).clamp_min_(0) / larger**2


@final
class LBFGS(Mover):
    """Limited-memory BFGS without a line search (Liu and Nocedal 1989; Nocedal and Wright 2006, algorithm 7.4).

    Args:
        first: by how much values move in the mean at the first step, when nothing is known of the curvature.
        history: how many moves, and what these changed in the gradient, are remembered; fewer where they would take
            more than `memory`.
        memory: bytes.
    """

    def __init__(self, first: float, history: int = 20, memory: int = 2**30) -> None:
        self._first, self._history, self._memory = first, history, memory
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []  # moved, changed, and their product
        self._before: tuple[Tensor, Tensor] | None = None

    def step(self, values: Tensor, gradient: Tensor) -> Tensor:
        """See `Mover`."""
        if self._before is not None:
            moved, changed = values - self._before[0], gradient - self._before[1]
            # A move along which the gradient grew the other way tells of no valley to go to the bottom of.
            if (bend := _dot(moved, changed)) > 1e-10 * _dot(changed, changed):
                self._pairs.append((moved, changed, bend))
        most = min(self._history, self._memory // (2 * values.numel() * values.element_size()))
        del self._pairs[: max(0, len(self._pairs) - max(1, most))]
        self._before = values.clone(), gradient.clone()
        if not self._pairs:
            return gradient * (-self._first / gradient.abs().mean().clamp_min(torch.finfo(gradient.dtype).tiny))
        return self._newton(gradient).neg_()

    def _newton(self, gradient: Tensor) -> Tensor:
        """The gradient times the inverse Hessian that the pairs tell of."""
        found = gradient.clone()
        shares: list[Tensor] = []
        for moved, changed, bend in reversed(self._pairs):
            shares.append(_dot(moved, found) / bend)
            found.addcmul_(changed, shares[-1], value=-1)
        _, changed, bend = self._pairs[-1]
        found *= bend / _dot(changed, changed)
        for (moved, changed, bend), share in zip(self._pairs, reversed(shares), strict=True):
            found.addcmul_(moved, share - _dot(changed, found) / bend)
        return found

    def resized(self, resize: Callable[[Tensor], Tensor], larger: float) -> None:
        """See `Mover`."""
        pairs = [(resize(moved), resize(changed) / larger) for moved, changed, _ in self._pairs]
        bends = [_dot(moved, changed) for moved, changed in pairs]
        self._pairs = [(*pair, bend) for pair, bend in zip(pairs, bends, strict=True) if bend > 0]
        self._before = None


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return torch.dot(one.reshape(-1), other.reshape(-1))
