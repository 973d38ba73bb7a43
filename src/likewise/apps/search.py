"""The items of a folder nearest to one item, without a gallery."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch

from likewise.data.loaders import files_below
from likewise.encoder import Progress, evaluating
from likewise.errors import DataError, UsageError
from likewise.matching import Model
from likewise.metrics import neighbours


@final
@dataclass(frozen=True)
class Match:
    """One item of the folder.

    Attributes:
        file: which.
        distance: to what was searched for; small means same.
        same: whether the distance is at most the model's threshold; None without one.
        probability: that it is the same, if same and different were equally likely beforehand; None likewise.
    """

    file: str
    distance: float
    same: bool | None
    probability: float | None


@final
@dataclass(frozen=True)
class Searched:
    """What `search_folder` found.

    Attributes:
        file: what was searched for.
        matches: nearest first.
        threshold: of the model; None where it is not calibrated.
        fmr: the false match rate the threshold promises; None likewise.
        items: how many items were compared.
        skipped: file and reason of each that could not be read.
    """

    file: str
    matches: tuple[Match, ...]
    threshold: float | None
    fmr: float | None
    items: int
    skipped: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise search --json`."""
        return {
            "file": self.file,
            "matches": [asdict(match) for match in self.matches],
            "threshold": self.threshold,
            "fmr": self.fmr,
            "items": self.items,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }


def search_folder(
    model: Model, folder: Path | str, file: Path | str, k: int = 10, *, progress: Progress | None = None
) -> Searched:
    """The `k` pictures below `folder` nearest to `file`, which is not counted where it lies there itself.

    Args:
        model: encodes and compares; where it is calibrated each match says whether it is the same.
        folder: searched for pictures, with the folders in it.
        file: a picture.
        k: how many, all where there are fewer.
        progress: told of encoding.

    Raises:
        DataError: `file` cannot be read, or nothing else in the folder can.
        UsageError: k below 1.
    """
    folder, file = Path(folder), Path(file)
    if k < 1:
        raise UsageError("A search gives at least 1 match", k, "Pass for example -k 10.")
    probe = model.encoder.encode_all([file])
    itself = file.resolve()
    found = [item for inside in files_below(folder) if (item := folder / inside).resolve() != itself]
    if not found:
        raise DataError("There is something to search", f"no other pictures in {str(folder)!r}", "Check the path.")
    encoded = model.encode(found, progress=progress)
    skipped = tuple((str(found[i]), reason) for i, reason in encoded.problems)
    if not len(encoded.kept):
        raise DataError("At least one item can be read", skipped[0][1])
    distance = model.encoder.distance_on_cpu()
    with evaluating(distance), torch.inference_mode():
        nearest = neighbours(probe, distance, min(k, len(encoded.kept)), gallery=encoded.embeddings)
    distances = nearest.distances[0].tolist()
    calibration = model.calibration
    line = None if calibration is None else calibration.threshold_for()
    matches = tuple(
        Match(
            file=str(found[encoded.kept[i]]),
            distance=d,
            same=None if line is None else bool(line.accepts(d)),
            probability=None if calibration is None else float(calibration.probability(d)),
        )
        for i, d in zip(nearest.indices[0].tolist(), distances, strict=True)
    )
    return Searched(
        file=str(file),
        matches=matches,
        threshold=None if line is None else line.threshold,
        fmr=None if line is None else line.promised,
        items=len(encoded.kept),
        skipped=skipped,
    )
