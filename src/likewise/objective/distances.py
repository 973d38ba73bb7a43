"""Distances between embeddings. Small means same, whatever the distance."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from likewise.errors import UsageError

BLOCK = 1 << 18  # entries worked on at once: 2 MB in float64, which stays in the processor's cache

# A squared distance below this share of the squared lengths has lost too many digits in |a|^2 + |b|^2 - 2ab.
CANCELLED = {torch.float64: 1e-10, torch.float32: 1e-3}


class Distance(nn.Module, ABC):
    """How far apart two embeddings are; a module, because some distances have weights of their own.

    A distance is part of the model: it is saved with the encoder and used by everything downstream. Values
    are >= 0. `rowwise` and `between` agree: ``between(a, b).diagonal()`` is ``rowwise(a, b)`` up to rounding.
    Embeddings in bfloat16 or float16 are compared in float32.
    """

    name: ClassVar[str]

    @abstractmethod
    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,): row i of `a` against row i of `b`."""

    @abstractmethod
    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M): every row of `a` against every row of `b`; callers pass blocks."""

    def counted(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D): what of an embedding counts: means are taken of this."""
        return full_precision(x)

    def options(self) -> dict[str, Any]:
        """Constructor arguments, JSON-ready: ``DISTANCES[name](**options)`` makes the module again."""
        return {}

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Same as `rowwise`."""
        return self.rowwise(a, b)


def squared_rowwise(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance, (N, D), (N, D) -> (N,); the gradient at distance 0 is 0."""
    return (full_precision(a) - full_precision(b)).square().sum(dim=-1)


def squared_between(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance, (N, D), (M, D) -> (N, M); the gradient at distance 0 is 0."""
    return _Between.apply(full_precision(a), full_precision(b), True)


def full_precision(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it came so: bfloat16 keeps 3 digits, too few to subtract."""
    return x if x.dtype == torch.float64 else x.float()


@final
class Euclidean(Distance):
    """|a - b|. Where two rows are the same, the gradient is 0."""

    name = "euclidean"

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""
        return torch.linalg.vector_norm(full_precision(a) - full_precision(b), dim=-1)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M)."""
        return _Between.apply(full_precision(a), full_precision(b), False)


@final
class Cosine(Distance):
    """1 - cos(a, b), in [0, 2].

    Computed as half the squared Euclidean distance of the two directions, which is the same number without
    the subtraction that loses near-duplicates. A row of zeros has no direction; it is 1/2 from all others.
    """

    name = "cosine"

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""
        return squared_rowwise(_direction(a), _direction(b)) / 2

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M)."""
        return squared_between(_direction(a), _direction(b)) / 2

    def counted(self, x: Tensor) -> Tensor:
        """The direction."""
        return _direction(x)


@final
class L1(Distance):
    """Sum of absolute differences."""

    name = "l1"

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""
        return (full_precision(a) - full_precision(b)).abs().sum(dim=-1)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M)."""
        return torch.cdist(full_precision(a), full_precision(b), p=1.0)


@final
class WeightedL1(Distance):
    """Sum of absolute differences, each with a learned weight (Koch et al. 2015, section 3.1).

    Weights stay positive, so that a difference never makes two items more alike. They begin at 1 / sqrt(D).

    Args:
        dim: D, length of the embeddings.
    """

    name = "weighted-l1"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self._dim = at_least_one("An embedding", "dimension", dim)
        self.raw = nn.Parameter(torch.full((dim,), math.log(math.expm1(dim**-0.5))))  # softplus undoes it

    @property
    def weights(self) -> Tensor:
        """(D,), each > 0."""
        return F.softplus(self.raw)

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""
        return ((full_precision(a) - full_precision(b)).abs() * self.weights).sum(dim=-1)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M)."""
        return torch.cdist(full_precision(a) * self.weights, full_precision(b) * self.weights, p=1.0)

    def options(self) -> dict[str, Any]:
        """Sizes; the weights are parameters."""
        return {"dim": self._dim}


@final
class Concatenated(Distance):
    """Both embeddings side by side in front of a small network that answers same or not.

    One hidden layer of rectified units and one logit: ``z(a, b) = v . relu(W [a; b] + c) + e``. The answer
    must not depend on which comes first, so the logit is the mean of both orders. The distance is
    ``-log p(same) = softplus(-logit)``: 0 for surely the same, and growing without end for the surely
    different, all of which ``1 - p(same)`` would round to 1.

    Args:
        dim: D, length of the embeddings.
        hidden: H, units of the hidden layer.
        seed: of the initial weights.
    """

    name = "concatenated"

    def __init__(self, dim: int, hidden: int = 64, seed: int = 0) -> None:
        super().__init__()
        self._dim = at_least_one("An embedding", "dimension", dim)
        self._hidden = at_least_one("A hidden layer", "unit", hidden)
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(uniform((2, hidden, dim), 2 * dim, generator))  # the two halves of W
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second = nn.Parameter(uniform((hidden,), hidden, generator))
        self.second_bias = nn.Parameter(torch.zeros(()))

    def logit(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,): log-odds of same."""
        return self._answer(self._shares(a), self._shares(b))

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,)."""
        return F.softplus(-self.logit(a, b))

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (M, D) -> (N, M)."""
        # W [a; b] is a share of `a` plus a share of `b`: only their sums are made pair by pair, in blocks.
        shares_a, shares_b = self._shares(a).unsqueeze(dim=1), self._shares(b)
        if torch.is_grad_enabled():  # the backward pass needs all the hidden units in any case
            return F.softplus(-self._answer(shares_a, shares_b))
        distances = shares_a.new_empty(len(a), len(b))
        rows = max(1, BLOCK // max(1, shares_b.numel()))
        for start in range(0, len(a), rows):
            block = slice(start, start + rows)
            distances[block] = F.softplus(-self._answer(shares_a[block], shares_b))
        return distances

    def options(self) -> dict[str, Any]:
        """Sizes; the weights are parameters."""
        return {"dim": self._dim, "hidden": self._hidden}

    def _shares(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, 2, H): its share of the hidden layer when it comes first, and when second."""
        first, second = self.first
        x = full_precision(x)
        return torch.stack([x @ first.T + self.first_bias, x @ second.T], dim=1)

    def _answer(self, a: Tensor, b: Tensor) -> Tensor:
        """(..., 2, H) shares -> (...): the logit, mean of both orders."""
        return F.relu(a + b.flip(-2), inplace=True).flatten(-2) @ self.second.repeat(2) / 2 + self.second_bias


DISTANCES: dict[str, type[Distance]] = {kind.name: kind for kind in (Euclidean, Cosine, L1, WeightedL1, Concatenated)}


def make_distance(name: str, dim: int) -> Distance:
    """The distance called `name`, for embeddings of length `dim`.

    Raises:
        UsageError: no such distance, or `dim` below 1.
    """
    if name not in DISTANCES:
        raise UsageError(f"A distance is one of {', '.join(DISTANCES)}", repr(name))
    kind = DISTANCES[name]
    return kind(dim=dim) if "dim" in inspect.signature(kind).parameters else kind()


def at_least_one(owner: str, what: str, count: int) -> int:
    """`count`, if it is 1 or more.

    Raises:
        UsageError: it is not.
    """
    if count < 1:
        raise UsageError(f"{owner} has at least 1 {what}", count)
    return count


def uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    """Initial weights of a layer with `fan_in` inputs: uniform in +-1 / sqrt(fan_in), torch's default."""
    return (torch.rand(shape, generator=generator) * 2 - 1) / math.sqrt(fan_in)


def _direction(x: Tensor) -> Tensor:
    return F.normalize(full_precision(x), dim=-1)


class _Between(torch.autograd.Function):
    """Euclidean distances of all rows by one matrix product, as exact as subtracting, with their gradient."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, squared: bool) -> Tensor:
        # In float64: distances within a cluster are small differences of large numbers, which float32 gets
        # wrong, or has to compute again for every tenth pair. Apple's GPUs have no float64.
        wide = torch.float32 if a.device.type == "mps" else torch.float64
        wide_a, wide_b = a.to(wide), b.to(wide)
        # Subtracting a common centre changes no distance and leaves smaller numbers to cancel.
        centre = wide_b.mean(dim=0)
        wide_a, wide_b = wide_a - centre, wide_b - centre
        distances = a.new_empty(len(a), len(b))
        rows = max(1, BLOCK // max(1, len(b)))
        for start in range(0, len(a), rows):
            block = _squared(wide_a[start : start + rows], wide_b)
            distances[start : start + rows] = block if squared else block.sqrt_()
        ctx.squared = squared
        ctx.save_for_backward(wide_a.to(a.dtype), wide_b.to(b.dtype), *(() if squared else (distances,)))
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride] - torch has *args
        a, b, *distances = ctx.saved_tensors
        pull = 2 * gradient if ctx.squared else torch.where(distances[0] > 0, gradient / distances[0], 0)
        # d|a_i - b_j|/da_i = (a_i - b_j) / |a_i - b_j|, summed over j without making (N, M, D).
        to_a = pull.sum(dim=1, keepdim=True) * a - pull @ b
        to_b = pull.sum(dim=0).unsqueeze(dim=1) * b - pull.T @ a
        return to_a, to_b, None


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M): |a|^2 + |b|^2 - 2ab by one product, and by subtraction where that cancels."""
    lengths_a, lengths_b = a.square().sum(dim=1, keepdim=True), b.square().sum(dim=1, keepdim=True)
    left = torch.cat([-2 * a, lengths_a, torch.ones_like(lengths_a)], dim=1)
    right = torch.cat([b, torch.ones_like(lengths_b), lengths_b], dim=1)
    squares = left @ right.T
    cancelled = (squares < CANCELLED[a.dtype] * lengths_a).nonzero()
    for pairs in cancelled.split(max(1, BLOCK // left.shape[1])):
        i, j = pairs.unbind(dim=1)
        squares[i, j] = (a[i] - b[j]).square().sum(dim=1)
    return squares
