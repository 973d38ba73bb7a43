"""Numbers that stand for what an item holds and for who an identity is: equal where these are equal.

Those of contents are the first 64 bits of a SHA-256. Among a million items the chance that any two share one by
accident is 3 in 100 million, and nobody's picture or name can be read out of them.
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

BYTES = 8  # of a digest that are kept
NAME = np.int64(2**32 - 1)  # the bits of an identity's number that its name gives


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


def name_keys(names: Sequence[str]) -> NDArray[np.int64]:
    """(C,) a number for each name."""
    return _numbers(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names)


def identity_keys(names: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) a number for each identity: half of it stands for its name, half for its first item.

    A name alone says little: every alphabet has a character01, and identity 3 of ten is not identity 3 of a hundred.
    Two sets that begin it with the same item have the same identity.

    Args:
        names: (N,) its name (`name_keys`).
        first: (N,) the content of the first item of it in its set.
    """
    return names & NAME | first & ~NAME


def of_same_name(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(C,) whether one of `others` has the name of each; both are `identity_keys`."""
    return np.isin(keys & NAME, others & NAME)


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
    return np.frombuffer(b"".join(digest[:BYTES] for digest in digests), "<i8").astype(np.int64)
