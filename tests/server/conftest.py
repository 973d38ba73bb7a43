"""One service for the tests that leave it as it was, and one for each that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_client import Served, served


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, digit_folder: Path) -> Iterator[Served]:
    """Five pictures each of the digits 0 to 5 are enrolled; to be asked, not changed."""
    with served(tmp_path_factory.mktemp("enrolled"), model_folder) as running:
        for digit in range(6):
            files = [("files", file) for file in sorted((digit_folder / str(digit)).iterdir())[:5]]
            assert running.post("/v1/enrol", files, name=f"digit {digit}").status_code == 200
        yield running


@pytest.fixture
def fresh(tmp_path: Path, model_folder: Path) -> Iterator[Served]:
    """A service with an empty gallery."""
    with served(tmp_path, model_folder) as running:
        yield running
