"""Pictures in which several things are found: each part in a folder of its own, each correction of one part."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster_drawn import NOTHING, PointModel, RowModel, contents, draw_row

from likewise.apps.cluster import Clustered, ClusterOptions, cluster_folder, store, writing
from likewise.apps.cluster.manifest import MANIFEST, Entry
from likewise.apps.cluster.parts import handed_over
from likewise.apps.cluster.store import STORE
from likewise.errors import ModelError

ONE, OTHER = "a" * 64, "b" * 64  # content hashes
ADA, BOB, CLEO, DAN = (20, 20), (200, 30), (110, 220), (250, 250)


def near(point: tuple[int, int], by: int) -> tuple[int, int]:
    return point[0] + by, point[1] - by


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of three people, one of two, one of each alone, a stranger, and a landscape."""
    folder = tmp_path / "photos"
    draw_row(folder / "trio.png", ADA, BOB, CLEO)
    draw_row(folder / "again.png", near(CLEO, 1), NOTHING, near(ADA, 1), near(BOB, 1))
    draw_row(folder / "pair.png", near(ADA, 2), near(BOB, 2))
    for number, (name, point) in enumerate({"ada": ADA, "bob": BOB, "cleo": CLEO}.items()):
        draw_row(folder / f"{name}.png", near(point, 3), number=number)
    draw_row(folder / "dan.png", DAN)
    draw_row(folder / "landscape.png", NOTHING, NOTHING)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "albums"


@pytest.fixture
def model() -> RowModel:
    return RowModel()


def cluster(model: RowModel, photos: Path, out: Path, method: str = "agglomerative", **options: Any) -> Clustered:
    kept = {name: options.pop(name) for name in ("k", "smallest") if name in options}
    return cluster_folder(model, photos, out, ClusterOptions(method, **kept), **options)


def albums(done: Clustered) -> dict[str, list[str]]:
    """Folder -> names of the photos in it."""
    return {group.name: [Path(item).stem for item in group.items] for group in done.clusters}


def album_of(done: Clustered, who: str) -> str:
    return next(name for name, photos in albums(done).items() if who in photos)


def copies(out: Path, folder: str) -> list[str]:
    return sorted(file.name for file in (out / folder).iterdir())


THREE = [
    ["ada", "again", "pair", "trio"],
    ["again", "bob", "pair", "trio"],
    ["again", "cleo", "trio"],
]


@pytest.mark.parametrize("method", ["agglomerative", "k-means"])
def test_a_photo_of_three_lies_in_three_folders(method: str, model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out, method, k=4 if method == "k-means" else None)
    assert sorted(albums(done).values()) == THREE
    assert done.unassigned == (f"{photos}/dan.png",)
    assert done.empty == (f"{photos}/landscape.png",)
    boxes = {
        (Path(item).stem, box) for group in done.clusters for item, box in zip(group.items, group.boxes, strict=True)
    }
    assert {("trio", (0, 0, 1, 1)), ("trio", (2, 0, 1, 1)), ("again", (3, 0, 1, 1))} <= boxes
    assert len(boxes) == 11
    lying = list(contents(out).values())
    for file in photos.glob("*.png"):
        stem, times = file.stem, {"trio": 3, "again": 3, "pair": 2, "landscape": 0}
        assert lying.count(contents(photos)[file.name]) == times.get(stem, 1)
    names = [file.name for file in out.rglob("*.png")]
    assert len(set(names)) == len(names) == 12  # so that a move overwrites nothing
    values = done.as_dict()
    json.dumps(values)
    assert values["empty"] == [f"{photos}/landscape.png"]
    assert [len(group["boxes"]) == len(group["items"]) for group in values["clusters"]] == [True] * 3


def test_the_manifest_lists_photos_with_nothing_in_them(model, photos: Path, out: Path) -> None:
    cluster(model, photos, out)
    empty = json.loads((out / MANIFEST).read_text())["empty"]
    assert empty == {contents(photos)["landscape.png"]: f"{photos}/landscape.png"}
    (photos / "landscape.png").unlink()
    done = cluster(model, photos, out)
    assert (done.empty, json.loads((out / MANIFEST).read_text())["empty"]) == ((), {})


def test_nothing_in_any_photo(model, tmp_path: Path, out: Path) -> None:
    draw_row(tmp_path / "photos" / "a.png", NOTHING)
    done = cluster(model, tmp_path / "photos", out)
    assert (done.clusters, done.unassigned, len(done.empty)) == ((), (), 1)
    draw_row(tmp_path / "photos" / "b.png", ADA)
    model.encoded.clear()
    assert len(cluster(model, tmp_path / "photos", out).unassigned) == 1
    assert [Path(file).name for file in model.encoded] == ["b.png"]


def test_two_of_one_photo_are_never_in_one_cluster(model, tmp_path: Path, out: Path) -> None:
    for number in range(3):  # twins
        draw_row(tmp_path / "photos" / f"{number}.png", (20, 20 + number), (22, 20 + number))
    for method in ("agglomerative", "hdbscan", "k-means"):
        done = cluster(model, tmp_path / "photos", out, method, k=2 if method == "k-means" else None, afresh=True)
        for photos in albums(done).values():
            assert len(set(photos)) == len(photos)
    done = cluster(model, tmp_path / "photos", out, afresh=True)
    assert list(albums(done).values()) == [["0", "1", "2"]] * 2
    # But a person knows: there was a mirror.
    one, other = (out / group.name for group in done.clusters)
    mirrored = next(file for file in other.iterdir() if file.name.startswith("0"))
    mirrored.rename(one / mirrored.name)
    done = cluster(model, tmp_path / "photos", out)
    assert sorted(albums(done).values()) == [["0", "0", "1", "2"], ["1", "2"]]


def test_a_dry_run_says_the_same_and_writes_nothing(model, photos: Path, out: Path) -> None:
    dry = cluster(model, photos, out, dry_run=True)
    assert not out.exists()
    assert dry.as_dict() == cluster(model, photos, out).as_dict()
    draw_row(photos / "new.png", near(ADA, 4), near(CLEO, 4))
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    dry = cluster(model, photos, out, dry_run=True)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert dry.as_dict() == cluster(model, photos, out).as_dict()


def test_again_only_new_photos_are_encoded_and_names_stay(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    before = contents(out)
    model.encoded.clear()
    again = cluster(model, photos, out)
    assert (again.copied, again.moved, again.corrections, again.clusters) == (0, 0, 0, done.clusters)
    assert (model.encoded, contents(out)) == ([], before)
    ada = album_of(done, "ada")
    (out / ada).rename(out / "Ada")
    draw_row(photos / "new.png", near(BOB, 4), near(ADA, 4), near(DAN, 1))
    done = cluster(model, photos, out)
    assert [Path(file).name for file in model.encoded] == ["new.png"]
    assert "new" in albums(done)["Ada"]
    assert not (out / ada).exists()
    assert sorted(albums(done).values()) == [
        ["ada", "again", "new", "pair", "trio"], ["again", "bob", "new", "pair", "trio"], THREE[2], ["dan", "new"],
    ]  # fmt: skip
    assert {Path(place).name for place in before} <= {Path(place).name for place in contents(out)}


def test_moving_and_deleting_are_of_one_part(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    ada, bob, cleo = (album_of(done, who) for who in ("ada", "bob", "cleo"))
    moved = next(file for file in (out / ada).iterdir() if file.name.startswith("trio"))
    moved.rename(out / bob / moved.name)
    gone = next(file for file in (out / cleo).iterdir() if file.name.startswith("again"))
    gone.unlink()
    for options in ({}, {"afresh": True}, {"method": "k-means", "k": 4}, {}):
        before = done
        done = cluster(model, photos, out, **options)
        assert done.corrections == (0 if before.removed else 2)
        assert albums(done)[ada] == ["ada", "again", "pair"]
        assert albums(done)[bob] == ["again", "bob", "pair", "trio", "trio"]
        assert albums(done)[cleo] == ["cleo", "trio"]
        assert done.removed == (f"{photos}/again.png",)
    # A second thought, both times.
    (out / bob / moved.name).rename(out / ada / moved.name)
    shutil.copy(photos / "again.png", out / cleo / "as I like to call it.png")
    done = cluster(model, photos, out, afresh=True)
    assert sorted(albums(done).values()) == THREE
    assert done.removed == ()


def test_a_moved_part_that_got_another_name_is_found(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    ada, bob = album_of(done, "ada"), album_of(done, "bob")
    moved = next(file for file in (out / ada).iterdir() if file.name.startswith("trio"))
    moved.rename(out / bob / "party.png")
    (out / bob).rename(out / "Bob")
    other = next(file for file in (out / "Bob").iterdir() if file.name.startswith("again"))
    other.rename(other.with_name("renamed.png"))
    done = cluster(model, photos, out)
    assert done.corrections == 2  # one folder and one part
    assert albums(done)["Bob"] == ["again", "bob", "pair", "trio", "trio"]
    assert albums(done)[ada] == ["ada", "again", "pair"]
    assert {"party.png", "renamed.png"} <= set(copies(out, "Bob"))


def test_parts_taken_out_and_put_into_a_new_folder(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    ada = album_of(done, "ada")
    out_of = next(file for file in (out / ada).iterdir() if file.name.startswith("pair"))
    out_of.rename(out / "unassigned" / out_of.name)
    (out / "Dan").mkdir()
    (out / "unassigned" / "dan.png").rename(out / "Dan" / "dan.png")
    draw_row(photos / "new.png", near(DAN, 2), near(ADA, 5))
    done = cluster(model, photos, out)
    assert albums(done)["Dan"] == ["dan", "new"]
    assert albums(done)[ada] == ["ada", "again", "new", "trio"]
    assert [Path(file).stem for file in done.unassigned] == ["pair"]


def test_where_a_doubt_is_left_nothing_is_guessed(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    ada, bob, cleo = (out / album_of(done, who) for who in ("ada", "bob", "cleo"))
    for number, album in enumerate((ada, bob)):  # both out of their folders, and with other names
        moved = next(file for file in album.iterdir() if file.name.startswith("trio"))
        moved.rename(cleo / f"{number}.png")
    done = cluster(model, photos, out)
    assert (cleo / "0.png").is_file()
    assert (cleo / "1.png").is_file()
    assert albums(done)[cleo.name] == ["again", "cleo", "trio"]
    assert len(done.removed) == 2


def test_a_manifest_of_the_time_before_parts(model, tmp_path: Path, out: Path) -> None:
    for number in range(3):
        draw_row(tmp_path / "photos" / f"{number}.png", near(ADA, number))
    cluster(PointModel(), tmp_path / "photos", out)
    (out / "cluster-001").rename(out / "Ada")
    values = json.loads((out / MANIFEST).read_text())
    del values["empty"]
    (out / MANIFEST).write_text(json.dumps(values | {"format": 1}))
    (out / STORE).unlink()
    assert albums(cluster(PointModel(), tmp_path / "photos", out)) == {"Ada": ["0", "1", "2"]}
    draw_row(tmp_path / "photos" / "3.png", BOB, near(ADA, 3))
    model.fingerprint = "e" * 64
    done = cluster(model, tmp_path / "photos", out)  # each is the only part of its picture
    assert (albums(done), done.copied) == ({"Ada": ["0", "1", "2", "3"]}, 2)
    assert done.clusters[0].boxes == ((0, 0, 1, 1),) * 3 + ((1, 0, 1, 1),)


def test_many_parts_of_one_name(model, tmp_path: Path, out: Path) -> None:
    for number in range(60):
        draw_row(tmp_path / "photos" / f"{number}" / "a.png", near(ADA, 3), near(BOB, 3), number=number)
    cluster(model, tmp_path / "photos", out)
    names = [file.name for file in out.rglob("*.png")]
    assert len(set(names)) == len(names) == 120
    assert {"a.png", "a-2.png", "a-99.png"} <= set(names)


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        (["0,0,10,10"], ["1,1,10,10"], {"0,0,10,10": "1,1,10,10"}),
        (["0,0,10,10"], ["6,0,10,10"], {"0,0,10,10": None}),  # a quarter of their union
        (["0,0,10,10", "20,0,10,10"], ["19,0,10,10", "1,0,10,10"],
         {"0,0,10,10": "1,0,10,10", "20,0,10,10": "19,0,10,10"}),
        (["0,0,10,10", "2,0,10,10"], ["1,0,10,10"], {"0,0,10,10": "1,0,10,10", "2,0,10,10": None}),
        ([""], ["3,3,5,5"], {"": "3,3,5,5"}),
        ([""], ["3,3,5,5", "9,3,5,5"], {"": None}),
        (["3,3,5,5"], [""], {"3,3,5,5": ""}),
        (["3,3,5,5"], [], {"3,3,5,5": None}),
        (["3,3,0,0"], ["3,3,0,0"], {"3,3,0,0": "3,3,0,0"}),
    ],
)  # fmt: skip
def test_what_is_known_goes_to_what_is_found_there(before: list[str], found: list[str], after: dict[str, Any]) -> None:
    def key(box: str) -> str:
        return f"{ONE}:{box}" if box else ONE

    known = {key(box): Entry(1, f"cluster-001/{box}.png") for box in before} | {f"{OTHER}:1,1,1,1": Entry(1, "x.png")}
    items = handed_over(known, {ONE: [key(box) for box in found]})
    assert items.pop(f"{OTHER}:1,1,1,1") == Entry(1, "x.png")  # which was not looked at
    assert items == {
        key(box if now is None else now): Entry(None if now is None else 1, f"cluster-001/{box}.png")
        for box, now in after.items()
    }
    sure = handed_over({k: replace(entry, sure=True) for k, entry in known.items()}, {ONE: []})
    assert sure == {k: replace(entry, sure=True) for k, entry in known.items()}


def test_examples_before_the_first_run(model, photos: Path, out: Path) -> None:
    (out / "Ada").mkdir(parents=True)
    shutil.copy(photos / "ada.png", out / "Ada" / "mine.png")
    shutil.copy(photos / "trio.png", out / "Ada" / "which of them.png")  # says nothing: it stays, and counts as no part
    done = cluster(model, photos, out)
    assert albums(done)["Ada"] == ["ada", "again", "pair", "trio", "trio"]
    assert (out / "Ada" / "mine.png").is_file()
    assert (out / "Ada" / "which of them.png").is_file()
    assert [len(photos) for photos in albums(done).values()] == [5, 4, 3]
    again = cluster(model, photos, out)
    assert (again.copied, again.moved, again.corrections) == (0, 0, 0)


def test_one_corrupt_photo_among_many(model, photos: Path, out: Path) -> None:
    (photos / "bad.png").write_bytes(b"\x89PNG nothing")
    done = cluster(model, photos, out)
    assert [Path(file).name for file, _ in done.skipped] == ["bad.png"]
    assert sorted(albums(done).values()) == THREE
    model.encoded.clear()
    assert [Path(file).name for file, _ in cluster(model, photos, out).skipped] == ["bad.png"]
    assert [Path(file).name for file in model.encoded] == ["bad.png"]


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links(link: Any, model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out, link=link)
    files = list(out.rglob("*.png"))
    assert len(files) == 12
    expected = {"trio": 4, "again": 4, "pair": 3}
    for file in files:
        stem = file.stem.split("-")[0]
        assert file.is_symlink() if link == "symbolic" else file.stat().st_nlink == expected.get(stem, 2)
    ada, bob = album_of(done, "ada"), album_of(done, "bob")
    moved = next(file for file in (out / ada).iterdir() if file.name.startswith("trio"))
    if link == "symbolic":
        (photos / "trio.png").unlink()  # known by where it is, by its name, and by where it points
    moved.rename(out / bob / moved.name)
    done = cluster(model, photos, out, link=link, afresh=True)
    assert (done.corrections, done.removed) == (1, ())
    assert (out / bob / moved.name).is_symlink() or link == "hard"
    assert sum(name.startswith("trio") for name in copies(out, bob)) == 2


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", range(0, 12, 2))
def test_killed_while_copying_it_goes_on(
    after: int, model, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cluster(model, photos, out.with_name("expected"))
    left, real = iter(range(after)), writing._rename

    def rename(old: Path, new: Path) -> None:
        if next(left, None) is None:
            raise Killed
        real(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "_rename", rename)
        with pytest.raises(Killed):
            cluster(model, photos, out)
    assert len(list(out.rglob("*.png"))) == after
    model.encoded.clear()
    moved = sorted(out.glob("cluster-*/trio*.png"))[:1]  # meanwhile a person moves a part that is there
    for file in moved:
        (out / "Party").mkdir()
        file.rename(out / "Party" / file.name)
    done = cluster(model, photos, out)
    assert (model.encoded, done.removed, done.corrections) == ([], (), len(moved))
    assert sorted(contents(out).values()) == sorted(contents(out.with_name("expected")).values())
    if moved:
        assert albums(done)["Party"] == ["trio"]
    else:
        assert done.clusters == expected.clusters
    again = cluster(model, photos, out)
    assert (again.copied, again.moved, again.corrections) == (0, 0, 0)


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_killed_while_encoding_it_goes_on(
    every: float, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ENCODED_AT_ONCE", 2)
    monkeypatch.setattr(store, "KEPT_EVERY", every)
    expected = cluster(RowModel(), photos, out.with_name("expected"))
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int, text: str) -> None:
        if text == "encoding":
            told.append((done, total))
            if done == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cluster(RowModel(), photos, out, progress=progress)
    assert [done for done, _ in told] == [1, 2, 3, 4, 5]
    assert {total for _, total in told} == {8}
    model = RowModel()
    assert cluster(model, photos, out).clusters == expected.clusters
    assert len(model.encoded) == 4


def test_embeddings_of_what_is_gone_are_forgotten(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    assert len(kept(out)) == 12
    gone = next(file for file in (out / album_of(done, "ada")).iterdir() if file.name.startswith("trio"))
    gone.unlink()
    trio = contents(photos)["trio.png"]
    (photos / "landscape.png").unlink()
    (photos / "bob.png").unlink()  # but it is in the album
    cluster(model, photos, out)
    assert sorted(key for key in kept(out) if key.startswith(trio)) == [f"{trio}:1,0,1,1", f"{trio}:2,0,1,1"]
    assert len(kept(out)) == 11
    model.encoded.clear()
    cluster(model, photos, out, afresh=True)
    assert model.encoded == []


def kept(out: Path) -> list[str]:
    with np.load(out / STORE, allow_pickle=False) as values:
        return [key.decode() for key in values["keys"]]


@pytest.mark.parametrize("damage", ["gone", "cut", "noise", "swapped"])
def test_a_store_that_cannot_be_read_costs_only_time(damage: str, model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    content = (out / STORE).read_bytes()
    if damage == "gone":
        (out / STORE).unlink()
    elif damage == "swapped":
        with np.load(out / STORE) as values:
            np.savez(out / STORE, **{**values, "embeddings": values["embeddings"][1:]})
    else:
        (out / STORE).write_bytes(content[:-40] if damage == "cut" else b"noise")
    again = cluster(model, photos, out, afresh=True)
    assert (again.clusters, again.copied, again.moved) == (done.clusters, 0, 0)
    model.encoded.clear()
    cluster(model, photos, out, afresh=True)
    assert model.encoded == []


def test_damage_anywhere_is_seen(tmp_path: Path) -> None:
    key = f"{ONE}:1,2,3,4"
    whole = store.Store("f" * 64, {ONE, OTHER}, {key: np.ones(4, np.float32)}, {key: "blurred"})
    store.write_store(tmp_path, whole)
    content, rng = (tmp_path / STORE).read_bytes(), np.random.default_rng(0)
    seen = set()
    for turn in range(1500):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        (tmp_path / STORE).write_bytes(damaged[: rng.integers(len(content))] if turn % 5 == 0 else damaged)
        with warnings.catch_warnings(action="ignore"):
            found = store.read_store(tmp_path, "f" * 64)
        assert found.contents in (set(), whole.contents)
        assert found.flaws in ({}, whole.flaws)
        assert all((row == 1).all() for row in found.embeddings.values())
        seen.add(len(found.contents))
    assert seen == {0, 2}


def test_another_model_encodes_anew_and_corrections_stay(model, photos: Path, out: Path) -> None:
    done = cluster(model, photos, out)
    ada, bob = album_of(done, "ada"), album_of(done, "bob")
    moved = next(file for file in (out / ada).iterdir() if file.name.startswith("trio"))
    moved.rename(out / bob / moved.name)
    cluster(model, photos, out)

    class Wider(RowModel):
        """Finds the same at boxes that are a little larger, and something in the landscape, but no more Dan."""

        def encode_parts(self, items: Any, *, progress: Any = None) -> Any:
            found = super().encode_parts(items, progress=progress)
            here = [i for i, place in enumerate(found.kept) if Path(items[place]).stem != "dan"]
            boxes = tuple((100 * found.boxes[i][0] - 5, -5, 110, 110) for i in here)
            return type(found)(found.embeddings[here], found.kept[here], (), boxes, tuple(found.flaws[i] for i in here))

    manifest = json.loads((out / MANIFEST).read_text())  # as if the first boxes had been of the same scale
    for key in list(manifest["items"]):
        content, box = key.split(":")
        manifest["items"][f"{content}:{100 * int(box.split(',')[0])},0,100,100"] = manifest["items"].pop(key)
    (out / MANIFEST).write_text(json.dumps(manifest))
    other = Wider(fingerprint="e" * 64)
    done = cluster(other, photos, out)
    assert len(other.encoded) == 8
    assert albums(done)[ada] == ["ada", "again", "pair"]
    assert albums(done)[bob] == ["again", "bob", "pair", "trio", "trio"]
    assert [Path(file).stem for file in done.unassigned] == ["dan"]  # nothing is deleted that was copied
    assert (done.copied, done.removed) == (0, ())
    assert any("made anew" in note for note in done.notes)
    other.encoded.clear()
    again = cluster(other, photos, out)
    assert (other.encoded, again.copied, again.moved, again.clusters) == ([], 0, 0, done.clusters)


def test_a_flawed_part_joins_only_what_it_is_clearly_near(model, photos: Path, out: Path) -> None:
    cut = cluster(model, photos, out, dry_run=True).threshold
    assert cut is not None
    far, close = int(0.9 * cut), int(0.4 * cut)
    draw_row(photos / "close.png", (ADA[0] + 2 + close, ADA[1] - 1), flawed=True)
    draw_row(photos / "far.png", (BOB[0], BOB[1] + far), flawed=True)
    draw_row(photos / "blur1.png", (240, 130), flawed=True)
    draw_row(photos / "blur2.png", (241, 130), flawed=True)  # alike, as blurred things are
    done = cluster(model, photos, out)
    assert sorted(albums(done).values()) == [["ada", "again", "close", "pair", "trio"], *THREE[1:]]
    assert [Path(file).stem for file, _, _ in done.flawed] == ["blur1", "blur2", "far"]
    assert {why for _, _, why in done.flawed} == {"blurred"}
    assert done.as_dict()["flawed"][0] == {
        "file": f"{photos}/blur1.png", "box": [0, 0, 1, 1], "reason": "blurred",
    }  # fmt: skip
    again = cluster(model, photos, out)
    assert (again.moved, again.clusters, again.flawed) == (0, done.clusters, done.flawed)
    # What a person says about a flawed one holds, and draws nobody.
    (out / "Eve").mkdir()
    (out / "unassigned" / "blur1.png").rename(out / "Eve" / "blur1.png")
    draw_row(photos / "new.png", (242, 130))
    done = cluster(model, photos, out)
    assert albums(done)["Eve"] == ["blur1"]
    assert f"{photos}/new.png" in done.unassigned
    draw_row(photos / "new2.png", (243, 130))
    done = cluster(model, photos, out)
    numbers = [group.id for group in done.clusters]
    assert len(set(numbers)) == len(numbers) == 5
    assert ["new", "new2"] in [[p for p in photos if p != "blur2"] for photos in albums(done).values()]


def test_flawed_parts_without_a_threshold_are_unassigned(model, photos: Path, out: Path) -> None:
    draw_row(photos / "close.png", ADA, flawed=True)
    done = cluster(model, photos, out, "k-means", k=4)
    assert f"{photos}/close.png" in done.unassigned


def test_two_flawed_parts_of_one_photo(model, photos: Path, out: Path) -> None:
    draw_row(photos / "blur.png", near(ADA, 1), near(ADA, 2), flawed=True)
    done = cluster(model, photos, out)
    assert [Path(file).stem for file in done.unassigned] == ["blur", "dan"]
    assert "blur" in albums(done)[album_of(done, "ada")]


def test_the_published_distance_of_an_uncalibrated_model(photos: Path, out: Path) -> None:
    model = RowModel(calibrated=False)
    model.encoder.published = 20.0
    done = cluster(model, photos, out)
    assert done.threshold == pytest.approx(18.0)
    assert sorted(albums(done).values()) == THREE
    assert any("never calibrated" in note and "(20)" in note for note in done.notes)
    model.encoder.published = None
    with pytest.raises(ModelError, match="never calibrated"):
        cluster(model, photos, out)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_says_who_is_on_which_photo_is_for_its_owner(model, photos: Path, out: Path) -> None:
    before = os.umask(0o022)
    try:
        cluster(model, photos, out)
        cluster(model, photos, out, afresh=True)
    finally:
        os.umask(before)
    assert {name: (out / name).stat().st_mode & 0o777 for name in (MANIFEST, STORE)} == {MANIFEST: 0o600, STORE: 0o600}
