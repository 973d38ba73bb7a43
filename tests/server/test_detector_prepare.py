"""Models that cut out with a detector of their own, over HTTP: the parts, boxes and embeddings of the library."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_scenes import scene
from service_client import Borrowed, Served, png, served

import likewise as lw
from likewise.apps.classify import Classifier
from likewise.apps.detect import LearnedBoxes
from likewise.apps.detect.finder import Detected
from likewise.data import arrays
from likewise.encoder import Encoded
from likewise.media.pictures import Pixels
from likewise.prepare import Part, finder_called
from likewise.server.batching import BATCH, WHOLE, Lane
from likewise.server.decoding import Budget, Decoders
from likewise.server.limits import Limits
from likewise.server.service import Service, Upload

SHAPES = ((64, 64), (90, 120), (200, 77), (61, 83), (128, 96), (70, 70))


def drawn(things: int | None, seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A scene (H, W) with so many things."""
    rng = np.random.default_rng(seed)
    while True:
        picture, boxes, _ = scene(rng, height, width)
        if things in (None, len(boxes)):
            return picture[:, :, 0]


@pytest.fixture(scope="module")
def model(detector: LearnedBoxes) -> lw.Model:
    """Encodes what the detector finds; calibrated on scenes of one thing each, as two identities."""
    finder = finder_called(str(detector.folder))
    how = lw.Pictures(1, 16, 16, prepare=finder)
    encoder = lw.Encoder("mlp", 8, preprocessing=how, seed=0).eval()
    pictures = np.stack([drawn(1, seed) for seed in range(24)])
    return lw.calibrate(encoder, arrays(pictures, [f"{i % 2}" for i in range(24)]), max_fmr=0.2, unit="item")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, model: lw.Model) -> Iterator[Served]:
    """A service with a gallery, whose model is the copy that the gallery keeps."""
    place = tmp_path_factory.mktemp("cut out")
    model.save(place / "m.model")
    with served(place, place / "m.model") as running:
        yield running


@pytest.fixture
def files() -> list[tuple[str, bytes]]:
    found = [(f"{i}.png", png(drawn(None, 40 + i, *shape))) for i, shape in enumerate(SHAPES)]
    colour = np.stack([drawn(None, 50, 90, 70)] * 3, axis=2)
    noise = np.random.default_rng(1).integers(60, 120, (64, 64), dtype=np.uint8)
    return [*found, ("colour.png", png(colour)), ("noise.png", png(noise))]


def test_the_parts_of_the_library_are_encoded(asked: Served, model: lw.Model, files: list[tuple[str, bytes]]) -> None:
    sent = [*files, ("cut.png", files[0][1][:150])]
    http = asked.post("/v1/encode", [("files", file) for file in sent]).json()
    here = model.encoder.encode_parts([content for _, content in sent])
    assert [(one["file"], one["box"]) for one in http["items"]] == [
        (sent[i][0], list(box)) for i, box in zip(here.kept, here.boxes, strict=True) if box is not None
    ]
    assert len(here.kept) > len(set(here.kept.tolist())) > 2  # several in some
    np.testing.assert_allclose(
        [one["embedding"] for one in http["items"]], here.embeddings.numpy(), rtol=1e-4, atol=1e-5
    )
    assert [one["file"] for one in http["skipped"]] == ["cut.png"]
    assert http["fingerprint"] == model.fingerprint


def test_pairs_and_names_take_pictures_of_one_thing(asked: Served, model: lw.Model) -> None:
    seen = {
        content: len(model.encoder.encode_parts([content]).kept) for content in (png(drawn(None, s)) for s in range(20))
    }
    ones, several = ([content for content, count in seen.items() if count == wanted] for wanted in (1, 2))
    one, other, two = ((f"{n}.png", content) for n, content in enumerate((*ones[:2], several[0])))
    http = asked.post("/v1/verify", [("a", one), ("b", other)]).json()
    here = model.verify(one[1], other[1])
    assert http["same"] == here.same
    assert http["distance"] == pytest.approx(here.distance, rel=1e-3)
    with pytest.raises(lw.DataError) as raised:
        model.verify(one[1], two[1])
    refused = asked.post("/v1/verify", [("a", one), ("b", two)])
    assert refused.status_code == 422
    assert "2 things that the detector knows were found" in refused.json()["error"]
    assert "2 things that the detector knows were found" in str(raised.value)

    done = asked.post("/v1/enrol", [("files", one), ("files", two)], name="ada").json()
    assert ([a["file"] for a in done["added"]], [s["file"] for s in done["skipped"]]) == (["0.png"], ["2.png"])
    (probe,) = asked.post("/v1/identify", [("files", one)], k=1).json()["probes"]
    (box,) = model.encoder.encode_parts([one[1]]).boxes
    assert box is not None
    assert probe["box"] == list(box)
    assert probe["matches"][0]["name"] == "ada"
    assert probe["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)
    claim = asked.post("/v1/verify/name", [("file", one)], name="ada").json()
    assert (claim["same"], claim["frames"][0]["box"]) == (True, list(box))


def test_clusters_are_of_what_is_found(asked: Served, model: lw.Model, files: list[tuple[str, bytes]]) -> None:
    job = asked.post("/v1/cluster", [("files", file) for file in files], method="k-means", k=2).json()
    until = time.monotonic() + 60
    while (found := asked.client.get(f"/v1/jobs/{job['id']}").json())["state"] not in ("done", "failed"):
        assert time.monotonic() < until
        time.sleep(0.05)
    items = [item for cluster in found["answer"]["clusters"] for item in cluster["items"]]
    items += found["answer"]["unassigned"]
    here = model.encoder.encode_parts([content for _, content in files])
    assert sorted((item["file"], *item["box"]) for item in items) == sorted(
        (files[i][0], *box) for i, box in zip(here.kept, here.boxes, strict=True) if box is not None
    )


def test_of_a_picture_so_many_parts_are_encoded(tmp_path: Path, model: lw.Model) -> None:
    model.save(tmp_path / "m.model")
    seen = {count: png(drawn(None, s)) for s in range(20) if (count := _count(model, png(drawn(None, s)))) in (1, 2)}
    with served(tmp_path, tmp_path / "m.model", Limits(parts=1), named=False) as running:
        said = running.post("/v1/encode", [("files", ("one.png", seen[1])), ("files", ("two.png", seen[2]))]).json()
        assert [item["file"] for item in said["items"]] == ["one.png"]
        assert said["skipped"] == [
            {
                "file": "two.png",
                "reason": "Of a picture up to 1 parts are encoded; got two.png, with more. Send it in pieces.",
            }
        ]


def _count(model: lw.Model, content: bytes) -> int:
    return len(model.encoder.encode_parts([content]).kept)


def test_an_answer_is_signed_by_the_model_that_gave_it(
    tmp_path: Path, model: lw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another takes its place meanwhile, as `gallery rebuild` does."""
    other = lw.Model(lw.Encoder("mlp", 8, preprocessing=lw.Pictures(1, 16, 16), seed=5).eval())
    with closing(Service(model)) as service:
        encode = Lane.encode

        def exchanged(self: Lane, *arguments: Any, **options: Any) -> Encoded:
            found = encode(self, *arguments, **options)
            monkeypatch.setattr(service, "_own", other)
            return found

        monkeypatch.setattr(Lane, "encode", exchanged)
        said = service.encode([Upload("a.png", png(drawn(1, 1)))])
        assert said["fingerprint"] == model.fingerprint
        assert service.fingerprint == other.fingerprint


def test_limits_hold_for_pictures_that_are_looked_through_here(tmp_path: Path, model: lw.Model) -> None:
    model.save(tmp_path / "m.model")
    with served(tmp_path, tmp_path / "m.model", Limits(pixels=5000), named=False) as running:
        small, large = ("a.png", png(drawn(1, 1))), ("b.png", png(drawn(1, 2, 90, 120)))
        assert running.post("/v1/encode", [("files", small)]).status_code == 200
        refused = running.post("/v1/encode", [("files", small), ("files", large)])
        assert refused.status_code == 413
        assert "A picture has at most 5,000 pixels; got b.png with 120 x 90" in refused.json()["error"]
        bad = running.post("/v1/encode", [("files", ("bad.png", b"no picture"))])
        assert bad.status_code == 422
        assert "bad.png" in bad.json()["error"]


def test_a_classifier_says_what_the_surest_thing_is(detector: LearnedBoxes, tmp_path: Path) -> None:
    how = lw.Pictures(1, 16, 16, prepare=finder_called(str(detector.folder)))
    head = lw.Head("multiclass", ("a", "b", "c"))
    classifier = Classifier(lw.Encoder("mlp", head=head, preprocessing=how, seed=1).eval())
    classifier.save(tmp_path / "c.model")
    sent = [(f"{i}.png", png(drawn(None, 90 + i, 70, 100))) for i in range(4)]
    noise = ("noise.png", png(np.random.default_rng(1).integers(60, 120, (64, 64), dtype=np.uint8)))
    with served(tmp_path, tmp_path / "c.model", named=False) as running:
        http = running.post("/v1/classify", [("files", file) for file in [*sent, noise]]).json()
    for one, here in zip(http["files"], classifier.classify([content for _, content in sent]), strict=True):
        assert not isinstance(here, str)
        assert one["values"] == pytest.approx(here.values, rel=1e-4)
    assert [one["file"] for one in http["skipped"]] == ["noise.png"]
    assert "shows at least one thing that the detector knows" in http["skipped"][0]["reason"]


class Counting:
    """Decodes here, and counts the pictures that are held whole."""

    def __init__(self) -> None:
        self.held = self.most = 0
        self.lock = threading.Lock()

    def budget(self) -> Budget:
        return Budget(Limits())

    def picture(self, content: bytes, name: str, how: lw.Pictures, budget: Budget) -> Pixels:
        with self.lock:
            self.held += 1
            self.most = max(self.most, self.held)
        return np.zeros((20, 20, 1), np.uint8)


def test_only_so_many_whole_pictures_are_held_at_once(
    detector: LearnedBoxes, model: lw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting()

    def find(self: Detected, picture: Pixels) -> list[Part]:
        time.sleep(0.002)
        with counting.lock:
            counting.held -= 1
        return [Part(picture, (0, 0, 20, 20))]

    monkeypatch.setattr(Detected, "find", find)
    lane = Lane(counting, 1000)  # pyright: ignore[reportArgumentType]
    try:
        with ThreadPoolExecutor(40) as pool:
            asked = [pool.submit(lane.encode, model.encoder, [Upload(f"{i}", b"")] * 3) for i in range(40)]
            assert all(one.result().kept.tolist() == [0, 1, 2] for one in asked)
    finally:
        lane.close()
    assert 1 < counting.most <= WHOLE


def test_others_are_encoded_between_the_parts_of_a_picture_that_has_many(
    model: lw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detected, "find", lambda _, picture: [Part(picture, (0, 0, 20, 20))] * (2 * BATCH + 1))
    lane, sizes = Lane(Counting(), 100, 3 * BATCH), []  # pyright: ignore[reportArgumentType]
    encode = model.encoder.encode
    monkeypatch.setattr(
        model.encoder, "encode", lambda rows, **options: sizes.append(len(rows)) or encode(rows, **options)
    )
    try:
        found = lane.encode(model.encoder, [Upload("crowd.png", b"")])
    finally:
        lane.close()
    assert sizes == [BATCH, BATCH, 1]
    assert len(found.embeddings) == len(found.boxes) == 2 * BATCH + 1


def test_what_is_to_be_encoded_does_not_wait_for_pictures_to_be_looked_through(
    model: lw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is encoded come another, a picture to look through, and a third: second and third are one batch."""
    monkeypatch.setattr(Detected, "find", lambda *_: [])
    encoder, sizes = model.encoder, list[int]()
    began, go, encode = threading.Event(), threading.Event(), encoder.encode

    def held(rows: torch.Tensor, **options: Any) -> Encoded:
        sizes.append(len(rows))
        began.set()
        assert go.wait(20)
        return encode(rows, **options)

    monkeypatch.setattr(encoder, "encode", held)
    lane, row = Lane(Counting(), 100), np.zeros((1, 16, 16), np.uint8)  # pyright: ignore[reportArgumentType]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lane._encoded, encoder, [row], None)]
        assert began.wait(20)
        for waiting, what in enumerate(("row", "look", "row"), 1):
            asked.append(
                pool.submit(lane._encoded, encoder, [row], None)
                if what == "row"
                else pool.submit(lane.encode, encoder, [Upload("a", b"")])
            )
            while len(lane._jobs) < waiting:
                time.sleep(0.001)
        go.set()
        for one in asked:
            one.result()
    lane.close()
    assert sizes == [1, 2]


def test_a_failure_while_looking_reaches_who_asked_and_nobody_after(
    model: lw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane(Counting(), 100)  # pyright: ignore[reportArgumentType]
    try:
        with monkeypatch.context() as patched:
            patched.setattr(Detected, "find", lambda *_: 1 / 0)
            for _ in range(WHOLE + 1):  # none keeps its place
                with pytest.raises(ZeroDivisionError):
                    lane.encode(model.encoder, [Upload("a", b"")])
        assert len(lane.encode(model.encoder, [Upload("a", b"")]).kept) == 0
        assert lane.here == 0
    finally:
        lane.close()


def test_decoders_are_not_told_of_the_detector(model: lw.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold no network, and would have to import torch for it."""
    monkeypatch.setattr(Decoders, "decode", lambda *_: pytest.fail("a decoder was to look"))
    monkeypatch.setattr("likewise.server.service.Decoders", Borrowed)
    service = Service(model)
    try:
        answer: dict[str, Any] = service.encode([Upload("a.png", png(drawn(1, 3)))])
    finally:
        service.close()
    assert len(answer["items"]) == 1
