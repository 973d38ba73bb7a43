"""What is asked of pictures alone: their embeddings, what they show, and what is where in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likewise.apps.classify import Answer, Classifier
from likewise.apps.detect import Detector, check_shares
from likewise.encoder import Encoded, Item
from likewise.errors import DataError, UsageError
from likewise.matching import Model
from likewise.server.batching import Lane, shown


def encoded(lane: Lane, model: Model, uploads: Sequence[Item]) -> dict[str, Any]:
    """Embeddings of everything that is found in uploads, JSON-ready.

    Raises:
        DataError: nothing could be read.
    """
    found = lane.encode(model.encoder, uploads)
    skipped = skipped_of(found, uploads)
    check_some_read(skipped, uploads)
    rows = zip(found.kept.tolist(), boxes_of(found), found.embeddings.tolist(), strict=True)
    return {
        "dim": model.dim,
        "items": [{"file": str(uploads[i]), "box": box, "embedding": row} for i, box, row in rows],
        "skipped": skipped,
    }


def classified(lane: Lane, model: Classifier, uploads: Sequence[Item], top: int) -> dict[str, Any]:
    """What uploads show, JSON-ready; see `Classifier.classify`.

    Args:
        lane: encodes.
        model: classifies.
        uploads: what to look at.
        top: how many classes to show of each.

    Raises:
        DataError: nothing could be read. UsageError: `top` below 1.
    """
    if top < 1:
        raise UsageError("At least 1 class is shown", top)
    found = lane.encode(model.encoder, uploads, shown)
    skipped = skipped_of(found, uploads)
    check_some_read(skipped, uploads)
    answers = model.answered(found, [str(upload) for upload in uploads])
    return {
        "head": model.head.kind,
        "files": [one.as_dict(top) for one in answers if isinstance(one, Answer)],
        "skipped": skipped,
    }


def detected(
    lane: Lane, model: Detector, uploads: Sequence[Item], score: float | None, overlap: float
) -> dict[str, Any]:
    """What is where in uploads, JSON-ready; see `Detector.detect`.

    Args:
        lane: encodes.
        model: finds things.
        uploads: what to look at.
        score: the least of a box; None for the model's own.
        overlap: of two boxes of one label above which the surer one alone is kept.

    Raises:
        DataError: nothing could be read. UsageError: a score or overlap outside [0, 1].
    """
    least = model.threshold if score is None else score
    check_shares(least, overlap)  # refused before the work
    found, sizes = lane.encode_sized(model.encoder, uploads, shown, at_once=model.at_once)
    skipped = skipped_of(found, uploads)
    check_some_read(skipped, uploads)
    boxes = model.decoded(found.embeddings, [(height, width) for height, width in sizes], least, overlap)
    return {
        "threshold": least,
        "files": [
            {"file": str(uploads[i]), "boxes": [box.as_dict() for box in model.named(some)]}
            for i, some in zip(found.kept.tolist(), boxes, strict=True)
        ],
        "skipped": skipped,
    }


def boxes_of(found: Encoded) -> list[list[int] | None]:
    """Where each part is, JSON-ready."""
    return [None if box is None else list(box) for box in found.boxes or [None] * len(found.kept)]


def skipped_of(found: Encoded, uploads: Sequence[Item]) -> list[dict[str, str]]:
    """What could not be read, JSON-ready."""
    return [{"file": str(uploads[i]), "reason": reason} for i, reason in found.problems]


def check_some_read(skipped: Sequence[dict[str, str]], uploads: Sequence[Item]) -> None:
    """Before an answer is given.

    Raises:
        DataError: nothing could be read.
    """
    if len(skipped) == len(uploads):
        raise DataError("At least one item can be read", skipped[0]["reason"].rstrip("."), "Send others.")
