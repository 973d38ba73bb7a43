"""How many more examples it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.study.noise import worth
from likewise.apps.study.plan import Fold, InMemory, Plan, Positions
from likewise.apps.study.power_law import PowerLaw, fit_power_law, fit_power_laws
from likewise.apps.study.study import EACH, Run, Settings, Study
from likewise.apps.study.trials import classified
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Head, Progress, Wanted
from likewise.errors import DataError, UsageError
from likewise.training import FitOptions
from likewise.training.targets import head_for

HALVINGS = 5  # of the training part: from a sixteenth on
LEAST_ITEMS = 16  # to train on
FARTHEST = 1000  # times as many examples as there are: beyond, a curve says nothing
DRAWS = 200  # samples of the judged items, to see how far a law hangs on them


@final
class Learning(Study):
    """Classifiers trained on growing shares of the same examples.

    Args:
        data: items whose labels are classes.
        error: the share of wrong answers one would be content with, in (0, 1).
        repeats: how many shares of each size are drawn; None for 2, and 1 where folds draw several anyway.
        size: side in pixels; None for what suits the data.
        backbone, by, folds, fit: see `Resolution`.

    Raises:
        UsageError: an error that cannot be. DataError: too little data.
    """

    name: ClassVar[str] = "data"

    def __init__(
        self,
        data: Dataset,
        error: float = 0.01,
        *,
        repeats: int | None = None,
        backbone: str = "convnet-small",
        size: int | None = None,
        by: By | None = None,
        folds: int | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        if not 0 < error < 1:
            raise UsageError("An error to aim at is between 0 and 1", error, "0.01 is one wrong answer in 100.")
        if repeats is not None and repeats < 1:
            raise UsageError("Each share is drawn at least once", repeats)
        Encoder(backbone)  # what cannot be is said before anything is divided
        head_for(data)
        plan = Plan.of(data, by or ("item" if data.groups is None else "group"), folds, fit.seed)
        self._items = InMemory.of(plan.data, Wanted(size=size).suiting(plan.data.sources))
        self.plan = plan.on(self._items.kept, self._items.data)
        self._total = min(len(fold.train) for fold in self.plan.folds)
        if self._total < 2 * LEAST_ITEMS:
            few = f"{self._total} of {len(data)}"
            raise DataError(f"A learning curve takes {2 * LEAST_ITEMS} items to train on", few, "Bring more items.")
        self._repeats = repeats or (2 if len(self.plan.folds) == 1 else 1)
        self._error, self._backbone, self._size, self._fit = error, backbone, size, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"backbone": self._backbone, "size": self._size, "fit": self._fit.as_dict(), **self.plan.options()}

    def opening(self) -> str:
        """See `Study`."""
        return self.plan.said()

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        whole = {self._total} if len(self.plan.folds) == 1 else set[int]()
        sizes = {round(self._total / 2**i) for i in range(HALVINGS)}
        return [
            {"examples": size, "draw": draw}
            for size in sorted(size for size in sizes if size >= LEAST_ITEMS)
            for draw in range(1 if size in whole else self._repeats)
        ]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        examples, draw = settings["examples"], settings["draw"]
        folds = tuple(replace(fold, train=self.drawn(fold, examples, draw)) for fold in self.plan.folds)

        def make(head: Head) -> Encoder:
            return Encoder(self._backbone, head=head, **self._items.asked, seed=self._fit.seed + draw)

        figures = classified(replace(self.plan, folds=folds), make, self._fit, progress)
        return {**figures, "skipped": list(self._items.skipped)}

    def drawn(self, fold: Fold, size: int, draw: int) -> Positions:
        """(size,) of the items a fold trains on, of every class its share, and one at least where there is room."""
        if size >= len(fold.train):
            return fold.train
        rng = np.random.default_rng([self._fit.seed, draw])
        order = fold.train[rng.permutation(len(fold.train))]
        labels = self.plan.data.labels[order]
        within = np.empty(len(order))
        for label in np.unique(labels):  # a place in a random order of its class, as a share of the class
            of = np.flatnonzero(labels == label)
            within[of] = np.arange(len(of)) / len(of)
        return np.sort(order[np.argsort(within, kind="stable")[:size]])

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        drawn = f", draw {run.settings['draw'] + 1}" if self._repeats > 1 else ""
        return (
            f"{run.settings['examples']:,} examples{drawn}: {1 - f['accuracy']:.1%} wrong ({1 - f['high']:.1%} to"
            f" {1 - f['low']:.1%}), {f['seconds']:.0f} s"
        )

    def law(self, runs: Sequence[Run]) -> PowerLaw:
        """The law that the runs follow best."""
        return fit_power_law(_examples(runs), _errors(runs), worth(runs))

    def times(self, runs: Sequence[Run]) -> tuple[float, float, float]:
        """How many times as many examples the error takes that is aimed at, and the middle 80% of what it would be with
        other items to judge by: clusters are drawn anew, the same for all runs.
        """
        total = self._total
        right = np.array([run.figures[EACH]["right"] for run in runs], float)  # (runs, items)
        of = np.unique(runs[0].figures[EACH]["cluster"], return_inverse=True)[1]
        clusters = int(of.max()) + 1
        wrong = np.stack([np.bincount(of, weights=1 - row, minlength=clusters) for row in right])
        drawn = np.random.default_rng(self._fit.seed).multinomial(clusters, [1 / clusters] * clusters, DRAWS)
        errors = (drawn @ wrong.T) / (drawn @ np.bincount(of, minlength=clusters))[:, None]  # (DRAWS, runs)
        found = [law.examples(self._error) / total for law in fit_power_laws(_examples(runs), errors, worth(runs))]
        low, high = np.quantile(found, (0.1, 0.9), method="nearest")
        return self.law(runs).examples(self._error) / total, float(low), float(high)

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        last = max(runs, key=lambda run: (run.settings["examples"], -run.settings["draw"])).figures
        wrong, low, high = 1 - last["accuracy"], 1 - last["high"], 1 - last["low"]
        measured = f"{wrong:.2%} wrong ({low:.2%} to {high:.2%})"
        if wrong <= self._error:
            return f"{self._total:,} examples are enough: {measured}, where {self._error:.2%} was asked."
        if (known := 1 - last["trained_accuracy"]) > self._error:
            return (
                f"More examples alone will hardly do: even of those trained on {known:.2%} are answered wrongly, and"
                f" {self._error:.2%} is asked. A larger network, more epochs or a higher resolution come first."
            )
        times, least, most = self.times(runs)
        if times > FARTHEST:
            return (
                f"More examples alone will hardly do: {FARTHEST:,} times as many would leave"
                f" {float(self.law(runs)(FARTHEST * self._total)):.2%} wrong if the curve goes on as it went, and"
                f" {self._error:.2%} is asked. Look at the mistakes, the labels and the resolution first."
            )
        of_same = "" if self.plan.data.groups is None else " More groups may do with fewer."
        if times <= 1:
            return f"{self._total:,} examples are about enough: {measured}, where {self._error:.2%} was asked."
        return (
            f"About {times:.1f} times as many examples ({_rounded(times * self._total):,}, now {self._total:,}) for"
            f" {self._error:.2%} wrong, if the curve goes on as it went; now {measured}. With other items to judge by"
            f" it may be anything from {_between(least, most)}.{of_same}"
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        law, total = self.law(runs), self._total
        figure = Figure(figsize=(6, 4), dpi=110, layout="constrained")
        axes = figure.subplots()
        wrong = np.array([[100 * (1 - run.figures[key]) for key in ("accuracy", "high", "low")] for run in runs])
        bars = np.abs(wrong[:, 1:] - wrong[:, :1]).T
        examples = _examples(runs)
        axes.errorbar(examples, wrong[:, 0], yerr=bars, fmt="o", capsize=3, label="measured, with 95% interval")
        learned = [100 * (1 - run.figures["trained_accuracy"]) for run in runs]
        axes.plot(examples, learned, "x", color="#666666", label="of what was trained on", clip_on=False)
        ahead = np.geomspace(min(examples), 10 * total, 200)
        formula = f"{law.scale:.2g} n^-{law.rate:.2g}" + (f" + {law.floor:.2g}" if law.floor else "")
        axes.plot(ahead, 100 * law(ahead), color="#d55e00", label=formula)
        axes.axhline(100 * self._error, color="#009e73", linewidth=1, label=f"asked: {self._error:.2%}")
        axes.axvline(total, color="#999999", linewidth=1, linestyle=":")
        axes.set(xscale="log", xlabel="examples to learn from", ylabel="wrong in %", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        figure.savefig(file)


def _examples(runs: Sequence[Run]) -> NDArray[np.float64]:
    return np.array([run.settings["examples"] for run in runs], float)


def _errors(runs: Sequence[Run]) -> NDArray[np.float64]:
    return np.array([1 - run.figures["accuracy"] for run in runs])


def _between(least: float, most: float) -> str:
    """As "2.6 times to 9.1 times", or "enough already to far more"."""
    low = f"{least:.1f} times" if least > 1 else "enough already"
    return f"{low} to {f'{most:.1f} times' if most <= FARTHEST else 'far more'}"


def _rounded(count: float) -> int:
    """To two digits: more would be pretended."""
    digits = max(0, math.floor(math.log10(max(count, 1))) - 1)
    return int(round(count, -digits))
