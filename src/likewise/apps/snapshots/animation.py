"""The path of a training as a moving picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from likewise.apps.drawing import FAINT, INK, PAPER, fitted, lettering
from likewise.apps.map.classes import Classes, classes_of
from likewise.media.files import replacing_file

WIDTH, HEIGHT, MAP, EDGE = 720, 500, 500, 14  # pixels; the map is square
FINE = 2  # drawn so many times as large, then shrunk: round dots
RADIUS = 3.4  # pixels, of a dot
MOST_NAMES, LONGEST_NAME = 30, 90  # written on the map, and pixels
FRAMES, SMOOTH = 90, 4  # about so many in all; between two epochs at most
MOVING, RESTING, BRIEF, END = 60, 450, 150, 2500  # milliseconds: in between, at an epoch, of many, at the last
MANY = 20  # epochs
PLOT = (MAP + 18, 130, WIDTH - 20, 300)  # pixels: left, top, right, bottom of the figure's plot

Floats = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True, eq=False)
class Frames:
    """What there is to see, at T times.

    Attributes:
        points: (T, N, 2).
        labels: (N,) the class of each item.
        names: of the classes.
        wrong: (T, N) bool: such items have a ring.
        times: (T) what each is called.
        figures: (T) how good it was; None where that is not known.
        figure: what that is called.
        measured: on what it was measured.
    """

    points: Floats
    labels: NDArray[np.int64]
    names: Sequence[str]
    wrong: NDArray[np.bool_]
    times: Sequence[str]
    figures: Sequence[float | None]
    figure: str
    measured: str = "on the validation part"


def animate(frames: Frames, file: Path) -> None:
    """Writes an animated WebP of 720 x 500 pixels: the map, and beside it the figure at each time."""
    classes = classes_of(frames.labels, frames.names, len(frames.labels))
    count = len(frames.points)
    between = max(0, min(SMOOTH, FRAMES // count))
    on_map = _on_map(frames.points)
    pictures: list[Image.Image] = []
    durations: list[int] = []
    for time in range(count):
        for step in range(1, between + 1) if time else ():
            share = step / (between + 1)
            eased = share * share * (3 - 2 * share)
            points = on_map[time - 1] + eased * (on_map[time] - on_map[time - 1])
            pictures.append(_frame(frames, classes, points, time))
            durations.append(MOVING)
        pictures.append(_frame(frames, classes, on_map[time], time))
        durations.append(END if time == count - 1 else RESTING if count <= MANY else BRIEF)
    with replacing_file(file) as fresh:
        pictures[0].save(
            fresh, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=45, method=4
        )


def _on_map(points: Floats) -> Floats:
    """(T, N, 2) in pixels, such that all of them at all times are inside."""
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    room = MAP - 2 * (EDGE + RADIUS)
    scale = room / max(float((high - low).max()), 1e-9)
    found = (points - (low + high) / 2) * scale
    return np.stack([MAP / 2 + found[..., 0], HEIGHT / 2 - found[..., 1]], axis=-1)


def _frame(frames: Frames, classes: Classes, points: Floats, time: int) -> Image.Image:
    canvas = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), PAPER)
    pen = ImageDraw.Draw(canvas)
    for i in np.random.default_rng(0).permutation(len(points)).tolist():  # so that no class lies on top of all others
        (x, y), radius = FINE * points[i], FINE * RADIUS
        if frames.wrong[time, i]:
            ring = radius + 2 * FINE
            pen.ellipse((x - ring, y - ring, x + ring, y + ring), fill=INK)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=classes.colours[classes.of_item[i]])
    canvas = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    pen = ImageDraw.Draw(canvas)
    if len(classes.names) <= MOST_NAMES:
        small = lettering(13)
        for place, name in enumerate(classes.names):
            x, y = np.median(points[classes.of_item == place], axis=0)
            text = fitted(name, LONGEST_NAME, small)
            pen.text((x, y), text, INK, small, anchor="mm", stroke_width=3, stroke_fill=PAPER)
    pen.text((PLOT[0], 30), frames.times[time], INK, lettering(20))
    _plot(pen, frames, time)
    wrong = int(frames.wrong[time].sum())
    told = f"ringed: {wrong} of {len(points):,}" if frames.wrong.any() else f"{len(points):,} items"
    for line, text in enumerate((told, "taken for others" if frames.wrong.any() else "")):
        pen.text((PLOT[0], PLOT[3] + 40 + 18 * line), text, FAINT, lettering(13))
    return canvas


def _plot(pen: ImageDraw.ImageDraw, frames: Frames, time: int) -> None:
    """The figure at each time so far, and what it is now."""
    left, top, right, bottom = PLOT
    known = [figure for figure in frames.figures if figure is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    reach = high - low or 1.0
    now, small = frames.figures[time], lettering(13)
    shown = "not known" if now is None else f"{now:.4g}" if frames.figure == "loss" else f"{now:.1%}"
    pen.text((left, 64), f"{frames.figure} {shown}", INK, lettering(16))
    pen.text((left, 88), frames.measured, FAINT, small)
    pen.line((left, bottom, right, bottom), fill="#d9dde2")
    last = max(1, len(frames.figures) - 1)
    found = [
        (left + (right - left) * place / last, bottom - (bottom - top) * (figure - low) / reach)
        for place, figure in enumerate(frames.figures)
        if figure is not None and place <= time
    ]
    if len(found) > 1:
        pen.line(found, fill="#0072b2", width=2, joint="curve")
    for x, y in found[-1:]:
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill="#0072b2")
    pen.text((left, bottom + 4), frames.times[0], FAINT, small)
    pen.text((right, bottom + 4), frames.times[-1].rpartition(" ")[2], FAINT, small, anchor="ra")
