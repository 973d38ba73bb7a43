"""The streaming step of a model as one ONNX graph: samples in, probability out, for programs without Python.

The spectrogram is inside, as a convolution with the sines and cosines of a discrete Fourier transform, so that who
calls it needs a buffer of the last samples and onnxruntime, nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.apps.triggerword.events import EventRule
from likewise.apps.triggerword.model import TriggerWord
from likewise.encoder import Sounds, begun_with
from likewise.encoder.sequences import LEAK, LEAST, BandConvolution, Recurrent, SpeechBlock, SpeechTop
from likewise.encoder.sounds import FLOOR
from likewise.errors import UsageError
from likewise.media.files import replacing_file

OPSET = 17
IR_VERSION = 8  # of 2021: older programs read it

# Torch has the gates of a GRU in the order reset, update, new, ONNX update, reset, new; of an LSTM in the order input,
# forget, new, output, ONNX input, output, forget, new.
_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


def export(model: TriggerWord, file: str | Path, rule: EventRule | None = None) -> dict[str, str]:
    """Writes a model as ONNX, and returns the metadata that the file holds.

    Inputs: `samples` (1, N) float32 in [-1, 1], the last `first_samples` that were heard; `state` (1, 1, units), zeros
    at the beginning and then what the step before gave; of an LSTM `cell` too. Outputs: `probability` (1, 1),
    `next_state` and `next_cell`. A step is due whenever `every_samples` more have been heard. Of N = first_samples +
    k * every_samples, 1 + k steps are made at once, and `probability` is (1, 1 + k).

    Args:
        model: what to write.
        file: where to; replaced in one step.
        rule: what makes an event, for the metadata; None for the model's own.

    Raises:
        ModelError: the model is not calibrated, and there is no rule.
        UsageError: the package onnx is not installed.
        DataError: it cannot be written.
    """
    rule = model.rule() if rule is None else rule
    onnx = _onnx()
    how, times = model.sounds, model.times
    metadata = {
        "rate": str(how.rate),
        "first_samples": str(times.first),
        "every_samples": str(times.every),
        "threshold": repr(rule.threshold),
        "hits": str(rule.hits),
        "refractory_seconds": repr(rule.refractory),
        "fingerprint": model.fingerprint,
    }
    if (others := begun_with(model.encoder.trained)) is not None:
        metadata["weights_of_others"] = others
    graph = _Graph(onnx)
    sounds = graph.add("Unsqueeze", "samples", graph.constant(np.array([1])))  # (1, 1, N)
    h = _spectrogram(graph, sounds, how)
    for stage in model.encoder.stages.values():
        if isinstance(stage, BandConvolution):
            h = _convolution(graph, h, stage)
        elif isinstance(stage, SpeechBlock):
            h = _speech(graph, h, stage)
        elif isinstance(stage, SpeechTop):
            h = _speech_top(graph, h, stage)
        elif isinstance(stage, Recurrent):
            h = _recurrent(graph, h, stage)
        else:
            weight, bias = (_numbers(stage.state_dict()[name]) for name in ("weight", "bias"))
            h = graph.add("Add", graph.add("MatMul", h, graph.constant(weight.T)), graph.constant(bias))
    h = graph.add("Squeeze", h, graph.constant(np.array([2])))  # (1, steps, 1)
    graph.add("Sigmoid", h, into=("probability",))
    content = graph.model(model.encoder, metadata).SerializeToString()
    with replacing_file(file) as fresh:
        fresh.write_bytes(content)
    return metadata


class _Graph:
    """Nodes one after the other, and their constants."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.states: list[tuple[str, str, int]] = []  # input, output and length of each

    def constant(self, values: NDArray[Any]) -> str:
        """A tensor, by its name."""
        name = f"constant{len(self._constants)}"
        values = np.ascontiguousarray(values, np.int64 if values.dtype.kind == "i" else np.float32)
        self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, into: tuple[str, ...] = (), **options: Any) -> str:
        """A node; the name of its first output, or of the last that is named."""
        outputs = into or (f"{kind.lower()}{len(self._nodes)}",)
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, **options))
        return outputs[0]

    def model(self, encoder: Any, metadata: dict[str, str]) -> Any:
        """All of it, checked."""
        helper, number = self._onnx.helper, self._onnx.TensorProto.FLOAT
        inputs = [helper.make_tensor_value_info("samples", number, [1, "samples"])]
        outputs = [helper.make_tensor_value_info("probability", number, [1, "steps"])]
        for before, after, units in self.states:
            inputs.append(helper.make_tensor_value_info(before, number, [1, 1, units]))
            outputs.append(helper.make_tensor_value_info(after, number, [1, 1, units]))
        graph = helper.make_graph(self._nodes, encoder.backbone, inputs, outputs, self._constants)
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="likewise"
        )
        helper.set_model_props(made, metadata)
        self._onnx.checker.check_model(made, full_check=True)
        return made


def _spectrogram(graph: _Graph, sounds: str, how: Sounds) -> str:
    """`LogMel` of (1, 1, N) -> (1, mels, frames)."""
    t = np.arange(how.window)
    angle = 2 * np.pi / how.window * (np.outer(np.arange(how.window // 2 + 1), t) % how.window)
    waves = np.concatenate([np.cos(angle), np.sin(angle)]) * how.hann()
    parts = graph.add("Conv", sounds, graph.constant(waves[:, None]), strides=[how.hop], kernel_shape=[how.window])
    # The sum over both parts of a frequency and over the frequencies of a band is one product.
    mel = how.matrix().T  # (mels, frequencies)
    bands = graph.add("MatMul", graph.constant(np.concatenate([mel, mel], axis=1)), graph.add("Mul", parts, parts))
    level = graph.add("Log", graph.add("Add", bands, graph.constant(np.array(FLOOR))))
    mean, std = (np.array(values)[:, None] for values in (how.mean, how.std))
    return graph.add("Mul", graph.add("Sub", level, graph.constant(mean)), graph.constant(1 / std))


def _convolution(graph: _Graph, h: str, stage: BandConvolution) -> str:
    weight, norm = _numbers(stage.convolution.weight), stage.norm.state_dict()
    h = graph.add(
        "Conv", h, graph.constant(weight), strides=list(stage.convolution.stride), kernel_shape=[weight.shape[2]]
    )
    settled = [graph.constant(_numbers(norm[name])) for name in ("weight", "bias", "running_mean", "running_var")]
    return graph.add("Relu", graph.add("BatchNormalization", h, *settled, epsilon=stage.norm.eps))


def _speech(graph: _Graph, h: str, stage: SpeechBlock) -> str:
    """(1, mels, frames) for the first, else (1, C, bands, frames) -> (1, after, bands // 2, fewer)."""
    layers = stage.layers()
    if layers[0].in_channels == 1:
        h = graph.add("Unsqueeze", h, graph.constant(np.array([1])))
    for layer in layers:
        weight = _numbers(layer.weight)
        around = weight.shape[2] // 2
        h = graph.add(
            "Conv", h, graph.constant(weight), graph.constant(_numbers(layer.bias)),
            kernel_shape=list(weight.shape[2:]), pads=[around, 0, around, 0],
        )  # fmt: skip
        h = graph.add("Max", graph.add("LeakyRelu", h, alpha=LEAK), graph.constant(np.array(LEAST)))
    size = [2, stage.pool]
    return graph.add("MaxPool", h, kernel_shape=size, strides=size)


def _speech_top(graph: _Graph, h: str, stage: SpeechTop) -> str:
    """(1, C, 1, steps) -> (1, C, steps - 2)."""
    weight, norm = _numbers(stage.convolution.weight), stage.norm.state_dict()
    h = graph.add("Squeeze", h, graph.constant(np.array([2])))
    h = graph.add("Conv", h, graph.constant(weight), kernel_shape=[weight.shape[2]])
    one, none = (graph.constant(values) for values in (np.ones(weight.shape[0]), np.zeros(weight.shape[0])))
    settled = [graph.constant(_numbers(norm[name])) for name in ("running_mean", "running_var")]
    return graph.add("BatchNormalization", h, one, none, *settled, epsilon=stage.norm.eps)


def _recurrent(graph: _Graph, h: str, stage: Recurrent) -> str:
    """(1, C, steps) -> (1, steps, units)."""
    held = {name: _numbers(values) for name, values in stage.layer.state_dict().items()}
    weights, recurrences, *biases = (
        np.concatenate([np.split(held[f"{name}_l0"], len(_GATES[stage.kind]))[gate] for gate in _GATES[stage.kind]])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    given = [graph.constant(values[None]) for values in (weights, recurrences, np.concatenate(biases))]
    units = stage.layer.hidden_size
    rows = graph.add("Transpose", h, perm=[2, 0, 1])  # (steps, 1, C)
    kept = ("state",) if stage.kind == "gru" else ("state", "cell")
    graph.states += [(name, f"next_{name}", units) for name in kept]
    options = {"linear_before_reset": 1} if stage.kind == "gru" else {}
    found = graph.add(
        stage.kind.upper(), rows, *given, "", *kept, into=("heard", *(f"next_{name}" for name in kept)),
        hidden_size=units, **options,
    )  # fmt: skip
    found = graph.add("Squeeze", found, graph.constant(np.array([1])))  # (steps, 1, units): one direction
    return graph.add("Transpose", found, perm=[1, 0, 2])


def _numbers(values: Any) -> NDArray[np.float32]:
    return values.detach().cpu().float().numpy()


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise UsageError("ONNX files are written by onnx", "none installed", 'pip install "likewise[onnx]".') from error
    return onnx
