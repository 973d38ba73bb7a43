"""Training speed, as ratios measured in one run:

1. `fit` against the same network in a plain float32 loop, and against bare forward + backward + step.
2. The tutorial's recipe (random triplets picked one by one) against ours with the same network: seconds to its P@1.
3. pytorch-metric-learning's semi-hard miner and triplet loss against ours with the same network: seconds to P@1 0.97.

    LIKEWISE_DATA=... python benchmarks/training.py [throughput] [tutorial] [peer]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import likewise as lw
from common import (
    Stopwatch,
    labels,
    machine,
    median_seconds,
    mnist,
    pixels,
    plain_network,
    plain_precision_at_1,
    precision_at_1,
    shaped,
    show,
)
from likewise.training import Step, choose_precision

BATCH = 256
STEPS = 60  # of a round of the throughput comparison


class Reached(Exception):  # noqa: N818 - not an error
    """Training got where it was to go."""


def throughput() -> None:
    train, _ = mnist()
    train = train.subset(np.random.default_rng(0).permutation(len(train))[: BATCH * STEPS])
    x, y = pixels(train), labels(train)
    precision = choose_precision("auto", torch.device("cpu"))
    objective = lw.SupCon()

    def plain() -> None:
        network = plain_network("convnet-small", 64)
        optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = objective(F.normalize(network(x[chosen]), dim=1), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def bare() -> None:
        """Nothing but forward, loss, backward and step on one batch that lies ready, as fast as `fit` may run."""
        encoder = shaped("convnet-small", 64, train, unit=True).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(encoder.parameters(), 2e-3, fused=True)
        batch, answers = (x[:BATCH] * 255).byte(), y[:BATCH]
        for _ in range(STEPS):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                embeddings = encoder(batch)
            optimizer.zero_grad()
            objective(embeddings.float(), answers).backward()
            optimizer.step()

    def ours(augment: str = "none") -> None:
        encoder = shaped("convnet-small", 64, train, unit=True)
        lw.fit(encoder, train, objective, epochs=1, batch=BATCH, augment=augment, seed=0)

    seconds = {name: [] for name in ("plain", "bare", "fit", "fit, augmented")}
    for _ in range(5):  # interleaved, so that a busy moment of the machine falls on all alike
        for name, work in (("plain", plain), ("bare", bare), ("fit", ours), ("fit, augmented", lambda: ours("jitter"))):
            seconds[name].append(median_seconds(work, rounds=1))
    rate = {name: len(x) / float(np.median(taken)) for name, taken in seconds.items()}
    ratio = [p / f for p, f in zip(seconds["plain"], seconds["fit"], strict=True)]
    share = [b / f for b, f in zip(seconds["bare"], seconds["fit"], strict=True)]
    augmented = [b / f for b, f in zip(seconds["bare"], seconds["fit, augmented"], strict=True)]
    show(
        f"Throughput, convnet-small, 28 x 28, batches of {BATCH} ({precision}; medians of 5 interleaved rounds)",
        [
            *((name, f"{value:,.0f} images/s") for name, value in rate.items()),
            ("fit / plain float32 loop", spread_of(ratio) + "   (asked: at least 2.5)"),
            ("fit / bare steps", spread_of(share) + "   (asked: at least 0.9)"),
            ("fit with augmentation / bare steps", spread_of(augmented)),
        ],
    )


def spread_of(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def tutorial() -> None:
    train, test = mnist()
    reached, seconds = tutorial_recipe(train, test)
    taken = [seconds_to(reached, train, test, seed) for seed in range(3)]
    show(
        "The tutorial's recipe: 3 x 150 batches of 64 random triplets, three forward passes, Adam, same network",
        [
            ("the recipe", f"P@1 {reached:.4f} in {seconds:.1f} s"),
            ("ours to the same P@1", f"{np.median(taken):.2f} s (three seeds: {', '.join(f'{t:.2f}' for t in taken)})"),
            ("ratio", f"{seconds / np.median(taken):.0f}   (asked: at least 80)"),
        ],
    )


def tutorial_recipe(train: lw.Dataset, test: lw.Dataset) -> tuple[float, float]:
    """Triplets drawn one by one with boolean masks over the whole training array; softmax form on L1 distances.

    The array is kept in bytes and scaled by batch: in float32 the masks alone would copy four times as much, and the
    recipe would take half an hour.
    """
    x, y = np.asarray(train.sources)[:, None], train.labels
    network = plain_network("tutorial", 100)
    optimizer = torch.optim.Adam(network.parameters())
    rng = np.random.default_rng(0)
    watch = Stopwatch()
    for _ in range(3 * 150):
        rows: list[list[np.ndarray]] = [[], [], []]
        for _ in range(64):
            identity = rng.integers(10)
            same, other = x[y == identity], x[y != identity]
            first, second = rng.choice(len(same), 2, replace=False)
            for row, item in zip(rows, (same[first], same[second], other[rng.integers(len(other))]), strict=True):
                row.append(item)
        anchor, positive, negative = (network(torch.from_numpy(np.stack(row)).float() / 255) for row in rows)
        apart = torch.stack([(anchor - positive).abs().sum(1), (anchor - negative).abs().sum(1)], dim=1)
        p = apart.softmax(dim=1)
        loss = (p[:, 0].abs() + (1 - p[:, 1]).abs()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    watch.pause()
    return plain_precision_at_1(network, pixels(test), labels(test), unit=False), watch.seconds


def seconds_to(goal: float, train: lw.Dataset, test: lw.Dataset, seed: int) -> float:
    """Seconds of `fit` with the tutorial network until P@1 on the test items is at least `goal`."""
    encoder = shaped("tutorial", 100, train, unit=True, seed=seed)
    watch = Stopwatch()

    def look(step: Step) -> None:
        if step.step % 10 and step.step > 1:
            return
        watch.pause()
        if precision_at_1(encoder, test) >= goal:
            raise Reached
        watch.go_on()

    try:
        lw.fit(
            encoder, train, lw.SupCon(), batch=(10, 26), epochs=1, lr=3e-3, optimizer="adam", schedule="constant",
            seed=seed, watch=look,
        )  # fmt: skip
    except Reached:
        return watch.seconds
    return float("inf")


def peer() -> None:
    goal = 0.97
    train, test = mnist()
    theirs = [peer_seconds_to(goal, train, test, seed) for seed in range(3)]
    ours = [seconds_to(goal, train, test, seed) for seed in range(3)]
    show(
        f"Seconds to P@1 {goal} with the tutorial network (three seeds)",
        [
            ("pytorch-metric-learning, semi-hard miner and triplet loss", ", ".join(f"{t:.2f}" for t in theirs)),
            ("ours", ", ".join(f"{t:.2f}" for t in ours)),
            ("ratio of medians", f"{np.median(theirs) / np.median(ours):.2f}   (asked: at least 1)"),
        ],
    )


def peer_seconds_to(goal: float, train: lw.Dataset, test: lw.Dataset, seed: int) -> float:
    """The loop of the peer's own notebook: batches of 256 at random, Adam, its miner and its loss."""
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    mean, std = 0.1307, 0.3081
    x, y = (pixels(train) - mean) / std, labels(train)
    seen, answers = (pixels(test) - mean) / std, labels(test)
    network: nn.Module = plain_network("tutorial", 100, seed=seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    miner, loss_of = TripletMarginMiner(margin=0.2, type_of_triplets="semihard"), TripletMarginLoss(margin=0.2)
    watch = Stopwatch()
    for epoch in range(5):
        for step, chosen in enumerate(
            torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(256)
        ):
            embeddings = network(x[chosen])
            loss = loss_of(embeddings, y[chosen], miner(embeddings, y[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 0:
                watch.pause()
                if plain_precision_at_1(network, seen, answers, unit=True) >= goal:
                    return watch.seconds
                watch.go_on()
    return float("inf")


if __name__ == "__main__":
    print(machine())
    for name in sys.argv[1:] or ("throughput", "tutorial", "peer"):
        {"throughput": throughput, "tutorial": tutorial, "peer": peer}[name]()
