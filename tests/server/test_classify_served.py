"""A classifier over HTTP: the answers of the library and the command line, behind the same door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from classify_drawn import classifier, grey, halves
from schemathesis_requests import ask_everything
from service_client import Served, png, served

import likewise as lw
from likewise.apps.classify import Classifier
from likewise.cli import main
from likewise.data import Dataset
from likewise.server.kinds import load_served
from likewise.server.service import Service


def saved(folder: Path, data: Dataset) -> Path:
    """A classifier of `data`, calibrated."""
    model, _ = classifier(data.subset(range(80))).calibrated_on(data.subset(range(80, 120)))
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """A service that says which halves of a picture are bright, and the model's folder; not changed by tests."""
    place = tmp_path_factory.mktemp("halves")
    model = saved(place / "halves.model", halves())
    with served(place, model, named=False) as running:
        yield running, model


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = []
    for i, picture in enumerate(np.asarray(halves(4, seed=5).sources)):
        found.append(tmp_path / f"{i}.png")
        found[-1].write_bytes(png(picture))
    return found


def cli(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("top", [None, 1])
def test_http_the_library_and_the_command_line_say_the_same(
    asked: tuple[Served, Path], files: list[Path], capsys: pytest.CaptureFixture[str], top: int | None
) -> None:
    running, folder = asked
    fields = {} if top is None else {"top": top}
    http = running.post("/v1/classify", [("files", file) for file in files], **fields).json()
    said = cli(capsys, "classify", folder, *files, *([] if top is None else ["--top", top]), "--json")
    for one, other, file, answer in zip(
        http["files"], said["files"], files, Classifier.load(folder).classify(files), strict=True
    ):
        assert not isinstance(answer, str)
        assert one["file"] == file.name
        for found in (other, answer.as_dict(top or 3)):
            assert one.keys() == found.keys()
            assert (one["label"], one["labels"]) == (found["label"], found["labels"])
            assert one["probability"] == pytest.approx(found["probability"], rel=1e-4)
            assert one["values"] == pytest.approx(found["values"], rel=1e-4)
    assert (http["head"], http["skipped"]) == (said["head"], said["skipped"]) == ("multilabel", [])
    assert http["fingerprint"] == Classifier.load(folder).fingerprint


def test_numbers_come_with_the_ends_between_which_they_lie(tmp_path: Path) -> None:
    data = grey()
    folder = saved(tmp_path / "grey.model", data)
    file = ("files", ("a.png", png(np.asarray(data.sources)[0])))
    with served(tmp_path, folder, named=False) as running:
        (said,) = running.post("/v1/classify", [file]).json()["files"]
    low, high = said["between"]["degrees"]
    assert low < said["values"]["degrees"] < high
    assert said["probability"] is None


def test_what_cannot_be_read_is_reported_beside_the_rest(asked: tuple[Served, Path], files: list[Path]) -> None:
    running, _ = asked
    bad = ("files", ("bad.png", b"no picture"))
    answer = running.post("/v1/classify", [bad, ("files", files[0])]).json()
    assert [one["file"] for one in answer["files"]] == ["0.png"]
    (skipped,) = answer["skipped"]
    assert skipped["file"] == "bad.png"
    with pytest.raises(lw.DataError) as raised:
        lw.load(running.gallery.parent / "halves.model").encoder.encode_all([b"no picture"])
    assert skipped["reason"].partition(";")[0] == str(raised.value).partition(";")[0]
    refused = running.post("/v1/classify", [bad])
    assert refused.status_code == 422
    assert refused.json()["rule"] == "At least one item can be read"


def test_each_kind_of_model_refuses_what_is_asked_of_the_other(
    asked: tuple[Served, Path], enrolled: Served, files: list[Path]
) -> None:
    running, _ = asked
    a, b = files[:2]
    for answer in (
        running.post("/v1/verify", [("a", a), ("b", b)]),
        running.post("/v1/encode", [("files", a)]),
        running.post("/v1/cluster", [("files", a)]),
        running.post("/v1/identify", [("files", a)]),
        running.post("/v1/enrol", [("files", a)], name="ada"),
        running.post("/v1/verify/name", [("file", a)], name="ada"),
        running.client.get("/v1/names"),
        running.client.post("/v1/forget", json={"name": "ada"}),
    ):
        assert answer.status_code == 409
        assert answer.json()["error"] == (
            "This is asked of a model that compares; got one that classifies. Ask /v1/classify, or serve one made by"
            " `train --task embed`."
        )
    answer = enrolled.post("/v1/classify", [("files", a)])
    assert answer.status_code == 409
    assert answer.json()["rule"] == "This is asked of a model that classifies"
    for top in (0, -1):
        assert running.post("/v1/classify", [("files", a)], top=top).status_code == 400
    assert running.post("/v1/classify", [("files", a)], top="all").status_code == 422
    assert running.client.get("/health").json() == {"status": "ok"}


def test_it_takes_its_scope_and_is_logged(asked: tuple[Served, Path], files: list[Path]) -> None:
    running, folder = asked
    parts = [("files", ("secret.png", files[0].read_bytes()))]
    without = running.client.post("/v1/classify", files=parts, headers=running.with_token("verify"))
    assert without.status_code == 403
    answer = running.client.post("/v1/classify", files=parts, headers=running.with_token("classify"))
    assert answer.status_code == 200
    *_, refused, noted = map(json.loads, running.audit.read_text().splitlines())
    assert (refused["what"], refused["status"]) == ("POST /v1/classify", 403)
    (said,) = answer.json()["files"]
    assert noted["said"] == [{"label": said["label"], "probability": said["probability"]}]
    assert noted["model"] == Classifier.load(folder).fingerprint
    assert "secret" not in json.dumps(noted)


def test_models_for_other_tasks_are_not_served_and_have_no_gallery(asked: tuple[Served, Path], tmp_path: Path) -> None:
    _, folder = asked
    with pytest.raises(lw.UsageError, match="A gallery holds what a model compares"):
        Service(Classifier.load(folder), str(tmp_path / "g.gallery"))
    other = shutil.copytree(folder, tmp_path / "other.model")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"task": "triggerword"}))
    with pytest.raises(
        lw.ModelError, match=r"A service compares, classifies or finds things; got .* a model for hearing a word"
    ):
        load_served(str(other))


@pytest.mark.slow
def test_no_request_makes_a_classifier_fail(asked: tuple[Served, Path]) -> None:
    running, _ = asked
    assert "/v1/classify" in ask_everything(running)
