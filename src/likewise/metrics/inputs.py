"""What every figure accepts: embeddings and integer labels, as tensors or arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError

Array = Tensor | NDArray[Any]


def checked_embeddings(embeddings: Array) -> Tensor:
    """The embeddings as a float32 tensor on the processor, where all figures are computed.

    Args:
        embeddings: (N, D), any floating type.

    Raises:
        DataError: not two-dimensional, or a value that is not a finite number.
    """
    tensor = torch.as_tensor(embeddings).detach().to("cpu", torch.float32)
    if tensor.ndim != 2:
        raise DataError(
            "Embeddings have the shape (items, dimensions)",
            tuple(tensor.shape),
            "Pass one row for each item.",
        )
    broken = (~tensor.isfinite()).any(dim=1).nonzero().flatten()
    if len(broken):
        raise DataError(
            "Embeddings are finite numbers",
            f"NaN or infinity in {len(broken)} of {len(tensor)} rows, the first in row {int(broken[0])}",
            "Look at that item, and at the training loss: a run that diverged gives such embeddings.",
        )
    return tensor


def checked(embeddings: Array, labels: Array) -> tuple[Tensor, Tensor]:
    """Embeddings as float32 and labels as int64: integers stay integers, however large.

    Args:
        embeddings: (N, D), any floating type.
        labels: (N,), any integer type.

    Raises:
        DataError: the embeddings are not (N, D) finite numbers, or the labels not N integers.
    """
    tensor = checked_embeddings(embeddings)
    whole = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if whole.dtype.kind not in "iu":
        raise DataError("Labels are integers", whole.dtype, "Number the identities 0, 1, 2, ...")
    if whole.shape != (len(tensor),):
        raise DataError(
            "There is one label for each embedding",
            f"{len(tensor)} embeddings and labels of shape {whole.shape}",
            "Pass both in the same order and of the same length.",
        )
    return tensor, torch.from_numpy(whole.astype(np.int64))
