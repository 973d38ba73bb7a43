"""Small embedding networks as ONNX files, with the same network in torch to compare with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

onnx = pytest.importorskip("onnx", reason="test networks are written with the package onnx")
if find_spec("onnxruntime") is None:  # not imported here: the product sets it up before
    pytest.skip("ONNX files are computed by onnxruntime", allow_module_level=True)

FILTERS = 6
Shape = list[int | str | None]


def tensor(name: str, values: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(values), name)


def write(
    file: Path, nodes: list[Any], tensors: list[Any], inputs: dict[str, Shape], outputs: dict[str, Shape | None]
) -> Path:
    """An ONNX file of float32 inputs and outputs of these shapes."""
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "drawn",
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        tensors,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    return file


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs, outputs, **attributes)


def embedder(
    file: Path,
    *,
    batch: int | str | None = "N",
    channels: int = 3,
    side: int | str = 8,
    dim: int = 5,
    layout: str = "nchw",
    flattened_for_one: bool = False,
) -> tuple[Path, Callable[[Tensor], Tensor]]:
    """A 3 x 3 convolution, rectified, averaged over a grid of 2 x 2, and a linear layer: with seed 0.

    Returns:
        The file, and the same as a function of float32 (N, C, H, W).
    """
    rng = np.random.default_rng(0)
    filters = rng.normal(0, 0.5, (FILTERS, channels, 3, 3)).astype(np.float32)
    weight = rng.normal(0, 0.5, (dim, FILTERS * 4)).astype(np.float32)
    bias = rng.normal(0, 0.1, dim).astype(np.float32)
    half = side // 2 if isinstance(side, int) else 4
    shape: Shape = [batch, channels, side, side] if layout == "nchw" else [batch, side, side, channels]
    first = "x" if layout == "nchw" else "turned"
    nodes = [
        *([] if layout == "nchw" else [node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2])]),
        node("Conv", [first, "filters"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("AveragePool", ["r"], ["p"], kernel_shape=[half, half], strides=[half, half]),
        node("Reshape", ["p", "rows"], ["f"]),
        node("Gemm", ["f", "weight", "bias"], ["embedding"], transB=1),
    ]
    rows = [1, -1] if flattened_for_one else [-1, FILTERS * 4]
    tensors = [tensor("filters", filters), tensor("weight", weight), tensor("bias", bias),
               tensor("rows", np.array(rows, np.int64))]  # fmt: skip

    def same(x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(F.relu(F.conv2d(x, torch.from_numpy(filters), padding=1)), half)
        return pooled.flatten(1) @ torch.from_numpy(weight).T + torch.from_numpy(bias)

    return write(file, nodes, tensors, {"x": shape}, {"embedding": [batch, dim]}), same
