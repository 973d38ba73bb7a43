"""A detector as one ONNX graph: pixels in, boxes and scores out, for programs without Python."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from likewise.apps.detect.model import OVERLAP, Detector
from likewise.encoder import begun_with
from likewise.errors import UsageError
from likewise.media.files import replacing_file
from likewise.objective.yolo import grid_of

OPSET = 17
BATCH = "pictures"  # what the file calls the axis of them


def export(model: Detector, file: str | Path, threshold: float | None = None) -> dict[str, str]:
    """Writes a detector as ONNX, and returns the metadata that the file holds.

    Input: `pixels` (N, C, height, width) float32 in [0, 1]: a picture that keeps its aspect ratio, in the middle of a
    black page. Outputs: `boxes` (N, K, 4) left, top, right and bottom in pixels of that page, and `scores` (N, K,
    classes). What remains to do is to leave out scores below the threshold, and of boxes of one class that overlap all
    but the surest: both numbers are in the metadata.

    Args:
        model: what to write.
        file: where to; replaced in one step.
        threshold: of scores, for the metadata; None for the model's own.

    Raises:
        UsageError: the package onnx is not installed, or a threshold outside [0, 1].
        DataError: it cannot be written.
    """
    threshold = model.threshold if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise UsageError("A threshold of scores is from 0 to 1", threshold)
    try:
        import onnx
    except ImportError as error:
        raise UsageError("ONNX files are written by onnx", "none installed", 'pip install "likewise[onnx]".') from error
    metadata = {
        "names": json.dumps(list(model.head.names)),
        "threshold": repr(threshold),
        "overlap": repr(OVERLAP),
        "pixels": f"{'grey' if model.how.channels == 1 else 'red, green, blue'} in [0, 1]; the whole picture, upright,"
        f" scaled to fit {model.how.width} x {model.how.height} and in the middle of black",
        "boxes": "left, top, right, bottom in these pixels",
        "fingerprint": model.fingerprint,
    }
    if (others := begun_with(model.encoder.trained)) is not None:
        metadata["weights_of_others"] = others
    look, pixels = Look(model).eval(), torch.zeros(1, *model.how.layout)
    with replacing_file(file) as fresh:
        with warnings.catch_warnings():  # the newer way of torch needs a package more
            warnings.simplefilter("ignore")
            torch.onnx.export(
                look, (pixels,), str(fresh), dynamo=False, opset_version=OPSET,
                input_names=["pixels"], output_names=["boxes", "scores"],
                dynamic_axes={name: {0: BATCH} for name in ("pixels", "boxes", "scores")},
            )  # fmt: skip
        graph = onnx.load(str(fresh))
        onnx.helper.set_model_props(graph, metadata)
        for output, example in zip(graph.graph.output, look(pixels), strict=True):  # the tracer leaves lengths open
            for dim, length in zip(output.type.tensor_type.shape.dim, example.shape, strict=True):
                if dim.dim_param != BATCH:
                    dim.dim_value = length
        onnx.checker.check_model(graph, full_check=True)
        fresh.write_bytes(graph.SerializeToString())
    return metadata


@final
class Look(nn.Module):
    """(N, C, H, W) in [0, 1] -> (N, K, 4) corners in pixels and (N, K, classes) scores; see `export`."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self._encoder, self._per_cell = model.encoder, model.head.per_cell
        self.register_buffer("side", torch.tensor([model.how.width, model.how.height], dtype=torch.float32))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        said = grid_of(self._encoder(pixels), self._per_cell)
        boxes, side = said.boxes.flatten(1, 3), self.get_buffer("side")
        middle, half = boxes[..., :2] * side, boxes[..., 2:] * side / 2
        return torch.cat([middle - half, middle + half], dim=-1), said.scores.flatten(1, 3)
