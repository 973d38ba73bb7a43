"""Files as dlib writes them, from the description in likewise.encoder.dlib_file: what tests read back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

STATE = b"110" + 3 * (b"\x01\x02" + 4 * b"\x01\x00")  # three flags, three empty tensors


def integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def integers(*values: int) -> bytes:
    return b"".join(map(integer, values))


def real(value: float) -> bytes:
    mantissa, exponent = math.frexp(value)
    return integers(int(mantissa * (1 << 24)), exponent - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(numbers: np.ndarray) -> bytes:
    return integers(2, numbers.size, 1, 1, 1) + numbers.astype("<f4").tobytes()


def views(*shapes: Sequence[int]) -> bytes:
    return b"".join(integers(1, *shape) for shape in shapes)


def convolution(weights: np.ndarray, biases: np.ndarray, stride: int, padding: int, kind: str = "con_4") -> bytes:
    filters, _, rows, columns = weights.shape
    return (
        text(kind)
        + tensor(np.concatenate([weights.reshape(-1), biases]))
        + integers(filters, rows, columns, stride, stride, padding, padding)
        + views(weights.shape, (1, filters, 1, 1))
        + real(1) * 3
        + real(0)
        + STATE
    )


def affine(factors: np.ndarray, shifts: np.ndarray) -> bytes:
    shape = (1, len(factors), 1, 1)
    return text("affine_") + tensor(np.concatenate([factors, shifts])) + views(shape, shape) + integer(0) + STATE


def pool(kind: str, *geometry: int) -> bytes:
    return text(kind) + integers(*geometry) + STATE


def plain(kind: str) -> bytes:
    return text(kind) + STATE


def full(weights: np.ndarray) -> bytes:
    """(inputs, outputs), no biases."""
    inputs, outputs = weights.shape
    shapes = views((inputs, outputs, 1, 1), (0, 0, 0, 0))
    return (
        text("fc_2") + integers(outputs, inputs) + tensor(weights) + shapes + integer(1) + real(1) * 3 + real(0) + STATE
    )


def network(*layers: bytes, side: int = 150, red: float = 122.782) -> bytes:
    """Nothing but wrapped layers: without tags and skips, whose versions are 1."""
    head = integer(1) + text("loss_metric_2") + real(0.04) + real(0.6) + integers(*[2] * (len(layers) - 1), 3)
    means = b"".join(real(level) for level in (red, 117.001, 104.298))
    first, *others = layers
    return head + text("input_rgb_image_sized") + means + integers(side, side) + first + integer(1) + b"".join(others)
