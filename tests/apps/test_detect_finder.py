"""A detector as the step before an encoder: cut out what it finds, and keep it in the model that uses it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_scenes import scene, scenes

import likewise as lw
from likewise.apps.detect import LearnedBoxes
from likewise.apps.detect.finder import Detected
from likewise.errors import ModelError
from likewise.gallery.modelfiles import files_of, model_from
from likewise.prepare import PARAMETERS, check_kept, finder_called, finder_from


@pytest.fixture
def finder(detector: LearnedBoxes) -> Detected:
    found = finder_called(str(detector.folder))
    assert isinstance(found, Detected)
    return found


@pytest.fixture
def model(finder: Detected) -> lw.Model:
    how = lw.Pictures(1, 16, 16, prepare=finder)
    return lw.Model(lw.Encoder("mlp", 8, preprocessing=how).eval())


def test_it_cuts_out_what_the_detector_finds(detector: LearnedBoxes, finder: Detected) -> None:
    picture, _, _ = scene(np.random.default_rng(99), 90, 120)
    (boxes,) = detector.model.detect([picture])
    parts = finder.find(picture)
    assert len(parts) == len(boxes) > 0
    for part, box in zip(parts, boxes, strict=True):
        assert not isinstance(box, str)
        assert part.box is not None
        x, y, width, height = part.box
        assert (x, y) == pytest.approx((box.x - 0.05 * box.width, box.y - 0.05 * box.height), abs=1.01)
        assert np.array_equal(part.values, picture[y : y + height, x : x + width])
        assert (part.values == 255).mean() > 0.2  # what was drawn, and not noise


def test_it_is_described_without_its_parameters_and_asks_for_them(finder: Detected) -> None:
    check_kept(finder)
    again = finder_from(json.loads(json.dumps(finder.as_dict())))
    assert again == finder
    with pytest.raises(ModelError, match="its description alone"):
        again.find(np.zeros((20, 20, 1), np.uint8))
    whole = again.with_parameters(finder.parameters())
    picture, _, _ = scene(np.random.default_rng(1))
    assert [part.box for part in whole.find(picture)] == [part.box for part in finder.find(picture)]


def test_a_model_goes_on_where_the_detector_is_gone(detector: LearnedBoxes, tmp_path: Path) -> None:
    shutil.copytree(detector.folder, tmp_path / "d")
    finder = finder_called(str(tmp_path / "d"))
    how = lw.Pictures(1, 16, 16, prepare=finder)
    model = lw.Model(lw.Encoder("mlp", 8, preprocessing=how).eval())
    model.save(tmp_path / "m")
    shutil.rmtree(tmp_path / "d")
    again = lw.load(tmp_path / "m")
    data = scenes(4, 3)
    here, there = (each.encoder.encode_parts(data.sources) for each in (model, again))
    assert here.boxes == there.boxes
    assert len(here.boxes) >= 4
    assert torch.allclose(here.embeddings, there.embeddings, atol=1e-5)
    assert again.fingerprint == model.fingerprint


def test_another_detector_in_the_folder_is_refused(model: lw.Model, finder: Detected, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model.save(tmp_path / "m")
    held = finder.parameters()
    save_file(
        {name: value + 1 if value.is_floating_point() else value for name, value in held.items()},
        tmp_path / "m" / PARAMETERS,
    )
    with pytest.raises(ModelError, match="another detector"):
        lw.load(tmp_path / "m")
    (tmp_path / "m" / PARAMETERS).unlink()
    with pytest.raises(ModelError, match="parameters fit"):
        lw.load(tmp_path / "m")


def test_a_gallery_keeps_it_too(model: lw.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    files = files_of(model, tmp_path / "m")
    assert PARAMETERS in files
    again = model_from(files)
    picture, _, _ = scene(np.random.default_rng(2))
    (parts,) = (one.encoder.ready().parts(picture) for one in (again,))
    assert [part.box for part in parts] == [part.box for part in model.encoder.ready().parts(picture)]


def test_the_fingerprint_covers_it(model: lw.Model, finder: Detected) -> None:
    how = model.encoder.ready()
    assert isinstance(how, lw.Pictures)
    prints = set()
    for prepare in (
        finder,
        replace(finder, threshold=0.9),
        replace(finder, margin=0.2),
        replace(finder, fingerprint="x"),
    ):
        model.encoder.preprocessing = replace(how, prepare=prepare)
        prints.add(model.fingerprint)
    assert len(prints) == 4


def test_other_models_find_nothing(model_folder: Path) -> None:
    with pytest.raises(ModelError, match="one for encoding items"):
        finder_called(str(model_folder))
