"""How to take data apart: how sure each part lets one be, and what leaks between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.apps.study.plan import Positions, digest_of, numbered, positions_of
from likewise.apps.study.study import SKIPPED, Run, Settings, Study
from likewise.data import Dataset
from likewise.encoder import Progress, Wanted
from likewise.errors import DataError, UsageError
from likewise.metrics.intervals import wilson
from likewise.training.targets import head_for

SHARES = (0.5, 0.2, 0.02)  # of the items that are measured on: 50/50, 80/20, 98/2
SIDE = 32  # pixels of the thumbnails that near-duplicates are found by
# Correlation of two thumbnails from which they are near-duplicates: the 240 pictures of 17 webcams (day-night) have one
# in two of three cases, 4,000 digits of MNIST, 2,000 spoken ones and 200 portraits of 20 people in one of a thousand.
ALIKE = 0.99
AT_ONCE = 1024  # rows of correlations in memory
NAMED = 20  # near-duplicates of a run that are written down, the most alike
FEW = 10  # items of a class, below which its own figure says nothing
MANY = 20  # measured items of which a share says something
LEAKING = 0.02  # share of measured items with a near-duplicate among those trained on
CLOSE = 0.02  # half an interval that serves most questions
LOPSIDED = 0.75  # share of the most frequent class


@final
class Split(Study):
    """Parts of several sizes: interval of an accuracy, items of the rarest class, and near-duplicates across.

    How all of the data may be cut is the question, so that there is no test part to leave alone; no model is looked at.

    Of a split by group two intervals are given, with Wilson's formula as reports have it: one that would be right were
    items independent, and one at worst, where a group is right or wrong as a whole and groups are all the trials there
    are, with Student's t for their number. A report lies between: it sees how alike the answers in a group are.

    Args:
        data: items whose labels are classes.
        shares: of the items to measure on, each in (0, 1).
        accuracy: that is expected; intervals are widest at one half.
        seed: of the splits.

    Raises:
        UsageError: shares or an accuracy that cannot be. DataError: one class, or nothing can be read.
    """

    name: ClassVar[str] = "split"

    def __init__(
        self, data: Dataset, shares: Sequence[float] = SHARES, *, accuracy: float = 0.95, seed: int = 0
    ) -> None:
        if not shares or not all(0 < share < 1 for share in shares):
            raise UsageError("Shares to measure on are between 0 and 1", ", ".join(f"{share:g}" for share in shares))
        if not 0 < accuracy < 1:
            raise UsageError("An expected accuracy is between 0 and 1", accuracy)
        head_for(data)
        self._digest = digest_of(data)
        self._shares, self._accuracy, self._seed = list(shares), accuracy, seed
        self._data, self._thumbnails, self._skipped = _readable(data)

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"accuracy": self._accuracy, "seed": self._seed, "data": self._digest}

    def opening(self) -> str:
        """See `Study`."""
        return f"all {len(self._data):,} items are cut anew each time, and none is kept for a test; nothing is trained"

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        ways = ("item",) if self._data.groups is None else ("item", "group")
        return [{"share": share, "by": by} for share in self._shares for by in ways]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        data, share, by = self._data, settings["share"], settings["by"]
        parts = numbered(data).split(1 - share, share, by=by, seed=self._seed)
        train, measured = (positions_of(part) for part in parts)
        alike, nearest = _nearest(self._thumbnails[measured], self._thumbnails[train], progress)
        leaking = np.flatnonzero(alike >= ALIKE)
        named = leaking[np.argsort(-alike[leaking], kind="stable")][:NAMED]
        counts = np.bincount(data.labels[measured], minlength=len(data.names)).astype(float)
        counts[data.counts() == 0] = np.inf  # which are in no part
        units = len(measured) if by == "item" else len(np.unique(self._groups(measured)))
        alone, rarest = wilson(self._accuracy, len(measured)), int(counts.argmin())
        apart = max(1.0, units - 1.0)  # one less than there are: what their spread about a mean of their own is worth
        together = alone if by == "item" else wilson(self._accuracy, apart, freedom=apart)
        return {
            "measured": len(measured), "units": units, "low": together.low, "high": together.high,
            "low_independent": alone.low, "high_independent": alone.high,
            "rarest": data.names[rarest], "of_rarest": int(counts[rarest]),
            "most_frequent": data.names[int(data.counts().argmax())], "share": float(data.counts().max() / len(data)),
            "near_duplicates": len(leaking) / len(measured),
            "leaks": [
                [data.files[measured[i]], data.files[train[nearest[i]]], round(float(alike[i]), 4)] for i in named
            ],
            SKIPPED: self._skipped,
        }  # fmt: skip

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        known = f"{f['low_independent']:.1%} to {f['high_independent']:.1%}"
        if run.settings["by"] == "group":
            known += f" were items independent, {f['low']:.1%} to {f['high']:.1%} at worst"
        return (
            f"{_called(run)}: {f['measured']:,} to measure on, {self._accuracy:.0%} is known to {known},"
            f" {f['of_rarest']} of the rarest class, near-duplicates trained on {f['near_duplicates']:.1%}"
        )

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`; the smallest part to measure on that is large enough."""
        by = "item" if self._data.groups is None else "group"
        ranked = sorted((run for run in runs if run.settings["by"] == by), key=lambda run: run.settings["share"])
        close = [run for run in ranked if _half(run) <= CLOSE and run.figures["of_rarest"] >= FEW]
        take = close[0] if close else ranked[-1]
        known = f"{self._accuracy:.0%} is then known to within {100 * _half(take):.1f} points"
        if by == "group":
            alone = 50 * (take.figures["high_independent"] - take.figures["low_independent"])
            known += f" at worst, where groups are right or wrong as wholes ({alone:.1f} were items independent)"
        said = (
            f"Take {_called(take)}: {known}, and {take.settings['share']:.0%} of the items are not trained on. It is"
            f" the smallest of these parts that tells within {100 * CLOSE:g} points and has {FEW} items of the rarest"
            " class"
        )
        less = [run for run in ranked if run.settings["share"] < take.settings["share"]]
        said += f"; {_called(less[-1])} tells within {100 * _half(less[-1]):.1f}." if less else "."
        if not close:
            needed = math.ceil(self._accuracy * (1 - self._accuracy) * (1.96 / CLOSE) ** 2)
            said = (
                f"Judge every item once, by folds over {by}s, and bring more: {_called(take)} is the best of these, and"
                f" {known}; within {100 * CLOSE:g} takes{' at most' * (by == 'group')} some {needed:,} {by}s to measure"
                f" on, not {take.figures['units']:,}."
            )
        return said + self._of_leaks(runs) + self._of_classes(take)

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        ranked = sorted(runs, key=lambda run: (run.settings["by"], -run.settings["share"]), reverse=True)
        names = [_called(run) for run in ranked]
        middle = 100 * self._accuracy
        figure = Figure(figsize=(9, 1.2 + 0.35 * len(ranked)), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for end, ink, label in (("", "#999999", "groups as wholes"), ("_independent", "#0072b2", "independent")):
            reach = [[abs(100 * run.figures[side + end] - middle) for run in ranked] for side in ("low", "high")]
            left.errorbar(np.full(len(ranked), middle), names, xerr=reach, fmt="o", capsize=4, color=ink, label=label)
        if self._data.groups is not None:
            left.legend(fontsize=7)
        bars = right.barh(names, [100 * run.figures["near_duplicates"] for run in ranked], color="#d55e00")
        right.bar_label(bars, fmt="%.1f", padding=4)
        left.set(xlabel=f"95% interval of {self._accuracy:.0%}, in %")
        right.set(xlabel="near-duplicates trained on, in %", xlim=(0, 112))
        left.grid(alpha=0.3)
        figure.savefig(file)

    def _of_leaks(self, runs: Sequence[Run]) -> str:
        """What leaks from one part into the other, with an example."""
        worst = max(
            (run for run in runs if run.settings["by"] == "item"), key=lambda run: run.figures["near_duplicates"]
        )
        leak = worst.figures["near_duplicates"]
        if leak <= LEAKING:
            return ""
        measured, trained, _ = worst.figures["leaks"][0]
        said = (
            f" By item {leak:.0%} of what is measured on has a near-duplicate among what was trained on, as {measured}"
        )
        said += f" has {trained}, which flatters every figure: "
        if self._data.groups is None:
            return said + "find what was made together (camera, speaker, day) and split by group."
        still = max(run.figures["near_duplicates"] for run in runs if run.settings["by"] == "group")
        return said + f"split by group, where it is {still:.0%}."

    def _of_classes(self, take: Run) -> str:
        """What to know of rare and frequent classes."""
        f, said = take.figures, ""
        if f["of_rarest"] < FEW:
            few = (
                f"The rarest class, {f['rarest']}, has {f['of_rarest']} item{'s' * (f['of_rarest'] != 1)} to measure on"
            )
            said += f" {few}: too few for a figure of its own."
        if f["share"] > LOPSIDED:
            said += f" Always to say {f['most_frequent']} is right in {f['share']:.0%}: look at balanced accuracy."
        return said

    def _groups(self, positions: Positions) -> Positions:
        assert self._data.groups is not None  # else there is no split by group
        return self._data.groups[positions]


def _readable(data: Dataset) -> tuple[Dataset, Tensor, list[tuple[str, str]]]:
    """The readable items, (n, SIDE^2) thumbnails of them of mean 0 and length 1, and file and reason of the others."""
    how = Wanted().suiting(data.sources)
    decoded = how.decode(data.sources)
    skipped = [(data.files[i], reason) for i, reason in decoded.problems]
    if not len(decoded.kept):
        raise DataError("At least one item can be read", skipped[0][1])
    small: list[Tensor] = []
    for block in decoded.values.split(AT_ONCE):
        shown = torch.from_numpy(how.shown(block)).float().mean(dim=3, keepdim=True)
        small.append(F.adaptive_avg_pool2d(shown.permute(0, 3, 1, 2), SIDE).flatten(1))
    rows = torch.cat(small)
    thumbnails = F.normalize(rows - rows.mean(dim=1, keepdim=True), dim=1)
    return replace(data.subset(decoded.kept), whole=None), thumbnails, skipped


def _nearest(some: Tensor, others: Tensor, progress: Progress) -> tuple[Any, Any]:
    """(n, D), (m, D) -> (n,) the highest correlation of each with any of the others, and (n,) with which."""
    found: list[Any] = []
    for start in range(0, len(some), AT_ONCE):
        found.append((some[start : start + AT_ONCE] @ others.T).max(dim=1))
        progress(min(start + AT_ONCE, len(some)), len(some), "looking for near-duplicates")
    return torch.cat([one.values for one in found]).numpy(), torch.cat([one.indices for one in found]).numpy()


def _called(run: Run) -> str:
    share = run.settings["share"]
    return f"{100 * (1 - share):g}/{100 * share:g} by {run.settings['by']}"


def _half(run: Run) -> float:
    return (run.figures["high"] - run.figures["low"]) / 2
