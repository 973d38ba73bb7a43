"""How long an embedding has to be, and which objective suits the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from likewise.apps.study.noise import may_lose, near, sample_of
from likewise.apps.study.plan import InMemory, Plan
from likewise.apps.study.study import Run, Settings, Study
from likewise.apps.study.trials import embedded
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Progress, Wanted
from likewise.errors import UsageError
from likewise.objective import OBJECTIVES, Objective, make_objective
from likewise.training import FitOptions, check_trainable

DIMS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
AT_1 = "precision_at_1"
USUAL_LOSS, USUAL_DIM = "supcon", 128


@final
class Dim(Study):
    """Embeddings of several lengths: what is too short loses what tells identities apart.

    Args:
        data: items to be told apart.
        dims: lengths, rising.
        loss: name of the objective.
        backbone, folds, fit: see `Resolution`.
        by: how the data are taken apart; None for what suits them.

    Raises:
        UsageError: lengths or an objective that cannot be. DataError: too little data.
    """

    name: ClassVar[str] = "dim"

    def __init__(
        self,
        data: Dataset,
        dims: Sequence[int] = DIMS,
        *,
        loss: str = USUAL_LOSS,
        backbone: str = "convnet-small",
        by: By | None = None,
        folds: int | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        if len(dims) < 2 or sorted(set(dims)) != list(dims) or dims[0] < 1:
            raise UsageError(
                "A study of dim has two lengths or more, rising, each 1 or more", ", ".join(map(str, dims))
            )
        make_objective(loss, dim=dims[0], classes=2)  # an unknown one is said before anything is divided
        self._trainer = Trainer(data, backbone, by, folds, fit)
        self._dims, self._loss = list(dims), loss

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"loss": self._loss, **self._trainer.options()}

    def opening(self) -> str:
        """See `Study`."""
        return self._trainer.plan.said()

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        return [{"dim": dim} for dim in self._dims]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        return self._trainer.run(self._loss, settings["dim"], progress)

    def said(self, run: Run) -> str:
        """See `Study`."""
        return f"{run.settings['dim']} numbers: {told(run)}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`; the shortest that is as good as the best."""
        ranked = sorted(runs, key=lambda run: run.settings["dim"])
        best = max(ranked, key=at_1)
        least = next(run for run in ranked if near(best, run, AT_1))
        parts = [f"{least.settings['dim']} numbers are enough: {figures(least)} ({self._trainer.sample_of(least)})"]
        if least is not ranked[0]:
            parts.append(f"with {ranked[0].settings['dim']} P@1 is {at_1(ranked[0]):.3f}")
        if best is not least:
            parts.append(f"the best is {best.settings['dim']} with {at_1(best):.3f}, which is within chance")
        longer = " Longer ones may be better still." if least is ranked[-1] else ""
        return f"{'; '.join(parts)}.{lost(best, least)}{longer}"

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        ranked = sorted(runs, key=lambda run: run.settings["dim"])
        dims = [run.settings["dim"] for run in ranked]
        figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.errorbar(dims, [at_1(run) for run in ranked], yerr=bars_of(ranked, AT_1), fmt="o-", capsize=3)
        right.errorbar(
            dims, [100 * run.figures["eer"] for run in ranked], yerr=100 * bars_of(ranked, "eer"), fmt="o-", capsize=3,
            color="#d55e00",
        )  # fmt: skip
        left.set(ylabel="P@1, with 95% interval")
        right.set(ylabel="EER in %, with 95% interval", ylim=(0, None))
        for axes in (left, right):
            axes.set(xscale="log", xlabel="numbers in an embedding")
            axes.set_xticks(dims, [str(dim) for dim in dims])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        figure.savefig(file)


@final
class Objectives(Study):
    """The objectives of the project side by side, with the same network, epochs and data.

    Args:
        data: items to be told apart.
        losses: names of objectives.
        backbone, by, folds, fit: see `Dim`.

    Raises:
        UsageError: no such objective. DataError: too little data.
    """

    name: ClassVar[str] = "objective"

    def __init__(
        self,
        data: Dataset,
        losses: Sequence[str] = tuple(OBJECTIVES),
        *,
        backbone: str = "convnet-small",
        by: By | None = None,
        folds: int | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        unknown = [loss for loss in losses if loss not in OBJECTIVES]
        if unknown or not losses:
            raise UsageError(f"A loss is one of {', '.join(OBJECTIVES)}", ", ".join(unknown) or "none")
        self._trainer = Trainer(data, backbone, by, folds, fit)
        self._losses = list(dict.fromkeys(losses))

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return self._trainer.options()

    def opening(self) -> str:
        """See `Study`."""
        return self._trainer.plan.said()

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        return [{"loss": loss} for loss in self._losses]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        return self._trainer.run(settings["loss"], USUAL_DIM, progress)

    def said(self, run: Run) -> str:
        """See `Study`."""
        return f"{run.settings['loss']}: {told(run)}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        ranked = sorted(runs, key=lambda run: (-at_1(run), run.figures["eer"]))
        best, *others = ranked
        equal = [run.settings["loss"] for run in others if near(best, run, AT_1)]
        said = f"{best.settings['loss']} does best here: {figures(best)} ({self._trainer.sample_of(best)})"
        if not others:
            return f"{said}; no other was tried."
        if len(equal) == len(others):
            return f"{said}, but the others are as good within chance: take what trains fastest."
        if not equal:
            return f"{said}; all others look worse."
        return f"{said}; {', '.join(equal)} {'is' if len(equal) == 1 else 'are'} within chance of it."

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        ranked = sorted(runs, key=at_1)
        names = [run.settings["loss"] for run in ranked]
        figure = Figure(figsize=(9, 1.1 + 0.3 * len(names)), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.errorbar(
            [at_1(run) for run in ranked], names, xerr=bars_of(ranked, AT_1), fmt="o", capsize=3,
            color="#0072b2",
        )  # fmt: skip
        right.errorbar(
            [100 * run.figures["eer"] for run in ranked], names, xerr=100 * bars_of(ranked, "eer"), fmt="o", capsize=3,
            color="#d55e00",
        )  # fmt: skip
        left.set(xlabel="P@1, with 95% interval")
        right.set(xlabel="EER in %, with 95% interval", xlim=(0, None), ylim=(-0.6, len(names) - 0.4))
        for axes in (left, right):
            axes.grid(alpha=0.3)
        figure.savefig(file)


@final
class Trainer:
    """What trainings of embeddings of the same data share.

    Args:
        data, backbone, by, folds, fit: see `Dim`.

    Raises:
        UsageError: what cannot be. DataError: too little data.
    """

    def __init__(self, data: Dataset, backbone: str, by: By | None, folds: int | None, fit: FitOptions) -> None:
        Encoder(backbone)  # what cannot be is said before anything is divided
        check_trainable(data)
        plan = Plan.of(data, by, folds, fit.seed)
        self._items = InMemory.of(plan.data, Wanted().suiting(plan.data.sources))
        self.plan = plan.on(self._items.kept, self._items.data)
        self._backbone, self._fit = backbone, fit

    def options(self) -> dict[str, Any]:
        """JSON-ready: what every run depends on."""
        return {"backbone": self._backbone, "fit": self._fit.as_dict(), **self.plan.options()}

    def run(self, loss: str, dim: int, progress: Progress) -> dict[str, Any]:
        """Figures of one training."""

        def make(train: Dataset) -> tuple[Encoder, Objective]:
            encoder = Encoder(self._backbone, dim, **self._items.asked, seed=self._fit.seed)
            return encoder, make_objective(loss, dim=dim, classes=train.identities, seed=self._fit.seed)

        return {**embedded(self.plan, make, self._fit, progress), "skipped": list(self._items.skipped)}

    def sample_of(self, run: Run) -> str:
        """What the figures of a run stand on."""
        return sample_of(run, "items", "groups" if self.plan.data.groups is not None else "identities")


def at_1(run: Run) -> float:
    """P@1 of a run."""
    return run.figures[AT_1]


def figures(run: Run) -> str:
    """P@1 with its interval and EER."""
    f = run.figures
    return f"P@1 {f['precision_at_1']:.3f} ({f['low']:.3f} to {f['high']:.3f}), EER {f['eer']:.2%}"


def told(run: Run) -> str:
    """Its figures in a line."""
    return f"{figures(run)}, {run.figures['seconds']:.0f} s of training"


def lost(best: Run, least: Run) -> str:
    """How much may be lost by not taking the best."""
    return "" if best is least else f" At most {100 * may_lose(best, least):.1f} points of P@1 are lost by it."


def bars_of(runs: Sequence[Run], figure: str) -> Any:
    """(2, n) how far the intervals of a figure reach below and above it."""
    import numpy as np

    low, high = ("low", "high") if figure == AT_1 else (f"{figure}_low", f"{figure}_high")
    value, below, above = (np.array([run.figures[key] for run in runs]) for key in (figure, low, high))
    return np.abs([value - below, above - value])
