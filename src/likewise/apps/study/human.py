"""How well people do, beside the machine: the error of people stands for the best that can be had."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from likewise.apps.study.asking import KEYS, Asker, Question
from likewise.apps.study.noise import CHANCE, LITTLE, beyond, share, share_in
from likewise.apps.study.plan import InMemory, Positions
from likewise.apps.study.resolution import AS_THEY_ARE, Resolution, draw_accuracy, enough, sizes_on
from likewise.apps.study.study import EACH, SKIPPED, Run, Settings, Study
from likewise.encoder import Preprocessing, Progress, Sounds
from likewise.errors import DataError, UsageError
from likewise.metrics import Estimate

EACH_SIZE = 20  # questions
LONGEST_NAME = 64
Machine = Callable[[], Sequence[Run]]


@final
class Human(Study):
    """People are shown items at several sizes, as the machine sees them, and say which class each is.

    Every size is asked about with the same number of items of each class, in an order of the person's own in which
    sizes take turns, and nobody meets an item twice: who has seen it sharp would know it blurred. Items are those that
    the machine is judged by; nobody is told what was right.

    Args:
        resolution: the machine's study of the same data: its sizes, and the items it judges.
        person: what to call who answers; one who has answered before goes on.
        asker: puts the questions.
        machine: the runs of `resolution`, once all questions are answered.
        sizes: to ask about; None for those of `resolution`.
        each: questions of each size.

    Raises:
        UsageError: too many classes for a row of keys, or what cannot be. DataError: too few items.
    """

    name: ClassVar[str] = "human"

    def __init__(
        self,
        resolution: Resolution,
        person: str,
        asker: Asker,
        machine: Machine,
        sizes: Sequence[int] | None = None,
        *,
        each: int = EACH_SIZE,
    ) -> None:
        if not person.strip() or len(person) > LONGEST_NAME or not person.isprintable():
            raise UsageError(f"A person has a name of 1 to {LONGEST_NAME} characters", repr(person))
        if each < 1:
            raise UsageError("There is a question of each size or more", each)
        self._plan, self._scale, self._seed = resolution.plan, resolution.scale, resolution.fit.seed
        self._person, self._asker, self._machine, self._each = person.strip(), asker, machine, each
        data = self._plan.data
        self._classes = tuple(name for name, count in zip(data.names, data.counts(), strict=True) if count)
        if len(self._classes) > len(KEYS):
            raise UsageError(f"People choose among {len(KEYS)} classes at most", f"{len(self._classes)} in these data")
        self._sizes = list(resolution.sizes if sizes is None else sizes)
        self._how: dict[int, Preprocessing] = {}
        self._beside: list[Run] = []
        self._before, self._left = 0, 0
        judged = data.subset(self._plan.judged)
        readable = InMemory.of(judged, self._scale.how(judged, self._sizes[0]))
        self._skipped = list(readable.skipped)
        self._order = self._drawn(self._plan.judged[readable.kept])

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"seed": self._seed, **self._plan.options()}

    def trials(self, runs: Sequence[Run]) -> list[Settings]:
        """See `Study`; what this person has not been asked yet."""
        met = {run.settings["item"] for run in runs if run.settings["person"] == self._person}
        self._before = len(met)
        left = [settings for settings in self._order if settings["item"] not in met]
        self._left = len(left)
        return left

    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """See `Study`; asks."""
        data, item = self._plan.data, settings["item"]
        shown, rate = self._shown(item, settings["size"])
        self._before, self._left = self._before + 1, self._left - 1
        question = Question(self._before, self._before + self._left, shown, rate, self._classes)
        begun = time.perf_counter()
        answer = self._classes[self._asker.ask(question)]
        seconds = time.perf_counter() - begun
        if not self._left:
            self._asker.end()
        truth = data.names[data.labels[item]]
        return {
            "answer": answer, "truth": truth, "right": int(answer == truth), "seconds": round(seconds, 2),
            "file": data.files[item], SKIPPED: self._skipped,
        }  # fmt: skip

    def said(self, run: Run) -> str:
        """See `Study`; tells nobody what was right."""
        return f"{run.settings['person']} said {run.figures['answer']}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        people = self._of_people(runs)
        best = max(people, key=lambda run: (run.figures["accuracy"], -run.settings["size"]))
        need = next(run for run in people if _as_good(best, run))
        least, most = (self._in_mix(run, runs) for run in enough(self._machines()))
        guessed = 1 / len(self._classes)
        if best.figures["low"] <= guessed:
            return (
                f"People do no better than by guessing, {guessed:.1%}, as far as so few answers tell: at best, of"
                f" {self._scale.called(best.settings['size'])}, {_told(best)}, {_persons(runs)}. The machine has"
                f" {_told(most)}. Ask about more, or show people what the classes are."
            )
        said = (
            f"People need {self._scale.called(need.settings['size'])}: {_told(need)}, {_persons(runs)}; the machine"
            f" needs {self._scale.called(least.settings['size'])}: {_told(least)}."
        )
        theirs, its, known = _wrong(best), _wrong(most), 1 - most.figures["trained_accuracy"]
        off = beyond(its, theirs)
        said += (
            f" At best people are wrong in {theirs.value:.1%}, the machine, were it asked as often about each class, in"
            f" {its.value:.1%}: {100 * off.value:+.1f} points ({100 * off.low:+.1f} to {100 * off.high:+.1f})"
        )
        if off.high <= 0:
            return f"{said}. It does no worse than people, whose error does not say any more what is possible."
        if off.low <= 0:
            said += ", which may be chance"
        if off.value <= 0:
            return f"{said}: whether it does worse than people so few answers do not tell. Ask about more."
        bias = Estimate(known - theirs.value, known - theirs.high, known - theirs.low)
        fitted = bias.value > 0
        variance = Estimate(its.value - known, its.low - known, its.high - known) if fitted else off
        first = "more epochs or a larger network" if bias.value > variance.value else "more examples or augmentation"
        return (
            f"{said}. With people's error for the best possible one, {_points(bias)} are avoidable bias, missed in what"
            f" it learned from too, and {_points(variance)} are variance: {first} first."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        people = self._of_people(runs)
        figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_accuracy(left, people, _persons(runs), "#d55e00", beside=1.04)
        machine = [self._in_mix(run, runs) for run in self._machines()]
        draw_accuracy(left, machine, "the machine, asked as often about each class", "#0072b2")
        persons = {run.settings["person"] for run in runs}
        for person in sorted(persons) if len(persons) > 1 else ():
            of = self._of_people([run for run in runs if run.settings["person"] == person])
            shares = [100 * run.figures["accuracy"] for run in of]
            left.plot([run.settings["size"] for run in of], shares, ".", color="#d55e00", alpha=0.4)
        seconds = [run.figures["seconds"] for run in people]
        right.plot([run.settings["size"] for run in people], seconds, "o-", color="#d55e00")
        left.set(ylabel="right in %, with 95% interval")
        right.set(ylabel="seconds to an answer, median", ylim=(0, None))
        for axes in (left, right):
            sizes_on(axes, [*people, *self._machines()], self._scale.unit)
        left.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, frameon=False)
        figure.savefig(file)

    def _drawn(self, judged: Positions) -> list[Settings]:
        """All questions of this person, in order: sizes take turns, and each has as many items of each class."""
        rng = np.random.default_rng([self._seed, *self._person.encode()])
        labels = self._plan.data.labels
        sizes, present = len(self._sizes), np.unique(labels[judged])
        extra = set(rng.permutation(present)[: self._each % len(present)].tolist())
        chosen: list[NDArray[np.int64]] = []
        for label in present.tolist():
            items = rng.permutation(judged[labels[judged] == label])
            count = min(self._each // len(present) + (label in extra), len(items) // sizes)
            chosen.append(items[: count * sizes].reshape(sizes, count))
        rows = np.concatenate(chosen, axis=1)  # (sizes, questions of each)
        if not rows.shape[1]:
            raise DataError(
                f"For {sizes} sizes some class has {sizes} items to ask about", f"{len(judged)} items of"
                f" {len(present)} classes", "Pass fewer --sizes, or bring more items."
            )  # fmt: skip
        rows = rng.permuted(rows, axis=1)
        return [
            {"person": self._person, "item": int(rows[row, turn]), "size": self._sizes[row]}
            for turn in range(rows.shape[1])
            for row in rng.permutation(sizes)
        ]

    def _shown(self, item: int, size: int) -> tuple[NDArray[Any], int | None]:
        """An item as the machine is given it at a size, and the rate of a sound."""
        data = self._plan.data
        if size not in self._how:
            self._how[size] = self._scale.how(data, size)
        how = self._how[size]
        values = how.laid_out(how.sole(data.sources[item]))
        if isinstance(how, Sounds):
            return values, how.rate
        return (values[0] if len(values) == 1 else values.transpose(1, 2, 0)), None

    def _of_people(self, runs: Sequence[Run]) -> list[Run]:
        """What all answers at each size come to, by rising size."""
        found: list[Run] = []
        for size in sorted({run.settings["size"] for run in runs}):
            of = [run for run in runs if run.settings["size"] == size]
            right = np.array([run.figures["right"] for run in of], bool)
            items = np.array([run.settings["item"] for run in of])  # of which several may have answered one
            rate = share(right, self._plan.clusters(items))
            seconds = float(np.median([run.figures["seconds"] for run in of]))
            figures = {"accuracy": rate.value, "low": rate.low, "high": rate.high, "items": len(of), "seconds": seconds}
            found.append(Run({"size": size}, figures))
        return found

    def _in_mix(self, machine: Run, runs: Sequence[Run]) -> Run:
        """A run of the machine as it would be if classes came as often as people were asked about them.

        They are asked as often about each, and the machine is judged by as many as there are: where one class is rare,
        or harder, the two would not compare.
        """
        data, each, f = self._plan.data, machine.figures[EACH], machine.figures
        mix = np.bincount([data.names.index(run.figures["truth"]) for run in runs], minlength=len(data.names))
        kinds = data.labels[np.array(each["item"])]
        rate = share_in(np.array(each["right"], bool), kinds, np.array(each["cluster"]), mix.astype(float))
        of_class = np.array(f["trained_by_class"], float)
        met = of_class[:, 1] > 0
        known = np.average(of_class[met, 0] / of_class[met, 1], weights=mix[: len(of_class)][met])
        changed = {"accuracy": rate.value, "low": rate.low, "high": rate.high, "trained_accuracy": float(known)}
        return Run(machine.settings, {**f, **changed})

    def _machines(self) -> list[Run]:
        """The machine's runs, in colour where there is any, as people see it."""
        if not self._beside:
            self._beside = [run for run in self._machine() if run.settings["colour"] == AS_THEY_ARE]
        return self._beside


def _as_good(best: Run, other: Run) -> bool:
    """Whether answers at another size look as good but for one, or a little, and are not worse by more than chance."""
    n, m = best.figures["items"], other.figures["items"]
    right, too = round(n * best.figures["accuracy"]), round(m * other.figures["accuracy"])
    exact: Any = fisher_exact([[right, n - right], [too, m - too]], alternative="greater")
    return exact.pvalue >= CHANCE and right / n - too / m <= max(LITTLE, 1 / min(n, m)) + 1e-9


def _told(run: Run) -> str:
    f = run.figures
    return f"{f['accuracy']:.1%} right ({f['low']:.1%} to {f['high']:.1%}; {f['items']:,} answers)"


def _wrong(run: Run) -> Estimate:
    return Estimate(1 - run.figures["accuracy"], 1 - run.figures["high"], 1 - run.figures["low"])


def _points(share: Estimate) -> str:
    """In points, none below nothing."""
    value, low, high = (100 * max(0.0, x) for x in (share.value, share.low, share.high))
    return f"{value:.1f} points ({low:.1f} to {high:.1f})"


def _persons(runs: Sequence[Run]) -> str:
    count = len({run.settings["person"] for run in runs})
    return "1 person" if count == 1 else f"{count} people"
