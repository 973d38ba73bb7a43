"""The first collection of a gallery on Milvus: short texts and long ones, by key."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from likewise.errors import DataError, StoreError
from likewise.gallery.milvus.connection import LONGEST, REQUEST, Connection, NoCollectionError, listed
from likewise.gallery.milvus.rows import Document, Head, digest, documents, name_key, part_keys

VERSION = 1

_REMEMBERED = 100_000  # names of enrolments kept in memory


@final
@dataclass(frozen=True)
class Look:
    """What everybody goes by, at one moment.

    Attributes:
        head: what the gallery is.
        changed: another one whenever the names of enrolments are not what they were.
        notes: key -> what somebody writes, and when they were last there; only where it was asked for.
    """

    head: Head
    changed: str
    notes: dict[str, tuple[str, int]]


@final
class Texts:
    """Reads them.

    Args:
        milvus: the server.
        name: of the gallery and of the collection.
    """

    def __init__(self, milvus: Connection, name: str) -> None:
        self.milvus, self.name = milvus, name
        self.uri = f"{milvus.server}/{name}"
        self._known: tuple[str, dict[int, str]] = ("", {})  # as long as `changed` is this: enrolment -> name

    def table(self, generation: str) -> str:
        """The collection that holds the records of a generation."""
        return f"{self.name}__{generation}"

    def look(self, notes: bool = False) -> Look:
        """The rows everybody goes by.

        Raises:
            DataError: this is not a gallery, or one of a newer version.
        """
        expression = 'key in ["head", "changed"]' + (' or kind == "note"' if notes else "")
        found = self.milvus.read(self.name, expression, ["key", "kind", "owner", "label", "text"])
        rows = {row["key"]: row for row in found}
        if "head" not in rows:
            raise DataError(
                "A gallery on Milvus has a head",
                f"none at {self.uri}",
                "Making it was interrupted, or it is something else: drop the collection, or choose another name.",
            )
        values = json.loads(rows["head"]["text"])
        if values["version"] > VERSION:
            raise DataError("A gallery is of a version known here", values["version"], "Use a newer Likewise.")
        left = {key: (row["label"], row["owner"]) for key, row in rows.items() if row["kind"] == "note"}
        return Look(Head(**values), rows["changed"]["text"], left)

    def documents(self, expression: str) -> dict[str, Document]:
        """Long texts, by their keys; one that somebody deletes just now is not there."""
        fields = ["key", "owner", "label", "parts", "text"]
        found = {row["key"]: row for row in self.milvus.read(self.name, f"({expression}) and part == 0", fields)}
        others = [key for row in found.values() for key in part_keys(row["key"], row["parts"])[1:]]
        for some in listed(others, REQUEST // LONGEST):
            rows = self.milvus.read(self.name, f"key in {json.dumps(some)}", ["key", "text"])
            found |= {row["key"]: row for row in rows}
        return documents(found)

    def named(self, look: Look, enrolments: Iterable[int]) -> dict[int, str]:
        """Enrolment -> name, for those that have one; whatever records say, the others are not there."""
        if self._known[0] != look.changed or len(self._known[1]) > _REMEMBERED:
            self._known = (look.changed, {})
        known, wanted = self._known[1], list(enrolments)
        for some in listed([each for each in wanted if each not in known]):
            keys = json.dumps([name_key(look.head.generation, each) for each in some])
            for row in self.milvus.read(self.name, f"key in {keys}", ["owner", "text"]):
                known[row["owner"]] = row["text"]
        return {each: known[each] for each in wanted if each in known}

    def enrolments(self, generation: str, names: Sequence[str]) -> list[int]:
        """Numbers of the enrolments with these names."""
        return [
            row["owner"]
            for some in listed([digest(name) for name in dict.fromkeys(names)])
            for row in self.milvus.read(
                self.name, f'kind == "name/{generation}" and label in {json.dumps(some)}', ["owner"]
            )
        ]

    @contextmanager
    def expected(self) -> Generator[None]:
        """Around what asks for collections that should be there."""
        try:
            yield
        except NoCollectionError as error:
            raise self.gone() from error

    def gone(self) -> StoreError:
        """Nothing is there."""
        return StoreError(
            "A gallery on a server is what enrolling made there",
            f"nothing at {self.uri}",
            "Make one with `likewise enrol GALLERY NAME FILE... --model MODEL`.",
        )
