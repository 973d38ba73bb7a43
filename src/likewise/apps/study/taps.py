"""Where in the network the encoding is best taken from, and how that depends on what is to be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.study.embeddings import AT_1, USUAL_DIM, USUAL_LOSS, at_1, bars_of, figures
from likewise.apps.study.noise import near
from likewise.apps.study.plan import Fold, InMemory, Plan, digest_of, numbered
from likewise.apps.study.study import SKIPPED, Run, Settings, Study
from likewise.apps.study.trials import joined, neighbours, told, trained
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Progress, Wanted, evaluating
from likewise.errors import DataError, UsageError
from likewise.objective import Cosine, make_objective
from likewise.training import FitOptions, check_trainable

AT_ONCE = 256  # items
LABEL, GROUP = "label", "group"
INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
BESIDE = 0.12  # of the space between two taps, bars of one task from those of the next


@final
class Taps(Study):
    """P@1 and EER at every tap of a trained encoder, compared by the angle between mean outputs.

    What a task needs to tell apart decides where it is best told: early taps know colours and edges, late ones what
    the network was trained for. Of outputs over a picture or over time the mean is taken.

    Args:
        data: items to be told apart.
        encoder: trained, on others than these, of which then all are judged; None to train one on a part of the data,
            by their labels, and judge it on another, the test part left alone.
        tasks: what is to be told apart: "label", "group", or the name of a target, of which equal ones are the same;
            None for all that the data have.
        backbone, by, fit: of the training; see `Dim`. Where groups are told apart too, by None is by item.

    Raises:
        UsageError: an encoder that hears a stream, or no such task. DataError: nothing to compare.
    """

    name: ClassVar[str] = "tap"

    def __init__(
        self,
        data: Dataset,
        encoder: Encoder | None = None,
        tasks: Sequence[str] | None = None,
        *,
        backbone: str = "convnet-small",
        by: By | None = None,
        fit: FitOptions = FitOptions(),  # noqa: B008 - frozen
    ) -> None:
        known = [LABEL, *([] if data.groups is None else [GROUP]), *data.target_names]
        self._tasks = list(dict.fromkeys(known if tasks is None else tasks))
        unknown = [task for task in self._tasks if task not in known]
        if unknown or not self._tasks:
            raise UsageError(f"Of these data can be told apart: {', '.join(known)}", ", ".join(unknown) or "nothing")
        self._backbone, self._fit, self._encoder = backbone, fit, encoder
        self._wanted: dict[str, Any] = {}
        self._values: Tensor | None = None
        if encoder is None:
            Encoder(backbone)  # what cannot be is said before anything is divided
            check_trainable(data)
            plan = Plan.of(data, "item" if by is None and GROUP in self._tasks else by, 1, fit.seed)
            self._asked: dict[str, Any] = {"backbone": backbone, "fit": fit.as_dict(), **plan.options()}
            items = InMemory.of(plan.data, Wanted().suiting(plan.data.sources))
            self._skipped, self._wanted, plan = items.skipped, items.asked, plan.on(items.kept, items.data)
            untrained = Encoder(backbone, USUAL_DIM, **items.asked)
            untrained.build(untrained.suiting(items.data.sources))
            self._taps = untrained.taps
        else:
            if encoder.step_times is not None:
                raise UsageError(
                    "Taps are compared of an encoder of items", f"{encoder.backbone}, which hears a stream"
                )
            none, every = np.empty(0, np.int64), np.arange(len(data))
            plan = Plan(data, (Fold(none, none, every),), "item", digest_of(numbered(data)), "all judged")
            self._asked = {"model": encoder.fingerprint(), "data": plan.digest}
            decoded = encoder.ready().decode_sole(data.sources)
            self._skipped = tuple((data.files[i], reason) for i, reason in decoded.problems)
            self._values, plan = decoded.values, plan.on(decoded.kept, data.subset(decoded.kept))
            self._taps = encoder.taps
        self._labels = {task: _labelling(plan.data, task) for task in self._tasks}
        # Where training met all groups, they are a fixed list and no sample.
        met = encoder is None and plan.by == "item"
        self._plan = replace(plan, data=replace(plan.data, groups=None)) if met else plan
        self._outputs: dict[str, Tensor] = {}

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return self._asked

    def opening(self) -> str:
        """See `Study`."""
        if self._encoder is None:
            return self._plan.said()
        return f"all {len(self._plan.data):,} items are judged: measure what you choose by them on others"

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`."""
        return [{"task": task, "tap": tap} for task in self._tasks for tap in self._taps]

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`."""
        if not self._outputs:
            self._outputs = self._encoded(progress)
        outputs, (fold,) = self._outputs[settings["tap"]], self._plan.folds
        found = neighbours(self._plan, fold, outputs, Cosine(), self._labels[settings["task"]])
        return {**joined([found]), "numbers": outputs.shape[1], SKIPPED: list(self._skipped)}

    def said(self, run: Run) -> str:
        """See `Study`."""
        return f"{_of(run, self._tasks)}{run.settings['tap']}, {run.figures['numbers']} numbers: {figures(run)}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        taken: dict[str, str] = {}
        said: list[str] = []
        for task in self._tasks:
            of = self._in_order(runs, task)
            take, last = _best(of), of[-1]
            taken[task] = take.settings["tap"]
            beside = "" if take is last else f", where {last.settings['tap']}, the last one, has {figures(last)}"
            to_tell = f"To tell {task} apart take" if len(self._tasks) > 1 else "Take"
            said.append(f"{to_tell} {taken[task]}: {figures(take)}{beside}.")
        if len(set(taken.values())) > 1:
            said.append("What the network was trained for decides which tap knows what.")
        elif taken[self._tasks[0]] != self._taps[-1]:
            said.append("What the network was trained for is something else, or it knows it too well.")
        return " ".join(said)

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.8), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        for i, task in enumerate(self._tasks):
            of = self._in_order(runs, task)
            ink, names = INKS[i % len(INKS)], [run.settings["tap"] for run in of]
            places = np.arange(len(of)) + BESIDE * (i - (len(self._tasks) - 1) / 2)  # no bar on that of another task
            for axes, key, scale in ((left, AT_1, 1), (right, "eer", 100)):
                values = [scale * run.figures[key] for run in of]
                axes.errorbar(places, values, yerr=scale * bars_of(of, key), fmt="o-", capsize=3, color=ink, label=task)
                axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        left.set(ylabel="P@1, with 95% interval")
        right.set(ylabel="EER in %, with 95% interval", ylim=(0, None))
        for axes in (left, right):
            axes.grid(alpha=0.3)
        if len(self._tasks) > 1:
            left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, frameon=False)
        figure.savefig(file)

    def _in_order(self, runs: Sequence[Run], task: str) -> list[Run]:
        """The runs of a task, from the first tap to the last."""
        return sorted(
            (run for run in runs if run.settings["task"] == task),
            key=lambda run: self._taps.index(run.settings["tap"]),
        )

    def _encoded(self, progress: Progress) -> dict[str, Tensor]:
        """(n, D) outputs of every tap for the judged items; trains first where no encoder was given."""
        encoder, values, (fold,) = self._encoder, self._values, self._plan.folds
        if encoder is None or values is None:
            data = self._plan.data
            train, valid, judged = (data.subset(part) for part in (fold.train, fold.valid, fold.judged))
            encoder = Encoder(self._backbone, USUAL_DIM, **self._wanted, seed=self._fit.seed)
            objective = make_objective(USUAL_LOSS, dim=USUAL_DIM, classes=train.identities, seed=self._fit.seed)
            trained(
                encoder, train, objective, self._fit, valid=valid if valid.comparable else None,
                watch=told(progress, self._plan, 0),
            )  # fmt: skip
            values = encoder.ready().decode_sole(judged.sources).values
        found: dict[str, list[Tensor]] = {tap: [] for tap in encoder.taps}
        with evaluating(encoder), torch.inference_mode():
            for block in values.split(AT_ONCE):
                for tap, outputs in encoder(block, encoder.taps).items():
                    found[tap].append(outputs.float().flatten(2).mean(dim=2) if outputs.ndim > 2 else outputs.float())
        return {tap: torch.cat(blocks).clone() for tap, blocks in found.items()}


def _labelling(data: Dataset, task: str) -> NDArray[np.int64]:
    """(N,) a number for each item, the same for what a task takes for the same.

    Raises:
        DataError: nothing to compare.
    """
    if task == LABEL:
        values: NDArray[Any] = data.labels
    elif task == GROUP:
        assert data.groups is not None  # else there is no such task
        values = data.groups
    else:
        assert data.targets is not None
        values = data.targets[:, data.target_names.index(task)]
    labels = np.unique(values, return_inverse=True)[1].astype(np.int64)
    if not 1 < len(np.unique(labels)) < len(labels):
        found = f"{len(np.unique(labels))} in {len(labels)} items"
        raise DataError(f"Telling {task} apart takes two of them, one with two items", found, "Leave it out.")
    return labels


def _best(runs: Sequence[Run]) -> Run:
    """The last one, unless another has a P@1 that is better by more than chance, or an EER below its interval."""
    last, highest = runs[-1], max(reversed(runs), key=at_1)
    alike = [run for run in runs if near(highest, run, AT_1)]
    lowest = min(reversed(alike), key=lambda run: run.figures["eer"])
    return last if last in alike and lowest.figures["eer"] >= last.figures["eer_low"] else lowest


def _of(run: Run, tasks: Sequence[str]) -> str:
    return f"{run.settings['task']}, " if len(tasks) > 1 else ""
