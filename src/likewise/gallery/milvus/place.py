"""Where a gallery on Milvus is, and how a new one is indexed: all that its address says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import final
from urllib.parse import parse_qsl, urlsplit

from likewise.errors import UsageError
from likewise.gallery.milvus.connection import TOKEN

# Index -> what it is built with, what it is searched with. FLAT compares with every record, in the server; the others
# are for millions, and lose some neighbours.
INDEXES: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "FLAT": ({}, {}),
    "IVF_FLAT": ({"nlist": 1024}, {"nprobe": 64}),
    "HNSW": ({"M": 16, "efConstruction": 200}, {"ef": 128}),
}
SHARDS = 16  # the most a server allows, unless it is told otherwise


@final
@dataclass(frozen=True)
class Place:
    """``http://host:port/name``, and for a gallery to be made ``?index=HNSW&ef=256&shards=2``.

    Attributes:
        server: http://host:port.
        name: of the gallery, and of its first collection.
        index: one of `INDEXES`.
        build: numbers it is built with.
        search: numbers it is searched with.
        shards: in how many streams the server takes records in.
    """

    server: str
    name: str
    index: str = "FLAT"
    build: dict[str, int] = field(default_factory=dict[str, int])
    search: dict[str, int] = field(default_factory=dict[str, int])
    shards: int = 1

    @classmethod
    def of(cls, uri: str) -> Place:
        """The place `uri` names.

        Raises:
            UsageError: it is no address, or has an option that is not known.
        """
        parts = urlsplit(uri)
        if "@" in parts.netloc:
            raise UsageError(
                "The address of a gallery has no password in it", "one that has", f"Set {TOKEN} to user:password."
            )
        name = parts.path.strip("/")
        # Two underscores separate the gallery's name from what its other collections have behind it.
        if not parts.netloc or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name) or len(name) > 200:
            raise UsageError(
                "A gallery on Milvus is http://host:port/name",
                repr(uri),
                "The name is of letters and digits, and single underscores between them.",
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        index = options.pop("index", "FLAT").upper()
        if index not in INDEXES:
            raise UsageError(f"An index is one of {', '.join(INDEXES)}", repr(index))
        build, search = (dict(numbers) for numbers in INDEXES[index])
        numbers = {"shards": 1} | build | search
        for option, value in options.items():
            if option not in numbers:
                raise UsageError(f"Index {index} has the options {', '.join(numbers)}", repr(option))
            if not value.isdecimal() or int(value) < 1:
                raise UsageError(f"{option} is a whole number above 0", repr(value))
            numbers[option] = int(value)
        if numbers["shards"] > SHARDS:
            raise UsageError(f"There are 1 to {SHARDS} shards", numbers["shards"])
        return cls(
            f"{parts.scheme}://{parts.netloc}",
            name,
            index,
            {option: numbers[option] for option in build},
            {option: numbers[option] for option in search},
            numbers["shards"],
        )
