"""Data that the tests of training share."""

from __future__ import annotations

import pytest

from likewise.data import Dataset


@pytest.fixture(scope="session")
def parts(digits: Dataset) -> tuple[Dataset, Dataset]:
    """200 items to fit, 150 to choose by."""
    train, valid, _ = digits.split(200 / 1797, 150 / 1797, 0.5, seed=0)
    return train, valid
