"""The encoder: architecture + parameters + preprocessing + named taps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.backbones import BACKBONES, SMALLEST_SIDE
from likewise.encoder.preprocessing import Item, Preprocessing, Progress, Resize
from likewise.encoder.seen import Seen
from likewise.errors import DataError, ModelError, UsageError
from likewise.objective.distances import DISTANCES, Distance, Euclidean

DECODED_AT_ONCE = 256 << 20  # bytes of pixels decoded and held in memory at a time while encoding
ENCODED_AT_ONCE = 8 << 20  # pixels in a pass through the network, whose inner outputs take some hundred bytes for each
EMBEDDING = "embedding"  # the last tap


@final
@dataclass(frozen=True)
class Encoded:
    """What encoding many items gave.

    Attributes:
        embeddings: (n, D) float32, one row per readable item.
        kept: (n,) int64, positions of those items among the ones given.
        problems: position and one-line reason of each item that was skipped.
    """

    embeddings: Tensor
    kept: NDArray[np.int64]
    problems: tuple[tuple[int, str], ...]


@final
class Encoder(nn.Module):
    """Turns items into embeddings: (N, C, H, W) -> (N, D).

    An encoder made without preprocessing takes its shape from the data it is first fitted to (`build`).

    Args:
        backbone: a name from `BACKBONES`.
        dim: D, length of an embedding, at least 1.
        preprocessing: how items become tensors; None to take it from the training data.
        size: side, or (height, width), in pixels that pictures are brought to when preprocessing comes from the data;
            None for what suits them (see `Preprocessing.of`).
        resize: how: "squash", "pad" or "crop".
        unit: whether embeddings have unit length; None to do what the objective asks for.
        distance: what embeddings are compared with; training puts the objective's in its place.
        seed: of the initial weights.

    Raises:
        UsageError: unknown backbone, impossible dimension, pictures too small for the backbone.
    """

    def __init__(
        self,
        backbone: str = "convnet-small",
        dim: int = 128,
        *,
        preprocessing: Preprocessing | None = None,
        size: int | tuple[int, int] | None = None,
        resize: Resize = "squash",
        unit: bool | None = None,
        distance: Distance | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise UsageError(f"A backbone is one of {', '.join(BACKBONES)}", repr(backbone))
        if not 1 <= dim <= 65536:
            raise UsageError("An embedding has 1 to 65536 dimensions", dim, "64 and 128 are usual.")
        self.backbone, self.dim, self.seed = backbone, dim, seed
        self.unit = bool(unit)
        self.follows_objective = unit is None  # then fit sets `unit` to what the objective asks for
        self.size = size
        self.resize: Resize = resize
        self.preprocessing = preprocessing
        self.trained: dict[str, Any] = {}  # how it was trained, JSON-ready; filled by fit
        self.seen = Seen()  # and on what, by content; filled by fit
        self.stages = nn.ModuleDict()
        self.distance: Distance = distance or Euclidean()
        if preprocessing is not None:
            self.build(preprocessing)

    def build(self, preprocessing: Preprocessing) -> None:
        """Makes the layers for items of this shape; the same seed gives the same weights.

        Raises:
            UsageError: the pictures are too small for the backbone.
        """
        least = SMALLEST_SIDE.get(self.backbone, 4)
        if min(preprocessing.height, preprocessing.width) < least:
            raise UsageError(
                f"Backbone {self.backbone} takes pictures of at least {least} pixels a side",
                f"{preprocessing.height} x {preprocessing.width}",
                "Pass a larger size or another backbone.",
            )
        self.preprocessing = preprocessing
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed would seed the GPUs too
            network = BACKBONES[self.backbone](preprocessing.shape)
            self.stages = nn.ModuleDict({**network.stages, EMBEDDING: nn.Linear(network.features, self.dim)})
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, -1, 1, 1), persistent=False)

    def distance_on_cpu(self) -> Distance:
        """The distance where embeddings are; a copy if the encoder itself is elsewhere."""
        here = all(p.device.type == "cpu" for p in self.distance.parameters())
        return self.distance if here else deepcopy(self.distance).cpu()

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the inner outputs, from the first stage to "embedding"."""
        return tuple(self.stages)

    @property
    def parameters_count(self) -> int:
        """How many numbers training may change."""
        return sum(p.numel() for p in self.parameters())

    def ready(self) -> Preprocessing:
        """The preprocessing.

        Raises:
            UsageError: there is none yet.
        """
        if self.preprocessing is None:
            raise UsageError(
                "An encoder knows the shape of its items before it encodes",
                None,
                "Fit it first, or pass preprocessing=.",
            )
        return self.preprocessing

    @overload
    def forward(self, x: Tensor) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, taps: Sequence[str]) -> dict[str, Tensor]: ...
    def forward(self, x: Tensor, taps: Sequence[str] | None = None) -> Tensor | dict[str, Tensor]:
        """(N, C, H, W), uint8 or float in [0, 1], -> (N, D), or one tensor per asked tap.

        Args:
            x: pixels; scaled and standardised here.
            taps: names from `taps`; what lies behind the last of them is not computed.

        Raises:
            UsageError: wrong shape or unknown tap.
        """
        expected = self.ready().shape
        if x.ndim != 4 or x.shape[1:] != expected:
            raise UsageError(f"This encoder takes items of shape {expected}", tuple(x.shape[1:]))
        wanted = {EMBEDDING} if taps is None else set(taps)
        unknown = wanted - set(self.stages)
        if unknown:
            raise UsageError(f"Taps of this encoder are {', '.join(self.stages)}", ", ".join(sorted(unknown)))
        found: dict[str, Tensor] = {}
        scaled = x.float() / 255 if x.dtype == torch.uint8 else x
        h = ((scaled - self.get_buffer("mean")) / self.get_buffer("std")).contiguous(memory_format=torch.channels_last)
        for name, stage in self.stages.items():
            if len(found) == len(wanted):
                break
            h = stage(h)
            if name == EMBEDDING and self.unit:
                h = F.normalize(h.float(), dim=1)  # in bfloat16 lengths would be 1 +- 0.004
            if name in wanted:
                found[name] = h
        return found[EMBEDDING] if taps is None else found

    def encode(
        self,
        items: Sequence[Item] | NDArray[Any] | Tensor,
        *,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Encoded:
        """Embeddings of paths, bytes, arrays or pictures, in float32.

        Args:
            items: what to encode; a uint8 tensor (N, C, H, W) is taken as decoded already.
            batch: items per pass through the network; None for 256, and fewer of large pictures.
            progress: called with items done, items in all, and a word.

        Returns:
            One row per readable item; what could not be read is listed in `problems`.

        Raises:
            UsageError: a lone path, bytes or picture, or a tensor of another shape.
        """
        if _is_lone(items):
            raise UsageError("Items are encoded in a list", f"a lone {type(items).__name__}", "Pass [item].")
        preprocessing = self.ready()
        blocks: list[Tensor] = []
        kept: list[NDArray[np.int64]] = []
        problems: list[tuple[int, str]] = []
        total, area = len(items), preprocessing.height * preprocessing.width
        at_once = max(1, min(4096, DECODED_AT_ONCE // (area * preprocessing.channels)))
        if batch is None:
            batch = max(1, min(256, ENCODED_AT_ONCE // area))
        device = next(self.parameters()).device
        with evaluating(self), torch.inference_mode():
            for start in range(0, total, at_once):
                block = items[start : start + at_once]
                if isinstance(block, Tensor):
                    pixels, readable = block, np.arange(len(block))
                else:
                    decoded = preprocessing.decode(block)
                    pixels, readable = decoded.pixels, decoded.kept
                    problems += [(start + i, reason) for i, reason in decoded.problems]
                kept.append(start + readable)
                blocks += [self(part.to(device)).float().cpu() for part in pixels.split(batch) if len(part)]
                if progress:
                    progress(min(start + at_once, total), total, "encoding")
        embeddings = torch.cat(blocks) if blocks else torch.empty(0, self.dim)
        return Encoded(embeddings.clone(), np.concatenate(kept) if kept else np.empty(0, np.int64), tuple(problems))

    def encode_all(self, items: Sequence[Item] | NDArray[Any]) -> Tensor:
        """(N, D) float32; every item must be readable.

        Raises:
            DataError: one is not.
        """
        encoded = self.encode(items)
        if encoded.problems:
            raise DataError(encoded.problems[0][1].rstrip("."))
        return encoded.embeddings

    def architecture(self) -> dict[str, Any]:
        """All but the parameters, JSON-ready; `Encoder.from_architecture` makes it again."""
        return {
            "backbone": self.backbone,
            "dim": self.dim,
            "unit": self.unit,
            "taps": list(self.taps),
            "distance": {"name": self.distance.name, **self.distance.options()},
            "preprocessing": self.ready().as_dict(),
        }

    def parameters_for_use(self) -> dict[str, Tensor]:
        """Parameters and running figures by name, on the CPU, in one canonical memory layout."""
        return {name: value.detach().cpu().contiguous().clone() for name, value in self.state_dict().items()}

    def fingerprint(self) -> str:
        """SHA-256 over architecture and parameters: equal exactly where embeddings are comparable."""
        digest = hashlib.sha256(json.dumps(self.architecture(), sort_keys=True).encode())
        for name, tensor in sorted(self.parameters_for_use().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @classmethod
    def from_architecture(cls, values: dict[str, Any]) -> Encoder:
        """An encoder with initial weights.

        Raises:
            ModelError: the description is not one this version understands.
        """
        try:
            distance = dict(values["distance"])
            encoder = cls(
                values["backbone"],
                values["dim"],
                distance=DISTANCES[distance.pop("name")](**distance),
                preprocessing=Preprocessing.from_dict(values["preprocessing"]),
            )
            encoder.unit = bool(values["unit"])
            if list(encoder.taps) != values["taps"]:
                raise ValueError(f"taps {', '.join(encoder.taps)}, the model says {', '.join(values['taps'])}")
        except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:  # RuntimeError: too large
            raise ModelError(
                "A model's architecture is one this version knows",
                str(error),
                "Use the version that wrote it.",
            ) from error
        return encoder


def _is_lone(items: object) -> bool:
    """Whether `items` is one item; paths, bytes and pictures are sequences too, of what cannot be encoded.

    (H, W, C) could be H grey pictures as wide as a picture has channels, but is not.
    """
    if isinstance(items, np.ndarray):
        return items.ndim == 2 or (items.ndim == 3 and items.shape[2] in (1, 3, 4) and items.shape[2] < items.shape[1])
    return isinstance(items, (str, bytes, bytearray)) or not isinstance(items, (Sequence, Tensor))


@contextmanager
def evaluating(module: nn.Module) -> Generator[None]:
    """Within it, batch normalisation uses its running figures; afterwards the mode is as before."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
