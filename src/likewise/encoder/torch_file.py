"""Files of weights as torch wrote them until 2020, read without loading a pickle.

Such a file is five pickles - a number that marks it, a version, sizes of types, the tensors by name, and the names of
the storages in their order - and then the storages: for each its length, an integer of 8 bytes, and its numbers. A
pickle is a program that may do anything when it is loaded; here its operations are listed by `pickletools` and nothing
is done but what describes a tensor: putting together texts, numbers, tuples and tables. Another operation is an error.
"""

from __future__ import annotations

import io
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from likewise.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
TENSOR, TABLE = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
TYPES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8", "torch ByteStorage": "u1"}


def read_tensors_of_torch(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors in a file, by name.

    Raises:
        ModelError: it is missing, cut short, or holds something else than tensors.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError("A file of weights can be read", f"{str(path)!r}: {error.strerror}") from error
    try:
        return _tensors(content)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(
            "A file of weights holds tensors as torch wrote them until 2020", f"{str(path)!r}: {error}", "Get it again."
        ) from error


def _tensors(content: bytes) -> dict[str, NDArray[Any]]:
    stream = io.BytesIO(content)
    magic, _, _, described, order = (_value(stream) for _ in range(5))
    if magic != MAGIC:
        raise ValueError(f"begins with {magic!r}")
    types = {storage[2]: np.dtype(TYPES[storage[1]]) for _, storage, *_ in described.values()}
    storages: dict[str, NDArray[Any]] = {}
    at = stream.tell()
    for name in order:
        count, dtype = int.from_bytes(content[at : at + 8], "little"), types[name]
        storages[name] = np.frombuffer(content, dtype, count, at + 8)
        at += 8 + count * dtype.itemsize
    return {
        name: _strided(storages[storage[2]][offset:], shape, strides)
        for name, (_, storage, offset, shape, strides, *_) in described.items()
    }


def _strided(numbers: NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
    """A copy of the part of `numbers` that a tensor shows."""
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((*shape, *strides), default=0) < 0 or last >= len(numbers):
        raise ValueError(f"a tensor of shape {shape} of {len(numbers):,} numbers")
    return as_strided(numbers, shape, [stride * numbers.itemsize for stride in strides]).copy()


def _value(stream: io.BytesIO) -> Any:
    """What the next pickle describes: a tensor as a tuple that begins with `TENSOR`, its storage as one within."""
    stack: list[Any] = []
    marks: list[int] = []
    memory: dict[int, Any] = {}
    operation: pickletools.OpcodeInfo
    argument: Any
    for operation, argument, _ in pickletools.genops(stream):
        match operation.name:
            case "PROTO" | "STOP":
                pass
            case "BINPUT" | "LONG_BINPUT":
                memory[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memory[argument])
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "GLOBAL":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[operation.name])
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[operation.name])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(_popped(stack, len(stack) - int(operation.name[-1]))))
            case "TUPLE":
                stack.append(tuple(_popped(stack, marks.pop())))
            case "APPEND":
                one = stack.pop()
                stack[-1].append(one)
            case "APPENDS":
                more = _popped(stack, marks.pop())
                stack[-1].extend(more)
            case "SETITEM":
                key, value = _popped(stack, len(stack) - 2)
                stack[-1][key] = value
            case "SETITEMS":
                more = _popped(stack, marks.pop())
                stack[-1].update(zip(more[::2], more[1::2], strict=True))
            case "BINPERSID":
                pass  # the tuple that names a storage stands for it
            case "REDUCE":
                called, arguments = _popped(stack, len(stack) - 2)
                if called not in (TENSOR, TABLE):
                    raise ValueError(f"a call of {called}")
                stack.append({} if called == TABLE else (TENSOR, *arguments))
            case "BUILD":
                stack.pop()  # versions of modules
            case other:
                raise ValueError(f"the operation {other}")
    (found,) = stack
    return found


def _popped(stack: list[Any], start: int) -> list[Any]:
    """What is on the stack from `start` on, which it loses."""
    found = stack[start:]
    del stack[start:]
    return found
