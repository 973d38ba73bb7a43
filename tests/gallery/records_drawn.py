"""Records drawn for the tests of stores, and what compares them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from likewise.gallery.records import Records, new_ids
from likewise.gallery.store import Description, Store

MODEL_FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 300, "empty": b""}

Make = Callable[..., Store]


def described(dim: int = 8, fingerprint: str = "f" * 64) -> Description:
    return Description(fingerprint, dim, 1_760_000_000.25, {"rule": "vote", "k": 5, "text": "Größe 顔"})


def drawn(
    names: Sequence[str], dim: int = 8, seed: int = 0, *, originals: bool = False, embeddings: np.ndarray | None = None
) -> Records:
    """One record for each name given; everything in them is different from record to record."""
    rng = np.random.default_rng(seed)
    if embeddings is None:
        embeddings = rng.normal(size=(len(names), dim))
    return Records(
        ids=new_ids(len(names)),
        names=list(names),
        embeddings=np.asarray(embeddings, np.float32),
        hashes=[rng.bytes(32).hex() for _ in names],
        times=time.time() + np.arange(len(names)),
        metadata=[{"number": i, "text": f"{name} {i} Ω"} for i, name in enumerate(names)],
        originals=[rng.bytes(200) if originals else None for _ in names],
    )


def gathered(blocks: Iterator[Records]) -> Records:
    """Blocks as one, sorted by id."""
    held = list(blocks)
    order = np.argsort(np.concatenate([np.empty(0, np.int64), *(block.ids for block in held)]))

    def column(name: str) -> list[object]:
        values = [value for block in held for value in getattr(block, name)]
        return [values[i] for i in order]

    return Records(
        np.array(column("ids"), np.int64), column("names"), np.array(column("embeddings"), np.float32),
        column("hashes"), np.array(column("times"), np.float64), column("metadata"), column("originals"),
    )  # fmt: skip


def check_same(found: Records, expected: Records) -> None:
    """The same rows, in any order."""
    found, expected = gathered(iter([found])), gathered(iter([expected]))
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.ids.dtype == np.int64
    assert list(found.names) == list(expected.names)
    assert found.embeddings.tolist() == expected.embeddings.tolist()
    assert list(found.hashes) == list(expected.hashes)
    assert found.times.tolist() == expected.times.tolist()
    assert list(found.metadata) == list(expected.metadata)
    assert list(found.originals) == list(expected.originals)
