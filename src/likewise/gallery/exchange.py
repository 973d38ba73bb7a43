"""Records in a Parquet file that other programs can read, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise.errors import DataError, ModelError, UsageError
from likewise.gallery.names import check_name
from likewise.gallery.records import MOST_IDS, Records, new_ids
from likewise.gallery.results import Enrolled
from likewise.gallery.store import Store
from likewise.media.files import replacing_file

FINGERPRINT = b"likewise.fingerprint"
_COLUMNS = ("id", "name", "embedding", "hash", "time", "metadata", "original")
_READ_AT_ONCE = 10_000


def write_parquet(file: Path, fingerprint: str, dim: int, records: Iterator[Records]) -> int:
    """Writes records, a row each, and the model's fingerprint in the metadata of the table; returns how many.

    Raises:
        DataError: it cannot be written; a file that was there is untouched. UsageError: its name does not end in
            .parquet, or what is there is no export.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_target(file)
    schema = pa.schema(
        [
            ("id", pa.int64()), ("name", pa.string()), ("embedding", pa.list_(pa.float32(), dim)),
            ("hash", pa.string()), ("time", pa.float64()), ("metadata", pa.string()), ("original", pa.binary()),
        ],
        metadata={FINGERPRINT: fingerprint.encode()},
    )  # fmt: skip
    count = 0
    with replacing_file(file) as fresh, pq.ParquetWriter(fresh, schema) as writer:
        fresh.chmod(0o600)  # as a gallery
        for block in records:
            columns = [
                pa.array(block.ids),
                pa.array(block.names),
                pa.FixedSizeListArray.from_arrays(pa.array(block.embeddings.reshape(-1)), dim),
                pa.array(block.hashes),
                pa.array(block.times),
                pa.array([json.dumps(values) for values in block.metadata]),
                pa.array(block.originals, pa.binary()),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            count += len(block)
    return count


def import_records(store: Store, file: Path) -> Enrolled:
    """Enters the records of such a file; see `Gallery.import_`.

    Raises:
        DataError: no such file. ModelError: embeddings of another model.
    """
    about = store.describe()
    fingerprint, blocks = read_parquet(file)
    if fingerprint != about.fingerprint:
        raise other_model(fingerprint, about.fingerprint)
    added: list[tuple[str, int]] = []
    already: list[str] = []
    skipped: list[tuple[str, str]] = []
    for block in blocks:
        if block.embeddings.shape[1:] != (about.dim,) or not np.isfinite(block.embeddings).all():
            raise _refused(file, f"embeddings that are not {about.dim} finite numbers")
        names = [check_name(name) for name in block.names]
        first: dict[str, int] = {}  # content hash -> row
        for row, content in enumerate(block.hashes):
            first.setdefault(content, row)
        ids = _free_ids(store, block.ids)
        new = replace(block, ids=ids, names=names).take(list(first.values()))
        held = store.add(new, model=about.fingerprint, once=True)
        for row, (name, content) in enumerate(zip(names, block.hashes, strict=True)):
            under = held.get(content, [names[first[content]]])
            if name not in under or len(under) > 1:
                other = min(set(under) - {name})
                skipped.append((str(block.ids[row]), f"enrolled already as {other!r}: one of the two is wrong"))
            elif content in held or row != first[content]:
                already.append(str(block.ids[row]))
            else:
                added.append((str(block.ids[row]), int(ids[row])))
    return Enrolled(None, tuple(added), tuple(already), tuple(skipped))


def _free_ids(store: Store, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same ids, but for those that are taken, come twice, or cannot be."""
    taken = np.concatenate([ids[:0], *(held.ids for held in store.records(ids=ids))])
    _, first = np.unique(ids, return_index=True)
    free = ~np.isin(ids, taken) & np.isin(np.arange(len(ids)), first) & (ids >= 0) & (ids < MOST_IDS)
    return np.where(free, ids, new_ids(len(ids)))


def _check_target(file: Path) -> None:
    """A slip must not cost a gallery or a picture."""
    if file.suffix.lower() != ".parquet":
        raise UsageError("A gallery is exported to a file called .parquet", str(file), f"Pass {file.stem}.parquet.")
    if file.is_file():
        try:
            read_parquet(file)
        except DataError:
            raise UsageError(
                "An export overwrites only an earlier one", f"{str(file)!r}, which is none", "Give another name."
            ) from None


def other_model(given: str, kept: str) -> ModelError:
    """The refusal of embeddings with another fingerprint."""
    return ModelError(
        f"A gallery holds embeddings of one model, here {kept[:12]}",
        f"those of {given[:12]}",
        "Enrol into another gallery, or exchange the model with `likewise gallery rebuild GALLERY MODEL`.",
    )


def read_parquet(file: Path) -> tuple[str, Iterator[Records]]:
    """Fingerprint and records of such a file.

    Raises:
        DataError: it is no such file, or a row of it cannot be; the records raise it as they are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        held = pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise _refused(file, str(error).splitlines()[0]) from error
    fingerprint = (held.schema_arrow.metadata or {}).get(FINGERPRINT)
    missing = [column for column in _COLUMNS if column not in held.schema_arrow.names]
    if fingerprint is None or missing:
        raise _refused(file, "no fingerprint of a model" if fingerprint is None else f"no column {', '.join(missing)}")

    def blocks() -> Iterator[Records]:
        try:
            for batch in held.iter_batches(_READ_AT_ONCE, columns=list(_COLUMNS)):
                id, name, content_hash, time, metadata, original = (
                    batch.column(column).to_pylist() for column in _COLUMNS if column != "embedding"
                )
                yield Records(
                    ids=np.array(id, np.int64),
                    names=[_text(text) for text in name],
                    embeddings=_rows(batch.column("embedding")),
                    hashes=[_sha256(text) for text in content_hash],
                    times=np.array([_seconds(value) for value in time]),
                    metadata=[dict(json.loads(text)) for text in metadata],
                    originals=original,
                )
        except (OSError, pa.ArrowException, TypeError, ValueError) as error:
            raise _refused(file, str(error).splitlines()[0]) from error
        finally:
            held.close()

    return fingerprint.decode("ascii", "backslashreplace"), blocks()


def _rows(column: Any) -> NDArray[np.float32]:
    """A column of lists of one length as (n, D), without making a Python number of each."""
    import pyarrow as pa

    dim = len(column[0])
    lists = column.cast(pa.list_(pa.float32(), dim))
    numbers = lists.flatten()
    if lists.null_count or numbers.null_count:
        raise ValueError("embeddings that are missing")
    return numbers.to_numpy().reshape(-1, dim)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} for a name")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise TypeError(f"{value!r} for a time")
    return value


def _sha256(value: str) -> str:
    if len(content_hash := bytes.fromhex(value)) != 32:
        raise ValueError(f"{value!r} for a SHA-256")
    return content_hash.hex()


def _refused(file: Path, reason: str) -> DataError:
    return DataError("A gallery is imported from a file that `gallery export` wrote", f"{str(file)!r}: {reason}")
