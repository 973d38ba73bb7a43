"""Talking to a Milvus: who it is, what it can be asked, how long it is waited for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import grpc
import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient, MilvusException

from likewise.errors import StoreError

TOKEN = "LIKEWISE_MILVUS_TOKEN"  # user:password or an API key; never part of a URI, which ends up in messages and logs

PATIENCE = 15.0  # seconds in which a server that is away or starting is asked again
DEADLINE = 120.0  # seconds one answer may take: a server that hangs is given up
ERASED = 60.0  # seconds in which the server is asked to compact what was deleted; it takes 10 to 30
PAGE = 16_384  # rows Milvus gives where it is told how many
LISTED = 10_000  # values named in one expression
LONGEST = 65_535  # bytes of one text
REQUEST = 16 << 20  # bytes sent or asked for at a time; Milvus takes 64 MB

Row = Mapping[str, Any]

_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
# Milvus' own codes: starting, away; not loaded yet; replica, channel, segment or index on its way; node gone.
_PASSING = {1, 2, 101, 103, *range(400, 1000), *_AWAY}
_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
_UNKNOWN_COLLECTION = 100


class NoCollectionError(Exception):
    """A collection that was there is not there now."""


@final
class Connection:
    """One server; threads may share it.

    Args:
        server: http://host:port.

    Raises:
        StoreError: from every method: the server is away for longer than `PATIENCE`, refuses who asks, or cannot.
        NoCollectionError: from every method that names a collection.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        # What goes wrong is in our errors; pymilvus also prints it, with tracebacks.
        for name in ("pymilvus", "pymilvus.milvus_client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        token = os.environ.get(TOKEN, "")
        self._client: Any = None
        self._client = self._patiently(lambda: MilvusClient(server, token=token, timeout=PATIENCE))

    def close(self) -> None:
        """Ends it; a second time does nothing."""
        self._client.close()

    def collections(self) -> list[str]:
        """Names of all there are."""
        return self._ask("list_collections")

    def create(
        self, collection: str, fields: Sequence[Row], index: Row, *, shards: int = 1, description: str = ""
    ) -> bool:
        """Makes a collection that can be used after `load`.

        Args:
            collection: its name.
            fields: arguments of pymilvus' `add_field`; the first is the primary key.
            index: arguments of its `add_index`.
            shards: in how many streams the server takes rows in.
            description: what it is. It is what Milvus compares where there is a collection of that name.

        Returns:
            False where there is one with another description.
        """
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
        for number, field in enumerate(fields):
            schema.add_field(**field, is_primary=number == 0)
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index(**index)
        try:
            self._ask("create_collection", collection, schema=schema, num_shards=shards, consistency_level="Strong")
        except StoreError:
            if self._ask("describe_collection", collection)["description"] != description:
                return False
            raise
        self._ask("create_index", collection, indexes, sync=False)
        self._ask("load_collection", collection, _async=True)
        return True

    def load(self, *collections: str) -> None:
        """Returns when they can be used."""
        for collection in collections:
            self._ask("load_collection", collection)

    def drop(self, collection: str) -> None:
        """Deletes a collection with all its rows; one that is not there is no error."""
        self._ask("drop_collection", collection)

    def write(self, collection: str, rows: Iterable[Row]) -> None:
        """Adds rows, or replaces those with the same keys, so that asking twice changes nothing.

        What goes out in one request, up to `REQUEST` bytes, becomes visible at once.
        """
        parcel: list[Row] = []
        size = 0
        for row in rows:
            weight = sum(_weight(value) for value in row.values())
            if size + weight > REQUEST:
                self._ask("upsert", collection, parcel)
                parcel, size = [], 0
            parcel.append(row)
            size += weight
        if parcel:
            self._ask("upsert", collection, parcel)

    def delete(self, collection: str, keys: Sequence[int] | Sequence[str]) -> None:
        """Deletes rows by their keys."""
        for some in listed(keys):
            self._ask("delete", collection, ids=list(some))

    def delete_where(self, collection: str, expression: str) -> None:
        """Deletes the rows for which `expression` holds."""
        self._ask("delete", collection, filter=expression)

    def count(self, collection: str) -> int:
        """How many rows it has."""
        return self._ask("query", collection, filter="", output_fields=["count(*)"])[0]["count(*)"]

    def read(self, collection: str, expression: str, fields: Sequence[str]) -> list[Row]:
        """All rows for which `expression` holds; together they are not over 64 MB."""
        return self._ask("query", collection, filter=expression, output_fields=list(fields))

    def pages(self, collection: str, expression: str, fields: Sequence[str], page: int) -> Iterator[list[Row]]:
        """The same for any number of rows, up to `page` at a time."""
        iterator = self._ask(
            "query_iterator", collection, batch_size=min(page, PAGE), filter=expression, output_fields=list(fields)
        )
        while rows := self._patiently(iterator.next):
            yield rows
        iterator.close()

    def search(
        self,
        collection: str,
        probes: NDArray[np.float32],
        limit: int,
        expression: str,
        fields: Sequence[str],
        parameters: Mapping[str, Any],
    ) -> list[list[Row]]:
        """For each probe the nearest rows of those for which `expression` holds."""
        hits = self._ask(
            "search",
            collection,
            data=probes,
            limit=limit,
            filter=expression,
            output_fields=list(fields),
            search_params={"params": dict(parameters)},
        )
        return [[hit["entity"] | {"id": hit["id"]} for hit in row] for row in hits]

    def compact(self, collection: str) -> None:
        """Has the server write its segments again without the rows that were deleted.

        It passes over a segment it is busy with, so this asks again until no more is stored than is there, or `ERASED`
        is over.
        """
        give_up = time.monotonic() + ERASED
        while True:
            there = self.count(collection)
            self._ask("flush", collection)
            job = self._ask("compact", collection)
            while time.monotonic() < give_up and self._ask("get_compaction_state", job) != "Completed":
                time.sleep(0.5)
            stored = sum(segment.num_rows for segment in self._ask("list_persistent_segments", collection))
            if stored <= there or time.monotonic() + 0.5 > give_up:
                return
            time.sleep(0.5)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._patiently(lambda: getattr(self._client, method)(*arguments, timeout=DEADLINE, **options))

    def _patiently(self, attempt: Any) -> Any:
        pause, began = 0.05, time.monotonic()
        while True:
            try:
                return attempt()
            except (MilvusException, grpc.RpcError) as error:
                code = _code(error)
                if code == _UNKNOWN_COLLECTION:
                    raise NoCollectionError from error
                if code in _REFUSED or _code(error.__cause__) in _REFUSED:
                    raise StoreError(
                        "This Milvus answers only whom it knows", self.server, f"Set {TOKEN} to user:password."
                    ) from error
                if code not in _PASSING:
                    raise StoreError("Milvus can do what it is asked", _text(error)) from error
                waited = time.monotonic() - began
                if waited + pause > PATIENCE:
                    raise StoreError(
                        "A gallery on a server needs the server",
                        f"no answer from {self.server} in {waited:.0f} s ({_text(error)})",
                        "Start it, or correct the address; what was begun is then completed or undone.",
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, 1.0)


def listed(values: Sequence[Any], at_once: int = LISTED) -> Iterator[Sequence[Any]]:
    """`values` in parts small enough for one expression."""
    for start in range(0, len(values), at_once):
        yield values[start : start + at_once]


def _weight(value: object) -> int:
    """About how many bytes a value takes in a request."""
    if isinstance(value, str):
        return len(value) + 8  # texts here are ASCII but for names
    return value.nbytes if isinstance(value, np.ndarray) else 16


def _code(error: BaseException | None) -> object:
    """A number of Milvus or a status of gRPC; pymilvus gives either."""
    code = getattr(error, "code", None)
    return code() if callable(code) else code


def _text(error: MilvusException | grpc.RpcError) -> str:
    said = error.message if isinstance(error, MilvusException) else str(_code(error)).removeprefix("StatusCode.")
    return " ".join(said.split())
