"""Which class reads an encoder of which engine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from likewise.encoder.encoding import Encoding
from likewise.errors import ModelError

ENGINES = {
    "torch": ("likewise.encoder.encoder", "Encoder"),
    "onnx": ("likewise.encoder.onnx", "OnnxEncoder"),
}  # -> module and class, imported when needed


def read_encoding(architecture: dict[str, Any], folder: Path) -> Encoding:
    """The encoder with this architecture, whose parameters are in `folder`.

    Raises:
        ModelError: the engine or the architecture is not one this version knows, or a file is missing or damaged.
    """
    engine = architecture.get("engine")
    if engine not in ENGINES:
        raise ModelError(
            f"A model is computed by {' or '.join(ENGINES)}", repr(engine), "Use the version that wrote it."
        )
    module, name = ENGINES[engine]
    return getattr(import_module(module), name).read(architecture, folder)
