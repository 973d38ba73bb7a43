"""How long an embedding has to be, and which objective suits the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from likewise.apps.study.study import Run, Settings, Study
from likewise.apps.study.trials import Held, embedded
from likewise.data import By, Dataset
from likewise.encoder import Encoder
from likewise.errors import UsageError
from likewise.objective import OBJECTIVES, make_objective
from likewise.training import FitOptions

DIMS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
NEAR = 0.005  # of P@1: nearer than that two seeds of one training lie to each other
USUAL_LOSS, USUAL_DIM = "supcon", 128


@final
class Dim(Study):
    """Embeddings of several lengths: what is too short loses what tells identities apart.

    Args:
        data: items to be told apart.
        dims: lengths, rising.
        loss: name of the objective.
        backbone, by, fit: see `Resolution`; `by` None for what suits the data.

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
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        if len(dims) < 2 or sorted(set(dims)) != list(dims) or dims[0] < 1:
            raise UsageError("A study of dim has two lengths or more, rising", ", ".join(map(str, dims)))
        self._held, self._dims = Held.of(data, by, fit.seed), list(dims)
        self._loss, self._backbone, self._fit = loss, backbone, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {
            "backbone": self._backbone, "loss": self._loss, "fit": self._fit.as_dict(), "data": self._held.digest,
        }  # fmt: skip

    def trials(self) -> list[Settings]:
        """See `Study`."""
        return [{"dim": dim} for dim in self._dims]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""
        return _embedded(self._held, self._backbone, self._loss, settings["dim"], self._fit)

    def said(self, run: Run) -> str:
        """See `Study`."""
        return f"{run.settings['dim']} numbers: {_figures(run)}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`; the shortest whose P@1 is near that of the best."""
        best = max(runs, key=lambda run: run.figures["precision_at_1"])
        near = [run for run in runs if run.figures["precision_at_1"] >= best.figures["precision_at_1"] - NEAR]
        least = min(near, key=lambda run: run.settings["dim"])
        shortest = runs[0]
        return (
            f"{least.settings['dim']} numbers are enough: P@1 {least.figures['precision_at_1']:.3f}, EER"
            f" {least.figures['eer']:.2%}; with {shortest.settings['dim']} it is"
            f" {shortest.figures['precision_at_1']:.3f}, and none of those tried has more than"
            f" {best.figures['precision_at_1']:.3f}."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        dims = [run.settings["dim"] for run in runs]
        figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(dims, [run.figures["precision_at_1"] for run in runs], "o-")
        right.plot(dims, [100 * run.figures["eer"] for run in runs], "o-", color="#d55e00")
        left.set(ylabel="P@1")
        right.set(ylabel="EER in %", ylim=(0, None))
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
        backbone, by, fit: see `Dim`.

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
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        unknown = [loss for loss in losses if loss not in OBJECTIVES]
        if unknown or not losses:
            raise UsageError(f"A loss is one of {', '.join(OBJECTIVES)}", ", ".join(unknown) or "none")
        self._held, self._losses = Held.of(data, by, fit.seed), list(losses)
        self._backbone, self._fit = backbone, fit

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"backbone": self._backbone, "fit": self._fit.as_dict(), "data": self._held.digest}

    def trials(self) -> list[Settings]:
        """See `Study`."""
        return [{"loss": loss} for loss in self._losses]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""
        return _embedded(self._held, self._backbone, settings["loss"], USUAL_DIM, self._fit)

    def said(self, run: Run) -> str:
        """See `Study`."""
        return f"{run.settings['loss']}: {_figures(run)}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        ranked = sorted(runs, key=lambda run: -run.figures["precision_at_1"])
        best = ranked[0]
        near = [
            run.settings["loss"]
            for run in ranked[1:]
            if run.figures["precision_at_1"] >= best.figures["precision_at_1"] - NEAR
        ]
        also = f"; {', '.join(near)} are as good within what two seeds differ by" if near else ""
        return (
            f"{best.settings['loss']} does best here: P@1 {best.figures['precision_at_1']:.3f}, EER"
            f" {best.figures['eer']:.2%}{also}."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        ranked = sorted(runs, key=lambda run: run.figures["precision_at_1"])
        names = [run.settings["loss"] for run in ranked]
        figure = Figure(figsize=(9, 1 + 0.35 * len(names)), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        left.barh(names, [run.figures["precision_at_1"] for run in ranked], color="#0072b2")
        right.barh(names, [100 * run.figures["eer"] for run in ranked], color="#d55e00")
        left.set(xlabel="P@1")
        right.set(xlabel="EER in %")
        figure.savefig(file)


def _embedded(held: Held, backbone: str, loss: str, dim: int, fit: FitOptions) -> dict[str, Any]:
    encoder = Encoder(backbone, dim, seed=fit.seed)
    objective = make_objective(loss, dim=dim, classes=held.train.identities, seed=fit.seed)
    return embedded(held, encoder, objective, fit)


def _figures(run: Run) -> str:
    f = run.figures
    return f"P@1 {f['precision_at_1']:.3f}, EER {f['eer']:.2%}, {f['seconds']:.0f} s of training"
