"""What was found wrong or doubtful: items, what is said of them, where mistakes come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from likewise.data import Dataset
from likewise.encoder import Preprocessing
from likewise.metrics import Estimate, Origin

Kind = Literal["suspected label", "mistake", "close pair", "far pair", "triplet", "large deviation", "false alarm"]
Bools = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Finding:
    """Items that a person should look at.

    Attributes:
        kind: "suspected label", "mistake" (the model says something else than the label), "close pair" (different, yet
            close), "far pair" (same, yet far), "triplet" (anchor, farthest positive, nearest negative) "large
            deviation" (of numbers) or "false alarm" (a word is heard that nobody said).
        items: positions; the first is the one that it is about.
        label: what that one is called.
        said: what the model says, or what the label should perhaps be; "" where it says nothing.
        probability: of what is said, in [0, 1]; None where that is not known.
        distance: between the first two items; of a triplet the margin; None of answers.
        why: in words.
        cell: what was taken for what, which mistakes are counted by; (label, said) but for numbers.
    """

    kind: Kind
    items: tuple[int, ...]
    label: str
    said: str
    probability: float | None
    distance: float | None
    why: str
    cell: tuple[str, str] = ("", "")


@final
@dataclass(frozen=True)
class Source:
    """A label or a group that mistakes may come from.

    Attributes:
        of: "label" or "group".
        name: of it.
        origin: how its items fare.
        taken: what its items are taken for, and how often, the most frequent first.
        suspected: how many of its mistakes are suspected wrong labels.
    """

    of: Literal["label", "group"]
    name: str
    origin: Origin
    taken: tuple[tuple[str, int], ...]
    suspected: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        taken = [{"said": said, "mistakes": many} for said, many in self.taken]
        return {"of": self.of, "name": self.name, **self.origin.as_dict(), "suspected": self.suspected, "taken": taken}


@final
@dataclass(frozen=True)
class Merged:
    """Two labels that the model cannot tell apart: see `likewise.metrics.Inseparable`.

    Attributes:
        label, taken_for: their names.
        items: how many of `label` look like `taken_for`.
    """

    label: str
    taken_for: str
    items: int

    def said(self) -> str:
        """In a sentence."""
        return (
            f"{self.items:,} items of {self.label} look like {self.taken_for}, too many to be wrong labels: either"
            " both are one thing under two names, or the model does not see what tells them apart"
        )


@final
@dataclass(frozen=True)
class Cell:
    """What was taken for what.

    Attributes:
        label, said: what, and for what.
        mutual: whether mistakes in the other direction are here too, as where items are compared.
        answers: of all items that could have been here.
        findings: the mistakes, the most confident first.
    """

    label: str
    said: str
    mutual: bool
    answers: int
    findings: tuple[Finding, ...]

    def text(self) -> str:
        """In words, with their number."""
        what = f"{self.label} and {self.said}" if self.mutual else f"{self.label} taken for {self.said}"
        share = len(self.findings) / self.answers
        return f"{what}: {counted(len(self.findings), 'mistake')} in {self.answers:,} ({share:.1%})"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "label": self.label,
            "said": self.said,
            "mutual": self.mutual,
            "mistakes": len(self.findings),
            "answers": self.answers,
        }


@final
@dataclass(frozen=True, eq=False)
class Judged:
    """What a model makes of labelled items: what the parts that know a task hand on.

    Attributes:
        task: "compare" items with each other, "answer" what each is, or "hear" a word in them.
        data: the items; positions in findings are of these.
        how: how the model reads an item.
        trained_on: (n,) whether the model was trained on each.
        skipped: file and reason of each that could not be used.
        asked: when an answer is a mistake, in words that follow a number: "answers are wrong".
        of: (M,) label of each answer, as a number.
        names: of these numbers.
        item: (M,) the item of each answer.
        wrong: (M,) whether it is a mistake.
        mistakes: all of these, the most confident first.
        suspects: wrong labels, the surest first.
        suggested: what the cell of a manifest should say instead, and of which column, for each of `suspects`.
        sample: (M,) answers of one number go wrong together; None where each is a trial of its own.
        decided: whether anything says which answers are mistakes.
        merged: labels that are not told apart.
        hardest: pairs and triplets, or the largest deviations, whether wrong or not.
        notes: what a reader has to know, each a sentence.
        hints: what else to collect, each a sentence.
    """

    task: Literal["compare", "answer", "hear"]
    data: Dataset
    how: Preprocessing
    trained_on: Bools
    skipped: tuple[tuple[str, str], ...]
    asked: str
    of: IntArray
    names: tuple[str, ...]
    item: IntArray
    wrong: Bools
    mistakes: tuple[Finding, ...]
    suspects: tuple[Finding, ...]
    suggested: tuple[tuple[str, str], ...]
    sample: IntArray | None = None
    decided: bool = True
    merged: tuple[Merged, ...] = ()
    hardest: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @cached_property
    def suspected(self) -> frozenset[int]:
        """Items whose label is suspected."""
        return frozenset(finding.items[0] for finding in self.suspects)

    def doubted(self, finding: Finding) -> bool:
        """Whether it may come from a wrong label: that of its item, or of the one that it was taken for."""
        return not self.suspected.isdisjoint(finding.items)

    def cells(self) -> tuple[Cell, ...]:
        """Mistakes by what was taken for what, the most frequent first."""
        mutual = self.task == "compare"
        found: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.mistakes:
            label, said = sorted(finding.cell) if mutual else finding.cell
            found.setdefault((label, said), []).append(finding)
        sizes = dict(zip(self.names, np.bincount(self.of, minlength=len(self.names)).tolist(), strict=True))
        cells = (
            Cell(label, said, mutual, sizes[label] + (sizes[said] if mutual else 0), tuple(findings))
            for (label, said), findings in found.items()
        )
        return tuple(sorted(cells, key=lambda cell: (-len(cell.findings), cell.label, cell.said)))


def counted(number: int, one: str, many: str | None = None) -> str:
    """With a number: "1 item", "2 items"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A probability as text; none is said to be certain."""
    return ">99.9%" if share > 0.9995 else "<0.1%" if share < 0.0005 else f"{share:.1%}"


def interval(rate: Estimate) -> str:
    """A rate with its interval, as text."""
    return f"{rate.value:.2%} (95%: {rate.low:.2%} to {rate.high:.2%})"
