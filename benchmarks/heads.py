"""Heads on MNIST: one of ten, two of ten at once, and a new head on features that are kept.

    LIKEWISE_DATA=... python benchmarks/heads.py [one] [two] [kept]

The network is `convnet-small`. Figures are of MNIST's own test part, which no choice has seen; the epoch kept is the
last. Two digits stand side by side, 60,000 pairs of training digits and 10,000 pairs of test digits, drawn with
replacement, and a pair is right where exactly its one or two digits are said to hold at a threshold of 0.5.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace

import numpy as np

import likewise as lw
from common import machine, mnist, show
from likewise.apps.classify import evaluate
from likewise.data import Dataset

FIT = lw.FitOptions(epochs=12, batch=256, augment="jitter", average=0.99)


def one() -> None:
    """Asked: at least 99.5% in under 3 minutes."""
    train, test = mnist()
    encoder = lw.Encoder("convnet-small", head=lw.head_for(train))
    history = lw.fit(encoder, train, lw.Multiclass(), options=FIT)
    figures = evaluate(lw.Classifier(encoder), test).figures
    right = f"{figures['accuracy']:.2%} in {history.seconds:.0f} s of training, {FIT.epochs} epochs"
    show("one of ten", [("right, of 10,000", right)])


def two() -> None:
    """Asked: at least 98% of pairs wholly right."""
    train, test = (side_by_side(part, seed) for seed, part in enumerate(mnist()))
    encoder = lw.Encoder("convnet-small", head=lw.head_for(train))
    history = lw.fit(encoder, train, lw.Multilabel(), options=FIT)
    figures = evaluate(lw.Classifier(encoder), test).figures
    right = f"{figures['accuracy']:.2%} in {history.seconds:.0f} s of training, {FIT.epochs} epochs"
    show("two of ten", [("wholly right, of 10,000", right)])


def side_by_side(digits: Dataset, seed: int) -> Dataset:
    """As many pairs as there are digits; targets say which digits are there."""
    pictures, count = np.asarray(digits.sources), len(digits)
    first, second = np.random.default_rng(seed).integers(0, count, (2, count))
    targets = np.zeros((count, len(digits.names)), np.float32)
    for chosen in (first, second):
        targets[np.arange(count), digits.labels[chosen]] = 1
    return Dataset(
        np.concatenate([pictures[first], pictures[second]], axis=2),
        tuple(f"{a} {b}" for a, b in zip(first, second, strict=True)),
        np.zeros(count, np.int64),
        ("pair",),
        targets=targets,
        target_names=digits.names,
    )


def kept() -> None:
    """Asked: features that are kept make a new head at least 20 times faster than the whole network."""
    train, _ = mnist()
    some = train.subset(np.random.default_rng(0).permutation(len(train))[:12000])
    options, head = replace(FIT, augment="none", average=0.0, epochs=5), lw.head_for(some)
    encoder = lw.Encoder("convnet-small", head=head)
    whole = lw.fit(encoder, some, lw.Multiclass(), options=options).seconds
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LIKEWISE_CACHE"] = cache
        rows: list[tuple[str, str]] = []
        for turn in ("computed", "kept"):
            again = encoder.with_head(head)
            again.fix(again.taps[-2])
            started = time.perf_counter()
            epochs = lw.fit(again, some, lw.Multiclass(), options=options).seconds
            call = time.perf_counter() - started
            ratios = f"{whole / epochs:.0f} times faster; with reading, {whole / call:.0f} times"
            rows.append((f"features {turn}", f"{epochs:.2f} s for 5 epochs against {whole:.1f} s, {ratios}"))
    show("a new head on 12,000 digits", rows)


if __name__ == "__main__":
    show("heads", [("machine", machine())])
    for name in sys.argv[1:] or ("one", "two", "kept"):
        {"one": one, "two": two, "kept": kept}[name]()
