"""What is particular to galleries on Milvus; what all stores do is in test_stores.py."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from milvus_server import Server
from records_drawn import MODEL_FILES, described, drawn, gathered

from likewise.errors import DataError, ModelError, UsageError
from likewise.gallery import Gallery
from likewise.gallery.records import MOST_IDS, Records
from likewise.gallery.sqlite import SqliteStore
from likewise.gallery.store import Store, store_for
from likewise.objective import Cosine, Distance, Euclidean

pytest.importorskip("pymilvus", reason="pymilvus (extra `milvus`) is not installed")

from likewise.gallery.milvus import INDEXES, MilvusStore, Place
from likewise.gallery.milvus.connection import Connection
from likewise.gallery.milvus.rows import CHUNK, document, documents

# Other processes find the tests' own modules and the package, wherever they run.
PATHS = os.pathsep.join([str(Path(__file__).parent), *(str(Path(each).resolve()) for each in sys.path if each)])
COMPACT = Connection.compact  # fixtures replace it
ELSEWHERE = os.environ | {"PYTHONPATH": PATHS}


def config(distance: str) -> dict[str, bytes]:
    """A model folder as far as the store looks into it."""
    return {"config.json": json.dumps({"architecture": {"distance": {"name": distance}}}).encode()}


def rows(store: MilvusStore, expression: str) -> list[dict[str, Any]]:
    """Of its texts, as they lie there."""
    return [dict(row) for row in store._milvus.read(store._texts.name, expression, ["key", "kind", "text"])]


class TestAddress:
    def test_name_index_and_shards(self) -> None:
        place = Place.of("http://some.host:19530/front_door?index=hnsw&M=32&ef=500&shards=4")
        assert (place.server, place.name) == ("http://some.host:19530", "front_door")
        assert (place.index, place.shards) == ("HNSW", 4)
        assert place.build == {"M": 32, "efConstruction": INDEXES["HNSW"][0]["efConstruction"]}
        assert place.search == {"ef": 500}

    def test_compares_with_every_record_unless_told_otherwise(self) -> None:
        assert Place.of("https://host/gym") == Place("https://host", "gym", "FLAT", {}, {}, 1)

    @pytest.mark.parametrize(
        ("uri", "says"),
        [
            ("http://host:19530", "host:port/name"),
            ("http://host:19530/", "host:port/name"),
            ("http:///gym", "host:port/name"),
            ("http://host:19530/a/b", "host:port/name"),
            ("http://host:19530/a-b", "single underscores"),
            ("http://host:19530/gym__3f", "single underscores"),
            ("http://host:19530/1gym", "host:port/name"),
            ("http://host:19530/" + "g" * 201, "host:port/name"),
            ("http://host:19530/gym?index=BEST", "FLAT, IVF_FLAT, HNSW"),
            ("http://host:19530/gym?nlist=5", "Index FLAT has the options shards"),
            ("http://host:19530/gym?index=HNSW&M=0", "M is a whole number above 0"),
            ("http://host:19530/gym?shards=many", "shards is a whole number above 0"),
            ("http://host:19530/gym?shards=17", "1 to 16 shards"),
        ],
    )
    def test_anything_else_is_refused(self, uri: str, says: str) -> None:
        with pytest.raises(UsageError, match=re.escape(says)):
            Place.of(uri)

    def test_a_password_in_it_is_refused_and_not_shown(self) -> None:
        with pytest.raises(UsageError, match="LIKEWISE_MILVUS_TOKEN") as refused:
            MilvusStore.open("http://user:open-sesame@host:19530/gym")
        assert "open-sesame" not in str(refused.value)


class TestDocuments:
    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
    def test_come_back_as_they_were(self, size: int) -> None:
        content = np.random.default_rng(0).bytes(size)
        parts = list(document("original/g/7", "original/g", content, owner=7, label="a/b"))
        assert max(len(row["text"]) for row in parts) <= 65_535
        (key, found), = documents({row["key"]: row for row in parts}).items()  # fmt: skip
        assert (key, *found) == ("original/g/7", 7, "a/b", content)

    def test_one_without_all_its_parts_is_not_there(self) -> None:
        parts = {row["key"]: row for row in document("a", "a", bytes(2 * CHUNK))}
        del parts["a#1"]
        assert documents(parts) == {}


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/gym"


class TestServerAway:
    def test_is_one_clear_line_after_a_bounded_wait(self, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("likewise.gallery.milvus.connection.PATIENCE", 0.2)
        monkeypatch.setenv("LIKEWISE_MILVUS_TOKEN", "root:open-sesame")
        for ask in (MilvusStore.exists, MilvusStore.open, lambda uri: MilvusStore.create(uri, described(), {})):
            began = time.monotonic()
            with pytest.raises(DataError, match=re.escape(nobody.rsplit("/", 1)[0])) as away:
                ask(nobody)
            assert time.monotonic() - began < 20
            assert "\n" not in str(away.value)
            assert "open-sesame" not in str(away.value)

    def test_nothing_is_printed(
        self, nobody: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("likewise.gallery.milvus.connection.PATIENCE", 0.5)
        with pytest.raises(DataError):
            MilvusStore.open(nobody)
        assert capfd.readouterr() == ("", "")


@pytest.fixture
def store(milvus_uri: str) -> Iterator[MilvusStore]:
    store = MilvusStore.create(milvus_uri, described(), MODEL_FILES)
    yield store
    with suppress(DataError):
        MilvusStore.open(milvus_uri).remove()
    store.close()


@pytest.mark.slow
class TestServerOfTheTests:
    def test_only_this_machine_reaches_it(self, milvus: Server) -> None:
        host, port = milvus.address.split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            any_socket.connect(("192.0.2.1", 9))  # sends nothing; the address of the interface that would
            outside = any_socket.getsockname()[0]
        assert outside != host
        for other in (int(port), 19530, 9091, 53100):
            with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
                socket.create_connection((outside, other), timeout=2)

    def test_ends_with_whoever_started_it(self, milvus_program: Path, tmp_path: Path) -> None:
        code = (
            "import sys, time; from pathlib import Path; from milvus_server import Server\n"
            "server = Server(Path(sys.argv[1]), Path(sys.argv[2])); server.start()\n"
            "print(server.address, flush=True); time.sleep(600)"
        )
        starter = subprocess.Popen(
            [sys.executable, "-c", code, milvus_program, tmp_path / "data"], stdout=subprocess.PIPE, env=ELSEWHERE
        )
        assert starter.stdout is not None
        host, port = starter.stdout.readline().decode().split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        starter.kill()
        starter.communicate()
        for _ in range(100):
            running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
            if str(tmp_path) not in running:
                return
            time.sleep(0.1)
        pytest.fail("it goes on")


@pytest.mark.slow
class TestConsistency:
    def test_200_forgotten_records_stay_away(self, milvus_program: Path, tmp_path: Path) -> None:
        """At the default consistency all came back. The server ticks half as slowly as one in service."""
        server = Server(milvus_program, tmp_path / "data", PROXY_TIMETICKINTERVAL="100")
        server.start()
        try:
            store = MilvusStore.create(f"http://{server.address}/gym", described(), MODEL_FILES)
            records = drawn([f"name {i}" for i in range(200)])
            store.add(records)

            def forget(i: int) -> bool:
                assert store.forget(records.ids[i : i + 1]) == 1
                return records.ids[i] in store.search(records.embeddings[i : i + 1], 3, Euclidean()).ids

            with ThreadPoolExecutor(10) as pool:
                assert list(pool.map(forget, range(200))) == [False] * 200
            assert store.names() == {}
            store.close()
        finally:
            server.kill()

    def test_processes_writing_at_once_lose_nothing(self, store: MilvusStore) -> None:
        code = (
            "import sys; from records_drawn import drawn; from likewise.gallery.store import open_store\n"
            "from likewise.gallery.milvus import connection; connection.ERASED = 0.0\n"
            "store = open_store(sys.argv[1])\n"
            "for i in range(25):\n"
            "    records = drawn([f'{sys.argv[2]} {i}'] * 4, seed=i)\n"
            "    store.add(records); assert store.forget(records.ids[:1]) == 1; print(*records.ids[1:])\n"
            "store.close()"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", code, store.uri, str(i)], stdout=subprocess.PIPE, env=ELSEWHERE)
            for i in range(2)
        ]
        said = [int(word) for writer in writers for word in writer.communicate()[0].split()]
        assert [writer.returncode for writer in writers] == [0, 0]
        assert len(said) == 2 * 25 * 3
        assert gathered(store.records()).ids.tolist() == sorted(said)
        assert set(store.names().values()) == {3}

    def test_of_two_who_make_a_gallery_one_does(self, milvus_uri: str) -> None:
        def make(number: int) -> MilvusStore | None:
            try:
                return MilvusStore.create(milvus_uri, described(fingerprint=str(number) * 64), MODEL_FILES)
            except DataError:
                return None

        with ThreadPoolExecutor(4) as pool:
            made = [store for store in pool.map(make, range(4)) if store is not None]
        assert len(made) == 1
        other = MilvusStore.open(milvus_uri)
        assert other.describe() == made[0].describe()
        made[0].close()
        other.remove()

    def test_what_is_not_whole_is_not_seen(self, store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """All rows of an enrolment are there but for the last, and another process looks."""
        old, new = drawn(["ada"] * 3), drawn(["eve"] * 3, seed=1, originals=True)
        store.add(old)
        other = MilvusStore.open(store.uri)
        write, seen = store._milvus.write, list[object]()

        def look(collection: str, rows: Any) -> None:
            rows = list(rows)
            if any(row.get("kind", "").startswith("name/") for row in rows):
                found = other.search(new.embeddings, 2, Euclidean())
                seen.append(set(found.ids.ravel().tolist()) <= set(old.ids.tolist()))
                seen.append((other.names(), other.count()))
                seen.append(gathered(other.records()).ids.tolist())
                seen.append(other.holding(new.hashes))
                seen.append(other.search(new.embeddings, 2, Cosine()).names)
            write(collection, rows)

        monkeypatch.setattr(store._milvus, "write", look)
        store.add(new)
        assert seen == [True, ({"ada": 3}, 3), sorted(old.ids.tolist()), {}, [["ada"] * 2] * 3]
        assert (other.names(), other.count()) == ({"ada": 3, "eve": 3}, 6)
        assert other.search(new.embeddings, 1, Euclidean()).ids[:, 0].tolist() == new.ids.tolist()
        other.close()

    def test_another_model_put_in_place_meanwhile(self, store: MilvusStore) -> None:
        other = MilvusStore.open(store.uri)
        other.rebuild(described(fingerprint="e" * 64), MODEL_FILES, iter([]))
        with pytest.raises(ModelError, match="one model"):
            store.add(drawn(["ada"]), model=described().fingerprint)
        assert without_leftovers(store)
        assert store.names() == {}
        store.add(drawn(["ada"]), model="e" * 64)
        assert other.names() == {"ada": 1}
        other.close()


@pytest.mark.slow
class TestRebuilding:
    def test_nobody_writes_while_it_lasts(self, store: MilvusStore) -> None:
        records = drawn(["ada"] * 6)
        store.add(records)
        other = MilvusStore.open(store.uri)

        def blocks() -> Iterator[Records]:
            for write in (
                lambda: other.add(drawn(["eve"])),
                lambda: other.forget(records.ids[:1]),
                lambda: other.rename("ada", "eve"),
                lambda: other.configure({}),
                lambda: other.rebuild(described(), {}, iter([])),
            ):
                with pytest.raises(DataError, match="being rebuilt"):
                    write()
            assert other.names() == {"ada": 6}
            yield records

        store.rebuild(described(fingerprint="e" * 64), MODEL_FILES, blocks())
        assert other.names() == {"ada": 6}
        assert other.forget(records.ids[:1]) == 1
        assert rows(store, 'kind == "note"') == []
        other.close()

    def test_waits_for_who_writes_already(self, store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
        other = MilvusStore.open(store.uri)
        began, go_on, reads = threading.Event(), threading.Event(), threading.Event()
        write = other._milvus.write

        def slowly(collection: str, rows: Any) -> None:
            rows = list(rows)
            if any(row.get("kind", "").startswith("name/") for row in rows):
                began.set()
                assert go_on.wait(30)
            write(collection, rows)

        def blocks() -> Iterator[Records]:
            reads.set()
            yield from store.records()

        monkeypatch.setattr(other._milvus, "write", slowly)
        with ThreadPoolExecutor(2) as pool:
            adding = pool.submit(other.add, drawn(["late"]))
            assert began.wait(30)
            rebuilding = pool.submit(store.rebuild, described(), MODEL_FILES, blocks())
            assert not reads.wait(5)  # what would not be in the new gallery must be in the old before it is read
            go_on.set()
            adding.result()
            rebuilding.result()
        assert store.names() == {"late": 1}
        other.close()

    def test_leaves_nothing_of_the_old(self, store: MilvusStore) -> None:
        store.add(drawn(["ada"] * 5, originals=True))
        before = [name for name in store._milvus.collections() if name.startswith(store._texts.name)]
        store.rebuild(described(), {"one": b"1"}, iter([drawn(["eve"], seed=1)]))
        after = [name for name in store._milvus.collections() if name.startswith(store._texts.name)]
        assert len(before) == len(after) == 2
        assert set(before) & set(after) == {store._texts.name}
        assert [row["text"] for row in rows(store, 'kind like "name/%"')] == ["eve"]
        assert rows(store, 'kind like "original/%"') == []
        assert len(rows(store, 'kind like "file/%"')) == 1


def lose(monkeypatch: pytest.MonkeyPatch, store: MilvusStore, after: int) -> None:
    """The server answers `after` more times."""
    patiently, count = store._milvus._patiently, itertools.count()

    def ask(attempt: Callable[[], Any]) -> Any:
        if next(count) >= after:
            raise DataError("A gallery on a server needs the server", "nothing")
        return patiently(attempt)

    monkeypatch.setattr(store._milvus, "_patiently", ask)


def act(what: str, store: MilvusStore, number: int, records: Records) -> None:
    match what:
        case "add":
            store.add(records)
        case "forget":
            store.forget(records.ids[:3])
        case "rename":
            store.rename(f"bob {number}", f"eve {number}")
        case "configure":
            store.configure({"number": number})
        case _:
            files = {"config.json": b"{}", "number": b"%d" % number}
            store.rebuild(described(fingerprint=f"{number:064}"), files, iter([records]))


def content(store: Store) -> object:
    """Everything that is in a gallery, bit for bit."""
    found = gathered(store.records(originals=True))
    columns = (found.ids.tolist(), found.names, found.hashes, found.times.tolist(), found.metadata, found.originals)
    return store.describe(), store.model_files(), found.embeddings.tobytes(), columns


def without_leftovers(store: MilvusStore) -> bool:
    """Whether every row there is belongs to what can be seen."""
    found, head = gathered(store.records(originals=True)), store._texts.look(notes=True).head
    kept = {str(each) for each, original in zip(found.ids, found.originals, strict=True) if original is not None}
    here = [name for name in store._milvus.collections() if name.startswith(store._texts.name)]
    texts = rows(store, 'key != ""')
    kinds = {row["kind"] for row in texts}
    return (
        len(here) == 2
        and store._milvus.count(store._texts.table(head.generation)) == len(found)
        and {row["text"] for row in texts if row["kind"].startswith("name/")} == set(found.names)
        and {re.split("[/#]", row["key"])[2] for row in texts if row["kind"].startswith("original/")} == kept
        and kinds <= {"state", "settings", *(f"{what}/{head.generation}" for what in ("name", "file", "original"))}
    )


@pytest.mark.slow
class TestLost:
    """The server, or the process, is gone after any number of requests: all or nothing, for whoever comes next."""

    @pytest.mark.parametrize("what", ["add", "forget", "rename", "configure", "rebuild"])
    def test_in_the_middle(self, store: MilvusStore, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
        for number in range(60):
            records = drawn(["ada", "bob", "bob", "eve"], seed=number, originals=True)
            if what in ("forget", "rename"):
                store.add(replace(records, names=[f"{name} {number}" for name in records.names]))
            before = content(store)
            victim = MilvusStore.open(store.uri)
            victim.describe()
            with monkeypatch.context() as patch:
                lose(patch, victim, after=number)
                try:
                    act(what, victim, number, records)
                    done = True
                except DataError:
                    done = False
            victim.close()
            seen = content(store)  # by who was there all the time
            with monkeypatch.context() as patch:
                patch.setattr("likewise.gallery.milvus.journal.LEASE", -1.0)
                MilvusStore.open(store.uri).close()
            after = content(store)
            assert without_leftovers(store)
            if what == "forget":  # what was begun is completed
                assert seen in (before, after)
            else:
                assert seen == after
            assert (after != before) or not done
            if after != before:
                there = gathered(store.records())
                if what == "add":
                    assert len(set(records.ids.tolist()) & set(there.ids.tolist())) == 4
                elif what == "forget":
                    assert not set(records.ids[:3].tolist()) & set(there.ids.tolist())
                    assert records.ids[3] in there.ids
                elif what == "rename":
                    assert f"bob {number}" not in there.names
                    assert there.names.count(f"eve {number}") == 3
                elif what == "configure":
                    assert store.describe().settings == {"number": number}
                else:
                    assert store.describe().fingerprint == f"{number:064}"
                    assert store.model_files()["number"] == b"%d" % number
                    assert sorted(there.ids.tolist()) == sorted(records.ids.tolist())
            if done:
                return
        pytest.fail("it never ended")

    def test_a_server_that_is_killed_and_comes_back(
        self, milvus_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Seconds after which a part of the server that was killed counts as gone, and another can take its place.
        server = Server(milvus_program, tmp_path / "data", COMMON_SESSION_TTL="5")
        server.start()
        try:
            store = MilvusStore.create(f"http://{server.address}/gym", described(), MODEL_FILES)
            kept, lost = drawn(["ada"] * 300, originals=True), drawn(["eve"] * 50, seed=1, originals=True)
            store.add(kept)
            gone = kept.ids[:100]
            assert store.forget(gone) == 100
            write = store._milvus.write

            def killed(collection: str, rows: Any) -> None:
                write(collection, rows)
                if "__" in collection:
                    server.kill()

            with monkeypatch.context() as patch:
                patch.setattr("likewise.gallery.milvus.connection.PATIENCE", 2.0)
                patch.setattr(store._milvus, "write", killed)
                with pytest.raises(DataError, match="needs the server"):
                    store.add(lost)
            with pytest.raises(DataError, match="needs the server"):
                patience(monkeypatch, 1.0, store.names)
            server.start()
            found = store.names()  # loading takes a while
            assert found == {"ada": 200}
            assert set(gathered(store.records()).ids) == set(kept.ids[100:])
            store.add(lost)
            assert store.names() == {"ada": 200, "eve": 50}
            store.close()
        finally:
            if server.process is not None:
                server.kill()

    def test_a_process_that_is_killed(self, store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it was told is done is done, and what is there is whole."""
        code = (
            "import sys; from records_drawn import drawn; from likewise.gallery.store import open_store\n"
            "store = open_store(sys.argv[1])\n"
            "for i in range(10**6):\n"
            "    records = drawn([f'{sys.argv[2]} {i}'] * 3, seed=i, originals=True)\n"
            "    store.add(records); print('+', *records.ids, flush=True)\n"
            "    if i % 3 == 0: store.forget(records.ids); print('-', *records.ids, flush=True)"
        )
        rng = np.random.default_rng(0)
        there, gone, begun = set[int](), set[int](), list[set[int]]()
        for number in range(5):
            writer = subprocess.Popen(
                [sys.executable, "-c", code, store.uri, str(number)], stdout=subprocess.PIPE, env=ELSEWHERE
            )
            assert writer.stdout is not None
            said = [writer.stdout.readline()]
            time.sleep(rng.uniform(0.2, 1.5))
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.readlines()
            writer.communicate()
            for line in said:
                sign, *ids = line.decode().split()
                if len(ids) == 3:
                    (there if sign == "+" else gone).update(map(int, ids))
            begun.append({int(id) for id in ids} if sign == "+" else set())  # what it may have been forgetting
        with monkeypatch.context() as patch:
            patch.setattr("likewise.gallery.milvus.journal.LEASE", -1.0)
            MilvusStore.open(store.uri).close()
        found = set(gathered(store.records()).ids.tolist())
        assert not found & gone
        missing = there - gone - found  # a forgetting that was begun is completed
        assert missing == set().union(*(ids for ids in begun if ids & missing))
        assert set(store.names().values()) == {3}
        assert without_leftovers(store)


def patience(monkeypatch: pytest.MonkeyPatch, seconds: float, ask: Callable[[], Any]) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr("likewise.gallery.milvus.connection.PATIENCE", seconds)
        return ask()


@pytest.mark.slow
class TestAccess:
    def test_who_is_not_known_is_not_let_in(
        self, milvus_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Server(milvus_program, tmp_path / "data", COMMON_SECURITY_AUTHORIZATIONENABLED="true")
        server.start()
        try:
            uri = f"http://{server.address}/gym"
            for token in ("", "root:open-sesame"):
                monkeypatch.setenv("LIKEWISE_MILVUS_TOKEN", token)
                began = time.monotonic()
                with pytest.raises(DataError, match="LIKEWISE_MILVUS_TOKEN") as refused:
                    MilvusStore.create(uri, described(), MODEL_FILES)
                assert "open-sesame" not in str(refused.value)
                assert time.monotonic() - began < 10  # asking again would not help
            monkeypatch.setenv("LIKEWISE_MILVUS_TOKEN", "root:Milvus")  # what a new server knows
            store = MilvusStore.create(uri, described(), MODEL_FILES)
            store.add(drawn(["ada"]))
            assert store.names() == {"ada": 1}
            assert "Milvus" not in store.uri
            store.close()
        finally:
            server.kill()


@pytest.mark.slow
class TestMoving:
    @pytest.fixture
    def file(self, tmp_path: Path) -> SqliteStore:
        """A gallery of all that is easily lost on the way."""
        store = SqliteStore.create(str(tmp_path / "first.gallery"), described(), MODEL_FILES)
        names = ["ada", "Größe", "顔 🙂", "o'Hara", 'say "hi"', "a\\b", "100%", "ada "] * 30
        records = drawn(names, originals=True)
        hard = np.array([-0.0, 1e-45, -3e38, 2**-126, np.pi, 1 / 3, 1e-10, 65_504], np.float32)
        records.embeddings[5], records.ids[[0, 1]] = hard, [0, MOST_IDS - 1]
        large = np.random.default_rng(1).bytes(300_000)
        store.add(replace(records, originals=[None, b"", large, *records.originals[3:]]))
        return store

    def test_to_a_server_and_back_loses_nothing(self, file: SqliteStore, milvus_uri: str, tmp_path: Path) -> None:
        before = content(file)
        there = Gallery(file).move(milvus_uri)
        assert not SqliteStore.exists(file.uri)
        elsewhere = MilvusStore.open(milvus_uri)
        assert content(elsewhere) == before
        back = str(tmp_path / "back.gallery")
        there.move(back).close()
        assert not MilvusStore.exists(milvus_uri)
        assert not any(name.startswith(elsewhere._texts.name) for name in elsewhere._milvus.collections())
        elsewhere.close()
        store = SqliteStore.open(back)
        assert content(store) == before
        store.close()

    def test_a_server_lost_on_the_way_leaves_the_file(
        self, file: SqliteStore, milvus_uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, patiently, write, lost = content(file), Connection._patiently, Connection.write, threading.Event()

        def ask(self: Connection, attempt: Callable[[], Any]) -> Any:
            if lost.is_set():
                raise DataError("A gallery on a server needs the server", "nothing")
            return patiently(self, attempt)

        def lose_after_records(self: Connection, collection: str, rows: Any) -> None:
            write(self, collection, rows)
            if "__" in collection:
                lost.set()

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "_patiently", ask)
            patch.setattr(Connection, "write", lose_after_records)
            with pytest.raises(DataError, match="needs the server"):
                Gallery(file).move(milvus_uri)
        assert lost.is_set()
        assert content(file) == before
        there = MilvusStore.open(milvus_uri)
        assert there.names() == {}
        there.remove()


def clustered(number: int, dim: int, clusters: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(100).normal(size=(clusters, dim))
    return (centres[rng.integers(0, clusters, number)] + 0.5 * rng.normal(size=(number, dim))).astype(np.float32)


def recall(found: np.ndarray, records: Records, probes: np.ndarray, distance: Distance, counts: np.ndarray) -> float:
    import torch

    far = distance.between(torch.from_numpy(probes), torch.from_numpy(records.embeddings[counts])).numpy()
    best = records.ids[counts][np.argsort(far, axis=1)[:, :10]]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, best, strict=True)]))


@pytest.mark.slow
class TestIndexes:
    @pytest.mark.parametrize("options", ["", "?index=HNSW&shards=2", "?index=IVF_FLAT&nlist=128&nprobe=32"])
    @pytest.mark.parametrize("kind", [Euclidean, Cosine])
    def test_recall_at_10_with_and_without_a_filter(self, milvus_uri: str, options: str, kind: type[Distance]) -> None:
        store = MilvusStore.create(milvus_uri + options, described(32), config(kind.name))
        names = [f"name {i % 1000}" for i in range(20_000)]
        records = drawn(names, dim=32, embeddings=clustered(20_000, 32, 200, 0))
        store.add(records)
        client, table = store._milvus._client, store._texts.table(store._texts.look().head.generation)
        client.flush(table)
        for _ in range(3000):  # the index is built in the background, which takes minutes on a busy machine
            built = client.describe_index(table, "embedding")
            if built["indexed_rows"] >= 20_000 and built["pending_index_rows"] == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail("no index")
        client.release_collection(table)  # or it is a while until searches go to the index
        store._milvus.load(table)
        assert built["metric_type"] == {"euclidean": "L2", "cosine": "COSINE"}[kind.name]
        assert client.describe_collection(table)["num_shards"] == (2 if "shards" in options else 1)
        probes = clustered(100, 32, 200, 1)
        everyone = np.arange(20_000)
        assert recall(store.search(probes, 10, kind()).ids, records, probes, kind(), everyone) >= 0.99
        for share in (0.5, 0.1, 0.01, 0.001):
            wanted = {f"name {i}" for i in range(int(1000 * share))}
            counts = np.array([i for i, name in enumerate(names) if name in wanted])
            found = store.search(probes, 10, kind(), names=sorted(wanted))
            assert recall(found.ids, records, probes, kind(), counts) >= 0.99
        store.remove()

    def test_a_distance_the_index_does_not_rank_by(self, milvus_uri: str) -> None:
        """A gallery made for the cosine distance is asked for the Euclidean one."""
        store = MilvusStore.create(milvus_uri, described(8), config("cosine"))
        lengths = np.array([[1.0], [2.0], [3.0]])
        records = drawn(["a", "b", "c"], embeddings=lengths * np.ones((3, 8)))
        store.add(records)
        assert store.search(np.full((1, 8), 2.1, np.float32), 1, Euclidean()).names == [["b"]]
        found = store.search(np.full((1, 8), 2.1, np.float32), 3, Cosine())
        np.testing.assert_allclose(found.distances, 0, atol=1e-6)
        store.remove()


def unpacked(content: bytes) -> bytes:
    """A file of a segment with what is compressed in it: its columns are Parquet between other things."""
    first, last = content.find(b"PAR1"), content.rfind(b"PAR1")
    if first == last:
        return content
    columns = pq.read_table(pa.BufferReader(content[first : last + 4])).to_pydict()
    return content + str(columns).encode()


@pytest.mark.slow
def test_forgotten_records_leave_the_servers_segments(
    milvus_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the times set short after which a server removes what was compacted; docs/milvus.md has the usual ones."""
    server = Server(milvus_program, tmp_path / "data", DATACOORD_GC_INTERVAL="1", DATACOORD_GC_DROPTOLERANCE="1")
    server.start()
    try:
        store = MilvusStore.create(f"http://{server.address}/gym", described(64), MODEL_FILES)
        records = drawn([f"name {i}" for i in range(200)], dim=64, originals=True)
        records.names[7] = "Anna-Lena Wetterstrand"
        store.add(records)
        for collection in (store._texts.name, store._texts.table(store._texts.look().head.generation)):
            store._milvus._client.flush(collection)
        traces = {
            "embedding": records.embeddings[7].tobytes(),
            "name": records.names[7].encode(),
            "picture": base64.b64encode(records.originals[7]),
        }

        def stored() -> set[str]:
            found = set[str]()
            for file in (server.folder / "storage").rglob("*"):
                with suppress(FileNotFoundError):  # removed while it is read
                    content = unpacked(file.read_bytes()) if file.is_file() else b""
                    found |= {what for what, trace in traces.items() if trace in content}
            return found

        assert stored() == set(traces)
        monkeypatch.setattr(Connection, "compact", COMPACT)
        monkeypatch.setattr("likewise.gallery.milvus.connection.ERASED", 120.0)
        assert store.forget(records.ids[7:8]) == 1
        store.close()  # waits until they are compacted; files go a little later
        for _ in range(150):
            if not stored():
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"there after half a minute: {stored()}")
        store = MilvusStore.open(store.uri)
        assert len(gathered(store.records())) == 199
        store.close()
    finally:
        server.kill()


def test_where_pymilvus_is_missing_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("likewise.gallery.milvus")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(UsageError, match=r"likewise\[milvus\]"):
        store_for("http://host:19530/gym")
