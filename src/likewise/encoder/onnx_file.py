"""What an ONNX file says of itself, without running it: how many numbers it holds, and whether all of them are inside.

ONNX is a Protocol Buffers message: fields of a number, a wire type and a value, some of which are messages again. Only
those that lead to tensors are followed (https://protobuf.dev/programming-guides/encoding, and onnx.proto of the ONNX
project); all else is stepped over by its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import final

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types; groups (3 and 4) do not occur in ONNX

# message -> number of a field -> what it holds. A node's attribute may hold whole graphs, as loops and branches do.
INSIDE = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
DIMS, EXTERNAL_DATA, DATA_LOCATION = 1, 13, 14  # fields of a tensor

Value = int | memoryview


@final
@dataclass(frozen=True)
class Contents:
    """What `contents_of` finds.

    Attributes:
        numbers: how many the tensors hold together.
        whole: whether all of them are in the file itself; ONNX allows for others beside it.
    """

    numbers: int
    whole: bool


def contents_of(file: bytes) -> Contents:
    """What the tensors of an ONNX file are; takes as long as there are messages in it, whatever they hold.

    Raises:
        ValueError: it is cut short or no ONNX.
    """
    numbers, whole, graphs = 0, True, 0
    ahead: list[tuple[str, memoryview]] = [("model", memoryview(file))]
    while ahead:  # no recursion: a file may be nested as deeply as it likes
        kind, message = ahead.pop()
        if kind == "tensor":
            count, inside = _tensor(message)
            numbers, whole = numbers + count, whole and inside
            continue
        graphs += kind == "graph"
        for number, value in _fields(message):
            if (holds := INSIDE[kind].get(number)) is not None:
                if isinstance(value, int):
                    raise ValueError(f"field {number} of a {kind} is a number")
                ahead.append((holds, value))
    if not graphs:
        raise ValueError("it holds no graph")
    return Contents(numbers, whole)


def _tensor(message: memoryview) -> tuple[int, bool]:
    """How many numbers a tensor has, and whether they are in it."""
    dims: list[int] = []
    inside = True
    for number, value in _fields(message):
        if number == DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == EXTERNAL_DATA or (number == DATA_LOCATION and value != 0):
            inside = False
    return prod(dims), inside


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == LENGTH:
            length, at = _varint(message, at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
        if length > len(message) - at:
            raise ValueError(f"{length:,} bytes are announced where {len(message) - at:,} are left")
        yield number, message[at : at + length]
        at += length


def _varints(packed: memoryview) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next begins."""
    value = 0
    for i, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError("a number is cut short")
