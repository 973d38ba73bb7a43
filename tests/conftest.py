"""What several tests draw on: small pictures, drawn here or taken from scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def digit_arrays() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits as (N, 8, 8) uint8 and (N,) labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of 4 identities with 6 pictures each; pixel values follow from identity and number."""
    for identity in range(4):
        folder = tmp_path / "tree" / f"person {identity}"
        folder.mkdir(parents=True)
        for number in range(6):
            rng = np.random.default_rng((identity, number))
            base = np.zeros((20, 16), np.uint8)
            base[identity * 4 : identity * 4 + 5, 3:13] = 200
            noisy = np.clip(base + rng.integers(0, 40, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number}.png")
    return tmp_path / "tree"
