"""Numbers for contents and names: equal where these are equal, and nowhere else."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.data import Dataset, arrays, folder, zip_folder
from likewise.data.contents import content_keys, identity_keys, name_keys, of_same_name
from likewise.media.pictures import content_hash


def test_they_are_the_first_64_bits_of_a_sha256(tree: Path) -> None:
    data = folder(tree)
    for key, source in zip(data.contents[:5], data.sources, strict=False):
        digest = hashlib.sha256(Path(str(source)).read_bytes()).digest()
        assert int(key) == int.from_bytes(digest[:8], "little", signed=True)


def test_rows_of_an_array_have_the_numbers_they_have_alone(digits: Dataset) -> None:
    rows = digits.sources[:20]
    assert content_keys(rows).tolist() == content_keys(list(rows)).tolist()
    digest = bytes.fromhex(content_hash(rows[3]))
    assert int(content_keys(rows)[3]) == int.from_bytes(digest[:8], "little", signed=True)
    turned = rows.transpose(0, 2, 1)  # not in one piece in memory
    assert content_keys(turned).tolist() == content_keys(turned.copy()).tolist()
    assert not set(content_keys(rows)) & set(content_keys(rows.astype(np.float32)))


def test_digits_are_all_different(digits: Dataset) -> None:
    assert len(set(digits.contents.tolist())) == len({row.tobytes() for row in digits.sources}) == 1797


def test_copies_are_known_wherever_they_lie(tree: Path, tmp_path: Path) -> None:
    plain = folder(tree)
    moved = folder(shutil.copytree(tree, tmp_path / "moved"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(tree.rglob("*.png")):
            archive.write(file, str(file.relative_to(tree)))
    assert plain.contents.tolist() == moved.contents.tolist() == zip_folder(tmp_path / "a.zip").contents.tolist()
    shutil.copy(tree / "person 1" / "0.png", tree / "person 2" / "copy.png")
    data = folder(tree)
    assert len(set(data.contents.tolist())) == len(data) - 1


def test_what_cannot_be_read_is_like_nothing_else(tree: Path) -> None:
    data = folder(tree)
    for name in ("person 0/0.png", "person 0/1.png"):
        (tree / name).unlink()
    assert len(set(data.contents.tolist())) == 24


def test_they_are_read_once_for_a_set_and_all_its_parts(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(
        "likewise.data.contents.content_hash", lambda source: read.append(source) or content_hash(source)
    )
    data = folder(tree)
    expected = data.contents
    parts = data.split(0.5, 0.5, seed=1)
    again = parts[0].subset([2, 0])
    assert np.isin(np.concatenate([part.contents for part in parts]), expected).all()
    assert again.contents.tolist() == parts[0].contents[[2, 0]].tolist()
    assert len(read) == 24


def test_a_changed_set_does_not_keep_the_numbers_of_the_old(digits: Dataset) -> None:
    from dataclasses import replace

    some = digits.subset(np.arange(5))
    before = some.contents
    assert not set(replace(some, sources=255 - some.sources).contents) & set(before)


def test_nothing_has_no_numbers() -> None:
    assert content_keys(()).tolist() == content_keys(np.empty((0, 2, 2))).tolist() == name_keys(()).tolist() == []


def test_names_are_the_same_in_any_list() -> None:
    assert name_keys(["ada", "bob"])[1] == name_keys(["bob", "cem"])[0]
    assert len(set(name_keys(["ada", "bob", "Ada", "müde", "\udcff"]).tolist())) == 5


@pytest.mark.parametrize(("name", "first", "same"), [(1, 5, True), (1, 6, False), (2, 5, False)])
def test_an_identity_is_its_name_and_its_first_item(name: int, first: int, same: bool) -> None:
    names, contents = name_keys(["one", "two"]), content_keys([np.uint8([number]) for number in range(7)])
    pair = identity_keys(names[[0, name - 1]], contents[[5, first]])
    assert (pair[0] == pair[1]) == same
    assert of_same_name(pair[:1], pair[1:]).tolist() == [name == 1]


def test_identities_are_the_same_in_all_parts_of_a_whole_and_in_no_other_set(digits: Dataset) -> None:
    parts = digits.split(0.5, 0.5, seed=1)
    again = parts[0].split(0.5, 0.5, seed=2)[1]
    expected = dict(zip(digits.labels.tolist(), digits.identity_keys().tolist(), strict=True))
    assert len(set(expected.values())) == 10
    for part in (*parts, again):
        assert part.identity_keys().tolist() == [expected[label] for label in part.labels.tolist()]
    apart = [arrays(digits.sources[some], digits.labels[some]) for some in (slice(0, 900), slice(900, None))]
    assert not set(apart[0].identity_keys()) & set(apart[1].identity_keys())
    assert of_same_name(apart[0].identity_keys(), apart[1].identity_keys()).all()


def test_an_identity_is_told_by_one_reading(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(
        "likewise.data.contents.content_hash", lambda source: read.append(source) or content_hash(source)
    )
    folder(tree).subset(np.arange(3, 11)).identity_keys()
    assert len(read) == 2  # of two identities the first picture


def test_pictures_of_one_kind_in_other_files_differ(tmp_path: Path) -> None:
    """Content is the bytes of the file: saved anew, a picture is another one."""
    picture = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    for name in ("a.png", "b.bmp"):
        picture.save(tmp_path / name)
    assert len(set(content_keys([tmp_path / "a.png", tmp_path / "b.bmp"]))) == 2
