"""How many clusters? k-means for many k, and what the elbow and the silhouettes say."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.encoder import Progress
from likewise.errors import DataError
from likewise.media.files import replacing_file
from likewise.metrics.silhouette import silhouette
from likewise.objective.distances import Euclidean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY_K_UP_TO, STEPS_BEYOND, LARGEST_K = 20, 20, 300
WORK = 1_000_000  # points x clusters that k-means may take on for all of its starts


@final
@dataclass(frozen=True)
class KCurve:
    """What k-means gives for each k that was tried.

    Attributes:
        ks: rising.
        inertia: sum of squared distances of the points to the means of their clusters, for each k.
        silhouettes: mean silhouette, for each k.
    """

    ks: tuple[int, ...]
    inertia: tuple[float, ...]
    silhouettes: tuple[float, ...]

    @property
    def elbow(self) -> int:
        """The k where the curve of the inertia over log k bends most.

        That is the point furthest below the line from its first to its last point (Satopaa et al., "Finding a Kneedle
        in a Haystack", 2011).
        """
        k, inertia = np.log(self.ks), np.array(self.inertia)
        across = (k - k[0]) / max(k[-1] - k[0], np.finfo(np.float64).tiny)
        down = (inertia[0] - inertia) / max(inertia[0] - inertia[-1], np.finfo(np.float64).tiny)
        return self.ks[int((down - across).argmax())]

    @property
    def best(self) -> int:
        """The k of the largest mean silhouette; the smallest such k."""
        return self.ks[int(np.argmax(self.silhouettes))]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "ks": list(self.ks),
            "inertia": list(self.inertia),
            "silhouettes": list(self.silhouettes),
            "elbow": self.elbow,
            "best": self.best,
        }


def k_curve(
    points: NDArray[np.float64], *, most: int | None = None, seed: int = 0, progress: Progress | None = None
) -> KCurve:
    """k-means for k from 2 on: every k up to 20, then in 20 equal ratios to the largest.

    Silhouettes are of a seeded sample of 2,000 points among all.

    Args:
        points: (N, D), N >= 3.
        most: largest k; None for half the points, at most 300.
        seed: of the starts and the sample.
        progress: told how many k are done.

    Raises:
        DataError: fewer than three different points.
    """
    distinct = len(np.unique(points, axis=0))
    if distinct < 3:
        raise DataError("Curves over k need at least 3 different items", distinct, "Give more items.")
    most = min(max(len(points) // 2, 2), LARGEST_K) if most is None else most
    most = max(min(most, distinct - 1), 2)
    beyond = np.geomspace(EVERY_K_UP_TO, max(most, EVERY_K_UP_TO), STEPS_BEYOND + 1).round().astype(int)
    ks = sorted({k for k in (*range(2, EVERY_K_UP_TO + 1), *beyond.tolist()) if k <= most})
    inertia: list[float] = []
    silhouettes: list[float] = []
    for done, k in enumerate(ks):
        if progress is not None:
            progress(done, len(ks), f"k = {k}")
        labels, spread = k_means(points, k, seed)
        inertia.append(spread)
        silhouettes.append(silhouette(points, labels, Euclidean(), seed=seed))
    return KCurve(tuple(ks), tuple(inertia), tuple(silhouettes))


def k_means(points: NDArray[np.float64], k: int, seed: int) -> tuple[NDArray[np.int64], float]:
    """(N,) int64 clusters of the best of up to 10 starts, fewer where points x clusters are many, and their inertia."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    starts = min(max(WORK // (len(points) * k), 1), 10)
    with warnings.catch_warnings():  # fewer different points than k: then there are fewer clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        # pyright takes the type of n_init from its default, "auto"; a number is what scikit-learn documents first.
        means = KMeans(k, n_init=starts, random_state=seed).fit(points)  # pyright: ignore[reportArgumentType]
    labels: Any = means.labels_
    inertia: Any = means.inertia_
    return labels.astype(np.int64), float(inertia)


def draw_k_curve(curve: KCurve, file: Path | str) -> None:
    """Draws both curves as a PNG, with the k each suggests; a file that was there stays until the new one is whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((8, 6), 120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    _paint(figure, curve)
    with replacing_file(file) as target:
        figure.savefig(target, format="png")


def _paint(figure: Figure, curve: KCurve) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True)
    panels = (
        (upper, curve.inertia, curve.elbow, "inertia", "elbow"),
        (lower, curve.silhouettes, curve.best, "mean silhouette", "largest"),
    )
    for axes, values, k, name, what in panels:
        axes.plot(curve.ks, values, marker="o", ms=3, lw=1.2, color="#4c78a8")
        axes.axvline(k, color="#e45756", lw=1, ls="--")
        axes.annotate(
            f"{what}: k = {k}", (k, values[curve.ks.index(k)]), (8, 8), textcoords="offset points", color="#e45756"
        )
        axes.set_ylabel(name)
        axes.spines[["top", "right"]].set_visible(False)
    lower.set_xscale("log")
    ticks = [k for k in (2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300) if k <= curve.ks[-1]]
    lower.set_xticks(ticks, [str(k) for k in ticks])
    lower.minorticks_off()
    lower.set_xlabel("k, the number of clusters")
