"""What "near" means on a map: each metric is the Euclidean distance between suitably prepared rows."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import normalize

from likewise.errors import DataError, UsageError
from likewise.metrics.inputs import Array, checked_embeddings


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(1, keepdim=True)


# With unit rows |a - b|^2 = 2 (1 - cos), and the correlation of two rows is the cosine of the centred rows:
# the order of neighbours is that of the named metric. A row without direction (all zero, or constant under
# "correlation") becomes the zero row: as far from every direction as from any other.
METRICS: dict[str, Callable[[Tensor], Tensor]] = {
    "correlation": lambda rows: normalize(_centred(rows)),
    "cosine": normalize,
    "euclidean": lambda rows: rows,
}


def prepared(embeddings: Array, metric: str) -> Tensor:
    """Rows whose Euclidean distances order as `metric` orders those of `embeddings`.

    Args:
        embeddings: (N, D) tensor or array, N >= 1, finite.
        metric: a name in `METRICS`.

    Returns:
        (N, D) float32 tensor on the CPU.

    Raises:
        UsageError: unknown metric.
        DataError: no rows, another shape, or values that are not finite.
    """
    if metric not in METRICS:
        raise UsageError(f"A map's metric is one of {', '.join(METRICS)}", metric, "Choose one of them.")
    rows = checked_embeddings(embeddings)
    if 0 in rows.shape:
        raise DataError("A map needs at least one item and one dimension", tuple(rows.shape))
    return METRICS[metric](rows)
