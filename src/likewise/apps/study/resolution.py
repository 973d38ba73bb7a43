"""Which resolution is enough, and whether colour is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from likewise.apps.study.study import Run, Settings, Study
from likewise.apps.study.trials import Held, classified, grey, worse
from likewise.data import By, Dataset
from likewise.encoder import Encoder
from likewise.errors import UsageError
from likewise.training import FitOptions
from likewise.training.targets import head_for

SIZES = (8, 16, 32, 64, 128)  # pixels a side


@final
class Resolution(Study):
    """Classifiers of the same pictures at several sizes.

    Args:
        data: pictures whose labels are classes.
        sizes: pixels a side, rising.
        colourless: try every size in grey too.
        backbone: of the classifiers.
        by: how the data are taken apart; None for by group where there are groups, else by item.
        fit: how to train.

    Raises:
        UsageError: sizes that cannot be. DataError: too little data.
    """

    name: ClassVar[str] = "resolution"

    def __init__(
        self,
        data: Dataset,
        sizes: Sequence[int] = SIZES,
        *,
        colourless: bool = False,
        backbone: str = "convnet-small",
        by: By | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        if len(sizes) < 2 or sorted(set(sizes)) != list(sizes) or sizes[0] < 1:
            raise UsageError("A study of resolution has two sizes or more, rising", ", ".join(map(str, sizes)))
        self._held = Held.of(data, by or ("item" if data.groups is None else "group"), fit.seed)
        self._head = head_for(self._held.train)
        self._sizes, self._colourless, self._backbone, self._fit = list(sizes), colourless, backbone, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"backbone": self._backbone, "fit": self._fit.as_dict(), "data": self._held.digest}

    def trials(self) -> list[Settings]:
        """See `Study`."""
        kinds = ("grey", "as they are") if self._colourless else ("as they are",)
        return [{"size": size, "colour": colour} for size in self._sizes for colour in kinds]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""

        def made() -> Encoder:
            return Encoder(self._backbone, head=self._head, size=settings["size"], seed=self._fit.seed)

        encoder = grey(made, self._held) if settings["colour"] == "grey" else made()
        return classified(self._held, self._head, encoder, self._fit)

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        return (
            f"{_called(run)} {f['accuracy']:.1%} right ({f['low']:.1%} to {f['high']:.1%}), {f['seconds']:.0f} s of"
            f" training, {f['ms_per_item']:.2f} ms each"
        )

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`; the smallest picture that is not worse than the best by more than chance."""
        best = max(runs, key=lambda run: run.figures["accuracy"])
        groups = self._held.judged.groups
        groups = groups if groups is not None and len(groups) == best.figures["items"] else None
        right = np.array(best.figures["right"], bool)
        enough = [run for run in runs if not worse(right, np.array(run.figures["right"], bool), groups)]
        least = min(enough, key=lambda run: (run.settings["size"], run.settings["colour"] != "grey"))
        sample = f"{best.figures['items']} pictures" if groups is None else f"{len(np.unique(groups))} groups"
        if least is best and best.settings["size"] == self._sizes[0]:
            return f"Take {_called(best)}, the smallest tried: none is better ({sample})."
        if least is best:
            return f"Take {_called(best)}: smaller ones are worse by more than chance ({sample})."
        return (
            f"{_called(least)[0].upper()}{_called(least)[1:]} will do: {least.figures['accuracy']:.1%} right, within"
            f" chance of the {best.figures['accuracy']:.1%} of {_called(best)} ({sample})."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2)
        for colour in dict.fromkeys(run.settings["colour"] for run in runs):
            of = [run for run in runs if run.settings["colour"] == colour]
            sizes = [run.settings["size"] for run in of]
            share = np.array([[100 * run.figures[key] for key in ("accuracy", "low", "high")] for run in of])
            bars = np.abs(share[:, 1:] - share[:, :1]).T
            left.errorbar(sizes, share[:, 0], yerr=bars, fmt="o-", capsize=3, label=colour)
            right.plot(sizes, [run.figures["ms_per_item"] for run in of], "o-", label=colour)
        left.set(xscale="log", xlabel="pixels a side", ylabel="right in %, with 95% interval")
        right.set(xscale="log", yscale="log", xlabel="pixels a side", ylabel="milliseconds for each picture")
        for axes in (left, right):
            axes.set_xticks(self._sizes, [str(size) for size in self._sizes])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        if self._colourless:
            left.legend()
        figure.savefig(file)


def _called(run: Run) -> str:
    shade = "grey " if run.settings["colour"] == "grey" else ""
    return f"{shade}pictures of {run.settings['size']} x {run.settings['size']}"
