import gzip
import os
import struct
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from likewise.data import (
    Dataset,
    PairSet,
    arrays,
    check,
    folder,
    idx,
    manifest,
    open_data,
    pairs_file,
    zip_folder,
)
from likewise.data.dataset import ZipMember
from likewise.data.loaders import files_below, pictures_below
from likewise.errors import DataError, UsageError
from likewise.media.sounds import write_sound


def counts(data: Dataset) -> dict[str, int]:
    return {data.names[i]: int(n) for i, n in enumerate(data.counts())}


@contextmanager
def without_privileges() -> Generator[None]:
    """To root nothing is locked; the folder one is in stays reachable for anybody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folder_of_folders(tree: Path):
    data = open_data(tree)
    assert isinstance(data, Dataset)
    assert counts(data) == {f"person {i}": 6 for i in range(4)}
    assert data.files[0] == "person 0/0.png"
    assert data.sources[0] == tree / "person 0/0.png"


def test_nested_folders_are_identities_of_their_own(tree: Path):
    (tree / "club").mkdir()
    (tree / "person 0").rename(tree / "club" / "ada")
    (tree / "person 1").rename(tree / "club" / "bob")
    assert set(counts(folder(tree))) == {"club/ada", "club/bob", "person 2", "person 3"}


def test_train_and_test_folders_are_parts(tree: Path, tmp_path: Path):
    both = tmp_path / "both"
    both.mkdir()
    (both / "train").mkdir()
    (both / "test").mkdir()
    for who in ("person 0", "person 1"):
        (tree / who).rename(both / "train" / who)
    (tree / "person 2").rename(both / "test" / "person 0")
    data = folder(both)
    assert set(counts(data)) == {"person 0", "person 1"}
    assert len(data.part("train")) == 12
    assert len(data.part("test")) == 6
    with pytest.raises(UsageError, match="have a part called 'tune'; got test, train"):
        data.part("tune")


def people_in(tree: Path, where: Path, *tops: str) -> Path:
    """The four people of `tree`, a part of the pictures of each below every one of `tops`."""
    for place, top in enumerate(tops):
        for who in sorted(tree.iterdir()):
            (where / top / who.name).mkdir(parents=True)
            for file in sorted(who.iterdir())[place :: len(tops)]:
                (where / top / who.name / file.name).write_bytes(file.read_bytes())
    return where


@pytest.mark.parametrize(
    ("tops", "parts"),
    [
        (("train", "val"), ("train", "valid")),
        (("Train", "Test"), ("train", "test")),
        (("training", "testing"), ("train", "test")),
        (("TRAIN", "Validation", "Tune", "TEST"), ("train", "valid", "tune", "test")),
        (("train", "dev", "calibration"), ("train", "valid", "tune")),
        (("Test",), ("test",)),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_parts_by_their_usual_names(
    tree: Path, tmp_path: Path, tops: tuple[str, ...], parts: tuple[str, ...], zipped: bool
):
    root = people_in(tree, tmp_path / "all", *tops)
    if zipped:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for file in sorted(root.rglob("*.png")):
                archive.write(file, str(file.relative_to(tmp_path)))
    data = open_data(tmp_path / "all.zip" if zipped else root)
    assert counts(data) == {f"person {i}": 6 for i in range(4)}
    assert set(data.parts.tolist()) == set(parts)
    for top, part in zip(tops, parts, strict=True):
        assert len(data.part(part)) == len(list((root / top).rglob("*.png")))


def test_a_picture_loose_in_a_part_does_not_hide_the_parts(tree: Path, tmp_path: Path):
    root = people_in(tree, tmp_path / "all", "train", "test")
    (root / "train" / "cover.png").write_bytes((tree / "person 0" / "0.png").read_bytes())
    assert counts(folder(root)) == {f"person {i}": 6 for i in range(4)}


@pytest.mark.parametrize(
    "tops", [("one", "two"), ("fold0", "fold1", "fold2"), ("train", "test", "extra"), ("train", "new")]
)
def test_parts_by_other_names_are_not_taken_for_people(tree: Path, tmp_path: Path, tops: tuple[str, ...]):
    root = people_in(tree, tmp_path / "all", *tops)
    if "extra" in tops:  # of whom only some are there
        (root / "extra" / "person 3").rename(root / "extra" / "somebody")
    with pytest.raises(DataError, match="parts called train, valid, tune and test; got") as caught:
        folder(root)
    assert ", ".join(sorted(tops)) in str(caught.value)
    assert "'person 0'" in str(caught.value)
    assert "Rename those that are parts; if none are, list the pictures in a manifest." in str(caught.value)


def test_people_with_folders_of_their_own_are_not_taken_for_parts(tree: Path, tmp_path: Path):
    for who in sorted(tree.iterdir()):  # everybody has photos
        (who / "photos").mkdir()
        for file in sorted(who.glob("*.png")):
            file.rename(who / "photos" / file.name)
    assert set(counts(folder(tree))) == {f"person {i}/photos" for i in range(4)}
    picture = (tree / "person 0" / "photos" / "0.png").read_bytes()
    eyes = tmp_path / "eyes"
    for who in range(12):  # an eye is an identity
        for eye in ("left", "right"):
            (eyes / str(who) / eye).mkdir(parents=True)
            (eyes / str(who) / eye / "1.png").write_bytes(picture)
    assert len(counts(folder(eyes))) == 24
    fingers = tmp_path / "fingers"
    for who in range(12):  # and so is each of many fingers of many people
        for finger in range(15):
            (fingers / str(who) / str(finger)).mkdir(parents=True)
            (fingers / str(who) / str(finger) / "1.png").write_bytes(picture)
    assert len(counts(folder(fingers))) == 180
    alphabets = tmp_path / "alphabets"
    for alphabet, letters in (("greek", 24), ("latin", 26), ("korean", 40)):  # every one has a first letter
        for letter in range(letters):
            (alphabets / alphabet / f"character{letter:02}").mkdir(parents=True)
            (alphabets / alphabet / f"character{letter:02}" / "1.png").write_bytes(picture)
    assert len(counts(folder(alphabets))) == 90


def test_other_files_and_hidden_ones_are_passed_over(tree: Path):
    (tree / "person 0" / "notes.txt").write_text("x")
    (tree / "person 0" / ".hidden.png").write_bytes(b"x")
    (tree / ".cache").mkdir()
    (tree / ".cache" / "x.png").write_bytes(b"x")
    assert len(folder(tree)) == 24


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Two words of three sounds each, by two speakers."""
    root = tmp_path / "words"
    for word, hertz in (("yes", 300), ("no", 200)):
        (root / word).mkdir(parents=True)
        for who in ("ada_0", "ada_1", "bob_0"):
            tone = 0.5 * np.sin(np.arange(800) * (hertz + len(list((root / word).iterdir()))) * 2 * np.pi / 8000)
            write_sound(root / word / f"{who}.wav", tone, 8000)
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_sounds(words: Path, tmp_path: Path, zipped: bool):
    if zipped:
        with zipfile.ZipFile(tmp_path / "words.zip", "w") as archive:
            for file in sorted(words.rglob("*.wav")):
                archive.write(file, str(file.relative_to(tmp_path)))
    where = tmp_path / "words.zip" if zipped else words
    data = open_data(where, group_from=r"([a-z]+)_")
    assert isinstance(data, Dataset)
    assert counts(data) == {"no": 3, "yes": 3}
    assert data.origin == str(where)
    assert data.group_names == ("ada", "bob")
    first, second = data.split(0.5, 0.5, by="group")
    assert {len(first), len(second)} == {4, 2}


@pytest.mark.parametrize("zipped", [False, True])
def test_of_pictures_and_sounds_the_kind_with_more_is_taken(tree: Path, words: Path, tmp_path: Path, zipped: bool):
    def opened(root: Path) -> Dataset:
        if not zipped:
            return folder(root)
        with zipfile.ZipFile(tmp_path / f"{root.name}.zip", "w") as archive:
            for file in sorted(root.rglob("*.*")):
                archive.write(file, str(file.relative_to(root)))
        return zip_folder(tmp_path / f"{root.name}.zip")

    (tree / "person 1" / "hello.wav").write_bytes((words / "no" / "ada_0.wav").read_bytes())
    pictures = opened(tree)
    assert len(pictures) == 24
    assert pictures.origin.endswith(" (sounds passed over: 1)")
    for i in range(5):
        (words / "yes" / f"plot {i}.png").write_bytes((tree / "person 0" / "0.png").read_bytes())
    sounds = opened(words)
    assert sorted(Path(file).suffix for file in sounds.files) == [".wav"] * 6
    assert sounds.origin.endswith(" (pictures passed over: 5)")
    (words / "no" / "cover.png").write_bytes((tree / "person 0" / "0.png").read_bytes())
    with pytest.raises(DataError, match="pictures or sounds; got 6 of each"):
        opened(words)


def test_files_below_and_pictures_below(tree: Path, words: Path):
    assert [str(file) for file in files_below(words)][:2] == ["no/ada_0.wav", "no/ada_1.wav"]
    assert pictures_below(words) == []
    (tree / "a.wav").write_bytes(b"")
    assert files_below(tree) == pictures_below(tree)
    assert len(files_below(tree)) == 24


def test_loose_sounds_are_called_sounds(words: Path):
    with pytest.raises(DataError, match="3 sounds loose"):
        folder(words / "yes")


def test_a_manifest_lists_sounds(words: Path):
    (words / "list.csv").write_text("path,label,group\nyes/ada_0.wav,yes,ada\nno/bob_0.wav,no,bob\n")
    data = open_data(words / "list.csv")
    assert isinstance(data, Dataset)
    assert counts(data) == {"no": 1, "yes": 1}
    assert check(data).items == 2


def test_names_are_in_natural_order_and_any_alphabet(tmp_path: Path):
    for name in ("10", "9", "Ærø", "王"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "é.png")
    assert folder(tmp_path).names == ("9", "10", "Ærø", "王")


def test_names_equal_as_numbers_are_ordered_by_spelling(tmp_path: Path):
    names = ["1", "01", "001", "0001", "00001", "img7", "img07", "img007", "²"]
    expected = ("00001", "0001", "001", "01", "1", "img007", "img07", "img7", "²")
    assert arrays(np.zeros((9, 2, 2), np.uint8), names).names == expected
    assert arrays(np.zeros((9, 2, 2), np.uint8), [0] * 9, groups=names).group_names == expected
    for name in names:
        (tmp_path / "faces" / "x").mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / "faces" / "x" / f"{name}.png")
    found = open_data(tmp_path / "faces", group_from=r"(.*)\.png")
    assert isinstance(found, Dataset)
    assert found.group_names == expected


def test_no_folder_is_entered_twice(tree: Path):
    (tree / "person 1" / "everybody").symlink_to(tree)
    (tree / "person 2" / "friend").symlink_to(tree / "person 1")
    data = folder(tree)
    assert counts(data) == {f"person {i}": 6 for i in range(4)}


def test_links_to_folders_elsewhere_are_followed(tree: Path, tmp_path: Path):
    (tmp_path / "links").mkdir()
    for i in (0, 2):
        (tmp_path / "links" / f"friend {i}").symlink_to(tree / f"person {i}")
    assert counts(folder(tmp_path / "links")) == {"friend 0": 6, "friend 2": 6}


@pytest.mark.parametrize("locked", ["tree", "tree/person 2", "tree/person 2/deep"])
def test_a_folder_that_may_not_be_listed_is_no_empty_one(
    tree: Path, locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tree / "person 2" / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    Path(locked).chmod(0)
    try:
        with without_privileges(), pytest.raises(DataError, match="Permission denied") as caught:
            open_data("tree")
    finally:
        Path(locked).chmod(0o755)
    assert locked in str(caught.value)


@pytest.mark.parametrize("name", ["pairs.csv", "table.parquet", "a.zip", "a.npz", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("locked", ["file", "folder"])
def test_files_that_may_not_be_read(name: str, locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(b"a,b,same\n")
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    target = Path("data") / name if locked == "file" else Path("data")
    target.chmod(0)
    asked = "data" if "idx" in name else f"data/{name}"
    try:
        with without_privileges(), pytest.raises(DataError, match="Permission denied"):
            open_data(asked)
    finally:
        target.chmod(0o755)


@pytest.mark.parametrize("wrapped", [False, True])
def test_zip_is_read_in_place_as_the_folder_is(tree: Path, tmp_path: Path, wrapped: bool):
    path = tmp_path / "tree.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*.png")):
            inside = file.relative_to(tree.parent if wrapped else tree)
            archive.write(file, str(inside))
    data, plain = zip_folder(path), folder(tree)
    assert data.files == plain.files
    assert (data.labels == plain.labels).all()
    member = data.sources[3]
    assert isinstance(member, ZipMember)
    assert member.read() == Path(str(plain.sources[3])).read_bytes()


def test_zip_whose_names_start_with_a_dot(tree: Path, tmp_path: Path):
    path = tmp_path / "tree.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*.png")):
            archive.writestr(f"./{file.relative_to(tree)}", file.read_bytes())
    data, plain = zip_folder(path), folder(tree)
    assert data.files == plain.files
    assert check(data).as_dict() == check(plain).as_dict()


def spoil(path: Path, start: int) -> None:
    """A kind of block that deflate does not have."""
    raw = bytearray(path.read_bytes())
    raw[start] = 0xFF
    path.write_bytes(raw)


def test_zip_with_a_damaged_member(tree: Path, tmp_path: Path):
    path = tmp_path / "tree.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(tree.rglob("*.png")):
            archive.write(file, str(file.relative_to(tree)))
        hurt = archive.getinfo("person 1/3.png")
    spoil(path, hurt.header_offset + 30 + len(hurt.filename))
    health = check(zip_folder(path))
    assert [(p.kind, p.files) for p in health.problems] == [("unreadable", ("person 1/3.png",))]
    assert "invalid block type" in health.problems[0].text
    assert health.items == 23


def test_zip_member_that_is_not_there(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.raises(DataError, match="zip member"):
        ZipMember(archive, "none.png").read()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_manifest(tree: Path, suffix: str):
    rows = [
        {
            "path": f"person {i}/{n}.png",
            "label": f"0{i}",
            "split": "test" if n == 5 else "train",
            "group": f"camera{n % 2}",
        }
        for i in range(4)
        for n in range(6)
    ]
    path = tree / f"table{suffix}"
    table = pd.DataFrame(rows)
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    data = open_data(path)
    assert isinstance(data, Dataset)
    assert data.names == ("00", "01", "02", "03")  # names, not numbers
    assert len(data.part("test")) == 4
    assert data.group_names == ("camera0", "camera1")
    assert data.sources[7] == tree / "person 1/1.png"


@pytest.fixture
def cameras(tree: Path) -> Path:
    """A manifest with three columns that can group its items; that of notes has a gap."""
    rows = [
        f"person {i}/{n}.png,{i},{'fm'[i % 2]},{n % 3},team{i},{'' if i else 'x'}" for i in range(4) for n in range(6)
    ]
    (tree / "table.csv").write_text("\n".join(["path,label,sex,camera,group,notes", *rows]))
    return tree / "table.csv"


def test_any_column_of_a_manifest_can_group_it(cameras: Path):
    for group_by, names in (
        (None, ("team0", "team1", "team2", "team3")),
        ("group", ("team0", "team1", "team2", "team3")),
        ("sex", ("f", "m")),
        ("camera", ("0", "1", "2")),
    ):
        for data in (open_data(cameras, group_by=group_by), manifest(cameras, group_by=group_by)):
            assert data.group_names == names
    by_camera = manifest(cameras, group_by="camera")
    assert [by_camera.group_names[g] for g in by_camera.groups] == [str(n % 3) for _ in range(4) for n in range(6)]


def test_a_column_of_numbers_can_group(tree: Path):
    table = {"path": ["person 0/0.png", "person 1/0.png"], "label": ["a", "b"], "age": [30, 9]}
    pd.DataFrame(table).to_parquet(tree / "table.parquet")
    assert manifest(tree / "table.parquet", group_by="age").group_names == ("9", "30")


def test_a_gap_in_another_column_does_not_matter(cameras: Path):
    manifest(cameras, group_by="sex")
    with pytest.raises(DataError, match="Every row has a notes; got an empty one in row 8 of"):
        manifest(cameras, group_by="notes")


@pytest.mark.parametrize("name", ["sexx", "Sex", ""])
def test_a_column_that_is_not_there(cameras: Path, name: str):
    with pytest.raises(UsageError, match="has path, label, sex, camera, group, notes") as caught:
        open_data(cameras, group_by=name)
    assert repr(name) in str(caught.value)


def test_a_folder_has_groups_by_its_files_names_only(tree: Path):
    assert open_data(tree, group_from=r"^(\d)\.png", group_by="group").group_names == tuple("012345")
    for group_by in ("sex", "group"):
        with pytest.raises(UsageError, match=f"{group_by} for .*, which is none.*--group-from"):
            open_data(tree, group_by=group_by)


def test_groups_come_from_one_place(cameras: Path):
    with pytest.raises(UsageError, match="--group-by sex and --group-from"):
        open_data(cameras, group_from=r"^(\d)\.png", group_by="sex")
    plain = cameras.with_name("plain.csv")
    pd.read_csv(cameras)[["path", "label"]].to_csv(plain, index=False)
    for table in (cameras, plain):  # with a column group and without
        for group_by in (None, "group"):
            found = open_data(table, group_from=r"^(\d)\.png", group_by=group_by)
            assert found.group_names == tuple("012345")


def test_pairs_have_no_groups(tree: Path):
    path = tree / "pairs.csv"
    path.write_text("a,b,same,sex\nperson 0/0.png,person 0/1.png,1,f\nperson 0/0.png,person 1/0.png,0,f\n")
    for option, value in (("group_by", "sex"), ("group_from", "(.)")):
        with pytest.raises(UsageError, match=f"Leave out --{option.replace('_', '-')}"):
            open_data(path, **{option: value})


def test_parts_of_a_manifest_by_any_usual_name(tree: Path):
    path = tree / "table.csv"
    parts = ["Train", "TRAINING", " train ", "Valid", "val", "Test"]
    rows = [f"person {i}/{n}.png,{i},{part}" for i in range(4) for n, part in enumerate(parts)]
    path.write_text("\n".join(["path,label,split", *rows]))
    data = manifest(path)
    assert {part: len(data.part(part)) for part in ("train", "valid", "test")} == {"train": 12, "valid": 8, "test": 4}


@pytest.mark.parametrize("kind", ["manifest", "pairs"])
def test_a_part_nobody_knows_is_refused(tree: Path, kind: str):
    path = tree / "table.csv"
    if kind == "manifest":
        path.write_text("path,label,split\nperson 0/0.png,0,train\nperson 0/1.png,0,fold 2\n")
    else:
        path.write_text("a,b,same,split\n1,2,1,train\n1,3,0,fold 2\n")
    with pytest.raises(
        DataError, match=r"train, valid, tune or test; got 'fold 2' in row 3 of '.*table.csv'\. Rename it"
    ):
        open_data(path)


def test_a_part_of_an_array_nobody_knows_is_refused():
    assert arrays(np.zeros((2, 2, 2)), [0, 1], parts=["Training", "test"]).parts.tolist() == ["train", "test"]
    with pytest.raises(DataError, match="got 'holdout' of item 1"):
        arrays(np.zeros((2, 2, 2)), [0, 1], parts=["train", "holdout"])


def test_manifest_without_a_label_column_says_so(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text("path,who\na.png,b\n")
    with pytest.raises(DataError, match=r"columns path and label; got path, who .* Add label\."):
        manifest(path)
    path.write_text("path,label\na.png,x\nb.png,\n")
    with pytest.raises(DataError, match="Every row has a label; got an empty one in row 3"):
        manifest(path)


def test_pairs_file(tree: Path):
    path = tree / "pairs.csv"
    path.write_text("a,b,same\nperson 0/0.png,person 0/1.png,1\nperson 0/0.png,person 1/0.png,no\n")
    pairs = open_data(path)
    assert isinstance(pairs, PairSet)
    assert pairs.same.tolist() == [True, False]
    assert [pairs.items.files[i] for i in pairs.first] == ["person 0/0.png"] * 2
    assert [pairs.items.files[i] for i in pairs.second] == ["person 0/1.png", "person 1/0.png"]
    assert [Path(str(pairs.items.sources[i])).name for i in pairs.second] == ["1.png", "0.png"]


def test_pairs_file_with_parts(tmp_path: Path):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,same,split\n1,2,1,train\n1,3,0,train\n5,6,1,validation\n5,4,0,test\n6,4,0,test\n")
    pairs = pairs_file(path)
    train, test = pairs.part("train"), pairs.part("test")
    assert train.same.tolist() == [True, False]
    assert train.items.files == ("1", "2", "3")
    assert (train.first.tolist(), train.second.tolist()) == ([0, 0], [1, 2])
    assert test.items.files == ("4", "5", "6")
    assert (test.first.tolist(), test.second.tolist()) == ([1, 2], [0, 0])
    assert len(pairs.part("valid")) == 1
    assert test.origin == f"{path}, its own test part"
    with pytest.raises(UsageError, match="have a part called 'tune'; got test, train, valid"):
        pairs.part("tune")
    path.write_text("a,b,same,split\n1,2,1,train\n1,3,0,\n")
    with pytest.raises(DataError, match="Every row has a split; got an empty one in row 3"):
        pairs_file(path)


def test_pairs_file_with_identities(tmp_path: Path):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,same,id_a,id_b\n1,2,1,ada,ada\n1,3,0,ada,bob\n4,5,0,ada,cem\n")
    pairs = pairs_file(path)
    assert pairs.named
    assert {f: pairs.items.names[i] for f, i in zip(pairs.items.files, pairs.items.labels, strict=True)} == {
        "1": "ada", "2": "ada", "3": "bob", "4": "ada", "5": "cem",
    }  # fmt: skip
    path.write_text("a,b,same\n1,2,1\n1,3,0\n4,5,0\n")
    assert not pairs_file(path).named
    assert len(set(pairs_file(path).items.labels.tolist())) == 4  # that 1 and 4 are of one is not known


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("1,2,1,ada,bob\n1,3,0,ada,cem\n", "just where id_a and id_b are; got otherwise in row 2"),
        ("1,2,1,ada,ada\n1,3,0,ada,ada\n", "just where id_a and id_b are; got otherwise in row 3"),
        ("1,2,1,ada,ada\n3,1,0,bob,cem\n", "one identity; got 'ada' and 'cem' in row 3"),
        ("1,2,1,ada,ada\n1,3,0,ada,\n", "Every row has a id_b; got an empty one in row 3"),
    ],
)
def test_identities_of_pairs_that_contradict(tmp_path: Path, rows: str, match: str):
    path = tmp_path / "pairs.csv"
    path.write_text(f"a,b,same,id_a,id_b\n{rows}")
    with pytest.raises(DataError, match=match):
        pairs_file(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b,same\nx,y,maybe\n", "'maybe' in row 2"),
        ("a,b,same\nx,y,1\n", "both kinds"),
        ("a,b,same\nx,x,1\nx,y,0\n", "two different items; got the same file twice in row 2"),
        ("a,b,same\n", "has rows"),
    ],
)
def test_bad_pairs_files(tmp_path: Path, text: str, match: str):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=match):
        pairs_file(path)


def test_arrays_keep_labels_whole_and_refuse_what_is_wrong():
    x = np.zeros((3, 4, 4), np.uint8)
    big = 2**24 + np.array([1, 2, 1])
    assert arrays(x, big).names == (str(2**24 + 1), str(2**24 + 2))
    with pytest.raises(DataError, match="one label for each item"):
        arrays(x, [0, 1])
    bad = np.zeros((3, 4, 4))
    bad[1, 2, 2] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in item 1"):
        arrays(bad, [0, 1, 0])
    with pytest.raises(DataError, match="NaN or infinity among the labels"):
        arrays(x, [0.0, np.nan, 1.0])
    with pytest.raises(DataError, match="shape"):
        arrays(np.zeros(3), [0, 1, 0])


def test_rows_are_sounds_but_flat_pictures_are_not():
    sounds = np.random.default_rng(0).uniform(-1, 1, (3, 800))
    for x in (sounds, (sounds * 32767).astype(np.int16)):
        data = arrays(x, ["yes", "no", "yes"])
        assert counts(data) == {"no": 1, "yes": 2}
        assert data.subset([1]).sources.shape == (1, 800)
        assert len(set(data.contents.tolist())) == 3
        assert check(data).items == 3
    for flat in (np.abs(sounds), np.zeros((3, 784), np.uint8)):
        with pytest.raises(DataError, match="nothing below 0"):
            arrays(flat, ["yes", "no", "yes"])
    sounds[2, 7] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in item 2"):
        arrays(sounds, ["yes", "no", "yes"])


def write_idx(path: Path, values: np.ndarray, pack=lambda b: b) -> Path:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(pack(header + values.astype(np.uint8).tobytes()))
    return path


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress])
def test_idx_plain_and_gzipped(tmp_path: Path, pack):
    x = np.arange(3 * 5 * 4).reshape(3, 5, 4)
    images = write_idx(tmp_path / "train-images-idx3-ubyte.gz", x, pack)
    labels = write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([7, 2, 7]), pack)
    data = idx(images, labels)
    assert (np.asarray(data.sources) == x).all()
    assert [data.names[i] for i in data.labels] == ["7", "2", "7"]
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", x[:2], pack)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.array([2, 2]), pack)
    both = open_data(tmp_path)
    assert isinstance(both, Dataset)
    assert (len(both.part("train")), len(both.part("test"))) == (3, 2)
    for file in tmp_path.iterdir():  # as EMNIST calls them
        file.rename(tmp_path / f"emnist-letters-{file.name}".replace("t10k", "test"))
    both = open_data(tmp_path)
    assert (len(both.part("train")), len(both.part("test"))) == (3, 2)


@pytest.mark.parametrize("images", [["", ".gz"], [".gz"], [""]])
@pytest.mark.parametrize("labels", [["", ".gz"], [".gz"], [""]])
def test_idx_both_plain_and_gzipped_is_read_once(tmp_path: Path, images: list[str], labels: list[str]):
    pack: dict[str, Callable[[bytes], bytes]] = {"": lambda b: b, ".gz": gzip.compress}
    x = np.arange(5 * 3 * 4).reshape(5, 3, 4)
    for part, rows in (("train", slice(0, 3)), ("t10k", slice(3, 5))):
        for end in images:
            write_idx(tmp_path / f"{part}-images-idx3-ubyte{end}", x[rows], pack[end])
        for end in labels:
            write_idx(tmp_path / f"{part}-labels-idx1-ubyte{end}", np.array([7, 2, 7, 2, 2])[rows], pack[end])
    data = open_data(tmp_path)
    assert isinstance(data, Dataset)
    assert (np.asarray(data.part("train").sources) == x[:3]).all()
    assert (np.asarray(data.part("test").sources) == x[3:]).all()
    assert [data.names[i] for i in data.part("train").labels] == ["7", "2", "7"]


def test_damaged_compression(tmp_path: Path):
    images = write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((3, 5, 4)), gzip.compress)
    spoil(images, 10)  # after the header
    with pytest.raises(DataError, match="An IDX file can be read"):
        idx(images, images)
    np.savez_compressed(tmp_path / "a.npz", items=np.zeros((2, 4, 4), np.uint8), labels=["x", "y"])
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        member = archive.getinfo("items.npy")
    raw = (tmp_path / "a.npz").read_bytes()
    extra = struct.unpack("<H", raw[member.header_offset + 28 : member.header_offset + 30])[0]
    spoil(tmp_path / "a.npz", member.header_offset + 30 + len(member.filename) + extra)
    with pytest.raises(DataError, match=r"An \.npz file can be read"):
        open_data(tmp_path / "a.npz")


def test_damaged_idx(tmp_path: Path):
    x = np.zeros((3, 5, 4))
    images = write_idx(tmp_path / "i", x)
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match="as long as its header says"):
        idx(images, images)
    with pytest.raises(DataError, match="starts 00 00 08 03"):
        idx(write_idx(tmp_path / "j", np.zeros(3)), images)


def test_npz_is_read_without_pickle(tmp_path: Path):
    np.savez(tmp_path / "a.npz", items=np.zeros((2, 4, 4), np.uint8), labels=["x", "y"])
    data = open_data(tmp_path / "a.npz")
    assert isinstance(data, Dataset)
    assert data.names == ("x", "y")
    np.savez(tmp_path / "b.npz", items=np.array([{}, {}], dtype=object), labels=[0, 1])
    with pytest.raises(DataError, match="can be read"):
        open_data(tmp_path / "b.npz")


def test_groups_from_file_names(tree: Path):
    data = open_data(tree, group_from=r"^(\d)\.png")
    assert isinstance(data, Dataset)
    assert data.group_names == tuple("012345")
    for pattern, error in (("(", UsageError), (r"\d", UsageError), ("(xyz)", DataError)):
        with pytest.raises(error):
            open_data(tree, group_from=pattern)


def test_groups_from_folders(tree: Path):
    data = open_data(tree, group_from="^([^/]+)/")
    assert isinstance(data, Dataset)
    folders = [Path(file).parts[0] for file in data.files]
    assert data.groups is not None
    assert [data.group_names[group] for group in data.groups] == folders
    assert len(set(folders)) > 1
    with pytest.raises(DataError, match=r"with a / is looked for in the path") as caught:
        open_data(tree, group_from=f"^({folders[0]})")
    assert f"got {Path(data.files[0]).name!r}, which has no" in str(caught.value)  # what was searched is shown


def test_what_is_not_there_or_empty_is_said(tmp_path: Path):
    with pytest.raises(DataError, match="which is not there"):
        open_data(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures or sounds in"):
        open_data(tmp_path / "empty")
    Image.new("L", (4, 4)).save(tmp_path / "empty" / "a.png")
    with pytest.raises(DataError, match="1 pictures loose"):
        open_data(tmp_path / "empty")
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="A zip can be read"):
        open_data(tmp_path / "x.zip")


def test_digits_need_nothing():
    data = open_data("digits")
    assert isinstance(data, Dataset)
    assert len(data) == 1797
    assert data.identities == 10
