"""Words of a gallery in a stream: the gallery's own decisions, look by look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drawn_sounds import words

import likewise as lw
from likewise.apps.triggerword import Event
from likewise.apps.triggerword.gallery_listener import EVERY, GalleryListener
from likewise.encoder import Sounds
from likewise.errors import DataError, ModelError

RATE = 8_000
LOOK = round(EVERY * RATE)
LENGTH = RATE // 2


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words(tmp_path_factory.mktemp("spoken") / "words")


@pytest.fixture(scope="module")
def gallery(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lw.Gallery]:
    """Knows "do" and "re"; its encoder was trained for a few seconds, seed 0."""
    data = lw.folder(spoken)
    encoder = lw.Encoder("mlp", dim=16, preprocessing=Sounds.at(RATE, LENGTH / RATE))
    lw.fit(encoder, data, lw.SupCon(), epochs=20, seed=0)
    model = lw.calibrate(encoder, data, max_fmr=0.1, unit="item")
    with lw.Gallery.open(tmp_path_factory.mktemp("gallery") / "home.gallery", model) as opened:
        for word in ("do", "re"):
            opened.enrol(word, [spoken / word / f"{take}.wav" for take in range(4)])
        yield opened


@pytest.fixture(scope="module")
def stream(spoken: Path) -> np.ndarray:
    """10 s of digital silence with do, mi, re, do in it, 2.5 s apart."""
    sound = np.zeros(10 * RATE, np.float32)
    for place, word in enumerate(("do", "mi", "re", "do")):
        said = soundfile.read(spoken / word / f"{5 + place}.wav", dtype="float32")[0]
        begin = round((0.5 + 2.5 * place) * RATE) + 123
        sound[begin : begin + len(said)] = said
    return sound


def heard(listener: GalleryListener, sound: np.ndarray, piece: int) -> list[Event]:
    found: list[Event] = []
    for place in range(0, len(sound), piece):
        found += listener.feed(sound[place : place + piece])
    return found


def by_hand(gallery: lw.Gallery, sound: np.ndarray, hits: int, refractory: int) -> list[tuple[float, str, float]]:
    """Every look asked by itself; `refractory` in looks."""
    before = np.concatenate([np.zeros(LENGTH, np.float32), sound])
    line, known = gallery.lines().strict, []
    for end in range(LOOK, len(sound) + 1, LOOK):
        decision = gallery.identify(before[end : end + LENGTH]).probes[0].decision
        known.append((decision.name, decision.distance) if decision.outcome == "known" else (None, None))
    found: list[tuple[float, str, float]] = []
    last: dict[str, int] = {}
    for look in range(hits - 1, len(known)):
        names = {name for name, _ in known[look - hits + 1 : look + 1]}
        if len(names) == 1 and (name := names.pop()) is not None and look - last.get(name, -(10**6)) >= refractory:
            last[name] = look
            farthest = max(distance for _, distance in known[look - hits + 1 : look + 1])
            found.append(((look + 1) * EVERY, name, line / (line + farthest)))
    return found


@pytest.mark.parametrize("hits", [1, 2, 3])
def test_events_are_the_gallerys_own_decisions(gallery: lw.Gallery, stream: np.ndarray, hits: int) -> None:
    expected = by_hand(gallery, stream, hits, refractory=10)
    assert hits > 2 or {name for _, name, _ in expected} == {"do", "re"}
    found = heard(GalleryListener(gallery, hits=hits, refractory=1.6, gate=None), stream, 20_000)
    assert [(event.name, event.time_s) for event in found] == [
        (name, pytest.approx(time)) for time, name, _ in expected
    ]
    assert [event.score for event in found] == pytest.approx([score for _, _, score in expected], abs=1e-3)


def test_a_word_is_one_event_soon_after_it(gallery: lw.Gallery, stream: np.ndarray) -> None:
    found = heard(GalleryListener(gallery), stream, 640)
    times = {"do": [0.5, 8.0], "re": [5.5]}
    for name, starts in times.items():
        own = [event.time_s for event in found if event.name == name]
        for start in starts:
            assert sum(start < time < start + 1.2 for time in own) == 1, (name, own)


@pytest.mark.parametrize("piece", [1, 640, 7_777, 200_000])
def test_pieces_of_any_size_give_the_same(gallery: lw.Gallery, stream: np.ndarray, piece: int) -> None:
    sound = stream[: 3 * RATE] if piece == 1 else stream
    expected = heard(GalleryListener(gallery), sound, LOOK)
    assert expected
    found = heard(GalleryListener(gallery), sound, piece)
    assert [(event.name, event.time_s) for event in found] == [(event.name, event.time_s) for event in expected]


def test_only_silence_is_not_looked_at(
    gallery: lw.Gallery, stream: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one hit and no refractory time an event is a look."""
    looks: list[int] = []
    identify = lw.Gallery.identify
    monkeypatch.setattr(lw.Gallery, "identify", lambda self, items: looks.append(len(items)) or identify(self, items))
    gated = heard(GalleryListener(gallery, hits=1, refractory=0), stream, 640)
    before = np.concatenate([np.zeros(LENGTH, np.float32), stream])
    part = LENGTH % 640  # less than 80 ms, at the beginning of a look, does not count
    loud = [end for end in range(LOOK, len(stream) + 1, LOOK) if before[end + part : end + LENGTH].any()]
    assert sum(looks) == len(loud) < 30
    looks.clear()
    free = heard(GalleryListener(gallery, hits=1, refractory=0, gate=None), stream, 640)
    assert sum(looks) == 62
    assert len(gated) > 5
    assert gated == [event for event in free if round(event.time_s * RATE) in loud]


def test_only_the_name_that_is_asked_for(gallery: lw.Gallery, stream: np.ndarray) -> None:
    every = heard(GalleryListener(gallery), stream, 20_000)
    assert heard(GalleryListener(gallery, name="re"), stream, 20_000) == [e for e in every if e.name == "re"]
    with pytest.raises(DataError, match="'mi'"):
        GalleryListener(gallery, name="mi")


def test_how_long_the_stream_was_and_lines_of_json(gallery: lw.Gallery, stream: np.ndarray) -> None:
    listener = GalleryListener(gallery)
    event = heard(listener, stream, 640)[0]
    assert listener.seconds == 10
    assert event.as_dict() == {"time_s": event.time_s, "score": event.score, "name": event.name}


def test_what_cannot_be(gallery: lw.Gallery, tmp_path: Path) -> None:
    for wrong in (np.full(100, np.nan, np.float32), np.zeros((2, 100), np.float32), np.full(100, 30_000, np.int16)):
        with pytest.raises(DataError, match="A stream is one row"):
            GalleryListener(gallery).feed(wrong)
    with lw.Gallery.open(tmp_path / "new.gallery", lw.Model(gallery.model.encoder)) as fresh:
        fresh.enrol("hum", [np.sin(np.arange(LENGTH)).astype(np.float32)])
        with pytest.raises(ModelError, match="gallery calibrate"):
            GalleryListener(fresh)
    pictures = lw.Encoder("mlp", dim=4)
    shapes = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    data = lw.Dataset(shapes, tuple(map(str, range(12))), np.arange(12) // 6, ("a", "b"))
    lw.fit(pictures, data, lw.SupCon(), epochs=1, seed=0)
    with (
        lw.Gallery.open(tmp_path / "faces.gallery", lw.Model(pictures)) as faces,
        pytest.raises(ModelError, match=r"gallery of sounds; got .*one of pictures"),
    ):
        GalleryListener(faces)
