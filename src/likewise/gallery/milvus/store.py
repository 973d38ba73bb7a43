"""`MilvusStore`: the interface of `likewise.gallery.store` on a server that has no transactions.

The gallery `gym` is two collections (rows.py):

    gym             texts by key: head, settings, the model's files, originals, names of enrolments, notes
    gym__3f09...    a row for each record: embedding, hash, time, metadata, number of its enrolment

What Milvus does have: the rows of one request to one shard become visible together. All that must happen at once is
such a request to `gym`, which has one shard:

- The records that one `add` puts under one name are an enrolment. Records whose enrolment has no name are not there
  for any reader, and `add` writes the names last.
- `rename` gives enrolments other names; records stay as they are.
- The head says which collection holds the records. `rebuild` fills another one, then writes the head.

journal.py says what becomes of what was begun and not ended.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise, product
from typing import Any, Self, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import DataError, StoreError
from likewise.gallery.milvus.connection import LONGEST, PATIENCE, REQUEST, Connection, NoCollectionError, Row, listed
from likewise.gallery.milvus.journal import Journal, check_in_time
from likewise.gallery.milvus.place import Place
from likewise.gallery.milvus.rows import (
    STUB_INDEX,
    TEXTS,
    Head,
    Note,
    changed_row,
    file_rows,
    name_rows,
    original_rows,
    record_fields,
    record_rows,
    settings_rows,
)
from likewise.gallery.milvus.search import METRICS, Question, nearest
from likewise.gallery.milvus.texts import VERSION, Look, Texts
from likewise.gallery.records import Found, Records, new_ids
from likewise.gallery.store import Description, Store, exchanged, taken
from likewise.objective.distances import Distance

T = TypeVar("T")

_LARGEST = 1 << 53  # ids are below it
_COUNTED = 1_000_000  # records looked at in one request when names are counted


class _RebuiltError(Exception):
    """The gallery is another one than when reading began."""


@final
class MilvusStore(Store):
    """Records on a Milvus server. Threads may share it.

    Args:
        uri: see `Place`; only `create` looks at its options.

    Raises:
        UsageError: it is no address.
        StoreError: nobody answers there, or lets this process in.
    """

    def __init__(self, uri: str) -> None:
        place = Place.of(uri)
        self._milvus = Connection(place.server)
        self._texts = Texts(self._milvus, place.name)
        self._journal = Journal(self._texts)
        self.uri = self._texts.uri
        self._latest: Look | None = None
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="milvus")

    @classmethod
    def create(cls, uri: str, description: Description, model_files: Mapping[str, bytes]) -> Self:
        """See `Store`; the options in `uri` say how records are indexed."""
        store, place, generation = cls(uri), Place.of(uri), secrets.token_hex(6)
        there = DataError("One place holds one gallery", f"{store.uri}, where something is", "Open it.")
        try:
            if place.name in store._milvus.collections():
                raise there
            # Of two who make a collection of one name, the one whose description is not the first is refused.
            made_by = f"A gallery of Likewise, begun as {generation}"
            if not store._milvus.create(place.name, TEXTS, STUB_INDEX, description=made_by):
                raise there
        except BaseException:
            store.close()
            raise
        head = Head(
            VERSION, generation, description.fingerprint, description.dim, description.created, _metric(model_files),
            place.index, place.build, place.search, place.shards,
        )  # fmt: skip
        try:
            store._make(head)
            store._milvus.write(place.name, file_rows(generation, model_files))
            store._milvus.write(place.name, [head.row(), changed_row(), *settings_rows(description.settings)])
        except BaseException:
            with suppress(StoreError):
                store.remove()
            raise
        return store

    @classmethod
    def open(cls, uri: str) -> Self:
        """See `Store`. Settles what others left behind."""
        store = cls(uri)
        try:
            with store._texts.expected():
                look = store._texts.look(notes=True)
                store._milvus.load(store._texts.name, store._texts.table(look.head.generation))
                store._journal.settle_old(look)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def exists(cls, uri: str) -> bool:
        """See `Store`."""
        place = Place.of(uri)
        milvus = Connection(place.server)
        try:
            return place.name in milvus.collections()
        finally:
            milvus.close()

    def describe(self) -> Description:
        """See `Store`."""

        def read(head: Head, _: Callable[[], Look]) -> Description:
            settings = self._texts.documents('kind == "settings"')["settings"].content
            return Description(head.fingerprint, head.dim, head.created, json.loads(settings))

        return self._reading(read)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """See `Store`."""
        with self._journal.writing(Note("configure")):
            self._milvus.write(self._texts.name, settings_rows(settings))

    def model_files(self) -> dict[str, bytes]:
        """See `Store`."""

        def read(head: Head, _: Callable[[], Look]) -> dict[str, bytes]:
            files = self._texts.documents(f'kind == "file/{head.generation}"')
            return {each.label: each.content for each in files.values()}

        return self._reading(read)

    def add(self, records: Records, *, model: str | None = None, once: bool = False) -> dict[str, list[str]]:
        """See `Store`."""
        if len(records) == 0:
            return {}
        enrolments = _enrolments(records.names)
        rows = {row["id"]: row for row in record_rows(records, enrolments)}
        note = Note("add", records=list(rows), enrolments=list(enrolments.values()))
        held: dict[str, list[str]] = {}
        with self._journal.writing(note) as head:
            if model is not None and model != head.fingerprint:
                raise exchanged()
            table = self._texts.table(head.generation)
            if once:
                held = self.holding(records.hashes)
            new = _without(records, held)
            self._milvus.write(self._texts.name, original_rows(head.generation, new))
            self._milvus.write(table, [rows[id] for id in new.ids.tolist()])
            if once and len(new):
                held |= self._others(head, new, enrolments)
                new = self._taken_back(head, new, held)
            check_in_time(note)
            named = {name: enrolments[name] for name in dict.fromkeys(new.names)}
            self._milvus.write(self._texts.name, name_rows(head.generation, named))
        return held

    def _others(self, head: Head, new: Records, mine: Mapping[str, int]) -> dict[str, list[str]]:
        """Content of `new` that others have enrolled since it was looked for, and under which names.

        Of two whose rows are there without names, at least one sees the other, as both wrote before they looked. The
        one with the larger number steps back, the other waits until it has.

        Raises:
            StoreError: this one is to step back.
        """
        number = dict(zip(new.hashes, (mine[name] for name in new.names), strict=True))
        give_up = time.monotonic() + PATIENCE
        while True:
            rows = [row for row in self._holding_rows(head, new.hashes) if row["enrolment"] not in mine.values()]
            named = self._texts.named(self._texts.look(), {row["enrolment"] for row in rows})
            pending = [row for row in rows if row["enrolment"] not in named]
            if not pending:
                return _by_content(rows, named)
            if any(row["enrolment"] < number[row["hash"]] for row in pending) or time.monotonic() > give_up:
                raise StoreError(
                    "Content is enrolled by one at a time", "somebody who enrols the same just now", "Try again."
                )
            time.sleep(0.2)

    def _taken_back(self, head: Head, new: Records, held: Mapping[str, Sequence[str]]) -> Records:
        """What is left of records that were written, once those that others have are removed again."""
        left = _without(new, held)
        if gone := sorted(set(new.ids.tolist()) - set(left.ids.tolist())):
            self._journal.erase(head.generation, Note("forget", records=gone))
        return left

    def forget(self, ids: NDArray[np.int64]) -> int:
        """See `Store`. The server then compacts what it keeps; docs/milvus.md says what stays there for how long."""
        if len(ids) == 0:
            return 0
        note = Note("forget")
        with self._journal.writing(note) as head:
            for some in listed(np.unique(ids).tolist()):
                for row in self._milvus.read(self._texts.table(head.generation), f"id in {some}", ["id", "enrolment"]):
                    note.records.append(row["id"])
                    note.enrolments.append(row["enrolment"])
            if note.records:
                self._journal.leave(note)
                self._journal.erase(head.generation, note)
        return len(note.records)

    def rename(self, old: str, new: str, *, free: bool = False) -> int:
        """See `Store`."""
        note, count = Note("rename"), 0
        with self._journal.writing(note) as head:
            if free and next(self.records(names=[new]), None) is not None:
                raise taken(new)
            note.enrolments = self._texts.enrolments(head.generation, [old])
            if note.enrolments:
                self._journal.leave(note)
                named = [row for each in note.enrolments for row in name_rows(head.generation, {new: each})]
                self._milvus.write(self._texts.name, [*named, changed_row()])
                count = self._journal.drop_empty(head.generation, note.enrolments)
        return count

    def rebuild(self, description: Description, model_files: Mapping[str, bytes], records: Iterator[Records]) -> None:
        """See `Store`. While it lasts, whoever else wants to write is refused."""
        note = Note("rebuild")
        with self._journal.writing(note) as old:
            new = replace(
                old, generation=secrets.token_hex(6), fingerprint=description.fingerprint, dim=description.dim,
                created=description.created, metric=_metric(model_files),
            )  # fmt: skip
            note.generations = [old.generation, new.generation]
            self._journal.leave(note)
            self._make(new)
            self._milvus.write(self._texts.name, file_rows(new.generation, model_files))
            for block in records:
                enrolments = _enrolments(block.names)
                self._milvus.write(self._texts.name, original_rows(new.generation, block))
                self._milvus.write(self._texts.table(new.generation), record_rows(block, enrolments))
                self._milvus.write(self._texts.name, name_rows(new.generation, enrolments))
            check_in_time(note)
            self._milvus.write(self._texts.name, [new.row(), changed_row(), *settings_rows(description.settings)])
            self._journal.discard(old.generation)

    @contextmanager
    def alone(self) -> Generator[None]:
        """See `Store`."""
        with self._journal.alone():
            yield

    def names(self) -> dict[str, int]:
        """See `Store`."""

        def read(head: Head, sure: Callable[[], Look]) -> dict[str, int]:
            table = self._texts.table(head.generation)
            slices = 1 + self._milvus.count(table) // _COUNTED
            edges = [_LARGEST * i // slices for i in range(slices + 1)]  # ids are drawn evenly
            sizes = Counter[int]()
            for low, high in pairwise(edges):
                rows = self._milvus.read(table, f"id >= {low} and id < {high}", ["enrolment"])
                sizes.update(row["enrolment"] for row in rows)
            counts = Counter[str]()
            for enrolment, name in self._texts.named(sure(), sizes).items():
                counts[name] += sizes[enrolment]
            return dict(sorted(counts.items()))

        return self._reading(read)

    def count(self) -> int:
        """See `Store`."""

        def read(head: Head, _: Callable[[], Look]) -> int | None:
            looking = self._threads.submit(self._texts.look, notes=True)
            rows = self._milvus.count(self._texts.table(head.generation))
            adding = any(what == "add" for what, _ in looking.result().notes.values())
            return None if adding else rows  # rows that are not there yet must not be counted

        rows = self._reading(read)
        return sum(self.names().values()) if rows is None else rows

    def records(
        self,
        *,
        names: Sequence[str] | None = None,
        ids: NDArray[np.int64] | None = None,
        originals: bool = False,
        block: int = 10_000,
    ) -> Iterator[Records]:
        """See `Store`."""
        with self._texts.expected():
            look = self._texts.look()
            table, fields = self._texts.table(look.head.generation), [field["field_name"] for field in record_fields(1)]
            page = min(block, REQUEST // LONGEST if originals else max(1, REQUEST // (4 * look.head.dim + 1000)))
            for expression in self._selections(look.head.generation, names, ids):
                for rows in self._milvus.pages(table, expression, fields, page):
                    named = self._texts.named(look, {row["enrolment"] for row in rows})
                    if there := [row for row in rows if row["enrolment"] in named]:
                        yield self._gathered(look.head.generation, there, named, originals)

    def holding(self, hashes: Sequence[str]) -> dict[str, list[str]]:
        """See `Store`."""

        def read(head: Head, sure: Callable[[], Look]) -> dict[str, list[str]]:
            rows = self._holding_rows(head, hashes)
            return _by_content(rows, self._texts.named(sure(), {row["enrolment"] for row in rows}))

        return self._reading(read)

    def _holding_rows(self, head: Head, hashes: Sequence[str]) -> list[Row]:
        """Content and enrolment of the records with this content, also of those without a name."""
        asked = [each for each in dict.fromkeys(hashes) if each.isascii() and each.isalnum()]
        rows: list[Row] = []
        for some in listed(asked):
            expression = f"hash in {json.dumps(some)}"
            rows += self._milvus.read(self._texts.table(head.generation), expression, ["hash", "enrolment"])
        return rows

    def search(
        self, probes: NDArray[np.float32], k: int, distance: Distance, *, names: Sequence[str] | None = None
    ) -> Found:
        """See `Store`."""
        if len(probes) == 0:
            return Found(np.empty((0, 0), np.int64), [], np.empty((0, 0), np.float32))
        probes = np.ascontiguousarray(probes, np.float32)

        def read(head: Head, sure: Callable[[], Look]) -> Found:
            expressions = list(self._selections(head.generation, names, None))
            question = Question(head, sure, probes, k, distance, expressions, filtered=names is not None)
            return nearest(self._texts, question)

        return self._reading(read)

    def remove(self) -> None:
        """See `Store`."""
        self._milvus.drop(self._texts.name)
        for collection in self._milvus.collections():
            if re.fullmatch(rf"{self._texts.name}__[0-9a-f]{{12}}", collection):
                self._milvus.drop(collection)
        self._journal.removed = True
        self.close()

    def close(self) -> None:
        """See `Store`. Waits for the server where it compacts what was deleted, up to a minute or two."""
        self._journal.close()
        self._threads.shutdown()
        self._milvus.close()

    def _reading(self, read: Callable[[Head, Callable[[], Look]], T]) -> T:
        """What `read(head, sure)` finds in the gallery as it is now.

        A read that sees all there is waits for the server's next tick, up to 0.2 s; two at the same time wait once.
        So `read` begins with the head as it last was, and `sure()` breaks it off if that is the head no longer.
        """
        for _ in range(5):
            looking = self._threads.submit(self._texts.look)
            with self._texts.expected():
                head = (self._latest or looking.result()).head

                def sure(head: Head = head, result: Callable[[], Look] = looking.result) -> Look:
                    if (look := result()).head != head:
                        raise _RebuiltError
                    return look

                try:
                    found = read(head, sure)
                    self._latest = sure()
                    return found
                except (_RebuiltError, NoCollectionError):
                    self._latest = looking.result()
        raise self._texts.gone()

    def _selections(self, generation: str, names: Sequence[str] | None, ids: NDArray[np.int64] | None) -> Iterator[str]:
        """Expressions that together hold for the records with these names and these ids, each for others."""
        of_names, of_ids = [""], [""]
        if names is not None:
            of_names = [f"enrolment in {some}" for some in listed(self._texts.enrolments(generation, names))]
        if ids is not None:
            of_ids = [f"id in {some}" for some in listed(np.unique(ids).tolist())]
        return (" and ".join(filter(None, pair)) for pair in product(of_names, of_ids))

    def _gathered(self, generation: str, rows: Sequence[Row], named: Mapping[int, str], originals: bool) -> Records:
        ids, kept = [row["id"] for row in rows], dict[int, bytes]()
        if originals:
            found = self._texts.documents(f'kind == "original/{generation}" and owner in {ids}')
            kept = {each.owner: each.content for each in found.values()}
        return Records(
            np.array(ids, np.int64),
            [named[row["enrolment"]] for row in rows],
            np.array([row["embedding"] for row in rows], np.float32),
            [row["hash"] for row in rows],
            np.array([row["time"] for row in rows], np.float64),
            [json.loads(row["metadata"]) for row in rows],
            [kept.get(each) for each in ids],
        )

    def _make(self, head: Head) -> None:
        """The collection for the records of a generation."""
        table = self._texts.table(head.generation)
        index = {"field_name": "embedding", "index_type": head.index, "metric_type": head.metric, "params": head.build}
        self._milvus.create(table, record_fields(head.dim), index, shards=head.shards)
        self._milvus.load(self._texts.name, table)


def _metric(model_files: Mapping[str, bytes]) -> str:
    """What the index ranks by: the distance of the model, as its config.json says; L2 where it has no index."""
    with suppress(KeyError, TypeError, ValueError):
        name = json.loads(model_files["config.json"])["architecture"]["distance"]["name"]
        return {kind.name: metric for kind, metric in METRICS.items()}.get(name, "L2")
    return "L2"


def _by_content(rows: Sequence[Row], named: Mapping[int, str]) -> dict[str, list[str]]:
    """Content hash -> names, of the rows whose enrolment has one."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["enrolment"] in named:
            found.setdefault(row["hash"], set()).add(named[row["enrolment"]])
    return {each: sorted(under) for each, under in found.items()}


def _without(records: Records, held: Mapping[str, Sequence[str]]) -> Records:
    """The records whose content is not among what is held."""
    return records.take([row for row, content in enumerate(records.hashes) if content not in held])


def _enrolments(names: Sequence[str]) -> dict[str, int]:
    """A new number for each name."""
    distinct = list(dict.fromkeys(names))
    return dict(zip(distinct, new_ids(len(distinct)).tolist(), strict=True))
