"""Where records are kept: one small interface, and the table of what implements it.

gym.gallery                   a file: SQLite
http://host:19530/gym         a server: Milvus
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import DataError, ModelError, UsageError
from likewise.gallery.records import Found, Records

if TYPE_CHECKING:  # torch is for those who search: listing names starts without it
    from likewise.objective.distances import Distance

UNFINISHED = "moved from"  # among the settings of a gallery that a move is still filling


@final
@dataclass(frozen=True)
class Description:
    """What a gallery says of itself.

    Attributes:
        fingerprint: of the model whose embeddings it holds.
        dim: D, length of an embedding.
        created: in seconds since 1970 (UTC).
        settings: how it decides and what its calibration found, JSON-ready; see `likewise.gallery.decision`.
    """

    fingerprint: str
    dim: int
    created: float
    settings: dict[str, Any]


class Store(ABC):
    """Keeps the records of one gallery, the files of its model, and its settings.

    Every method sees what other processes have written so far, and what a method has returned from is on disk: a kill
    right after it loses nothing. A method that writes does all or nothing. Every method raises `StoreError`: locked or
    read-only beyond a bounded wait, damaged, full disk, server gone.
    """

    uri: str

    @classmethod
    @abstractmethod
    def create(cls, uri: str, description: Description, model_files: Mapping[str, bytes]) -> Self:
        """A new gallery without records; DataError where one is already."""

    @classmethod
    @abstractmethod
    def open(cls, uri: str) -> Self:
        """The gallery at `uri`; DataError where there is none."""

    @classmethod
    @abstractmethod
    def exists(cls, uri: str) -> bool:
        """Whether there is a gallery at `uri`, or anything else that would be in its way."""

    @abstractmethod
    def describe(self) -> Description:
        """Fingerprint, dimension, settings."""

    @abstractmethod
    def configure(self, settings: Mapping[str, Any]) -> None:
        """Replaces the settings."""

    @abstractmethod
    def model_files(self) -> dict[str, bytes]:
        """The model folder the gallery keeps a copy of: relative path -> content."""

    @abstractmethod
    def add(self, records: Records, *, model: str | None = None, once: bool = False) -> dict[str, list[str]]:
        """Adds records; their ids are new.

        Whatever is asked for is looked at in the same step as the records are written, so that of two who enrol the
        same at the same time one comes second.

        Args:
            model: the fingerprint of the model whose embeddings these are; None not to look.
            once: whether to leave out those whose content is enrolled already.

        Returns:
            What `holding` says of the content that was left out.

        Raises:
            ModelError: the gallery is of another model by now.
        """

    @abstractmethod
    def forget(self, ids: NDArray[np.int64]) -> int:
        """Removes records with all that was kept of them, from every file and index; the number that were there."""

    @abstractmethod
    def rename(self, old: str, new: str, *, free: bool = False) -> int:
        """Gives all records called `old` the name `new`; the number changed.

        Args:
            old: a name; nothing changes where nobody has it.
            new: another one.
            free: whether `new` must not be in use.

        Raises:
            DataError: it is.
        """

    @abstractmethod
    def rebuild(self, description: Description, model_files: Mapping[str, bytes], records: Iterator[Records]) -> None:
        """Puts another description, model and records in the place of all there is; readers see the old until it is
        done.

        `records` may come from this store's own `records`, and may have ids that are in use. Where it raises, the old
        stays.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[object]:
        """Nobody else writes while the block runs: who tries is refused after a bounded wait.

        In the block this thread may read, `configure`, and `remove`.
        """

    @abstractmethod
    def names(self) -> dict[str, int]:
        """Every name and how many records it has, sorted by name."""

    def count(self) -> int:
        """How many records there are."""
        return sum(self.names().values())

    @abstractmethod
    def records(
        self,
        *,
        names: Sequence[str] | None = None,
        ids: NDArray[np.int64] | None = None,
        originals: bool = False,
        block: int = 10_000,
    ) -> Iterator[Records]:
        """All records, or those of some names or ids, a block at a time; `originals` are None unless asked for."""

    @abstractmethod
    def holding(self, hashes: Sequence[str]) -> dict[str, list[str]]:
        """Those of the content hashes that are enrolled already, and under which names."""

    @abstractmethod
    def search(
        self, probes: NDArray[np.float32], k: int, distance: Distance, *, names: Sequence[str] | None = None
    ) -> Found:
        """The k nearest records of every probe (Q, D), among all or among those of some names."""

    @abstractmethod
    def remove(self) -> None:
        """Deletes the gallery as a whole, and closes it."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of files and connections; a second time does nothing."""


def exchanged() -> ModelError:
    """The refusal of embeddings whose model was exchanged while they were made."""
    return ModelError(
        "A gallery holds embeddings of one model", "those of one that was exchanged meanwhile", "Ask again."
    )


def taken(name: str) -> DataError:
    """The refusal of a name that is in use."""
    return DataError("A new name is free", repr(name), "`merge` joins the records of two names.")


# How a URI begins -> module and class. Modules are imported when needed: not everybody has every server's client.
STORES = {
    "http://": ("likewise.gallery.milvus", "MilvusStore"),
    "https://": ("likewise.gallery.milvus", "MilvusStore"),
    "": ("likewise.gallery.sqlite", "SqliteStore"),
}


def store_for(uri: str) -> type[Store]:
    """What keeps galleries with such an address.

    Raises:
        UsageError: nothing does, or its client is not installed.
    """
    beginning = next(beginning for beginning in STORES if uri.startswith(beginning))
    if not uri or (not beginning and "://" in uri):
        raise UsageError("A gallery is a file or http://host:port/name", repr(uri), "Pass for example gym.gallery.")
    module, name = STORES[beginning]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pymilvus":
            raise
        raise UsageError(
            "A gallery on a server needs pymilvus", uri, 'Install it: pip install "likewise[milvus]".'
        ) from error


def open_store(uri: str) -> Store:
    """The gallery at `uri`.

    Raises:
        UsageError: see `store_for`. DataError: there is no gallery, it cannot be read, or see `check_whole`.
    """
    store = store_for(uri).open(uri)
    try:
        check_whole(store)
    except BaseException:
        store.close()
        raise
    return store


def check_whole(store: Store) -> None:
    """Raises DataError where a move was cut short before all was there."""
    if (source := store.describe().settings.get(UNFINISHED)) is not None:
        raise DataError(
            "A gallery is moved as a whole",
            f"{store.uri}, where a move from {source} was cut short",
            f"All is still at {source}; move it again.",
        )
