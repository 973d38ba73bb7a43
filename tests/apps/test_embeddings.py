"""Embeddings in a file: readable by others, with the fingerprint of their model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from likewise.apps.embeddings import Written, encode_files
from likewise.apps.learn import Learned
from likewise.errors import DataError, ModelError, UsageError


def read(file: Path) -> tuple[np.ndarray, list[str], str]:
    if file.suffix.lower() == ".npz":
        with np.load(file, allow_pickle=False) as held:
            assert sorted(held.files) == ["embeddings", "files", "fingerprint"]
            return held["embeddings"], held["files"].tolist(), str(held["fingerprint"])
    table = pq.read_table(file)
    assert table.column_names == ["file", "embedding"]
    rows = np.array(table["embedding"].to_pylist(), np.float32)
    return rows, table["file"].to_pylist(), table.schema.metadata[b"likewise.fingerprint"].decode()


@pytest.mark.parametrize("name", ["out.npz", "out.parquet", "OUT.NPZ", "out.Parquet"])
def test_what_is_written_can_be_read_back(learned: Learned, digit_folder: Path, tmp_path: Path, name: str) -> None:
    files = sorted((digit_folder / "3").iterdir())[:7]
    written = encode_files(learned.folder, files, tmp_path / name)
    assert written == Written(tmp_path / name, 7, 16, (), learned.model.fingerprint)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    embeddings, names, fingerprint = read(tmp_path / name)
    assert embeddings.dtype == np.float32
    assert np.array_equal(embeddings, learned.model.encode(files).embeddings.numpy())
    assert names == [str(file) for file in files]
    assert fingerprint == learned.model.fingerprint


def test_folders_are_searched_in_order(learned: Learned, digit_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "more" / "deep" / "größe 顔.JPG")
    (tmp_path / "more" / "notes.txt").write_text("no picture by its name")
    (tmp_path / "more" / ".hidden.png").write_text("hidden")
    (tmp_path / "more" / ".thumbnails").mkdir()
    (tmp_path / "more" / ".thumbnails" / "1.png").write_text("hidden with its folder")
    (tmp_path / "more" / "deep" / "round").symlink_to(tmp_path / "more")  # entered once all the same
    written = encode_files(learned.folder, [digit_folder / "1", tmp_path / "more"], tmp_path / "out.npz")
    _, names, _ = read(tmp_path / "out.npz")
    assert written.items == 31
    assert names[:30] == sorted(str(file) for file in (digit_folder / "1").iterdir())
    assert names[30].endswith("größe 顔.JPG")
    assert written.skipped == ()


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_names_that_are_no_utf8(learned: Learned, tmp_path: Path, suffix: str) -> None:
    import os

    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(odd, format="PNG")
    encode_files(learned.folder, [odd], tmp_path / f"out{suffix}")
    _, names, _ = read(tmp_path / f"out{suffix}")
    assert "caf" in names[0]


def test_unreadable_files_are_skipped_and_listed(learned: Learned, digit_folder: Path, tmp_path: Path) -> None:
    good = sorted((digit_folder / "3").iterdir())[:2]
    (tmp_path / "bad.png").write_bytes(b"\x89PNG")
    files = [good[0], tmp_path / "bad.png", tmp_path / "none.png", good[1]]
    written = encode_files(learned.folder, files, tmp_path / "out.npz")
    assert [file for file, _ in written.skipped] == [str(tmp_path / "bad.png"), str(tmp_path / "none.png")]
    embeddings, names, _ = read(tmp_path / "out.npz")
    assert names == [str(file) for file in good]
    assert np.array_equal(embeddings, learned.model.encode(good).embeddings.numpy())
    assert written.as_dict()["items"] == 2
    assert {"file", "reason"} == set(written.as_dict()["skipped"][0])


def test_refusals_write_nothing(learned: Learned, digit_folder: Path, tmp_path: Path) -> None:
    picture = next((digit_folder / "0").iterdir())
    (tmp_path / "empty").mkdir()
    for error, model, files, out in (
        (UsageError, learned.folder, [picture], "out.csv"),
        (UsageError, learned.folder, [picture], "out"),
        (DataError, learned.folder, [tmp_path / "none.png"], "out.npz"),
        (DataError, learned.folder, [tmp_path / "empty"], "out.npz"),
        (ModelError, tmp_path / "empty", [picture], "out.npz"),
    ):
        with pytest.raises(error) as caught:
            encode_files(model, files, tmp_path / out)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_an_old_file_survives_a_failure(
    learned: Learned, digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    picture = next((digit_folder / "0").iterdir())
    encode_files(learned.folder, [picture], tmp_path / "out.npz")
    before = (tmp_path / "out.npz").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match="No space left"):
        encode_files(learned.folder, [picture, picture], tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
