"""Numbers that stand for what an item holds and for what an identity is called: equal where these are equal.

Each is the first 64 bits of a SHA-256. Among a million items the chance that any two share one by accident is 3 in 100
million, and nobody's picture or name can be read out of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import LikewiseError
from likewise.media.pictures import content_hash

BITS = 8  # bytes of a digest that are kept


def content_keys(sources: Sequence[Any] | NDArray[np.generic]) -> NDArray[np.int64]:
    """(N,) a number for the content of each item, whatever it is called and wherever it lies.

    The content of a file or a member of a zip is its bytes, that of an array its shape, type and values. What cannot be
    read is like nothing else but another item of the same name.

    Args:
        sources: paths, members of a zip, bytes or arrays; or one array (N, ...) of all items.
    """
    if isinstance(sources, np.ndarray):
        return _numbers(_of_rows(sources))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _numbers(pool.map(_of_one, sources))


def name_keys(names: Sequence[str], *, local: bool = False) -> NDArray[np.int64]:
    """(N,) a number for each name.

    Args:
        names: all identities of a set.
        local: names mean nothing outside this set. Of bare numbers that is taken for granted: identity 3 of ten is not
            identity 3 of a hundred. Their numbers follow from the whole list.
    """
    whole = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    return _numbers(
        hashlib.sha256(
            (f"{name}\0{whole}" if local or _is_number(name) else name).encode("utf-8", "surrogateescape")
        ).digest()
        for name in names
    )


def _is_number(name: str) -> bool:
    return name.removeprefix("-").replace(".", "", 1).isdecimal()


def _of_rows(rows: NDArray[np.generic]) -> Iterable[bytes]:
    """As `content_hash` of each row, without starting anew for each."""
    start = hashlib.sha256(f"{rows.shape[1:]} {rows.dtype.str}\n".encode())
    for row in rows:
        digest = start.copy()
        digest.update(np.ascontiguousarray(row).data)
        yield digest.digest()


def _of_one(source: Any) -> bytes:
    try:
        return bytes.fromhex(content_hash(source.read() if hasattr(source, "read") else source))
    except LikewiseError:
        return hashlib.sha256(f"unreadable {source}".encode("utf-8", "surrogateescape")).digest()


def _numbers(digests: Iterable[bytes]) -> NDArray[np.int64]:
    return np.frombuffer(b"".join(digest[:BITS] for digest in digests), "<i8").astype(np.int64)
