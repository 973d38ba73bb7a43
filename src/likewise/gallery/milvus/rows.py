"""The rows a gallery on Milvus consists of: texts by key, and records."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, final

from pymilvus import DataType

from likewise.errors import DataError
from likewise.gallery.milvus.connection import LONGEST, Row
from likewise.gallery.records import Records

CHUNK = LONGEST // 4 * 3  # bytes that fit one text in base64

TEXTS: list[Row] = [
    {"field_name": "key", "datatype": DataType.VARCHAR, "max_length": 256},
    {"field_name": "kind", "datatype": DataType.VARCHAR, "max_length": 64},
    {"field_name": "owner", "datatype": DataType.INT64},
    {"field_name": "label", "datatype": DataType.VARCHAR, "max_length": 4096},
    {"field_name": "part", "datatype": DataType.INT64},
    {"field_name": "parts", "datatype": DataType.INT64},
    {"field_name": "text", "datatype": DataType.VARCHAR, "max_length": LONGEST},
    {"field_name": "stub", "datatype": DataType.BINARY_VECTOR, "dim": 8},  # Milvus has no rows without a vector
]
STUB_INDEX: Row = {"field_name": "stub", "index_type": "BIN_FLAT", "metric_type": "HAMMING"}


def record_fields(dim: int) -> list[Row]:
    """Fields of a collection of records with embeddings of length `dim`."""
    return [
        {"field_name": "id", "datatype": DataType.INT64},
        {"field_name": "enrolment", "datatype": DataType.INT64},
        {"field_name": "embedding", "datatype": DataType.FLOAT_VECTOR, "dim": dim},
        {"field_name": "hash", "datatype": DataType.VARCHAR, "max_length": 128},
        {"field_name": "time", "datatype": DataType.DOUBLE},
        {"field_name": "metadata", "datatype": DataType.VARCHAR, "max_length": LONGEST},
    ]


def record_rows(records: Records, enrolments: Mapping[str, int]) -> Iterator[Row]:
    """A row for each record; `enrolments` has the number for each name.

    Raises:
        DataError: a name or metadata that Milvus has no room for.
    """
    for i, name in enumerate(records.names):
        metadata = json.dumps(records.metadata[i])  # as text, which gives back every JSON value as it was
        for what, length in (("A name", len(name.encode())), ("The metadata of a record", len(metadata))):
            if length > LONGEST:
                raise DataError(f"{what} has at most {LONGEST:,} bytes on Milvus", f"{length:,}", "Shorten it.")
        yield {
            "id": int(records.ids[i]),
            "enrolment": enrolments[name],
            "embedding": records.embeddings[i],
            "hash": records.hashes[i],
            "time": float(records.times[i]),
            "metadata": metadata,
        }


def text_row(key: str, kind: str, text: str, owner: int = 0, label: str = "", part: int = 0, parts: int = 1) -> Row:
    """A text; no longer than `LONGEST`."""
    return {
        "key": key, "kind": kind, "owner": owner, "label": label, "part": part, "parts": parts, "text": text,
        "stub": b"\0",
    }  # fmt: skip


class Document(NamedTuple):
    """A text of any length, in several rows."""

    owner: int
    label: str
    content: bytes


def document(key: str, kind: str, content: bytes, owner: int = 0, label: str = "") -> Iterator[Row]:
    """Its rows."""
    keys = part_keys(f"{key}#0", max(1, -(-len(content) // CHUNK)))
    for part, each in enumerate(keys):
        text = base64.b64encode(content[part * CHUNK : (part + 1) * CHUNK]).decode()
        yield text_row(each, kind, text, owner, label, part, len(keys))


def part_keys(first: str, parts: int) -> list[str]:
    """The keys of all parts of a document, from that of the first."""
    return [f"{first[:-1]}{part}" for part in range(parts)]


def documents(rows: Mapping[str, Row]) -> dict[str, Document]:
    """Key -> document, from rows by their keys; those of which a part is missing are left out."""
    whole: dict[str, Document] = {}
    for first, row in rows.items():
        if not first.endswith("#0"):
            continue
        keys = part_keys(first, row["parts"])
        if all(key in rows for key in keys):
            content = b"".join(base64.b64decode(rows[key]["text"]) for key in keys)
            whole[first[:-2]] = Document(row["owner"], row["label"], content)
    return whole


def original_rows(generation: str, records: Records) -> Iterator[Row]:
    """What is kept of the items themselves."""
    for each, original in zip(records.ids.tolist(), records.originals, strict=True):
        if original is not None:
            yield from document(f"original/{generation}/{each}", f"original/{generation}", original, owner=each)


def file_rows(generation: str, model_files: Mapping[str, bytes]) -> Iterator[Row]:
    """The files of a model. Their paths stay out of the keys, which are quoted in expressions."""
    for number, (path, content) in enumerate(model_files.items()):
        yield from document(f"file/{generation}/{number}", f"file/{generation}", content, label=path)


def settings_rows(settings: Mapping[str, Any]) -> list[Row]:
    """The settings."""
    return list(document("settings", "settings", json.dumps(dict(settings)).encode()))


def name_rows(generation: str, enrolments: Mapping[str, int]) -> list[Row]:
    """The names of enrolments. They stay out of expressions: they are asked for by their digest."""
    return [
        text_row(name_key(generation, each), f"name/{generation}", name, owner=each, label=digest(name))
        for name, each in enrolments.items()
    ]


def name_key(generation: str, enrolment: int) -> str:
    """The key of an enrolment's name."""
    return f"name/{generation}/{enrolment}"


def digest(name: str) -> str:
    """What stands for a name in expressions."""
    return hashlib.sha256(name.encode()).hexdigest()


def changed_row() -> Row:
    """Tells everybody to forget the names they remember."""
    return text_row("changed", "state", secrets.token_hex(8))


@final
@dataclass(frozen=True)
class Head:
    """What the gallery is.

    Attributes:
        version: of all this.
        generation: which records count: those of the collection with this in its name.
        fingerprint, dim, created: as in `Description`.
        metric: by which the index ranks.
        index, build, search, shards: as in `Place`.
    """

    version: int
    generation: str
    fingerprint: str
    dim: int
    created: float
    metric: str
    index: str
    build: dict[str, int]
    search: dict[str, int]
    shards: int

    def row(self) -> Row:
        """It as a row."""
        return text_row("head", "state", json.dumps(asdict(self)))


@final
@dataclass
class Note:
    """What somebody is about to write.

    Attributes:
        what: add, forget, rename, configure, rebuild, or alone, which is a move or else several steps.
        key: of the note.
        records: ids that come or go.
        enrolments: numbers of those that come, go or change.
        generations: of which one will be left over.
        renewed: when it was last said that the writer is still there, in seconds since 1970.
    """

    what: str
    key: str = field(default_factory=lambda: f"note/{secrets.token_hex(8)}")
    records: list[int] = field(default_factory=list[int])
    enrolments: list[int] = field(default_factory=list[int])
    generations: list[str] = field(default_factory=list[str])
    renewed: float = field(default_factory=time.time)

    def row(self) -> Row:
        """The row that says it is there."""
        return text_row(self.key, "note", "", owner=int(self.renewed), label=self.what)

    def erases(self) -> bool:
        """Whether something is no more once it is done."""
        return self.what in ("forget", "rename", "rebuild") and bool(self.enrolments or self.generations)

    def details(self) -> list[Row]:
        """The rows from which another process could go on."""
        values = {"records": self.records, "enrolments": self.enrolments, "generations": self.generations}
        return list(document(self.key, self.key, json.dumps(values).encode()))
