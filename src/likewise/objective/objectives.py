"""The table of objectives, and how a name with a few options becomes one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from likewise.errors import UsageError
from likewise.objective.distances import WeightedL1, at_least_one, make_distance
from likewise.objective.heads import ArcFace, CosFace, Softmax
from likewise.objective.miners import make_miner
from likewise.objective.objective import Objective
from likewise.objective.pairs import BinaryCrossEntropy, ConcatenatedTwins, Contrastive
from likewise.objective.pml import PML, PREFIX
from likewise.objective.supcon import SupCon
from likewise.objective.triplets import SoftMarginTripletLoss, SoftmaxTripletLoss, TripletLoss

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    kind.name: kind
    for kind in (
        Contrastive,
        BinaryCrossEntropy,
        ConcatenatedTwins,
        TripletLoss,
        SoftMarginTripletLoss,
        SoftmaxTripletLoss,
        Softmax,
        ArcFace,
        CosFace,
        SupCon,
    )
}


def make_objective(
    name: str,
    *,
    dim: int,
    classes: int,
    margin: float | None = None,
    miner: str | None = None,
    distance: str | None = None,
    class_weights: Sequence[float] | None = None,
    seed: int = 0,
) -> Objective:
    """The objective called `name`, or pytorch-metric-learning's loss for ``pml:Name``.

    Args:
        name: from `OBJECTIVES`, or ``pml:`` and a class name.
        dim: D, length of the embeddings.
        classes: C, number of identities of the training set.
        margin: None for the objective's own.
        miner: a name from `MINERS`; None for the objective's own.
        distance: a name from `DISTANCES`; None for the objective's own.
        class_weights: (C,) what an item of each class counts, for class heads; None for 1 each.
        seed: of initial weights.

    Raises:
        UsageError: unknown names, options the objective does not have, or impossible ones.
    """
    at_least_one("An embedding", "dimension", dim)
    if name.startswith(PREFIX):
        constructor, options = PML, {"name": name.removeprefix(PREFIX)}
    elif name in OBJECTIVES:
        constructor, options = OBJECTIVES[name], {}
    else:
        raise UsageError(f"A loss is one of {', '.join(OBJECTIVES)}, {PREFIX}Name", repr(name))
    taken = inspect.signature(constructor).parameters
    chosen = {
        "margin": margin,
        "miner": None if miner is None else make_miner(miner),
        "distance": None if distance is None else make_distance(distance, dim),
        "class_weights": class_weights,
    }
    if constructor is BinaryCrossEntropy and distance is None:
        chosen["distance"] = WeightedL1(dim)
    for option, value in chosen.items():
        if value is not None and option not in taken:
            having = [n for n, kind in OBJECTIVES.items() if option in inspect.signature(kind).parameters]
            flag = f"--{option.replace('_', '-')}"
            raise UsageError(f"{flag} goes with {', '.join(having)}", f"{flag} with {name}", "Leave it out.")
    given: dict[str, Any] = {"dim": dim, "classes": classes, "seed": seed, **chosen}
    return constructor(**options, **{key: value for key, value in given.items() if key in taken and value is not None})
