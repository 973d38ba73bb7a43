import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from likewise.data import (
    Dataset,
    PairSet,
    arrays,
    folder,
    idx,
    manifest,
    open_data,
    pairs_file,
    zip_folder,
)
from likewise.data.dataset import ZipMember
from likewise.errors import DataError, UsageError


def counts(data: Dataset) -> dict[str, int]:
    return {data.names[i]: int(n) for i, n in enumerate(data.counts())}


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


def test_other_files_and_hidden_ones_are_passed_over(tree: Path):
    (tree / "person 0" / "notes.txt").write_text("x")
    (tree / "person 0" / ".hidden.png").write_bytes(b"x")
    (tree / ".cache").mkdir()
    (tree / ".cache" / "x.png").write_bytes(b"x")
    assert len(folder(tree)) == 24


def test_names_are_in_natural_order_and_any_alphabet(tmp_path: Path):
    for name in ("10", "9", "Ærø", "王"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "é.png")
    assert folder(tmp_path).names == ("9", "10", "Ærø", "王")


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
        arrays(np.zeros((3, 4)), [0, 1, 0])


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


def test_what_is_not_there_or_empty_is_said(tmp_path: Path):
    with pytest.raises(DataError, match="which is not there"):
        open_data(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in"):
        open_data(tmp_path / "empty")
    Image.new("L", (4, 4)).save(tmp_path / "empty" / "a.png")
    with pytest.raises(DataError, match="1 pictures loose"):
        open_data(tmp_path / "empty")
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="A zip can be opened"):
        open_data(tmp_path / "x.zip")


def test_digits_need_nothing():
    data = open_data("digits")
    assert isinstance(data, Dataset)
    assert len(data) == 1797
    assert data.identities == 10
