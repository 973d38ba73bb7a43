"""likewise cluster --prepare: sheets of digits, each digit in a folder of its own."""

from __future__ import annotations

import base64
import io
import re
import shutil
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from cluster_tiles import SIDE, Tiles, sheet
from PIL import Image

from likewise import prepare
from likewise.apps.cluster import cluster_folder
from likewise.apps.prepared import prepared
from likewise.errors import UsageError
from likewise.matching import Model, load
from likewise.prepare import finder

BLANK = np.zeros((SIDE, SIDE), np.uint8)


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prepare.FINDERS, "tiles", ("tiles", {}))
    monkeypatch.setitem(prepare.FINDERS, "faint-tiles", ("tiles", {"faintest": 1}))
    monkeypatch.setitem(prepare.FINDERS, "turned-tiles", ("tiles", {"turned": True}))
    monkeypatch.setitem(finder.KINDS, "tiles", ("cluster_tiles", "Tiles"))


@pytest.fixture
def sheets(tmp_path: Path, digit_folder: Path) -> Path:
    """Ten sheets with a 0, a 4 and a 6, one of them corrupt, two without the 4, and an empty one."""

    def digit(which: int, number: int) -> np.ndarray:
        return np.asarray(Image.open(digit_folder / str(which) / f"{number:02}.png"))

    folder = tmp_path / "sheets"
    for number in range(10):
        middle = BLANK if number > 7 else digit(4, number)
        sheet(folder / f"{number}.png", digit(0, number), middle, BLANK, digit(6, number))
    sheet(folder / "empty.png", BLANK, BLANK)
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    return folder


def test_each_digit_of_a_sheet_has_its_own_folder(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    out = tmp_path / "albums"
    arguments = ("cluster", model_folder, sheets, "--out", out, "--prepare", "tiles", "--json")
    dry = run(*arguments, "--dry-run")
    assert not out.exists()
    result = run(*arguments)
    assert (result.status, result.json) == (0, dry.json)
    assert result.json["empty"] == [f"{sheets}/empty.png"]
    assert [Path(one["file"]).name for one in result.json["skipped"]] == ["3.png"]
    listed = [
        (Path(item).stem, box[0] // SIDE)
        for group in result.json["clusters"]
        for item, box in zip(group["items"], group["boxes"], strict=True)
    ]
    assert len(set(listed)) == len(listed)
    assert len(listed) + len(result.json["unassigned"]) == 9 + 7 + 9
    for group in result.json["clusters"]:
        assert len(set(group["items"])) == len(group["items"]) == len(list((out / group["name"]).iterdir()))
        columns = [box[0] // SIDE for box in group["boxes"]]
        assert max(columns.count(column) for column in columns) >= 0.8 * len(columns)  # one digit, but for a stray
    assert max(len(group["items"]) for group in result.json["clusters"]) >= 5
    assert "another prepare step" in result.err
    table = run(*arguments[:-1])
    assert "nothing found in  1" in table.out
    again = run(*arguments)
    assert (again.json["copied"], again.json["moved"], again.json["corrections"]) == (0, 0, 0)


def test_a_page_shows_which_copy_is_which_part(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "albums", tmp_path / "pages" / "albums.html"
    page.parent.mkdir()
    (sheets / "0.png").rename(sheets / "<b>&.png")
    asked = ("cluster", model_folder, sheets, "--out", out, "--prepare", "tiles", "--page", page, "--json")
    done = run(*asked).json
    assert done["page"] == str(page)
    html = page.read_text(encoding="utf-8")
    figures = re.findall(r'<figure><img alt="" src="data:image/jpeg;base64,(.+?)">.*?<a href="(.+?)">(.+?)</a>', html)
    shown = {
        (page.parent / unquote(address)).resolve().relative_to(out).as_posix(): (look, unescape(name))
        for look, address, name in figures
    }
    of = {
        copy: (item, box)
        for group in done["clusters"]
        for item, copy, box in zip(group["items"], group["copies"], group["boxes"], strict=True)
    }
    assert len(of) > 15
    assert shown.keys() == of.keys() | set(done["unassigned_copies"])
    assert all((out / copy).is_file() and Path(copy).name == name for copy, (_, name) in shown.items())
    for copy, (item, box) in of.items():
        look = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown[copy][0]))).convert("L"), int)
        around = max(box[0] - 2, 0), 0, min(box[0] + box[2] + 2, SIDE * 4), SIDE
        np.testing.assert_allclose(look, np.asarray(Image.open(item).crop(around), int), atol=60)  # a small JPEG
        assert np.abs(look - np.asarray(Image.open(item).crop(around), int)).mean() < 8
    assert run(*asked[:-1], "--dry-run").status == 0
    assert page.read_text(encoding="utf-8") == html
    assert ".html" in run(*asked[:-2], tmp_path / "albums.txt").refused(2)


def test_what_is_counted_lies_in_the_folder(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    out = tmp_path / "albums"
    for number in (0, 1):
        shutil.copy(sheets / f"{number}.png", sheets / f"again{number}.png")
    result = run("cluster", model_folder, sheets, "--out", out, "--prepare", "tiles")
    counts = dict(re.findall(r"^ *(cluster-\d+|unassigned) +(\d+)$", result.out, re.MULTILINE))
    assert counts.pop("unassigned", "0") == str(len(list(out.glob("unassigned/*"))))
    assert counts == {folder.name: str(len(list(folder.iterdir()))) for folder in out.glob("cluster-*")}
    assert "2 pictures have the content of others" in result.err


def test_the_state_notices_another_prepare_step(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    out = tmp_path / "albums"
    arguments = ("cluster", model_folder, sheets, "--out", out, "--prepare")
    first = run(*arguments, "tiles", "--json").json
    album = first["clusters"][0]["name"]
    (out / album).rename(out / "Named")
    again = run(*arguments, "faint-tiles", "--json")
    assert "made anew" in again.err
    named = next(group for group in again.json["clusters"] if group["name"] == "Named")
    assert set(first["clusters"][0]["items"]) <= set(named["items"])
    shutil.rmtree(out)
    whole = run("cluster", model_folder, sheets, "--out", out, "--json").json
    assert whole["empty"] == []
    assert {tuple(group["boxes"]) for group in whole["clusters"]} <= {(None,) * n for n in range(12)}


def test_a_prepare_step_that_is_not_there(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    line = run("cluster", model_folder, sheets, "--out", tmp_path / "g", "--prepare", "noses").refused(2)
    assert "one of faces, faces-cnn, faces-arcface" in line
    assert not (tmp_path / "g").exists()
    asked = ("cluster", "no such model", sheets, "--out", tmp_path / "g")  # told before anything is loaded
    assert "one of faces" in run(*asked, "--prepare", "face").refused(2)


def test_nothing_found_anywhere_is_an_answer(run, model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    for file in sheets.glob("[0-9].png"):
        file.unlink()
    result = run("cluster", model_folder, sheets, "--out", tmp_path / "g", "--prepare", "tiles", "--json")
    assert (result.status, result.json["clusters"], result.json["unassigned"]) == (1, [], [])
    assert result.json["empty"] == [f"{sheets}/empty.png"]


def test_a_published_distance_is_taken_and_said(model_folder: Path, sheets: Path, tmp_path: Path) -> None:
    calibrated = load(model_folder)
    cut = cluster_folder(calibrated, sheets, tmp_path / "a", prepare="tiles").threshold
    assert cut is not None
    model = Model(prepared(calibrated, "faint-tiles").encoder)  # what is cut out is alike
    model.encoder.published = cut / 0.9
    done = cluster_folder(model, sheets, tmp_path / "b", prepare="tiles")
    assert done.threshold == pytest.approx(cut)
    assert ["never calibrated" in note for note in done.notes] == [True]
    assert len(done.clusters) >= 3


@pytest.mark.parametrize("own", ["turned-tiles", None])
def test_a_published_distance_is_for_what_its_makers_cut_out(
    run, model_folder: Path, sheets: Path, tmp_path: Path, own: str | None
) -> None:
    model = load(model_folder)
    model = Model(model.encoder if own is None else prepared(model, own).encoder)
    model.encoder.published = 0.6
    model.save(tmp_path / "model")
    arguments = ("cluster", tmp_path / "model", sheets, "--out", tmp_path / "albums", "--prepare", "tiles")
    assert "no published distance for what it encodes" in run(*arguments).refused(3)
    assert not (tmp_path / "albums").exists()
    assert model.encoder.published == 0.6
    assert run(*arguments, "--method", "hdbscan").status == 0


def test_a_prepared_model_is_a_copy(model_folder: Path) -> None:
    model = load(model_folder)
    other = prepared(model, "tiles")
    assert other.fingerprint != model.fingerprint == load(model_folder).fingerprint
    assert model.encoder.preprocessing is not None
    assert model.encoder.preprocessing.prepare is None
    assert prepared(other, "tiles") is other
    assert other.encoder.ready().prepare == Tiles()
    with pytest.raises(UsageError):
        prepared(model, "noses")
