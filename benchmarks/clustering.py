"""Which clustering method to take: agreement with the identities, on models trained on other data.

    LIKEWISE_DATA=... python benchmarks/clustering.py [faces mnist omniglot large] [--seeds 3]

LIKEWISE_DATA has the folders faces-orl (20 people x 10 photos), faces-johns (5 x 11), mnist and omniglot. Prints the
tables of docs/clustering.md: mean and standard deviation over the seeds, each with a split, a training and a
calibration of its own; the last column is by how much BCubed F differs from the first row's, seed by seed, with its
standard error. An item left unassigned counts as a cluster of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

import likewise as lw
from common import machine, mnist
from likewise.apps.cluster import ClusterOptions, Clusters, cut_of, find_clusters
from likewise.apps.cluster.cut import distance_at
from likewise.apps.cluster.methods import Method
from likewise.metrics import agreement

Set = tuple[str, lw.Model, np.ndarray, np.ndarray]  # what it is, the model, embeddings and labels of what is clustered


def faces(seed: int) -> Iterator[Set]:
    """An encoder of 10 people of faces-orl; what it is calibrated on and what is clustered it has not seen."""
    root = Path(os.environ["LIKEWISE_DATA"])
    orl, johns = lw.folder(root / "faces-orl"), lw.folder(root / "faces-johns")
    train, others = orl.split(0.5, 0.5, by="identity", seed=seed)
    encoder = lw.Encoder("convnet-small", dim=64, size=64, seed=seed)
    lw.fit(encoder, train, lw.SupCon(), options=lw.FitOptions(epochs=40, augment="jitter", seed=seed))
    tune, test = others.split(0.5, 0.5, by="identity", seed=seed)
    yield from sets("faces-orl", lw.calibrate(encoder, tune), test, seed)
    yield from sets("faces-johns", lw.calibrate(encoder, others), johns, seed)


def digits(seed: int) -> Iterator[Set]:
    """An encoder of four digits, calibrated on three others; the last three are clustered, of MNIST's test part."""
    train, test = mnist()
    order = np.random.default_rng(seed).permutation(10).tolist()
    known, between, unknown = order[:4], order[4:7], order[7:]
    shown, valid, _ = train.of_identities(known).split(0.5, 0.05, 0.45, by="item", seed=seed)
    encoder = lw.Encoder("convnet-small", dim=64, seed=seed)
    options = lw.FitOptions(epochs=3, lr=3e-3, augment="jitter", seed=seed)
    lw.fit(encoder, shown, lw.SupCon(), validation=valid, options=options)
    tune, _ = train.of_identities(between).split(0.1, 0.9, by="item", seed=seed)
    yield from sets("mnist", lw.calibrate(encoder, tune), test.of_identities(unknown), seed)


def characters(seed: int) -> Iterator[Set]:
    """An encoder of three alphabets of Omniglot, calibrated on a fourth; the characters of the fifth are clustered."""
    data = lw.zip_folder(Path(os.environ["LIKEWISE_DATA"]) / "omniglot" / "images_background_small1.zip")
    alphabets = sorted({name.split("/")[0] for name in data.names})
    order = np.random.default_rng(seed).permutation(alphabets).tolist()
    of = [[i for i, name in enumerate(data.names) if name.startswith(f"{alphabet}/")] for alphabet in order]
    encoder = lw.Encoder("convnet-small", dim=64, size=28, seed=seed)
    options = lw.FitOptions(epochs=30, augment="jitter", seed=seed)
    lw.fit(encoder, data.of_identities([*of[0], *of[1], *of[2]]), lw.SupCon(), options=options)
    model = lw.calibrate(encoder, data.of_identities(of[3]))
    yield from sets("omniglot", model, data.of_identities(of[4]), seed)


def sets(name: str, model: lw.Model, data: lw.Dataset, seed: int) -> Iterator[Set]:
    """The whole set, and two items of each identity."""
    embeddings = model.encode(data.sources).embeddings.numpy()
    yield name, model, embeddings, data.labels
    shuffled = np.random.default_rng(seed).permutation(len(data))
    two = np.concatenate([shuffled[data.labels[shuffled] == label][:2] for label in np.unique(data.labels)])
    yield f"{name}, 2 of each", model, embeddings[two], data.labels[two]


def figures(model: lw.Model, embeddings: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, list[float]]:
    """BCubed F and precision, pairwise F, clusters and items unassigned of every method."""
    distance, curve = model.encoder.distance_on_cpu(), model.calibrated().curve
    found: dict[str, list[float]] = {}

    def run(name: str, method: Method, k: int | None = None, threshold: float | None = None) -> Clusters:
        clusters = find_clusters(embeddings, distance, ClusterOptions(method, k=k, seed=seed), threshold=threshold)
        groups = clusters.labels
        alone = groups < 0
        agreed = agreement(labels, np.where(alone, -1 - np.arange(len(groups)), groups))
        count = groups.max(initial=-1) + 1
        found[name] = [agreed.bcubed_f, agreed.bcubed_precision, agreed.pairwise_f, count, alone.sum()]
        return clusters

    run("agglomerative", "agglomerative", threshold=cut_of(model))
    for sure in (0.8, 0.95):
        run(f"agglomerative, at {sure}", "agglomerative", threshold=distance_at(curve, sure))
    run("agglomerative, --fmr", "agglomerative", threshold=cut_of(model, model.calibrated().default))
    run("hdbscan", "hdbscan")
    run("x-means", "x-means")
    tried = run("k-means, silhouette", "k-means").curve
    run("k-means, elbow", "k-means", k=tried.elbow)
    run("k-means, true k", "k-means", k=len(np.unique(labels)))
    return found


def table(makers: dict[str, Callable[[int], Iterator[Set]]], seeds: int) -> None:
    """Prints a table for each set."""
    found: dict[str, list[dict[str, list[float]]]] = {}
    sizes: dict[str, set[tuple[int, int]]] = {}
    for make in makers.values():
        for seed in range(seeds):
            for name, model, embeddings, labels in make(seed):
                found.setdefault(name, []).append(figures(model, embeddings, labels, seed))
                sizes.setdefault(name, set()).add((len(labels), len(np.unique(labels))))
    for name, runs in found.items():
        items, identities = (" to ".join(map(str, sorted({min(of), max(of)}))) for of in zip(*sizes[name], strict=True))
        print(f"\n{name} ({items} items of {identities}; {len(runs)} seeds)\n")
        print("| method | BCubed F | BCubed precision | pairwise F | clusters | unassigned | against the first |")
        print("|---|---|---|---|---|---|---|")
        first = np.array([next(iter(run.values())) for run in runs])
        for method in runs[0]:
            values = np.array([run[method] for run in runs])
            mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
            shares = " | ".join(f"{m:.2f} ± {s:.2f}" for m, s in zip(mean[:3], spread[:3], strict=True))
            counts = " | ".join(f"{m:.0f} ± {s:.0f}" for m, s in zip(mean[3:], spread[3:], strict=True))
            gain = values[:, 0] - first[:, 0]
            print(
                f"| {method} | {shares} | {counts} |"
                f" {gain.mean():+.2f} ± {gain.std(ddof=1) / np.sqrt(len(runs)):.2f} |",
                flush=True,
            )


def large(name: str) -> None:
    """20,000 x 64 in 1,000 noisy clusters and 2,000 items by themselves: seconds, and what memory grew by."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, 64))
    points = centres[rng.integers(1000, size=18_000)] + 0.35 * rng.normal(size=(18_000, 64))
    points = np.concatenate([points, rng.normal(size=(2000, 64))]).astype(np.float32)
    find_clusters(points[:500], lw.Euclidean(), ClusterOptions(name), threshold=4.5)  # imports
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    k = 1000 if name == "k-means" else None
    labels = find_clusters(points, lw.Euclidean(), ClusterOptions(name, k=k), threshold=4.5).labels
    seconds, grown = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"| {name} | {seconds:.0f} | {grown / 1024:.0f} | {labels.max() + 1} |", flush=True)


MAKERS = {"faces": faces, "mnist": digits, "omniglot": characters}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*MAKERS, "large"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--one", help="one method of the large set, in a process of its own")
    chosen = parser.parse_args()
    if chosen.one:
        large(chosen.one)
        sys.exit()
    print(machine())
    torch.manual_seed(0)
    table({name: MAKERS[name] for name in chosen.names if name in MAKERS}, chosen.seeds)
    if "large" in chosen.names:
        print(
            "\n20,000 x 64, Euclidean distance\n\n| method | seconds | MB | clusters |\n|---|---|---|---|", flush=True
        )
        for method in ("agglomerative", "hdbscan", "x-means", "k-means"):
            subprocess.run([sys.executable, __file__, "--one", method], check=True)
