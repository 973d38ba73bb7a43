"""Do the intervals of a report hold the truth? ROC AUC, EER, FNMR at FMR, and both rates at a given threshold.

    python benchmarks/intervals.py [--draws 500]

Test sets are drawn again and again, either of people, of whom there are always others, or of items of a fixed list of
classes. Every set is measured as a report measures it, and each 95% interval either holds the figure of the whole
population or does not. The figures of the population come from 3 million pairs of either kind, each pair of people
(items) of its own, so that nothing hangs together there. A cell is the share of sets in which the interval held the
truth; after it the share in which the truth was worse than the interval allows: a smaller AUC, a larger error.

The given threshold is the one with FMR 0.01 in the population. "-" stands where the sets are too small for a report to
give the figure. Figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from likewise.calibration import rates_at
from likewise.metrics import Estimate, verification
from likewise.metrics.curve import ErrorCurve, listed_curve
from likewise.objective.distances import Euclidean

DIM, SPREAD = 8, 0.5
LEVELS = (1e-1, 1e-2)
FIGURES = ("AUC", "EER", "FNMR at FMR 0.1", "FNMR at FMR 0.01", "FMR at a threshold", "FNMR at a threshold")
GIVEN = 0.01  # the true FMR of the given threshold
TRUTH = 3_000_000  # pairs of either kind

Points = np.ndarray
Drawn = tuple[np.ndarray, np.ndarray]  # (N, D) items and (N,) whose they are, rising


class Population(NamedTuple):
    """What test sets are drawn from.

    Attributes:
        name: in words.
        unit: what varies from set to set: "identity" or "item".
        draw: a test set.
        same, different: draw so many pairs, each independent of all others: two (K, D).
    """

    name: str
    unit: str
    draw: Callable[[np.random.Generator], Drawn]
    same: Callable[[np.random.Generator, int], tuple[Points, Points]]
    different: Callable[[np.random.Generator, int], tuple[Points, Points]]


# Of people: how far each lies from the middle, and how far their items scatter.
PEOPLE: dict[str, Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]] = {
    "alike": lambda rng, n: (np.ones(n), np.full(n, SPREAD)),
    "wolves": lambda rng, n: (np.where(rng.random(n) < 0.1, 0.3, 1.0), np.full(n, SPREAD)),
    "own scatter": lambda rng, n: (np.ones(n), SPREAD * np.exp(0.5 * rng.normal(size=n))),
    "heavy tails": lambda rng, n: (np.sqrt(3 / rng.chisquare(3, n)) / 1.5, np.full(n, SPREAD)),
}


def people(kind: str, identities: int, items: int, counts: str) -> Population:
    """Normal around the middle, with normal items around each.

    Args:
        kind: "alike"; "wolves", one in ten close to the middle, who pass for many; "own scatter", of everyone another;
            "heavy tails", of the people and of each one's items.
        identities: in a set.
        items: of each, on average.
        counts: "even", "mixed" (2 to 2 `items` - 2) or "uneven" (2 and a geometric number more, up to 60).
    """

    def persons(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
        far, scatter = PEOPLE[kind](rng, number)
        return far[:, None] * rng.normal(size=(number, DIM)), scatter[:, None]

    def item(rng: np.random.Generator, centre: np.ndarray, scatter: np.ndarray) -> np.ndarray:
        noise = rng.normal(size=centre.shape)
        if kind == "heavy tails":
            noise *= np.sqrt(3 / rng.chisquare(3, (len(centre), 1))) * 0.6
        return centre + scatter * noise

    def draw(rng: np.random.Generator) -> Drawn:
        sizes = np.full(identities, items)
        if counts == "mixed":
            sizes = rng.integers(2, 2 * items - 1, identities)
        if counts == "uneven":
            sizes = 2 + np.minimum(rng.geometric(1 / (items - 1), identities) - 1, 60)
        centre, scatter = persons(rng, identities)
        of = np.repeat(np.arange(identities), sizes)
        return item(rng, centre[of], scatter[of]), of

    def same(rng: np.random.Generator, number: int) -> tuple[Points, Points]:
        centre, scatter = persons(rng, number)
        return item(rng, centre, scatter), item(rng, centre, scatter)

    def different(rng: np.random.Generator, number: int) -> tuple[Points, Points]:
        return item(rng, *persons(rng, number)), item(rng, *persons(rng, number))

    return Population(f"{kind}, {identities} x {items} {counts}", "identity", draw, same, different)


def classes(kind: str, sizes: list[int]) -> Population:
    """A fixed list of classes in 6 dimensions, normal items around each.

    Args:
        kind: "plain"; "heavy tails"; "odd items", one in a hundred close to the middle, whatever its class.
        sizes: items of each class in a set.
    """
    number = len(sizes)
    centres = np.random.default_rng(99).normal(size=(number, 6)) * (2.2 if kind == "odd items" else 1.0)
    m = np.array(sizes, float)
    within = m * (m - 1)
    across = np.outer(m, m) * (1 - np.eye(number))

    def item(rng: np.random.Generator, of: np.ndarray) -> np.ndarray:
        noise = SPREAD * rng.normal(size=(len(of), 6))
        if kind == "heavy tails":
            noise *= np.sqrt(3 / rng.chisquare(3, (len(of), 1))) * 0.6
        points = centres[of] + noise
        if kind == "odd items":
            points = np.where(rng.random((len(of), 1)) < 0.01, 0.3 * noise, points)
        return points

    def draw(rng: np.random.Generator) -> Drawn:
        of = np.repeat(np.arange(number), sizes)
        return item(rng, of), of

    def same(rng: np.random.Generator, count: int) -> tuple[Points, Points]:
        of = rng.choice(number, count, p=within / within.sum())
        return item(rng, of), item(rng, of)

    def different(rng: np.random.Generator, count: int) -> tuple[Points, Points]:
        a, b = np.divmod(rng.choice(number**2, count, p=across.ravel() / across.sum()), number)
        return item(rng, a), item(rng, b)

    said = f"{number} x {sizes[0]}" if len(set(sizes)) == 1 else f"{number}, {min(sizes)} to {max(sizes)} each"
    return Population(f"{kind}, {said}", "item", draw, same, different)


def population_curve(population: Population, pairs: int) -> ErrorCurve:
    rng = np.random.default_rng(12345)
    apart = [
        np.linalg.norm(np.subtract(*draw(rng, pairs // 10)), axis=1).astype(np.float32)
        for draw in (population.same, population.different)
        for _ in range(10)
    ]
    return listed_curve(np.concatenate(apart), np.arange(20 * (pairs // 10)) < 10 * (pairs // 10))


def coverage(population: Population, draws: int, pairs: int = TRUTH) -> dict[str, tuple[int, int, int]]:
    """Of each figure: in how many sets the interval held the truth, in how many the truth was worse, of how many."""
    curve = population_curve(population, pairs)
    place = int(np.searchsorted(curve.fmr, GIVEN))
    threshold = float(curve.thresholds[place])
    at_levels = [curve.fnmr_at(level) for level in LEVELS]
    truth = (curve.auc(), curve.eer(), *at_levels, float(curve.fmr[place]), float(curve.fnmr[place]))
    counts = np.zeros((len(FIGURES), 3), int)
    for seed in range(draws):
        points, of = population.draw(np.random.default_rng(seed))
        vectors, identities = torch.tensor(points, dtype=torch.float32), torch.from_numpy(of)
        report = verification(vectors, identities, Euclidean(), fmr=LEVELS, unit=population.unit)
        (rates,) = rates_at([threshold], vectors, identities, Euclidean(), population.unit)
        found: list[Estimate | None] = [report.roc_auc, report.eer, *(point.fnmr for point in report.fnmr_at_fmr)]
        for k, (one, true) in enumerate(zip([*found, rates.fmr, rates.fnmr], truth, strict=True)):
            if one is not None:
                worse = true < one.low if k == 0 else true > one.high
                counts[k] += [one.low <= true <= one.high, worse, 1]
    return {name: tuple(row) for name, row in zip(FIGURES, counts.tolist(), strict=True)}


SETTINGS = (
    [people(kind, 5, 10, "mixed") for kind in PEOPLE]
    + [people(kind, 10, 5, "mixed") for kind in PEOPLE]
    + [people(kind, 20, 5, "even") for kind in PEOPLE]
    + [people(kind, 20, 10, "uneven") for kind in PEOPLE]
    + [people(kind, 50, 5, "mixed") for kind in PEOPLE]
    + [people(kind, 200, 3, "mixed") for kind in PEOPLE]
    + [
        classes("plain", [20] * 6),
        classes("plain", [10] * 10),
        classes("plain", [2, 3, 4, 5, 10, 20, 40, 60]),
        classes("heavy tails", [20] * 6),
        classes("odd items", [10] * 10),
        classes("odd items", [30] * 10),
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    print(f"| {options.draws} sets of each | {' | '.join(FIGURES)} |")
    print("|---" * (1 + len(FIGURES)) + "|")
    all_shares: list[float] = []
    for population in SETTINGS:
        cells: list[str] = []
        for held, worse, of in coverage(population, options.draws).values():
            if 2 * of < options.draws:
                cells.append("-")
                continue
            all_shares.append(held / of)
            cells.append(f"{held / of:.3f} ({worse / of:.3f})")
        print(f"| {population.name} | {' | '.join(cells)} |", flush=True)
    print(f"\nmean {np.mean(all_shares):.3f}, smallest {min(all_shares):.3f}, largest {max(all_shares):.3f}")


if __name__ == "__main__":
    main()
