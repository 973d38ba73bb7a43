"""Batches to train on, and a way to measure memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

STATUS = Path("/proc/self/status")  # getrusage would count what the parent process held
MEASURED = """
import re, torch
torch.set_num_threads(1)
{before}
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
base = peak()
{code}
print((peak() - base) / 1024)
"""


def draw(labels: Sequence[int], dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(B, dim) float64 unit vectors around the centre of their identity, and (B,) labels."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.tensor(labels, dtype=torch.int64)
    centres = torch.randn(int(drawn.max()) + 1 if len(drawn) else 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(drawn), dim, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(centres[drawn] + 0.8 * noise, dim=1), drawn


@pytest.fixture(scope="session")
def batch() -> Callable[..., tuple[Tensor, Tensor]]:
    return draw


@pytest.fixture(scope="session")
def extra_megabytes() -> Callable[[str, str], float]:
    """Runs code in a process of its own: by how many MB its peak of memory rises above that after `before`."""

    if not STATUS.exists():
        pytest.skip("this system does not say how much memory a process had")

    def measure(before: str, code: str) -> float:
        program = MEASURED.format(before=textwrap.dedent(before), code=textwrap.dedent(code))
        # Blocks of 1 MB and more go back to the system at once: what is counted is in use, not kept for later.
        env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
        return float(done.stdout)

    return measure
