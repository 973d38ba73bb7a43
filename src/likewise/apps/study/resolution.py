"""Which resolution is enough: of pictures in pixels, of sounds in hertz; and whether colour is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from likewise.apps.study.noise import may_lose, near, sample_of
from likewise.apps.study.plan import InMemory, Plan
from likewise.apps.study.scale import Scale
from likewise.apps.study.study import EACH, Run, Settings, Study
from likewise.apps.study.trials import classified
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Head, Progress
from likewise.errors import UsageError
from likewise.training import FitOptions
from likewise.training.targets import head_for

AS_THEY_ARE, GREY = "as they are", "grey"


@final
class Resolution(Study):
    """Classifiers of the same items at several sizes.

    Args:
        data: pictures or sounds whose labels are classes.
        sizes: pixels a side, or hertz, rising; None for what suits the data.
        colourless: try every size in grey too.
        backbone: of the classifiers.
        by: how the data are taken apart; None for by group where there are groups, else by item.
        folds: see `Plan`.
        fit: how to train.

    Attributes:
        sizes: that are tried.
        scale: of them.
        plan: which items are used for what.
        fit: how each is trained.

    Raises:
        UsageError: sizes that cannot be. DataError: too little data.
    """

    name: ClassVar[str] = "resolution"

    def __init__(
        self,
        data: Dataset,
        sizes: Sequence[int] | None = None,
        *,
        colourless: bool = False,
        backbone: str = "convnet-small",
        by: By | None = None,
        folds: int | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        Encoder(backbone)  # what cannot be is said before anything is divided
        head_for(data)
        self.scale = Scale(data)
        self.sizes = list(self.scale.usual(backbone) if sizes is None else sizes)
        self.scale.check(self.sizes, backbone)
        if colourless and not self.scale.colour:
            have = "sounds" if self.scale.sounds else "pictures without"
            raise UsageError("Colour is asked of pictures that have some", have, "Leave out --grey.")
        self.plan = Plan.of(data, by or ("item" if data.groups is None else "group"), folds, fit.seed)
        self._colourless, self._backbone, self.fit = colourless, backbone, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"backbone": self._backbone, "fit": self.fit.as_dict(), **self.plan.options()}

    def opening(self) -> str:
        """See `Study`."""
        return self.plan.said()

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        kinds = (GREY, AS_THEY_ARE) if self._colourless else (AS_THEY_ARE,)
        return [{"size": size, "colour": colour} for size in self.sizes for colour in kinds]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        data = self.plan.data
        how = self.scale.how(data, settings["size"], grey=settings["colour"] == GREY)
        items = InMemory.of(data, how, progress)

        def make(head: Head) -> Encoder:
            return Encoder(self._backbone, head=head, **items.asked, seed=self.fit.seed)

        figures = classified(self.plan.on(items.kept, items.data), make, self.fit, progress)
        figures[EACH]["item"] = items.kept[figures[EACH]["item"]].tolist()  # in the data that all sizes are of
        return {**figures, "skipped": list(items.skipped)}

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        return (
            f"{self._called(run)} {f['accuracy']:.1%} right ({f['low']:.1%} to {f['high']:.1%}), {f['seconds']:.0f} s"
            f" of training, {f['ms_per_item']:.2f} ms each"
        )

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`; the smallest that is near the best (`near`)."""
        least, best = enough(runs)
        f, stands = least.figures, sample_of(least)
        if best.figures["low"] <= best.figures["most_frequent"]:
            return (
                f"None of these sizes tells the classes apart for sure: {self._called(best)} are best, with"
                f" {best.figures['accuracy']:.1%} right ({best.figures['low']:.1%} to {best.figures['high']:.1%}), and"
                f" {best.figures['most_frequent']:.1%} are of the most frequent class ({stands})."
            )
        sizes = sorted({run.settings["size"] for run in runs})
        said = f"{f['accuracy']:.1%} right ({f['low']:.1%} to {f['high']:.1%}; {stands})"
        if least is not best:
            lost = 100 * may_lose(best, least)
            text = (
                f"{self._called(least, first=True)} will do: {said}, within chance of the best,"
                f" {best.figures['accuracy']:.1%} of {self._called(best)}; at most {lost:.0f} points are lost by it."
            )
        elif least.settings["size"] == sizes[0]:
            text = f"Take {self._called(least)}, the smallest tried: {said}, and none is better."
        else:
            text = f"Take {self._called(least)}: {said}; smaller ones look worse."
            if least.settings["size"] == sizes[-1] < self.scale.native:
                text += " Larger ones may be better still."
        return text + _of_colour(runs, least)

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        colours = sorted({run.settings["colour"] for run in runs})
        for colour, ink in zip(colours, ("#0072b2", "#666666"), strict=False):
            of = sorted((run for run in runs if run.settings["colour"] == colour), key=_size)
            draw_accuracy(left, of, colour, ink, beside=1.04 if colour == GREY else 1.0)
            sizes = [_size(run) for run in of]
            right.plot(sizes, [run.figures["ms_per_item"] for run in of], "o-", color=ink)
            right.plot(sizes, [run.figures["seconds"] for run in of], "s--", color=ink, alpha=0.6)
        least, _ = enough(runs)
        left.axvline(_size(least), color="#009e73", linewidth=6, alpha=0.25, zorder=0)
        right.plot([], [], "o-", color="black", label="milliseconds for each")
        right.plot([], [], "s--", color="black", alpha=0.6, label="seconds of training")
        left.set(ylabel="right in %, with 95% interval")
        right.set(yscale="log")
        right.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)
        sizes_on(left, runs, self.scale.unit)
        sizes_on(right, runs, self.scale.unit)
        if len(colours) > 1:
            left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)
        figure.savefig(file)

    def _called(self, run: Run, *, first: bool = False) -> str:
        text = ("grey " if run.settings["colour"] == GREY else "") + self.scale.called(_size(run))
        return text[0].upper() + text[1:] if first else text


def enough(runs: Sequence[Run]) -> tuple[Run, Run]:
    """The smallest that is near the best, of one size the grey one, and the best; of equals the smallest."""
    ranked = sorted(runs, key=lambda run: (_size(run), run.settings["colour"] != GREY))
    best = max(ranked, key=lambda run: run.figures["accuracy"])
    return next(run for run in ranked if near(best, run, "accuracy")), best


def draw_accuracy(axes: Any, runs: Sequence[Run], label: str, colour: str, beside: float = 1.0) -> None:
    """Accuracy with intervals by size; `beside` moves the bars off those of others."""
    ordered = sorted(runs, key=_size)
    share = np.array([[100 * run.figures[key] for key in ("accuracy", "low", "high")] for run in ordered])
    bars = np.abs(share[:, 1:] - share[:, :1]).T
    axes.errorbar(
        [beside * _size(run) for run in ordered], share[:, 0], yerr=bars, fmt="o-", capsize=3, label=label, color=colour
    )


def sizes_on(axes: Any, runs: Sequence[Run], unit: str) -> None:
    """The sizes that were tried as marks of an axis of logarithms."""
    sizes = sorted({_size(run) for run in runs})
    axes.set(xscale="log", xlabel=unit)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _size(run: Run) -> int:
    return run.settings["size"]


def _of_colour(runs: Sequence[Run], least: Run) -> str:
    """Whether colour is needed, where that was asked."""
    pair = {run.settings["colour"]: run for run in runs if _size(run) == _size(least)}
    if len(pair) < 2:
        return ""
    colour, grey = pair[AS_THEY_ARE].figures["accuracy"], pair[GREY].figures["accuracy"]
    if least is pair[GREY]:
        return f" Colour is not needed (`--grey`): with it {colour:.1%} are right at that size."
    return f" Colour is needed at that size: in grey {grey:.1%} are right."
