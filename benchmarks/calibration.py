"""Does the interval of a calibrated threshold hold the true false match rate? Three methods, many splits.

    python benchmarks/calibration.py [--splits 200] [--data DIR]

A threshold is set for a promised FMR on one half of the identities; on the other half the FMR at that threshold is
measured. Each split compares three 95% intervals for the FMR at the threshold:

    pairs       Clopper-Pearson, every pair an independent trial
    bootstrap   percentiles of 500 bootstrap samples of the identities
    likewise    what `likewise.calibration` gives

and counts how often the interval holds

    truth       the FMR of the whole population (synthetic identities: known from a formula; no test error)
    held out    the FMR measured on the other half, given the test its own error: with p the tune half's FMR and q the
                held-out one, |q - p| <= sqrt(a^2 + b^2), where a is how far the interval reaches from p towards q and
                b how far the interval of q reaches towards p (the rule of Newcombe 1998, and Zou and Donner 2008, for
                the difference of two rates). The interval of q is Likewise's for all three methods.

"above" is how often the truth lies above the interval: the error that lets strangers in. "width" is the mean of
high / low. Pictures (--data, or the environment's LIKEWISE_DATA: folders faces-orl and omniglot) are encoded by
shrinking them to a few pixels; nothing is trained. The last lines show what no interval can mend: a threshold set on
identities that the encoding was fitted to, here by principal components of the tune half's pixels.
"""

from __future__ import annotations

import argparse
import io
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import stats

from likewise.calibration import calibrate, rates_at
from likewise.metrics.estimate import Estimate
from likewise.objective.distances import Euclidean

DIM, ITEM_SPREAD = 8, 0.5
WOLVES = {"wolves": (0.1, 0.3), "rare wolves": (1 / 30, 0.1)}  # their share, and how far from the middle they are
METHODS = ("pairs", "bootstrap", "likewise")


class People:
    """A population of identities, normal in DIM dimensions, with items around each.

    Args:
        kind: "alike": all drawn alike. "wolves": one in ten is drawn close to the middle and passes for many. "rare
            wolves": one in thirty, and closer. "lookalikes": everyone belongs to one of 30 families.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.families = np.random.default_rng(1).normal(size=(30, DIM))

    def draw(self, rng: np.random.Generator, identities: int, items: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, DIM) items and (N,) identities; between 2 and 2 `items` - 2 items each, or None: 1, 2, 4, ... or 64."""
        if items is None:
            sizes = 2 ** rng.integers(0, 7, identities)
        else:
            sizes = rng.integers(2, 2 * items - 1, identities) if items > 2 else np.full(identities, 2)
        centres = rng.normal(size=(identities, DIM))
        if self.kind in WOLVES:
            share, scale = WOLVES[self.kind]
            centres *= np.where(rng.random(identities) < share, scale, 1.0)[:, None]
        if self.kind == "lookalikes":
            centres = self.families[rng.integers(0, 30, identities)] + 0.5 * centres
        of = np.repeat(np.arange(identities), sizes)
        points = centres[of] + ITEM_SPREAD * rng.normal(size=(len(of), DIM))
        return torch.tensor(points, dtype=torch.float32), torch.tensor(of)

    def fmr(self, threshold: float) -> float:
        """The share of all pairs of different people within the threshold: squared distances are chi-squared."""
        noise = 2 * ITEM_SPREAD**2
        if self.kind == "lookalikes":
            variance = 2 * 0.5**2 + noise
            apart = ((self.families[:, None] - self.families) ** 2).sum(axis=2)
            near = apart == 0
            shares = np.where(
                near,
                stats.chi2.cdf(threshold**2 / variance, DIM),
                stats.ncx2.cdf(threshold**2 / variance, DIM, np.where(near, 1, apart) / variance),
            )
            return float(shares.mean())
        share, scale = WOLVES.get(self.kind, (0.0, 1.0))
        weights, scales = np.array([share, 1 - share]), np.array([scale, 1.0])
        variances = scales[:, None] ** 2 + scales**2 + noise
        return float((weights[:, None] * weights * stats.chi2.cdf(threshold**2 / variances, DIM)).sum())


def table(threshold: float, points: torch.Tensor, of: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(I, I) matches and (I, I) pairs between identities."""
    one_hot = np.eye(int(of[-1]) + 1, dtype=np.float32)[of.numpy()]
    matches = one_hot.T @ (torch.cdist(points, points).numpy() <= threshold).astype(np.float32) @ one_hot
    pairs = np.outer(one_hot.sum(axis=0), one_hot.sum(axis=0))
    np.fill_diagonal(matches, 0)
    np.fill_diagonal(pairs, 0)
    return matches.astype(np.float64), pairs.astype(np.float64)


def by_pairs(matches: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    found = stats.binomtest(round(matches.sum() / 2), round(pairs.sum() / 2)).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def by_bootstrap(matches: np.ndarray, pairs: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    draws = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), 500).astype(np.float64)
    shares = ((draws @ matches) * draws).sum(axis=1) / ((draws @ pairs) * draws).sum(axis=1)
    return tuple(np.quantile(shares, [0.025, 0.975]).tolist())


def agrees(tune: Estimate, held_out: Estimate) -> bool:
    """Whether the tune half's interval, widened by the test's own error, holds the held-out figure."""
    if held_out.value > tune.value:
        reach = np.hypot(tune.high - tune.value, held_out.value - held_out.low)
    else:
        reach = np.hypot(tune.value - tune.low, held_out.high - held_out.value)
    return abs(held_out.value - tune.value) <= reach


Split = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # tune points, identities; held-out ones


def compare(name: str, splits: Iterator[Split], promised: float, population: People | None = None) -> None:
    """Print one line per method."""
    rng = np.random.default_rng(0)
    truth, above, held_out, width = ({m: [] for m in METHODS} for _ in range(4))
    over, started = [], time.perf_counter()
    for points, of, test_points, test_of in splits:
        found = calibrate(points, of, Euclidean(), max_fmr=promised).threshold_for(promised)
        (test,) = rates_at([found.threshold], test_points, test_of, Euclidean(), "identity")
        counted = table(found.threshold, points, of)
        ends = {
            "pairs": by_pairs(*counted),
            "bootstrap": by_bootstrap(*counted, rng),
            "likewise": (found.fmr.low, found.fmr.high),
        }
        true = population.fmr(found.threshold) if population else test.fmr.value
        over.append(true / promised)
        for method, (low, high) in ends.items():
            truth[method].append(low <= true <= high)
            above[method].append(true > high)
            held_out[method].append(agrees(Estimate(found.fmr.value, low, high), test.fmr))
            width[method].append(high / max(low, 1e-3 * promised))
    seconds = time.perf_counter() - started
    kind = "true" if population else "held-out"
    print(
        f"{name}, FMR {promised:g}: {len(over)} splits in {seconds:.0f} s; {kind} / promised FMR "
        f"{np.mean(over):.2f} +- {np.std(over):.2f}"
    )
    for method in METHODS:
        known = f"truth {np.mean(truth[method]):.3f}  above {np.mean(above[method]):.3f}  " if population else ""
        print(f"    {method:10s}{known}held out {np.mean(held_out[method]):.3f}  width {np.mean(width[method]):.1f}")


def synthetic(population: People, identities: int, items: int | None, splits: int) -> Iterator[Split]:
    for seed in range(splits):
        rng = np.random.default_rng((seed, identities, items or 0))
        yield *population.draw(rng, identities, items), *population.draw(rng, identities, items)


def halves(pixels: np.ndarray, of: np.ndarray, splits: int, components: int = 0) -> Iterator[Split]:
    """Splits by identity into halves, encoded by their pixels; or by `components` fitted to the tune half."""
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(of.max() + 1)
        tune = np.isin(of, order[: len(order) // 2])
        encoded = pixels
        if components:
            mean = pixels[tune].mean(axis=0)
            encoded = (pixels - mean) @ np.linalg.svd(pixels[tune] - mean, full_matrices=False)[2][:components].T
        points = torch.tensor(encoded, dtype=torch.float32)
        yield points[tune], numbered(of[tune]), points[~tune], numbered(of[~tune])


def numbered(of: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.unique(of, return_inverse=True)[1])


def pixels_of(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(picture.convert("L").resize(size, Image.Resampling.BOX), np.float32).ravel() / 255


def orl(folder: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    people = sorted(p for p in folder.iterdir() if p.is_dir())
    files = [(i, f) for i, person in enumerate(people) for f in sorted(person.iterdir())]
    return np.stack([pixels_of(Image.open(f), size) for _, f in files]), np.array([i for i, _ in files])


def omniglot(archive: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(n for n in zipped.namelist() if n.endswith(".png") and not n.startswith("__"))
        pictures = [pixels_of(Image.open(io.BytesIO(zipped.read(n))), size) for n in names]
    return np.stack(pictures), np.unique([n.rsplit("/", 1)[0] for n in names], return_inverse=True)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--data", type=Path, default=os.environ.get("LIKEWISE_DATA"))
    options = parser.parse_args()

    for kind in ("alike", "wolves", "rare wolves", "lookalikes"):
        population = People(kind)
        for identities, items, rates in (
            (10, 10, (1e-1,)),
            (20, 20, (1e-1,)),
            (50, 5, (1e-1, 1e-2)),
            (100, 2, (1e-1, 1e-2, 1e-3)),
            (100, 8, (1e-1, 1e-2, 1e-3)),
            (300, 4, (1e-2, 1e-3)),
            (30, None, (1e-1, 1e-2)),
        ):
            for rate in rates:
                splits = synthetic(population, identities, items, options.splits)
                compare(f"{kind}, {identities} identities x {items or '1 to 64'}", splits, rate, population)

    if options.data is None:
        print("no --data and no LIKEWISE_DATA: faces and characters are left out")
        return
    faces = orl(options.data / "faces-orl", (6, 7))
    compare("ORL faces, 10 + 10 people x 10", halves(*faces, options.splits), 1e-1)
    archive = options.data / "omniglot" / "images_background_small1.zip"
    characters = omniglot(archive, (8, 8))
    for rate in (1e-1, 1e-2):
        compare("Omniglot, 68 + 68 characters x 20", halves(*characters, options.splits), rate)

    faces, characters = orl(options.data / "faces-orl", (23, 28)), omniglot(archive, (28, 28))
    compare("ORL faces, encoding fitted to the tune half", halves(*faces, options.splits // 4, 20), 1e-1)
    compare("Omniglot, encoding fitted to the tune half", halves(*characters, options.splits // 4, 32), 1e-1)


if __name__ == "__main__":
    main()
