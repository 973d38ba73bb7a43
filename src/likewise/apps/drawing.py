"""Pictures drawn pixel by pixel: tiles with words below them, and colours for numbers.

A library of figures takes longer to load than these take to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from likewise.evaluation.names import elided, printable
from likewise.media.files import replacing_file
from likewise.media.pictures import Pixels

INK, FAINT, PAPER = "#1d2329", "#5c6670", "#ffffff"
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)  # Okabe and Ito (2008): colour-blind people tell them apart
SMALL, LARGE = 13, 18  # pixels, height of letters
GAP = 8  # pixels between tiles
MARGIN = 14
NARROW, LONGEST = 20, 200  # pixels, of the shorter side, as long as the longer one is not longer

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Tile:
    """One of many pictures.

    Attributes:
        pixels: (h, w, 1 or 3) uint8.
        caption: a few words below it.
    """

    pixels: Pixels
    caption: str = ""


@cache
def lettering(height: int) -> Font:
    """Letters of about this many pixels: those that come with matplotlib, which know more alphabets than Pillow's."""
    matplotlib = find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:
        file = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), height)
    return ImageFont.load_default(height)


def write_picture(picture: Image.Image, file: Path) -> None:
    """Writes a PNG; the file that was there stays until the new one is whole."""
    with replacing_file(file) as fresh:
        picture.save(fresh, "PNG", compress_level=6)


def tiled(tiles: Sequence[Tile], *, side: int, columns: int, title: str = "") -> Image.Image:
    """Tiles row after row, each enlarged or shrunk to `side` pixels on its longer side, with its caption below."""
    shown = [scaled(tile.pixels, side) for tile in tiles]
    width = max((one.width for one in shown), default=side)
    height = max((one.height for one in shown), default=side)
    small, large = lettering(SMALL), lettering(LARGE)
    told = any(tile.caption for tile in tiles)
    widest = max((math.ceil(small.getlength(printable(tile.caption))) for tile in tiles), default=0)
    across, down = max(width, min(widest, round(1.3 * side)) + 2) + GAP, height + GAP + (SMALL + 4 if told else 0)
    columns = max(1, min(columns, len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    top = MARGIN + (LARGE + 12 if title else 0)
    least = round(large.getlength(title)) if title else 0
    canvas = Image.new(
        "RGB", (2 * MARGIN + max(columns * across - GAP, least), top + rows * down + MARGIN - GAP), PAPER
    )
    pen = ImageDraw.Draw(canvas)
    if title:
        pen.text((MARGIN, MARGIN - 4), title, INK, large)
    for place, (one, tile) in enumerate(zip(shown, tiles, strict=True)):
        x, y = MARGIN + place % columns * across, top + place // columns * down
        canvas.paste(one, (x, y))
        if tile.caption:
            pen.text((x, y + height + 2), fitted(tile.caption, across - GAP, small), FAINT, small)
    return canvas


def scaled(pixels: Pixels, side: int) -> Image.Image:
    """(h, w, 1 or 3) with `side` pixels on its longer side; what is enlarged keeps its squares, of whole pixels."""
    picture = Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    longest = max(picture.size)
    if longest > side:
        width, height = (max(1, round(length * side / longest)) for length in picture.size)
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    times = side // longest
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def roomy(shape: Sequence[int], side: int) -> int:
    """The longer side in pixels, `side` or more, that leaves something to see of a narrow picture (h, w)."""
    return max(side, min(NARROW * max(shape) // min(shape), LONGEST))


def fitted(text: str, room: float, font: Font) -> str:
    """As much of `text` as `room` pixels hold, in one line."""
    text = printable(text)
    for longest in range(len(text), 1, -1):
        if font.getlength(found := elided(text, (longest - 1) // 2, longest)) <= room:
            return found
    return text[:1]


def grey(values: Floats, most: float) -> Pixels:
    """(...) from 0, black, to `most`, white -> (..., 3) uint8."""
    level = np.clip(values / most if most > 0 else np.zeros_like(values), 0, 1)
    return np.repeat((255 * level).round().astype(np.uint8)[..., None], 3, axis=-1)


def signed(values: Floats, most: float) -> Pixels:
    """(...) from -`most`, blue, over 0, white, to `most`, vermilion -> (..., 3) uint8."""
    level = np.clip(values / most if most > 0 else np.zeros_like(values), -1, 1)[..., None]
    ends = np.where(level < 0, np.array(BLUE), np.array(VERMILION))
    return (255 + (ends - 255) * np.abs(level)).round().astype(np.uint8)


def coloured(values: Floats, most: float) -> Pixels:
    """`grey` where nothing is below 0, else `signed`."""
    return signed(values, most) if (values < 0).any() else grey(values, most)
