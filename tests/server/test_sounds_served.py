"""Sounds over HTTP: the same machinery as for pictures, with limits of their own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drawn_sounds import words
from service_client import Served, served

import likewise as lw
from likewise.server.limits import Limits


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words(tmp_path_factory.mktemp("words") / "said")


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> Iterator[tuple[Served, lw.Model]]:
    """A service that knows three words; limits to sounds of 2 s."""
    place = tmp_path_factory.mktemp("heard")
    data = lw.folder(spoken)
    encoder = lw.Encoder("convnet-small", dim=8, seconds=0.5, rate=8_000)
    lw.fit(encoder, data, lw.SupCon(), epochs=4, seed=0)
    model = lw.calibrate(encoder, data, max_fmr=0.1, unit="item")
    model.save(place / "model")
    with served(place, place / "model", replace(Limits(), sound_seconds=2.0)) as running:
        yield running, model


def wav(seconds: float, rate: int = 8_000, name: str = "WAV") -> bytes:
    stream = io.BytesIO()
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(stream, tone, rate, format=name)
    return stream.getvalue()


def test_http_gives_the_answers_of_the_library(heard: tuple[Served, lw.Model], spoken: Path) -> None:
    running, model = heard
    first, second = sorted((spoken / "do").iterdir())[:2]
    other = spoken / "mi" / "3.wav"
    for a, b in ((first, second), (first, other)):
        answer = running.post("/v1/verify", [("a", a), ("b", b)]).json()
        assert answer["distance"] == pytest.approx(model.distance(a, b), abs=1e-5)
    items = running.post("/v1/encode", [("files", first), ("files", other)]).json()["items"]
    rows = [item["embedding"] for item in items]
    np.testing.assert_allclose(rows, model.encode([first, other]).embeddings.numpy(), atol=1e-5)


def test_a_word_is_enrolled_and_named(heard: tuple[Served, lw.Model], spoken: Path) -> None:
    running, _ = heard
    for word in ("do", "re"):
        files = [("files", file) for file in sorted((spoken / word).iterdir())[:6]]
        assert running.post("/v1/enrol", files, name=word).status_code == 200
    (probe,) = running.post("/v1/identify", [("files", spoken / "re" / "9.wav")]).json()["probes"]
    assert probe["matches"][0]["name"] == "re"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (wav(2.5), 413, "serve --sound-seconds"),
        (b"RIFF", 422, "a.wav"),
        (b"", 422, "a.wav"),
        (wav(0.5)[:200], 422, "a.wav"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), 422, "a.wav"),
    ],
)
def test_what_cannot_be_heard_is_refused(
    content: bytes, status: int, words: str, heard: tuple[Served, lw.Model]
) -> None:
    answer = heard[0].post("/v1/encode", [("files", ("a.wav", content))])
    assert answer.status_code == status
    assert words in answer.text
    assert "Traceback" not in answer.text


def test_kinds_and_rates_of_files_do_not_matter(heard: tuple[Served, lw.Model]) -> None:
    running, model = heard
    for content in (wav(0.5), wav(0.5, 44_100), wav(0.5, 8_000, "FLAC"), wav(0.5, 16_000, "OGG")):
        answer = running.post("/v1/encode", [("files", ("a", content))]).json()
        (item,) = answer["items"]
        np.testing.assert_allclose(item["embedding"], model.encode([content]).embeddings[0].numpy(), atol=1e-5)
