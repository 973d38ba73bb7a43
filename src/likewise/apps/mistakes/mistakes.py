"""What was found, and the folder that shows it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from likewise.apps.mistakes.findings import IntArray, Judged, Source, interval
from likewise.apps.mistakes.page import page
from likewise.apps.mistakes.tables import ITEMS, carry_items, write_findings, write_manifest
from likewise.data import Dataset
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.media.files import check_replaceable, replacing_folder, write_json
from likewise.metrics import Estimate

PAGE, FINDINGS, MANIFEST, SUMMARY = "index.html", "errors.csv", "relabel.csv", "errors.json"
WRITTEN = frozenset({PAGE, FINDINGS, MANIFEST, SUMMARY, ITEMS})


@final
@dataclass(frozen=True, eq=False, repr=False)
class Mistakes:
    """What is wrong, or hard, or doubtful in labelled items, by what a model makes of them.

    Attributes:
        judged: findings, each with its items.
        rate: share of answers that are mistakes, with its 95% interval; None where nothing says which are.
        labels, groups: where mistakes come from, those with most beyond the rate of the others first.
        advice: what to do next, in sentences.
        whole: the items that relabel.csv lists; None of words, which are no labels of items.
        place: (n,) where the items of `judged` are among them.
    """

    judged: Judged
    rate: Estimate | None
    labels: tuple[Source, ...]
    groups: tuple[Source, ...]
    advice: tuple[str, ...]
    whole: Dataset | None
    place: IntArray

    @property
    def trained_on(self) -> int:
        """How many of the items the model was trained on."""
        return int(self.judged.trained_on.sum())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the key `errors` of `likewise evaluate --errors --json`, and errors.json."""
        judged = self.judged
        return {
            "data": judged.data.origin,
            "items": len(judged.data),
            "answers": len(judged.wrong),
            "mistakes": len(judged.mistakes),
            "rate": None if self.rate is None else self.rate.as_dict(),
            "suspected_labels": len(judged.suspects),
            "listed": {
                kind: sum(finding.kind == kind for finding in judged.hardest)
                for kind in dict.fromkeys(finding.kind for finding in judged.hardest)
            },
            "confused": [cell.as_dict() for cell in judged.cells()],
            "merged": [
                {"label": merged.label, "taken_for": merged.taken_for, "items": merged.items}
                for merged in judged.merged
            ],
            "labels": [source.as_dict() for source in self.labels],
            "groups": [source.as_dict() for source in self.groups],
            "advice": list(self.advice),
            "trained_on": self.trained_on,
            "skipped": [{"file": file, "reason": reason} for file, reason in judged.skipped],
        }

    def rows(self) -> list[tuple[str, str]]:
        """What was found, as text."""
        judged = self.judged
        found = f"{len(judged.mistakes):,} of {len(judged.wrong):,} {judged.asked}"
        rows = [("mistakes", found if self.rate is None else f"{found}: {interval(self.rate)}")]
        if judged.task != "hear":
            rows.append(("suspected labels", f"{len(judged.suspects):,}"))
        return [*rows, *(("next", sentence) for sentence in self.advice[:3])]

    def __repr__(self) -> str:
        found = f"{len(self.judged.mistakes):,} of {len(self.judged.wrong):,} {self.judged.asked}"
        return f"<Mistakes in {self.judged.data.origin}: {found}, {len(self.judged.suspects):,} labels suspected>"

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}} {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in self.rows())
        return f"<table>{cells}</table>"

    def write(self, folder: str | Path, *, progress: Progress | None = None) -> tuple[Path, ...]:
        """Writes index.html, errors.csv, errors.json and, of labels, relabel.csv into a folder of their own.

        What an earlier call left there is replaced, but for a relabel.csv that a person has edited, and for items that
        have no file of their own: tables saved elsewhere may tell of them.

        Raises:
            UsageError: the folder holds other things, or an edited relabel.csv.
            DataError: it cannot be written.
        """
        folder, written = Path(folder), [PAGE, FINDINGS, SUMMARY]
        check_folder(folder)
        with replacing_folder(folder, marker=SUMMARY) as fresh:
            summary = self.as_dict()
            carry_items(folder / ITEMS, fresh / ITEMS)
            if self.whole is not None:
                items = folder.resolve() / ITEMS
                write_manifest(fresh / MANIFEST, self.judged, self.whole, self.place, items, progress)
                summary["relabel_sha256"] = _digest(fresh / MANIFEST)
                written.append(MANIFEST)
            write_findings(fresh / FINDINGS, self.judged)
            html = page(self.judged, self.rate, self.labels, self.groups, self.advice)
            (fresh / PAGE).write_text(html, encoding="utf-8")
            write_json(fresh / SUMMARY, summary)
        return tuple(folder / name for name in written)


def check_folder(folder: Path) -> None:
    """Refuses a folder that `Mistakes.write` would not write: before the work whose result is to go there.

    Raises:
        UsageError: it holds other things, or a list that a person has edited.
    """
    check_replaceable(folder, marker=SUMMARY)
    if not (folder / SUMMARY).is_file():
        return
    others = sorted(path.name for path in folder.iterdir() if path.name not in WRITTEN)
    if others:
        raise UsageError("Mistakes have a folder of their own", f"{str(folder)!r}, which holds {others[0]!r} too")
    try:
        known: Mapping[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        edited = (folder / MANIFEST).is_file() and known["relabel_sha256"] != _digest(folder / MANIFEST)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("A folder of mistakes is whole", f"{str(folder)!r}: {error}", "Choose another.") from error
    if edited:
        raise UsageError(
            "Labels that a person has corrected are not written over", str(folder / MANIFEST), "Choose another folder."
        )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
