"""What turns the outputs of a trained network into probabilities one can believe, learned from items of their own."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from likewise.encoder import Head
from likewise.errors import ModelError

HOTTEST, COLDEST = 100.0, 0.01  # temperatures
HALF = 0.5  # the threshold of a class where nothing better is known
COVERED = 0.9  # share of items that the interval of a number is to hold
ROUNDING = 1e-9  # of a sum of shares
LISTS = ("shifts", "thresholds", "half_widths")  # of a calibration
LEAST_FOR_INTERVAL = round(COVERED / (1 - COVERED))  # items, or groups; of fewer not even the farthest is far enough


@final
@dataclass(frozen=True)
class AnswerCalibration:
    """How outputs are read.

    Attributes:
        model: fingerprint of the model it is for.
        items: how many it was learned from.
        groups: of how many groups these are; None where items stand for themselves.
        data: where they came from, in words.
        temperature: outputs of classes are divided by it (Guo et al. 2017); above 1 where the network was too sure.
        shifts: one per output, taken off before the division; empty without class weights. Where a class counted w
            times in training, its output is higher by log w than its probability would have it (Menon et al. 2021).
        thresholds: of "multilabel", probability from which each class is said to hold: where F1 was highest.
        half_widths: of "regression", how far to either side `COVERED` of the items lie from what is said (split
            conformal prediction, Vovk et al. 2005); with groups, of the items of groups yet to come (Lee, Barber and
            Willett 2023). Empty where there were too few.
    """

    model: str
    items: int
    data: str
    temperature: float = 1.0
    shifts: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    half_widths: tuple[float, ...] = ()
    groups: int | None = None

    def read(self, outputs: Tensor) -> Tensor:
        """(N, K) outputs of the encoder -> (N, K) float64, of which `Head.answers` makes probabilities or numbers."""
        return (outputs.double() - outputs.new_tensor(self.shifts or 0.0, dtype=torch.float64)) / self.temperature

    def sample(self) -> str:
        """What it was learned from, in words: "48 items", "48 items of 12 groups"."""
        return f"{self.items:,} items" + ("" if self.groups is None else f" of {self.groups:,} groups")

    def lacking(self) -> str:
        """Why numbers have no interval, in words; of numbers that have none."""
        units = "items" if self.groups is None else "groups"
        held = self.items if self.groups is None else self.groups
        return f"No interval of {COVERED:.0%}: that takes {LEAST_FOR_INTERVAL} {units} or more, and there were {held}."

    def to_json(self) -> str:
        """The content of calibration.json."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> AnswerCalibration:
        """Inverse of `to_json`.

        Raises:
            ModelError: damaged, or of a model for another task.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            for name in LISTS:
                values[name] = tuple(float(v) for v in values[name])
                if not all(map(math.isfinite, values[name])):
                    raise ValueError(f"{name} {values[name]}")
            found = cls(**values)
            if found.groups is not None and found.groups < 1:
                raise ValueError(f"groups {found.groups}")
            if not 0 < found.temperature < math.inf:
                raise ValueError(f"temperature {found.temperature}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError("A calibration is complete", str(error), "Calibrate the model again.") from error
        return found


def calibrated(
    head: Head,
    outputs: Tensor,
    targets: Tensor,
    model: str,
    data: str,
    *,
    weights: Sequence[float] = (),
    groups: NDArray[np.int64] | None = None,
) -> AnswerCalibration:
    """Reads the outputs of items that training did not use.

    Args:
        head: what they say.
        outputs: (N, K).
        targets: (N, K) as `targets_for` gives them.
        model: fingerprint.
        data: where the items came from, in words.
        weights: (K,) what each class counted in training, or of sigmoids what it counted that it holds; empty for 1.
        groups: (N,) of the items, where those of one are alike.
    """
    items, several = len(outputs), None if groups is None else len(np.unique(groups))
    if head.kind == "regression":
        off = (head.answers(outputs) - targets.double()).abs().numpy()
        return AnswerCalibration(model, items, data, half_widths=_half_widths(off, groups), groups=several)
    # Of a class that counted nothing, training says nothing: there is no shift to take off.
    shifts = tuple(math.log(w) if w > 0 else 0.0 for w in weights)
    found = AnswerCalibration(model, items, data, shifts=shifts, groups=several)
    found = replace(found, temperature=_temperature(head, found.read(outputs), targets.double()))
    if head.kind == "multilabel":
        holds = head.answers(found.read(outputs)).numpy()
        thresholds = (best_threshold(holds[:, k], targets[:, k].numpy() >= HALF) for k in range(head.outputs))
        found = replace(found, thresholds=tuple(thresholds))
    return found


def best_threshold(probability: NDArray[np.float64], holds: NDArray[np.bool_]) -> float:
    """(N,), (N,) -> the threshold with the highest F1, in the middle between two probabilities; the nearest to one half
    of several; one half where the class never holds, or always.
    """
    if not holds.any() or holds.all():
        return HALF
    order = np.argsort(-probability, kind="stable")
    said, found = probability[order], np.cumsum(holds[order])
    f1 = 2 * found / (np.arange(1, len(said) + 1) + holds.sum())
    ends = np.flatnonzero(np.r_[said[1:] < said[:-1], True])  # a threshold parts no two that are the same
    below = np.r_[said, 0.0][ends + 1]
    middle = (said[ends] + below) / 2
    best = np.flatnonzero(f1[ends] >= f1[ends].max() - 1e-12)
    return float(middle[best[np.abs(middle[best] - HALF).argmin()]])


def _temperature(head: Head, outputs: Tensor, targets: Tensor) -> float:
    """What the outputs are divided by so that the targets are most likely.

    Where all N answers are right, nothing is too sure for them. So one answer of N + 2 is taken to be none of these, as
    Platt (1999) does: who saw 100 right answers does not say 1 in 1,000,000.
    """
    unseen = 1 / (len(targets) + 2)
    among = targets.shape[1] if head.kind == "multiclass" else 2
    targets = (1 - unseen) * targets + unseen / among

    def unlikely(logarithm: float) -> float:
        colder = outputs / math.exp(logarithm)
        if head.kind == "multiclass":
            return float(-(targets * F.log_softmax(colder, dim=1)).sum(dim=1).mean())
        return float(F.binary_cross_entropy_with_logits(colder, targets))

    with torch.inference_mode():
        found: Any = minimize_scalar(unlikely, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return math.exp(float(found.x))


def _half_widths(off: NDArray[np.float64], groups: NDArray[np.int64] | None) -> tuple[float, ...]:
    """(N, K) how far each answer was off, (N,) the group of each -> (K,) what is far enough.

    Of N items the ceil(0.9 (N + 1))-th nearest is. Of K groups each has the weight 1 / (K + 1), its items share it, and
    the items within are to have 0.9 in all: then an item of a group yet to come lies within as often, however alike the
    items of one group are (hierarchical conformal prediction, Lee, Barber and Willett 2023, equation 4).
    """
    _, of = np.unique(np.arange(len(off)) if groups is None else groups, return_inverse=True)
    held = np.bincount(of)
    if len(held) < LEAST_FOR_INTERVAL:
        return ()
    order = np.argsort(off, axis=0, kind="stable")
    within = np.cumsum((1 / held)[of][order], axis=0)  # in groups
    far_enough = (within < COVERED * (len(held) + 1) - ROUNDING).sum(axis=0)
    return tuple(np.take_along_axis(off, order, axis=0)[far_enough, np.arange(off.shape[1])].tolist())
