"""How many more examples it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from likewise.apps.study.study import Run, Settings, Study
from likewise.apps.study.trials import Held, classified
from likewise.data import By, Dataset
from likewise.encoder import Encoder
from likewise.errors import UsageError
from likewise.training import FitOptions
from likewise.training.targets import head_for

HALVINGS = 5  # of the training part: from a sixteenth on
LEAST_ITEMS = 16  # to train on
FARTHEST = 1000  # times as many examples as there are: beyond, a curve says nothing


@final
@dataclass(frozen=True)
class PowerLaw:
    """Error against the number of examples: scale * n^-rate + floor (Cortes et al. 1994; Hestness et al. 2017).

    Attributes:
        scale, rate, floor: of the law; what no number of examples would mend is the floor.
    """

    scale: float
    rate: float
    floor: float

    def __call__(self, examples: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """(...) numbers of examples -> (...) errors."""
        return self.scale * np.asarray(examples, float) ** -self.rate + self.floor

    def examples(self, error: float) -> float:
        """How many it takes for an error; infinite where the floor is above it."""
        if error <= self.floor:
            return math.inf
        return float((self.scale / (error - self.floor)) ** (1 / self.rate))


def fit_power_law(examples: NDArray[np.float64], errors: NDArray[np.float64], items: int) -> PowerLaw:
    """The law that errors measured on `items` each follow best; errors count by what chance leaves open of each."""
    seen = (errors * items + 0.5) / (items + 1)  # no error at all is fewer than one
    spread = np.sqrt(seen * (1 - seen) / items)

    def off(law: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.exp(law[0] - law[1] * np.log(examples)) + law[2] - seen) / spread

    begin = (math.log(max(seen[0], 1e-6)) + 0.5 * math.log(examples[0]), 0.5, 0.0)
    bounds = ([-50.0, 0.01, 0.0], [50.0, 3.0, max(float(seen.min()), 1e-9)])
    found: Any = least_squares(off, np.clip(begin, *bounds), bounds=bounds)
    return PowerLaw(float(np.exp(found.x[0])), float(found.x[1]), float(found.x[2]))


@final
class Learning(Study):
    """Classifiers trained on growing shares of the same examples.

    Args:
        data: items whose labels are classes.
        error: the share of wrong answers one would be content with, in (0, 1).
        repeats: how many shares of each size are drawn.
        backbone, by, fit: see `Resolution`.
        size: side in pixels; None for what suits the data.

    Raises:
        UsageError: an error that cannot be. DataError: too little data.
    """

    name: ClassVar[str] = "data"

    def __init__(
        self,
        data: Dataset,
        error: float = 0.01,
        *,
        repeats: int = 2,
        backbone: str = "convnet-small",
        size: int | None = None,
        by: By | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        if not 0 < error < 1:
            raise UsageError("An error to aim at is between 0 and 1", error, "0.01 is one wrong answer in 100.")
        if repeats < 1:
            raise UsageError("Each share is drawn at least once", repeats)
        self._held = Held.of(data, by or ("item" if data.groups is None else "group"), fit.seed)
        self._head = head_for(self._held.train)
        self._error, self._repeats, self._backbone, self._size, self._fit = error, repeats, backbone, size, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {
            "backbone": self._backbone, "size": self._size, "fit": self._fit.as_dict(), "data": self._held.digest,
        }  # fmt: skip

    def trials(self) -> list[Settings]:
        """See `Study`."""
        total = len(self._held.train)
        sizes = sorted({max(LEAST_ITEMS, round(total / 2**i)) for i in range(HALVINGS)} | {total})
        return [
            {"examples": size, "draw": draw}
            for size in sizes
            if size <= total
            for draw in range(1 if size == total else self._repeats)
        ]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""
        train = self._held.train
        share = self._drawn(settings["examples"], settings["draw"])
        held = replace(self._held, train=train.subset(share))
        encoder = Encoder(self._backbone, head=self._head, size=self._size, seed=self._fit.seed + settings["draw"])
        return classified(held, self._head, encoder, self._fit)

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        return f"{run.settings['examples']:,} examples: {1 - f['accuracy']:.1%} wrong, {f['seconds']:.0f} s"

    def law(self, runs: Sequence[Run]) -> PowerLaw:
        """The law that the runs follow best."""
        examples = np.array([run.settings["examples"] for run in runs], float)
        errors = np.array([1 - run.figures["accuracy"] for run in runs])
        return fit_power_law(examples, errors, min(run.figures["items"] for run in runs))

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        law, total = self.law(runs), len(self._held.train)
        last = runs[-1].figures
        if 1 - last["accuracy"] <= self._error:
            return (
                f"{total:,} examples are enough: {1 - last['accuracy']:.2%} wrong ({1 - last['high']:.2%} to"
                f" {1 - last['low']:.2%}), where {self._error:.2%} was asked."
            )
        wanted = law.examples(self._error)
        if wanted > FARTHEST * total:
            return (
                f"More examples alone will hardly do: the curve levels off at about {law.floor:.2%} wrong, and"
                f" {self._error:.2%} is asked. Look at the mistakes, the labels and the resolution first."
            )
        return (
            f"About {wanted / total:.1f} times as many examples ({_rounded(wanted):,}, now {total:,}) for"
            f" {self._error:.2%} wrong, if the curve goes on as it went; now {1 - last['accuracy']:.2%} are."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        law, total = self.law(runs), len(self._held.train)
        figure = Figure(figsize=(6, 4.2), dpi=120, layout="constrained")
        axes = figure.subplots()
        wrong = np.array([[100 * (1 - run.figures[key]) for key in ("accuracy", "high", "low")] for run in runs])
        bars = np.abs(wrong[:, 1:] - wrong[:, :1]).T
        examples = [run.settings["examples"] for run in runs]
        axes.errorbar(examples, wrong[:, 0], yerr=bars, fmt="o", capsize=3, label="measured, with 95% interval")
        ahead = np.geomspace(min(examples), 10 * total, 200)
        axes.plot(
            ahead, 100 * law(ahead), color="#d55e00", label=f"{law.scale:.2g} n^-{law.rate:.2g} + {law.floor:.2g}"
        )
        axes.axhline(100 * self._error, color="#999999", linewidth=1, label=f"asked: {self._error:.2%}")
        axes.axvline(total, color="#999999", linewidth=1, linestyle=":")
        axes.set(xscale="log", xlabel="examples to learn from", ylabel="wrong in %", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(file)

    def _drawn(self, size: int, draw: int) -> NDArray[np.int64]:
        """(size,) items of the training part, of every class as many as its share, and one at least."""
        train = self._held.train
        if size >= len(train):
            return np.arange(len(train))
        rng = np.random.default_rng([self._fit.seed, draw])
        order = rng.permutation(len(train))
        labels = train.labels[order]
        within = np.empty(len(order))
        for label in np.unique(labels):  # a place in a random order of its class, as a share of the class
            of = np.flatnonzero(labels == label)
            within[of] = np.arange(len(of)) / len(of)
        return np.sort(order[np.argsort(within, kind="stable")[:size]])


def _rounded(count: float) -> int:
    """To two digits: more would be pretended."""
    digits = max(0, math.floor(math.log10(max(count, 1))) - 1)
    return int(round(count, -digits))
