"""At which distance an agglomerative clustering of a model's embeddings stops."""

from __future__ import annotations

import math

from likewise.calibration.probability import ProbabilityCurve
from likewise.errors import ModelError
from likewise.matching import Model

SURE = 0.8  # how probable "the same" is to be, if same and different were equally likely beforehand


def cut_of(model: Model, fmr: float | None = None) -> float:
    """The distance from which on two clusters are different ones, by the model's calibration.

    Without `fmr` it is the distance at which the calibrated probability of "the same" falls to 0.8. The threshold of a
    promised rate is made for one pair and looks at strangers only: where a model was calibrated on few people just a
    rate of 1 in 10 can be promised, and a folder cut there has strangers together; where on many, the rate is so small
    that most pairs of the same are refused too. docs/clustering.md has the measurements.

    Args:
        model: calibrated.
        fmr: take the threshold of this promised false match rate instead.

    Raises:
        ModelError: the model is not calibrated, or the threshold accepts nothing.
        UsageError: it is not calibrated for `fmr`.
    """
    if model.calibration is None:
        raise ModelError(
            "Agglomerative clustering stops where the model's calibration says",
            "a model that was never calibrated",
            "Run `likewise calibrate MODEL DATA`, or take --method hdbscan, which needs no calibration.",
        )
    if fmr is None:
        return sure_distance(model.calibration.curve)
    threshold = model.calibration.threshold_for(fmr).threshold
    if threshold < 0:
        raise ModelError(
            "Agglomerative clustering needs a threshold that accepts something",
            f"none for a false match rate of {fmr:g}",
            "Leave --fmr out, or take a larger one.",
        )
    return threshold


def sure_distance(curve: ProbabilityCurve, sure: float = SURE) -> float:
    """The largest distance at which `curve` is at least `sure`; where it never is, the largest of its highest value."""
    wanted = min(math.log(sure / (1 - sure)), curve.logits[0])
    last = max(i for i, logit in enumerate(curve.logits) if logit >= wanted)
    if last == len(curve.knots) - 1:
        return curve.knots[last]
    share = (curve.logits[last] - wanted) / (curve.logits[last] - curve.logits[last + 1])
    return curve.knots[last] + share * (curve.knots[last + 1] - curve.knots[last])


def support_note(model: Model, fmr: float | None = None) -> str | None:
    """What a person should know of a calibration that its data were too few for; None if they were enough."""
    line = model.calibrated().threshold_for(fmr)
    if line.supported:
        return None
    return (
        f"the model was calibrated on too little to promise a false match rate of {line.promised:g}: look at the"
        " clusters before you trust them"
    )
