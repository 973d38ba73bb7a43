"""What a report writes and shows: figures as JSON, pictures that show something, names that cannot do harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.learn import Learned
from likewise.data import Dataset
from likewise.evaluation import Report, evaluate
from likewise.evaluation.pictures import draw_hardest, draw_history
from likewise.metrics import FnmrAtFmr
from likewise.training import Epoch, History

HOSTILE = '<img src=x onerror="alert(1)">&\'"'
AWKWARD = ("$\\frac{1}$", "a_b^c", "ünïcode 顔 🙂", "x" * 300, "two\nlines", "%s {0} \\n", "$", "", " ", "\udce9")


def colours(file: Path) -> int:
    """How many different colours a picture has: a blank page has one."""
    with Image.open(file) as picture:
        return len(picture.convert("RGB").getcolors(1 << 24) or [])


@pytest.fixture(scope="module")
def report(learned: Learned, digits: Dataset) -> Report:
    return evaluate(learned.model, digits.subset(np.arange(0, 1797, 12)))


def test_what_is_written(report: Report, tmp_path: Path) -> None:
    files = report.write(tmp_path)
    assert [file.name for file in files] == ["metrics.json", "roc.png", "hardest.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.name for file in files)
    assert json.loads(files[0].read_text()) == report.as_dict()
    for file in files[1:]:
        with Image.open(file) as picture:
            assert min(picture.size) > 300
        assert colours(file) > 20


def test_the_hardest_pairs_show_the_pictures_themselves(
    learned: Learned, report: Report, digits: Dataset, tmp_path: Path
) -> None:
    """Black pictures in place of the real ones give another picture: it is they that are shown."""
    draw_hardest(report.hardest, report.labelled.data, tmp_path / "real.png")
    data = report.labelled.data
    black = replace(data, sources=np.zeros_like(data.sources))
    draw_hardest(report.hardest, black, tmp_path / "black.png")
    with Image.open(tmp_path / "real.png") as real, Image.open(tmp_path / "black.png") as other:
        brighter = np.asarray(real.convert("L")).astype(int) - np.asarray(other.convert("L"))
    assert (brighter > 100).mean() > 0.02
    assert brighter.min() > -50  # and nothing else changed


def test_a_picture_that_is_gone_does_not_stop_the_report(report: Report, tmp_path: Path) -> None:
    data = report.labelled.data
    gone = replace(data, sources=tuple(tmp_path / f"{i}.png" for i in range(len(data))))
    draw_hardest(report.hardest, gone, tmp_path / "hardest.png")
    assert colours(tmp_path / "hardest.png") > 2


@pytest.mark.filterwarnings("error:Glyph")
def test_awkward_names_are_drawn_as_they_are(report: Report, tmp_path: Path) -> None:
    data = replace(report.labelled.data, names=AWKWARD)
    named = replace(report, labelled=replace(report.labelled, data=data))
    named.write(tmp_path)
    assert colours(tmp_path / "hardest.png") > 20
    assert json.loads((tmp_path / "metrics.json").read_text()) == json.loads(json.dumps(named.as_dict()))


def test_colour_pictures_are_shown_in_colour(learned: Learned, report: Report, tmp_path: Path) -> None:
    data = report.labelled.data
    red = np.zeros((*data.sources.shape, 3), np.uint8)
    red[..., 0] = data.sources
    draw_hardest(report.hardest, replace(data, sources=red), tmp_path / "red.png")
    with Image.open(tmp_path / "red.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int).reshape(-1, 3)
    assert ((pixels[:, 0] > 150) & (pixels[:, 1] < 50) & (pixels[:, 2] < 50)).any()


@pytest.mark.parametrize("validation", [None, 0.5])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_any_history_can_be_drawn(tmp_path: Path, epochs: int, validation: float | None) -> None:
    entries = tuple(Epoch(n, 1 / n, 0.5, 0.9, 0.0, 1e-3, 100.0, float(n), validation) for n in range(1, epochs + 1))
    select = None if validation is None else "eer"
    draw_history(History(entries, epochs, select, "finished", "float32"), tmp_path / "history.png")
    assert colours(tmp_path / "history.png") > 5


def test_nothing_hostile_reaches_a_notebook(learned: Learned, report: Report, digits: Dataset) -> None:
    data = replace(report.labelled.data, names=(HOSTILE,) * 10, origin=HOSTILE)
    from likewise.data import check

    unknown = replace(report.verification, fnmr_at_fmr=(FnmrAtFmr(0.1, None, HOSTILE),))
    shown = [
        replace(report, labelled=replace(report.labelled, data=data), verification=unknown)._repr_html_(),
        data._repr_html_(),
        check(data.subset([0, 0, 1, 2]))._repr_html_(),
    ]
    for html in shown:
        assert "<img" not in html
        assert "<table>" in html
    assert "&lt;img" in shown[0]
    assert "&lt;img" in shown[1]


def test_text_and_table_say_the_same(report: Report) -> None:
    text, html = str(report), report._repr_html_()
    for name, value in report.rows():
        assert name in text
        assert value in text
        assert name in html
    assert f"{report.retrieval.precision_at_1:.4f}" in text
