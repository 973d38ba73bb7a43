"""Learn what "the same" means from labelled examples, and get an answer with a number that can be trusted.

Names are looked up when first used, so that ``import likewise`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.data import Dataset as Dataset
    from likewise.data import PairSet as PairSet
    from likewise.data import arrays as arrays
    from likewise.data import check as check
    from likewise.data import folder as folder
    from likewise.data import idx as idx
    from likewise.data import manifest as manifest
    from likewise.data import open_data as open_data
    from likewise.data import pairs_file as pairs_file
    from likewise.data import zip_folder as zip_folder
    from likewise.encoder import Encoder as Encoder
    from likewise.encoder import Preprocessing as Preprocessing
    from likewise.errors import CollapseWarning as CollapseWarning
    from likewise.errors import DataError as DataError
    from likewise.errors import LikewiseError as LikewiseError
    from likewise.errors import ModelError as ModelError
    from likewise.errors import SupportError as SupportError
    from likewise.errors import UsageError as UsageError
    from likewise.training import FitOptions as FitOptions
    from likewise.training import History as History
    from likewise.training import fit as fit

_HOME = {
    "likewise.data": (
        "Dataset", "PairSet", "arrays", "check", "folder", "idx", "manifest", "open_data", "pairs_file", "zip_folder",
    ),
    "likewise.encoder": ("Encoder", "Preprocessing"),
    "likewise.errors": (
        "CollapseWarning", "DataError", "LikewiseError", "ModelError", "SupportError", "UsageError",
    ),
    "likewise.training": ("FitOptions", "History", "fit"),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll] - the names above, in one place


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'likewise' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
