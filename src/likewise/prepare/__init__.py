"""The step before encoding: the parts of a picture that are to be encoded, such as the faces in it."""

from likewise.prepare.finder import (
    FINDERS,
    PARAMETERS,
    Finder,
    check_kept,
    finder_called,
    finder_from,
    part_sized,
    parts_of,
    register,
    shown_part,
    sole_part,
    unfit,
)
from likewise.prepare.part import Box, Part

__all__ = [
    "FINDERS",
    "PARAMETERS",
    "Box",
    "Finder",
    "Part",
    "check_kept",
    "finder_called",
    "finder_from",
    "part_sized",
    "parts_of",
    "register",
    "shown_part",
    "sole_part",
    "unfit",
]
