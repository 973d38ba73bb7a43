"""Galleries: enrol, identify, verify, forget.

Names are looked up when first used, so that what only lists names need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.gallery.claim import Claim, Frame
    from likewise.gallery.decision import Lines, Match
    from likewise.gallery.gallery import Gallery
    from likewise.gallery.leave_out import GalleryCalibration
    from likewise.gallery.records import Records
    from likewise.gallery.results import Enrolled, Forgotten, Identified, Probe
    from likewise.gallery.store import Description, Store, open_store

_MODULE_OF_NAME = {
    "Claim": "claim",
    "Description": "store",
    "Enrolled": "results",
    "Forgotten": "results",
    "Frame": "claim",
    "Gallery": "gallery",
    "GalleryCalibration": "leave_out",
    "Identified": "results",
    "Lines": "decision",
    "Match": "decision",
    "Probe": "results",
    "Records": "records",
    "Store": "store",
    "open_store": "store",
}

__all__ = [
    "Claim",
    "Description",
    "Enrolled",
    "Forgotten",
    "Frame",
    "Gallery",
    "GalleryCalibration",
    "Identified",
    "Lines",
    "Match",
    "Probe",
    "Records",
    "Store",
    "open_store",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'likewise.gallery' has no attribute {name!r}")
    return getattr(import_module(f"likewise.gallery.{_MODULE_OF_NAME[name]}"), name)
