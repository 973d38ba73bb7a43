"""What the benchmarks share: the data, the machine, a plain loop as people write it, and how figures are printed."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import likewise as lw
from likewise.encoder import BACKBONES, Encoder, Pictures
from likewise.metrics import neighbours, retrieval
from likewise.objective import Euclidean


def machine() -> str:
    """What the figures below were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    native = "with" if bf16 else "without"
    return f"{name}, {torch.get_num_threads()} threads, {native} native bfloat16, torch {torch.__version__}"


def mnist(name: str = "mnist") -> tuple[lw.Dataset, lw.Dataset]:
    """Training and test part."""
    data = lw.open_data(name)
    assert isinstance(data, lw.Dataset)
    return data.part("train"), data.part("test")


def pixels(data: lw.Dataset) -> Tensor:
    """(N, 1, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.asarray(data.sources)).float().unsqueeze(1) / 255


def labels(data: lw.Dataset) -> Tensor:
    """(N,) int64."""
    return torch.from_numpy(data.labels)


def plain_network(backbone: str, dim: int, shape: tuple[int, int, int] = (1, 28, 28), seed: int = 0) -> nn.Sequential:
    """The same layers as `Encoder`'s, as a plain sequence without preprocessing: what a person would write."""
    torch.manual_seed(seed)
    network = BACKBONES[backbone](shape)
    return nn.Sequential(*network.stages.values(), nn.Linear(network.features, dim))


def shaped(backbone: str, dim: int, train: lw.Dataset, *, unit: bool, seed: int = 0) -> Encoder:
    """An encoder built for `train`, so that shaping it is not part of what is timed."""
    preprocessing = Pictures.of(train.sources)
    ready = preprocessing.standardised(preprocessing.decode(train.sources).values)
    return Encoder(backbone, dim, preprocessing=ready, unit=unit, seed=seed)


@torch.inference_mode()
def plain_precision_at_1(network: nn.Module, x: Tensor, y: Tensor, *, unit: bool) -> float:
    """P@1 of a plain network on (N, C, H, W) pixels, every item against every other."""
    network.eval()
    embeddings = torch.cat([network(block) for block in x.split(1000)])
    network.train()
    if unit:
        embeddings = nn.functional.normalize(embeddings, dim=1)
    nearest = neighbours(embeddings, Euclidean(), 1).indices[:, 0]
    return float((y[nearest] == y).double().mean())


def precision_at_1(encoder: Encoder, data: lw.Dataset) -> float:
    """P@1 of an encoder on a labelled set."""
    embeddings = encoder.encode(data.sources).embeddings
    return retrieval(embeddings, labels(data), encoder.distance).precision_at_1


class Stopwatch:
    """Seconds of work, with pauses for measuring."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = time.perf_counter()

    def pause(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def go_on(self) -> None:
        self._since = time.perf_counter()


def median_seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """Median seconds of `work` over some rounds, after one to warm up."""
    work()
    taken: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def show(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """A titled table."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", flush=True)
