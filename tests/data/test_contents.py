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
from likewise.data.contents import content_keys, name_keys
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


@pytest.mark.parametrize("name", ["3", "007", "-1", "2.0"])
def test_a_bare_number_names_somebody_in_its_own_list_only(name: str) -> None:
    assert name_keys([name, "x"])[0] == name_keys([name, "x"])[0]
    assert name_keys([name, "x"])[0] != name_keys([name, "x", "y"])[0]


def test_local_names_mean_nothing_elsewhere() -> None:
    assert name_keys(["a", "b"], local=True)[0] != name_keys(["a", "c"], local=True)[0] != name_keys(["a", "b"])[0]


def test_labels_of_arrays_are_such_numbers(digits: Dataset) -> None:
    """Twelve people numbered 0 to 11 are not twelve of fifteen others numbered 0 to 14; digits stay the same."""
    fifteen, twelve = (arrays(digits.sources[:60], np.arange(60) % count) for count in (15, 12))
    assert not set(fifteen.identity_keys()) & set(twelve.identity_keys())
    assert set(digits.subset(np.arange(50)).identity_keys()) <= set(digits.identity_keys())


def test_pictures_of_one_kind_in_other_files_differ(tmp_path: Path) -> None:
    """Content is the bytes of the file: saved anew, a picture is another one."""
    picture = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    for name in ("a.png", "b.bmp"):
        picture.save(tmp_path / name)
    assert len(set(content_keys([tmp_path / "a.png", tmp_path / "b.bmp"]))) == 2
