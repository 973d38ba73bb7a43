"""Clustering what was sent: work in the background, which lets requests pass between its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from likewise.apps.cluster import ClusterOptions, cut_of, find_clusters, pair_cut_of
from likewise.encoder import Item, Progress
from likewise.errors import UsageError
from likewise.matching import Model
from likewise.server.batching import Lane
from likewise.server.looking import boxes_of, check_some_read, skipped_of

_ENCODED_AT_ONCE = 16  # pictures: requests come between


def threshold_for(model: Model, options: ClusterOptions, fmr: float | None) -> float | None:
    """Up to which distance items are grouped; None where the method has none.

    Raises:
        ModelError: agglomerative, and the model is not calibrated. UsageError: a rate for another method.
    """
    if options.method == "agglomerative":
        return cut_of(model, fmr)
    if fmr is not None:
        raise UsageError("A promised rate is for the method agglomerative", options.method, "Leave fmr out.")
    return None


def clustered(
    lane: Lane, model: Model, uploads: Sequence[Item], options: ClusterOptions, threshold: float | None,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Groups, JSON-ready.

    Args:
        lane: encodes.
        model: compares.
        uploads: what to group.
        options: how.
        threshold: from `threshold_for`.
        progress: called with pictures done, pictures in all, and a word.

    Raises:
        DataError: nothing could be read.
    """
    kept: list[dict[str, Any]] = []
    of: list[int] = []  # which upload
    skipped: list[dict[str, str]] = []
    rows = [torch.empty(0, model.dim)]
    for start in range(0, len(uploads), _ENCODED_AT_ONCE):
        progress(start, len(uploads), "encoding")
        part = uploads[start : start + _ENCODED_AT_ONCE]
        found = lane.encode(model.encoder, part, patient=True)
        rows_of = found.kept.tolist()
        flaws = found.flaws or (None,) * len(rows_of)
        kept += [
            {"file": str(part[i]), "box": box, "flaw": flaw}
            for i, box, flaw in zip(rows_of, boxes_of(found), flaws, strict=True)
        ]
        of += [start + i for i in rows_of]
        skipped += skipped_of(found, part)
        rows.append(found.embeddings)
    check_some_read(skipped, uploads)
    together = None if model.encoder.ready().prepare is None else np.array(of, np.int64)
    labels = find_clusters(
        torch.cat(rows), model.encoder.distance_on_cpu(), options, threshold=threshold, pair=pair_cut_of(model),
        together=together, flawed=np.array([one["flaw"] is not None for one in kept], bool), progress=progress,
    ).labels  # fmt: skip
    groups: dict[int, list[dict[str, Any]]] = {}
    for item, label in zip(kept, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(item)
    unassigned = groups.pop(-1, [])
    return {
        "clusters": [{"id": id, "items": items} for id, items in sorted(groups.items())],
        "unassigned": unassigned,
        "skipped": skipped,
        "method": options.method,
        "threshold": threshold,
    }
