"""Galleries: enrol, identify, verify, forget."""

from likewise.gallery.claim import Claim, Frame
from likewise.gallery.decision import Lines, Match
from likewise.gallery.gallery import Gallery
from likewise.gallery.leave_out import GalleryCalibration
from likewise.gallery.records import Records
from likewise.gallery.results import Enrolled, Forgotten, Identified, Probe
from likewise.gallery.store import Description, Store, open_store

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
