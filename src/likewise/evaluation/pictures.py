"""Pictures of a report: the trade-off between the two errors, and the pairs that were hardest."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from likewise.data import Dataset
from likewise.data.dataset import ZipMember
from likewise.errors import LikewiseError
from likewise.media.pictures import read_picture, resize_picture
from likewise.metrics import HardestPairs, Pair, Verification

if TYPE_CHECKING:
    from likewise.training import History

SHOWN_PAIRS = 8  # of each kind
PICTURE_SIDE = 96  # pixels


def draw_curves(verification: Verification, file: Path) -> None:
    """FNMR against FMR on logarithmic axes (the DET curve), and both against the threshold."""
    from matplotlib.figure import Figure

    curve = verification.curve
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    floor = 0.5 / max(verification.pairs_different, verification.pairs_same)
    left.loglog(np.maximum(curve.fmr, floor), np.maximum(curve.fnmr, floor), color="#0072b2")
    eer = verification.eer
    left.plot([eer.value or floor], [eer.value or floor], "o", color="#d55e00", label=f"EER {eer.value:.2%}")
    for point in verification.fnmr_at_fmr:
        if point.fnmr is not None:
            low, high = max(point.fnmr.low, floor), max(point.fnmr.high, floor)
            left.plot([point.fmr, point.fmr], [low, high], color="#999999", linewidth=3, zorder=0)
    left.set(xlabel="FMR: different pairs accepted", ylabel="FNMR: same pairs refused", title="The two errors")
    left.grid(alpha=0.3)
    left.legend()
    right.plot(curve.thresholds, curve.fmr, color="#d55e00", label="FMR")
    right.plot(curve.thresholds, curve.fnmr, color="#0072b2", label="FNMR")
    right.set(xlabel="threshold on the distance", ylabel="share", title="Errors by threshold")
    right.grid(alpha=0.3)
    right.legend()
    figure.savefig(file, dpi=110)


def draw_hardest(hardest: HardestPairs, data: Dataset, file: Path) -> None:
    """The farthest same pairs and the closest different pairs, two pictures a pair; each item is shown once."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.4 * SHOWN_PAIRS, 4.6), layout="constrained")
    rows = figure.subfigures(2, 1, squeeze=False)[:, 0]
    for row, pairs, title in (
        (rows[0], hardest.same, "Same, yet far apart"),
        (rows[1], hardest.different, "Different, yet close"),
    ):
        row.suptitle(title)
        axes = row.subplots(1, SHOWN_PAIRS)
        for axis in axes:
            axis.axis("off")
        for axis, pair in zip(axes, _without_repeats(pairs), strict=False):
            gap = np.full((PICTURE_SIDE, 4, 3), 255, np.uint8)
            axis.imshow(np.hstack([_picture(data, pair.first), gap, _picture(data, pair.second)]))
            names = " | ".join(_short(data.names[data.labels[item]]) for item in (pair.first, pair.second))
            axis.set_title(f"{names}\ndistance {pair.distance:.3g}", fontsize=8, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for what the font lacks
        figure.savefig(file, dpi=100)


def _without_repeats(pairs: Sequence[Pair]) -> list[Pair]:
    """The hardest pairs, in order, of items that are in no harder one: a single odd item would fill the picture."""
    shown: list[Pair] = []
    seen: set[int] = set()
    for pair in pairs:
        if not seen & {pair.first, pair.second}:
            shown.append(pair)
            seen |= {pair.first, pair.second}
    return shown[:SHOWN_PAIRS]


def draw_history(history: History, file: Path) -> None:
    """Loss, share of active terms, spread and the validation figure by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, 4)
    number = [e.epoch for e in history.epochs]
    for axis, title, values in (
        (axes[0], "loss", [e.loss for e in history.epochs]),
        (axes[1], "share active", [e.active for e in history.epochs]),
        (axes[2], "spread", [e.spread for e in history.epochs]),
        (axes[3], (history.select or "validation").replace("_", " "), [e.validation for e in history.epochs]),
    ):
        if values and values[0] is not None:
            axis.plot(number, values, "o-", color="#0072b2", markersize=3)
        axis.axvline(history.best, color="#999999", linestyle=":")
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


def _picture(data: Dataset, item: int) -> NDArray[np.uint8]:
    """(PICTURE_SIDE, PICTURE_SIDE, 3)."""
    source = data.sources[item]
    try:
        picture = read_picture(source.read() if isinstance(source, ZipMember) else source, mode="RGB")
    except LikewiseError:  # it was there a moment ago; a grey square says that it is gone
        return np.full((PICTURE_SIDE, PICTURE_SIDE, 3), 128, np.uint8)
    return resize_picture(picture, PICTURE_SIDE, PICTURE_SIDE, "pad")


def _short(name: str) -> str:
    name = name.encode("utf-8", "backslashreplace").decode()  # folder names that are no UTF-8 cannot be drawn
    return name if len(name) <= 14 else f"…{name[-13:]}"
