"""A model that says what is where: encoder with a grid of outputs and, once calibrated, from which score on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.detect.boxes import Boxes, FoundBox, relabelled
from likewise.apps.detect.card import card
from likewise.apps.detect.matches import found_in, matches_of
from likewise.apps.detect.scores import ScoreCalibration, calibrated, check_promise
from likewise.data import BoxSet
from likewise.encoder import Encoder, Head, Item, Pictures, Progress, clipped, from_page
from likewise.encoder.preprocessing import content_of, name_of
from likewise.encoder.seen import FITTING
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.matching import TaskModel, read_model
from likewise.media.pictures import Pixels, read_picture
from likewise.objective.boxes import nms, sized_to_corners
from likewise.objective.yolo import grid_of
from likewise.prepare import parts_of

TASK = "detect"
USUAL_THRESHOLD = 0.25  # of scores, where none was calibrated
LEAST_SCORE = 0.005  # of boxes that are looked at to draw a curve
OVERLAP = 0.5  # of two boxes of one class, above which the better one alone is kept
MOST_BOXES = 300  # of a picture, the best ones
LEAST_SIDE = 1.0  # pixels of the picture; less is nothing
AT_ONCE = 64  # pictures that are decoded together
PASS = 1 << 20  # pixels in a pass through the network; eight times as many take twice as long for each


def check_shares(least: float, overlap: float) -> None:
    """Before pictures are looked at.

    Raises:
        UsageError: the least score of a box, or the overlap from which on one hides another, outside [0, 1].
    """
    if not 0 <= least <= 1:
        raise UsageError("A threshold of scores is from 0 to 1", least)
    if not 0 <= overlap <= 1:
        raise UsageError("An overlap of boxes is from 0 to 1", overlap)


@final
class Detector(TaskModel[Encoder, ScoreCalibration]):
    """Says what is where in pictures.

    Args:
        encoder: with a head that detects, usually trained.
        calibration: from which score on; without it `USUAL_THRESHOLD`.

    Attributes:
        head: what is found.
        how: how pictures are brought to the network.

    Raises:
        UsageError: another encoder.
    """

    task: ClassVar[str] = TASK

    def __init__(self, encoder: Encoder, calibration: ScoreCalibration | None = None) -> None:
        super().__init__(encoder, calibration)
        how = encoder.ready()
        if encoder.head is None or encoder.head.kind != "detect" or not isinstance(how, Pictures):
            raise UsageError("A detector has an encoder with a head that detects", encoder.backbone)
        if how.resize != "pad" or how.prepare is not None:
            found = f"{how.resize}, prepare {how.prepare}"
            raise UsageError("A detector sees whole pictures that keep their aspect ratio", found, 'Use resize="pad".')
        self.head: Head = encoder.head
        self.how: Pictures = how

    def __repr__(self) -> str:
        names = ", ".join(self.head.names[:5]) + (", ..." if len(self.head.names) > 5 else "")
        return f"Detector({names}; from a score of {self.threshold:.3g} on)"

    @property
    def threshold(self) -> float:
        """The score from which on a box counts."""
        return USUAL_THRESHOLD if self.calibration is None else self.calibration.threshold

    @property
    def at_once(self) -> int:
        """How many pictures go through the network in one pass."""
        return max(1, PASS // (self.how.height * self.how.width))

    def detect(
        self,
        items: Sequence[Item] | NDArray[Any],
        *,
        threshold: float | None = None,
        overlap: float = OVERLAP,
        progress: Progress | None = None,
    ) -> list[list[FoundBox] | str]:
        """What is where in each of `items`, the surest first; or why one could not be read.

        Args:
            items: paths, bytes or arrays.
            threshold: least score, in [0, 1]; None for the model's own.
            overlap: see `boxes_in`.
            progress: called with items done, items in all, and a word.

        Raises:
            UsageError: a threshold or overlap outside [0, 1].
        """
        least = self.threshold if threshold is None else threshold
        return [
            found if isinstance(found, str) else self.named(found)
            for found in self.boxes_in(items, least=least, overlap=overlap, progress=progress)
        ]

    def named(self, found: Boxes) -> list[FoundBox]:
        """The same boxes one by one."""
        rows = zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
        return [FoundBox(x, y, w, h, self.head.names[label], score) for (x, y, w, h), label, score in rows]

    def boxes_in(
        self,
        items: Sequence[Item] | NDArray[Any],
        *,
        least: float = LEAST_SCORE,
        overlap: float = OVERLAP,
        progress: Progress | None = None,
    ) -> list[Boxes | str]:
        """As `detect`, as arrays.

        Args:
            items: what to look at.
            least: score from which on a box counts.
            overlap: intersection over union of two boxes of one class above which the surer one alone is kept, [0, 1].
            progress: see `detect`.
        """
        check_shares(least, overlap)
        if isinstance(items, (str, bytes, Path)):
            raise UsageError("Things are found in a list of pictures", f"a lone {type(items).__name__}", "Pass [item].")
        found: list[Boxes | str] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(items), AT_ONCE):
                block = [items[i] for i in range(start, min(start + AT_ONCE, len(items)))]
                found += self._boxes_in(list(pool.map(self._read, block)), least, overlap)
                if progress:
                    progress(len(found), len(items), "looking")
        return found

    def boxes_in_picture(self, picture: Pixels, least: float, overlap: float = OVERLAP) -> Boxes:
        """The boxes of one picture (H, W, 1 or 3) uint8."""
        (found,) = self._boxes_in([self._read(picture)], least, overlap)
        assert isinstance(found, Boxes)  # pixels can be read
        return found

    def _read(self, item: Item) -> tuple[Tensor, tuple[int, int]] | str:
        """(C, H, W) as the network sees a picture, and its size; or why it cannot be read."""
        try:
            picture = read_picture(content_of(item), mode="L" if self.how.channels == 1 else "RGB", name=name_of(item))
        except LikewiseError as error:
            return str(error)
        (part,) = parts_of(picture, None, self.how.height, self.how.width, "pad")
        return torch.from_numpy(np.ascontiguousarray(self.how.laid_out(part))), (picture.shape[0], picture.shape[1])

    def _boxes_in(
        self, read: list[tuple[Tensor, tuple[int, int]] | str], least: float, overlap: float
    ) -> list[Boxes | str]:
        seen = [each for each in read if not isinstance(each, str)]
        if not seen:
            return [each for each in read if isinstance(each, str)]
        outputs = self.encoder.encode(torch.stack([values for values, _ in seen]), batch=self.at_once).embeddings
        found = iter(self.decoded(outputs, [size for _, size in seen], least, overlap))
        return [each if isinstance(each, str) else next(found) for each in read]

    def decoded(
        self, outputs: Tensor, sizes: Sequence[tuple[int, int]], least: float, overlap: float = OVERLAP
    ) -> list[Boxes]:
        """(N, R, S, B * 5 + C) outputs of the encoder for pictures of `sizes` -> their boxes.

        Each box has the one class that is most likely.
        """
        check_shares(least, overlap)
        said = grid_of(outputs, self.head.per_cell)
        scores, labels = (each.flatten(1) for each in said.scores.max(dim=-1))
        boxes = said.boxes.flatten(1, 3).double().numpy()
        found: list[Boxes] = []
        for i, size in enumerate(sizes):
            sure = (torch.nan_to_num(scores[i]) >= least) & torch.from_numpy(np.isfinite(boxes[i]).all(axis=1))
            placed = clipped(from_page(boxes[i][sure.numpy()], size, self.how), size)
            kept = Boxes(placed, labels[i][sure].numpy(), scores[i][sure].double().numpy(), size)
            kept = kept.at(np.flatnonzero((kept.boxes[:, 2:] >= LEAST_SIDE).all(axis=1)))
            corners = sized_to_corners(torch.from_numpy(kept.boxes))
            best = nms(corners, torch.from_numpy(kept.scores), torch.from_numpy(kept.labels), overlap, MOST_BOXES)
            found.append(kept.at(best.numpy()))
        return found

    def look(
        self, data: BoxSet, *, progress: Progress | None = None
    ) -> tuple[list[Boxes], BoxSet, tuple[tuple[str, str], ...]]:
        """The boxes of all scores in labelled pictures, the pictures that could be read, and file and reason of others.

        Raises:
            DataError: none can be read, or classes that the model does not know.
        """
        data = relabelled(data, self.head.names)
        found = self.boxes_in(data.sources, progress=progress)
        skipped = tuple((file, said) for file, said in zip(data.files, found, strict=True) if isinstance(said, str))
        kept = [i for i, said in enumerate(found) if not isinstance(said, str)]
        if not kept:
            raise DataError("At least one picture can be read", skipped[0][1] if skipped else "no pictures")
        return [said for said in found if not isinstance(said, str)], data.subset(kept), skipped

    def calibrated_on(
        self, data: BoxSet, promised: float | None = None, progress: Progress | None = None
    ) -> tuple[Detector, tuple[tuple[str, str], ...]]:
        """The model with a threshold set on `data`, and file and reason of what could not be read.

        Pictures that it was trained on, or its epoch chosen by, are left out: it finds things better there.

        Args:
            data: pictures with boxes.
            promised: precision, in (0, 1); None for the best F1.
            progress: see `detect`.

        Raises:
            DataError: training used all of them. DataError, SupportError, UsageError: see
                `likewise.apps.detect.scores.calibrated`.
        """
        if promised is not None:
            check_promise(promised)
        new = np.flatnonzero(~self.encoder.seen.used_for(data.contents, *FITTING))
        if not len(new):
            raise DataError("A threshold is set on pictures that training did not use", f"none of {len(data)}")
        if len(new) < len(data):
            without = f"{data.origin}, without {len(data) - len(new):,} of {len(data):,} pictures, which training used"
            data = data.subset(new, without)
        boxes, looked_at, skipped = self.look(data, progress=progress)
        matches = matches_of(boxes, looked_at)
        found = calibrated(
            found_in(boxes, matches, looked_at), self.fingerprint, len(looked_at), looked_at.origin, promised
        )
        return Detector(self.encoder, found), skipped

    def card(self, name: str, config: dict[str, Any], figures: dict[str, Any]) -> str:
        """See `TaskModel.card`."""
        return card(name, config, self.calibration, figures)

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """The model in `folder`.

        Raises:
            ModelError: it is damaged, or one for another task.
        """
        folder = Path(folder)
        encoder, calibration = read_model(folder, TASK, ScoreCalibration.from_json)
        if not isinstance(encoder, Encoder) or encoder.head is None or encoder.head.kind != "detect":
            raise ModelError("A detector has a head that detects", f"none in {str(folder)!r}", "Copy the folder again.")
        return cls(encoder, calibration)
