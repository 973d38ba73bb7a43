"""Every objective of the project on the same data, network and budget; beside them the peer's versions.

    LIKEWISE_DATA=... python benchmarks/objectives.py [mnist] [unseen] [--seeds 3] [--markdown FILE]

mnist: P@1 and EER on the test part. unseen: Omniglot, trained on four alphabets and tested on the fifth, all five
ways: 20-way one-shot accuracy within the alphabet and EER, beside raw pixels. Both with the seconds of processor time
that training took, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import likewise as lw
from common import labels, machine, mnist, show
from likewise.encoder import Pictures
from likewise.metrics import few_shot, retrieval
from likewise.metrics.curve import error_curve
from likewise.objective import OBJECTIVES, Distance, Euclidean, make_objective

PEERS = ("pml:ContrastiveLoss", "pml:TripletMarginLoss", "pml:ArcFaceLoss", "pml:CosFaceLoss", "pml:SupConLoss")
WITH_MINERS = (
    ("triplet", "random"), ("triplet", "all-valid"), ("triplet", "hardest"), ("softmax-triplet", "semi-hard"),
)  # fmt: skip
ON_MNIST = lw.FitOptions(epochs=2, lr=3e-3)
ON_OMNIGLOT = lw.FitOptions(epochs=20, batch=(32, 8), lr=3e-3, augment="jitter")
OMNIGLOT_SIDE = 28  # pixels


def recipes() -> list[tuple[str, str | None]]:
    """Objective and miner, None for the objective's own."""
    return [*((name, None) for name in OBJECTIVES), *WITH_MINERS, *((name, None) for name in PEERS)]


def title(name: str, miner: str | None) -> str:
    return name if miner is None else f"{name}, {miner}"


def eer(embeddings: torch.Tensor, ids: torch.Tensor, distance: Distance) -> float:
    ids, order = ids.sort(stable=True)
    return error_curve(embeddings[order], ids, distance).eer()


def spread_of(values: Sequence[float], scale: float = 100) -> str:
    return f"{scale * np.median(values):.2f} ({scale * min(values):.2f} to {scale * max(values):.2f})"


def on_mnist(seeds: int) -> list[tuple[str, ...]]:
    train, test = mnist()
    rows: list[tuple[str, ...]] = []
    for name, miner in recipes():
        found, errors, seconds = [], [], []
        for seed in range(seeds):
            objective = make_objective(name, dim=64, classes=10, miner=miner, seed=seed)
            encoder = lw.Encoder("convnet-small", dim=64, seed=seed)
            started = time.process_time()
            lw.fit(encoder, train, objective, options=ON_MNIST, seed=seed)
            seconds.append(time.process_time() - started)
            embeddings = encoder.encode(test.sources).embeddings
            found.append(retrieval(embeddings, labels(test), encoder.distance).precision_at_1)
            errors.append(eer(embeddings, labels(test), encoder.distance))
        rows.append((title(name, miner), spread_of(found), spread_of(errors), f"{np.median(seconds):.0f}"))
        show(rows[-1][0], [("P@1 %", rows[-1][1]), ("EER %", rows[-1][2]), ("processor seconds", rows[-1][3])])
    return rows


def on_unseen_classes(seeds: int) -> list[tuple[str, ...]]:
    data = lw.open_data("omniglot")
    assert isinstance(data, lw.Dataset)
    preprocessing = Pictures.of(data.sources, OMNIGLOT_SIDE)
    pixels = preprocessing.decode(data.sources).values
    small = lw.arrays(pixels[:, 0].numpy(), [data.names[i] for i in data.labels], origin="omniglot at 28 pixels")
    alphabets = sorted({name.split("/")[0] for name in small.names})
    folds = [
        (
            small.of_identities([i for i, n in enumerate(small.names) if not n.startswith(f"{held_out}/")]),
            small.of_identities([i for i, n in enumerate(small.names) if n.startswith(f"{held_out}/")]),
        )
        for held_out in alphabets
    ]

    def measured(embeddings: torch.Tensor, test: lw.Dataset, distance: Distance, seed: int) -> tuple[float, float]:
        ways = min(20, test.identities)
        shot = few_shot(embeddings, labels(test), distance, ways=ways, shots=1, episodes=400, seed=seed)
        return shot.accuracy, eer(embeddings, labels(test), distance)

    def row(name: str, figures: list[tuple[float, float]], seconds: float) -> tuple[str, ...]:
        accuracy, errors = zip(*figures, strict=True)
        by_seed = np.reshape(accuracy, (-1, len(folds))).mean(axis=1), np.reshape(errors, (-1, len(folds))).mean(axis=1)
        found = (name, spread_of(by_seed[0].tolist()), spread_of(by_seed[1].tolist()), f"{seconds:.0f}")
        show(found[0], [("20-way 1-shot %", found[1]), ("EER %", found[2]), ("processor seconds", found[3])])
        return found

    raw = [
        measured(torch.from_numpy(np.asarray(test.sources)).reshape(len(test), -1) / 255, test, Euclidean(), 0)
        for _, test in folds
    ]
    rows = [row("raw pixels", raw, 0)]
    for name, miner in recipes():
        figures: list[tuple[float, float]] = []
        started = time.process_time()
        for seed in range(seeds):
            for train, test in folds:
                objective = make_objective(name, dim=64, classes=train.identities, miner=miner, seed=seed)
                encoder = lw.Encoder("convnet-small", dim=64, seed=seed)
                lw.fit(encoder, train, objective, options=ON_OMNIGLOT, seed=seed)
                embeddings = encoder.encode(test.sources).embeddings
                figures.append(measured(embeddings, test, encoder.distance, seed))
        rows.append(row(title(name, miner), figures, (time.process_time() - started) / len(figures)))
    return rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["mnist", "unseen"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args()
    print(machine())
    text = ""
    if "mnist" in chosen.parts:
        text += markdown(("objective", "P@1 %", "EER %", "processor seconds"), on_mnist(chosen.seeds)) + "\n"
    if "unseen" in chosen.parts:
        head = ("objective", "20-way 1-shot %", "EER %", "processor seconds per run")
        text += markdown(head, on_unseen_classes(chosen.seeds))
    print("\n" + text)
    if chosen.markdown:
        chosen.markdown.write_text(text)
