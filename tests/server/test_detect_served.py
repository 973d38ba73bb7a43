"""A detector over HTTP: the boxes of the library and the command line, behind the same door."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_scenes import scene
from PIL import ExifTags, Image
from schemathesis_requests import ask_everything
from service_client import Served, png, served

import likewise as lw
from likewise.apps.detect import Detector, LearnedBoxes
from likewise.cli import main
from likewise.server.limits import Limits
from likewise.server.service import Service

KEYS = ["x", "y", "width", "height", "score"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, detector: LearnedBoxes) -> Iterator[Served]:
    """A service that finds rings and squares; not changed by tests."""
    with served(tmp_path_factory.mktemp("scenes"), detector.folder, named=False) as running:
        yield running


@pytest.fixture
def model(detector: LearnedBoxes) -> Detector:
    return Detector.load(detector.folder)


def turned(picture: np.ndarray, orientation: int) -> bytes:
    """A PNG whose pixels lie as EXIF says."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", exif=exif)
    return stream.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Scenes of several shapes, grey and in colour, one on its side, and one of noise alone."""
    rng = np.random.default_rng(7)
    pictures = {shape: scene(rng, *shape)[0][:, :, 0] for shape in ((64, 64), (90, 120), (200, 77), (110, 80))}
    colour = np.stack([pictures[200, 77], 255 - pictures[200, 77] // 2, pictures[200, 77]], axis=2)
    contents = {
        "grey.png": png(pictures[64, 64]),
        "wide.png": png(pictures[90, 120]),
        "colour.png": png(colour),
        "turned.png": turned(np.rot90(pictures[110, 80], 1), 6),  # 6: to be turned clockwise
        "upright.png": png(pictures[110, 80]),
        "noise.png": png(rng.integers(60, 120, (70, 50), dtype=np.uint8)),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def cli(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    return json.loads(capsys.readouterr().out)


def rows(boxes: list[dict[str, Any]]) -> list[list[float]]:
    return [[box[key] for key in KEYS] for box in boxes]


@pytest.mark.parametrize("options", [{}, {"score": 0.05}, {"score": 0.02, "overlap": 0.1}])
def test_http_the_library_and_the_command_line_find_the_same(
    asked: Served, model: Detector, files: list[Path], capsys: pytest.CaptureFixture[str], options: dict[str, float]
) -> None:
    http = asked.post("/v1/detect", [("files", file) for file in files], **options).json()
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    said = cli(capsys, "detect", model_folder(asked, model), *files, *arguments, "--json")
    here = model.detect(files, threshold=options.get("score"), overlap=options.get("overlap", 0.5))
    assert [one["file"] for one in http["files"]] == [file.name for file in files]
    for one, other, found in zip(http["files"], said["files"], here, strict=True):
        assert not isinstance(found, str)
        for boxes in (other["boxes"], [box.as_dict() for box in found]):
            assert [box["label"] for box in one["boxes"]] == [box["label"] for box in boxes]
            assert all(box.keys() == {*KEYS, "label"} for box in one["boxes"] + boxes)
            np.testing.assert_allclose(rows(one["boxes"]), rows(boxes), rtol=1e-3, atol=1e-3)
    assert http["threshold"] == said["threshold"] == options.get("score", model.threshold)
    assert (http["skipped"], http["fingerprint"]) == ([], model.fingerprint)
    assert {*http} == {*said} - {"model", "written"} | {"fingerprint"}
    assert sum(len(one["boxes"]) for one in http["files"]) >= 4


def model_folder(asked: Served, model: Detector) -> Path:
    """Saved beside the service."""
    folder = asked.gallery.with_name("scenes.model")
    if not folder.exists():
        model.save(folder)
    return folder


def test_boxes_are_in_pixels_of_the_upright_picture(asked: Served, files: list[Path]) -> None:
    sent = [("files", file) for file in files if file.name in ("turned.png", "upright.png")]
    sides = [Image.open(file).size for _, file in sent]
    assert sides == [(110, 80), (80, 110)]
    turned, upright = (one["boxes"] for one in asked.post("/v1/detect", sent, score=0.05).json()["files"])
    assert len(upright) >= 1
    np.testing.assert_allclose(rows(turned), rows(upright), rtol=1e-4, atol=1e-4)
    assert all(box["x"] + box["width"] <= 80 + 1e-6 and box["y"] + box["height"] <= 110 + 1e-6 for box in turned)


def test_what_cannot_be_read_is_reported_beside_the_rest(asked: Served, model: Detector, files: list[Path]) -> None:
    cut = files[0].read_bytes()[:200]
    sent = [("files", ("cut.png", cut)), ("files", files[1]), ("files", ("bad.png", b"no picture"))]
    answer = asked.post("/v1/detect", sent).json()
    assert [one["file"] for one in answer["files"]] == ["wide.png"]
    (said,) = model.detect([files[1]])
    np.testing.assert_allclose(rows(answer["files"][0]["boxes"]), rows([box.as_dict() for box in said]), atol=1e-3)
    assert [one["file"] for one in answer["skipped"]] == ["cut.png", "bad.png"]
    (here,) = model.detect([cut])
    assert isinstance(here, str)
    assert answer["skipped"][0]["reason"].partition(";")[0] == here.partition(";")[0]
    refused = asked.post("/v1/detect", [("files", ("bad.png", b"no picture"))])
    assert refused.status_code == 422
    assert refused.json()["rule"] == "At least one item can be read"


def test_a_picture_of_too_many_pixels_ends_its_request(
    tmp_path: Path, detector: LearnedBoxes, files: list[Path]
) -> None:
    with served(tmp_path, detector.folder, Limits(pixels=10_000), named=False) as running:
        assert running.post("/v1/detect", [("files", files[0])]).status_code == 200
        refused = running.post("/v1/detect", [("files", files[0]), ("files", files[1])])
    assert refused.status_code == 413
    assert "A picture has at most 10,000 pixels; got wide.png with 120 x 90" in refused.json()["error"]


def test_options_are_looked_at_before_pictures(asked: Served, files: list[Path]) -> None:
    encoded = asked.service.figures()["encoded_pictures_total"]
    for options in ({"score": -0.1}, {"score": 1.1}, {"score": "nan"}, {"overlap": 1.5}, {"overlap": -1}):
        refused = asked.post("/v1/detect", [("files", files[0])], **options)
        assert refused.status_code == 400, options
        assert "from 0 to 1" in refused.json()["rule"]
    assert asked.post("/v1/detect", [("files", files[0])], score="high").status_code == 422
    assert asked.post("/v1/detect", [("files", files[0])], threshold=0.1).status_code == 422  # it is called score
    assert asked.service.figures()["encoded_pictures_total"] == encoded


def test_each_kind_of_model_refuses_what_is_asked_of_others(asked: Served, enrolled: Served, files: list[Path]) -> None:
    one = files[0]
    for answer in (
        asked.post("/v1/verify", [("a", one), ("b", one)]),
        asked.post("/v1/encode", [("files", one)]),
        asked.post("/v1/cluster", [("files", one)]),
        asked.post("/v1/identify", [("files", one)]),
        asked.post("/v1/enrol", [("files", one)], name="ada"),
        asked.client.get("/v1/names"),
    ):
        assert answer.status_code == 409
        assert answer.json()["error"] == (
            "This is asked of a model that compares; got one that finds things. Ask /v1/detect, or serve one made by"
            " `train --task embed`."
        )
    other = asked.post("/v1/classify", [("files", one)])
    assert (other.status_code, other.json()["received"]) == (409, "one that finds things")
    refused = enrolled.post("/v1/detect", [("files", one)])
    assert refused.status_code == 409
    assert refused.json()["error"] == (
        "This is asked of a model that finds things; got one that compares. Ask /v1/verify, or serve one made by"
        " `train --task detect`."
    )
    assert asked.client.get("/health").json() == {"status": "ok"}


def test_a_gallery_is_for_models_that_compare(model: Detector, tmp_path: Path) -> None:
    with pytest.raises(lw.UsageError, match="A gallery holds what a model compares; got a model that finds things"):
        Service(model, str(tmp_path / "g.gallery"))
    assert not (tmp_path / "g.gallery").exists()


def test_it_takes_its_scope_and_is_logged(asked: Served, model: Detector, files: list[Path]) -> None:
    parts = [("files", ("secret.png", file.read_bytes())) for file in files[:2]]
    for scope in ("verify", "classify"):
        without = asked.client.post("/v1/detect", files=parts, headers=asked.with_token(scope))
        assert without.status_code == 403
    answer = asked.client.post("/v1/detect", files=parts, headers=asked.with_token("detect"))
    assert answer.status_code == 200
    *_, refused, noted = map(json.loads, asked.audit.read_text().splitlines())
    assert (refused["what"], refused["status"]) == ("POST /v1/detect", 403)
    assert noted["found"] == [Counter(box["label"] for box in one["boxes"]) for one in answer.json()["files"]]
    assert any(noted["found"])
    assert (noted["model"], noted["threshold"]) == (model.fingerprint, model.threshold)
    assert "secret" not in json.dumps(noted)
    assert 'what="POST /v1/detect"' in asked.client.get("/metrics").text


@pytest.mark.slow
def test_no_request_makes_a_detector_fail(asked: Served) -> None:
    assert "/v1/detect" in ask_everything(asked)
