"""What a gallery holds: one record per enrolled item, as columns."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

MOST_IDS = 1 << 53


@final
@dataclass(frozen=True)
class Records:
    """Rows of a gallery, column by column, each of length n.

    Attributes:
        ids: (n,) int64, from 0 below 2**53 (what JSON keeps), never used twice.
        names: whom or what each item shows.
        embeddings: (n, D) float32.
        hashes: SHA-256 of each item's content, in hexadecimal.
        times: when each was enrolled, in seconds since 1970 (UTC).
        metadata: what the user wants to remember beside it, JSON-ready.
        originals: the item's own bytes where they are kept, else None.
    """

    ids: NDArray[np.int64]
    names: Sequence[str]
    embeddings: NDArray[np.float32]
    hashes: Sequence[str]
    times: NDArray[np.float64]
    metadata: Sequence[dict[str, Any]]
    originals: Sequence[bytes | None]

    def as_dicts(self) -> list[dict[str, Any]]:
        """A JSON-ready dict for each: id, time, hash and metadata."""
        columns = zip(self.ids.tolist(), self.times.tolist(), self.hashes, self.metadata, strict=True)
        return [{"id": id, "time": time, "hash": content, "metadata": noted} for id, time, content, noted in columns]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> Records:
        """Some rows, in this order."""

        def some(column: Sequence[Any]) -> list[Any]:
            return [column[row] for row in rows]

        places = np.array(rows, np.int64)
        return Records(
            ids=self.ids[places],
            names=some(self.names),
            embeddings=self.embeddings[places],
            hashes=some(self.hashes),
            times=self.times[places],
            metadata=some(self.metadata),
            originals=some(self.originals),
        )


@final
@dataclass(frozen=True)
class Found:
    """The k nearest records of each of Q probes, nearest first; fewer than k records in the gallery give fewer columns.

    Attributes:
        ids: (Q, k) int64.
        names: Q rows of k names.
        distances: (Q, k) float32, by the model's distance.
    """

    ids: NDArray[np.int64]
    names: Sequence[Sequence[str]]
    distances: NDArray[np.float32]


def new_ids(number: int) -> NDArray[np.int64]:
    """(number,) ids nobody uses yet, drawn so that two processes need not agree on the next one."""
    drawn = np.frombuffer(secrets.token_bytes(8 * number), dtype=np.uint64)
    return (drawn >> np.uint64(11)).astype(np.int64)
