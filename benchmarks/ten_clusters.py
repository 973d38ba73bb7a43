"""The lesson's experiment: `tutorial` network, softmax-triplet loss, map of the test items; does it show ten clusters?

LIKEWISE_DATA=... python benchmarks/ten_clusters.py [--seeds 3]
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.cluster import KMeans

import likewise as lw
from common import labels, machine, mnist, precision_at_1, show
from likewise.apps.map import layout
from likewise.metrics import agreement

OPTIONS = lw.FitOptions(epochs=3, optimizer="adam", lr=2e-3)


def run(seed: int) -> tuple[float, float, float, float]:
    """P@1, AMI of k-means on the 2-D points, trustworthiness, seconds of training."""
    train, test = mnist()
    encoder = lw.Encoder("tutorial", dim=100, seed=seed)
    history = lw.fit(encoder, train, lw.SoftmaxTripletLoss(), options=OPTIONS, seed=seed)
    found = layout(encoder.encode(test.sources).embeddings, seed=seed)
    groups = KMeans(10, n_init=10, random_state=seed).fit_predict(found.points)
    ami = agreement(labels(test), groups).ami
    return precision_at_1(encoder, test), ami, found.trustworthiness or float("nan"), history.seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    print(machine())
    rows = [run(seed) for seed in range(chosen.seeds)]
    show(
        f"MNIST, tutorial, softmax-triplet, {OPTIONS.epochs} epochs",
        [
            ("AMI of k-means (k = 10) on the 2-D points", ", ".join(f"{r[1]:.3f}" for r in rows) + "   (asked: 0.85)"),
            ("P@1", ", ".join(f"{r[0]:.4f}" for r in rows)),
            ("trustworthiness", ", ".join(f"{r[2]:.3f}" for r in rows)),
            ("seconds of training", f"{np.median([r[3] for r in rows]):.0f}"),
        ],
    )
