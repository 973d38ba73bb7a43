"""What every store does, whatever it is built on; each test runs once for every entry of `STORES` in conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import torch
from records_drawn import MODEL_FILES, Make, check_same, described, drawn, gathered

from likewise.errors import DataError, ModelError, StoreError
from likewise.gallery import sqlite
from likewise.gallery.records import Records, new_ids
from likewise.gallery.store import Store, store_for
from likewise.objective import DISTANCES, Distance, Euclidean, make_distance

NAMES = ["ada", "bob", "Größe", "顔 🙂", "o'Hara", 'say "hi"', "100%", "a\\b", "x_y", "ada "]


def again(store: Store) -> Store:
    """A second handle on the same gallery, as another process has one."""
    return store_for(store.uri).open(store.uri)


class TestWhole:
    """The gallery as one thing: made, described, opened, removed."""

    def test_it_says_what_it_was_made_with(self, make: Make) -> None:
        store = make()
        other = again(store)
        assert store.describe() == other.describe() == described()
        assert store.model_files() == other.model_files() == MODEL_FILES
        assert list(store.records()) == []
        assert store.names() == {}
        other.close()

    def test_settings_are_replaced(self, make: Make) -> None:
        store, other = (opened := make()), again(opened)
        store.configure({"rule": "mean", "nested": {"a": [1, 2.5, None, True]}})
        assert other.describe() == replace(
            described(), settings={"rule": "mean", "nested": {"a": [1, 2.5, None, True]}}
        )
        other.configure({})
        assert store.describe().settings == {}
        other.close()

    def test_one_place_holds_one_gallery(self, make: Make, store_uri: str) -> None:
        kind = store_for(store_uri)
        assert not kind.exists(store_uri)
        with pytest.raises(DataError):
            kind.open(store_uri)
        assert not kind.exists(store_uri)  # looking made nothing
        store = make()
        store.add(drawn(["ada"]))
        assert kind.exists(store_uri)
        with pytest.raises(DataError):
            kind.create(store_uri, described(), MODEL_FILES)
        assert store.names() == {"ada": 1}

    def test_removed_is_gone_and_can_be_made_again(self, make: Make, store_uri: str) -> None:
        store = make()
        store.add(drawn(["ada"]))
        store.remove()
        assert not store_for(store_uri).exists(store_uri)
        with pytest.raises(DataError):
            store_for(store_uri).open(store_uri)
        assert make().names() == {}

    def test_closing_twice_is_closing(self, make: Make) -> None:
        store = make()
        store.close()
        store.close()


class TestRecords:
    def test_come_back_as_they_were(self, make: Make) -> None:
        store, records = make(), drawn(NAMES * 3, originals=True)
        store.add(records)
        check_same(gathered(store.records(originals=True)), records)
        without = replace(records, originals=[None] * len(records))
        check_same(gathered(store.records()), without)
        check_same(gathered(again(store).records()), without)

    def test_some_have_originals(self, make: Make) -> None:
        store, records = make(), drawn(["ada"] * 4, originals=True)
        records = replace(records, originals=[records.originals[0], None, b"", records.originals[3]])
        store.add(records)
        check_same(gathered(store.records(originals=True)), records)

    def test_a_large_original(self, make: Make) -> None:
        store = make()
        records = replace(drawn(["ada"]), originals=[np.random.default_rng(0).bytes(300_000)])
        store.add(records)
        check_same(gathered(store.records(originals=True)), records)

    def test_metadata_of_any_json(self, make: Make) -> None:
        store = make()
        values = [{}, {"a": None, "b": [1, {"c": "Ω\n"}], "": 1.5}, {"number": 2**60, "text": "x" * 5000}]
        records = replace(drawn(["ada"] * 3), metadata=values)
        store.add(records)
        check_same(gathered(store.records()), records)

    def test_in_blocks(self, make: Make) -> None:
        store, records = make(), drawn([f"name {i % 50}" for i in range(2345)])
        store.add(records)
        blocks = list(store.records(block=1000))
        assert sum(map(len, blocks)) == 2345
        assert max(map(len, blocks)) <= 1000
        check_same(gathered(iter(blocks)), records)

    def test_of_some_names_or_ids(self, make: Make) -> None:
        store, records = make(), drawn(NAMES * 3)
        store.add(records)
        for names in (["ada"], ["100%", "a\\b", "nobody"], NAMES, ['say "hi"'], ["nobody"], []):
            rows = [i for i, name in enumerate(records.names) if name in names]
            assert sorted(id for b in store.records(names=names) for id in b.ids) == sorted(records.ids[rows])
        some = records.ids[[3, 7, 20]]
        assert sorted(gathered(store.records(ids=np.append(some, 12345))).ids) == sorted(some)
        both = gathered(store.records(names=[records.names[3]], ids=some)).ids
        assert both.tolist() == [records.ids[3]]
        assert list(store.records(ids=np.empty(0, np.int64))) == []

    def test_names_are_sorted_and_counted(self, make: Make) -> None:
        store = make()
        store.add(drawn([*NAMES, "bob", "bob"]))
        assert list(store.names().items()) == sorted({**dict.fromkeys(NAMES, 1), "bob": 3}.items())

    def test_content_is_known_by_its_hash(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob", "eve"])
        records = replace(records, hashes=[records.hashes[0], records.hashes[0], records.hashes[2]])
        store.add(records)
        asked = [records.hashes[0], "0" * 64, records.hashes[2]]
        found = store.holding(asked)
        assert {h: sorted(names) for h, names in found.items()} == {
            records.hashes[0]: ["ada", "bob"],
            records.hashes[2]: ["eve"],
        }
        assert store.holding([]) == {}
        assert store.holding(["1" * 64] * 3) == {}

    def test_content_enters_once(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob", "eve"], originals=True)
        assert store.add(records.take([0, 1]), once=True) == {}
        late = replace(records, ids=records.ids + 1, names=["carl", "bob", "eve"])
        held = store.add(late, once=True)
        assert held == {records.hashes[0]: ["ada"], records.hashes[1]: ["bob"]}
        check_same(
            gathered(store.records(originals=True)),
            gathered(iter([records.take([0, 1]), late.take([2])])),
        )
        assert store.names() == {"ada": 1, "bob": 1, "eve": 1}
        assert store.add(late, once=True).keys() == set(records.hashes)
        assert store.count() == 3

    def test_of_two_who_enrol_one_content_one_does(self, make: Make) -> None:
        """One of two names would be wrong, and nobody would know which."""
        store, rounds = make(), 5
        handles, barrier = [store, again(store)], Barrier(2)

        def enrol(handle: Store, name: str, number: int) -> bool:
            records = replace(drawn([name], seed=number), ids=new_ids(1))
            barrier.wait()
            try:
                return handle.add(records, once=True) == {}
            except DataError:  # told to try again
                return False

        with ThreadPoolExecutor(2) as pool:
            for number in range(rounds):
                done = list(pool.map(enrol, handles, ("ada", "bob"), [number] * 2))
                assert sorted(done) == [False, True]
                assert store.count() == number + 1
        handles[1].close()

    def test_embeddings_of_another_model_are_refused(self, make: Make) -> None:
        store = make()
        other = again(store)
        other.rebuild(described(fingerprint="e" * 64), MODEL_FILES, iter([]))
        with pytest.raises(ModelError, match="exchanged meanwhile"):
            store.add(drawn(["ada"], originals=True), model="f" * 64)
        assert list(other.records()) == []
        store.add(drawn(["ada"]), model="e" * 64)
        assert other.names() == {"ada": 1}
        other.close()

    def test_nothing_to_add(self, make: Make) -> None:
        store = make()
        store.add(drawn([]))
        assert store.names() == {}

    def test_the_smallest_and_largest_ids(self, make: Make) -> None:
        store, records = make(), replace(drawn(["a", "b", "c"]), ids=np.array([0, 1, 2**53 - 1]))
        store.add(records)
        check_same(gathered(store.records()), records)
        assert store.forget(np.array([0, 2**53 - 1])) == 2
        assert gathered(store.records()).ids.tolist() == [1]


def naive(records: Records, probes: np.ndarray, distance: Distance, names: list[str] | None = None) -> np.ndarray:
    """(Q, n) distances to the records that count, infinite to the others."""
    with torch.no_grad():
        far = distance.between(torch.from_numpy(probes), torch.from_numpy(records.embeddings)).numpy().copy()
    if names is not None:
        far[:, [name not in names for name in records.names]] = np.inf
    return far


class TestSearch:
    """Nothing is missed, and distances are the model's. Recall@10 of at least 0.99 is asked of every store."""

    @pytest.mark.parametrize("kind", DISTANCES)
    @pytest.mark.parametrize("filtered", [False, True])
    def test_finds_what_comparing_with_all_finds(self, make: Make, kind: str, filtered: bool) -> None:
        store, rng = make(dim=12), np.random.default_rng(1)
        records = drawn([f"name {i % 40}" for i in range(1500)], dim=12, seed=1)
        store.add(records)
        distance = make_distance(kind, 12)
        probes = np.concatenate([rng.normal(size=(30, 12)), records.embeddings[:10] + 1e-3]).astype(np.float32)
        names = [f"name {i}" for i in range(0, 40, 3)] if filtered else None
        found = store.search(probes, 10, distance, names=names)
        far = naive(records, probes, distance, names)
        best = np.argsort(far, axis=1)[:, :10]
        assert found.ids.shape == found.distances.shape == (40, 10)
        assert found.distances.dtype == np.float32
        hits = sum(len(set(a) & set(b)) for a, b in zip(found.ids, records.ids[best], strict=True))
        assert hits >= 0.99 * 400
        place = {id: i for i, id in enumerate(records.ids)}
        rows = np.array([[place[id] for id in row] for row in found.ids])
        np.testing.assert_allclose(found.distances, np.take_along_axis(far, rows, axis=1), rtol=1e-4, atol=1e-5)
        assert (np.diff(found.distances, axis=1) >= 0).all()
        assert [list(row) for row in found.names] == [[records.names[i] for i in row] for row in rows]

    def test_more_than_there_are(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob", "bob"])
        probes = np.zeros((2, 8), np.float32)
        empty = store.search(probes, 5, Euclidean())
        assert empty.ids.shape == empty.distances.shape == (2, 0)
        assert [list(row) for row in empty.names] == [[], []]
        store.add(records)
        assert store.search(probes, 5, Euclidean()).ids.shape == (2, 3)
        assert store.search(probes, 5, Euclidean(), names=["bob"]).ids.shape == (2, 2)
        assert store.search(probes, 5, Euclidean(), names=["nobody"]).ids.shape == (2, 0)
        assert store.search(probes, 5, Euclidean(), names=[]).ids.shape == (2, 0)
        assert store.search(probes[:0], 5, Euclidean()).ids.shape[0] == 0

    def test_a_rare_name_among_many_records(self, make: Make) -> None:
        """Where a filter leaves few of many, indexes that walk a graph lose them."""
        store, rng = make(dim=16), np.random.default_rng(2)
        names = [f"name {i % 500}" for i in range(5000)]
        records = drawn(names, dim=16, embeddings=rng.normal(size=(5000, 16)))
        store.add(records)
        probes = rng.normal(size=(20, 16)).astype(np.float32)
        for wanted in (["name 7"], ["name 7", "name 8"], names[:50], names[:400]):
            found = store.search(probes, 10, Euclidean(), names=wanted)
            best = np.argsort(naive(records, probes, Euclidean(), wanted), axis=1)[:, :10]
            hits = sum(len(set(a) & set(b)) for a, b in zip(found.ids, records.ids[best], strict=True))
            assert hits >= 0.99 * 200
            assert {name for row in found.names for name in row} <= set(wanted)

    def test_many_copies_of_one_point(self, make: Make) -> None:
        store = make(dim=4)
        store.add(drawn(["ada"] * 30, dim=4, embeddings=np.ones((30, 4))))
        store.add(drawn(["bob"], dim=4, embeddings=np.full((1, 4), 1.1)))
        found = store.search(np.ones((1, 4), np.float32), 31, Euclidean())
        assert found.distances[0, :30].tolist() == [0] * 30
        assert found.names[0][30] == "bob"
        assert len(set(found.ids[0].tolist())) == 31


class TestForget:
    def test_gone_from_everything_at_once(self, make: Make) -> None:
        store, records = make(), drawn(NAMES * 3, originals=True)
        store.add(records)
        other = again(store)
        assert other.search(records.embeddings[:1], 1, Euclidean()).ids[0, 0] == records.ids[0]
        gone = [i for i, name in enumerate(records.names) if name == "ada"] + [1]
        assert store.forget(records.ids[gone]) == 4
        left = [i for i in range(len(records)) if i not in gone]
        for handle in (store, other):
            assert "ada" not in handle.names()
            assert handle.names()["bob"] == 2
            assert sorted(gathered(handle.records()).ids) == sorted(records.ids[left])
            assert list(handle.records(names=["ada"])) == []
            assert list(handle.records(ids=records.ids[gone])) == []
            assert handle.holding([records.hashes[i] for i in gone]) == {}
            found = handle.search(records.embeddings[gone], len(records), Euclidean())
            assert found.ids.shape == (4, len(left))
            assert not set(found.ids.ravel().tolist()) & set(records.ids[gone].tolist())
        other.close()

    def test_what_is_not_there(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob"])
        store.add(records)
        assert store.forget(np.array([5, 6])) == 0
        assert store.forget(np.empty(0, np.int64)) == 0
        assert store.forget(records.ids[:1]) == 1
        assert store.forget(records.ids) == 1
        assert store.forget(records.ids) == 0
        assert store.names() == {}

    def test_every_one_of_many(self, make: Make) -> None:
        """Deleted rows came straight back from one server at its default consistency."""
        store, records = make(), drawn([f"name {i}" for i in range(500)])
        store.add(records)
        for i in range(0, 500, 50):
            assert store.forget(records.ids[i : i + 25]) == 25
            found = store.search(records.embeddings[i : i + 25], 3, Euclidean())
            assert not set(found.ids.ravel().tolist()) & set(records.ids[i : i + 25].tolist())
        assert sum(store.names().values()) == 250

    def test_a_name_can_be_enrolled_again(self, make: Make) -> None:
        store, records = make(), drawn(["ada"])
        store.add(records)
        store.forget(records.ids)
        store.add(replace(records, ids=np.array([77])))
        assert store.names() == {"ada": 1}
        assert store.search(records.embeddings, 5, Euclidean()).ids.tolist() == [[77]]


class TestRename:
    @pytest.mark.parametrize("new", ["eve", "bob", "顔 🙂", "a much longer name than it was before " * 4])
    def test_to_a_name_that_is_free_or_in_use(self, make: Make, new: str) -> None:
        store, records = make(), drawn(["ada", "bob", "ada", "ada", "carl"], originals=True)
        store.add(records)
        other = again(store)
        other.search(records.embeddings, 1, Euclidean())
        assert store.rename("ada", new) == 3
        expected = replace(records, names=[new if name == "ada" else name for name in records.names])
        for handle in (store, other):
            check_same(gathered(handle.records(originals=True)), expected)
            assert handle.names() == dict(sorted({"bob": 1, "carl": 1, new: 3 + (new == "bob")}.items()))
            found = handle.search(records.embeddings, 1, Euclidean())
            assert [row[0] for row in found.names] == expected.names
            assert handle.search(records.embeddings, 9, Euclidean(), names=[new]).ids.shape[1] == 3 + (new == "bob")
            assert handle.search(records.embeddings, 9, Euclidean(), names=["ada"]).ids.shape[1] == 0
            assert handle.holding(records.hashes[:1]) == {records.hashes[0]: [new]}
        other.close()

    def test_to_a_name_that_must_be_free(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob", "ada"])
        store.add(records)
        with pytest.raises(DataError, match="A new name is free; got 'bob'"):
            store.rename("ada", "bob", free=True)
        assert store.names() == {"ada": 2, "bob": 1}
        assert store.rename("ada", "eve", free=True) == 2
        store.forget(records.ids[1:2])
        assert store.rename("eve", "bob", free=True) == 2  # nobody has it any more

    def test_of_two_who_take_one_free_name_one_gets_it(self, make: Make) -> None:
        """Both would be one person from then on, which nobody could undo."""
        store, rounds = make(), 5
        store.add(drawn([f"{who} {i}" for who in ("ada", "bob") for i in range(rounds)]))
        handles, barrier = [store, again(store)], Barrier(2)

        def rename(handle: Store, who: str, number: int) -> bool:
            barrier.wait()
            try:
                return handle.rename(f"{who} {number}", f"eve {number}", free=True) == 1
            except DataError:
                return False

        with ThreadPoolExecutor(2) as pool:
            for number in range(rounds):
                done = list(pool.map(rename, handles, ("ada", "bob"), [number] * 2))
                assert sorted(done) == [False, True]
        assert set(store.names().values()) == {1}
        handles[1].close()

    def test_an_unknown_name(self, make: Make) -> None:
        store = make()
        store.add(drawn(["bob"]))
        assert store.rename("ada", "eve") == 0
        assert store.names() == {"bob": 1}


class TestRebuild:
    def test_all_of_it_is_new(self, make: Make) -> None:
        store, old = make(dim=8), drawn(["ada", "bob"] * 40, dim=8)
        store.add(old)
        other = again(store)
        other.search(old.embeddings, 1, Euclidean())
        new = replace(drawn(["ada", "eve"] * 40, dim=5, seed=1, originals=True), ids=old.ids)
        description = replace(described(dim=5, fingerprint="e" * 64), settings={"new": True})
        parts = (new.take(range(i, min(i + 30, 80))) for i in range(0, 80, 30))
        store.rebuild(description, {"config.json": b"new"}, parts)
        for handle in (store, other):
            assert handle.describe() == description
            assert handle.model_files() == {"config.json": b"new"}
            check_same(gathered(handle.records(originals=True)), new)
            assert handle.names() == {"ada": 40, "eve": 40}
            found = handle.search(new.embeddings, 1, Euclidean())
            assert found.ids[:, 0].tolist() == new.ids.tolist()
            assert handle.holding(old.hashes) == {}
        other.close()

    def test_from_its_own_records(self, make: Make) -> None:
        store, records = make(), drawn(NAMES * 5, originals=True)
        store.add(records)
        description = described(fingerprint="e" * 64)
        store.rebuild(
            description, MODEL_FILES,
            (replace(b, embeddings=-b.embeddings) for b in store.records(originals=True, block=7)),
        )  # fmt: skip
        check_same(gathered(store.records(originals=True)), replace(records, embeddings=-records.embeddings))
        assert store.describe() == description

    def test_without_records(self, make: Make) -> None:
        store = make(dim=8)
        store.rebuild(described(dim=3), MODEL_FILES, iter([]))
        store.add(drawn(["ada"], dim=3))
        assert store.search(np.zeros((1, 3), np.float32), 1, Euclidean()).names == [["ada"]]

    def test_a_failure_leaves_the_old(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob"] * 40)
        store.add(records)

        def failing() -> Iterator[Records]:
            yield drawn(["eve"] * 50, dim=5)
            raise DataError("A picture can be read", "one that cannot")

        with pytest.raises(DataError, match="one that cannot"):
            store.rebuild(described(dim=5, fingerprint="e" * 64), {}, failing())
        for handle in (store, again(store)):
            assert handle.describe() == described()
            assert handle.model_files() == MODEL_FILES
            check_same(gathered(handle.records()), records)
            assert handle.search(records.embeddings, 1, Euclidean()).ids[:, 0].tolist() == records.ids.tolist()
        store.add(drawn(["eve"]))
        assert store.names() == {"ada": 40, "bob": 40, "eve": 1}


class TestAlone:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch, store_uri: str) -> None:
        """Others are not waited for as long as people would."""
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        if "://" in store_uri:
            monkeypatch.setattr("likewise.gallery.milvus.journal.PATIENCE", 1.0)

    def test_others_read_and_do_not_write(self, make: Make) -> None:
        store, records = make(), drawn(["ada", "bob"])
        store.add(records)
        other = again(store)
        with store.alone():
            for write in (
                lambda: other.add(drawn(["eve"], seed=1)),
                lambda: other.forget(records.ids[:1]),
                lambda: other.rename("ada", "eve"),
                lambda: other.configure({}),
            ):
                with pytest.raises(DataError, match="Try again"):
                    write()
            assert other.names() == store.names() == {"ada": 1, "bob": 1}
            assert other.describe() == described()
            store.configure({"mine": 1})
        assert other.describe().settings == {"mine": 1}
        assert other.forget(records.ids[:1]) == 1
        other.close()

    def test_who_still_has_it_open_is_refused_once_it_is_removed(self, make: Make, store_uri: str) -> None:
        """What would be written would be in no gallery, and what is forgotten would not be."""
        store, records = make(), drawn(["ada", "bob"])
        store.add(records)
        other = again(store)
        other.search(records.embeddings, 1, Euclidean())
        with store.alone():
            assert sum(map(len, store.records())) == 2
            store.remove()
        assert not store_for(store_uri).exists(store_uri)
        for ask in (
            lambda: other.add(drawn(["eve"], seed=1)),
            lambda: other.forget(records.ids[:1]),
            lambda: other.rename("ada", "eve"),
            lambda: other.configure({}),
            lambda: other.rebuild(described(), MODEL_FILES, iter([])),
            other.describe,
            other.names,
            other.count,
            lambda: other.holding(records.hashes),
            lambda: other.search(records.embeddings, 1, Euclidean()),
        ):
            with pytest.raises(StoreError):
                ask()
        again_made = make()  # another one in its place is not taken for it
        if "://" not in store_uri:
            with pytest.raises(StoreError, match="moved, replaced or deleted"):
                other.add(drawn(["eve"], seed=1))
        assert again_made.names() == {}
        other.close()

    def test_a_failure_in_it_changes_nothing(self, make: Make) -> None:
        store = make()
        store.add(drawn(["ada"]))

        def fail() -> None:
            with store.alone():
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert store.names() == {"ada": 1}
        store.add(drawn(["bob"], seed=1))
        assert store.names() == {"ada": 1, "bob": 1}


class TestTwoHandles:
    def test_each_sees_what_the_other_wrote(self, make: Make) -> None:
        one, rng = make(), np.random.default_rng(3)
        other, expected = again(one), {}
        for step in range(12):
            writer, reader = (one, other) if step % 2 else (other, one)
            records = drawn([f"name {step}"] * 20, seed=step)
            writer.add(records)
            expected |= dict(zip(records.ids.tolist(), records.embeddings, strict=True))
            gone = rng.choice(list(expected), 5, replace=False)
            assert reader.forget(gone) == 5
            for id in gone:
                del expected[int(id)]
            for handle in (reader, writer):
                found = handle.search(np.array(list(expected.values())), 1, Euclidean())
                assert found.ids[:, 0].tolist() == list(expected)
                assert sum(handle.names().values()) == len(expected)
        other.close()

    def test_from_several_threads(self, make: Make) -> None:
        store = make()

        def work(number: int) -> int:
            records = drawn([f"name {number}"] * 5, seed=number)
            store.add(records)
            found = store.search(records.embeddings, 1, Euclidean())
            assert found.ids[:, 0].tolist() == records.ids.tolist()
            return store.forget(records.ids[:2])

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(24))) == [2] * 24
        assert sum(store.names().values()) == 24 * 3
