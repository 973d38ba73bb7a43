"""All or nothing, without transactions: who writes leaves a note first, from which others could go on.

A note is taken away in the end. One that stays, because a process was killed or the server was lost, is settled by
whoever opens the gallery or writes to it later: what was being added goes away, what was being forgotten goes away
altogether.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import final

from likewise.errors import StoreError
from likewise.gallery.milvus.connection import PATIENCE, NoCollectionError, listed
from likewise.gallery.milvus.rows import Head, Note, changed_row, name_key
from likewise.gallery.milvus.texts import Look, Texts

LEASE = 600.0  # seconds after which a note that was not renewed counts as left behind

# Kinds of work that nobody else may write during: what they look at must stay so, or all that is there changes.
_ALONE = {"rename", "configure", "rebuild", "alone"}


@final
class Journal:
    """The notes of one gallery, and what removes rows from it."""

    def __init__(self, texts: Texts) -> None:
        self._texts, self._milvus = texts, texts.milvus
        self._compacting, self._waiting = ThreadPoolExecutor(1, thread_name_prefix="compacting"), False
        self._alone: int | None = None  # the thread that is
        self.removed = False  # whether the gallery is, and with it all notes

    @contextmanager
    def writing(self, note: Note) -> Generator[Head]:
        """Around all that writes; where it fails, nothing of it stays, or nothing of what it was to remove.

        Raises:
            StoreError: somebody rebuilds the gallery; or others whom this must not meet write for too long.
        """
        if self._alone == threading.get_ident():  # a part of what this thread does alone
            yield self._texts.look().head
            return
        with self._texts.expected():
            self.leave(note)  # before looking: of two who must not meet and both do so, one sees the other
            try:
                head = self._admitted(note)
            except BaseException:
                with suppress(StoreError):
                    self._take_away(note)
                raise
            try:
                with self._renewing(note):
                    yield head
            except BaseException:
                with suppress(StoreError):
                    self._settle(note)
                raise
            if self.removed:
                return
            with suppress(StoreError):  # all is done; who settles the note finds nothing to do
                self._take_away(note)
            if note.erases():
                self._compact()

    @contextmanager
    def alone(self) -> Generator[None]:
        """Around what nobody else may write during; what the same thread writes meanwhile is a part of it."""
        with self.writing(Note("alone")):
            self._alone = threading.get_ident()
            try:
                yield
            finally:
                self._alone = None

    def leave(self, note: Note) -> None:
        """Writes it, or writes it again when more is known."""
        self._milvus.write(self._texts.name, [*note.details(), note.row()])

    def settle_old(self, look: Look) -> None:
        """Undoes or completes what others left behind."""
        for key, (what, seen) in look.notes.items():
            if _left_behind(seen):
                details = self._texts.documents(f'kind == "{key}"')
                self._settle(Note(what, key, **(json.loads(details[key].content) if key in details else {})))

    def close(self) -> None:
        """Waits until the server has compacted what was deleted, or was asked to for long enough."""
        self._compacting.shutdown()

    def erase(self, generation: str, note: Note) -> None:
        """Removes its records, what was kept of them, and names nobody has any more."""
        self._milvus.delete(self._texts.table(generation), note.records)
        for some in listed(note.records):
            self._milvus.delete_where(self._texts.name, f'kind == "original/{generation}" and owner in {some}')
        self.drop_empty(generation, note.enrolments)

    def drop_empty(self, generation: str, enrolments: Iterable[int]) -> int:
        """Removes the names of those enrolments that have no records; how many records the others have."""
        sizes = Counter[int]()
        for some in listed(wanted := sorted(set(enrolments))):
            rows = self._milvus.read(self._texts.table(generation), f"enrolment in {some}", ["enrolment"])
            sizes.update(row["enrolment"] for row in rows)
        if empty := [name_key(generation, each) for each in wanted if not sizes[each]]:
            self._milvus.delete(self._texts.name, empty)
            self._milvus.write(self._texts.name, [changed_row()])
        return sizes.total()

    def discard(self, generation: str) -> None:
        """Removes all that is of one generation."""
        self._milvus.drop(self._texts.table(generation))
        for what in ("file", "original", "name"):
            self._milvus.delete_where(self._texts.name, f'kind == "{what}/{generation}"')

    def _admitted(self, note: Note) -> Head:
        """The head, once nobody is at work whom `note` must not meet.

        Who comes upon somebody who is to be alone steps back, that is, takes the note away and leaves it again later.
        Of two who are both to be alone the one with the smaller key stays, so that one of them goes on.
        """
        give_up = time.monotonic() + PATIENCE
        while True:
            look = self._texts.look(notes=True)
            self.settle_old(look)
            others = {
                key: what for key, (what, seen) in look.notes.items() if key != note.key and not _left_behind(seen)
            }
            if "rebuild" in others.values():
                raise StoreError(
                    "Nobody else writes to a gallery that is being rebuilt",
                    f"{self._texts.uri}, which is",
                    f"Try again when that is done, or {LEASE / 60:.0f} minutes after it died.",
                )
            alone = note.what in _ALONE
            ahead = [key for key, what in others.items() if what in _ALONE and (not alone or key < note.key)]
            if not ahead and not (alone and others):
                return look.head
            if time.monotonic() > give_up:
                raise StoreError(
                    "Who renames, configures, rebuilds or moves a gallery is alone in writing to it",
                    f"others at work at {self._texts.uri} ({', '.join(sorted(set(others.values())))})",
                    f"Try again when they are done, or {LEASE / 60:.0f} minutes after they died.",
                )
            if ahead:
                self._take_away(note)
            time.sleep(0.2)
            if ahead:
                self.leave(note)

    @contextmanager
    def _renewing(self, note: Note) -> Generator[None]:
        """Tells others from time to time that this process is still there."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(LEASE / 10):
                with suppress(StoreError, NoCollectionError):
                    note.renewed = time.time()
                    self._milvus.write(self._texts.name, [note.row()])

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _take_away(self, note: Note) -> None:
        self._milvus.delete(self._texts.name, [*(row["key"] for row in note.details()), note.key])

    def _settle(self, note: Note) -> None:
        generation = self._texts.look().head.generation
        if note.what == "forget" or (note.what == "add" and not self._has_name(generation, note.enrolments[-1])):
            self.erase(generation, note)
        elif note.what == "rename":
            self.drop_empty(generation, note.enrolments)
        elif note.what == "rebuild":
            for each in note.generations:
                if each != generation:
                    self.discard(each)
        self._take_away(note)
        self._compact()

    def _compact(self) -> None:
        """Soon, in another thread; what is deleted until that begins needs no other turn."""

        def compact() -> None:
            with suppress(StoreError, NoCollectionError):
                self._waiting = False
                for collection in (self._texts.name, self._texts.table(self._texts.look().head.generation)):
                    self._milvus.compact(collection)

        if not self._waiting:
            self._waiting = True
            self._compacting.submit(compact)

    def _has_name(self, generation: str, enrolment: int) -> bool:
        return bool(self._milvus.read(self._texts.name, f'key == "{name_key(generation, enrolment)}"', ["key"]))


def check_in_time(note: Note) -> None:
    """Before the last write: a process that slept for long may have been given up by others.

    Raises:
        StoreError: it did.
    """
    if _left_behind(note.renewed):
        raise StoreError("A gallery is written to without long pauses", f"{LEASE / 60:.0f} minutes", "Try again.")


def _left_behind(seen: float) -> bool:
    return time.time() - seen > LEASE
