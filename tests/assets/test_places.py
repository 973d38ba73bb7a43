from __future__ import annotations

from pathlib import Path

import pytest

from likewise.assets import cache_folder, data_folder
from likewise.errors import DataError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("LIKEWISE_DATA", "LIKEWISE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")


def test_data_folder(monkeypatch):
    assert data_folder() is None
    monkeypatch.setenv("LIKEWISE_DATA", "")
    assert data_folder() is None
    monkeypatch.setenv("LIKEWISE_DATA", "~/pictures")
    assert data_folder() == Path("/home/ada/pictures")


def test_cache_folder(monkeypatch):
    assert cache_folder() == Path("/home/ada/.cache/likewise")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/ada/.cache/likewise")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert cache_folder() == Path("/var/cache/ada/likewise")
    monkeypatch.setenv("LIKEWISE_CACHE", "~/mine")
    assert cache_folder() == Path("/home/ada/mine")


def test_a_user_without_a_home(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    with pytest.raises(DataError, match="LIKEWISE_CACHE"):
        cache_folder()
