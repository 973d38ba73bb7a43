"""What is known of a model after measuring it: numbers, and pictures of where it fails."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from likewise.evaluation.pictures import draw_curves, draw_hardest
from likewise.matching import Labelled
from likewise.metrics import Clustering, Confusion, FewShot, HardestPairs, Retrieval, Verification
from likewise.objective.distances import Distance


@final
@dataclass(frozen=True)
class Report:
    """Figures of an encoder on a labelled set.

    Attributes:
        retrieval: nearest neighbours: P@1, R-precision, MAP@R, k-NN accuracy.
        verification: one against one: ROC AUC, EER, FNMR at FMR, with intervals.
        clustering: of a k-means with as many clusters as there are identities.
        fewshot: N-way K-shot accuracy; None where no identity has K + 1 items.
        confusions: which identities are taken for which.
        hardest: the closest different pairs and the farthest same pairs.
        labelled: the items and embeddings it was all computed from.
        distance: what compared them.
        seconds: of encoding, of measuring.
    """

    retrieval: Retrieval
    verification: Verification
    clustering: Clustering
    fewshot: FewShot | None
    confusions: tuple[Confusion, ...]
    hardest: HardestPairs
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
            "items": len(self.labelled.labels),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.labelled.skipped],
            "data": self.labelled.data.origin,
            "encode_seconds": self.seconds[0],
            "measure_seconds": self.seconds[1],
        }

    def write(self, folder: Path) -> tuple[Path, ...]:
        """metrics.json and the pictures roc.png and hardest.png, into an existing folder."""
        (folder / "metrics.json").write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")
        draw_curves(self.verification, folder / "roc.png")
        draw_hardest(self.hardest, self.labelled.data, folder / "hardest.png")
        return folder / "metrics.json", folder / "roc.png", folder / "hardest.png"

    def rows(self) -> list[tuple[str, str]]:
        """The figures people ask for first, as text."""
        v = self.verification
        rows = [
            ("items", f"{len(self.labelled.labels):,} of {v.identities} identities"),
            ("P@1", f"{self.retrieval.precision_at_1:.4f}"),
            ("MAP@R", f"{self.retrieval.map_at_r:.4f}"),
            ("ROC AUC", f"{v.roc_auc.value:.5f}"),
            ("EER", f"{v.eer.value:.2%} (95%: {v.eer.low:.2%} to {v.eer.high:.2%})"),
        ]
        for point in v.fnmr_at_fmr:
            known = point.fnmr
            text = (
                f"{known.value:.2%} (95%: {known.low:.2%} to {known.high:.2%})"
                if known
                else f"not known: {point.reason}"
            )
            rows.append((f"FNMR at FMR {point.fmr:g}", text))
        rows.append(("NMI of k-means", f"{self.clustering.nmi:.4f}"))
        if self.fewshot is not None:
            f = self.fewshot
            rows.append(
                (
                    f"{f.ways}-way {f.shots}-shot",
                    f"{f.accuracy.value:.2%} ({f.accuracy.low:.2%} to {f.accuracy.high:.2%})",
                )
            )
        return rows

    def _repr_html_(self) -> str:
        return _html(self.rows())

    def __str__(self) -> str:
        return _text(self.rows())


@final
@dataclass(frozen=True)
class PairReport:
    """Figures of an encoder on given pairs; neighbours and clusters need labels and are not known.

    Attributes:
        roc_auc, eer: in [0, 1].
        pairs_same, pairs_different: how many there were.
        skipped: file and reason of each unreadable item.
        data: where the pairs came from.
    """

    roc_auc: float
    eer: float
    pairs_same: int
    pairs_different: int
    skipped: tuple[tuple[str, str], ...]
    data: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "roc_auc": self.roc_auc,
            "eer": self.eer,
            "pairs_same": self.pairs_same,
            "pairs_different": self.pairs_different,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "data": self.data,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The figures as text."""
        return [
            ("pairs", f"{self.pairs_same} same, {self.pairs_different} different"),
            ("ROC AUC", f"{self.roc_auc:.5f}"),
            ("EER", f"{self.eer:.2%}"),
        ]

    def write(self, folder: Path) -> tuple[Path, ...]:
        """metrics.json, into an existing folder."""
        (folder / "metrics.json").write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")
        return (folder / "metrics.json",)

    def _repr_html_(self) -> str:
        return _html(self.rows())

    def __str__(self) -> str:
        return _text(self.rows())


def _html(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _text(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<16} {value}" for name, value in rows)
