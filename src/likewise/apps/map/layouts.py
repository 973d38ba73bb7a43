"""Where every item goes on the map."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.map.metric import prepared
from likewise.apps.map.trust import trustworthiness
from likewise.errors import UsageError
from likewise.metrics.inputs import Array
from likewise.metrics.neighbours import neighbours
from likewise.objective.distances import Euclidean

Progress = Callable[[int, int, str], None]
Float32 = NDArray[np.float32]

METHODS = ("umap", "pca")
FEWEST_FOR_UMAP = 4
TRUST_NEIGHBOURS = 15


@dataclass(frozen=True)
class Layout:
    """Items on a map.

    Attributes:
        points: (N, 2) or (N, 3) float32; the axes have no unit, only nearness means something.
        method: "umap" or "pca": what was used, which is "pca" where UMAP could not be (then `note` says why).
        trustworthiness: in [0, 1], see `trustworthiness`; None where it has no meaning (fewer than 3 items,
            or all embeddings alike).
        options: what the layout was made with; the same options on the same embeddings give the same points.
        note: what the reader should know, as one sentence; empty if nothing.
    """

    points: Float32
    method: str
    trustworthiness: float | None
    options: dict[str, Any]
    note: str = ""

    def caption(self) -> str:
        """How the map came about, in one line."""
        options = self.options
        words = [f"{len(self.points):,} items", self.method.upper(), options["metric"]]
        if self.method == "umap":
            words += [f"{options['n_neighbors']} neighbours", f"min_dist {options['min_dist']:g}"]
        if self.trustworthiness is not None:
            words.append(f"trustworthiness {self.trustworthiness:.3f}")
        return " · ".join(words)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `points` is how many."""
        return {
            "points": len(self.points),
            "dimensions": self.points.shape[1],
            "method": self.method,
            "trustworthiness": self.trustworthiness,
            "options": dict(self.options),
            "note": self.note,
        }


def layout(
    embeddings: Array,
    *,
    method: str = "umap",
    dimensions: int = 2,
    n_neighbors: int = 15,
    min_dist: float = 0.3,
    metric: str = "correlation",
    seed: int = 0,
    progress: Progress | None = None,
) -> Layout:
    """Lay embeddings out in two or three dimensions.

    "pca" projects on the directions of largest variance: linear, there at once. "umap" (McInnes, Healy and
    Melville 2018, arXiv:1802.03426) then moves the points of that projection until near items are near.
    Starting from PCA keeps the large-scale order (Kobak and Linderman 2021, Nature Biotechnology 39:156) and
    cannot fail as the spectral start does on duplicates. Neighbours are exact. A seed means one thread, and
    the same points every time on the same machine. The first UMAP of an installation compiles for ten seconds
    or more: lay out by "pca" first and show that.

    Args:
        embeddings: (N, D) tensor or array.
        method: "umap" or "pca"; with fewer than 4 items, or all alike, always "pca", and `note` says so.
        dimensions: 2 or 3.
        n_neighbors: UMAP's neighbourhood, the item included: small shows detail, large the whole. At most
            N - 1 is used.
        min_dist: UMAP's smallest distance between points, 0 (tight) to 1 (even).
        metric: "correlation", "cosine" or "euclidean".
        seed: 0 or more.
        progress: called with (done, total, text); each stage (text) counts for itself.

    Raises:
        UsageError: an option outside what is said above.
        DataError: embeddings of another shape than (N, D), without items, or not finite.
    """
    _check_options(method, dimensions, n_neighbors, min_dist, seed)
    report = progress or _silent
    rows = prepared(embeddings, metric)
    alike = bool((rows == rows[0]).all())
    options: dict[str, Any] = {"dimensions": dimensions, "metric": metric, "seed": seed}

    note = ""
    if alike and len(rows) > 1:
        note = "All embeddings are alike: there is nothing to lay out."
    if method == "umap" and (alike or len(rows) < FEWEST_FOR_UMAP):
        method = "pca"
        note = note or f"UMAP needs at least {FEWEST_FOR_UMAP} items, here are {len(rows)}: laid out by PCA."

    report(0, 1, "PCA")
    points = _pca(rows, dimensions, seed)
    report(1, 1, "PCA")
    if method == "umap":
        clamped = min(n_neighbors, len(rows) - 1)
        if clamped < n_neighbors:
            note = f"n_neighbors is {clamped} instead of {n_neighbors}: there are only {len(rows)} items."
        options |= {"n_neighbors": clamped, "min_dist": min_dist}
        points = _umap(rows, points, clamped, min_dist, metric, seed, report)

    trust = None
    if (k := min(TRUST_NEIGHBOURS, (len(rows) - 1) // 2)) and not alike:
        report(0, 1, "trustworthiness")
        trust = trustworthiness(rows, points, k, "euclidean", seed=seed)  # the rows are prepared already
        report(1, 1, "trustworthiness")
    return Layout(points, method, trust, options, note)


def _silent(done: int, total: int, text: str) -> None:
    """Progress that nobody asked for."""


def _check_options(method: str, dimensions: int, n_neighbors: int, min_dist: float, seed: int) -> None:
    if method not in METHODS:
        raise UsageError(f"A map's method is one of {', '.join(METHODS)}", method, "Choose one of them.")
    if dimensions not in (2, 3):
        raise UsageError("A map has 2 or 3 dimensions", dimensions, "Pass dimensions=2 or dimensions=3.")
    if n_neighbors < 2:
        raise UsageError("n_neighbors is at least 2", n_neighbors, "Pass for example n_neighbors=15.")
    if not 0 <= min_dist <= 1:
        raise UsageError("min_dist is between 0 and 1", min_dist, "Pass for example min_dist=0.3.")
    if not 0 <= seed < 2**32:
        raise UsageError("A map's seed is between 0 and 2^32 - 1", seed, "Pass for example seed=0.")


def _pca(rows: Tensor, dimensions: int, seed: int) -> Float32:
    """Principal components; those that N or D do not allow are 0."""
    from sklearn.decomposition import PCA

    points = np.zeros((len(rows), dimensions), np.float32)
    kept = min(dimensions, *rows.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no variance at all: its share is 0 / 0, which nobody reads
        points[:, :kept] = PCA(kept, random_state=seed).fit_transform(rows.numpy())
    return points


def _umap(
    rows: Tensor, start: Float32, n_neighbors: int, min_dist: float, metric: str, seed: int, report: Progress
) -> Float32:
    report(0, 1, "neighbours")
    indices, distances = _neighbours(rows, n_neighbors)
    if metric != "euclidean":
        distances = distances**2 / 2  # of unit rows: 1 - cosine, 1 - correlation
    report(1, 1, "neighbours")
    # An axis without extent would be divided by zero, and points in one place would stay in one place.
    noise = np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)
    start = (start / np.abs(start).max() * 10 + noise).astype(np.float32)

    report(0, 1, "UMAP")
    with warnings.catch_warnings(), _torch_threads_kept():
        # On import: an optional part that needs TensorFlow is missing. On fit: without a search index no new
        # items can be added. Both as wanted here.
        warnings.simplefilter("ignore")
        from umap import UMAP

        umap = UMAP(
            n_neighbors=n_neighbors,
            n_components=start.shape[1],
            min_dist=min_dist,
            metric="euclidean",
            init=start,  # pyright: ignore[reportArgumentType] - documented, though its default is a name
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(indices, distances, None),
            tqdm_kwds={"disable": False, "file": _Epochs(report), "bar_format": "{n_fmt}/{total_fmt}"},
        )
        return np.asarray(umap.fit_transform(rows.numpy()), np.float32)


@contextmanager
def _torch_threads_kept() -> Generator[None]:
    """numba, when it starts, sets the number of threads of the OpenMP library that torch works with too."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _neighbours(rows: Tensor, k: int) -> tuple[NDArray[np.int64], Float32]:
    """The k nearest rows as UMAP takes them: (N, k) indices and distances, each row itself first."""
    others = neighbours(rows, Euclidean(), k - 1)
    itself = torch.arange(len(rows))[:, None]
    indices = torch.cat([itself, others.indices], 1)
    distances = torch.cat([torch.zeros(len(rows), 1), others.distances], 1)
    return indices.numpy(), distances.numpy()


class _Epochs:
    """The file that UMAP's progress bar writes "epoch/epochs" to: hands them on as progress."""

    def __init__(self, report: Progress) -> None:
        self._report = report

    def write(self, text: str) -> None:
        done, slash, total = text.strip().partition("/")
        if slash:
            self._report(int(done), int(total), "UMAP")

    def flush(self) -> None:
        """Nothing is kept back."""
