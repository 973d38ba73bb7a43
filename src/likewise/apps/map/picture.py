"""The map as a PNG."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from likewise.apps.map.classes import PALETTE, Classes, classes_of
from likewise.apps.map.layouts import Float32, Layout
from likewise.apps.map.placing import places
from likewise.evaluation.names import elided, fit, printable, shortened
from likewise.media.files import replacing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 10.0, 8.0, 160  # inches and dots per inch: 1600 x 1280 pixels
MOST_LABELS = 30  # names written on the map itself
LONGEST_NAME, LONGEST_TITLE = 20, 80  # characters
LEGEND_ROOM = 0.19  # of the width, for the text of the legend
ROOM = 4  # pixels kept free on each side of a name
LED = 36  # pixels from its dot: from there on a line leads to it
DARKENED = 0.55  # a name's colour, as a part of its class's: on white it can be read


def draw(layout: Layout, labels: Any, names: Sequence[str], file: Path | str, *, title: str = "") -> None:
    """Draw a map as a PNG of 1600 x 1280 pixels: a colour per class, a legend, and class names on the map.

    The legend holds 20 classes, the largest if there are more, and says how many it leaves out. Up to 30
    classes are named on the map too, as far as there is room near them. The file that was there stays until the new
    one is whole.

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
    with warnings.catch_warnings(), replacing_file(file) as target:
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for what the font lacks
        _paint(figure, layout, classes, title)
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
    names = shortened(classes.names[:MOST_LABELS], LONGEST_NAME)
    if len(classes.names) <= MOST_LABELS:
        _names(axes, points, classes, names, radius=math.sqrt(area) / 2 * DPI / 72)
    _legend(figure, axes, classes, names)
    head: dict[str, Any] = {"ha": "left", "parse_math": False}
    title = elided(printable(title), LONGEST_TITLE // 2, LONGEST_TITLE)
    for y, text, style in (
        (0.955, title, {"size": 15, "weight": "bold"}),
        (0.928, layout.caption(), {"size": 10, "color": "#555555"}),
    ):
        fit(figure.text(0.02, y, text, **style, **head), 0.96 * figure.bbox.width)


def _names(axes: Any, points: Float32, classes: Classes, names: Sequence[str], radius: float) -> None:
    """Class names on the map, where there is room; a line leads to the dots of those that are not next to them."""
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text
    from matplotlib.transforms import IdentityTransform

    axes.figure.draw_without_rendering()  # sets the limits that fit the frame
    halo = [withStroke(linewidth=3, foreground="white")]
    style: dict[str, Any] = {"size": 10, "weight": "bold", "zorder": 10, "parse_math": False, "path_effects": halo}
    dark: list[Any] = [DARKENED * np.array(to_rgb(colour)) for colour in classes.colours]
    texts = [
        Text(text=name, color=colour, transform=IdentityTransform(), **style)
        for name, colour in zip(names, dark, strict=True)
    ]
    for text in texts:
        axes.add_artist(text)
    boxes = np.array([text.get_window_extent().size for text in texts]) + 2 * ROOM
    found = places(_on_screen(axes, points), classes.of_item, boxes, axes.bbox.extents.tolist(), radius)
    for text, colour, place in zip(texts, dark, found, strict=True):
        if place is None:
            text.remove()
            continue
        text.set_position((place.x + ROOM, place.y + ROOM))
        if place.gap > LED:
            box = text.get_window_extent()
            x, y = zip(np.clip(place.dot, box.min, box.max), place.dot, strict=True)
            axes.add_artist(Line2D(x, y, transform=IdentityTransform(), color=colour, linewidth=0.8, zorder=9))


def _on_screen(axes: Any, points: Float32) -> NDArray[np.float64]:
    """(N, 2) in pixels."""
    if points.shape[1] == 3:
        from mpl_toolkits.mplot3d.proj3d import proj_transform

        points = np.transpose(proj_transform(points[:, 0], points[:, 1], points[:, 2], axes.get_proj())[:2])
    return axes.transData.transform(points)


def _legend(figure: Figure, axes: Any, classes: Classes, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    shown = min(len(classes.names), len(PALETTE))
    handles = [Line2D([], [], marker="o", ls="", ms=8, mec="none", color=c) for c in classes.colours[:shown]]
    texts = [f"{name}  ({size:,})" for name, size in zip(names[:shown], classes.sizes[:shown], strict=True)]
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
        fit(entry, LEGEND_ROOM * figure.bbox.width)
