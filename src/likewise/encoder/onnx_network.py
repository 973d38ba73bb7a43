"""A network that came as an ONNX file, and the session that computes it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.encoder.onnx_file import contents_of
from likewise.errors import ModelError, UsageError

Layout = Literal["nchw", "nhwc"]
CHANNELS_AT: dict[Layout, int] = {"nchw": 0, "nhwc": 2}  # among the three lengths of a picture
FLOAT = "tensor(float)"  # onnxruntime's word for float32
NUMBERS = (FLOAT, "tensor(float16)", "tensor(double)")


@final
@dataclass(frozen=True)
class Takes:
    """What a network takes; None for what it leaves open.

    Attributes:
        name: of its input.
        layout: "nchw" has the channels before height and width, "nhwc" behind.
        batch: how many at a time.
        channels, height, width: of each.
    """

    name: str
    layout: Layout
    batch: int | None
    channels: int | None
    height: int | None
    width: int | None


@final
class Network:
    """An ONNX file that is ready to be computed, on the CPU and with as many threads as torch uses.

    Many threads may run one network at a time.

    Args:
        content: of the file.
        name: of the file, for messages.

    Attributes:
        content: of the file.
        sha256: of it, in hexadecimal.
        numbers: how many its tensors hold together.

    Raises:
        ModelError: the file is damaged or no ONNX, keeps numbers in other files, or has steps onnxruntime lacks.
        UsageError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, name: str) -> None:
        try:
            found = contents_of(content)
        except ValueError as error:
            raise ModelError(
                "A network is a whole ONNX file", f"{name!r}, which is none, or cut short: {error}", "Get it again."
            ) from error
        if not found.whole:  # what is fingerprinted and copied would not be all that counts
            raise ModelError(
                "A network is one file",
                f"{name!r}, whose numbers are in others",
                "Save it with all of them inside: onnx.save(onnx.load(FILE), ONE_FILE).",
            )
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what matters comes as an exception
        options.add_session_config_entry("session.load_model_format", "ONNX")  # and not the other format it can guess
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn a core each
        try:
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # its exceptions have nothing else in common
            raise ModelError(
                "onnxruntime can compute a network", f"{name!r}: {_reason(error)}", "Export it for this version of it."
            ) from error
        self.content, self.name, self.numbers = content, name, found.numbers
        self.sha256 = hashlib.sha256(content).hexdigest()

    def pictures(self, layout: Layout | None = None) -> Takes:
        """Its one input.

        Args:
            layout: None to tell by where there are 1 or 3 of something; "nchw" if that could be anywhere.

        Raises:
            ModelError: it takes something else than one batch of pictures in float32.
            UsageError: it has another layout.
        """
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != FLOAT or len(inputs[0].shape) != 4:
            raise ModelError(
                "A network takes one input, pictures as float32 (N, C, H, W) or (N, H, W, C)",
                f"{self.name!r}, which takes {_said(inputs)}",
                "Export it so.",
            )
        batch, *shape = [length if isinstance(length, int) and length > 0 else None for length in inputs[0].shape]
        may_be: list[Layout] = [kind for kind, at in CHANNELS_AT.items() if shape[at] in (1, 3, None)]
        surely: list[Layout] = [kind for kind in may_be if shape[CHANNELS_AT[kind]] is not None]
        if layout is not None and layout not in CHANNELS_AT:
            raise UsageError(f"A layout is one of {', '.join(CHANNELS_AT)}", repr(layout))
        if not may_be:
            raise ModelError(
                "Pictures have 1 or 3 channels", f"{self.name!r}, which takes {_said(inputs)}", "Export it so."
            )
        if layout is not None and layout not in may_be:
            raise UsageError(f"This network takes {_said(inputs)}", f"layout {layout}", f"Pass {may_be[0]}.")
        chosen = layout or (surely or may_be)[0]
        channels, height, width = shape if chosen == "nchw" else (shape[2], shape[0], shape[1])
        return Takes(inputs[0].name, chosen, batch, channels, height, width)

    def output(self, name: str | None = None) -> str:
        """The name of its output (N, D): the one of that shape, or the one called `name`.

        Raises:
            ModelError: it gives nothing of that shape.
            UsageError: there are several, or none of that name.
        """
        outputs = self._session.get_outputs()
        # Where an exporter has left the shape of an output open it has none here; running the network will tell.
        rows = [o for o in outputs if o.type in NUMBERS and len(o.shape) in (0, 2)]
        if name is not None:
            named = [o for o in outputs if o.name == name]
            if not named:
                raise UsageError(f"This network gives {_said(outputs)}", f"output {name!r}")
            if named[0] not in rows:
                raise UsageError("Embeddings are an output of shape (N, D)", _said(named), "Name another.")
            return name
        if not rows:
            raise ModelError(
                "A network gives embeddings as an output of shape (N, D)",
                f"{self.name!r}, which gives {_said(outputs)}",
                "Export it up to its embeddings, flattened.",
            )
        if len(rows) > 1:
            raise UsageError(
                "One output of a network is the embedding",
                _said(rows),
                f"Name it: --output {rows[0].name}, say.",
            )
        return rows[0].name

    def run(self, takes: str, pictures: NDArray[np.float32], gives: str) -> NDArray[Any]:
        """Output `gives` for the input called `takes`.

        Raises:
            ModelError: it cannot be computed.
        """
        try:
            (found,) = self._session.run([gives], {takes: pictures})
        except Exception as error:  # as above
            raise ModelError(
                "A network computes pictures of the size it was made for",
                f"{pictures.shape} to {self.name!r}: {_reason(error)}",
                "Check size and layout.",
            ) from error
        return np.asarray(found)


def _onnxruntime() -> Any:
    # Its builds of 2026 send reports of use to their makers, from the moment they are imported. Faces are at work
    # here: that is for a person to switch on, by setting this to 0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            "ONNX files are computed by onnxruntime", "none installed", 'pip install "likewise[onnx]".'
        ) from error
    return onnxruntime


def _reason(error: Exception) -> str:
    """What onnxruntime says, without its codes."""
    said = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    return said if len(said) <= 300 else f"{said[:300]}..."


def _said(ports: list[Any]) -> str:
    """Inputs or outputs in words: data float (1, 3, ?, ?)."""
    said: list[str] = []
    for port in ports:
        shape = ", ".join(str(length) if isinstance(length, int) else "?" for length in port.shape)
        said.append(f"{port.name} {port.type.removeprefix('tensor(').removesuffix(')')} ({shape})")
    return ", ".join(said) or "nothing"
