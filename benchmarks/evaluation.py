"""Seconds and memory of evaluating 10,000 embeddings of 64 dimensions, all 50 million pairs.

They are of 10 identities, and where it says so of 5,000 or of nearly 10,000, of whom only two have two items.

Asked for: verification and retrieval together in under 6 s on 2 idle cores and under 600 MB above the embeddings.
Beside them the limit, a bare matrix product over the same pairs in the same blocks, and pytorch-metric-learning's
AccuracyCalculator for the same retrieval figures. Every line is a process of its own; times are medians of three.

    python benchmarks/evaluation.py
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from likewise.metrics import clustering, confusions, few_shot, hardest_pairs, retrieval, verification
from likewise.metrics.pairs import BLOCK
from likewise.objective.distances import Euclidean

ITEMS, DIM, CLUSTERS = 10_000, 64, 10


def drawn(items: int, identities: int = CLUSTERS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(items) % identities
    centres = torch.randn(identities, DIM, generator=generator)
    points = 0.4 * centres[labels] + 0.3 * torch.randn(items, DIM, generator=generator)
    return torch.nn.functional.normalize(points), labels


def bare_product(x: torch.Tensor, _: torch.Tensor) -> None:
    side = int(BLOCK**0.5)
    for top in range(0, len(x), side):
        for left in range(top, len(x), side):
            x[top : top + side] @ x[left : left + side].T


def peer_retrieval(x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    return AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    ).get_accuracy(x, y)


def both(unit: str) -> Callable[[torch.Tensor, torch.Tensor], None]:
    def run(x: torch.Tensor, y: torch.Tensor) -> None:
        verification(x, y, Euclidean(), unit=unit)
        retrieval(x, y, Euclidean())

    return run


PARTS: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "bare matrix product": bare_product,
    "verification, items resampled": lambda x, y: verification(x, y, Euclidean(), unit="item"),
    "verification, identities resampled": lambda x, y: verification(x, y, Euclidean()),
    "the same, 5,000 identities": lambda x, y: verification(x, y, Euclidean()),
    "the same, 9,998 identities": lambda x, y: verification(x, y, Euclidean()),
    "retrieval": lambda x, y: retrieval(x, y, Euclidean()),
    "verification + retrieval": both("item"),
    "clustering": lambda x, y: clustering(x, y, seed=0),
    "few-shot": lambda x, y: few_shot(x, y, Euclidean(), ways=CLUSTERS),
    "confusions": lambda x, y: confusions(x, y, Euclidean()),
    "hardest pairs": lambda x, y: hardest_pairs(x, y, Euclidean()),
    "pytorch-metric-learning, retrieval": peer_retrieval,
}


IDENTITIES = {"the same, 5,000 identities": 5_000, "the same, 9,998 identities": 9_998}  # of other parts: CLUSTERS


def megabytes(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measured(part: str) -> dict[str, float]:
    """Runs in a process of its own: once on a few items to load what is loaded once, then three times."""
    PARTS[part](*drawn(500))
    x, y = drawn(ITEMS, IDENTITIES.get(part, CLUSTERS))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = megabytes("VmRSS")
    seconds: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        PARTS[part](x, y)
        seconds.append(time.perf_counter() - start)
    return {"seconds": median(seconds), "extra_mb": megabytes("VmHWM") - before}


def main() -> None:
    results: dict[str, dict[str, float]] = {}
    for part in PARTS:
        command = [sys.executable, __file__, part]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[part] = json.loads(answer.splitlines()[-1])
    limit = results["bare matrix product"]["seconds"]
    print(f"{ITEMS:,} x {DIM}, {ITEMS * (ITEMS - 1) // 2:,} pairs, {torch.get_num_threads()} threads")
    print(f"{'':36}{'seconds':>9}{'x product':>11}{'extra MB':>10}")
    for part, result in results.items():
        seconds, extra = result["seconds"], result["extra_mb"]
        print(f"{part:36}{seconds:9.2f}{seconds / limit:11.1f}{extra:10.0f}")
    ratio = results["pytorch-metric-learning, retrieval"]["seconds"] / results["retrieval"]["seconds"]
    print(f"retrieval: {ratio:.1f} times as fast as pytorch-metric-learning's, with a k-NN vote besides")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(sys.argv[1])))
    else:
        main()
