"""An encoder that came as an ONNX file: its embeddings can be used like any others, but it stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, final, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.encoder.encoding import Encoding, digest_of
from likewise.encoder.files import NETWORK
from likewise.encoder.onnx_network import Layout, Network
from likewise.encoder.pictures import Pictures
from likewise.encoder.seen import Seen
from likewise.errors import ModelError, UsageError
from likewise.objective.distances import DISTANCES, Cosine, Distance

Color = Literal["rgb", "bgr"]
COMPARED_BY = ("cosine", "euclidean")  # the distances that need no training
COMPUTED_AT_ONCE = 1 << 19  # pixels in a pass through the network; more at once are no faster, and need more memory


@final
class OnnxEncoder(Encoding):
    """Turns items into embeddings by a network in an ONNX file, which onnxruntime computes on the CPU.

    It has one tap, "embedding", and cannot be trained.

    Args:
        network: as read from the file.
        backbone: what to call it.
        preprocessing: how items become tensors. Its mean and std are those of red, green and blue in this order,
            whatever the order in which the network takes them.
        distance: what embeddings are compared with: `Cosine` (None) or `Euclidean`.
        unit: whether embeddings are scaled to length 1.
        output: name of the network's output (N, D); None where there is one.
        color: order in which the network takes the channels: "rgb" or "bgr".
        layout: "nchw" or "nhwc"; None to tell by the shape of its input.
        batch: pictures that the network takes at a time, no fewer and no more; None for what its input says.
        published: the distance up to which its makers take two for the same; None where they have not said.

    Raises:
        ModelError: the network does not turn one batch of pictures into one of embeddings.
        UsageError: options that do not fit the network.
    """

    libraries = ("onnxruntime",)

    def __init__(
        self,
        network: Network,
        backbone: str,
        preprocessing: Pictures,
        *,
        distance: Distance | None = None,
        unit: bool = False,
        output: str | None = None,
        color: Color = "rgb",
        layout: Layout | None = None,
        batch: int | None = None,
        published: float | None = None,
    ) -> None:
        takes = network.pictures(layout)
        fixed = takes.channels, takes.height, takes.width
        if any(want is not None and want != have for want, have in zip(fixed, preprocessing.shape, strict=True)):
            wanted = " x ".join("any" if length is None else str(length) for length in fixed)
            raise UsageError(
                f"This network takes pictures of {wanted} (channels, height, width)",
                " x ".join(map(str, preprocessing.shape)),
            )
        if color not in get_args(Color):
            raise UsageError(f"Channels are in the order {' or '.join(get_args(Color))}", repr(color))
        if batch is not None and (type(batch) is not int or batch < 1 or takes.batch not in (None, batch)):
            raise UsageError(f"This network takes {takes.batch or 'some'} pictures at a time", batch)
        if published is not None and not 0 < published < float("inf"):
            raise UsageError("A distance up to which two are the same is above 0", published)
        self.distance = Cosine() if distance is None else distance
        if self.distance.name not in COMPARED_BY:
            raise UsageError(
                f"Embeddings of a fixed encoder are compared by {' or '.join(COMPARED_BY)} distance", self.distance.name
            )
        self.network, self.backbone, self.preprocessing = network, backbone, preprocessing
        self.unit, self.color, self.layout, self.published = unit, color, takes.layout, published
        self.output, self.batch = network.output(output), takes.batch if batch is None else batch
        self.trained: dict[str, Any] = {}
        self.seen = Seen()
        self._input = takes.name
        self._mean, self._std = (
            torch.tensor(value).reshape(-1, 1, 1) for value in (preprocessing.mean, preprocessing.std)
        )
        black = torch.zeros((self.batch or 1, *preprocessing.shape), dtype=torch.uint8)
        self.dim = self._computed(black).shape[1]

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of what it gives: the embedding only."""
        return ("embedding",)

    def __call__(self, x: Tensor, taps: Sequence[str] | None = None) -> NoReturn:
        """Refused: what is computed elsewhere has neither gradient nor inner outputs.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "Only an encoder that torch computes has taps and gradients",
            "one that onnx computes",
            "Use encode or embed.",
        )

    def embed(self, values: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, D) float32.

        Raises:
            UsageError: pixels of another shape.
            ModelError: the network gives something else than numbers, or none.
        """
        expected = self.ready().shape
        if values.ndim != 4 or values.shape[1:] != expected or values.dtype != torch.uint8:
            raise UsageError(
                f"This encoder takes uint8 items of shape {expected}", f"{values.dtype} {tuple(values.shape[1:])}"
            )
        at_once = self.batch or max(1, COMPUTED_AT_ONCE // (expected[1] * expected[2]))
        blocks = [self._computed(block) for block in values.split(at_once) if len(block)]
        found = torch.cat(blocks) if blocks else torch.empty(0, self.dim)
        return F.normalize(found, dim=1) if self.unit else found

    def _computed(self, pixels: Tensor) -> Tensor:
        """What one pass through the network gives; where it wants more pictures, the last one stands in for them."""
        x = (pixels.float() / 255 - self._mean) / self._std
        if self.color == "bgr":
            x = x.flip(1)
        if self.batch is not None and len(x) < self.batch:
            x = torch.cat([x, x[-1:].expand(self.batch - len(x), -1, -1, -1)])
        rows = x if self.layout == "nchw" else x.permute(0, 2, 3, 1)
        found = self.network.run(self._input, np.ascontiguousarray(rows.numpy()), self.output)
        if found.ndim != 2 or len(found) != len(x) or not found.shape[1]:
            raise ModelError(
                f"A network gives an embedding for each of {len(x)} pictures, (N, D)", f"shape {found.shape}"
            )
        embeddings = torch.from_numpy(found[: len(pixels)].astype(np.float32))
        if not embeddings.isfinite().all():
            raise ModelError(
                "Embeddings are finite numbers",
                f"others from {self.network.name!r}",
                "Check mean and std, or export it in float32.",
            )
        return embeddings

    @property
    def parameters_count(self) -> int:
        """How many numbers its network goes by."""
        return self.network.numbers

    def architecture(self) -> dict[str, Any]:
        """All but the network, JSON-ready."""
        return {
            "engine": "onnx",
            "backbone": self.backbone,
            "dim": self.dim,
            "unit": self.unit,
            "taps": list(self.taps),
            "distance": {"name": self.distance.name, **self.distance.options()},
            "output": self.output,
            "color": self.color,
            "layout": self.layout,
            "batch": self.batch,
            "published": self.published,
            "preprocessing": self.ready().as_dict(),
        }

    def fingerprint(self) -> str:
        """SHA-256 over architecture and network: equal exactly where embeddings are comparable."""
        return digest_of(self.architecture(), [(NETWORK, self.network.sha256.encode())])

    def write_parameters(self, folder: Path) -> None:
        """Writes ``model.onnx``, byte for byte as it came."""
        (folder / NETWORK).write_bytes(self.network.content)

    @classmethod
    def read(cls, architecture: dict[str, Any], folder: Path) -> OnnxEncoder:
        """The encoder whose network is in `folder`.

        Raises:
            ModelError: the description is not one this version understands, or the file is missing or damaged.
            UsageError: onnxruntime, or what the prepare step needs, is not installed.
        """
        path = folder / NETWORK
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(
                "A model's network can be read", f"{str(path)!r}: {error.strerror}", "Copy the folder again."
            ) from error
        network = Network(content, str(path))
        preprocessing = Pictures.from_dict(architecture.get("preprocessing", {}))
        try:
            distance = dict(architecture["distance"])
            return cls(
                network,
                str(architecture["backbone"]),
                preprocessing,
                distance=DISTANCES[distance.pop("name")](**distance),
                unit=bool(architecture["unit"]),
                output=architecture["output"],
                color=architecture["color"],
                layout=architecture["layout"],
                batch=architecture["batch"],
                published=architecture["published"],
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelError(
                "A model's architecture is one this version knows", str(error), "Use the version that wrote it."
            ) from error
