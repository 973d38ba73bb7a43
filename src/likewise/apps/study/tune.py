"""Which options of training suit the data: a search with a clock, measured on what did not choose."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

from likewise.apps.classify import ClassifyOptions, objective_for
from likewise.apps.study.embeddings import AT_1, figures
from likewise.apps.study.noise import as_good, sample_of
from likewise.apps.study.plan import InMemory, Plan
from likewise.apps.study.proposing import FINISHED, optuna_package, proposed
from likewise.apps.study.space import LOSSES, Space, Task, command
from likewise.apps.study.study import SKIPPED, Run, Settings, Study
from likewise.apps.study.trials import answered, joined, neighbours, right_of, told, trained
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Progress, Wanted
from likewise.errors import DataError, UsageError
from likewise.matching import encode_labelled
from likewise.objective import Objective, make_objective
from likewise.training import FitOptions, check_trainable
from likewise.training.history import LESS_IS_BETTER
from likewise.training.targets import head_for

MINUTES, EPOCHS = 10.0, 10
SELECT = "eer"  # P@1 of a validation part of few identities is 1 for most
USUAL_BACKBONE = "convnet-small"


class Cut(Exception):  # noqa: N818 - nothing went wrong
    """A run that is not worth going on with, or has no time left."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@final
class Tune(Study):
    """Options of training tried one set after the other, each chosen by what the earlier ones gave.

    Sets are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011) and cut short where they are behind
    the median of the others at the same epoch, both as Optuna has them; the defaults are the first. Runs are chosen by
    the validation part, and the best is measured, beside the defaults, on the part that calibrates a model, which chose
    nothing: the best of many is flattered by what chose it. The test part is left alone. All that Optuna is to know is
    in the runs, so that a study that is gone on with proposes what it would have proposed.

    Args:
        data: what is to be trained on.
        task: "embed" or "classify".
        minutes: after which no new run is begun, and one that is on its way is cut, but for the defaults.
        called: how the data are named on a command line, for the advice.
        losses: of "embed", to be tried.
        backbone, by: of every run; see `Resolution` and `Dim`.
        select: of "embed": "precision_at_1" or "eer" on the validation part decides.
        epochs: of every run.
        seed: of splits, weights and proposals.

    Raises:
        UsageError: what cannot be; or Optuna is not installed. DataError: too little data.
    """

    name: ClassVar[str] = "tune"

    def __init__(
        self,
        data: Dataset,
        task: Task = "embed",
        minutes: float = MINUTES,
        *,
        called: Sequence[str] = ("DATA",),
        losses: Sequence[str] = LOSSES,
        backbone: str = "convnet-small",
        by: By | None = None,
        select: str = SELECT,
        epochs: int = EPOCHS,
        seed: int = 0,
    ) -> None:
        optuna_package()
        if not minutes > 0:
            raise UsageError("A search takes more than 0 minutes", minutes)
        self._base = FitOptions(epochs=epochs, seed=seed, select=select)  # pyright: ignore[reportArgumentType] - it checks
        Encoder(backbone)  # what cannot be is said before anything is divided
        if task == "embed":
            check_trainable(data)
        else:
            head_for(data)
            by = by or ("item" if data.groups is None else "group")
        plan = Plan.of(data, by, 1, seed)
        how = Wanted().suiting(plan.data.subset(plan.folds[0].train).sources)  # as training has it
        self._space = Space(task, how.kind, losses)
        self._asked = {
            "task": task, "backbone": backbone, "fit": self._base.as_dict(), "losses": list(losses),
            "changes": list(self._space.changes), **plan.options()
        }  # fmt: skip
        self._items = InMemory.of(plan.data, how)
        self._plan = plan.on(self._items.kept, self._items.data)
        (self._fold,) = self._plan.folds
        if task == "embed":
            for part, what in ((self._fold.valid, "choose"), (self._fold.judged, "measure")):
                if not self._plan.data.subset(part).comparable:
                    few = f"{len(part)} items without"
                    raise DataError(f"The part to {what} by has 2 identities, one with 2 items", few, "Bring more.")
        self._task: Task = task
        self._called, self._backbone, self._by = list(called), backbone, by
        self._deadline = time.monotonic() + 60 * minutes
        self._trial: Any = None  # of Optuna, from where it is proposed to where it was run
        self._figure = "loss" if task == "classify" else select
        self._less = self._figure in LESS_IS_BETTER

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return self._asked

    def opening(self) -> str:
        """See `Study`."""
        return self._plan.said()

    def trials(self, runs: Sequence[Run]) -> Iterator[Settings]:
        """See `Study`; the defaults first, and then what Optuna proposes while there is time."""
        if not runs:
            yield {"number": 0, **self._space.usual()}
        while time.monotonic() < self._deadline:
            self._trial = proposed(self._space, runs, self._base, less=self._less)
            yield {"number": len(runs), **self._space.suggested(self._trial)}

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`; the curve is of the validation figure by epoch."""
        options = {name: value for name, value in settings.items() if name != "number"}
        of_fit = {name: options[name] for name in ("lr", "weight_decay", "augment", "average")}
        fit = replace(self._base, **of_fit)
        train, valid = (self._plan.data.subset(part) for part in (self._fold.train, self._fold.valid))
        encoder, objective = self._made(options, train)
        curve: list[float] = []

        def observe(epoch: int, figure: float | None) -> None:
            assert figure is not None  # there is a part to choose by
            if epoch == 0:  # the random start
                return
            curve.append(figure)
            if self._trial is None or epoch == self._base.epochs:
                return
            self._trial.report(figure, epoch)
            if self._trial.should_prune():
                raise Cut("worse than half of the others")
            if time.monotonic() > self._deadline:
                raise Cut("out of time")

        begun, measured, ended = time.monotonic(), dict[str, Any](), FINISHED
        try:
            trained(encoder, train, objective, fit, valid=valid, watch=told(progress, self._plan, 0), observe=observe)
            measured = self._measured(encoder)
        except Cut as cut:
            ended = cut.why
        except DataError as error:  # such as a learning rate that is too high: so much is known of it now
            if not settings["number"]:
                raise
            ended = str(error)
        best = (min if self._less else max)(curve) if curve else None
        return {
            "validation": best, "curve": curve, "ended": ended, "took": round(time.monotonic() - begun, 1),
            **measured, SKIPPED: list(self._items.skipped),
        }  # fmt: skip

    def said(self, run: Run) -> str:
        """See `Study`."""
        told = ", ".join(f"{name} {value}" for name, value in run.settings.items() if name != "number")
        value, ended = run.figures["validation"], run.figures["ended"]
        chosen = f"{self._figure} {value:.4g}" if value is not None else "nothing"
        return f"{chosen} of the validation part{f' ({ended})' if ended != FINISHED else ''}: {told}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        usual, best = runs[0], self._best(runs)
        cut = sum(run.figures["ended"] != FINISHED for run in runs)
        tried = f"the best of {len(runs)} by the validation part, {cut} of them cut short"
        several = "groups" if self._plan.data.groups is not None else "identities"
        stands = f"on {sample_of(best, 'items', several)} that neither trained nor chose"
        line = self.command(best)
        if len(runs) == 1:
            return f"{line}: {self._shown(usual)} {stands}; there was no time for more than the defaults."
        if len({run.figures["validation"] for run in runs if run.figures["ended"] == FINISHED}) == 1:
            few = f"the validation part, {len(self._fold.valid)} items, tells none of {len(runs)} apart"
            return f"{line}: {self._shown(usual)} {stands}; {few}: keep the defaults."
        if best is usual:
            return f"{line}: the defaults are {tried}, with {self._shown(usual)} {stands}."
        better = best.figures[self._measure] > usual.figures[self._measure]
        said = f"{self._shown(best)}, where the defaults have {self._shown(usual)}, {stands}; {tried}"
        if better:
            chance = "The difference may be chance" if as_good(best, usual) else "It is better by more than chance"
            return f"{line}: {said}. {chance}."
        verdict = (
            "is as good" if best.figures[self._measure] == usual.figures[self._measure]
            else "measured worse, which may be chance" if as_good(usual, best)
            else "is worse by more than chance, so bring more to choose by"
        )  # fmt: skip
        return f"Keep the defaults: {self.command(usual)}. {line} {verdict}: {said}."

    def command(self, run: Run) -> str:
        """The `likewise train` that takes its options, with split, seed and epochs as in the search."""
        options = {name: value for name, value in run.settings.items() if name != "number"}
        base = self._base
        fixed = {
            "backbone": None if self._backbone == USUAL_BACKBONE else self._backbone, "epochs": base.epochs,
            "select": base.select if self._task == "embed" else None, "split": self._by, "seed": base.seed or None,
        }  # fmt: skip
        return command(self._called, self._task, options, fixed)

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        usual, best = runs[0], self._best(runs)
        for run in runs:
            curve = run.figures["curve"]
            finished = run.figures["ended"] == FINISHED
            left.plot(range(1, len(curve) + 1), curve, color="#56b4e9" if finished else "#bbbbbb", linewidth=0.8)
        shown = {"the defaults": (usual, "#666666")} | ({} if best is usual else {"the best": (best, "#d55e00")})
        for name, (run, ink) in shown.items():
            left.plot(range(1, len(run.figures["curve"]) + 1), run.figures["curve"], color=ink, linewidth=2, label=name)
            value, low, high = (100 * run.figures[key] for key in (self._measure, "low", "high"))
            right.errorbar([value], [name], xerr=[[value - low], [high - value]], fmt="o", capsize=4, color=ink)
        finished = [value for run in runs if run.figures["ended"] == FINISHED for value in run.figures["curve"]]
        low, high = min(finished), max(finished)
        room = 0.05 * (high - low) or 0.05
        # Runs that were cut off may be anywhere: their lines leave the picture.
        left.set(xlabel="epoch", ylabel=f"{self._figure} of the validation part", ylim=(low - room, high + room))
        left.legend(fontsize=8)
        what = "right" if self._task == "classify" else "P@1"
        right.set(xlabel=f"{what} in %, with 95% interval, on what did not choose", ylim=(-1, len(shown)))
        for axes in (left, right):
            axes.grid(alpha=0.3)
        figure.savefig(file)

    @property
    def _measure(self) -> str:
        return "accuracy" if self._task == "classify" else AT_1

    def _best(self, runs: Sequence[Run]) -> Run:
        """The best of those that were trained to the end, by the validation part; of equals the first."""
        sign = -1 if self._less else 1
        finished = [run for run in runs if run.figures["ended"] == FINISHED]
        return max(finished, key=lambda run: sign * run.figures["validation"])

    def _shown(self, run: Run) -> str:
        if self._task == "embed":
            return figures(run)
        f = run.figures
        return f"{f['accuracy']:.1%} right ({f['low']:.1%} to {f['high']:.1%})"

    def _made(self, options: dict[str, Any], train: Dataset) -> tuple[Encoder, Objective]:
        """Encoder and objective of a run."""
        seed = self._base.seed
        if self._task == "classify":
            head = head_for(train)
            encoder = Encoder(self._backbone, head=head, **self._items.asked, seed=seed)
            return encoder, objective_for(head, train, ClassifyOptions(fit=self._base))
        dim = options["dim"]
        objective = make_objective(
            options["loss"], dim=dim, classes=train.identities, margin=options.get("margin"), seed=seed
        )
        return Encoder(self._backbone, dim, **self._items.asked, seed=seed), objective

    def _measured(self, encoder: Encoder) -> dict[str, Any]:
        """Figures of the part that chooses nothing."""
        positions = self._fold.judged
        judged = self._plan.data.subset(positions)
        if encoder.head is not None:
            return answered(self._plan, positions, right_of(encoder, encoder.head, judged))
        embeddings = encode_labelled(encoder, judged).embeddings
        return joined([neighbours(self._plan, self._fold, embeddings, encoder.distance_on_cpu())])
