"""From a model and labelled items to what is wrong with either, and a folder that shows it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from likewise.apps.classify import Classifier, Outputs
from likewise.apps.mistakes.answers import judged_answers
from likewise.apps.mistakes.collect import advice, sources_of
from likewise.apps.mistakes.embeddings import judged_embeddings
from likewise.apps.mistakes.findings import IntArray, Judged, Source, interval
from likewise.apps.mistakes.page import page
from likewise.apps.mistakes.tables import ITEMS, write_findings, write_manifest
from likewise.data import Dataset, PairSet
from likewise.encoder import PARTS, Encoding, Progress
from likewise.errors import DataError, UsageError
from likewise.matching import Labelled, Model, encode_labelled, overlap
from likewise.media.files import check_replaceable, replacing_folder
from likewise.metrics import Estimate
from likewise.metrics.classification import share_right

PAGE, FINDINGS, MANIFEST, SUMMARY = "index.html", "errors.csv", "relabel.csv", "errors.json"
WRITTEN = frozenset({PAGE, FINDINGS, MANIFEST, SUMMARY, ITEMS})


@final
@dataclass(frozen=True, eq=False)
class Mistakes:
    """What is wrong, or hard, or doubtful in labelled items, by what a model makes of them.

    Attributes:
        judged: findings, each with its items.
        rate: share of answers that are mistakes, with its 95% interval; None where nothing says which are.
        labels, groups: where mistakes come from, those with most beyond the rate of the others first.
        advice: what to do next, in sentences.
        whole: the items that relabel.csv lists.
        place: (n,) where the items of `judged` are among them.
    """

    judged: Judged
    rate: Estimate | None
    labels: tuple[Source, ...]
    groups: tuple[Source, ...]
    advice: tuple[str, ...]
    whole: Dataset
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
            "confused": [
                {"label": label, "said": said, "mistakes": len(found)} for (label, said), found in judged.cells()
            ],
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
        rows = [
            ("mistakes", found if self.rate is None else f"{found}, {interval(self.rate)}"),
            ("suspected labels", f"{len(judged.suspects):,}"),
        ]
        return [*rows, *(("next", sentence) for sentence in self.advice[:3])]

    def write(self, folder: str | Path, *, progress: Progress | None = None) -> tuple[Path, ...]:
        """Writes index.html, errors.csv, relabel.csv and errors.json into a folder of their own.

        What an earlier call left there is replaced, but for a relabel.csv that a person has edited.

        Raises:
            UsageError: the folder holds other things, or an edited relabel.csv.
            DataError: it cannot be written.
        """
        folder = Path(folder)
        check_folder(folder)
        with replacing_folder(folder, marker=SUMMARY) as fresh:
            named = folder.resolve()
            write_findings(fresh / FINDINGS, self.judged)
            write_manifest(fresh / MANIFEST, self.judged, self.whole, self.place, named / ITEMS, progress)
            html = page(self.judged, self.rate, self.labels, self.groups, self.advice)
            (fresh / PAGE).write_text(html, encoding="utf-8")
            summary = {**self.as_dict(), "sha256": _digest(fresh / MANIFEST)}
            (fresh / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        return tuple(folder / name for name in (PAGE, FINDINGS, MANIFEST, SUMMARY))


def find_mistakes(
    model: Model | Encoding | Classifier,
    data: Dataset,
    *,
    whole: Dataset | None = None,
    progress: Progress | None = None,
) -> Mistakes:
    """What `model` gets wrong in labelled items, and which of their labels are probably wrong themselves.

    Args:
        model: one that compares, calibrated or not, or one that answers.
        data: labelled items, best those that it was not trained on: a network agrees with what it has learned, wrong
            labels among it.
        whole: what `data` are a part of, if relabel.csv is to list all of that.
        progress: told of encoding.

    Raises:
        UsageError: pairs. DataError: no two labels, or none that can be compared; see `Classifier.outputs_for`.
    """
    if isinstance(data, PairSet):  # pyright: ignore[reportUnnecessaryIsInstance]  for untyped callers
        raise UsageError("Mistakes are looked for among labelled items", "pairs", "List the items in a manifest.")
    if isinstance(model, Classifier):
        return mistakes_in(model, model.outputs_for(data, progress), whole or data)
    encoder = model.encoder if isinstance(model, Model) else model
    return mistakes_in(model, encode_labelled(encoder, data, progress), whole or data)


def mistakes_in(model: Model | Encoding | Classifier, given: Labelled | Outputs, whole: Dataset) -> Mistakes:
    """The same of items that are encoded already.

    Args:
        model: what encoded them.
        given: what it made of them.
        whole: what relabel.csv is to list: these items, those that could not be used, and perhaps others.

    Raises:
        DataError: see `judged_embeddings`.
    """
    encoder = model if isinstance(model, Encoding) else model.encoder
    met = overlap(encoder.seen, given.data)
    trained_on = met.parts == PARTS.index("train")
    if isinstance(model, Classifier) and isinstance(given, Outputs):
        judged = judged_answers(model, given, trained_on)
    elif isinstance(given, Labelled):
        judged = judged_embeddings(
            encoder, given, model.calibration if isinstance(model, Model) else None, trained_on, met.unit
        )
    else:
        raise UsageError("Items are judged by the model that encoded them", type(model).__name__)
    labels, groups = sources_of(judged)
    known = judged.wrong.any() or not any(finding.kind == "large deviation" for finding in judged.hardest)
    right = share_right(~judged.wrong, judged.sample)
    rate = Estimate(1 - right.value, 1 - right.high, 1 - right.low) if known else None
    return Mistakes(judged, rate, labels, groups, advice(judged, labels, groups), whole, _places(whole, given.data))


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
        edited = (folder / MANIFEST).is_file() and known["sha256"] != _digest(folder / MANIFEST)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("A folder of mistakes is whole", f"{str(folder)!r}: {error}", "Choose another.") from error
    if edited:
        raise UsageError(
            "Labels that a person has corrected are not written over", str(folder / MANIFEST), "Choose another folder."
        )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _places(whole: Dataset, part: Dataset) -> IntArray:
    """(n,) where the items of `part` are in `whole`, by what they are called and labelled."""
    rows: dict[tuple[str, int], list[int]] = {}
    for i in reversed(range(len(whole))):
        rows.setdefault((whole.files[i], int(whole.labels[i])), []).append(i)
    try:
        return np.array([rows[key].pop() for key in zip(part.files, part.labels.tolist(), strict=True)], np.int64)
    except (KeyError, IndexError) as error:
        raise UsageError("The whole of some items holds all of them", f"no {error} in {whole.origin}") from error
