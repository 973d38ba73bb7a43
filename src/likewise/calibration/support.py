"""How small a false match rate the data can speak about.

Not one error in n independent trials shows, at 95%, an error rate below about 3 / n. So a promise of f needs
3 / f trials. Pictures of the same two people are no new trial: what counts are pairs of people, n (n - 1) / 2
of n people. Where the list of classes is fixed (digits), items are what was sampled, and pairs of items of
different classes count.
"""

from __future__ import annotations

from math import isqrt

from likewise.errors import SupportError
from likewise.metrics.intervals import trials_needed

LADDER = (1e-1, 1e-2, 1e-3, 1e-4)


def identities_needed(fmr: float) -> int:
    """The smallest number of identities that form that many pairs: 246 for 1e-4.

    Raises:
        UsageError: `fmr` is not between 0 and 1.
    """
    doubled = 2 * trials_needed(fmr)
    n = isqrt(doubled)
    while n * (n - 1) < doubled:
        n += 1
    return n


def smallest_supported_fmr(trials: int) -> float | None:
    """The smallest rate of the ladder 1e-1 to 1e-4 that `trials` support; None if they support none of them.

    Args:
        trials: pairs of identities; with a fixed list of classes, pairs of items of different classes.
    """
    return min((fmr for fmr in LADDER if trials_needed(fmr) <= trials), default=None)


def require_support(fmr: float, trials: int, identities: int | None) -> None:
    """Refuse a promise the data cannot bear.

    Args:
        fmr: the promised false match rate.
        trials: see `smallest_supported_fmr`.
        identities: how many identities formed the trials; None if items formed them.

    Raises:
        SupportError: too few; says how many there are, how many are needed and how many are missing.
        UsageError: `fmr` is not between 0 and 1.
    """
    needed = trials_needed(fmr)
    if trials >= needed:
        return
    best = smallest_supported_fmr(trials)
    otherwise = f", or promise {best:g}" if best is not None else ""
    if identities is None:
        raise SupportError(
            f"A false match rate of {fmr:g} needs {needed:,} pairs of items that are not the same",
            f"{trials:,}",
            f"Bring data for {needed - trials:,} more{otherwise}.",
        )
    people = identities_needed(fmr)
    raise SupportError(
        f"A false match rate of {fmr:g} needs {needed:,} pairs of identities, those of {people:,} identities",
        f"{trials:,} pairs of {identities:,} identities",
        f"{max(people - identities, 1):,} identities are missing: bring them{otherwise}.",
    )
