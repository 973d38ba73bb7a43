"""Lines for a gallery, found on what is enrolled by leaving out one name after the other.

Strangers are what a gallery has none of, but everyone enrolled is a stranger to the gallery without them. So every
record looks at the records of all other names, and the share that would have got a name is the FPIR of a line; and it
looks at all records but itself, and the share that would not have got its own name is the FNIR (ISO/IEC 19795-1).

What was sampled are names. A rate is the mean over names of the share of each name's records, so that nobody counts for
more because of many pictures, and its interval is that of a mean of as many independent numbers as there are names: of
`variance / n`, turned into the number of trials worth as much, for Wilson's interval with Student's quantile. One
dependence comes on top: if a is taken for b, then mostly b for a. With y_ab the share of a's records that are taken for
b, the products y_ab y_ba of all pairs of names add to the variance of the sum; strangers at the door have no such
pairs.

No error among n names shows an FPIR below about 3 / n, so a promise of f needs 3 / f names.

Two things this cannot see. The gallery that is looked at lacks one name of n, so FPIR is too low by a share of 1 / n;
and each record looks at one fewer of its own name, so FNIR is somewhat too high.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betaincinv
from torch import Tensor

from likewise.calibration.support import LADDER, trials_needed
from likewise.encoder import Progress
from likewise.errors import DataError, SupportError, UsageError
from likewise.gallery.decision import Candidates, Lines, Rule, chosen, distances_to, robust_mean
from likewise.metrics import cross_blocks
from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import CONFIDENCE, wilson
from likewise.objective.distances import Distance

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PROBES = 20_000  # records that look; of larger galleries as many names, drawn, as have so many
ACCEPTS_NOBODY = -1.0
_WEAK = (0.5, 0.2)  # promises that a gallery of few names can still keep


@final
@dataclass(frozen=True)
class Line:
    """A distance, and what happens at it.

    Attributes:
        promised: the FPIR asked for; `fpir.value` is at most this.
        threshold: of the strangers' distances, the largest that keeps the promise; -1, which accepts nobody, if none
            does.
        fpir: share of strangers that get a name, and the 95% interval of the true one.
        fnir: share of those enrolled that do not get theirs; None where no name has two records.
    """

    promised: float
    threshold: float
    fpir: Estimate
    fnir: Estimate | None


@final
@dataclass(frozen=True)
class GalleryCalibration:
    """What leaving out names has found.

    Attributes:
        rule, k: how was decided (`likewise.gallery.decision`).
        strict, loose: the two lines.
        names: how many names were left out in turn.
        probes: how many records looked.
        records: how many there were in the gallery.
        time: when, in seconds since 1970 (UTC).
        seed: of the names that looked, where not all did.
    """

    rule: Rule
    k: int
    strict: Line
    loose: Line
    names: int
    probes: int
    records: int
    time: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GalleryCalibration:
        """Inverse of `as_dict`.

        Raises:
            DataError: something else.
        """

        def line(fields: dict[str, Any]) -> Line:
            fnir = fields["fnir"]
            return Line(
                float(fields["promised"]),
                float(fields["threshold"]),
                Estimate(**fields["fpir"]),
                None if fnir is None else Estimate(**fnir),
            )

        try:
            rest = {key: value for key, value in values.items() if key not in ("strict", "loose")}
            return cls(strict=line(values["strict"]), loose=line(values["loose"]), **rest)
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(
                "A gallery's settings are as they were written", str(error), "Calibrate it again."
            ) from error

    def lines(self, records: int) -> Lines:
        """The two lines for a gallery of so many records: rates grow as if comparisons were independent."""
        grown = records / self.records

        def now(rate: float) -> float:
            return float(-np.expm1(grown * np.log1p(-rate)))

        return Lines(
            self.strict.threshold, self.loose.threshold, now(self.strict.promised), now(self.loose.promised),
            "gallery", grown,
        )  # fmt: skip


def leave_out(
    embeddings: Tensor,
    names: Integers,
    distance: Distance,
    *,
    fpir: float,
    loose_fpir: float,
    rule: Rule,
    k: int,
    unit: bool,
    seed: int = 0,
    progress: Progress | None = None,
) -> GalleryCalibration:
    """Lines for two promised rates.

    Args:
        embeddings: (N, D) float32, all that is enrolled.
        names: (N,) from 0 without gaps: whose.
        distance: the model's.
        fpir: wanted of the strict line.
        loose_fpir: wanted of the loose one; larger.
        rule, k: how is decided.
        unit: whether embeddings have unit length.
        seed: of the names that look, where there are too many.
        progress: told of names looked for.

    Raises:
        SupportError: too few names for `fpir`; says how many are missing. UsageError: impossible rates.
    """
    if not 0 < fpir < 1:
        raise UsageError("A promised rate lies between 0 and 1", f"{fpir:g}", "Pass for example 0.01.")
    if not fpir < loose_fpir < 1:
        raise UsageError("Promised rates lie between 0 and 1, the loose one above", f"{fpir:g} and {loose_fpir:g}")
    sizes = np.bincount(names)
    _require(fpir, len(sizes))
    probes = _drawn(names, sizes, seed)
    strangers, known = _looks(embeddings, names, probes, distance, rule, k, unit, progress)
    of, everyone = names[probes], np.arange(len(probes))
    first = strangers.distances.argmin(axis=1)
    nearest, who = strangers.distances[everyone, first], strangers.names[everyone, first]

    def line(promised: float) -> Line:
        threshold = _threshold(nearest, of, promised)
        taken = nearest <= threshold
        column = chosen(known, threshold, rule)
        missed = (column < 0) | (known.names[everyone, column] != of)
        mated = sizes[of] > 1
        fnir = mean_over_names(_shares(missed[mated], of[mated]), int(mated.sum())) if mated.any() else None
        mutual = _mutual(of, who, taken)
        return Line(promised, threshold, at_chosen_line(_shares(taken, of), len(of), mutual), fnir)

    return GalleryCalibration(
        rule, k, line(fpir), line(loose_fpir), len(np.unique(of)), len(of), len(names), time.time(), seed
    )


def loose_for(fpir: float) -> float:
    """What is promised of the loose line where nobody says: ten times as much, in bounds."""
    return min(10 * fpir, 0.5) if fpir < 0.5 else (1 + fpir) / 2


def mean_over_names(shares: Floats, probes: int, mutual: float = 0.0) -> Estimate:
    """The mean of one share for each name, and its 95% interval.

    Args:
        shares: (n,) in [0, 1].
        probes: on how many records they were counted: there are never more independent trials.
        mutual: what dependence adds to the variance of their sum.
    """
    mean = float(shares.mean())
    if len(shares) < 2:
        return Estimate(mean, 0.0, 1.0)
    if mean in (0.0, 1.0):
        return wilson(mean, len(shares))
    return wilson(mean, _trials(shares, probes, mutual), freedom=len(shares) - 1)


def at_chosen_line(shares: Floats, probes: int, mutual: float) -> Estimate:
    """The same where the line was put at the distance of one of those it counts.

    Of n independent strangers, the r-th nearest was chosen, and the true rate at the r-th smallest of n numbers has the
    distribution Beta(r, n + 1 - r): it lies low more often than Wilson's interval, for a line chosen beforehand,
    allows. The upper end, which is about letting strangers in, stays Wilson's; it is the more careful one.
    """
    found = mean_over_names(shares, probes, mutual)
    if not 0 < found.value < 1:
        return found
    trials = _trials(shares, probes, mutual)
    lowest = betaincinv(found.value * trials, trials + 1 - found.value * trials, (1 - CONFIDENCE) / 2)
    return replace(found, low=min(found.low, float(lowest)))


def _trials(shares: Floats, probes: int, mutual: float) -> float:
    """How many independent trials have the variance that the mean of these shares has."""
    mean, number = float(shares.mean()), len(shares)
    variance = float(shares.var(ddof=1)) / number + mutual / number**2
    return min(mean * (1 - mean) / variance, probes) if variance > 0 else probes


def _require(fpir: float, names: int) -> None:
    needed = trials_needed(fpir)
    if names < needed:
        best = min((rate for rate in (*LADDER, *_WEAK) if trials_needed(rate) <= names), default=None)
        otherwise = "" if best is None else f", or promise {best:g} (--fpir {best:g} --loose {loose_for(best):g})"
        missing = (
            "1 name is missing: enrol it"
            if needed == names + 1
            else f"{needed - names:,} names are missing: enrol them"
        )
        raise SupportError(
            f"A false positive identification rate of {fpir:g} needs {needed:,} names",
            f"{names:,}",
            f"{missing}{otherwise}.",
        )


def _drawn(names: Integers, sizes: Integers, seed: int) -> Integers:
    """Positions of the records that look: all, or those of drawn names."""
    if len(names) <= PROBES:
        return np.arange(len(names))
    order = np.random.default_rng(seed).permutation(len(sizes))
    enough = int(np.searchsorted(sizes[order].cumsum(), PROBES)) + 1
    return np.flatnonzero(np.isin(names, order[:enough]))


def _looks(
    embeddings: Tensor,
    names: Integers,
    probes: Integers,
    distance: Distance,
    rule: Rule,
    k: int,
    unit: bool,
    progress: Progress | None,
) -> tuple[Candidates, Candidates]:
    """Who comes into question for each probe, in the gallery without its name, and in that without itself."""
    k = min(k, len(names) - 1)
    of = torch.from_numpy(names)
    means = _Means(embeddings, names, distance, unit) if rule == "mean" else None
    found: tuple[list[Candidates], list[Candidates]] = [], []
    for rows, _, far, _ in cross_blocks(embeddings[torch.from_numpy(probes)], embeddings, distance):
        here = torch.from_numpy(probes[rows])
        far[torch.arange(len(here)), here] = torch.inf
        without_itself = far.topk(k, dim=1, largest=False)
        far[of[here, None] == of] = torch.inf
        without_name = far.topk(k, dim=1, largest=False)
        for near, held in zip((without_name, without_itself), found, strict=True):
            who = of[near.indices].masked_fill(near.values.isinf(), -1).numpy()
            one = Candidates(who, near.values.numpy())
            held.append(one if means is None else means.instead(one, here.numpy()))
        if progress:
            progress(rows.stop, len(probes), "leaving out")
    strangers, known = (
        Candidates(np.concatenate([c.names for c in held]), np.concatenate([c.distances for c in held]))
        for held in found
    )
    return strangers, known


class _Means:
    """The mean of every name, and for a probe the mean of its own name without it."""

    def __init__(self, embeddings: Tensor, names: Integers, distance: Distance, unit: bool) -> None:
        self._rows, self._of, self._distance, self._unit = embeddings.numpy(), names, distance, unit
        order = np.argsort(names, kind="stable")
        self._members = np.split(order, np.cumsum(np.bincount(names))[:-1])
        self._means = np.stack([robust_mean(self._rows[m], distance, unit) for m in self._members])

    def instead(self, near: Candidates, probes: Integers) -> Candidates:
        """Distances to means in the place of distances to records, nearest first again."""
        means = self._means[near.names]
        for row, column in np.argwhere(near.names == self._of[probes, None]).tolist():
            members = self._members[near.names[row, column]]
            means[row, column] = robust_mean(self._rows[members[members != probes[row]]], self._distance, self._unit)
        far = distances_to(self._rows[probes], means, self._distance)
        return Candidates(near.names, np.where(near.names < 0, np.inf, far).astype(np.float32))


def _threshold(far: NDArray[np.float32], of: Integers, promised: float) -> float:
    """The largest of the strangers' distances at which at most a share of `promised` is taken for somebody."""
    weight = 1 / np.bincount(of)[of]
    weight /= weight.sum()
    levels, place = np.unique(far, return_inverse=True)
    share = np.bincount(place, weight).cumsum()
    kept = int(np.searchsorted(share, promised * (1 + 1e-9), side="right"))
    return float(levels[kept - 1]) if kept and np.isfinite(levels[kept - 1]) else ACCEPTS_NOBODY


def _shares(events: NDArray[np.bool_], of: Integers) -> Floats:
    """(n,) for each name that looks, the share of its records that it happens to."""
    _, place = np.unique(of, return_inverse=True)
    return np.bincount(place, events) / np.bincount(place)


def _mutual(of: Integers, taken_for: Integers, taken: NDArray[np.bool_]) -> float:
    """Sum over names a and b of y_ab y_ba, each pair both ways round."""
    size = np.bincount(of)
    pairs, count = np.unique(np.stack([of[taken], taken_for[taken]]), axis=1, return_counts=True)
    share = {(int(a), int(b)): c / size[a] for (a, b), c in zip(pairs.T.tolist(), count.tolist(), strict=True)}
    return float(sum(y * share.get((b, a), 0.0) for (a, b), y in share.items()))
