"""Pictures of a report: the trade-off between the two errors, and the pairs that were hardest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.data import Dataset
from likewise.data.dataset import ZipMember
from likewise.encoder import Sounds, are_sounds
from likewise.errors import LikewiseError
from likewise.evaluation.names import fit, shortened
from likewise.media.pictures import read_picture, resize_picture
from likewise.metrics import Estimate, HardestPairs, Verification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from likewise.evaluation.report import AtThreshold
    from likewise.training import History

SHOWN_PAIRS = 8  # of each kind
PAIR_WIDTH = 2.4  # inches
PICTURE_SIDE = 96  # pixels
SHOWN_SECONDS = 2.0  # of a sound, as a spectrogram
LONGEST_NAME = 18  # characters below a picture

# Okabe and Ito (2008): colours that colour-blind people tell apart.
BLUE, VERMILION, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#999999"


def draw_curves(verification: Verification, at_threshold: AtThreshold | None, file: Path) -> None:
    """FNMR against FMR (the DET curve), and both against the threshold, with the model's own where it has one.

    The axes of the DET curve are logarithmic down to one pair, the least error that could be seen, and linear from
    there to 0, so that no error at all has a place of its own.
    """
    from matplotlib.figure import Figure

    curve = verification.curve
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(curve.fmr, curve.fnmr, color=BLUE)
    level = f"{verification.confidence:.0%}"
    known = [(point.fmr, point.fnmr) for point in verification.fnmr_at_fmr if point.fnmr is not None]
    if known:
        fmr, lows, highs = zip(*((fmr, fnmr.low, fnmr.high) for fmr, fnmr in known), strict=True)
        label = f"{level} interval of FNMR at FMR {', '.join(f'{rate:g}' for rate in fmr)}"
        left.vlines(fmr, lows, highs, color=GREY, linewidth=3, zorder=1, label=label)
    eer = verification.eer
    label = f"EER {eer.value:.2%} ({level}: {eer.low:.2%} to {eer.high:.2%})"
    left.plot(eer.value, eer.value, "o", color=VERMILION, label=label)
    right.plot(curve.thresholds[1:], curve.fmr[1:], color=VERMILION, label="FMR")  # the first accepts nothing: -inf
    right.plot(curve.thresholds[1:], curve.fnmr[1:], color=BLUE, label="FNMR")
    if at_threshold is not None:
        found, set_at = at_threshold.rates, f"threshold {at_threshold.threshold:.3g}"
        left.errorbar(
            found.fmr.value, found.fnmr.value, _beyond(found.fnmr), _beyond(found.fmr), fmt="D", color=GREEN, capsize=3,
            label=f"{set_at}, set for FMR {at_threshold.promised:g} (95% intervals)",
        )  # fmt: skip
        right.axvline(at_threshold.threshold, color=GREEN, linestyle="--", label=set_at)
    _down_to_none(left.set_xscale, left.set_xlim, left.set_xticks, verification.pairs_different)
    _down_to_none(left.set_yscale, left.set_ylim, left.set_yticks, verification.pairs_same)
    for band, pairs in ((left.axvspan, verification.pairs_different), (left.axhspan, verification.pairs_same)):
        band(-1, 1 / pairs, color=GREY, alpha=0.15, linewidth=0)
    left.fill([], [], color=GREY, alpha=0.15, label="less than one pair, down to none")
    left.set(xlabel="FMR: different pairs accepted", ylabel="FNMR: same pairs refused", title="The two errors")
    left.legend(loc="lower left", fontsize=8)
    right.set(xlabel="threshold on the distance", ylabel="share", title="Errors by threshold")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)


def _beyond(found: Estimate) -> list[list[float]]:
    """How far the interval reaches below and above the figure, as error bars are told."""
    return [[max(0.0, found.value - found.low)], [max(0.0, found.high - found.value)]]


def _down_to_none(
    scale: Callable[..., object], limits: Callable[..., object], ticks: Callable[..., object], pairs: int
) -> None:
    """An axis with the decades from 1 down to one of `pairs`, and 0."""
    least = 1 / pairs
    powers = range(math.ceil(math.log10(least)), 1)
    decades = [10.0**power for power in powers]
    scale("symlog", linthresh=least, linscale=0.5, subs=range(2, 10))
    limits(-0.2 * least, 1.5)
    ticks([0, *decades], ["0", *(f"$10^{{{power}}}$" for power in powers[:-1]), "1"])


def draw_hardest(hardest: HardestPairs, data: Dataset, file: Path) -> None:
    """The farthest same pairs and the closest different pairs, two pictures a pair, with their names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box stands for what the font lacks
        _paint_hardest(hardest, data).savefig(file)


def _paint_hardest(hardest: HardestPairs, data: Dataset) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PAIR_WIDTH * SHOWN_PAIRS, 4.6), dpi=100, layout="constrained")
    rows = figure.subfigures(2, 1, squeeze=False)[:, 0]
    labels = sorted({int(data.labels[item]) for pair in (*hardest.same, *hardest.different) for item in pair[:2]})
    names = dict(zip(labels, shortened([data.names[label] for label in labels], LONGEST_NAME), strict=True))
    for row, pairs, title in (
        (rows[0], hardest.same, "Same, yet far apart"),
        (rows[1], hardest.different, "Different, yet close"),
    ):
        row.suptitle(title)
        axes = row.subplots(1, SHOWN_PAIRS)
        for axis in axes[len(pairs) :]:
            axis.axis("off")
        for axis, pair in zip(axes, pairs, strict=False):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_color(GREY)
            gap = np.full((PICTURE_SIDE, 4, 3), 255, np.uint8)
            axis.imshow(np.hstack([_picture(data, pair.first), gap, _picture(data, pair.second)]))
            axis.set_title(f"distance {pair.distance:.3g}", fontsize=8)
            for item, middle in ((pair.first, 0.245), (pair.second, 0.755)):
                name = axis.text(
                    middle, -0.04, names[int(data.labels[item])], ha="center", va="top", fontsize=7,
                    transform=axis.transAxes, parse_math=False,
                )  # fmt: skip
                fit(name, PAIR_WIDTH * 0.47 * figure.dpi)
    return figure


def draw_history(history: History, file: Path) -> None:
    """Loss, share of active terms, spread and the validation figure by epoch, as far as they say something."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = history.epochs
    panels: list[tuple[str, list[float | None]]] = [("loss", [e.loss for e in epochs])]
    if any(e.active < 1 for e in epochs):  # with supcon, for one, every term is active at all times
        panels.append(("share active", [e.active for e in epochs]))
    panels.append(("spread", [e.spread for e in epochs]))
    if history.select is not None:
        name = {"precision_at_1": "P@1", "eer": "EER"}.get(history.select, history.select)
        panels.append((f"validation {name}", [e.validation for e in epochs]))
    figure = Figure(figsize=(2.75 * len(panels), 3.2), layout="constrained")
    for axis, (title, values) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axis.plot([e.epoch for e in epochs], values, "o-", color=BLUE, markersize=3)
        if history.best:
            axis.axvline(history.best, color=GREY, linestyle=":", label=f"kept: epoch {history.best}")
        axis.set(title=title, xlabel="epoch", xlim=(0.5, max(1, len(epochs)) + 0.5))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
    if history.best:
        figure.axes[0].legend()
    figure.savefig(file, dpi=110)


def _picture(data: Dataset, item: int) -> NDArray[np.uint8]:
    """(PICTURE_SIDE, PICTURE_SIDE, 3)."""
    source = data.sources[item]
    try:
        if are_sounds([source]):
            how = Sounds.at(seconds=SHOWN_SECONDS)
            grey = how.shown(torch.from_numpy(how.one(source).values)[None])[0]
            picture = np.repeat(grey, 3, axis=2)
        else:
            picture = read_picture(source.read() if isinstance(source, ZipMember) else source, mode="RGB")
    except LikewiseError:  # it was there a moment ago; a grey square says that it is gone
        return np.full((PICTURE_SIDE, PICTURE_SIDE, 3), 128, np.uint8)
    return resize_picture(picture, PICTURE_SIDE, PICTURE_SIDE, "pad")
