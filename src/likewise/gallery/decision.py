"""From distances to a name, to "unsure", or to "unknown".

Two rules say who the nearest is. "vote": the k nearest records that are within the line vote, and most votes win (of
equally many, the nearest record's). "mean": the nearest of the means of the names that these k records have, each taken
over the name's records without outliers.

Two lines say whether to believe it: within the strict one the answer is the name, between the two "unsure", beyond
"unknown". A line is a distance; what it promises is a false positive identification rate (FPIR), the share of looks at
the gallery by people who are not in it that end in a name. One look is a comparison with every record, so with n
records

    FPIR = 1 - (1 - FMR)^n

if comparisons were independent, and less where they are not. The threshold that a model's calibration found for one
comparison is therefore no threshold for a gallery; `leave_out.py` finds one on what is enrolled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from likewise.calibration import Calibration, Threshold
from likewise.errors import UsageError
from likewise.objective.distances import Cosine, Distance

Rule = Literal["vote", "mean"]
Outcome = Literal["known", "unsure", "unknown"]

K, MOST_K = 5, 100  # records that vote
_GROWN = 1.1  # NIST asks that a gallery is tested at 90% of its size in use
STRICT_FPIR, LOOSE_FPIR = 0.01, 0.1  # wanted where nobody said otherwise
_FAR = (
    3 * 1.4826
)  # an outlier is farther than three standard deviations, which are 1.4826 median deviations of a normal


@final
@dataclass(frozen=True)
class Lines:
    """Where "known" ends and where "unsure" ends, and what that means for this gallery as it is now.

    Attributes:
        strict, loose: distances; the answer is a name up to `strict`, and "unsure" up to `loose`.
        fpir: share of strangers' looks that end in a name, as far as it is known; None where nothing is promised.
        fpir_loose: share that end in a name or in "unsure", likewise.
        source: "gallery" where `calibrate` has found them on what is enrolled, "model" where they are the model's,
            "published" where all there is is the distance that the makers of its parameters published.
        grown: how many times as many records there are as when they were found.
    """

    strict: float
    loose: float
    fpir: float | None
    fpir_loose: float | None
    source: Literal["gallery", "model", "published"]
    grown: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def in_words(self) -> str:
        """What a name is worth here, in one line."""
        if self.source == "published":
            return (
                f"the line is the {self.strict:g} that the makers of the model published; how often a stranger gets a"
                " name here is not known: `likewise gallery calibrate` or `likewise calibrate` measure it"
            )
        if self.fpir is None:
            return "how often a stranger gets a name is not known: run `likewise gallery calibrate` for this rule"
        if self.fpir == 0:
            return "nobody is enrolled, so nobody gets a name"
        text = f"up to {_of_many(self.fpir)} strangers would be given a name"
        if self.loose > self.strict and self.fpir_loose is not None:
            text += f", up to {_of_many(self.fpir_loose)} a name or unsure"
        else:
            text += "; nobody is unsure, as both lines are one"
        if self.source == "model" and self.fpir > LOOSE_FPIR:
            return (
                f"Warning: {text}. Take no name for certain: the model has no stricter threshold. Run `likewise gallery"
                " calibrate`, or calibrate the model for a smaller rate"
            )
        if self.source == "model":
            return f"{text}, by the model's thresholds; `likewise gallery calibrate` measures it"
        if self.grown > _GROWN:
            return f"{text}: the gallery has grown {self.grown:.2g}-fold since it was calibrated; calibrate it again"
        return f"{text}, as calibrated on what is enrolled"


def _of_many(rate: float) -> str:
    """So many of a hundred, or of as many more as make it one at least."""
    many = next((10**digits for digits in range(2, 6) if rate * 10**digits >= 1), 10**6)
    return f"{float(f'{rate * many:.2g}'):g} of {many:,}"


@final
@dataclass(frozen=True)
class Match:
    """One name that came near.

    Attributes:
        name: whose.
        distance: to its nearest record, or to its mean, as the rule says.
        probability: that probe and nearest record are the same, if same and different were equally likely beforehand;
            None where the model does not know.
        votes: how many of its records are within the loose line, among the k nearest.
    """

    name: str
    distance: float
    probability: float | None
    votes: int


@final
@dataclass(frozen=True)
class Decision:
    """What is said of one probe.

    Attributes:
        outcome: "known", "unsure" or "unknown".
        name: who it is, or may be; None where unknown.
        matches: names by distance, the nearest first.
    """

    outcome: Outcome
    name: str | None
    matches: tuple[Match, ...]

    @property
    def distance(self) -> float | None:
        """To whom it is, or may be, which need not be the nearest; to the nearest where unknown; None for nobody."""
        own = [match for match in self.matches if match.name == self.name]
        return next((match.distance for match in own or self.matches), None)

    def at_most_unsure(self) -> Decision:
        """The same of a poor probe, which is never called by a name."""
        return replace(self, outcome="unsure") if self.outcome == "known" else self


@final
@dataclass(frozen=True)
class Candidates:
    """Who comes into question for each of Q probes; places that stay empty are infinitely far.

    Attributes:
        names: (Q, c) numbers of names; -1 where empty.
        distances: (Q, c) float32.
    """

    names: NDArray[np.int64]
    distances: NDArray[np.float32]


def check_rule(rule: str, k: int) -> tuple[Rule, int]:
    """Both, if they can be.

    Raises:
        UsageError: they cannot.
    """
    if rule not in ("vote", "mean"):
        raise UsageError("A gallery decides by vote or by mean", repr(rule))
    if not 1 <= k <= MOST_K:
        raise UsageError(f"1 to {MOST_K} of the nearest records decide", k, "5 is usual.")
    return rule, k


def expected_fpir(fmr: float, records: int) -> float:
    """Share of strangers that some of n independent comparisons take for another, each with a rate of `fmr`."""
    with np.errstate(divide="ignore"):  # a rate of 1
        return float(-np.expm1(records * np.log1p(-fmr)))


def lines_of_model(calibration: Calibration, records: int, rule: Rule) -> Lines:
    """Lines from the thresholds a model has: the loosest whose expected FPIR is at most 1% and 10%, or the strictest.

    The loose line is a step looser than the strict one where the model knows such a step. The distance to a mean is
    none between two items, so for the rule "mean" nothing is promised.
    """
    known = [line for line in calibration.thresholds if line.supported] or [calibration.threshold_for()]

    def wanted(fpir: float) -> Threshold:
        kept = [line for line in known if expected_fpir(line.promised, records) <= fpir]
        return kept[0] if kept else known[-1]  # thresholds come with the largest rate first

    strict, loose = wanted(STRICT_FPIR), wanted(LOOSE_FPIR)
    if loose is strict:
        loose = known[max(0, known.index(strict) - 1)]
    known_rate = rule == "vote" or not records
    rates = [expected_fpir(line.promised, records) if known_rate else None for line in (strict, loose)]
    return Lines(strict.threshold, loose.threshold, rates[0], rates[1], "model")


def lines_published(distance: float) -> Lines:
    """Both lines at a published distance, of which nobody knows what it promises on somebody's own pictures."""
    return Lines(distance, distance, None, None, "published")


def chosen(candidates: Candidates, line: float, rule: Rule) -> NDArray[np.int64]:
    """(Q,) column of the candidate that each probe is taken for within `line`; -1 for none."""
    within = candidates.distances <= line
    if candidates.names.shape[1] == 0:
        return np.full(len(within), -1)
    votes = within.astype(np.int64)
    if rule == "vote":
        same = candidates.names[:, :, None] == candidates.names[:, None, :]
        votes *= (same & within[:, None, :]).sum(axis=2)
    most = votes == votes.max(axis=1, keepdims=True)
    return np.where(within.any(axis=1), np.where(most, candidates.distances, np.inf).argmin(axis=1), -1)


def decide(
    near: Candidates,
    to_means: NDArray[np.float32] | None,
    names: Sequence[str],
    lines: Lines,
    calibration: Calibration | None,
) -> list[Decision]:
    """One decision for each probe.

    Args:
        near: the nearest records: their names, and how far they are.
        to_means: (Q, c) distance to the mean of each of these names, for the rule "mean"; None for "vote".
        names: by number.
        lines: where known and unsure end.
        calibration: for the probability of "same"; None where there is none.
    """
    same = near.names[:, :, None] == near.names[:, None, :]
    nearest = np.where(same, near.distances[:, None, :], np.inf).min(axis=2, initial=np.inf)
    votes = (same & (near.distances <= lines.loose)[:, None, :]).sum(axis=2)
    rule: Rule = "vote" if to_means is None else "mean"
    candidates = near if to_means is None else Candidates(near.names, to_means)
    strict, loose = chosen(candidates, lines.strict, rule), chosen(candidates, lines.loose, rule)
    decisions: list[Decision] = []
    for row, (sure, perhaps) in enumerate(zip(strict.tolist(), loose.tolist(), strict=True)):
        matches: dict[int, Match] = {}
        for column in candidates.distances[row].argsort(kind="stable").tolist():
            number = int(near.names[row, column])
            if number not in matches and np.isfinite(candidates.distances[row, column]):
                far = float(nearest[row, column])
                matches[number] = Match(
                    name=names[number],
                    distance=float(candidates.distances[row, column]),
                    probability=None if calibration is None else float(calibration.probability([far])[0]),
                    votes=int(votes[row, column]),
                )
        outcome: Outcome = "known" if sure >= 0 else "unsure" if perhaps >= 0 else "unknown"
        winner = sure if sure >= 0 else perhaps
        name = names[int(near.names[row, winner])] if winner >= 0 else None
        decisions.append(Decision(outcome, name, tuple(matches.values())))
    return decisions


def robust_mean(embeddings: NDArray[np.float32], distance: Distance, unit: bool) -> NDArray[np.float32]:
    """(D,) mean of the records (n, D) of one name, outliers left out.

    From three records on, those are dropped that are farther from the median of every coordinate than the median of
    these distances plus three robust standard deviations (Hampel's rule). At least half are kept.

    Args:
        embeddings: at least one.
        distance: the model's.
        unit: whether embeddings have unit length; then so has the mean, which keeps its distances comparable.
    """
    rows = torch.from_numpy(np.array(embeddings, np.float32))
    unit = unit or isinstance(distance, Cosine)
    rows = F.normalize(rows, dim=1) if unit else rows
    if len(rows) > 2:
        with torch.no_grad():
            far = distance.rowwise(rows, rows.median(dim=0).values.expand_as(rows)).numpy()
        middle = np.median(far)
        rows = rows[torch.from_numpy(far <= middle + _FAR * np.median(np.abs(far - middle)))]
    mean = rows.mean(dim=0)
    return (F.normalize(mean, dim=0) if unit else mean).numpy()


def distances_to(probes: NDArray[np.float32], others: NDArray[np.float32], distance: Distance) -> NDArray[np.float32]:
    """(Q, D) probes, and c others for each of them (Q, c, D) -> (Q, c) distances."""
    flat = torch.from_numpy(np.repeat(probes, others.shape[1], axis=0))
    with torch.no_grad():
        return distance.rowwise(flat, torch.from_numpy(others.reshape(flat.shape))).numpy().reshape(others.shape[:2])
