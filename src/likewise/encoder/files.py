"""The files of an encoder's parameters."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from likewise.errors import ModelError

PARAMETERS = "model.safetensors"
NETWORK = "model.onnx"  # of an encoder that came as one


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file, by name.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        reason = "missing" if not path.exists() else str(error).splitlines()[0]
        raise ModelError(
            "A model's tensors can be read",
            f"{str(path)!r}: {reason}",
            "The folder is damaged; copy it again.",
        ) from error
