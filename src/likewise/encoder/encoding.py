"""What turns items into embeddings, whichever engine computes them."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.encoder.preprocessing import Decoded, Item, Preprocessing, Progress
from likewise.encoder.seen import Seen
from likewise.errors import DataError, UsageError
from likewise.objective.distances import Distance
from likewise.prepare import Box

DECODED_AT_ONCE = 256 << 20  # bytes of items decoded and held in memory at a time while encoding
ENCODED_AT_ONCE = 8 << 20  # pixels (or points of spectrograms) in a pass through the network: some hundred bytes each


@final
@dataclass(frozen=True)
class Encoded:
    """What encoding many items gave.

    Attributes:
        embeddings: (n, D) float32, one row per part that was encoded.
        kept: (n,) int64, positions of the items they are of, among the ones given; never falling.
        problems: position and one-line reason of each item that was skipped.
        boxes: (n) where in its picture each part is; None for all of it. Empty where all are.
        flaws: (n) why nothing should be decided by a part, None for good ones. Empty where all are good.
    """

    embeddings: Tensor
    kept: NDArray[np.int64]
    problems: tuple[tuple[int, str], ...]
    boxes: tuple[Box | None, ...] = field(default=())
    flaws: tuple[str | None, ...] = field(default=())


class Encoding(ABC):
    """An encoder of any engine: preprocessing, embeddings of pixels, and what these are compared with.

    Attributes:
        backbone: what its network is called.
        dim: D, length of an embedding.
        unit: whether embeddings have unit length.
        distance: what embeddings are compared with.
        preprocessing: how items become tensors; None before it is known.
        trained: how it was trained, JSON-ready.
        seen: on what, by content.
        published: the distance up to which its makers take two for the same; None where nobody has said.
        libraries: packages that decide what it computes, beside those of every model.
    """

    backbone: str
    dim: int
    unit: bool
    distance: Distance
    preprocessing: Preprocessing | None
    trained: dict[str, Any]
    seen: Seen
    published: float | None = None
    libraries: tuple[str, ...] = ()

    @abstractmethod
    def embed(self, values: Tensor) -> Tensor:
        """(N, *layout) whole numbers of the preprocessing -> (N, D) float32 on the CPU."""

    @property
    def embedded(self) -> tuple[int, ...]:
        """Shape of the embedding of an item: (D,), (S, D) of one per step, or (R, S, D) of one per cell."""
        return (self.dim,)

    @property
    @abstractmethod
    def parameters_count(self) -> int:
        """How many numbers its network goes by."""

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """All but the parameters, JSON-ready; with these, `likewise.encoder.read_encoding` makes it again."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 over architecture and parameters: equal exactly where embeddings are comparable."""

    @abstractmethod
    def write_parameters(self, folder: Path) -> None:
        """Writes them as files of their own."""

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

    def encode(
        self,
        items: Sequence[Item] | NDArray[Any] | Tensor,
        *,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Encoded:
        """Embeddings of paths, bytes or arrays, in float32: one per item.

        Where a prepare step finds several parts in an item, it is the most prominent one's.

        Args:
            items: what to encode; a tensor, (N, C, H, W) uint8 or (N, T) int16, is taken as decoded already.
            batch: parts per pass through the network; None for 256, and fewer of large items.
            progress: called with items done, items in all, and a word.

        Returns:
            One row per readable item; what could not be read is listed in `problems`.

        Raises:
            UsageError: a lone path, bytes, picture or sound, or a tensor of another shape.
        """
        return self._encode(items, self.ready().decode, batch, progress)

    def encode_sole(
        self,
        items: Sequence[Item] | NDArray[Any],
        *,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Encoded:
        """Embeddings of items that each stand for one thing, as labelled ones do; see `encode`.

        An item in which the prepare step finds nothing, several things or a poor one is listed in `problems`.
        """
        return self._encode(items, self.ready().decode_sole, batch, progress)

    def encode_parts(
        self,
        items: Sequence[Item] | NDArray[Any],
        *,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Encoded:
        """Embeddings of everything that the prepare step finds: none, one or several per item; see `encode`.

        An item in which nothing is found has no row, and is no problem.
        """
        return self._encode(items, self.ready().decode_parts, batch, progress)

    def encode_all(self, items: Sequence[Item] | NDArray[Any]) -> Tensor:
        """(N, D) float32; every item must be readable.

        Raises:
            DataError: one is not.
        """
        encoded = self.encode(items)
        if encoded.problems:
            raise DataError(encoded.problems[0][1].rstrip("."))
        return encoded.embeddings

    def distance_on_cpu(self) -> Distance:
        """The distance where embeddings are; a copy if the encoder itself is elsewhere."""
        here = all(p.device.type == "cpu" for p in self.distance.parameters())
        return self.distance if here else deepcopy(self.distance).cpu()

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N,): row i of `a` against row i of `b`."""
        distance = self.distance_on_cpu()
        with evaluating(distance), torch.no_grad():
            return distance.rowwise(a, b)

    def _encode(
        self,
        items: Sequence[Item] | NDArray[Any] | Tensor,
        decode: Callable[[Sequence[Item] | NDArray[Any]], Decoded],
        batch: int | None,
        progress: Progress | None,
    ) -> Encoded:
        if _is_lone(items):
            raise UsageError("Items are encoded in a list", f"a lone {type(items).__name__}", "Pass [item].")
        preprocessing = self.ready()
        blocks: list[Tensor] = []
        kept: list[NDArray[np.int64]] = []
        problems: list[tuple[int, str]] = []
        boxes: list[Box | None] = []
        flaws: list[str | None] = []
        total, area = len(items), math.prod(preprocessing.shape[1:])
        of_one = math.prod(preprocessing.layout) * preprocessing.dtype.itemsize
        at_once = max(1, min(4096, DECODED_AT_ONCE // of_one))
        if preprocessing.prepare is not None:  # finding takes its time, and people want to see how far it is
            at_once = min(at_once, 64)
        if batch is None:
            batch = max(1, min(256, ENCODED_AT_ONCE // area))
        for start in range(0, total, at_once):
            block = items[start : start + at_once]
            decoded = Decoded(block, np.arange(len(block)), ()) if isinstance(block, Tensor) else decode(block)
            problems += [(start + i, reason) for i, reason in decoded.problems]
            kept.append(start + decoded.kept)
            boxes += decoded.boxes
            flaws += decoded.flaws
            blocks += [self.embed(part) for part in decoded.values.split(batch) if len(part)]
            if progress:
                progress(min(start + at_once, total), total, "encoding")
        return Encoded(
            torch.cat(blocks) if blocks else torch.empty(0, *self.embedded),
            np.concatenate(kept) if kept else np.empty(0, np.int64),
            tuple(problems), tuple(boxes), tuple(flaws),
        )  # fmt: skip


def digest_of(architecture: dict[str, Any], parameters: Sequence[tuple[str, bytes | memoryview]]) -> str:
    """SHA-256 in hexadecimal over a description and named bytes."""
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for name, content in parameters:
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()


def _is_lone(items: object) -> bool:
    """Whether `items` is one item; paths, bytes and pictures are sequences too, of what cannot be encoded.

    (H, W, C) could be H grey pictures as wide as a picture has channels, but is not.
    """
    if isinstance(items, np.ndarray):
        return items.ndim == 2 or (items.ndim == 3 and items.shape[2] in (1, 3, 4) and items.shape[2] < items.shape[1])
    return isinstance(items, (str, bytes, bytearray)) or not isinstance(items, (Sequence, Tensor))


def begun_with(trained: dict[str, Any]) -> str | None:
    """Whose weights an encoder with this `trained` began with, and under which licence; None where not others'."""
    at: dict[str, Any] | None = trained
    while at:
        if "licence" in at:
            return f"{at['source']}, {at['licence']}"
        at = at.get("before")
    return None


@contextmanager
def evaluating(module: nn.Module) -> Generator[None]:
    """Within it, batch normalisation uses its running figures; afterwards the mode is as before."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
