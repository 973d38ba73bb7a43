"""Embeddings of files, in a file others can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from likewise.data.loaders import files_below
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.matching import load
from likewise.media.files import replacing_file


@final
@dataclass(frozen=True)
class Written:
    """What `encode_files` wrote.

    Attributes:
        file: where to.
        items, dim: shape of the embeddings.
        skipped: file and reason of each item that could not be read.
        fingerprint: of the model; embeddings of other fingerprints cannot be compared with these.
    """

    file: Path
    items: int
    dim: int
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "file": str(self.file),
            "items": self.items,
            "dim": self.dim,
            "fingerprint": self.fingerprint,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }


def encode_files(model: str | Path, files: Sequence[Path], out: Path, progress: Progress | None = None) -> Written:
    """Encodes pictures (folders are searched for them) and writes embeddings, file names and fingerprint.

    An .npz holds ``embeddings`` (n, D) float32, ``files`` (n,) text and ``fingerprint``; a .parquet has the columns
    file and embedding, and the fingerprint in its metadata.

    Raises:
        UsageError: another kind of `out`. DataError: a folder without pictures, or a single file that is missing.
    """
    if out.suffix.lower() not in (".npz", ".parquet"):
        raise UsageError("Embeddings are written as .npz or .parquet", repr(str(out)))
    found = [
        file
        for path in files
        for file in ([path / inside for inside in files_below(path)] if path.is_dir() else [path])
    ]
    if not found:
        raise DataError("There is something to encode", f"no pictures in {', '.join(map(str, files))}")
    loaded = load(model)
    encoded = loaded.encode(found, progress=progress)
    skipped = tuple((str(found[i]), reason) for i, reason in encoded.problems)
    if not len(encoded.kept):
        raise DataError("At least one item can be read", skipped[0][1])
    names = [str(found[i]) for i in encoded.kept]
    fingerprint = loaded.fingerprint
    with replacing_file(out) as fresh:
        if out.suffix.lower() == ".npz":
            with fresh.open("wb") as stream:  # given a name, savez adds .npz where it is spelt otherwise
                np.savez(
                    stream,
                    embeddings=encoded.embeddings.numpy(),
                    files=np.array(names),
                    fingerprint=np.array(fingerprint),
                )
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            rows = pa.FixedSizeListArray.from_arrays(pa.array(encoded.embeddings.numpy().reshape(-1)), loaded.dim)
            text = [name.encode("utf-8", "backslashreplace").decode() for name in names]  # Parquet holds UTF-8
            table = pa.table({"file": pa.array(text), "embedding": rows})
            pq.write_table(table.replace_schema_metadata({"likewise.fingerprint": fingerprint}), fresh)
    return Written(out, len(names), loaded.dim, skipped, fingerprint)
