"""Triplets: an anchor is to be nearer to its positive than to its negative, and which triplets to take matters.

    python examples/triplets.py [DATA]

One learns what random, semi-hard and hardest triplets do to the same network: how many still pull on it, how far its
embeddings spread, and what comes of it. The hardest ones alone put everything in one place, and `fit` says so.
"""

from __future__ import annotations

import sys
import warnings

import likewise as lw


def main() -> None:
    warnings.simplefilter("ignore", lw.CollapseWarning)  # printed below, from the history
    data = lw.open_data(sys.argv[1] if len(sys.argv) > 1 else "digits")
    train, valid, test = data.split(0.7, 0.1, 0.2, by="item", seed=0)

    for miner in (lw.RandomTriplets(), lw.SemiHard(), lw.HardestInBatch()):
        print(f"\n{miner.name}")
        encoder = lw.Encoder("convnet-small", dim=64)
        history = lw.fit(encoder, train, lw.TripletLoss(margin=0.2, miner=miner), validation=valid, epochs=8, seed=0)
        for epoch in history.epochs:
            print(f"  epoch {epoch.epoch}: loss {epoch.loss:.4f}, {epoch.active:4.0%} active,", end=" ")
            print(f"spread {epoch.spread:.2f}, validation P@1 {epoch.validation:.3f}")
        for warning in history.warnings:
            print(f"  warning: {warning}")
        report = lw.evaluate(encoder, test)
        print(f"  P@1 {report.retrieval.precision_at_1:.4f}, EER {report.verification.eer.value:.2%} on the test part")


if __name__ == "__main__":
    main()
