"""Networks as dlib writes them: which layers a file holds, and their numbers.

The file has no header, no index and no names but those of the layers, so it is read from the first byte to the last.

Basic values
    integer   a byte, then as many bytes as its lower four bits say, the least significant first; its highest bit is the
              sign. 150 is ``01 96``, -4 is ``81 04``.
    real      two integers: mantissa and exponent of two. 0.25 may be ``01 10 81 06``, which is 16 / 2^6.
    flag      ``0`` or ``1`` as a character.
    text      its length, an integer, then the characters.
    tensor    the integer 2, four integers (samples, channels, rows, columns), then so many float32, little-endian.
    view      the integer 1 and four integers: the shape of a part of a tensor that is stored elsewhere.

A network
    Each layer is wrapped around the one before it and writes, in this order, the version of its wrapping, all that it
    is wrapped around, and itself. So the versions stand together at the beginning, the outermost first, and after them
    the layers from the input on. Outermost of all is the loss, which writes itself between its version and the rest.
    Tags and skips, by which layers reach back over others, leave nothing but a version.

    A layer is a text, its kind with the version of the kind ("con_4"), then what `_DETAILS` lists, then the state of
    training: three flags and three tensors, empty in a finished network. The first layer has an integer more.

Nothing is allocated or skipped by a number from the file before the file is known to be that long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import ModelError

_WRAPPINGS = (1, 2, 3)  # versions of them


@final
@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        kind: what it does: "con", "affine", "relu", "max_pool", "avg_pool", "add_prev" or "fc".
        options: "con": filters, rows, columns, stride down, stride right, padding down, padding right; the pools: the
            last six of these, with 0 rows and columns for all there are; "affine": 0 if its numbers are per channel;
            "fc": outputs, inputs, 1 if it has no bias.
        numbers: float32, one after another: "con" filters x channels x rows x columns, then the biases; "affine"
            factors, then summands; "fc" inputs x outputs, then the biases; others none.
    """

    kind: str
    options: tuple[int, ...]
    numbers: NDArray[np.float32]


@final
@dataclass(frozen=True)
class Network:
    """What a file holds.

    Attributes:
        loss: its kind, margin and threshold: how it was trained.
        input: kind, three means in levels of 0 to 255, rows and columns.
        layers: from the first after the input to the last.
    """

    loss: tuple[str, float, float]
    input: tuple[str, float, float, float, int, int]
    layers: tuple[Layer, ...]


def read_network(path: Path) -> Network:
    """The network in a file.

    Raises:
        ModelError: it is missing, cut short, longer than the network, or not one of the kinds of layers known here.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError("A file of a network can be read", f"{str(path)!r}: {error.strerror}") from error
    stream = _Stream(content)
    try:
        found = _network(stream)
    except ValueError as error:
        raise ModelError(
            "A network written by dlib has the layers known here",
            f"{str(path)!r}: {error} at byte {stream.at:,} of {len(content):,}",
            "The file is damaged or of another network; install its package again.",
        ) from error
    return found


def _network(stream: _Stream) -> Network:
    stream.expect(1, "the version of the loss layer")
    loss = (stream.text(), stream.real(), stream.real())
    version = 0
    while (number := stream.integer()) in _WRAPPINGS:
        version = number  # of the first layer's wrapping, at last
    # What is no version is the length of the text after the versions.
    input_ = (
        stream.characters(number), stream.real(), stream.real(), stream.real(), stream.integer(), stream.integer()
    )  # fmt: skip
    if version != 3:
        raise ValueError(f"version {version} of the first layer's wrapping instead of 3")
    layers = [_layer(stream)]
    stream.expect(1, "the sample expansion factor")
    while not stream.ended:
        layers.append(_layer(stream))
    return Network(loss, input_, tuple(layers))


def _layer(stream: _Stream) -> Layer:
    name = stream.text()
    if name not in _DETAILS:
        raise ValueError(f"a layer {name!r}")
    options, numbers = _DETAILS[name](stream)
    for _ in range(3):
        stream.flag()
    for _ in range(3):
        stream.no_state()
    return Layer(name.rsplit("_", 1)[0], options, numbers)


_Details = tuple[tuple[int, ...], NDArray[np.float32]]
_NOTHING = np.empty(0, np.float32)


def _convolution(stream: _Stream) -> _Details:
    numbers, options = stream.tensor(), stream.integers(7)
    stream.parts(numbers)
    stream.reals(4)  # learning rates and decays, as factors
    return options, numbers


def _affine(stream: _Stream) -> _Details:
    numbers = stream.tensor()
    stream.parts(numbers)
    return stream.integers(1), numbers


def _pool(stream: _Stream) -> _Details:
    return stream.integers(6), _NOTHING


def _plain(_: _Stream) -> _Details:
    return (), _NOTHING


def _full(stream: _Stream) -> _Details:
    size, numbers = stream.integers(2), stream.tensor()
    stream.parts(numbers)
    mode = stream.integers(1)
    stream.reals(4)
    return (*size, *mode), numbers


_DETAILS: dict[str, Callable[[_Stream], _Details]] = {
    "con_4": _convolution,
    "affine_": _affine,
    "relu_": _plain,
    "max_pool_2": _pool,
    "avg_pool_2": _pool,
    "add_prev_": _plain,
    "fc_2": _full,
}


@final
class _Stream:
    """Reads values one after another; raises ValueError where they are not what they should be."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at == len(self._content)

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._content) - self.at:
            raise ValueError(f"{count:,} bytes that are not there")
        self.at += count
        return self._content[self.at - count : self.at]

    def integer(self) -> int:
        head = self.take(1)[0]
        size = head & 0x0F
        if head & 0x70 or not 1 <= size <= 8:
            raise ValueError(f"no integer ({head:#04x})")
        value = int.from_bytes(self.take(size), "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(count))

    def expect(self, value: int, what: str) -> None:
        found = self.integer()
        if found != value:
            raise ValueError(f"{found} instead of {value} for {what}")

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        if not -1100 <= exponent <= 1100:  # beyond it are infinity and NaN, which no network has
            raise ValueError(f"the exponent {exponent}")
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError as error:
            raise ValueError(f"the number {mantissa} * 2^{exponent}") from error

    def reals(self, count: int) -> None:
        for _ in range(count):
            self.real()

    def flag(self) -> None:
        found = self.take(1)
        if found not in (b"0", b"1"):
            raise ValueError(f"no flag ({found!r})")

    def characters(self, count: int) -> str:
        found = self.take(count)
        if not found.isascii():
            raise ValueError(f"no text ({found[:20]!r})")
        return found.decode("ascii")

    def text(self) -> str:
        return self.characters(self.integer())

    def tensor(self) -> NDArray[np.float32]:
        self.expect(2, "the version of a tensor")
        shape = self.integers(4)
        if min(shape) < 0:
            raise ValueError(f"a tensor of shape {shape}")
        numbers = np.frombuffer(self.take(4 * math.prod(shape)), "<f4").astype(np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("numbers that are not finite")
        return numbers

    def no_state(self) -> None:
        if len(self.tensor()):
            raise ValueError("a state of training")

    def parts(self, numbers: NDArray[np.float32]) -> None:
        """Two views that cover a tensor: weights and biases, or factors and summands."""
        sizes: list[int] = []
        for _ in range(2):
            self.expect(1, "the version of a view")
            sizes.append(math.prod(self.integers(4)))
        if min(sizes) < 0 or sum(sizes) != len(numbers):
            raise ValueError(f"parts of {sizes[0]:,} and {sizes[1]:,} of {len(numbers):,} numbers")
