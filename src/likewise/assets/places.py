"""The two folders of this machine where data sets are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from likewise.errors import DataError


def data_folder() -> Path | None:
    """The user's own data sets, a sub-folder each: LIKEWISE_DATA in the environment; None where unset."""
    folder = os.environ.get("LIKEWISE_DATA")
    return Path(folder).expanduser() if folder else None


def cache_folder() -> Path:
    """What was fetched before: LIKEWISE_CACHE, else likewise in XDG_CACHE_HOME or in ~/.cache.

    Raises:
        DataError: none of them is set and the user has no home.
    """
    folder = os.environ.get("LIKEWISE_CACHE")
    if folder:
        return Path(folder).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # the XDG standard has relative ones ignored
        return base / "likewise"
    try:
        return Path.home() / ".cache" / "likewise"
    except RuntimeError:
        raise DataError("The cache has a folder", "a user without a home", "Set LIKEWISE_CACHE.") from None
