"""The package itself: its version, and names that cost nothing until they are used."""

from __future__ import annotations

from importlib.metadata import version

import pytest

import likewise as lw


def test_version() -> None:
    assert lw.__version__ == version("likewise")
    assert "__version__" in dir(lw)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = lw.nosuch
