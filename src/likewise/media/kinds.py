"""Which files are pictures and which are sounds: by the ends of their names, as nothing is opened to list a folder."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

import numpy as np

from likewise.media.pictures import PICTURE_SUFFIXES
from likewise.media.sounds import SOUND_SUFFIXES

Kind = Literal["picture", "sound"]


def kind_of(item: object) -> Kind | None:
    """What an item is: an array by its dimensions, (T,) being a sound; anything else by how its name ends; or None."""
    if isinstance(item, np.ndarray):
        return "sound" if item.ndim == 1 else "picture"
    suffix = PurePath(str(item)).suffix.lower()
    if suffix in SOUND_SUFFIXES:
        return "sound"
    return "picture" if suffix in PICTURE_SUFFIXES else None
