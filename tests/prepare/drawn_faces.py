"""Faces that are nobody's: drawn, and found by dlib's detectors as photographs are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Colour = NDArray[np.float64]

FINER = 2  # the drawing is so many times as large as what is handed out


def drawn_face(side: int = 160, seed: int = 0, *, view: int = 0, noise: float = 4.0) -> NDArray[np.uint8]:
    """Head and shoulders of a person who does not exist, before a plain wall: (side, side, 3) uint8.

    The box that dlib's frontal detector gives is about half as wide as the picture.

    Args:
        side: pixels, from 64 on.
        seed: who it is: skin, hair, and where eyes, brows, nose and mouth are.
        view: which picture of that person: place, light and noise differ.
        noise: standard deviation of what the camera adds, in grey levels.
    """
    who = np.random.default_rng(seed)
    now = np.random.default_rng((seed, view, 1))
    skin = np.array([224, 186, 158]) * who.uniform(0.7, 1.08)
    dark, hair = skin * who.uniform(0.18, 0.3), skin * who.uniform(0.12, 0.5)
    lips = skin * [0.8, 0.58, 0.58]
    drawing = _Drawing(side * FINER, np.full(3, who.uniform(120, 200)))

    # Everything below is in shares of the side.
    x, y = 0.5 + now.uniform(-0.02, 0.02, 2)
    half_width, half_height = who.uniform(0.23, 0.27), who.uniform(0.31, 0.35)
    eyes, apart, eye = y - who.uniform(0.03, 0.06), who.uniform(0.095, 0.115), who.uniform(0.036, 0.044)
    nose, mouth, half_mouth = y + who.uniform(0.07, 0.1), y + who.uniform(0.165, 0.195), who.uniform(0.075, 0.1)

    drawing.oval(x, 1.12, 0.42, 0.3, hair * 0.9)  # shoulders
    drawing.oval(x, y + 0.3, 0.12, 0.2, skin * 0.72)  # neck
    drawing.oval(x, y - 0.07, half_width * 1.14, half_height * 1.08, hair)
    drawing.oval(x, y + 0.02, half_width, half_height, skin)
    drawing.soften(0.008)
    for eye_x, cheek_x in ((x - apart, x - 0.16), (x + apart, x + 0.16)):
        drawing.oval(eye_x, eyes, eye * 1.55, eye * 1.2, skin * 0.72)  # socket
        drawing.oval(cheek_x, y + 0.13, 0.05, 0.1, skin * 0.9)
    drawing.oval(x, nose - 0.01, 0.045, 0.035, skin * 0.8)
    drawing.oval(x, y + 0.245, 0.09, 0.03, skin * 0.88)  # shadow below the lips
    drawing.soften(0.014)
    drawing.oval(x, y - 0.2, 0.12, 0.06, skin * 1.06)  # forehead
    drawing.oval(x, nose - 0.07, 0.018, 0.075, skin * 1.12)  # ridge of the nose
    drawing.soften(0.01)
    for eye_x, nostril_x in ((x - apart, x - 0.022), (x + apart, x + 0.022)):
        drawing.oval(eye_x, eyes, eye, eye * 0.5, skin * 0.2 + 190)
        drawing.oval(eye_x, eyes, eye * 0.5, eye * 0.5, dark)
        drawing.arc(eye_x, eyes + eye * 0.05, eye * 1.1, eye * 0.85, 0.012, dark)  # lid
        drawing.arc(eye_x, eyes - eye * 0.75, eye * 1.5, eye * 1.35, 0.022, hair * 0.8)  # brow
        drawing.oval(nostril_x, nose + 0.012, 0.011, 0.008, dark)
    drawing.oval(x, mouth - 0.008, half_mouth, 0.018, lips)
    drawing.oval(x, mouth + 0.012, half_mouth * 0.8, 0.02, lips * 1.08)
    drawing.oval(x, mouth, half_mouth, 0.004, dark)
    drawing.soften(0.005)

    light = now.uniform(0.9, 1.1) * (1 + now.uniform(-0.15, 0.15) * np.linspace(-1, 1, side)[None, :, None])
    return np.clip(drawing.at(side) * light + now.normal(0, noise, (side, side, 3)), 0, 255).astype(np.uint8)


def drawn_group(sides: Sequence[int], seeds: Sequence[int], *, gap: int = 20) -> NDArray[np.uint8]:
    """Faces beside one another from left to right, drawn at the given sides, on a page of one grey."""
    page = np.full((max(sides) + 2 * gap, sum(sides) + gap * (len(sides) + 1), 3), 160, np.uint8)
    left = gap
    for side, seed in zip(sides, seeds, strict=True):
        page[gap : gap + side, left : left + side] = drawn_face(side, seed)
        left += side + gap
    return page


class _Drawing:
    """A page whose places and lengths are shares of its side."""

    def __init__(self, side: int, wall: Colour) -> None:
        self.side = side
        self.page = Image.new("RGB", (side, side), _rgb(wall))

    def oval(self, x: float, y: float, half_width: float, half_height: float, colour: Colour) -> None:
        ImageDraw.Draw(self.page).ellipse(self._corners(x, y, half_width, half_height), fill=_rgb(colour))

    def arc(self, x: float, y: float, half_width: float, half_height: float, thick: float, colour: Colour) -> None:
        """The upper part of an oval's outline."""
        ImageDraw.Draw(self.page).arc(
            self._corners(x, y, half_width, half_height), 200, 340, fill=_rgb(colour), width=round(thick * self.side)
        )

    def soften(self, sigma: float) -> None:
        self.page = self.page.filter(ImageFilter.GaussianBlur(sigma * self.side))

    def at(self, side: int) -> Colour:
        return np.asarray(self.page.resize((side, side), Image.Resampling.BOX), np.float64)

    def _corners(self, x: float, y: float, half_width: float, half_height: float) -> list[float]:
        shares = (x - half_width, y - half_height, x + half_width, y + half_height)
        return [share * self.side for share in shares]


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    return red, green, blue
