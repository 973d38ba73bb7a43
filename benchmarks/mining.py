"""Semi-hard mining beside pytorch-metric-learning's: seconds, extra memory, and their ratio.

Run ``python benchmarks/mining.py``. Embeddings are random unit vectors of 64 numbers in 10 identities. Each measurement
has a process of its own; extra memory is how far the peak rises above that after a small batch. The two do not choose
the same triplets (see `SemiHard`): theirs are all negatives within the margin, ours FaceNet's one for each pair.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from likewise.objective import SemiHard, TripletLoss

DIM, IDENTITIES = 64, 10
LEAST_RATIO = 100  # times faster than theirs at B = 1024
MOST_MEGABYTES = {1024: 200, 8192: 1000}


class Measured(NamedTuple):
    seconds: float
    megabytes: float
    triplets: int


def measure(miner: str, items: int, repeats: int) -> Measured:
    """The fastest of `repeats` runs, and the peak of memory of them all."""
    mine = MINERS[miner]()
    mine(*batch(128))
    before = peak_megabytes()
    embeddings, labels = batch(items)
    seconds: list[float] = []
    triplets = 0
    for _ in range(repeats):
        started = time.perf_counter()
        triplets = mine(embeddings, labels)
        seconds.append(time.perf_counter() - started)
    return Measured(min(seconds), peak_megabytes() - before, triplets)


def batch(items: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.randn(items, DIM, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(drawn), torch.arange(items) % IDENTITIES


def ours() -> Any:
    miner = SemiHard()
    return lambda embeddings, labels: len(miner(embeddings, labels).anchor)


def ours_with_loss() -> Any:
    loss = TripletLoss()

    def step(embeddings: torch.Tensor, labels: torch.Tensor) -> int:
        outcome = loss.outcome(embeddings.requires_grad_(), labels)
        outcome.loss.backward()
        return outcome.terms

    return step


def theirs() -> Any:
    from pytorch_metric_learning.miners import TripletMarginMiner

    miner = TripletMarginMiner(margin=0.2, type_of_triplets="semihard")
    return lambda embeddings, labels: len(miner(embeddings, labels)[0])


MINERS = {"likewise": ours, "likewise, with loss and backward": ours_with_loss, "pytorch-metric-learning": theirs}


def peak_megabytes() -> float:
    """Of this process; Linux only. (getrusage would count what the parent process held.)"""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def apart(miner: str, items: int, repeats: int) -> Measured:
    """`measure` in a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(measure, miner, items, repeats).result()
    print(f"{miner:34} {items:6,} {found.seconds:10.4f} {found.megabytes:10.0f} {found.triplets:12,}", flush=True)
    return found


def main() -> None:
    print(f"semi-hard mining, {DIM} dimensions, {IDENTITIES} identities, {torch.get_num_threads()} threads")
    print(f"{'miner':34} {'B':>6} {'seconds':>10} {'extra MB':>10} {'triplets':>12}")
    found = {items: apart("likewise", items, 10 if items == 1024 else 2) for items in MOST_MEGABYTES}
    for items in MOST_MEGABYTES:
        apart("likewise, with loss and backward", items, 2)
    other = apart("pytorch-metric-learning", 1024, 1)
    ratio, memory = other.seconds / found[1024].seconds, other.megabytes / max(1.0, found[1024].megabytes)
    print(f"B = 1,024: {ratio:.0f} times faster (asked: {LEAST_RATIO}), with {memory:.0f} times less memory")
    for items, most in MOST_MEGABYTES.items():
        print(f"B = {items:,}: {found[items].megabytes:.0f} MB extra (asked: under {most})")


if __name__ == "__main__":
    main()
