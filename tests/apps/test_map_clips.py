"""Clips on the page of a map: what is pointed at is what is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, visited

from likewise.apps.map import clips as module
from likewise.apps.map.clips import Clips, clips_of
from likewise.apps.map.layouts import Layout, layout
from likewise.apps.map.webpage import page
from likewise.errors import UsageError

RATE = 8_000


def tones(count: int, rate: int = RATE, seconds: float = 0.25) -> np.ndarray:
    """Item i is a tone of 200 + 100 i hertz, and ever louder."""
    t = np.arange(round(rate * seconds)) / rate
    hertz = 200 + 100 * np.arange(count)[:, None]
    return (np.linspace(0.1, 0.9, count)[:, None] * np.sin(2 * np.pi * hertz * t) * 32767).astype(np.int16)


def heard(clips: Clips) -> np.ndarray:
    """(n, samples) in [-1, 1], by G.711's formula."""
    y = (np.frombuffer(clips.code, np.uint8).reshape(-1, clips.samples) - 127.5) / 127.5
    return np.sign(y) * (256 ** np.abs(y) - 1) / 255


@pytest.mark.parametrize("rate", [RATE, 16_000, 22_050, 6_000])
def test_clips_are_the_sounds_as_loud_as_can_be(rate: int) -> None:
    clips = clips_of(tones(5, rate), rate)
    assert (clips.rate, clips.every) == (min(rate, RATE), 1)
    found, expected = heard(clips), tones(5, clips.rate)
    np.testing.assert_allclose(np.abs(found).max(axis=1), 1, atol=0.01)
    inner = slice(200, min(found.shape[1], expected.shape[1]) - 200)  # resampling has no neighbours at the ends
    one, other = (x[:, inner] / x[:, inner].std(axis=1, keepdims=True) for x in (found, expected))
    assert (one - other).std(axis=1).max() < 0.03  # 30 dB, and mu-law has 38


def test_silence_stays_silent_and_what_does_not_fit_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.abs(heard(clips_of(np.zeros((2, 100), np.int16), RATE))).max() < 1e-3
    monkeypatch.setattr(module, "MOST_BYTES", 7 * 2_000)
    clips = clips_of(tones(20), RATE)
    assert (clips.every, len(clips.code)) == (3, 7 * 2_000)
    np.testing.assert_array_equal(heard(clips), heard(clips_of(tones(20)[::3], RATE)))


@pytest.mark.parametrize("wrong", [np.zeros(5, np.int16), np.zeros((2, 5), np.float32), np.zeros((0, 5), np.int16)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="Clips are int16"):
        clips_of(wrong, RATE)


LISTEN = """
const result = { played: [], stopped: 0 };
window.addEventListener("error", (event) => { result.error = event.message; });
let active = false;
Object.defineProperty(navigator, "userActivation", { value: { get hasBeenActive() { return active; } } });
window.AudioContext = class {
  createBuffer(channels, length, rate) {
    const samples = new Float32Array(length);
    return { rate, getChannelData: () => samples };
  }
  createBufferSource() {
    return {
      connect() {},
      start() { result.played.push([this.buffer.rate, ...this.buffer.getChannelData(0)]); },
      stop() { result.stopped++; },
    };
  }
};
setTimeout(() => {
  point(1);
  active = true; // as after a click
  point(2); point(2); point(-1); point(0);
  done(result);
}, 500);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_plays_what_is_pointed_at(tmp_path: Path) -> None:
    sounds = tones(4)
    found: Layout = layout(np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32), method="pca")
    page(found, [0, 1, 0, 1], ["do", "re"], tmp_path / "map.html", clips=clips_of(sounds, RATE))
    text = (tmp_path / "map.html").read_text("utf-8")
    assert "Click once, then point at an item to hear it." in text
    result = visited(text, LISTEN, tmp_path)
    assert "error" not in result
    assert [one[0] for one in result["played"]] == [RATE, RATE]  # none before the click, and one only once
    expected = heard(clips_of(sounds, RATE))[[2, 0]]
    np.testing.assert_allclose([one[1:] for one in result["played"]], expected, atol=1e-6)
    assert result["stopped"] == 1  # leaving an item ends its sound
