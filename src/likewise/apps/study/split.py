"""How to take data apart: how sure each part lets one be, and what leaks between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from likewise.apps.study.study import Run, Settings, Study
from likewise.data import Dataset
from likewise.encoder import Wanted
from likewise.errors import DataError, UsageError
from likewise.metrics.intervals import wilson

SHARES = (0.5, 0.2, 0.02)  # of the items that are measured on: 50/50, 80/20, 98/2
SIDE = 16  # pixels of the thumbnails that near-duplicates are found by
ALIKE = 0.98  # correlation of two thumbnails from which they are near-duplicates
AT_ONCE = 1024  # rows of correlations in memory
FEW = 10  # items of a class, below which its own figure says nothing
LEAKING = 0.02  # share of measured items with a near-duplicate among those trained on


@final
class Split(Study):
    """Parts of several sizes: interval of an accuracy, items of the rarest class, and near-duplicates across.

    Args:
        data: items whose labels are classes.
        shares: of the items to measure on, each in (0, 1).
        accuracy: that is expected; intervals are widest at one half.
        seed: of the splits.

    Raises:
        UsageError: shares or an accuracy that cannot be. DataError: nothing can be read.
    """

    name: ClassVar[str] = "split"

    def __init__(
        self, data: Dataset, shares: Sequence[float] = SHARES, *, accuracy: float = 0.95, seed: int = 0
    ) -> None:
        if not shares or not all(0 < share < 1 for share in shares):
            raise UsageError("Shares to measure on are between 0 and 1", ", ".join(f"{share:g}" for share in shares))
        if not 0 < accuracy < 1:
            raise UsageError("An expected accuracy is between 0 and 1", accuracy)
        self._data, self._shares, self._accuracy, self._seed = data, list(shares), accuracy, seed
        self._thumbnails: Tensor | None = None
        self._kept: NDArray[np.int64] = np.empty(0, np.int64)

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"accuracy": self._accuracy, "seed": self._seed, "data": self._data.origin, "items": len(self._data)}

    def trials(self) -> list[Settings]:
        """See `Study`."""
        ways = ("item",) if self._data.groups is None else ("item", "group")
        return [{"share": share, "by": by} for share in self._shares for by in ways]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""
        thumbnails = self._read()
        marked = self._marked()
        share = settings["share"]
        train, measured = marked.split(1 - share, share, by=settings["by"], seed=self._seed)
        of_train, of_measured = (_positions(part) for part in (train, measured))
        nearest = _nearest(thumbnails[of_measured], thumbnails[of_train])
        counts = measured.counts()[marked.counts() > 0]
        units = len(measured) if settings["by"] == "item" else len(np.unique(self._groups()[of_measured]))
        found = wilson(self._accuracy, units)
        return {
            "measured": len(measured), "units": units, "low": found.low, "high": found.high,
            "rarest": int(counts.min()), "near_duplicates": float((nearest >= ALIKE).mean()),
        }  # fmt: skip

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        return (
            f"{_called(run)}: {f['measured']:,} to measure on, {self._accuracy:.0%} is known to {f['low']:.1%} to"
            f" {f['high']:.1%}, rarest class {f['rarest']}, near-duplicates trained on {f['near_duplicates']:.1%}"
        )

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        by_item = [run for run in runs if run.settings["by"] == "item"]
        widest, narrowest = (
            choose(by_item, key=lambda run: run.figures["high"] - run.figures["low"]) for choose in (max, min)
        )
        said = (
            f"{_called(narrowest)} knows {self._accuracy:.0%} to within {_points(narrowest)} points,"
            f" {_called(widest)} to within {_points(widest)}."
        )
        leak = max(run.figures["near_duplicates"] for run in by_item)
        if leak > LEAKING and len(by_item) == len(runs):
            said += (
                f" By item {leak:.0%} of what is measured on has a near-duplicate among what was trained on, which"
                " flatters every figure: find what was made together (camera, speaker, day) and split by group."
            )
        elif leak > LEAKING:
            said += f" By item {leak:.0%} has a near-duplicate among what was trained on: split by group."
        few = min(run.figures["rarest"] for run in runs)
        if few < FEW:
            said += f" The rarest class has {few} items to measure on in one of them: too few for a figure of its own."
        return said

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        names = [_called(run) for run in runs]
        low, high = (np.array([100 * run.figures[key] for run in runs]) for key in ("low", "high"))
        figure = Figure(figsize=(9, 1.5 + 0.4 * len(runs)), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        middle = 100 * self._accuracy
        left.errorbar(np.full(len(runs), middle), names, xerr=np.abs([middle - low, high - middle]), fmt="o", capsize=4)
        right.barh(names, [100 * run.figures["near_duplicates"] for run in runs], color="#d55e00")
        left.set(xlabel=f"95% interval of {self._accuracy:.0%}, in %")
        right.set(xlabel="near-duplicates trained on, in %")
        left.grid(alpha=0.3)
        figure.savefig(file)

    def _read(self) -> Tensor:
        """(n, SIDE^2) of the readable items, each of mean 0 and length 1."""
        if self._thumbnails is None:
            how = Wanted().suiting(self._data.sources)
            decoded = how.decode(self._data.sources)
            if not len(decoded.kept):
                raise DataError("At least one item can be read", decoded.problems[0][1])
            small: list[Tensor] = []
            for block in decoded.values.split(AT_ONCE):
                shown = torch.from_numpy(how.shown(block)).float().mean(dim=3, keepdim=True)
                small.append(F.adaptive_avg_pool2d(shown.permute(0, 3, 1, 2), SIDE).flatten(1))
            rows = torch.cat(small)
            self._thumbnails = F.normalize(rows - rows.mean(dim=1, keepdim=True), dim=1)
            self._kept = decoded.kept
        return self._thumbnails

    def _marked(self) -> Dataset:
        """The readable items, each called by its position."""
        from dataclasses import replace

        readable = self._data.subset(self._kept)
        return replace(readable, files=tuple(str(i) for i in range(len(readable))), whole=None)

    def _groups(self) -> NDArray[np.int64]:
        assert self._data.groups is not None  # else there is no split by group
        return self._data.groups[self._kept]


def _positions(part: Dataset) -> NDArray[np.int64]:
    return np.array([int(file) for file in part.files], np.int64)


def _nearest(some: Tensor, others: Tensor) -> NDArray[np.float32]:
    """(n, D), (m, D) -> (n,) the highest correlation of each with any of the others."""
    return torch.cat([(block @ others.T).amax(dim=1) for block in some.split(AT_ONCE)]).numpy()


def _called(run: Run) -> str:
    share = run.settings["share"]
    return f"{100 * (1 - share):g}/{100 * share:g} by {run.settings['by']}"


def _points(run: Run) -> str:
    return f"{100 * (run.figures['high'] - run.figures['low']) / 2:.1f}"
