"""One picture: which objects lie where on which photo, and how they look. Drawn from a generator, then put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.synthesize.cutouts import LUMA, Pixels, Stored, resized, visible
from likewise.data.synthesis import place_boxes

LEVELS = np.arange(256.0)
MOST_GAIN = 10.0  # more would show the noise of what is nearly black
ROUNDED = 0.5  # levels by which a mean may change when pixels become whole numbers
HALVINGS = 24


@final
@dataclass(frozen=True)
class Rules:
    """What pictures are drawn by, both ends of a range included.

    Attributes:
        size: rows and columns.
        objects: how many are drawn for each picture.
        extent: the longer side of what is visible of an object, in parts of `size`.
        brightness: how many times as bright as in its file an object is.
        contrast: least difference, in parts of white, that it makes to the mean luminance of where it is.
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
    """An object in a picture: what is visible of it spans (x, y, width, height).

    It is `brightness` times as bright as in its file, and `lift` levels more.
    """

    object: Stored
    box: tuple[int, int, int, int]
    brightness: float
    lift: float


@final
@dataclass(frozen=True)
class Collage:
    """A picture as it was drawn.

    Attributes:
        placed: its objects.
        left_out: how many more were drawn, but had no room.
        unseen: how many more could not be told from what would be under them.
        background: the photo.
        cut: left, top and side of the square of it.
    """

    placed: tuple[Placed, ...]
    left_out: int
    unseen: int
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
    scaled = [_scaled(each.pixels(piles.stored), rules.size * float(rng.uniform(*rules.extent))) for each in chosen]
    brightness = rng.uniform(*rules.brightness, size=len(chosen)).tolist()
    drawn = [
        (each, bright, look) for each, bright, look in zip(chosen, brightness, scaled, strict=True) if look is not None
    ]
    room = (rules.size, rules.size)
    corners = place_boxes([look.shape[:2] for _, _, look in drawn], room, rng, gap=rules.gap)
    placed: list[Placed] = []
    unseen = len(chosen) - len(drawn)
    for (each, bright, look), corner in zip(drawn, corners, strict=True):
        if corner is None:
            continue
        (row, column), (high, wide) = corner, look.shape[:2]
        under = canvas[row : row + high, column : column + wide]
        seen = _standing_out(look, under, bright, rules.contrast)
        if seen is None:
            unseen += 1
            continue
        alpha = look[..., 3:].astype(np.float32) / 255
        under += alpha * (np.clip(look[..., :3] * np.float32(seen[0]) + np.float32(seen[1]), 0, 255) - under)
        placed.append(Placed(each, (column, row, wide, high), *seen))
    without = sum(corner is None for corner in corners)
    collage = Collage(tuple(placed), without, unseen, background, (left, top, side))
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), collage


def _scaled(pixels: Pixels, longest: float) -> Pixels | None:
    """(h, w, 4) with so long a longer side, cut to what is visible of it then; None where it is so small that all of it
    fades.
    """
    scale = longest / max(pixels.shape[:2])
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    found = resized(pixels, height, width)
    bounds = visible(found)
    if bounds is None:
        return None
    top, bottom, left, right = bounds
    return found[top:bottom, left:right]


def _standing_out(
    look: Pixels, under: NDArray[np.float32], brightness: float, contrast: float
) -> tuple[float, float] | None:
    """The gain and the lift with which an object differs by `contrast` from what is under it, as it is rendered.

    The gain alone, the nearest to `brightness`, where one up to MOST_GAIN does; else `brightness` and the least lift,
    as no gain changes black; None where neither does, as of an object that is hardly opaque.
    """
    opaque = np.square(look[..., 3].astype(np.float64) / 255)  # counted by alpha, mixed in by alpha
    opaque /= opaque.sum()
    share = np.bincount(look[..., :3].reshape(-1), (opaque[..., None] * LUMA).reshape(-1), len(LEVELS))
    below = float((under @ LUMA * opaque).sum())
    solid = float(np.square(look[..., 3] / 255.0).sum() / (look[..., 3] / 255.0).sum())
    least = (255 * contrast + ROUNDED) / solid if contrast else 0.0

    def apart(gain: float, lift: float) -> float:
        return float(share @ np.clip(LEVELS * gain + lift, 0, 255)) - below

    if abs(apart(brightness, 0.0)) >= least:
        return brightness, 0.0
    gain = _nearest(lambda each: apart(each, 0.0), brightness, 0.0, max(MOST_GAIN, brightness), least)
    if gain is not None:
        return gain, 0.0
    lift = _nearest(lambda each: apart(brightness, each), 0.0, -255.0, 255.0, least)
    return None if lift is None else (brightness, lift)


def _nearest(apart: Callable[[float], float], wanted: float, low: float, high: float, least: float) -> float | None:
    """The value nearest to `wanted` at which `apart`, which never falls, is `least` from 0; None where none is."""
    found: list[float] = []
    for end, sign in ((low, -1), (high, 1)):
        if sign * apart(end) < least:
            continue
        good, bad = end, wanted
        for _ in range(HALVINGS):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if sign * apart(middle) >= least else (good, middle)
        found.append(good)
    return min(found, key=lambda each: abs(each - wanted), default=None)
