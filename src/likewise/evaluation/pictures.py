"""Pictures of a report: the trade-off between the two errors, and the pairs that were hardest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likewise.data import Dataset
from likewise.errors import LikewiseError
from likewise.media.pictures import read_picture
from likewise.metrics import HardestPairs, Verification

if TYPE_CHECKING:
    from likewise.training import History

SHOWN_PAIRS = 8  # of each kind


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
    """The farthest same pairs and the closest different pairs, side by side."""
    from matplotlib.figure import Figure

    same, different = hardest.same[:SHOWN_PAIRS], hardest.different[:SHOWN_PAIRS]
    columns = max(len(same), len(different), 1)
    figure = Figure(figsize=(1.9 * columns, 5.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
    for part, pairs, title in (
        (upper, same, "Same, yet far apart"),
        (lower, different, "Different, yet close"),
    ):
        part.suptitle(title, fontsize=11)
        axes = part.subplots(1, 2 * columns, squeeze=False)[0]
        for axis in axes:
            axis.axis("off")
        for k, pair in enumerate(pairs):
            for side, item in enumerate((pair.first, pair.second)):
                axis = axes[2 * k + side]
                axis.imshow(_picture(data, item), cmap="gray", vmin=0, vmax=255)
                axis.set_title(_short(data.names[data.labels[item]]), fontsize=7, parse_math=False)
            axes[2 * k].text(
                1.0, -0.12, f"{pair.distance:.3g}", transform=axes[2 * k].transAxes, ha="center", fontsize=7
            )
    figure.savefig(file, dpi=110)


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


def _picture(data: Dataset, item: int) -> Any:
    try:
        source = data.sources[item]
        picture = read_picture(source.read() if hasattr(source, "read") else source)  # type: ignore[union-attr]
    except LikewiseError:
        return np.full((1, 1), 128, np.uint8)  # it was there a moment ago; a grey square says that it is gone
    return picture[:, :, 0] if picture.shape[2] == 1 else picture


def _short(name: str) -> str:
    name = name.encode("utf-8", "backslashreplace").decode()  # folder names that are no UTF-8 cannot be drawn
    return name if len(name) <= 14 else f"…{name[-13:]}"
