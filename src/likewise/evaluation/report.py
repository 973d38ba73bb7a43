"""What is known of a model after measuring it: numbers, and pictures of where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from likewise.calibration import Rates
from likewise.evaluation.apart import hardest_apart
from likewise.evaluation.groups import Groups
from likewise.evaluation.pictures import SHOWN_PAIRS, draw_curves, draw_hardest
from likewise.matching import Labelled
from likewise.media.files import write_json
from likewise.metrics import (
    Clustering,
    Confusion,
    Estimate,
    FewShot,
    HardestPairs,
    Pair,
    Retrieval,
    Verification,
)
from likewise.objective.distances import Distance

LISTED = 20  # hardest pairs of each kind that are named in metrics.json


@final
@dataclass(frozen=True)
class AtThreshold:
    """What the model's own threshold does on data that had no part in setting it.

    Attributes:
        threshold: "same" is a distance of at most this.
        promised: the false match rate it was set for.
        rates: FMR and FNMR measured here, with 95% intervals.
    """

    threshold: float
    promised: float
    rates: Rates


@final
@dataclass(frozen=True)
class Report:
    """Figures of an encoder on a labelled set.

    Attributes:
        retrieval: nearest neighbours: P@1, R-precision, MAP@R, k-NN accuracy.
        verification: one against one: ROC AUC, EER, FNMR at FMR, with intervals.
        at_threshold: both error rates at the model's own threshold; None where it is not calibrated.
        clustering: of a k-means with as many clusters as there are identities.
        fewshot: N-way K-shot accuracy; None where no identity has K + 1 items.
        confusions: which identities are taken for which.
        hardest: the closest different pairs and the farthest same pairs.
        groups: figures of each group by itself; None where nobody asked.
        labelled: the items and embeddings it was all computed from.
        distance: what compared them.
        seconds: of encoding, of measuring.
    """

    retrieval: Retrieval
    verification: Verification
    at_threshold: AtThreshold | None
    clustering: Clustering
    fewshot: FewShot | None
    confusions: tuple[Confusion, ...]
    hardest: HardestPairs
    groups: Groups | None
    labelled: Labelled
    distance: Distance
    seconds: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise evaluate --json`."""
        names = self.labelled.data.names
        return {
            **self.retrieval.as_dict(),
            **self.clustering.as_dict(),
            **self.verification.as_dict(),
            **_threshold_dict(self.at_threshold),
            "few_shot": None if self.fewshot is None else self.fewshot.as_dict(),
            "confusions": [
                {
                    "identity": names[c.identity],
                    "taken_for": names[c.taken_for],
                    "items": c.items,
                    "share": c.share,
                }
                for c in self.confusions
            ],
            "hardest": {"same": self._named(self.hardest.same), "different": self._named(self.hardest.different)},
            **({} if self.groups is None else self.groups.as_dict()),
            "items": len(self.labelled.labels),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.labelled.skipped],
            "data": self.labelled.data.origin,
            "encode_seconds": self.seconds[0],
            "measure_seconds": self.seconds[1],
        }

    def write(self, folder: Path) -> tuple[Path, ...]:
        """metrics.json and the pictures roc.png and hardest.png, into an existing folder."""
        write_json(folder / "metrics.json", self.as_dict())
        draw_curves(self.verification, self.at_threshold, folder / "roc.png")
        shown = hardest_apart(
            self.hardest, self.labelled.embeddings, self.labelled.labels, self.distance, count=SHOWN_PAIRS
        )
        draw_hardest(shown, self.labelled.data, folder / "hardest.png")
        return folder / "metrics.json", folder / "roc.png", folder / "hardest.png"

    def rows(self) -> list[tuple[str, str]]:
        """The figures people ask for first, as text."""
        v = self.verification
        rows = [
            ("items", f"{len(self.labelled.labels):,} of {v.identities} identities"),
            ("P@1", f"{self.retrieval.precision_at_1:.4f}"),
            ("MAP@R", f"{self.retrieval.map_at_r:.4f}"),
            *_verification_rows(v),
            *_threshold_rows(self.at_threshold),
            ("NMI of k-means", f"{self.clustering.nmi:.4f}"),
        ]
        if self.fewshot is not None:
            f = self.fewshot
            drawn = f"{f.episodes:,} episodes of {f.ways} of {f.identities:,} identities"
            rows.append((f"{f.ways}-way {f.shots}-shot", f"{f.accuracy:.2%} ({drawn})"))
        return rows + ([] if self.groups is None else self.groups.rows())

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """File and reason of each item that could not be read."""
        return self.labelled.skipped

    def _named(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        files = self.labelled.data.files
        return [{"first": files[p.first], "second": files[p.second], "distance": p.distance} for p in pairs[:LISTED]]

    def _repr_html_(self) -> str:
        return _html(self.rows())

    def __str__(self) -> str:
        return _text(self.rows())


@final
@dataclass(frozen=True)
class PairReport:
    """Figures of an encoder on given pairs; neighbours and clusters need labels and are not known.

    Attributes:
        verification: one against one: ROC AUC, EER, FNMR at FMR, with intervals.
        at_threshold: both error rates at the model's own threshold; None where it is not calibrated.
        skipped: file and reason of each unreadable item.
        data: where the pairs came from.
    """

    verification: Verification
    at_threshold: AtThreshold | None
    skipped: tuple[tuple[str, str], ...]
    data: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.verification.as_dict(),
            **_threshold_dict(self.at_threshold),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "data": self.data,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The figures as text."""
        v = self.verification
        return [
            ("pairs", f"{v.pairs_same} same, {v.pairs_different} different"),
            *_verification_rows(v),
            *_threshold_rows(self.at_threshold),
        ]

    def write(self, folder: Path) -> tuple[Path, ...]:
        """metrics.json, into an existing folder."""
        write_json(folder / "metrics.json", self.as_dict())
        return (folder / "metrics.json",)

    def _repr_html_(self) -> str:
        return _html(self.rows())

    def __str__(self) -> str:
        return _text(self.rows())


def _threshold_dict(found: AtThreshold | None) -> dict[str, Any]:
    return {
        "threshold": found and found.threshold,
        "promised_fmr": found and found.promised,
        "fmr_at_threshold": found and found.rates.fmr.as_dict(),
        "fnmr_at_threshold": found and found.rates.fnmr.as_dict(),
    }


def _threshold_rows(found: AtThreshold | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    fmr = found.rates.fmr
    measured = f"{fmr.value:.3g} (95%: {fmr.low:.3g} to {fmr.high:.3g}), promised {found.promised:g}"
    if fmr.low > found.promised:
        measured += ": more than promised, so calibrate on data like these"
    return [("FMR at threshold", measured), ("FNMR at threshold", _percent(found.rates.fnmr))]


def _verification_rows(found: Verification) -> list[tuple[str, str]]:
    auc = found.roc_auc
    return [
        ("ROC AUC", f"{auc.value:.5f} (95%: {auc.low:.5f} to {auc.high:.5f})"),
        ("EER", _percent(found.eer)),
        *(
            (f"FNMR at FMR {point.fmr:g}", _percent(point.fnmr) if point.fnmr else f"not known: {point.reason}")
            for point in found.fnmr_at_fmr
        ),
    ]


def _percent(found: Estimate) -> str:
    return f"{found.value:.2%} (95%: {found.low:.2%} to {found.high:.2%})"


def _html(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _text(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}} {value}" for name, value in rows)
