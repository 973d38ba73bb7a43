"""What an encoder with a head is to answer for each item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data import Dataset
from likewise.encoder import Head, HeadKind
from likewise.errors import DataError, UsageError

Classes = tuple[NDArray[np.int64], Sequence[str]]  # (N,) which of them each item is of, and their names
LEAST_SPREAD = 1e-12  # of the numbers of a regression


def head_for(data: Dataset, kind: HeadKind | None = None) -> Head:
    """The head that can learn `data`.

    Args:
        data: what is to be learned from.
        kind: None for what suits it: targets that are all 0 or 1 are multilabel, other numbers a regression, and
            without targets labels are classes, one of which holds.

    Raises:
        DataError: only one class, one of several that never holds or always does, or a number that is always the same;
            a target that is no finite number.
        UsageError: targets where labels are needed, or the other way round.
    """
    if data.targets is not None and not (finite := np.isfinite(data.targets).all(axis=1)).all():
        place = int(finite.argmin())
        listed = ", ".join(f"{value:g}" for value in data.targets[place])
        raise DataError("Targets are finite numbers", f"{listed} for {data.files[place]!r}", "Leave such items out.")
    if kind is None:
        if data.targets is None:
            kind = "multiclass"
        else:
            kind = "multilabel" if np.isin(data.targets, (0, 1)).all() else "regression"
    if data.targets is None:
        if kind == "regression":
            raise UsageError(
                "A regression learns columns of numbers", "labels", "Name columns of a manifest with --targets."
            )
        names = tuple(name for name, count in zip(data.names, data.counts(), strict=True) if count)
        if len(names) < 2:
            only = f"only {names[0]}" if names else "no items"
            raise DataError("Classifying takes at least 2 classes", only, "Bring items of others.")
        if kind == "binary" and len(names) > 2:
            raise UsageError("A head binary tells 2 classes apart", f"{len(names)}", "Use the head multiclass.")
        return Head(kind, names)
    if kind == "binary":
        raise UsageError("A head binary learns labels of 2 classes", "columns of targets", "Use the head multilabel.")
    if kind != "regression":
        between = ~np.isin(data.targets, (0, 1))
        if kind == "multilabel" and between.any():  # of multiclass they may be shares
            place, column = np.argwhere(between)[0].tolist()
            value = f"{data.target_names[column]} {data.targets[place, column]:.4g} of {data.files[place]!r}"
            raise UsageError(
                "A head multilabel learns columns of yes and no, 1 and 0", value, "Numbers take --head regression."
            )
        for name, column in zip(data.target_names, data.targets.T, strict=True):
            if len(column) and ((column == 0).all() or (column == 1).all()):
                which = "always" if column[0] else "never"
                raise DataError(
                    "A class to learn holds of some items and not of others", f"{name!r}, which {which} holds",
                    "Bring items of both kinds, or leave it out of --targets.",
                )  # fmt: skip
        return Head(kind, data.target_names)
    mean, std = data.targets.astype(np.float64).mean(axis=0), data.targets.astype(np.float64).std(axis=0)
    for name, spread in zip(data.target_names, std, strict=True):
        if spread < LEAST_SPREAD:
            raise DataError("A number to learn differs between items", f"{name!r}, which is always the same")
    return Head(kind, data.target_names, tuple(mean.tolist()), tuple(std.tolist()))


def classes_in(head: Head, data: Dataset) -> list[Classes]:
    """What there is to tell apart in `data`: classes by labels, or of each column what holds and what does not."""
    if head.kind == "regression":
        return []
    if data.targets is None:
        return [(data.labels, data.names)]
    targets = targets_for(head, data).numpy()
    return [((targets[:, k] > 0).astype(np.int64), (f"no {name}", name)) for k, name in enumerate(head.names)]


def targets_for(head: Head, data: Dataset) -> Tensor:
    """(N, K) float32, what `head` is to answer for each item, not yet in the units of its outputs.

    Raises:
        DataError: a class that the head does not know. UsageError: data without the columns it answers.
    """
    if data.targets is not None:
        missing = [name for name in head.names if name not in data.target_names]
        if missing or head.kind == "binary":
            wanted = f"labels {' and '.join(head.names)}" if head.kind == "binary" else ", ".join(missing)
            raise UsageError(
                "Data have what the model answers", f"no {wanted}, but {', '.join(data.target_names)}", "Name others."
            )
        columns = [data.target_names.index(name) for name in head.names]
        return torch.from_numpy(np.ascontiguousarray(data.targets[:, columns]))
    if head.kind in ("multilabel", "regression"):
        raise UsageError(
            "Data have what the model answers",
            f"labels, and no columns {', '.join(head.names)}",
            "Name columns of a manifest with --targets.",
        )
    place = {name: i for i, name in enumerate(head.names)}
    unknown = [name for name, count in zip(data.names, data.counts(), strict=True) if count and name not in place]
    if unknown:
        raise DataError(
            f"Items are of classes that were trained on: {', '.join(head.names[:10])}",
            f"{', '.join(unknown[:5])}{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}",
            "Leave them out, or train with them.",
        )
    of_label = np.array([place.get(name, 0) for name in data.names], np.int64)
    of_item = torch.from_numpy(of_label[data.labels])
    if head.kind == "binary":
        return of_item[:, None].float()
    return torch.nn.functional.one_hot(of_item, len(head.names)).float()
