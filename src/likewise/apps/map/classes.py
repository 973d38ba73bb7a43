"""What the picture and the page share: the items' classes, in order, each with its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import UsageError
from likewise.evaluation.names import printable

# Petroff (2021, arXiv:2107.02270): ten colours chosen to differ in lightness too, so that colour-blind people
# tell them apart; then the same ten, the light ones darkened and the dark ones lightened.
PALETTE = (
    *(
        "#3f90da",
        "#ffa90e",
        "#bd1f01",
        "#94a4a2",
        "#832db6",
        "#a96b59",
        "#e76300",
        "#b9ac70",
        "#717581",
        "#92dadb",
    ),
    *(
        "#235a8c",
        "#a86c00",
        "#e8806c",
        "#56625f",
        "#be86de",
        "#d9aea2",
        "#8f3d00",
        "#756b37",
        "#aeb2bd",
        "#3f8f91",
    ),
)


@dataclass(frozen=True)
class Classes:
    """The classes that have items, in the order of a legend.

    Up to 20 classes keep the order of their labels. More than that come by size, so that the 20 largest have
    a colour of their own; from there on colours repeat.

    Attributes:
        of_item: (N,) int32, each item's place in this order.
        names: of the classes, printable and not empty.
        sizes: (C,) items per class, each at least 1.
        colours: one "#rrggbb" per class.
    """

    of_item: NDArray[np.int32]
    names: list[str]
    sizes: NDArray[np.int64]
    colours: list[str]


def classes_of(labels: Any, names: Sequence[str], items: int) -> Classes:
    """Classes of (N,) integer labels; `names[label]` is a label's name.

    Raises:
        UsageError: not one label per item, or a label without a name.
    """
    label = np.asarray(labels, dtype=np.int64)
    if label.shape != (items,):
        raise UsageError("A map has one label per point", f"{label.size} labels, {items} points", "")
    if not 0 <= label.min() <= label.max() < len(names):
        raise UsageError(
            "A label is the index of its name",
            f"labels {label.min()} to {label.max()} for {len(names)} names",
            "Pass one name per label.",
        )
    present, of_item, sizes = np.unique(label, return_inverse=True, return_counts=True)
    if len(present) > len(PALETTE):
        order = np.argsort(-sizes, kind="stable")
        of_item = np.argsort(order)[of_item]
        present, sizes = present[order], sizes[order]
    return Classes(
        of_item.astype(np.int32),
        [printable(names[int(i)]) or f"(class {i})" for i in present],
        sizes,
        [PALETTE[place % len(PALETTE)] for place in range(len(present))],
    )
