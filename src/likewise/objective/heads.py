"""Class heads: objectives that classify during training, and are cut off afterwards.

Each identity of the training set has a row of weights. What is kept is the embedding, the layer before them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from likewise.errors import DataError, UsageError
from likewise.objective.distances import Cosine, at_least_one, uniform
from likewise.objective.objective import Objective, Outcome, positive


class ClassHead(Objective):
    """Cross-entropy over the identities of the training set.

    Args:
        dim: D, length of the embeddings.
        classes: C, number of identities, numbered from 0.
        seed: of the initial weights.
        class_weights: (C,) what an item of each class counts, 0 or more; None for 1 each.

    Raises:
        UsageError: `dim` below 1, `classes` below 2, or weights of another number or sign.
    """

    batches = "item"

    def __init__(self, dim: int, classes: int, seed: int = 0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        at_least_one("An embedding", "dimension", dim)
        if classes < 2:
            raise UsageError("A class head tells at least 2 classes apart", classes)
        counted = torch.ones(classes) if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        if len(counted) != classes or not bool((counted >= 0).all()):
            raise UsageError("There is one class weight of 0 or more per class", f"{len(counted)} for {classes}")
        self.distance = Cosine()
        self.register_buffer("class_weights", counted, persistent=False)
        self._given_weights = None if class_weights is None else counted.tolist()
        self.weight = nn.Parameter(uniform((classes, dim), dim, torch.Generator().manual_seed(seed)))

    @abstractmethod
    def logits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(N, D), (N,) -> (N, C); the labels say which column a margin makes harder."""

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.weight):
            raise DataError(
                f"This head knows the classes 0 to {len(self.weight) - 1}",
                f"labels {int(labels.min())} to {int(labels.max())}",
                "Number the identities from 0.",
            )
        losses = F.cross_entropy(self.logits(embeddings, labels), labels, reduction="none")
        return Outcome.mean(losses * self.get_buffer("class_weights")[labels])

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        weights = {} if self._given_weights is None else {"class_weights": self._given_weights}
        return {**super().options(), "classes": len(self.weight), **weights}


@final
class Softmax(ClassHead):
    """One linear layer over the embedding, and softmax: the plainest way to an encoding.

    Embeddings are compared by `Cosine`. The logit of a class is ``|w| |x| cos(w, x)`` (and a bias): the
    direction of x decides which class wins, its length only by how much. Two items of a class share the
    direction and not the length, so the Euclidean distance would put an easy item far from a hard one.
    """

    name = "softmax"
    unit = False

    def __init__(self, dim: int, classes: int, seed: int = 0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(dim, classes, seed, class_weights)
        self.bias = nn.Parameter(torch.zeros(classes))

    def logits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(N, D), (N,) -> (N, C); labels are not looked at."""
        return F.linear(embeddings, self.weight, self.bias)


class MarginHead(ClassHead):
    """Cosines between embedding and class weights, made harder for the true class, times `scale`."""

    def __init__(
        self, dim: int, classes: int, margin: float, scale: float, seed: int, class_weights: Sequence[float] | None
    ) -> None:
        super().__init__(dim, classes, seed, class_weights)
        self.margin = positive("margin", margin)
        self.scale = positive("scale", scale)

    @abstractmethod
    def harder(self, cosines: Tensor) -> Tensor:
        """(N,) cosines to the true class -> (N,): what counts instead."""

    def logits(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(N, D), (N,) -> (N, C)."""
        cosines = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        column = labels.unsqueeze(dim=1)
        return self.scale * cosines.scatter(1, column, self.harder(cosines.gather(1, column)))

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "margin": self.margin, "scale": self.scale}


@final
class ArcFace(MarginHead):
    """Additive angular margin (Deng et al. 2019, equation 3): ``cos(theta + margin)`` for the true class.

    Beyond ``theta = pi - margin``, where the cosine would rise again, it goes on as
    ``cos(theta) - margin sin(margin)``, as in the authors' programs.

    Args:
        dim: D, length of the embeddings.
        classes: C, number of identities.
        margin: in radians, > 0.
        scale: > 0; the length embeddings are given before softmax.
        seed: of the initial weights.
        class_weights: (C,) what an item of each class counts; None for 1 each.
    """

    name = "arcface"

    def __init__(
        self,
        dim: int,
        classes: int,
        margin: float = 0.5,
        scale: float = 64.0,
        seed: int = 0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(dim, classes, margin, scale, seed, class_weights)
        if margin >= math.pi:
            raise UsageError("ArcFace's margin is an angle below pi", margin, "Pass for example margin=0.5.")

    def harder(self, cosines: Tensor) -> Tensor:
        """(N,) -> (N,): the angle plus the margin."""
        sines = (1 - cosines.square()).clamp(min=1e-7).sqrt()  # never 0, where the root has no gradient
        turned = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        beyond = cosines < -math.cos(self.margin)  # theta > pi - margin
        return torch.where(beyond, cosines - self.margin * math.sin(self.margin), turned)


@final
class CosFace(MarginHead):
    """Additive cosine margin (Wang et al. 2018, equation 4): ``cos(theta) - margin`` for the true class.

    Args:
        dim: D, length of the embeddings.
        classes: C, number of identities.
        margin: > 0; cosines are in [-1, 1].
        scale: > 0; the length embeddings are given before softmax.
        seed: of the initial weights.
        class_weights: (C,) what an item of each class counts; None for 1 each.
    """

    name = "cosface"

    def __init__(
        self,
        dim: int,
        classes: int,
        margin: float = 0.35,
        scale: float = 64.0,
        seed: int = 0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(dim, classes, margin, scale, seed, class_weights)

    def harder(self, cosines: Tensor) -> Tensor:
        """(N,) -> (N,): the cosine less the margin."""
        return cosines - self.margin
