"""From outputs of a grid to boxes in a picture, drawn by hand; and a trained detector, saved, loaded and exported."""

from __future__ import annotations

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_scenes import NAMES, scene, scenes
from PIL import Image

import likewise as lw
from likewise.apps.detect import Boxes, Detector, LearnedBoxes, cut_out, evaluate, relabelled
from likewise.apps.detect.drawing import drawn
from likewise.apps.detect.onnx_look import export
from likewise.encoder import Pictures
from likewise.errors import DataError, ModelError, UsageError

HEAD = lw.Head("detect", ("cat", "dog"), per_cell=1, stride=16)


def untrained(side: int = 64, resize: str = "pad") -> Detector:
    how = Pictures(1, side, side, resize)  # pyright: ignore[reportArgumentType]
    return Detector(lw.Encoder("darknet-tiny", head=HEAD, preprocessing=how).eval())


def outputs(*cells: tuple[int, int, tuple[float, ...]]) -> torch.Tensor:
    """(1, 4, 4, 7) zeros but for some cells."""
    found = torch.zeros(1, 4, 4, 7)
    for row, column, values in cells:
        found[0, row, column] = torch.tensor(values)
    return found


class TestDecoded:
    """Pages of 64 x 64 pixels in cells of 16."""

    def test_a_box_is_brought_back_to_its_picture(self) -> None:
        # The picture, 200 wide and 100 high, is reduced to 64 x 32 and lies 16 below the upper edge of the page.
        said = outputs((1, 2, (0.5, 0.0, math.sqrt(0.25), math.sqrt(0.25), 0.9, 0.2, 1.0)))
        (found,) = untrained().decoded(said, [(100, 200)], 0.5)
        np.testing.assert_allclose(found.boxes, [[(40 - 8) * 3.125, 0, 50, 25]], atol=1e-4)  # cut at the upper edge
        assert found.labels.tolist() == [1]
        assert found.scores.tolist() == pytest.approx([0.9])

    def test_of_two_that_overlap_the_surer_is_kept_unless_of_another_class(self) -> None:
        box = (0.5, 0.5, 0.5, 0.5)
        said = outputs(
            (1, 1, (*box, 0.8, 1, 0)), (1, 2, (-0.4, *box[1:], 0.9, 1, 0)), (2, 1, (0.5, -0.4, 0.5, 0.5, 0.7, 0, 1))
        )
        (found,) = untrained().decoded(said, [(64, 64)], 0.1)
        assert found.labels.tolist() == [0, 1]
        assert found.scores.tolist() == pytest.approx([0.9, 0.7])
        (both,) = untrained().decoded(said, [(64, 64)], 0.1, overlap=0.9)
        assert len(both) == 3

    def test_boxes_beside_the_picture_or_without_area_or_number_are_none(self) -> None:
        said = outputs(
            (0, 0, (0.5, 0.1, 0.2, 0.2, 0.9, 1, 0)),  # above the picture
            (1, 0, (0.5, 0.5, -0.3, 0.5, 0.9, 1, 0)),  # no width
            (1, 1, (math.nan, 0.5, 0.5, 0.5, 0.9, 1, 0)),
            (2, 2, (0.5, 0.5, 0.5, 0.5, math.nan, 1, 0)),
            (2, 3, (0.5, 0.5, math.inf, 0.5, 0.9, 0, 1)),
        )
        (found,) = untrained().decoded(said, [(100, 200)], 0.1)
        assert np.isfinite(found.boxes).all()
        assert found.labels.tolist() in ([], [1])
        assert (found.boxes[:, :2] + found.boxes[:, 2:] <= [200, 100]).all()

    def test_the_score_is_confidence_times_class(self) -> None:
        said = outputs((1, 1, (0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.6)))
        (found,) = untrained().decoded(said, [(64, 64)], 0.0)
        assert found.scores[0] == pytest.approx(0.3)


@pytest.mark.parametrize("head", [None, lw.Head("multiclass", ("a", "b"))])
def test_other_encoders_are_no_detectors(head: lw.Head | None) -> None:
    with pytest.raises(UsageError, match="head that detects"):
        Detector(lw.Encoder("convnet-small", head=head, preprocessing=Pictures(1, 32, 32)))
    with pytest.raises(UsageError, match="aspect ratio"):
        untrained(resize="squash")


def test_it_finds_what_is_drawn(detector: LearnedBoxes) -> None:
    assert detector.report is not None
    assert detector.report.average.map_50.value > 0.9
    picture, boxes, labels = scene(np.random.default_rng(99), 90, 120)
    (found,) = detector.model.detect([picture])
    assert not isinstance(found, str)
    assert {one.label for one in found} == {NAMES[label] for label in labels}
    for one in found:
        assert 0 <= one.x <= one.x + one.width <= 120
        assert 0 <= one.y <= one.y + one.height <= 90
        assert 0 <= one.score <= 1
    best = found[0]
    nearest = np.abs(boxes - [best.x, best.y, best.width, best.height]).max(axis=1).min()
    assert nearest < 10


def test_a_page_of_any_size_and_kind(detector: LearnedBoxes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (70, 90), np.uint8)
    Image.fromarray(small).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([small] * 4)).save(tmp_path / "alpha.png")
    Image.fromarray(small.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(small[:1, :1]).save(tmp_path / "pixel.png")
    Image.fromarray(np.tile(small, (1, 40))[:2]).save(tmp_path / "thin.png")
    Image.new("L", (20_000, 20_000)).save(tmp_path / "huge.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:200])
    (tmp_path / "empty.png").write_bytes(b"")
    names = ["grey", "alpha", "deep", "pixel", "thin", "huge", "cut", "empty", "missing"]
    files = [tmp_path / f"{name}.png" for name in names]
    found = dict(zip(names, detector.model.detect(files, threshold=0.0), strict=True))
    assert [name for name, said in found.items() if isinstance(said, str)] == ["huge", "cut", "empty", "missing"]
    assert all(str(tmp_path / f"{name}.png") in str(found[name]) for name in ("huge", "cut", "empty", "missing"))
    assert "89," in str(found["huge"])
    for name, (width, height) in {"grey": (90, 70), "pixel": (1, 1), "thin": (3600, 2)}.items():
        for one in found[name]:
            assert not isinstance(one, str)
            assert 0 <= one.x <= one.x + one.width <= width + 1e-9
            assert 0 <= one.y <= one.y + one.height <= height + 1e-9


def test_bytes_arrays_and_nothing(detector: LearnedBoxes) -> None:
    picture, _, _ = scene(np.random.default_rng(3))
    stream = io.BytesIO()
    Image.fromarray(picture[..., 0]).save(stream, "PNG")
    as_array, as_bytes = detector.model.detect([picture, stream.getvalue()])
    assert as_array == as_bytes
    assert detector.model.detect([]) == []
    with pytest.raises(UsageError, match="lone"):
        detector.model.detect("a.png")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="0 to 1"):
        detector.model.detect([picture], threshold=1.5)


def test_saved_and_loaded(detector: LearnedBoxes, tmp_path: Path) -> None:
    again = Detector.load(detector.folder)
    data = scenes(5, 7)
    for here, there in zip(again.detect(data.sources), detector.model.detect(data.sources), strict=True):
        assert not isinstance(here, str)
        assert not isinstance(there, str)
        assert [one.label for one in here] == [one.label for one in there]
        for a, b in zip(here, there, strict=True):
            assert [a.x, a.y, a.width, a.height, a.score] == pytest.approx([b.x, b.y, b.width, b.height, b.score], 1e-4)
    assert again.threshold == detector.model.threshold
    assert again.fingerprint == detector.model.fingerprint
    assert isinstance(lw.load(detector.folder), Detector)
    config = json.loads((detector.folder / "config.json").read_text())
    assert config["task"] == "detect"
    assert config["architecture"]["head"]["names"] == list(NAMES)
    card = (detector.folder / "README.md").read_text()
    assert "mAP at 0.5" in card
    assert "ring, square" in card
    for name in ("hits.png", "precision_recall.png", "history.png", "metrics.json"):
        assert (detector.folder / "report" / name).stat().st_size > 100
    for damaged in ("model.safetensors", "calibration.json", "golden.safetensors"):
        shutil.copytree(detector.folder, tmp_path / "copy", dirs_exist_ok=True)
        (tmp_path / "copy" / damaged).write_bytes(b"no")
        with pytest.raises(ModelError):
            Detector.load(tmp_path / "copy")


def test_other_tasks_refuse_it(detector: LearnedBoxes, model_folder: Path) -> None:
    from likewise.apps.classify import Classifier
    from likewise.matching import load

    with pytest.raises(ModelError, match="one for finding things in pictures"):
        load(detector.folder)
    with pytest.raises(ModelError, match="one for finding things in pictures"):
        Classifier.load(detector.folder)
    with pytest.raises(ModelError, match="one for encoding items"):
        Detector.load(model_folder)


def test_classes_by_name(detector: LearnedBoxes) -> None:
    data = scenes(20, 5)
    swapped = relabelled(data, ("square", "ring"))
    assert swapped.names[swapped.labels[0][0]] == data.names[data.labels[0][0]]
    here, there = (evaluate(detector.model, each).average.map_50.value for each in (data, swapped))
    assert here == there
    with pytest.raises(DataError, match="square"):
        relabelled(data, ("ring", "cube"))


def test_the_threshold_may_be_set_anew(detector: LearnedBoxes, tmp_path: Path) -> None:
    shutil.copytree(detector.folder, tmp_path / "m")
    calibrated, _ = Detector.load(tmp_path / "m").calibrated_on(scenes(120, 11), 0.8)
    calibrated.save_calibration(tmp_path / "m")
    again = Detector.load(tmp_path / "m")
    assert again.calibration == calibrated.calibration
    assert again.calibration is not None
    assert again.calibration.precision is not None
    assert again.calibration.precision.low >= 0.8
    other = Detector(detector.model.encoder, replace(again.calibration, model="another"))
    with pytest.raises(ModelError):
        other.save_calibration(tmp_path / "m")


def test_onnx_says_the_same(detector: LearnedBoxes, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    metadata = export(detector.model, tmp_path / "look.onnx")
    session = runtime.InferenceSession(tmp_path / "look.onnx", providers=["CPUExecutionProvider"])
    data = scenes(6, 13)
    pixels = np.stack([each.transpose(2, 0, 1) for each in data.sources]).astype(np.float32) / 255
    corners, scores = session.run(None, {"pixels": pixels})
    expected = detector.model.boxes_in(data.sources, least=0.05, overlap=1.0)
    for row, score, one in zip(corners, scores, expected, strict=True):
        assert isinstance(one, Boxes)
        sure = score.max(axis=1) >= 0.05
        order = np.argsort(-score[sure].max(axis=1), kind="stable")
        low, high = row[sure][order][:, :2].clip(0, 64), row[sure][order][:, 2:].clip(0, 64)
        np.testing.assert_allclose(np.sort(score[sure].max(axis=1))[::-1], one.scores, atol=1e-5)
        np.testing.assert_allclose(np.concatenate([low, high - low], 1).sum(), one.boxes.sum(), rtol=1e-4)
    held = session.get_modelmeta().custom_metadata_map
    assert held == metadata
    assert json.loads(held["names"]) == list(NAMES)
    assert float(held["threshold"]) == detector.model.threshold


def test_onnx_finds_in_a_padded_picture_what_the_library_does(detector: LearnedBoxes, tmp_path: Path) -> None:
    """The way there and back of docs/detect.md, on a picture that is wider than high."""
    runtime = pytest.importorskip("onnxruntime")
    metadata = export(detector.model, tmp_path / "look.onnx")
    session = runtime.InferenceSession(tmp_path / "look.onnx", providers=["CPUExecutionProvider"])
    assert [each.shape[1:] for each in session.get_outputs()] == [[128, 4], [128, 2]]
    assert "grey in [0, 1]" in metadata["pixels"]
    assert "64 x 64" in metadata["pixels"]
    found = 0
    for seed in range(6):
        picture = scene(np.random.default_rng(seed), 40, 64)[0].repeat(2, axis=0).repeat(2, axis=1)  # 128 x 80
        page = Image.new("L", (64, 64))
        page.paste(Image.fromarray(picture[..., 0]).resize((64, 40), Image.Resampling.BILINEAR), (0, 12))
        pixels = np.asarray(page, np.float32)[None, None] / 255
        boxes, scores = (each[0] for each in session.run(None, {"pixels": pixels}))
        (expected,) = detector.model.boxes_in([picture], least=0.3)
        assert isinstance(expected, Boxes)
        for box, score in zip(expected.boxes, expected.scores, strict=True):
            near = np.abs(scores.max(axis=1) - score).argmin()
            low, high = np.split((boxes[near] - [0, 12, 0, 12]) / 0.5, 2)
            low, high = low.clip(0, [128, 80]), high.clip(0, [128, 80])
            assert scores.max(axis=1)[near] == pytest.approx(score, abs=0.02)
            np.testing.assert_allclose(np.r_[low, high - low], box, atol=1.5)
            found += 1
    assert found >= 5


def test_boxes_are_drawn_where_they_are() -> None:
    picture = np.zeros((200, 300, 1), np.uint8)
    found = drawn(picture, [(100, 80, 50, 40)], [""], [(0, 114, 178)])
    lit = np.argwhere(found.sum(axis=2) > 0)
    assert lit.min(axis=0).tolist() == [80, 100]
    assert lit.max(axis=0).tolist() == [119, 149]
    large = drawn(np.zeros((3000, 2400, 3), np.uint8), [(0, 0, 2400, 3000)], ["all"], [(0, 114, 178)])
    assert max(large.shape) == 1200


def test_words_at_the_upper_edge_stay_on_the_picture() -> None:
    page = drawn(np.zeros((100, 100, 1), np.uint8), [(10, 0, 60, 60)], ["ring 0.90"], [(0, 114, 178)])
    assert (page[:12] == 255).any()  # white letters


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 30, 40), 0.0, (10, 20, 30, 40)),
        ((10, 20, 30, 40), 0.5, (0, 0, 55, 80)),
        ((95, 95, 20, 20), 0.0, (95, 95, 5, 5)),
        ((100, 100, 0, 0), 0.0, (99, 99, 1, 1)),
        ((10.4, 10.6, 0.1, 0.1), 0.0, (10, 10, 1, 1)),
    ],
)
def test_cut_out(box: tuple[float, ...], margin: float, expected: tuple[int, ...]) -> None:
    picture = np.arange(100 * 100, dtype=np.uint32).reshape(100, 100, 1).astype(np.uint8)
    part = cut_out(picture, box, margin)
    assert part.box == expected
    x, y, width, height = expected
    assert np.array_equal(part.values, picture[y : y + height, x : x + width])


def test_figures_of_a_class_without_boxes_are_null_on_disk(detector: LearnedBoxes, tmp_path: Path) -> None:
    data = scenes(20, seed=4)
    rings = replace(data, ignored=tuple(labels == 1 for labels in data.labels))
    report = evaluate(detector.model, rings)
    report.write(tmp_path, detector.model)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    classes = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=refuse)["classes"]
    assert classes["square"] == {"boxes": 0, "average_precision": None, "average_precision_50": None}
    assert classes["ring"]["average_precision_50"] > 0.5


def test_pictures_that_training_used_set_no_threshold(detector: LearnedBoxes) -> None:
    known, new = scenes(260), scenes(40, seed=6)  # of the one it learned from 156, and chose its epoch by 25
    model = Detector(detector.model.encoder)
    columns = ("sources", "files", "boxes", "labels", "ignored")
    both = replace(
        new, sizes=np.concatenate([known.sizes, new.sizes]),
        **{name: (*getattr(known, name), *getattr(new, name)) for name in columns},
    )  # fmt: skip
    found = model.calibrated_on(both)[0].calibration
    assert found is not None
    assert found.pictures == 300 - 156 - 25
    assert "without 181 of 300 pictures, which training used" in found.data
    seen = model.encoder.seen
    fitted = known.subset(np.flatnonzero(np.isin(seen.parts[seen.rows(known.contents)], (0, 1))))
    with pytest.raises(DataError, match="none of 181"):
        model.calibrated_on(fitted)
