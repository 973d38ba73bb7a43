"""Models known by name: taken wherever a folder is, and never mistaken for one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from drawn_faces import drawn_face

import likewise as lw
from likewise.encoder import Encoder
from likewise.errors import ModelError, UsageError
from likewise.matching import REGISTERED, Model, Registered, is_registered, read_config, registered

MISSING = [name for name in ("dlib", "face_recognition_models") if find_spec(name) is None]
needs_dlib = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install likewise[faces]")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_a_name_is_registered_where_nothing_else_bears_it() -> None:
    assert is_registered("dlib-face-128")
    assert is_registered(Path("dlib-face-128"))
    for other in ("dlib-face", "./dlib-face-128", "", "models/dlib-face-128", "DLIB-FACE-128"):
        assert not is_registered(other)


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_what_is_here_comes_first(kind: str) -> None:
    if kind == "folder":
        Path("dlib-face-128").mkdir()
    elif kind == "file":
        Path("dlib-face-128").write_text("")
    else:
        Path("dlib-face-128").symlink_to("nowhere")
    assert not is_registered("dlib-face-128")
    with pytest.raises(ModelError, match=r"config\.json"):
        lw.load("dlib-face-128")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="dlib-face-128"):
        registered("nobody")
    with pytest.raises(ModelError, match="likewise models list"):
        lw.load("nobody")


def test_a_table_entry_is_all_it_takes(monkeypatch: pytest.MonkeyPatch, learned_encoder: Encoder) -> None:
    monkeypatch.setitem(REGISTERED, "mine", Registered(lambda: learned_encoder, "mlp", 8, "extra"))
    assert is_registered("mine")
    model = lw.load("mine")
    assert model.calibration is None
    assert model.encoder is learned_encoder
    assert registered("mine").fingerprint == model.fingerprint


@pytest.fixture
def learned_encoder() -> Encoder:
    return Encoder("mlp", 8, preprocessing=lw.Pictures(1, 8, 8)).eval()


def test_a_description_is_what_is_saved(learned_encoder: Encoder, tmp_path: Path) -> None:
    model = Model(learned_encoder)
    model.save(tmp_path / "m")
    assert read_config(tmp_path / "m") == model.describe()


def test_building_waits_until_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Encoder:
        raise AssertionError

    monkeypatch.setitem(REGISTERED, "mine", Registered(refuse, "mlp", 8, "extra"))
    assert is_registered("mine")
    assert REGISTERED["mine"].as_dict() == {"task": "embed", "backbone": "mlp", "dim": 8, "extra": "extra"}


@needs_dlib
class TestDlibFace:
    def test_the_table_says_what_it_is(self) -> None:
        about, encoder = REGISTERED["dlib-face-128"], lw.load("dlib-face-128").encoder
        assert (about.backbone, about.dim) == (encoder.backbone, encoder.dim)

    def test_it_tells_people_apart_but_gives_no_verdict(self) -> None:
        model = lw.load("dlib-face-128")
        ada, again, bob = drawn_face(200, 0), drawn_face(200, 0, view=1), drawn_face(200, 1)
        assert model.distance(ada, again) < model.distance(ada, bob)
        with pytest.raises(ModelError, match=r"never calibrated.*likewise calibrate MODEL DATA .*--out"):
            model.verify(ada, again)

    def test_saved_it_is_a_folder_like_any_other(self) -> None:
        model = lw.load("dlib-face-128")
        model.save("faces.model")
        again = lw.load("faces.model")
        assert again.fingerprint == model.fingerprint
        assert again.encoder.published == 0.6
        assert again.encoder.trained == model.encoder.trained
        pictures = [drawn_face(200, seed) for seed in range(3)]
        torch.testing.assert_close(again.encoder.encode_all(pictures), model.encoder.encode_all(pictures))
        card = Path("faces.model", "README.md").read_text(encoding="utf-8")
        assert "3 million pictures of 7,485 people" in card

    def test_a_picture_without_a_face_is_a_problem_of_its_own(self) -> None:
        model = lw.load("dlib-face-128")
        wall = drawn_face(200, 0) * 0 + 120
        encoded = model.encode([wall, drawn_face(200, 0)])
        assert encoded.kept.tolist() == [1]
        ((position, reason),) = encoded.problems
        assert position == 0
        assert "face" in reason
