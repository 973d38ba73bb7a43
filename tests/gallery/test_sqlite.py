"""What can happen to a file: kills, other processes, full disks, locks, permissions, damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import writers
from records_drawn import MODEL_FILES, check_same, described, drawn, gathered

import likewise as lw
from likewise.errors import StoreError
from likewise.gallery import ann, sqlite
from likewise.gallery.sqlite import SqliteStore
from likewise.media.pictures import content_hash, png_bytes
from likewise.objective import Euclidean

SEED = 20261122


@pytest.fixture
def uri(tmp_path: Path, model_folder: Path) -> str:
    """A gallery of a model, without records."""
    lw.Gallery.open(tmp_path / "a.gallery", model_folder).close()
    return str(tmp_path / "a.gallery")


def held_by(uri: str) -> dict[str, list[str]]:
    """Name -> sorted content hashes."""
    found: dict[str, list[str]] = {}
    with lw.Gallery.open(uri) as gallery:
        for block in gallery.records():
            for name, content in zip(block.names, block.hashes, strict=True):
                found.setdefault(name, []).append(content)
    return {name: sorted(hashes) for name, hashes in found.items()}


def check_sound(uri: str) -> None:
    """SQLite finds no fault in the file."""
    db = sqlite3.connect(uri)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    (claimed,), (counted,) = (
        db.execute(f"SELECT {count}").fetchone()
        for count in ("records FROM about", "count(*) FROM records WHERE id IS NOT NULL")
    )
    assert claimed == counted
    db.close()


class Ledger:
    """What a writer was told is done."""

    def __init__(self) -> None:
        self.there: dict[str, list[str]] = {}
        self.gone: list[tuple[str, list[np.ndarray]]] = []
        self._drawn: dict[str, list[np.ndarray]] = {}

    def follow(self, heard: Connection) -> str | None:
        """Listens until the writer ends; the name it was at when it did, if it was at one."""
        doing = None
        try:
            while True:
                said = heard.recv()
                if said is not None:
                    doing = said
                    continue
                what, name, drawn, number = doing
                if what == "enrol":
                    self._drawn[name] = writers.pictures(drawn, number)
                    self.there[name] = self._hashes(name)
                else:
                    self.forgotten(name)
                doing = None
        except (EOFError, OSError):  # it was killed, perhaps in the middle of a word
            if doing is not None and doing[0] == "enrol":
                self._drawn[doing[1]] = writers.pictures(*doing[2:])
            return None if doing is None else doing[1]

    def settle(self, name: str, found: list[str] | None) -> None:
        """What nobody was told of either has happened or has not, but not by half."""
        assert found in (None, self._hashes(name))
        if found is None:
            self.forgotten(name)
        else:
            self.there[name] = found

    def forgotten(self, name: str) -> None:
        self.there.pop(name, None)
        self.gone.append((name, self._drawn[name]))

    def _hashes(self, name: str) -> list[str]:
        return sorted(content_hash(picture) for picture in self._drawn[name])


@pytest.mark.slow
def test_twenty_kills(uri: str) -> None:
    """Every acknowledged enrolment is there, everything forgotten is not, in no byte, and the file opens."""
    rng, ledger, at_work = np.random.default_rng(SEED), Ledger(), 0
    for kill in range(20):
        process, heard = writers.start(writers.enrol_and_forget, uri, kill, 1_000_000)
        assert heard.poll(60)  # it has begun
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.join()
        at = ledger.follow(heard)
        found = held_by(uri)
        if at is not None:
            at_work += 1
            ledger.settle(at, found.get(at))
        assert found == ledger.there
        check_sound(uri)
        held = b"".join(file.read_bytes() for file in Path(uri).parent.glob("a.gallery*"))
        for name, pictures in ledger.gone:
            assert name.encode() not in held
            assert not any(png_bytes(picture) in held for picture in pictures)
    assert at_work >= 10  # most kills came in the middle of something
    assert len(ledger.there) > 20
    assert len(ledger.gone) > 20
    with lw.Gallery.open(uri) as gallery:
        name = next(iter(ledger.there))
        assert gallery.forget(name).records == len(ledger.there[name])


def test_two_processes_writing_at_once_lose_nothing(uri: str) -> None:
    started = [writers.start(writers.enrol_and_forget, uri, seed, 25) for seed in (1, 2)]
    ledgers = [Ledger(), Ledger()]
    for ledger, (process, heard) in zip(ledgers, started, strict=True):
        assert ledger.follow(heard) is None
        process.join()
        assert process.exitcode == 0
    assert all(ledger.there and ledger.gone for ledger in ledgers)
    assert held_by(uri) == ledgers[0].there | ledgers[1].there
    check_sound(uri)


class TestFullDisk:
    @pytest.fixture
    def small_disk(self) -> Iterator[Path]:
        """A file system of 4 MB."""
        with TemporaryDirectory(prefix="small-disk-") as folder:
            mounted = shutil.which("mount") and subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False
            )
            if not mounted or mounted.returncode:
                pytest.skip("mounting a small disk is not allowed here")
            yield Path(folder)
            subprocess.run(["umount", "--lazy", folder], check=True)

    @pytest.mark.parametrize("seed", range(3))
    def test_a_clear_error_and_a_gallery_as_it_was(self, small_disk: Path, seed: int) -> None:
        store = SqliteStore.create(str(small_disk / "a.gallery"), described(dim=64), MODEL_FILES)
        rng, written = np.random.default_rng(seed), []

        def fill() -> None:
            while True:
                records = drawn(["ada", "bob"] * int(rng.integers(1, 200)), 64, len(written), originals=True)
                store.add(records)
                written.append(records)

        with pytest.raises(lw.DataError, match=r"written whole or not at all.*full.*Make space") as refused:
            fill()
        assert len(str(refused.value).splitlines()) == 1
        assert sum(map(len, written)) > 100
        expected = gathered(iter(written))
        for handle in (store, SqliteStore.open(store.uri)):
            check_same(gathered(handle.records(originals=True)), expected)
            found = handle.search(expected.embeddings[:5], 1, Euclidean())
            assert found.ids[:, 0].tolist() == expected.ids[:5].tolist()
        with pytest.raises(lw.DataError, match="Make space"):
            SqliteStore.create(str(small_disk / "b.gallery"), described(), {"model": bytes(4_000_000)})
        assert not list(small_disk.glob("*b.gallery*"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
        assert store.forget(written[0].ids) == len(written[0])
        store.add(drawn(["eve"], 64, 77))
        assert store.count() == len(expected) - len(written[0]) + 1
        handle.close()
        store.close()
        check_sound(str(small_disk / "a.gallery"))

    def test_without_a_small_disk(self, tmp_path: Path) -> None:
        """SQLite itself can be told that there is no more space."""
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
        before = drawn(["ada"] * 20)
        store.add(before)
        store._db.execute("PRAGMA max_page_count = 1")  # as many as there are
        with pytest.raises(lw.DataError, match="Make space"):
            store.add(drawn(["bob"] * 1000, seed=1))
        check_same(gathered(store.records()), before)
        store._db.execute("PRAGMA max_page_count = 100000")
        store.add(drawn(["bob"], seed=1))
        assert store.names() == {"ada": 20, "bob": 1}
        store.close()


class TestLocks:
    def test_a_writer_that_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
        records = drawn(["ada"])
        store.add(records)
        other = sqlite3.connect(store.uri, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for write in (
            lambda: store.add(drawn(["bob"], seed=1)),
            lambda: store.forget(records.ids),
            lambda: store.rename("ada", "eve"),
            lambda: store.configure({}),
        ):
            with pytest.raises(lw.DataError, match=r"written by one process at a time.*Try again"):
                write()
        assert store.names() == {"ada": 1}  # reading needs nobody's leave
        assert store.search(records.embeddings, 1, Euclidean()).ids.tolist() == [records.ids.tolist()]
        other.execute("ROLLBACK")
        assert store.forget(records.ids) == 1
        other.close()
        store.close()

    def test_a_file_that_somebody_keeps_to_himself(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        uri = str(tmp_path / "a.gallery")
        SqliteStore.create(uri, described(), MODEL_FILES).close()
        other = sqlite3.connect(uri, isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(lw.DataError, match="written by one process at a time"):
            SqliteStore.open(uri).names()
        other.close()
        SqliteStore.open(uri).close()


class TestPermissions:
    @pytest.fixture
    def shown(self, model_folder: Path) -> Iterator[Path]:
        """A gallery with one record where other users can see it."""
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody who may not write")
        with TemporaryDirectory(prefix="shown-") as folder:
            Path(folder).chmod(0o755)
            with lw.Gallery.open(Path(folder, "a.gallery"), model_folder) as gallery:
                gallery.enrol("ada", writers.pictures(0, 1))
            yield Path(folder, "a.gallery")

    @pytest.mark.parametrize("mode", [0o644, 0o600, 0o666])
    def test_a_file_that_may_not_be_written(self, shown: Path, mode: int) -> None:
        shown.chmod(mode)
        before = shown.read_bytes()
        process, heard = writers.start(writers.as_nobody, str(shown), 1)
        process.join()
        assert heard.recv().startswith("StoreError: A gallery's file and its folder can be written, also to read it")
        assert shown.read_bytes() == before
        assert held_by(str(shown)).keys() == {"ada"}

    def test_a_folder_that_is_not_there_and_may_not_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(lw.DataError):
            SqliteStore.create(str(tmp_path / "file" / "a.gallery"), described(), MODEL_FILES)


class TestModes:
    @pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
    def test_only_the_owner_reads_a_gallery_and_its_log(self, tmp_path: Path) -> None:
        """It holds embeddings, perhaps pictures, and stands beside a file of tokens that nobody else may read."""
        before = os.umask(0o022)
        try:
            store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
            store.add(drawn(["ada"], originals=True))
            found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            store.close()
        finally:
            os.umask(before)
        assert found == dict.fromkeys(("a.gallery", "a.gallery-wal", "a.gallery-shm"), 0o600)


class TestOtherPlace:
    """A file that is open can be written to when it is nowhere any more; so whoever writes looks where it is."""

    @pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
    def test_is_noticed_before_anything_is_written_or_answered(self, tmp_path: Path, how: str) -> None:
        path, records = tmp_path / "a.gallery", drawn(["ada"])
        store = SqliteStore.create(str(path), described(), MODEL_FILES)
        store.add(records)
        if how == "deleted":
            path.unlink()
        else:
            path.rename(tmp_path / "b.gallery")
        if how == "replaced":
            shutil.copy(tmp_path / "b.gallery", path)
        for ask in (
            store.names,
            store.describe,
            lambda: store.add(drawn(["bob"], seed=1)),
            lambda: store.forget(records.ids),
            lambda: store.search(records.embeddings, 1, Euclidean()),
        ):
            with pytest.raises(StoreError, match=r"a\.gallery', which was moved, replaced or deleted since\. Open it"):
                ask()
        store.close()

    def test_a_path_that_is_relative_stays_where_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        store = SqliteStore.create("a.gallery", described(), MODEL_FILES)
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        store.add(drawn(["ada"]))
        assert store.names() == {"ada": 1}
        store.remove()
        assert [path.name for path in tmp_path.iterdir()] == ["below"]

    @pytest.mark.parametrize("uri", ["localhost:19530/gym", "10.0.0.7:19530/gym"])
    def test_an_address_without_its_beginning(self, uri: str) -> None:
        with pytest.raises(lw.DataError, match=f"A gallery on a server is http://{uri}"):
            SqliteStore.open(uri)


@pytest.mark.parametrize("seed", range(2))
def test_rewriting_after_forgetting_brings_no_old_model_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Somebody exchanges the model just before the tables are written anew."""
    monkeypatch.setattr(sqlite, "_REWRITTEN_FROM", 10)
    store = SqliteStore.create(str(tmp_path / "a.gallery"), described(8), MODEL_FILES)
    other = SqliteStore.open(store.uri)
    old, kept = drawn(["ada"] * 40, 8), drawn(["bob"] * 5, 8, seed=1)
    store.add(old)
    store.add(kept)
    new = replace(drawn(["bob"] * 5, 3, seed=2), ids=kept.ids)
    begun = 0

    def exchange(statement: str) -> None:
        nonlocal begun
        if statement == "BEGIN IMMEDIATE":
            begun += 1
            if begun == 2:  # the first is the forgetting
                other.rebuild(
                    replace(described(3, "e" * 64), settings={"rule": "mean"}), {"config.json": b"new"}, iter([new])
                )
                if seed:  # and many more come and go
                    other.add(drawn(["eve"] * 30, 3, seed=3))
                    other.forget(gathered(other.records(names=["eve"])).ids)

    store._db.set_trace_callback(exchange)
    assert store.forget(old.ids) == 40
    store._db.set_trace_callback(None)
    assert begun >= 2
    for handle in (store, other):
        assert handle.describe() == replace(described(3, "e" * 64), settings={"rule": "mean"})
        assert handle.model_files() == {"config.json": b"new"}
        check_same(gathered(handle.records()), new)
        assert handle.search(new.embeddings, 1, Euclidean()).ids[:, 0].tolist() == new.ids.tolist()
    other.close()
    store.close()


class TestContents:
    def test_only_what_is_new_is_read_to_know_whether_content_is_there(self, tmp_path: Path) -> None:
        """By the number of steps SQLite takes: whoever enrols holds others up, and galleries are large."""
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
        store.add(old := drawn(["ada"] * 5000))
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        def taken(hashes: list[str]) -> int:
            nonlocal steps
            steps = 0
            store._db.set_progress_handler(count, 10)
            store.holding(hashes)
            store._db.set_progress_handler(None, 10)
            return steps

        first = taken(old.hashes[:1])
        store.add(new := drawn(["bob"], seed=1), once=True)
        assert taken([old.hashes[7], new.hashes[0], "0" * 64]) < first / 20
        assert store.holding([old.hashes[7], new.hashes[0], "0" * 64]) == {
            old.hashes[7]: ["ada"], new.hashes[0]: ["bob"],
        }  # fmt: skip
        store.close()

    def test_follows_what_others_enrol_forget_rename_and_rebuild(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "_REWRITTEN_FROM", 20)
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
        other, rng, known = SqliteStore.open(store.uri), np.random.default_rng(SEED), dict[str, tuple[int, str]]()
        for step in range(40):
            writer = (store, other)[int(rng.integers(2))]
            records = drawn([f"name {step}"] * int(rng.integers(1, 8)), seed=step)
            writer.add(records, once=True)
            known |= {h: (int(id), f"name {step}") for h, id in zip(records.hashes, records.ids, strict=True)}
            for content in rng.choice(sorted(known), min(len(known), int(rng.integers(0, 8))), replace=False):
                writer.forget(np.array([known.pop(content)[0]]))
            if rng.random() < 0.2:
                writer.rename(f"name {step}", f"other {step}")
                called = {f"name {step}": f"other {step}"}
                known = {content: (id, called.get(name, name)) for content, (id, name) in known.items()}
            if rng.random() < 0.1:
                writer.rebuild(described(), MODEL_FILES, writer.records())
            asked = [*records.hashes, *known, "1" * 64]
            for handle in (store, other):
                assert handle.holding(asked) == {h: [name] for h, (_, name) in known.items()}
                assert handle._contents is not None
                assert len(handle._contents.rows([bytes.fromhex(h) for h in asked])) == len(known)
        other.close()
        store.close()

    def test_hashes_that_begin_alike_are_told_apart(self, tmp_path: Path) -> None:
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(), MODEL_FILES)
        store.add(replace(drawn(["ada"]), hashes=["ab" * 8 + "00" * 24]))
        assert store.holding(["ab" * 8 + "11" * 24]) == {}
        assert store.holding(["ab" * 8 + "00" * 24]) == {"ab" * 8 + "00" * 24: ["ada"]}
        store.close()


class TestDamage:
    def test_files_of_another_kind(self, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "other")
        other.execute("CREATE TABLE names (name TEXT)")
        other.commit()
        other.close()
        (tmp_path / "text").write_text("no gallery" * 1000)
        (tmp_path / "empty").touch()
        (tmp_path / "folder").mkdir()
        for name in ("other", "text", "empty", "folder"):
            path = tmp_path / name
            before = path.read_bytes() if path.is_file() else None
            with pytest.raises(lw.DataError, match="A gallery is a file that enrolling made"):
                SqliteStore.open(str(path))
            if before is not None:
                assert path.read_bytes() == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "folder", "other", "text"]

    def test_a_newer_format(self, tmp_path: Path) -> None:
        uri = str(tmp_path / "a.gallery")
        SqliteStore.create(uri, described(), MODEL_FILES).close()
        db = sqlite3.connect(uri)
        db.execute(f"PRAGMA user_version = {sqlite.FORMAT + 1}")
        db.close()
        with pytest.raises(lw.DataError, match="Install a newer likewise"):
            SqliteStore.open(uri)

    @pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
    def test_a_file_cut_short(self, tmp_path: Path, kept: float) -> None:
        uri = str(tmp_path / "a.gallery")
        store = SqliteStore.create(uri, described(), MODEL_FILES)
        store.add(drawn(["ada"] * 2000, originals=True))
        store.close()
        whole = Path(uri).read_bytes()
        Path(uri).write_bytes(whole[: int(len(whole) * kept)])

        def look() -> None:
            with_all = SqliteStore.open(uri)
            try:
                assert sum(len(block) for block in with_all.records(originals=True)) == 2000
                with_all.search(np.zeros((1, 8), np.float32), 1, Euclidean())
            finally:
                with_all.close()

        with pytest.raises(lw.DataError) as refused:
            look()
        assert len(str(refused.value).splitlines()) == 1


class TestFaiss:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("faiss", reason="the extra `ann` is not installed")
        monkeypatch.setattr(ann, "FROM", 2000)

    def test_is_the_exact_search_but_for_few(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(SEED)
        centres = rng.normal(size=(60, 16))
        rows = centres[rng.integers(0, 60, 6000)] + rng.normal(size=(6000, 16)) * 0.3
        records = drawn([f"name {i % 50}" for i in range(6000)], 16, embeddings=rows)
        exact = SqliteStore.create(str(tmp_path / "a.gallery"), described(16), MODEL_FILES)
        exact.add(records)
        close = SqliteStore.open(f"{exact.uri}?index=faiss")
        probes = records.embeddings[::30] + rng.normal(size=(200, 16)).astype(np.float32) * 0.1
        a, b = (store.search(probes, 10, Euclidean()) for store in (exact, close))
        assert sum(len(set(x) & set(y)) for x, y in zip(a.ids, b.ids, strict=True)) >= 0.97 * 2000
        both = a.ids == b.ids
        np.testing.assert_allclose(b.distances[both], a.distances[both], rtol=1e-5)  # distances are exact
        filtered = [store.search(probes, 10, Euclidean(), names=["name 7"]).ids for store in (exact, close)]
        np.testing.assert_array_equal(*filtered)  # among few, all are compared
        exact.close()
        close.close()

    def test_follows_the_records(self, tmp_path: Path) -> None:
        store = SqliteStore.create(str(tmp_path / "a.gallery"), described(8), MODEL_FILES)
        store.add(records := drawn(["ada"] * 3000, 8))
        close = SqliteStore.open(f"{store.uri}?index=faiss")
        asked = records.embeddings[:50]
        assert close.search(asked, 1, Euclidean()).ids[:, 0].tolist() == records.ids[:50].tolist()
        close.forget(records.ids[:25])
        store.forget(records.ids[25:50])
        found = close.search(asked, 5, Euclidean())
        assert not set(found.ids.ravel()) & set(records.ids[:50])
        store.add(new := drawn(["bob"] * 50, 8, seed=1))
        assert close.search(new.embeddings, 1, Euclidean()).ids[:, 0].tolist() == new.ids.tolist()
        store.rename("bob", "eve")
        assert {row[0] for row in close.search(new.embeddings, 1, Euclidean()).names} == {"eve"}
        close.close()
        assert store.count() == 3000
        store.close()

    def test_without_faiss_it_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ann, "find_spec", lambda _: None)
        with pytest.raises(lw.UsageError, match=r"likewise\[ann\]"):
            SqliteStore.create(f"{tmp_path / 'a.gallery'}?index=faiss", described(), MODEL_FILES)
        assert list(tmp_path.iterdir()) == []
