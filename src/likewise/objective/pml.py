"""The long tail of losses: any of pytorch-metric-learning's, as ``pml:Name``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, final

import torch
from torch import Generator, Tensor

from likewise.errors import DataError, UsageError
from likewise.objective.distances import L1, Cosine, Distance, Euclidean
from likewise.objective.objective import Objective, Outcome
from likewise.objective.partners import Partners

PREFIX = "pml:"


@final
class PML(Objective):
    """A loss of the package pytorch-metric-learning, with its defaults.

    `distance`, `unit` and `batches` follow from the loss. It does not tell its terms: they are taken to be
    the items of the batch, all active if the loss is above zero; none if no item has a partner of its
    identity and one of another.

    Args:
        name: class name in `pytorch_metric_learning.losses`, without the prefix.
        dim: D, length of the embeddings.
        classes: C, number of identities, for losses with weights per class.
        margin: the loss's own `margin`, in its own units; None for its default.
        seed: of the initial weights.

    Raises:
        UsageError: the package is missing, or has no such loss, or the loss needs more than these options.
    """

    name = "pml"

    def __init__(self, name: str, dim: int, classes: int, margin: float | None = None, seed: int = 0) -> None:
        super().__init__()
        try:
            losses = import_module("pytorch_metric_learning.losses")
        except ImportError as error:
            raise UsageError(
                f"{PREFIX}{name} needs the package pytorch-metric-learning",
                None,
                'pip install "likewise[pml]".',
            ) from error
        known = {n: k for n, k in vars(losses).items() if _is_loss(k, losses.BaseMetricLossFunction)}
        if name not in known:
            raise UsageError(f"Losses of pytorch-metric-learning are {', '.join(sorted(known))}", repr(name))
        takes = _parameters(known[name])
        offered = {"num_classes": classes, "embedding_size": dim, "descriptors_dim": dim}
        given: dict[str, Any] = {
            key: value
            for key, value in offered.items()
            if key in takes and takes[key].default is inspect.Parameter.empty
        }
        if margin is not None:
            if "margin" not in takes:
                raise UsageError(f"{PREFIX}{name} has no margin", margin, "Leave it out.")
            given["margin"] = margin
        try:
            with torch.random.fork_rng(devices=[]):  # its initial weights come from the global generator
                torch.default_generator.manual_seed(seed)
                self.loss: Any = known[name](**given)
        except TypeError as error:
            raise UsageError(f"{PREFIX}Name takes losses that need no further options", error) from error
        self._options = {"name": f"{PREFIX}{name}", **given}
        compares: Any = self.loss.distance
        self.distance = _distance(compares)
        self.unit = bool(compares.normalize_embeddings)
        self.batches = "item" if "num_classes" in given else "identity"

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        if self.batches == "identity" and not len(Partners(labels).anchors):
            return Outcome(embeddings.sum() * 0, 0, 0)
        with torch.random.fork_rng(devices=[embeddings.device] if embeddings.is_cuda else []):
            seed = _draw_seed(generator)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
            if embeddings.is_cuda:
                torch.cuda.default_generators[embeddings.get_device()].manual_seed(seed)
            try:
                loss = self.loss(embeddings, labels)
            except ValueError as error:
                raise DataError(f"{self._options['name']} refuses this batch", error) from error
        return Outcome(loss, len(labels), len(labels) if loss.item() > 0 else 0)

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return dict(self._options)


def _is_loss(thing: Any, base: type) -> bool:
    return inspect.isclass(thing) and issubclass(thing, base) and thing is not base


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """What the constructors of a class and its base classes take; they hand on to each other as keywords."""
    found: dict[str, inspect.Parameter] = {}
    for base in reversed(kind.__mro__):
        if "__init__" in vars(base):
            found |= inspect.signature(base).parameters
    return found


def _distance(compares: Any) -> Distance:
    """The distance of ours that ranks as theirs does; Cosine where there is none, as for a dot product."""
    if type(compares).__name__ == "LpDistance" and compares.p in (1, 2):
        return Euclidean() if compares.p == 2 else L1()
    return Cosine()


def _draw_seed(generator: Generator | None) -> int:
    if generator is None:
        return 0
    return int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
