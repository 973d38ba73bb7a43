"""Boxes drawn into pictures: what was found, what was missed, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from likewise.apps.detect.boxes import Boxes
from likewise.apps.detect.matches import Match
from likewise.apps.detect.model import Detector
from likewise.apps.drawing import BLUE, VERMILION, Tile, lettering, tiled, write_picture
from likewise.data import BoxSet
from likewise.errors import LikewiseError
from likewise.evaluation.names import printable
from likewise.media.pictures import Pixels, read_picture

Colour = tuple[int, int, int]
MISSED: Colour = (240, 180, 0)  # amber: told from blue and vermilion by colour-blind people
SHOWN = 12  # pictures of each kind
SIDE = 260  # pixels of each
LARGEST = 1200  # pixels on the longer side of a picture to draw into; larger ones are reduced


def drawn(
    picture: Pixels, boxes: Sequence[Sequence[float]], captions: Sequence[str], colours: Sequence[Colour]
) -> Pixels:
    """A picture (H, W, 1 or 3) with boxes (x, y, width, height) and a few words at each: (h, w, 3)."""
    page = Image.fromarray(np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture)
    scale = min(1.0, LARGEST / max(page.size))
    if scale < 1:
        page = page.resize((max(1, round(scale * page.width)), max(1, round(scale * page.height))))
    pen, line = ImageDraw.Draw(page), max(1, round(max(page.size) / 250))
    letters = lettering(max(10, round(max(page.size) / 36)))
    for (x, y, width, height), caption, colour in zip(boxes, captions, colours, strict=True):
        left, top, right, bottom = (scale * value for value in (x, y, x + width, y + height))
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line)
        if caption:
            place = pen.textbbox((left, top), printable(caption), letters, anchor="lb")
            down = max(0, -place[1])  # so that words at the upper edge stay on the picture
            pen.rectangle((place[0], place[1] + down, place[2] + 2, place[3] + down), fill=colour)
            pen.text((left + 1, top + down), printable(caption), "white", letters, anchor="lb")
    return np.asarray(page)


def draw_report(
    model: Detector, found: Sequence[Boxes], matches: Sequence[Match], data: BoxSet, folder: Path
) -> list[tuple[str, str]]:
    """Writes hits.png, misses.png and alarms.png, each of the pictures that show most of it; what was written, and what
    it shows. Nothing of a kind there is nothing of.
    """
    least = model.threshold
    alarms = [int((~m.hit & m.counted & (f.scores >= least)).sum()) for f, m in zip(found, matches, strict=True)]
    misses = [int((m.by < least).sum()) for m in matches]
    hits = [int((m.by >= least).sum()) for m in matches]
    wrong = np.array(alarms) + np.array(misses)
    kinds = {
        "hits": (np.where(wrong == 0, hits, 0), "found and right"),
        "misses": (np.array(misses), "missed"),
        "alarms": (np.array(alarms), "found, but not there"),
    }
    written: list[tuple[str, str]] = []
    for name, (count, text) in kinds.items():
        chosen = [int(i) for i in np.argsort(-count, kind="stable")[:SHOWN] if count[i]]
        tiles = [tile for i in chosen if (tile := _tile(model, found[i], matches[i], data, i)) is not None]
        if tiles:
            of = f"{text}: {int((count > 0).sum())} of {len(data)} pictures"
            write_picture(tiled(tiles, side=SIDE, columns=4, title=of), folder / f"{name}.png")
            written.append((f"{name}.png", text))
    return written


def _tile(model: Detector, found: Boxes, match: Match, data: BoxSet, i: int) -> Tile | None:
    """One picture with what was found (blue where right, vermilion where not) and what was missed (amber)."""
    try:
        source = data.sources[i]
        picture = read_picture(source if isinstance(source, (str, Path, bytes, np.ndarray)) else source.read())
    except LikewiseError:  # it was readable a moment ago
        return None
    sure = (found.scores >= model.threshold) & match.counted
    shown = found.at(sure)
    missed = np.flatnonzero(match.by < model.threshold)
    names = [data.names[label] for label in data.labels[i][missed].tolist()]
    boxes = [*data.boxes[i][missed].tolist(), *shown.boxes.tolist()]
    captions = [*names, *(f"{one.label} {one.score:.2f}" for one in model.named(shown))]
    colours = [MISSED] * len(missed) + [BLUE if right else VERMILION for right in match.hit[sure].tolist()]
    return Tile(drawn(picture, boxes, captions, colours), Path(data.files[i]).name)
