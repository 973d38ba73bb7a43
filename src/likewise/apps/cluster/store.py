"""The embeddings OUT keeps beside its manifest, so that no picture is encoded twice and a killed run goes on.

They count only for the model that made them; without the file all is encoded anew, and nothing else is lost.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.cluster.keys import KEY, content_of, key_of
from likewise.encoder import Encoded, Progress
from likewise.matching import Model
from likewise.media.files import replacing_file

STORE = "clusters.npz"
ENCODED_AT_ONCE = 128  # files, after which they may be kept
KEPT_EVERY = 20.0  # seconds of encoding that a kill may cost

# What zipfile and NumPy raise at files that are not whole; RuntimeError at what looks encrypted or packed in a new way.
DAMAGED = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@final
@dataclass
class Store:
    """What was found in files, and its embeddings.

    Attributes:
        model: fingerprint of the model that encoded them.
        contents: hashes of the files that were encoded, those in which nothing was found among them.
        embeddings: (D,) float32 by key.
        flaws: by key, why nothing should be decided by it, for those that have one.
    """

    model: str
    contents: set[str] = field(default_factory=set[str])
    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict[str, NDArray[np.float32]])
    flaws: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, contents: Sequence[str], encoded: Encoded) -> None:
        """Takes what encoding the files with these hashes gave."""
        self.contents.update(contents)
        self.contents.difference_update(contents[i] for i, _ in encoded.problems)
        places: list[int] = encoded.kept.tolist()
        boxes = encoded.boxes or (None,) * len(places)
        flaws = encoded.flaws or (None,) * len(places)
        for i, box, flaw, row in zip(places, boxes, flaws, encoded.embeddings.numpy(), strict=True):
            key = key_of(contents[i], box)
            self.embeddings[key] = row
            if flaw is not None:
                self.flaws[key] = flaw

    def forget(self, contents: Collection[str], keys: Collection[str]) -> bool:
        """Drops all but what is of these files, and the items `keys`; whether there was anything to drop."""
        gone = {key for key in self.embeddings if content_of(key) not in contents or key in keys}
        before = len(self.contents)
        self.contents.intersection_update(contents)
        for key in gone:
            del self.embeddings[key]
            self.flaws.pop(key, None)
        return bool(gone) or len(self.contents) < before


def read_store(out: Path, model: str) -> Store:
    """What is kept in OUT of this model; nothing where that is of another one, or cannot be read."""
    try:
        with np.load(out / STORE, allow_pickle=False) as values:
            if str(values["model"]) == model:
                return _checked(values, model)
    except DAMAGED:
        pass
    return Store(model)


def write_store(out: Path, store: Store) -> None:
    """Replaces the file as a whole.

    Raises:
        DataError: it cannot be written; the old one is as it was.
    """
    keys, flawed = sorted(store.embeddings), sorted(store.flaws)
    rows = np.stack([store.embeddings[key] for key in keys]) if keys else np.empty((0, 0), np.float32)
    with replacing_file(out / STORE) as fresh, fresh.open("wb") as stream:
        fresh.chmod(0o600)  # as a gallery
        np.savez(
            stream, model=np.array(store.model), contents=np.array(sorted(store.contents), dtype="S"),
            keys=np.array(keys, dtype="S"), embeddings=rows, flawed=np.array(flawed, dtype="S"),
            flaws=np.array([store.flaws[key] for key in flawed], dtype="U"),
        )  # fmt: skip


def encode_into(
    store: Store, files: dict[str, Path], model: Model, out: Path | None, progress: Progress | None
) -> dict[str, str]:
    """Encodes everything found in `files`, by content hash, and keeps it in OUT as it goes on.

    Args:
        out: where to keep it; None to write nothing.

    Returns:
        By content hash, why a file could not be read.
    """
    contents, unreadable, kept_at = list(files), dict[str, str](), time.monotonic()
    try:
        for start in range(0, len(contents), ENCODED_AT_ONCE):
            block = contents[start : start + ENCODED_AT_ONCE]
            encoded = model.encode_parts(
                [files[key] for key in block], progress=progress and _behind(start, len(contents), progress)
            )
            store.add(block, encoded)
            unreadable |= {block[i]: reason for i, reason in encoded.problems}
            if out is not None and time.monotonic() - kept_at >= KEPT_EVERY:
                write_store(out, store)
                kept_at = time.monotonic()
    finally:  # Ctrl-C too
        if out is not None and not store.contents.isdisjoint(contents):
            write_store(out, store)
    return unreadable


def _behind(start: int, total: int, progress: Progress) -> Progress:
    def tell(done: int, _: int, text: str) -> None:
        progress(start + done, total, text)

    return tell


def _checked(values: Any, model: str) -> Store:
    contents, keys, flawed = (
        [text.decode("ascii") for text in values[name]] for name in ("contents", "keys", "flawed")
    )
    rows: NDArray[np.float32] = values["embeddings"]
    fits = rows.ndim == 2 and len(rows) == len(keys) and rows.dtype == np.float32 and np.isfinite(rows).all()
    if not fits or not all(KEY.fullmatch(key) for key in (*contents, *keys)):
        raise ValueError("embeddings of other items")
    flaws = dict(zip(flawed, map(str, values["flaws"]), strict=True))
    return Store(model, set(contents), dict(zip(keys, rows, strict=True)), flaws)
