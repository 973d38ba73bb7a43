"""One picture: which objects lie where on which photo, and how they look. Drawn from a generator, then put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.synthesize.cutouts import LUMA, Pixels, Stored, resized, visible
from likewise.data.synthesis import place_boxes


@final
@dataclass(frozen=True)
class Rules:
    """What pictures are drawn by, both ends of a range included.

    Attributes:
        size: rows and columns.
        objects: how many are drawn for each picture.
        extent: the longer side of what is visible of an object, in parts of `size`.
        brightness: how many times as bright as in its file an object is.
        contrast: least difference, in parts of white, of its mean luminance from that of what is under it.
        gap: least pixels between two.
    """

    size: int
    objects: tuple[int, int]
    extent: tuple[float, float]
    brightness: tuple[float, float]
    contrast: float
    gap: int


@final
@dataclass(frozen=True)
class Piles:
    """What pictures are made of.

    Attributes:
        objects: of each class that has any.
        backgrounds: photos.
        stored: the pixels of all.
    """

    objects: Sequence[Sequence[Stored]]
    backgrounds: Sequence[Stored]
    stored: Pixels


@final
@dataclass(frozen=True)
class Placed:
    """An object in a picture: what is visible of it spans (x, y, width, height), `brightness` times as bright."""

    object: Stored
    box: tuple[int, int, int, int]
    brightness: float


@final
@dataclass(frozen=True)
class Collage:
    """A picture as it was drawn.

    Attributes:
        placed: its objects.
        left_out: how many more were drawn, but had no room.
        background: the photo.
        cut: left, top and side of the square of it.
    """

    placed: tuple[Placed, ...]
    left_out: int
    background: Stored
    cut: tuple[float, float, float]


def draw_collage(piles: Piles, rules: Rules, rng: np.random.Generator) -> tuple[Pixels, Collage]:
    """(size, size, 3) pixels and what is in them. Every photo, class, and object of a class is equally likely.

    The cut is a square of the photo, from as many pixels as are wanted to as many as there are.
    """
    background = piles.backgrounds[int(rng.integers(len(piles.backgrounds)))]
    height, width = background.shape[:2]
    short = min(height, width)
    side = float(rng.uniform(min(rules.size, short), short))
    left, top = (float(rng.uniform(0, room - side)) for room in (width, height))
    pixels = resized(background.pixels(piles.stored), rules.size, rules.size, (left, top, left + side, top + side))
    canvas = pixels.astype(np.float32)
    chosen = [
        (pile := piles.objects[int(rng.integers(len(piles.objects)))])[int(rng.integers(len(pile)))]
        for _ in range(int(rng.integers(rules.objects[0], rules.objects[1] + 1)))
    ]
    looks = [_scaled(each.pixels(piles.stored), rules.size * float(rng.uniform(*rules.extent))) for each in chosen]
    brightness = rng.uniform(*rules.brightness, size=len(chosen)).tolist()
    room = (rules.size, rules.size)
    corners = place_boxes([each.shape[:2] for each in looks], room, rng, gap=rules.gap)
    placed: list[Placed] = []
    for each, look, bright, corner in zip(chosen, looks, brightness, corners, strict=True):
        if corner is None:
            continue
        (row, column), (high, wide) = corner, look.shape[:2]
        under = canvas[row : row + high, column : column + wide]
        bright = _standing_out(look, under, bright, rules.contrast)
        alpha = look[..., 3:].astype(np.float32) / 255
        under += alpha * (np.clip(look[..., :3] * np.float32(bright), 0, 255) - under)
        placed.append(Placed(each, (column, row, wide, high), bright))
    collage = Collage(tuple(placed), len(chosen) - len(placed), background, (left, top, side))
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), collage


def _scaled(pixels: Pixels, longest: float) -> Pixels:
    """(h, w, 4) with so long a longer side, cut to what is visible of it then: at least 1 pixel."""
    scale = longest / max(pixels.shape[:2])
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    found = resized(pixels, height, width)
    bounds = visible(found)
    if bounds is None:  # so small that all of it faded
        return np.concatenate([found[..., :3], np.full_like(found[..., 3:], 255)], axis=2)
    top, bottom, left, right = bounds
    return found[top:bottom, left:right]


def _standing_out(look: Pixels, under: NDArray[np.float32], brightness: float, contrast: float) -> float:
    """A brightness, the nearest to that given, with which the object differs from what is under it by `contrast`."""
    weight = look[..., 3].astype(np.float32)
    total = max(float(weight.sum()), 1.0)
    own = float((look[..., :3] @ LUMA * weight).sum()) / total
    below = float((under @ LUMA * weight).sum()) / total
    least = 255 * contrast
    if abs(own * brightness - below) >= least or own < 1:
        return round(brightness, 4)
    darker, brighter = below - least, below + least
    can = [value / own for value in (darker, brighter) if 0 <= value <= 255]
    return round(min(can, key=lambda each: abs(each - brightness), default=brightness), 4)
