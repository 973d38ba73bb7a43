"""Error rates of each group of people: a figure over all of them hides those for whom a model errs more often.

A group is measured by itself: its pairs are those of two items of the group. Two people are taken for each other most
easily where they are alike, and pairs across groups would only dilute what a group's own members meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from likewise.calibration import Rates, rates_at
from likewise.calibration.rates import Unit
from likewise.calibration.support import LADDER, identities_needed
from likewise.data import Dataset
from likewise.data.dataset import IntArray
from likewise.errors import UsageError
from likewise.evaluation.names import shortened
from likewise.matching import Labelled
from likewise.metrics import Estimate, retrieval, verification
from likewise.metrics.intervals import trials_needed
from likewise.objective.distances import Distance

COARSEST = max(LADDER)  # a group that cannot speak even of this FMR gets no figures
LONGEST_NAME = 24  # characters of a group's name in a line of text
LISTED = 10  # groups without figures that are named in text

Kind = Literal["fmr", "fnmr"]


@final
@dataclass(frozen=True)
class Figures:
    """Of one group, or of all items.

    Attributes:
        precision_at_1: how often the nearest other item has the same identity, in [0, 1].
        eer: equal error rate, with its interval.
        rates: FMR and FNMR at the threshold that all groups are held to, with 95% intervals.
    """

    precision_at_1: float
    eer: Estimate
    rates: Rates

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "precision_at_1": self.precision_at_1,
            "eer": self.eer.as_dict(),
            "fmr": self.rates.fmr.as_dict(),
            "fnmr": self.rates.fnmr.as_dict(),
        }


@final
@dataclass(frozen=True)
class Group:
    """What is known of one group.

    Attributes:
        name: as the data call it.
        items, identities: how many could be read.
        figures: None where the group is too small.
        reason: why there are none; None where there are.
    """

    name: str
    items: int
    identities: int
    figures: Figures | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the figures are null where there are none."""
        none: dict[str, Any] = dict.fromkeys(("precision_at_1", "eer", "fmr", "fnmr"))
        return {
            "group": self.name,
            "items": self.items,
            "identities": self.identities,
            **(none if self.figures is None else self.figures.as_dict()),
            "reason": self.reason,
        }


@final
@dataclass(frozen=True)
class Worst:
    """The group with the largest rate of a kind.

    Attributes:
        group: its name.
        ratio: its rate, divided by that of all items.
    """

    group: str
    ratio: float


@final
@dataclass(frozen=True)
class Groups:
    """Every group at one threshold.

    Attributes:
        threshold: "same" is a distance of at most this.
        promised: the FMR it was set for.
        own: whether it is the model's own; otherwise it was set on these data, all groups together.
        items, identities: of all groups together.
        whole: figures of all items, pairs across groups included.
        each: the groups, by name.
    """

    threshold: float
    promised: float
    own: bool
    items: int
    identities: int
    whole: Figures
    each: tuple[Group, ...]

    def worst(self, kind: Kind) -> Worst | None:
        """The group with the largest FMR or FNMR; None where no group has figures, or all items together no error."""
        whole = getattr(self.whole.rates, kind).value
        rates = {g.name: float(getattr(g.figures.rates, kind).value) for g in self.each if g.figures is not None}
        if not rates or whole == 0:
            return None
        group = max(rates, key=rates.__getitem__)
        return Worst(group, rates[group] / whole)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; what `likewise evaluate --group-by --json` has as `groups` and `groups_compared`."""
        fmr, fnmr = (self.worst(kind) for kind in ("fmr", "fnmr"))
        return {
            "groups": [group.as_dict() for group in self.each],
            "groups_compared": {
                "threshold": self.threshold,
                "promised_fmr": self.promised,
                "threshold_of": "model" if self.own else "data",
                "fmr": self.whole.rates.fmr.as_dict(),
                "fnmr": self.whole.rates.fnmr.as_dict(),
                "worst_fmr": fmr and {"group": fmr.group, "ratio": fmr.ratio},
                "worst_fnmr": fnmr and {"group": fnmr.group, "ratio": fnmr.ratio},
            },
        }

    def rows(self) -> list[tuple[str, str]]:
        """A line for all, one for each group with figures, and what stands out, as text."""
        names = dict(
            zip((g.name for g in self.each), shortened([g.name for g in self.each], LONGEST_NAME), strict=True)
        )
        lines = [("all", _cells(self.items, self.identities, self.whole))]
        lines += [(f"group {names[g.name]}", _cells(g.items, g.identities, g.figures)) for g in self.each if g.figures]
        header = ("items", "identities", "P@1", "EER (95%)", "FMR at threshold", "FNMR at threshold")
        widths = [max(map(len, column)) for column in zip(header, *(cells for _, cells in lines), strict=True)]

        def line(cells: Sequence[str]) -> str:
            return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()

        whose = "the model's own" if self.own else "as the model has none, that of all these items"
        rows = [
            ("group threshold", f"{self.threshold:.4g}: {whose} for FMR {self.promised:g}"),
            ("by group", line(header)),
            *((name, line(cells)) for name, cells in lines),
        ]
        for kind in ("fmr", "fnmr"):
            worst = self.worst(kind)
            if worst is not None:
                rows.append((f"worst {kind.upper()}", f"{names[worst.group]}: {worst.ratio:.2g} times that of all"))
        small = [f"{names[g.name]} ({g.reason})" for g in self.each if g.reason]
        if small:
            more = [f"and {len(small) - LISTED:,} more"] if len(small) > LISTED else []
            rows.append(("too small", ", ".join(small[:LISTED] + more)))
        return rows


def groups_of(data: Dataset) -> IntArray:
    """(N,) the group of each item.

    Raises:
        UsageError: the items have no group.
    """
    if data.groups is None:
        raise UsageError(
            "Figures by group are of items that have a group",
            f"none in {data.origin}",
            "Name a column of a manifest (group_by), or find groups in file names (group_from).",
        )
    return data.groups


def measure_groups(
    data: Dataset,
    labelled: Labelled,
    distance: Distance,
    unit: Unit,
    whole: Figures,
    *,
    threshold: float,
    promised: float,
    own: bool,
) -> Groups:
    """The figures of each group by itself: those that its items alone would give at `threshold`.

    Args:
        data: what was to be measured, with groups: a group of which no item could be read is told of as well.
        labelled: what could be read of it.
        distance: what compares the embeddings.
        unit: what the intervals take for a sample: "identity" or "item".
        whole: figures of all items.
        threshold, promised, own: see `Groups`.

    Raises:
        UsageError: the items have no group.
    """
    readable = groups_of(labelled.data)
    each: list[Group] = []
    for number in np.unique(groups_of(data)):
        inside = torch.from_numpy(np.flatnonzero(readable == number))
        embeddings, labels = labelled.embeddings[inside], labelled.labels[inside]
        sizes = labels.unique(return_counts=True)[1].numpy()
        reason = _too_small(sizes, unit)
        figures = _figures(embeddings, labels, distance, unit, threshold) if reason is None else None
        each.append(Group(data.group_names[number], len(inside), len(sizes), figures, reason))
    items, identities = len(labelled.labels), labelled.data.identities
    return Groups(threshold, promised, own, items, identities, whole, tuple(each))


def rates_of(threshold: float, embeddings: Tensor, labels: Tensor, distance: Distance, unit: Unit) -> Rates:
    """Both error rates over all pairs of items, in whatever order and by whatever numbers the labels (N,) come."""
    numbers, order = labels.unique(return_inverse=True)[1].sort(stable=True)
    return rates_at([threshold], embeddings[order], numbers, distance, unit)[0]


def _figures(embeddings: Tensor, labels: Tensor, distance: Distance, unit: Unit, threshold: float) -> Figures:
    return Figures(
        precision_at_1=retrieval(embeddings, labels, distance).precision_at_1,
        eer=verification(embeddings, labels, distance, fmr=(), unit=unit).eer,
        rates=rates_of(threshold, embeddings, labels, distance, unit),
    )


def _too_small(sizes: IntArray, unit: Unit) -> str | None:
    """Why a group with identities of these sizes gets no figures; None if it gets some."""
    identities = len(sizes)
    if unit == "identity" and identities < identities_needed(COARSEST):
        return f"{_counted(identities, 'identity', 'identities')}, of the {identities_needed(COARSEST)} it takes"
    different = int(sizes.sum() ** 2 - (sizes**2).sum()) // 2
    if different < trials_needed(COARSEST):
        return f"{_counted(different, 'different pair', 'different pairs')}, of the {trials_needed(COARSEST)} it takes"
    if sizes.max() < 2:
        return "no identity with 2 items"
    return None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _cells(items: int, identities: int, figures: Figures) -> tuple[str, ...]:
    eer, fmr, fnmr = figures.eer, figures.rates.fmr, figures.rates.fnmr
    return (
        f"{items:,}",
        f"{identities:,}",
        f"{figures.precision_at_1:.4f}",
        f"{eer.value:.2%} ({eer.low:.2%} to {eer.high:.2%})",
        f"{fmr.value:.3g} ({fmr.low:.3g} to {fmr.high:.3g})",
        f"{fnmr.value:.2%} ({fnmr.low:.2%} to {fnmr.high:.2%})",
    )
