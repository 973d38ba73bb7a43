"""The map as a PNG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.apps.map.classes import PALETTE, Classes, classes_of, printable
from likewise.apps.map.layouts import Float32, Layout
from likewise.media.files import replacing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 10.0, 8.0, 160  # inches and dots per inch: 1600 x 1280 pixels
MOST_LABELS = 30  # names written on the map itself
LONGEST_NAME, LONGEST_TITLE = 20, 80  # characters


def draw(layout: Layout, labels: Any, names: Sequence[str], file: Path | str, *, title: str = "") -> None:
    """Draw a map as a PNG of 1600 x 1280 pixels: a colour per class, a legend, and class names on the map.

    The legend holds 20 classes, the largest if there are more, and says how many it leaves out. Up to 30
    classes are named on the map too. The file that was there stays until the new one is whole.

    Args:
        layout: from `layout`, with 2 or 3 dimensions.
        labels: (N,) integers.
        names: `names[label]` is the name of a label.
        file: where to.
        title: one line above the map.

    Raises:
        UsageError: labels of another length, or without a name.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = classes_of(labels, names, len(layout.points))
    figure = Figure((WIDTH, HEIGHT), DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _paint(figure, layout, classes, title)
    with warnings.catch_warnings(), replacing_file(file) as target:
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for what the font lacks
        figure.savefig(target, format="png")


def _paint(figure: Figure, layout: Layout, classes: Classes, title: str) -> None:
    from matplotlib.colors import to_rgb

    points = layout.points
    space = points.shape[1] == 3
    axes: Any = figure.add_axes((0.02, 0.03, 0.73, 0.88), projection="3d" if space else None)
    order = np.random.default_rng(0).permutation(len(points))  # so that no class lies on top of all others
    colours = np.array([to_rgb(c) for c in classes.colours]).reshape(-1, 3)[classes.of_item[order]]
    area = float(np.clip(60_000 / len(points), 3, 40))
    axes.scatter(*points[order].T, s=area, c=colours, alpha=0.75, linewidths=0, rasterized=True)
    if space:
        axes.set_aspect("equal")
        axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
    else:
        axes.set_aspect("equal", "datalim")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color("#cccccc")
    if len(classes.names) <= MOST_LABELS:
        _names(axes, points, classes)
    _legend(axes, classes)
    head: dict[str, Any] = {"ha": "left", "parse_math": False}
    figure.text(0.02, 0.955, _short(printable(title), LONGEST_TITLE), size=15, weight="bold", **head)
    figure.text(0.02, 0.928, layout.caption(), size=10, color="#555555", **head)


def _names(axes: Any, points: Float32, classes: Classes) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    style = {"ha": "center", "va": "center", "size": 11, "weight": "bold", "color": "#222222", "zorder": 10}
    for place, name in enumerate(classes.names):
        middle = np.median(points[classes.of_item == place], axis=0)
        axes.text(*middle, _short(name), parse_math=False, path_effects=halo, **style)


def _legend(axes: Any, classes: Classes) -> None:
    from matplotlib.lines import Line2D

    shown = min(len(classes.names), len(PALETTE))
    handles = [Line2D([], [], marker="o", ls="", ms=8, mec="none", color=c) for c in classes.colours[:shown]]
    texts = [f"{_short(n)}  ({size:,})" for n, size in zip(classes.names, classes.sizes, strict=True)][:shown]
    if left := len(classes.names) - shown:
        handles.append(Line2D([], [], ls=""))
        texts.append(f"and {left:,} more classes" if left > 1 else "and 1 more class")
    legend = axes.legend(
        handles,
        [""] * len(handles),
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        frameon=False,
        fontsize=9,
    )
    # Set afterwards, because a legend drops labels that start with "_" and reads "$" as mathematics.
    for entry, text in zip(legend.get_texts(), texts, strict=True):
        entry.set_parse_math(False)
        entry.set_text(text)


def _short(text: str, longest: int = LONGEST_NAME) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
