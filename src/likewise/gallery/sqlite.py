"""A gallery in one SQLite file, the record of truth, searched exactly in memory.

The file is made so that forgetting is real. SQLite's secure_delete overwrites what is deleted with zeros, but not the
copies that are left behind when rows move from one page to another, as they do where rows are inserted in the middle or
deleted. So nothing that says anything about an item ever moves: rows of `names`, `originals` and `records` only join at
the end, and a forgotten row stays, emptied. Indexes, whose entries do move, hold nothing but numbers that were drawn or
counted. A renamed record is a new row, and the old one is emptied. Once half of the rows are empty the tables are
written anew.

Emptying a row happens first in the write-ahead log; `forget` returns when the log is in the file and is cut to nothing.

An address may end in ``?index=faiss``: from a million records on, searches are then approximate
(`likewise.gallery.ann`).

docs/gallery.md lists the tables.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from likewise.errors import DataError, LikewiseError, StoreError, UsageError
from likewise.gallery.contents import Contents
from likewise.gallery.records import Found, Records
from likewise.gallery.store import Description, Store, exchanged, taken

if TYPE_CHECKING:  # torch is for those who search: listing names starts without it
    from likewise.gallery.memory import Memory
    from likewise.objective.distances import Distance

FORMAT = 1
APPLICATION = 0x4C574753  # what SQLite's header calls the file's kind: "LWGS"
WAIT = 10.0  # seconds that another process may hold what is needed
_PAGE = 8192  # bytes
_REWRITTEN_FROM = 10_000  # empty rows: fewer are not worth it

_TABLES = """
CREATE TABLE {new}names (number INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE {new}originals (number INTEGER PRIMARY KEY, content BLOB);
CREATE TABLE {new}records (
    row INTEGER PRIMARY KEY,
    id INTEGER,
    name INTEGER REFERENCES {new}names,
    time REAL,
    hash BLOB,
    embedding BLOB,
    metadata TEXT,
    original INTEGER REFERENCES {new}originals
);
CREATE TABLE {new}emptied (step INTEGER PRIMARY KEY, row INTEGER NOT NULL);
"""
_INDEXES = """
CREATE UNIQUE INDEX records_by_id ON records (id) WHERE id IS NOT NULL;
CREATE INDEX records_by_name ON records (name) WHERE name IS NOT NULL;
"""
_NAMES_OF_TABLES = ("records", "names", "originals", "emptied")  # what refers comes before what is referred to
_COLUMNS = "id, name, time, hash, embedding, metadata, original"
_THESE = "IN (SELECT value FROM json_each(?))"


@final
class SqliteStore(Store):
    """See the module. Methods may be called from several threads; they take turns.

    Args:
        uri: path of the file.
        connection: to it.
        identity: device and number of the file that was opened.
    """

    def __init__(self, uri: str, connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
        self.uri = uri
        path, self._approximate = _place(uri)
        self._path, self._identity = path.resolve(), identity
        self._db, self._open = connection, True
        self._lock = RLock()
        self._memory: Memory | None = None
        self._contents: Contents | None = None
        self._seen: tuple[int, int] | None = None  # the state of the file that memory shows
        self._writes = 0  # by this connection, which data_version does not count
        self._generation = 0

    @classmethod
    def create(cls, uri: str, description: Description, model_files: Mapping[str, bytes]) -> Self:
        """A new gallery; it is written beside its place and then put there, so it is never there in part."""
        path, _ = _place(uri)
        with _errors(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
            try:
                os.close(os.open(beside, os.O_CREAT | os.O_EXCL, 0o600))  # the log that SQLite makes gets the same mode
                db = _connect(beside, "rw")
                db.execute(f"PRAGMA page_size = {_PAGE}")
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(
                    f"BEGIN; {_TABLES.format(new='')} {_INDEXES}"
                    "CREATE TABLE about (fingerprint TEXT, dim INTEGER, created REAL, settings TEXT,"
                    " records INTEGER, generation INTEGER); INSERT INTO about (records, generation) VALUES (0, 0);"
                    "CREATE TABLE model_files (path TEXT, content BLOB);"
                    f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};"
                )
                _describe(db, description, model_files)
                db.execute("COMMIT")
                db.close()
                _put_in_place(beside, path)
            finally:
                _unlink(beside)
        return cls.open(uri)

    @classmethod
    def open(cls, uri: str) -> Self:
        """The gallery in the file `uri`."""
        path, _ = _place(uri)
        with _errors(uri):
            if not path.is_file():
                raise _no_file(uri, path)
            identity = _identity(path)  # before it is opened: a file that comes in between is noticed at the first look
            db = _connect(path, "rw")
            try:
                _check_kind(db, uri)
                store = cls(uri, db, identity)
                with suppress(LikewiseError):  # what a kill left in the log is brought home, unless somebody reads
                    store._empty_log(wait=0)
            except BaseException:
                db.close()
                raise
        return store

    @classmethod
    def exists(cls, uri: str) -> bool:
        """Whether the file is there."""
        return _place(uri)[0].exists()

    def describe(self) -> Description:
        """Fingerprint, dimension, settings."""
        ((fingerprint, dim, created, settings),) = self._ask("SELECT fingerprint, dim, created, settings FROM about")
        return Description(fingerprint, dim, created, json.loads(settings))

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Replaces the settings."""
        with self._writing() as db:
            db.execute("UPDATE about SET settings = ?", (json.dumps(settings),))

    def model_files(self) -> dict[str, bytes]:
        """Relative path -> content."""
        return dict(self._ask("SELECT path, content FROM model_files"))

    def add(self, records: Records, *, model: str | None = None, once: bool = False) -> dict[str, list[str]]:
        """Adds records, in one transaction."""
        with self._writing() as db:
            if model is not None and model != self.describe().fingerprint:
                raise exchanged()
            held = self.holding(records.hashes) if once else {}
            new = records.take([row for row, content in enumerate(records.hashes) if content not in held])
            _insert(db, new)
            db.execute("UPDATE about SET records = records + ?", (len(new),))
        return held

    def forget(self, ids: NDArray[np.int64]) -> int:
        """Removes records; when it returns, no byte of them is left in the file or its log.

        Raises:
            StoreError: the records are forgotten, but another process reads an old state of the file and has not
                finished in `WAIT` seconds, so that their bytes are still there; the next to open the gallery clears
                them.
        """
        with self._writing() as db:
            rows = db.execute(f"SELECT row FROM records WHERE id {_THESE}", (_list(ids),)).fetchall()
            _empty(db, [row for (row,) in rows])
            db.execute("UPDATE about SET records = records - ?", (len(rows),))
        if rows:
            self._empty_log(WAIT)
            self._rewrite_where_mostly_empty()
        return len(rows)

    def rename(self, old: str, new: str, *, free: bool = False) -> int:
        """Enters the records called `old` anew under their new name, and empties the old rows.

        Raises:
            StoreError: as `forget`, for the old name.
        """
        with self._writing() as db:
            if free and db.execute("SELECT 1 FROM names WHERE name = ?", (new,)).fetchall():
                raise taken(new)
            rows = db.execute(
                f"SELECT row, {_COLUMNS} FROM records"
                " WHERE name IN (SELECT number FROM names WHERE name = ?) ORDER BY row",
                (old,),
            ).fetchall()
            if rows and old != new:
                number = _numbers(db, [new])[new]
                _empty(db, [row[0] for row in rows], originals=False)
                db.executemany(
                    f"INSERT INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    ((id, number, *rest) for _, id, _, *rest in rows),
                )
        if rows:
            self._empty_log(WAIT)
        return len(rows)

    def rebuild(self, description: Description, model_files: Mapping[str, bytes], records: Iterator[Records]) -> None:
        """Writes all tables anew beside the old ones and drops those, in one transaction."""
        with self._writing() as db:
            _write_anew(db, records)
            _describe(db, description, model_files)
        self._empty_log(WAIT)

    def names(self) -> dict[str, int]:
        """Every name and how many records it has."""
        return dict(
            self._ask(
                "SELECT names.name, count(*) FROM records JOIN names ON names.number = records.name"
                " WHERE records.name IS NOT NULL GROUP BY records.name ORDER BY names.name"
            )
        )

    def count(self) -> int:
        """How many records there are; counted as they come and go."""
        return self._ask("SELECT records FROM about")[0][0]

    def records(
        self,
        *,
        names: Sequence[str] | None = None,
        ids: NDArray[np.int64] | None = None,
        originals: bool = False,
        block: int = 10_000,
    ) -> Iterator[Records]:
        """Those there are when it is called; what is forgotten meanwhile is left out. No lock is held between
        blocks.
        """
        conditions, values = ["id IS NOT NULL"], []
        if names is not None:
            conditions.append(f"name IN (SELECT number FROM names WHERE name {_THESE})")
            values.append(_list(names))
        if ids is not None:
            conditions.append(f"id {_THESE}")
            values.append(_list(ids))
        found = self._ask(f"SELECT row FROM records WHERE {' AND '.join(conditions)} ORDER BY row", values)
        rows = np.fromiter((row for (row,) in found), np.int64, len(found))
        content = "content" if originals else "NULL"
        for start in range(0, len(rows), block):
            part = self._ask(
                f"SELECT id, names.name, time, hash, embedding, metadata, {content} FROM records"
                " JOIN names ON names.number = records.name LEFT JOIN originals ON originals.number = original"
                f" WHERE row {_THESE} AND id IS NOT NULL",
                [_list(rows[start : start + block])],
            )
            if part:
                id, name, time, hashes, embedding, metadata, original = zip(*part, strict=True)
                yield Records(
                    ids=np.array(id, np.int64),
                    names=name,
                    embeddings=np.frombuffer(b"".join(embedding), np.float32).reshape(len(part), -1),
                    hashes=[content_hash.hex() for content_hash in hashes],
                    times=np.array(time, np.float64),
                    metadata=[json.loads(text) for text in metadata],
                    originals=original,
                )

    def holding(self, hashes: Sequence[str]) -> dict[str, list[str]]:
        """Those of the content hashes that are enrolled already, and under which names."""
        found: dict[str, list[str]] = {}
        asked = {bytes.fromhex(content_hash) for content_hash in hashes}
        with self._reading():
            rows = self._known_contents().rows(list(asked))
            for content_hash, name in self._ask(
                "SELECT DISTINCT hash, names.name FROM records JOIN names ON names.number = records.name"
                f" WHERE row {_THESE}",
                [_list(rows)],
            ):
                if content_hash in asked:
                    found.setdefault(content_hash.hex(), []).append(name)
        return found

    def search(
        self, probes: NDArray[np.float32], k: int, distance: Distance, *, names: Sequence[str] | None = None
    ) -> Found:
        """The k nearest records of every probe, compared with every one that counts."""
        with self._lock:
            return self._refreshed(distance).search(probes, k, distance, names)

    @contextmanager
    def alone(self) -> Generator[None]:
        """A transaction around the block; others wait `WAIT` seconds for its end, and are refused."""
        with self._writing():
            yield

    def remove(self) -> None:
        """Deletes the file and what belongs to it; who still has it open is refused from then on."""
        with self._lock, _errors(self.uri):
            if os.name != "posix":  # where an open file cannot be deleted, nobody else has it open either
                self.close()
            _unlink(self._path)
            self.close()

    def close(self) -> None:
        """Closes the file; the last to do so leaves nothing but it."""
        with self._lock, _errors(self.uri):
            self._memory, self._contents, self._open = None, None, False
            self._db.close()

    def _ask(self, question: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows at once: a reader that is not at its end would keep the log from being emptied."""
        with self._lock, _errors(self.uri):
            found = self._db.execute(question, values).fetchall()
            self._check_place()
            return found

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        """A transaction that is on disk when the block ends, or has not happened; in another one, a part of that."""
        with self._lock, _errors(self.uri):
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._check_place()  # now that whoever removes it must wait
                yield self._db
                if self._open:  # else it was removed
                    self._db.execute("COMMIT")
            except BaseException:
                if self._open and self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise
            self._writes += 1

    @contextmanager
    def _reading(self) -> Generator[None]:
        """All in the block sees one state of the file."""
        with self._lock, _errors(self.uri):
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                self._check_place()
                yield
            finally:
                self._db.execute("COMMIT")

    def _check_place(self) -> None:
        """A file that was moved or deleted can be written to as long as it is open, and nobody would ever read it.

        Raises:
            StoreError: it was.
        """
        if _identity(self._path) != self._identity:
            raise StoreError(
                "A gallery is used where it was opened",
                f"{self.uri!r}, which was moved, replaced or deleted since",
                "Open it where it is now.",
            )

    def _empty_log(self, wait: float) -> None:
        """Moves the log into the file and cuts it to nothing, once nobody reads what was before."""
        with self._lock, _errors(self.uri):
            self._db.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            try:
                ((held, _, _),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {int(WAIT * 1000)}")
        if held:
            raise StoreError(
                "What is forgotten leaves the file once nobody reads it",
                f"{self.uri!r}, where another process has been reading for {wait:g} s",
                "It is forgotten for all who look now; when that process has ended, open the gallery again"
                " (`likewise gallery info` will do), and the last bytes are cleared.",
            )

    def _rewrite_where_mostly_empty(self) -> None:
        with self._writing() as db:
            ((empty, rows),) = self._ask("SELECT (SELECT count(*) FROM emptied), (SELECT count(*) FROM records)")
            rewritten = empty >= _REWRITTEN_FROM and 2 * empty > rows
            if rewritten:
                _write_anew(db, self.records(originals=True))
        if rewritten:
            self._empty_log(WAIT)

    def _refreshed(self, distance: Distance) -> Memory:
        """Memory as the file is now; only rows that are new since the last look are read."""
        with self._reading():
            ((version,),) = self._db.execute("PRAGMA data_version").fetchall()
            if self._memory is None or self._seen != (version, self._writes) or not self._memory.suits(distance):
                self._memory = self._read(distance)
                self._seen = version, self._writes
        return self._memory

    def _known_contents(self) -> Contents:
        """Contents as the file is now; only rows that are new since the last look are read."""
        ((generation,),) = self._db.execute("SELECT generation FROM about").fetchall()
        if self._contents is None or self._contents.generation != generation:
            self._contents = Contents(generation)
        known = self._contents
        rows = self._db.execute(
            "SELECT row, hash FROM records WHERE row > ? AND id IS NOT NULL ORDER BY row", (known.last_row,)
        )
        while block := rows.fetchmany(10_000):
            known.append(block)
        emptied = self._db.execute("SELECT step, row FROM emptied WHERE step > ? ORDER BY step", (known.last_step,))
        known.drop(emptied.fetchall())
        return known

    def _read(self, distance: Distance) -> Memory:
        from likewise.gallery.memory import Memory

        ((generation, dim),) = self._db.execute("SELECT generation, dim FROM about").fetchall()
        memory = self._memory
        if memory is None or generation != self._generation or not memory.suits(distance):
            memory, self._generation = Memory(dim, distance, self._approximate), generation
        names = self._db.execute("SELECT number, name FROM names WHERE number > ?", (memory.last_name,)).fetchall()
        memory.call(names)
        rows = self._db.execute(
            "SELECT row, id, name, embedding FROM records WHERE row > ? AND id IS NOT NULL ORDER BY row",
            (memory.last_row,),
        )
        while block := rows.fetchmany(10_000):
            memory.append(block)
        emptied = self._db.execute("SELECT step, row FROM emptied WHERE step > ? ORDER BY step", (memory.last_step,))
        memory.drop(emptied.fetchall())  # now that it is known who has a name
        return memory


def _place(uri: str) -> tuple[Path, bool]:
    """The file, and whether large galleries are to be searched approximately."""
    path, mark, option = uri.rpartition("?")
    if not mark or "=" not in option:
        return Path(uri), False
    if option not in ("index=exact", "index=faiss"):
        raise UsageError("A gallery in a file has the options ?index=exact and ?index=faiss", repr(uri))
    if option == "index=faiss":
        from likewise.gallery.ann import require_faiss

        require_faiss(uri)
    return Path(path), option == "index=faiss"


def _no_file(uri: str, path: Path) -> DataError:
    what = "something that is no file" if path.exists() else "no such file"
    remedy = "Make one with `likewise enrol GALLERY NAME FILE... --model MODEL`."
    if re.match(r"[\w.-]+:\d+/", uri):
        remedy = f"A gallery on a server is http://{uri}."
    return DataError("A gallery is a file that enrolling made", f"{uri!r}, {what}", remedy)


def _identity(path: Path) -> tuple[int, int]:
    """Device and number of the file that is there; (-1, -1) where none is."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return -1, -1
    return status.st_dev, status.st_ino


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
    )
    db.executescript(
        "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;"
        "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
    )
    return db


def _check_kind(db: sqlite3.Connection, uri: str) -> None:
    ((kind,),), ((version,),) = (db.execute(f"PRAGMA {name}").fetchall() for name in ("application_id", "user_version"))
    if kind != APPLICATION:
        raise DataError(
            "A gallery is a file that enrolling made", f"{uri!r}, a file of another kind", "Give another name."
        )
    if version > FORMAT:
        raise DataError(
            f"This version reads galleries up to format {FORMAT}",
            f"format {version} in {uri!r}",
            "Install a newer likewise.",
        )


def _put_in_place(beside: Path, path: Path) -> None:
    """Gives a finished file its name, unless that is taken."""
    try:
        os.link(beside, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise _there(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise _there(path) from None
        beside.rename(path)


def _there(path: Path) -> DataError:
    what, remedy = "a gallery", "Open it, or give another name."
    if path.is_dir():
        what, remedy = "a folder", "Give the name of a file in it."
    elif path.is_file():
        with path.open("rb") as file:
            if int.from_bytes(file.read(72)[68:72], "big") != APPLICATION:  # SQLite's header has it there
                what, remedy = "a file of another kind", "Give another name."
    return DataError("One place holds one gallery", f"{str(path)!r}, which is there: {what}", remedy)


def _unlink(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _describe(db: sqlite3.Connection, description: Description, model_files: Mapping[str, bytes]) -> None:
    about = description.fingerprint, description.dim, description.created, json.dumps(description.settings)
    db.execute("UPDATE about SET fingerprint = ?, dim = ?, created = ?, settings = ?", about)
    db.execute("DELETE FROM model_files")
    db.executemany("INSERT INTO model_files VALUES (?, ?)", model_files.items())


def _numbers(db: sqlite3.Connection, names: Iterable[str], new: str = "") -> dict[str, int]:
    """The number of every name, made where there is none; by a pass over `names`, as no index may hold one."""
    wanted = list(dict.fromkeys(names))
    known = dict(db.execute(f"SELECT name, number FROM {new}names WHERE name {_THESE}", (_list(wanted),)))
    for name in wanted:
        if name not in known:
            known[name] = db.execute(f"INSERT INTO {new}names (name) VALUES (?)", (name,)).lastrowid
    return known


def _write_anew(db: sqlite3.Connection, records: Iterator[Records]) -> None:
    """Puts these records in the place of all there are; they may come from the tables as they were."""
    for statement in _TABLES.format(new="new_").split(";"):
        db.execute(statement)
    count = 0
    for block in records:
        _insert(db, block, "new_")
        count += len(block)
    for table in _NAMES_OF_TABLES:
        db.execute(f"DROP TABLE {table}")
    for table in _NAMES_OF_TABLES:
        db.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for statement in _INDEXES.split(";"):
        db.execute(statement)
    db.execute("UPDATE about SET records = ?, generation = generation + 1", (count,))


def _insert(db: sqlite3.Connection, records: Records, new: str = "") -> None:
    number = _numbers(db, records.names, new)
    kept: list[int | None] = [
        None
        if content is None
        else db.execute(f"INSERT INTO {new}originals (content) VALUES (?)", (content,)).lastrowid
        for content in records.originals
    ]
    embeddings = np.ascontiguousarray(records.embeddings, np.float32)
    db.executemany(
        f"INSERT INTO {new}records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        zip(
            records.ids.tolist(),
            [number[name] for name in records.names],
            records.times.tolist(),
            [bytes.fromhex(content_hash) for content_hash in records.hashes],
            (row.tobytes() for row in embeddings),
            [json.dumps(values) for values in records.metadata],
            kept,
            strict=True,
        ),
    )


def _empty(db: sqlite3.Connection, rows: Sequence[int], *, originals: bool = True) -> None:
    """Takes all that rows of `records` say out of them, and the names and originals that nothing else refers to."""
    names = db.execute(f"SELECT DISTINCT name FROM records WHERE row {_THESE}", (_list(rows),)).fetchall()
    if originals:
        db.execute(
            f"UPDATE originals SET content = NULL WHERE number IN (SELECT original FROM records WHERE row {_THESE})",
            (_list(rows),),
        )
    cleared = ", ".join(f"{column} = NULL" for column in _COLUMNS.split(", "))
    db.execute(f"UPDATE records SET {cleared} WHERE row {_THESE}", (_list(rows),))
    db.execute(
        f"UPDATE names SET name = NULL WHERE number {_THESE} AND number NOT IN"
        " (SELECT name FROM records WHERE name IS NOT NULL)",
        (_list(name for (name,) in names),),
    )
    db.executemany("INSERT INTO emptied (row) VALUES (?)", ((row,) for row in rows))


def _list(values: Iterable[Any]) -> str:
    """Any number of values as one."""
    return json.dumps(values.tolist() if isinstance(values, np.ndarray) else list(values))


@contextmanager
def _errors(uri: str) -> Generator[None]:
    """What SQLite and the file system say, in one line that tells what to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise UsageError("A gallery is used before it is closed", uri) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        rule, remedy = _REASONS.get(code, ("A gallery's file can be read and written", "Check the disk and the file."))
        raise StoreError(rule, f"{uri!r} ({error})", remedy) from error
    except OSError as error:
        raise StoreError("A gallery's file can be read and written", f"{uri!r} ({error})", "Check the name.") from error


_PERMISSIONS = (
    "A gallery's file and its folder can be written, also to read it",
    "Check their permissions, or copy the gallery to where you may write.",
)
_NOT_WRITTEN = (
    "What is enrolled or forgotten is written whole or not at all",
    "Make space; what was there is untouched.",
)
_DAMAGED = ("A gallery is a file that enrolling made", "It is damaged or of another kind; bring back a copy.")
_REASONS = {
    sqlite3.SQLITE_BUSY: (
        f"A gallery is written by one process at a time, and others wait {WAIT:g} s",
        "Try again when the other process has finished.",
    ),
    sqlite3.SQLITE_READONLY: _PERMISSIONS,
    sqlite3.SQLITE_CANTOPEN: _PERMISSIONS,
    sqlite3.SQLITE_PERM: _PERMISSIONS,
    sqlite3.SQLITE_FULL: _NOT_WRITTEN,
    sqlite3.SQLITE_IOERR: _NOT_WRITTEN,
    sqlite3.SQLITE_TOOBIG: _NOT_WRITTEN,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
}
