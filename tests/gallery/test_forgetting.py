"""After forgetting, no byte of the file or its log says anything about what was forgotten; every byte is looked at."""

from __future__ import annotations

import secrets
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records_drawn import MODEL_FILES, described, drawn, gathered

from likewise.errors import DataError
from likewise.gallery import sqlite
from likewise.gallery.records import Records, new_ids
from likewise.gallery.sqlite import SqliteStore
from likewise.objective import Euclidean

DIM = 24
PIECE = 8  # bytes: what is found of a record need not be whole; chance would take 2**64 / file size tries


def bytes_of(folder: Path) -> bytes:
    """All that lies in a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def text(rng: np.random.Generator, most: int) -> str:
    return secrets.token_urlsafe(most)[: int(rng.integers(8, most))]


def anyone(rng: np.random.Generator, names: list[str]) -> Records:
    """Records of all sizes, from a few bytes to many pages; no two share a piece."""
    number = len(names)
    originals = [secrets.token_bytes(int(rng.integers(8, 3000))) if rng.random() < 0.5 else None for _ in names]
    return Records(
        new_ids(number), names, rng.normal(size=(number, DIM)).astype(np.float32),
        [secrets.token_hex(32) for _ in names], time.time() + rng.random(number),
        [{"note": text(rng, 4000 if rng.random() < 0.1 else 60)} for _ in names], originals,
    )  # fmt: skip


def pieces(records: Records, names: set[str]) -> set[bytes]:
    """What may not be found of forgotten records; `names` are those that nobody has any more."""
    held: set[bytes] = set()
    for i in range(len(records)):
        whole = [records.embeddings[i].tobytes(), bytes.fromhex(records.hashes[i])]
        whole.append(records.metadata[i]["note"].encode())
        whole.append(records.originals[i] or b"")
        if records.names[i] in names:
            whole.append(records.names[i].encode())
        held |= {part[j : j + PIECE] for part in whole for j in range(0, len(part) - PIECE + 1, PIECE)}
    return held


def found(folder: Path, wanted: set[bytes]) -> list[bytes]:
    """Which of the pieces are in the files, at whatever place."""
    data = np.frombuffer(bytes_of(folder) + bytes(PIECE), np.uint8)
    asked = np.sort(np.frombuffer(b"".join(wanted), np.uint64))
    left: list[bytes] = []
    for shift in range(PIECE):
        there = data[shift : shift + (len(data) - shift) // PIECE * PIECE].copy().view(np.uint64)
        left += [piece.tobytes() for piece in np.intersect1d(there, asked)]
    return left


def test_the_search_for_pieces_finds_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"..." + b"abcdefgh" + b"....." + b"12345678")
    assert set(found(tmp_path, {b"abcdefgh", b"12345678", b"elsewher"})) == {b"abcdefgh", b"12345678"}


def history(folder: Path, seed: int, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrolling, forgetting, renaming and rebuilding in random order; after each forgetting, every byte is looked
    at."""
    monkeypatch.setattr(sqlite, "_PAGE", page)
    monkeypatch.setattr(sqlite, "_REWRITTEN_FROM", 60)
    rng = np.random.default_rng(seed)
    store = SqliteStore.create(str(folder / "a.gallery"), described(DIM), MODEL_FILES)
    other = SqliteStore.open(store.uri)
    live: dict[int, Records] = {}
    gone: set[bytes] = set()
    for _ in range(25):
        names = [text(rng, 100) for _ in range(int(rng.integers(1, 12)))]
        records = anyone(rng, [str(rng.choice(names)) for _ in range(int(rng.integers(1, 25)))])
        (store if rng.random() < 0.7 else other).add(records)
        live |= {int(id): gathered(iter([one(records, i)])) for i, id in enumerate(records.ids)}
        if rng.random() < 0.3:
            other.search(records.embeddings[:1], 3, Euclidean())
        if rng.random() < 0.3:
            old = str(rng.choice([record.names[0] for record in live.values()]))
            new = str(rng.choice([text(rng, 100), *names]))
            store.rename(old, new)
            if old != new:
                gone |= pieces(replace(one(records, 0), names=[old]), {old}) - pieces(one(records, 0), set())
            live = {i: replace(r, names=[new]) if r.names[0] == old else r for i, r in live.items()}
        if rng.random() < 0.1:
            store.rebuild(described(DIM), MODEL_FILES, store.records(originals=True))
        if rng.random() < 0.8:
            ids = rng.choice(list(live), int(rng.integers(1, len(live) + 1)) // 2 + 1)
            assert store.forget(ids) == len(set(ids.tolist()))
            dead = [live.pop(id) for id in set(ids.tolist())]
            names_left = {record.names[0] for record in live.values()}
            for record in dead:
                gone |= pieces(record, set(record.names) - names_left)
            assert found(folder, gone) == []
    kept = gathered(store.records(originals=True))
    assert sorted(kept.ids) == sorted(live)
    for i, id in enumerate(kept.ids.tolist()):
        assert found(folder, pieces(one(kept, i), {kept.names[i]})) != []
        assert one(kept, i).originals == live[id].originals
        assert one(kept, i).names == live[id].names
    store.close()
    other.close()
    assert [path.name for path in folder.iterdir()] == ["a.gallery"]
    assert found(folder, gone) == []


def one(records: Records, i: int) -> Records:
    return Records(
        records.ids[[i]], [records.names[i]], records.embeddings[[i]], [records.hashes[i]], records.times[[i]],
        [records.metadata[i]], [records.originals[i]],
    )  # fmt: skip


@pytest.mark.parametrize("page", [512, 8192])  # small pages make deep trees, whose inner pages hold keys as well
def test_over_a_random_history(page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(tmp_path, 0, page, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", [512, 1024, 8192])
@pytest.mark.parametrize("seed", [1, 2, *range(100, 120)])
def test_over_more_random_histories(seed: int, page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(tmp_path, seed, page, monkeypatch)


def test_sqlite_alone_does_not_forget(tmp_path: Path) -> None:
    """Why rows are emptied and indexes hold numbers only: with secure_delete, deleting leaves traces all the same."""
    traces = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        db = sqlite3.connect(tmp_path / f"{seed}.db", isolation_level=None)
        db.executescript("PRAGMA page_size = 512; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON")
        db.executescript("CREATE TABLE held (name TEXT); CREATE INDEX held_by_name ON held (name)")
        gone: set[bytes] = set()
        for _ in range(30):
            names = [secrets.token_urlsafe(30) for _ in range(20)]
            db.executemany("INSERT INTO held VALUES (?)", [(name,) for name in names])
            some = [name for (name,) in db.execute("SELECT name FROM held").fetchall() if rng.random() < 0.5]
            db.executemany("DELETE FROM held WHERE name = ?", [(name,) for name in some])
            gone |= {name.encode()[j : j + PIECE] for name in some for j in range(0, 40, PIECE)}
        db.close()
        traces += len(found(tmp_path, gone))
    assert traces > 0


class TestReaders:
    """Somebody may be reading the file while it is to forget."""

    def test_forgetting_waits_for_a_reader_and_says_if_it_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(DIM), MODEL_FILES)
        records = anyone(np.random.default_rng(0), ["somebody with a name"] * 3)
        store.add(records)
        reader = sqlite3.connect(store.uri, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchall()
        with pytest.raises(DataError, match=r"another process has been reading .* forgotten for all who look now"):
            store.forget(records.ids)
        assert store.names() == {}
        wanted = pieces(records, set(records.names))
        assert found(tmp_path, wanted) != []  # which is why it had to be said
        reader.execute("COMMIT")
        SqliteStore.open(store.uri).close()  # what the message says to do
        assert found(tmp_path, wanted) == []
        reader.close()
        store.close()

    def test_a_reader_that_ends_in_time_is_waited_for(self, tmp_path: Path) -> None:
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(DIM), MODEL_FILES)
        records = anyone(np.random.default_rng(0), ["somebody with a name"] * 3)
        store.add(records)
        script = f"""
import sqlite3, sys, time
db = sqlite3.connect({store.uri!r}, isolation_level=None)
db.execute("BEGIN"); db.execute("SELECT count(*) FROM records").fetchall()
print("reading", flush=True); time.sleep(0.7); db.execute("COMMIT"); print("done", flush=True); sys.stdin.read()
"""
        reader = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        assert store.forget(records.ids) == 3
        assert found(tmp_path, pieces(records, set(records.names))) == []  # although it still has the file open
        reader.communicate()
        store.close()

    def test_a_handle_that_has_searched_holds_nothing_back(self, tmp_path: Path) -> None:
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(DIM), MODEL_FILES)
        records = anyone(np.random.default_rng(0), ["somebody with a name"] * 30)
        store.add(records)
        other = SqliteStore.open(store.uri)
        blocks = other.records(block=7)
        next(blocks)
        other.search(records.embeddings, 1, Euclidean())
        store.forget(records.ids[:15])
        assert found(tmp_path, pieces(gathered(iter([one(records, 3)])), set())) == []
        assert sum(len(block) for block in blocks) <= 23
        other.close()
        store.close()


@pytest.mark.slow
def test_a_kill_between_forgetting_and_clearing_is_made_good(tmp_path: Path) -> None:
    """The log of a process that died holds what was forgotten; opening the gallery brings it home."""
    store = SqliteStore.create(str(tmp_path / "a.gallery"), described(DIM), MODEL_FILES)
    records = anyone(np.random.default_rng(0), ["somebody with a name"] * 3)
    store.add(records)
    store.close()
    script = f"""
import os, json, numpy as np
from likewise.gallery.sqlite import SqliteStore
store = SqliteStore.open({store.uri!r})
store._empty_log = lambda wait: os._exit(9)
store.forget(np.array({records.ids.tolist()!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert found(tmp_path, pieces(records, set())) != []
    again = SqliteStore.open(store.uri)
    assert found(tmp_path, pieces(records, set(records.names))) == []
    assert again.names() == {}
    again.close()


def test_space_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_REWRITTEN_FROM", 100)
    store = SqliteStore.create(str(tmp_path / "a.gallery"), described(DIM), MODEL_FILES)
    other = SqliteStore.open(store.uri)
    kept = drawn(["kept"] * 50, DIM)
    store.add(kept)
    sizes: list[int] = []
    for seed in range(30):
        records = drawn([f"guest {seed}"] * 100, DIM, seed + 1)
        store.add(records)
        assert other.search(records.embeddings, 1, Euclidean()).ids[:, 0].tolist() == records.ids.tolist()
        store.forget(records.ids)
        sizes.append((tmp_path / "a.gallery").stat().st_size)
        assert other.search(kept.embeddings, 1, Euclidean()).ids[:, 0].tolist() == kept.ids.tolist()
        assert store.names() == {"kept": 50}
    assert max(sizes[5:]) <= 2 * sizes[0]
    store.close()
    other.close()
