"""A folder into a folder per cluster: what is written, what a person's corrections do, and that nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cluster_drawn import PointModel, contents, draw

from likewise.apps.cluster import Clustered, ClusterOptions, cluster_folder, writing
from likewise.apps.cluster.manifest import MANIFEST
from likewise.errors import DataError, ModelError, UsageError

CORNERS = {"ada": (20, 20), "bob": (200, 30), "cleo": (110, 220)}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three people with five pictures each, far apart, in folders of their names, and two strangers."""
    for name, (x, y) in CORNERS.items():
        for number in range(5):
            draw(tmp_path / "pictures" / name / f"{number}.png", x + number, y - number)
    draw(tmp_path / "pictures" / "dan" / "d.png", 250, 250)
    draw(tmp_path / "pictures" / "eve" / "e.png", 20, 250)
    return tmp_path / "pictures"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def model() -> PointModel:
    return PointModel()


def cluster(model: PointModel, pictures: Path, out: Path, method: str = "agglomerative", **options: Any) -> Clustered:
    kept = {name: options.pop(name) for name in ("k", "smallest", "seed") if name in options}
    return cluster_folder(model, pictures, out, ClusterOptions(method, **kept), **options)


def people(out: Path) -> dict[str, list[str]]:
    """Folder -> names of the people whose pictures are in it, sorted; by content."""
    places = {x: name for name, (x, _) in CORNERS.items()} | {250: "dan"}
    found: dict[str, list[str]] = {}
    from PIL import Image

    for file in sorted(out.rglob("*.png")):
        with Image.open(file) as picture:
            x, y, _ = picture.convert("RGB").getpixel((0, 0))
        who = "eve" if y == 250 and x == 20 else next(n for p, n in places.items() if 0 <= x - p < 6)
        found.setdefault(file.parent.relative_to(out).as_posix(), []).append(who)
    return {folder: sorted(names) for folder, names in sorted(found.items())}


def test_a_folder_for_each_cluster_and_the_rest_unassigned(model, pictures: Path, out: Path) -> None:
    done = cluster(model, pictures, out)
    assert sorted(people(out).values()) == [["ada"] * 5, ["bob"] * 5, ["cleo"] * 5, ["dan", "eve"]]
    assert people(out)["unassigned"] == ["dan", "eve"]
    assert sorted(contents(out).values()) == sorted(contents(pictures).values())
    assert [(group.id, group.name, len(group.items)) for group in done.clusters] == [
        (1, "cluster-001", 5), (2, "cluster-002", 5), (3, "cluster-003", 5),
    ]  # fmt: skip
    assert done.unassigned == (f"{pictures}/dan/d.png", f"{pictures}/eve/e.png")
    for group in done.clusters:
        assert len({Path(item).parent for item in group.items}) == 1
        assert all(Path(item).is_file() for item in group.items)
    assert done.agreement is not None
    assert (done.agreement.bcubed_f, done.agreement.pairwise_f, done.agreement.items) == (1, 1, 17)
    assert done.copied == 17
    json.dumps(done.as_dict())


@pytest.mark.parametrize("method", ["hdbscan", "x-means", "k-means"])
def test_the_other_methods_need_no_calibration(method: str, pictures: Path, out: Path) -> None:
    done = cluster(PointModel(calibrated=False), pictures, out, method, k=5 if method == "k-means" else None)
    assert sum(len(group.items) for group in done.clusters) + len(done.unassigned) == 17
    of = [names & CORNERS.keys() for folder, names in people_with(out).items() if folder != "unassigned"]
    assert all(len(names) <= 1 for names in of)
    assert set().union(*of) == CORNERS.keys()


def test_a_model_without_threshold_says_so(pictures: Path, out: Path) -> None:
    with pytest.raises(ModelError, match=r"never calibrated.*--method hdbscan"):
        cluster(PointModel(calibrated=False), pictures, out)
    assert not out.exists()


def test_what_another_run_has_made_is_not_looked_at(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, pictures / "groups")
    done = cluster(model, pictures, out)
    assert sorted(contents(out).values()) == sorted(
        content for file, content in contents(pictures).items() if not str(file).startswith("groups")
    )
    assert done.copied == 17


def test_the_same_content_twice_is_told(model, pictures: Path, out: Path) -> None:
    shutil.copy(next((pictures / "ada").iterdir()), pictures / "ada" / "again.png")
    done = cluster(model, pictures, out)
    note = "1 picture has the content of another: one copy of each content is put into OUT, and copies are counted"
    assert note in done.notes
    assert done.copied == 17


def test_more_clusters_than_pictures(pictures: Path, out: Path) -> None:
    with pytest.raises(DataError, match="at most as many clusters as there are items; got k = 18 for 17"):
        cluster(PointModel(calibrated=False), pictures, out, "k-means", k=18)
    assert not list(out.glob("*/*"))


def test_what_lay_in_out_before_the_first_run_is_no_correction(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    (out / MANIFEST).unlink()
    done = cluster(model, pictures, out)
    assert any(
        note.startswith("what was in OUT before the first run is taken for your examples") for note in done.notes
    )
    assert not any("since the last run" in note for note in done.notes)


def test_a_dry_run_says_the_same_and_writes_nothing(model, pictures: Path, out: Path) -> None:
    dry = cluster(model, pictures, out, dry_run=True)
    assert not out.exists()
    assert dry.as_dict() == cluster(model, pictures, out).as_dict()
    before = contents(out), (out / MANIFEST).read_bytes()
    draw(pictures / "ada" / "new.png", 21, 21, 1)
    (out / "cluster-001").rename(out / "Somebody")
    after = contents(out)
    dry = cluster(model, pictures, out, dry_run=True)
    assert (after, before[1]) == (contents(out), (out / MANIFEST).read_bytes())
    assert dry.as_dict() == cluster(model, pictures, out).as_dict()


def test_running_again_changes_nothing_and_encodes_nothing(model, pictures: Path, out: Path) -> None:
    draw(pictures / "dan" / "d2.png", 251, 250)
    draw(pictures / "eve" / "e2.png", 21, 250)
    first = cluster(model, pictures, out)
    before, manifest = contents(out), (out / MANIFEST).stat().st_mtime_ns
    model.encoded.clear()
    again = cluster(model, pictures, out)
    assert (contents(out), again.clusters, again.copied, again.moved) == (before, first.clusters, 0, 0)
    assert model.encoded == []
    assert (out / MANIFEST).stat().st_mtime_ns == manifest


@pytest.mark.parametrize("method", ["agglomerative", "hdbscan", "x-means", "k-means"])
def test_new_pictures_join_the_clusters_that_are_there(method: str, model, pictures: Path, out: Path) -> None:
    k = 5 if method == "k-means" else None
    first = cluster(model, pictures, out, method, k=k)
    before, names = contents(out), {group.id: group.name for group in first.clusters}
    for number, (name, (x, y)) in enumerate(CORNERS.items()):
        draw(pictures / "new" / f"{name}.png", x + 2, y - 1, number)
    for number in range(4):  # somebody nobody has seen
        draw(pictures / "new" / f"fay{number}.png", 110 + number, 110)
    again = cluster(model, pictures, out, method, k=k)
    stayed = {place: content for place, content in before.items() if not place.startswith("unassigned/")}
    assert stayed.items() <= contents(out).items()
    assert names.items() <= {group.id: group.name for group in again.clusters}.items()
    for name in CORNERS:
        group = next(group for group in again.clusters if f"{pictures}/new/{name}.png" in group.items)
        assert group.id in names
        assert {Path(item).parent.name for item in group.items} <= {name, "new", "dan", "eve"}
    if method != "k-means":  # which has its five
        fay = {group.id for group in again.clusters for item in group.items if "new/fay" in item}
        assert fay
        assert not fay & names.keys()


def people_with(out: Path) -> dict[str, set[str]]:
    """Folder -> whose pictures are in it, by the nearest corner."""
    from PIL import Image

    found: dict[str, set[str]] = {}
    for file in out.rglob("*.png"):
        with Image.open(file) as picture:
            x, y, _ = picture.convert("RGB").getpixel((0, 0))
        corners = {**CORNERS, "dan": (250, 250), "eve": (20, 250), "fay": (110, 110)}
        who = min(corners, key=lambda name: np.hypot(x - corners[name][0], y - corners[name][1]))
        found.setdefault(file.parent.relative_to(out).as_posix(), set()).add(who)
    return found


def folder_of(out: Path, who: str) -> Path:
    return out / next(folder for folder, names in people(out).items() if names.count(who) > len(names) / 2)


def test_a_renamed_folder_names_its_cluster_for_good(model, pictures: Path, out: Path) -> None:
    first = cluster(model, pictures, out)
    ada = folder_of(out, "ada")
    number = next(group.id for group in first.clusters if group.name == ada.name)
    ada.rename(out / "Ada Lovelace")
    draw(pictures / "new.png", 22, 20, 9)
    for options in ({}, {"afresh": True}, {"method": "hdbscan"}, {"method": "k-means", "k": 2}, {"method": "x-means"}):
        done = cluster(model, pictures, out, **options)
        named = next(group for group in done.clusters if group.id == number)
        assert (named.name, named.yours) == ("Ada Lovelace", True)
        assert {f"{pictures}/ada/{i}.png" for i in range(5)} <= set(named.items)
    assert not ada.exists()
    # Named in a folder of its own, and among others.
    (out / "family").mkdir()
    (out / "Ada Lovelace").rename(out / "family" / "Ada")
    done = cluster(model, pictures, out)
    assert next(group.name for group in done.clusters if group.id == number) == "family/Ada"
    assert not (out / "Ada Lovelace").exists()


def test_a_moved_picture_stays_where_it_was_put(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    ada, bob = folder_of(out, "ada"), folder_of(out, "bob")
    moved = sorted(ada.iterdir())[2]
    moved.rename(bob / moved.name)
    for options in ({}, {"afresh": True}, {"method": "hdbscan"}, {"method": "k-means", "k": 3}, {"fmr": 0.01}):
        done = cluster(model, pictures, out, **options)
        assert (bob / moved.name).is_file()
        assert people(out)[bob.name].count("ada") == 1
        assert people(out)[ada.name] == ["ada"] * 4
    # And back again, by a second thought.
    (bob / moved.name).rename(ada / moved.name)
    done = cluster(model, pictures, out, afresh=True)
    assert done.corrections == 1
    assert people(out)[ada.name] == ["ada"] * 5
    assert people(out)[bob.name] == ["bob"] * 5


def test_a_person_makes_clusters(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    (out / "Dan").mkdir()
    next((out / "unassigned").glob("d*.png")).rename(out / "Dan" / "portrait.png")
    done = cluster(model, pictures, out)
    dan = next(group for group in done.clusters if group.name == "Dan")
    assert (dan.items, dan.yours, dan.id) == ((f"{pictures}/dan/d.png",), True, 4)
    draw(pictures / "another.png", 251, 249)
    draw(pictures / "eve" / "e2.png", 21, 249)
    done = cluster(model, pictures, out)
    assert people_with(out)["Dan"] == {"dan"}
    assert len(next(group for group in done.clusters if group.name == "Dan").items) == 2
    assert next(group for group in done.clusters if group.id == 5).items == (
        f"{pictures}/eve/e.png", f"{pictures}/eve/e2.png",
    )  # fmt: skip


def test_pictures_put_into_folders_before_the_first_run_are_examples(model, pictures: Path, out: Path) -> None:
    (out / "Cleo").mkdir(parents=True)
    shutil.copy(pictures / "cleo" / "3.png", out / "Cleo" / "mine.png")
    done = cluster(model, pictures, out)
    assert people(out)["Cleo"] == ["cleo"] * 5
    assert (out / "Cleo" / "mine.png").is_file()
    assert next(group for group in done.clusters if group.name == "Cleo").yours


def test_merging_two_folders(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    ada, bob = folder_of(out, "ada"), folder_of(out, "bob")
    names = [file.name for file in (*ada.iterdir(), *bob.iterdir())]
    assert len({name.casefold() for name in names}) == 10  # so that a move overwrites nothing
    for file in list(bob.iterdir()):
        file.rename(ada / file.name)
    bob.rmdir()
    draw(pictures / "bob" / "new.png", 201, 30, 7)
    done = cluster(model, pictures, out, afresh=True)
    assert len(done.clusters) == 2
    assert people(out)[ada.name] == ["ada"] * 5 + ["bob"] * 6  # though by their mean the two lie far apart
    assert not bob.exists()


def test_what_a_person_took_out_or_deleted_stays_out(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    ada, bob = folder_of(out, "ada"), folder_of(out, "bob")
    out_of_ada, gone = sorted(ada.iterdir())[0], sorted(bob.iterdir())[0]
    out_of_ada.rename(out / "unassigned" / out_of_ada.name)
    gone.unlink()
    draw(pictures / "bob" / "new.png", 201, 30, 7)
    for options in ({}, {"afresh": True}, {"method": "k-means", "k": 3}):
        done = cluster(model, pictures, out, **options)
        assert people(out)[ada.name] == ["ada"] * 4
        assert people(out)["unassigned"].count("ada") == 1
        assert people(out)[bob.name] == ["bob"] * 5
        assert len(done.removed) == 1
        assert not gone.exists()
    # Put back by hand, it is there again.
    shutil.copy(done.removed[0], bob / "again.png")
    done = cluster(model, pictures, out)
    assert done.removed == ()
    assert people(out)[bob.name] == ["bob"] * 6


def test_a_picture_moved_to_out_itself_is_left_there(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    file = sorted(folder_of(out, "ada").iterdir())[0]
    file.rename(out / file.name)
    done = cluster(model, pictures, out, afresh=True)
    assert (out / file.name).is_file()
    assert len(done.unassigned) == 3


def test_deleting_everything_is_no_correction(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    for folder in out.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    with pytest.raises(DataError, match="none of them"):
        cluster(model, pictures, out)
    (out / MANIFEST).unlink()
    assert cluster(model, pictures, out).copied == 17


def test_other_options_make_anew_only_what_nobody_touched(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    bob = folder_of(out, "bob")
    bob.rename(out / "Bob")
    cluster(model, pictures, out)
    done = cluster(model, pictures, out, "k-means", k=2)  # bob's five, and all others: two of a k of two
    assert people(out)["Bob"][:5] == ["bob"] * 5 or "bob" in people(out)["Bob"]
    assert any("made anew" in note for note in done.notes)
    assert sum(map(len, people(out).values())) == 17
    back = cluster(model, pictures, out)
    assert sorted(people(out).values()) == [["ada"] * 5, ["bob"] * 5, ["cleo"] * 5, ["dan", "eve"]]
    assert next(group for group in back.clusters if group.name == "Bob").yours


def test_clusters_made_anew_keep_their_numbers_and_names(model, pictures: Path, out: Path) -> None:
    first = cluster(model, pictures, out)
    assert cluster(model, pictures, out, afresh=True).clusters == first.clusters
    draw(pictures / "ada" / "new.png", 22, 19, 8)
    for options in ({"method": "k-means", "k": 5, "smallest": 3}, {"method": "hdbscan"}, {"fmr": 0.01}):
        done = cluster(model, pictures, out, **options)
        for before in first.clusters:
            after = next(group for group in done.clusters if group.id == before.id)
            assert after.name == before.name
            assert set(before.items) <= set(after.items)


def test_foreign_files_stay(model, pictures: Path, out: Path) -> None:
    (out / "cluster-001").mkdir(parents=True)
    (out / "cluster-001" / "notes.txt").write_text("mine")
    draw(out / "cluster-001" / "0.png", 1, 2, 3)  # a picture of somebody else's, with the name of one of ours
    draw(out / "holiday.png", 4, 5, 6)
    (out / "cluster-002").write_text("a file where a folder is to be")
    foreign = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for options in ({}, {"method": "hdbscan"}, {"afresh": True}):
        done = cluster(model, pictures, out, **options)
        assert {file: file.read_bytes() for file in foreign} == foreign
        assert sum(len(group.items) for group in done.clusters) + len(done.unassigned) == 17
    assert len(contents(out)) == 19


def test_names_that_collide(model, tmp_path: Path, out: Path) -> None:
    long = "x" * 251
    names = [
        "a.png",
        "A.png",
        "b/a.png",
        f"{long}.png",
        f"c/{long}.png",
        "c/.a.b.png",
        "c/caf\u00e9.png",
        "cafe\u0301.png",
    ]
    for number, name in enumerate(names):
        draw(tmp_path / "pictures" / name.replace("/.", "/"), 20, 20, number)
    cluster(model, tmp_path / "pictures", out)
    files = list((out / "cluster-001").iterdir())
    assert len(files) == len(names)
    assert len({file.name.casefold() for file in files}) == len(names)
    assert sorted(contents(out).values()) == sorted(contents(tmp_path / "pictures").values())


def test_names_that_are_no_utf8(model, pictures: Path, out: Path) -> None:
    try:
        draw(pictures / "ada" / os.fsdecode(b"\xff.png"), 20, 21)
    except (OSError, UnicodeError):
        pytest.skip("this disk takes only UTF-8")
    cluster(model, pictures, out)
    done = cluster(model, pictures, out)
    assert (done.copied, done.corrections) == (0, 0)
    assert people(out)[folder_of(out, "ada").name] == ["ada"] * 6


def test_the_same_content_is_one_item(model, pictures: Path, out: Path) -> None:
    shutil.copy(pictures / "ada" / "1.png", pictures / "ada" / "copy.png")
    shutil.copy(pictures / "ada" / "1.png", pictures / "elsewhere.png")
    done = cluster(model, pictures, out)
    assert people(out)[folder_of(out, "ada").name] == ["ada"] * 5
    assert sum(len(group.items) for group in done.clusters) == 17  # every file is listed


def test_pictures_that_are_gone_from_the_source_stay(model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    shutil.rmtree(pictures / "ada")
    draw(pictures / "new.png", 23, 19, 5)
    done = cluster(model, pictures, out)
    ada = folder_of(out, "ada")
    assert people(out)[ada.name] == ["ada"] * 6
    group = next(group for group in done.clusters if group.name == ada.name)
    assert f"{pictures}/new.png" in group.items
    assert f"{ada}/0.png" in group.items


def test_today_s_pictures_join_yesterday_s_clusters(model, pictures: Path, tmp_path: Path, out: Path) -> None:
    cluster(model, pictures, out)
    for number, (name, (x, y)) in enumerate(CORNERS.items()):
        draw(tmp_path / "today" / f"{name}.png", x + 1, y, number)
    done = cluster(model, tmp_path / "today", out)
    assert [len(group.items) for group in done.clusters] == [6, 6, 6]
    assert done.agreement is None  # loose in their folder: nobody says who they are


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links(link: Any, model, pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures.parent)  # links of relative paths must not start at the link
    cluster(model, Path("pictures"), Path("out"), link=link)
    files = list(out.rglob("*.png"))
    assert len(files) == 17
    assert all(file.is_symlink() if link == "symbolic" else file.stat().st_nlink == 2 for file in files)
    assert sorted(contents(out).values()) == sorted(contents(pictures).values())
    ada = folder_of(out, "ada")
    ada.rename(out / "Ada")
    shutil.move(out / "Ada" / "0.png", folder_of(out, "bob") / "0.png")
    done = cluster(model, pictures, out, link=link)
    assert (done.copied, done.moved, done.corrections) == (0, 0, 2)
    if link == "symbolic":  # whose target is gone: known by where they are, and by where they point
        (pictures / "bob" / "2.png").unlink()
        (pictures / "cleo" / "2.png").unlink()
        lost = next(file for file in out.rglob("*.png") if file.is_symlink() and "cleo/2" in str(file.readlink()))
        lost.rename(out / "Ada" / lost.name)
        before = sorted(file.relative_to(out) for file in out.rglob("*.png"))
        done = cluster(model, pictures, out, link=link, afresh=True)
        assert sorted(file.relative_to(out) for file in out.rglob("*.png")) == before
        assert done.removed == ()
        assert done.corrections == 1


def test_hard_links_to_another_disk(model, pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DataError, match="Hard links need a disk"):
        cluster(model, pictures, out, link="hard")


def test_out_inside_the_folder_is_not_clustered(model, pictures: Path) -> None:
    cluster(model, pictures, pictures / "groups")
    done = cluster(model, pictures, pictures / "groups")
    assert (done.copied, done.moved, done.corrections) == (0, 0, 0)
    assert sum(len(group.items) for group in done.clusters) == 15


@pytest.mark.parametrize("where", [".", "..", "ada/.."])
def test_out_around_the_pictures_is_refused(where: str, model, pictures: Path) -> None:
    with pytest.raises(UsageError, match="OUT is a folder beside"):
        cluster(model, pictures, pictures / where)


def test_options_that_cannot_work(model, pictures: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="promised rate is for"):
        cluster(model, pictures, out, "hdbscan", fmr=0.1)
    with pytest.raises(UsageError, match=r"drawn as \.png"):
        cluster(model, pictures, out, curves=Path("k.html"))
    out.write_text("a file")
    with pytest.raises(UsageError, match="the file"):
        cluster(model, pictures, out)


def test_unreadable_pictures_are_reported_and_nothing_else(model, pictures: Path, out: Path) -> None:
    (pictures / "ada" / "bad.png").write_bytes(b"\x89PNG nothing")
    (pictures / "ada" / "empty.png").touch()
    done = cluster(model, pictures, out)
    assert sorted(Path(file).name for file, _ in done.skipped) == ["bad.png", "empty.png"]
    assert len(contents(out)) == 17
    assert len(cluster(model, pictures, out).skipped) == 2


def test_nothing_to_cluster(model, tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        cluster(model, tmp_path / "empty", out)
    (tmp_path / "empty" / "bad.png").touch()
    with pytest.raises(DataError, match="At least one picture can be read"):
        cluster(model, tmp_path / "empty", out)
    with pytest.raises(DataError):
        cluster(model, tmp_path / "missing", out)
    assert not out.exists()


@pytest.mark.parametrize("method", ["agglomerative", "hdbscan", "x-means"])
@pytest.mark.parametrize("count", [1, 2])
def test_one_picture_or_two(method: str, count: int, model, tmp_path: Path, out: Path) -> None:
    for number in range(count):
        draw(tmp_path / "pictures" / f"{number}.png", 20, 20, number)
    done = cluster(model, tmp_path / "pictures", out, method)
    assert sum(len(group.items) for group in done.clusters) + len(done.unassigned) == count


def test_names_and_places_of_the_files_decide_nothing(model, pictures: Path, tmp_path: Path, out: Path) -> None:
    first = cluster(model, pictures, out)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(pictures.rglob("*.png"), reverse=True)):
        shutil.copy(file, flat / f"{number}.png")
    for method in ("agglomerative", "hdbscan", "k-means", "x-means"):
        shutil.rmtree(out)
        one = cluster(model, pictures, out, method)
        groups = {frozenset(contents_of(group.items)) for group in one.clusters}
        shutil.rmtree(out)
        other = cluster(model, flat, out, method)
        assert groups == {frozenset(contents_of(group.items)) for group in other.clusters}
    assert len(first.clusters) == 3


def contents_of(files: tuple[str, ...]) -> list[bytes]:
    return [Path(file).read_bytes() for file in files]


def test_curves_are_drawn(model, pictures: Path, out: Path, tmp_path: Path) -> None:
    done = cluster(model, pictures, out, curves=tmp_path / "k.png")
    assert done.curves == tmp_path / "k.png"
    assert (tmp_path / "k.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "k.png").unlink()
    cluster(model, pictures, out, "k-means", curves=tmp_path / "k.png")
    assert (tmp_path / "k.png").is_file()


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", range(9))
def test_killed_while_copying_it_goes_on_where_it_was(
    after: int, model, pictures: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tmp_path / "expected"
    cluster(model, pictures, expected)
    left = iter(range(2 * after + 1))

    def bring(source: Path, target: Path, key: str, link: object) -> str | None:
        if next(left, None) is None:
            target.with_name(".likewise-0123456789ab.part").write_bytes(b"half a pic")
            raise Killed
        return real(source, target, key, link)

    real = writing._bring
    with monkeypatch.context() as patched:
        patched.setattr(writing, "_bring", bring)
        if 2 * after + 1 < 17:
            with pytest.raises(Killed):
                cluster(model, pictures, out)
    if out.is_dir() and (out / "cluster-001").is_dir() and after:  # a person names it meanwhile, and moves a picture
        (out / "cluster-001").rename(out / "Named")
        file = sorted((out / "Named").glob("*.png"))[0]
        file.rename(out / file.name)
    done = cluster(model, pictures, out)
    assert done.removed == ()
    assert sorted(contents(out).values()) == sorted(contents(expected).values())
    assert not list(out.rglob(".likewise-*"))
    if after and 2 * after + 1 < 17:
        assert (out / "Named").is_dir()
        assert (out / file.name).is_file()
        assert done.corrections >= 2
    again = cluster(model, pictures, out)
    assert (again.copied, again.moved, again.corrections) == (0, 0, 0)


@pytest.mark.parametrize("after", range(4))
def test_killed_while_moving_nothing_counts_as_a_correction(
    after: int, model, pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(model, pictures, out, "k-means", k=2)  # two of the three people are in one cluster
    cluster(model, pictures, out.with_name("expected"), "k-means", k=2)
    expected = cluster(model, pictures, out.with_name("expected"))
    assert expected.moved > after
    left, real = iter(range(after)), writing._rename

    def rename(old: Path, new: Path) -> None:
        if next(left, None) is None:
            raise Killed
        real(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "_rename", rename)
        with pytest.raises(Killed):
            cluster(model, pictures, out)
    done = cluster(model, pictures, out)
    assert (done.corrections, done.removed) == (0, ())
    assert not any(group.yours for group in done.clusters)
    assert contents(out) == contents(out.with_name("expected"))


def test_a_full_disk_is_said_and_gone_on_from(
    model, pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, real = iter(range(5)), shutil.copystat

    def full(source: Path, target: Path) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copystat", full)
        with pytest.raises(DataError, match=r"No space left.*run again"):
            cluster(model, pictures, out)
    assert len(contents(out)) == 5
    assert cluster(model, pictures, out).copied == 12
    assert sorted(contents(out).values()) == sorted(contents(pictures).values())


def test_a_picture_that_changes_meanwhile_is_not_taken_for_another(model, pictures, out, monkeypatch) -> None:
    real = writing._bring

    def bring(source: Path, target: Path, key: str, link: object) -> str | None:
        if source.name == "d.png":
            draw(source, 20, 20, 99)
        if source.name == "e.png":
            source.unlink()
        return real(source, target, key, link)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "_bring", bring)
        done = cluster(model, pictures, out)
    assert sorted(Path(file).name for file, _ in done.skipped) == ["d.png", "e.png"]
    assert len(contents(out)) == 15
    done = cluster(model, pictures, out)
    assert (done.removed, done.corrections, len(contents(out))) == ((), 0, 16)


def test_two_runs_do_not_write_at_once(model, pictures: Path, out: Path) -> None:
    with writing.alone(out):
        with pytest.raises(DataError, match="One run at a time"):
            cluster(model, pictures, out)
        assert cluster(model, pictures, out, dry_run=True).copied == 17  # which writes nothing
    cluster(model, pictures, out)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: v.update(format=3), "up to format 2"),
        (lambda v: v.pop("items"), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(file="../../x.png"), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(file="/x.png"), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(cluster=99), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(cluster="1"), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(sure="no"), "can be read"),
        (lambda v: next(iter(v["items"].values())).update(more=1), "can be read"),
        (lambda v: v.update(clusters=[1]), "can be read"),
        (lambda v: v["clusters"]["1"].update(folder=".."), "can be read"),
        (lambda v: v.update(next=1), "can be read"),
    ],
)
def test_a_damaged_manifest_is_refused_and_nothing_touched(change, why: str, model, pictures: Path, out: Path) -> None:
    cluster(model, pictures, out)
    values = json.loads((out / MANIFEST).read_text())
    change(values)
    (out / MANIFEST).write_text(json.dumps(values))
    before = contents(out)
    with pytest.raises(DataError, match=why):
        cluster(model, pictures, out)
    assert contents(out) == before
    (out / MANIFEST).write_bytes(b"\xff{")
    with pytest.raises(DataError, match="can be read"):
        cluster(model, pictures, out)
