"""At which distance an agglomerative clustering of a model's embeddings stops."""

from __future__ import annotations

import math

from likewise.calibration.probability import ProbabilityCurve
from likewise.errors import ModelError
from likewise.matching import Model

PUBLISHED = 0.9  # of the most for one pair, as clusters are compared by the mean over many
PAIR = 0.8  # of it for two items alone, which are one chance among as many as there are pairs of items
EVEN = 0.5  # as probable to be the same as not, if both were equally likely beforehand


def cut_of(model: Model, fmr: float | None = None) -> float:
    """The distance from which on two clusters are different ones.

    By a calibration, without `fmr`, it is the distance at which the calibrated probability of "the same" falls to one
    half. The threshold of a promised rate looks at strangers only, and says as much about how many people a model was
    calibrated on as about its distances: the more, the smaller the rate that can be promised, and the more pairs of the
    same it refuses.

    Of a model that was never calibrated it is `PUBLISHED` of the distance that its makers published, if they did: that
    is the most for one pair, and clusters are compared by the mean over many. docs/clustering.md has the measurements.

    Args:
        model: calibrated, or with a published distance.
        fmr: take the threshold of this promised false match rate instead.

    Raises:
        ModelError: the model has neither, or the threshold accepts nothing.
        UsageError: it is not calibrated for `fmr`.
    """
    published = model.encoder.published
    if model.calibration is None and published is not None and fmr is None:
        return PUBLISHED * published
    if model.calibration is None:
        what = "" if published is not None else " and has no published distance for what it encodes"
        raise ModelError(
            "Agglomerative clustering stops where the model's calibration says",
            f"a model that was never calibrated{what}",
            "Run `likewise calibrate MODEL DATA`, or take --method hdbscan, which needs no calibration.",
        )
    if fmr is None:
        return distance_at(model.calibration.curve)
    threshold = model.calibration.threshold_for(fmr).threshold
    if threshold < 0:
        raise ModelError(
            "Agglomerative clustering needs a threshold that accepts something",
            f"none for a false match rate of {fmr:g}",
            "Leave --fmr out, or take a larger one.",
        )
    return threshold


def pair_cut_of(model: Model) -> float | None:
    """The distance from which on two items that nothing else joins are no cluster; None for that of all clusters.

    Of a model that was never calibrated it is `PAIR` of the published distance. A cluster of many is held by the mean
    over its pairs, one of two by a single distance; and among n items that are all of different people there are
    n (n - 1) / 2 pairs to be mistaken. docs/clustering.md has the measurements.
    """
    published = model.encoder.published
    return PAIR * published if model.calibration is None and published is not None else None


def distance_at(curve: ProbabilityCurve, probability: float = EVEN) -> float:
    """The largest distance at which `curve` is at least `probability`; where it never is, that of its highest value."""
    wanted = min(math.log(probability / (1 - probability)), curve.logits[0])
    last = max(i for i, logit in enumerate(curve.logits) if logit >= wanted)
    if last == len(curve.knots) - 1:
        return curve.knots[last]
    share = (curve.logits[last] - wanted) / (curve.logits[last] - curve.logits[last + 1])
    return curve.knots[last] + share * (curve.knots[last + 1] - curve.knots[last])


def support_note(model: Model, fmr: float | None = None) -> str | None:
    """What a person should know of where the threshold is from; None if the calibration had enough data for it."""
    published = model.encoder.published
    if model.calibration is None and published is not None:
        return (
            f"the model was never calibrated: clusters are cut at {PUBLISHED * published:g}, which is {PUBLISHED:g} of"
            f" the distance its makers publish ({published:g}), and two items alone at {PAIR * published:g};"
            " `likewise calibrate MODEL DATA --out MODEL` finds your own"
        )
    line = model.calibrated().threshold_for(fmr)
    if line.supported:
        return None
    return (
        f"the model was calibrated on too little to promise a false match rate of {line.promised:g}: look at the"
        " clusters before you trust them"
    )
