"""What is one item, not a list of them, is refused: Python would take it for a sequence of something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.encoder import Encoder, Pictures
from likewise.errors import UsageError


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))


@pytest.mark.parametrize(
    "item",
    [
        Path("a.png"), "a.png", b"\x89PNG", bytearray(b"\x89PNG"), np.zeros((8, 8), np.uint8),
        np.zeros((8, 9, 1), np.uint8), np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9, 4), np.uint8), 7, None,
    ],
    ids=lambda item: f"{type(item).__name__} {getattr(item, 'shape', '')}",
)  # fmt: skip
def test_a_lone_item(encoder: Encoder, item: object) -> None:
    with pytest.raises(UsageError, match=r"in a list.*Pass \[item\]"):
        encoder.encode(item)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 1), (5, 9, 7, 3), (5, 20, 16), (0, 8, 8), (3, 4, 4)])
def test_arrays_of_items_are_none(encoder: Encoder, shape: tuple[int, ...]) -> None:
    items = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = encoder.encode(items)
    assert len(found.embeddings) == len(items)
    if len(items):
        assert torch.equal(found.embeddings, encoder.encode(list(items)).embeddings)


def test_tensors_and_arrays_of_names_are_none(encoder: Encoder, tmp_path: Path) -> None:
    assert encoder.encode(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).embeddings.shape == (2, 4)
    assert len(encoder.encode(np.array([str(tmp_path / "a.png")])).problems) == 1
