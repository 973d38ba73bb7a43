"""Items as a page shows and plays them: pictures and sounds inside the page itself."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path
from typing import Any, final

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from PIL import Image

from likewise.data.dataset import Source
from likewise.encoder import Preprocessing, Sounds
from likewise.encoder.preprocessing import content_of
from likewise.errors import LikewiseError
from likewise.media.lengths import whole_numbers
from likewise.media.pictures import Pixels, read_picture
from likewise.media.sounds import Samples, read_sound

SIDE = 112  # pixels, the most a picture is high or wide
SMALL = 48  # pixels a side up to which pictures lose nothing, and are enlarged by the page
RATE = 8_000  # hertz at most; enough to hear a word
SECONDS = 4.0  # of a sound that are played
MOST_BYTES = 9_000_000  # of all sounds of a page: 12 MB as base64


@final
class Looks:
    """What there is to see and to hear of items, as HTML.

    Args:
        how: how the model reads an item; sounds are shown as the spectrogram that it is given.

    Attributes:
        shortened: how many sounds are longer than what is played of them.
        left_out: how many had no room.
    """

    def __init__(self, how: Preprocessing) -> None:
        self._how = how
        self._room = MOST_BYTES
        self.shortened = self.left_out = 0

    def html(self, source: Source) -> str:
        """An item; words in its place where it cannot be read any more."""
        try:
            content = content_of(source)
            if not isinstance(self._how, Sounds):
                return picture_html(read_picture(content))
            values = torch.from_numpy(self._how.one(content).values)
            return picture_html(self._how.shown(values[None])[0]) + self._sound(content, self._how.rate)
        except LikewiseError:  # it was there a moment ago
            return "<em>cannot be read</em>"

    def _sound(self, content: Path | bytes | NDArray[Any], rate: int) -> str:
        slow = min(rate, RATE)
        if isinstance(content, np.ndarray):  # samples in memory are at the rate of the model
            samples = soxr.resample(read_sound(content, rate=rate), rate, slow)
        else:
            samples = read_sound(content, rate=slow)
        return self.sound_html(samples, slow)

    def sound_html(self, samples: Samples, rate: int) -> str:
        """(T,) at a rate, to be played, as loud as it can be; its beginning where it is long."""
        most = round(SECONDS * rate)
        if 2 * min(len(samples), most) > self._room:
            self.left_out += 1
            return "<em>no room for the sound</em>"
        self.shortened += len(samples) > most
        samples = samples[:most]
        loudest = max(float(abs(samples).max(initial=0.0)), 1e-3)
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(rate)
            wav.writeframes(whole_numbers(samples / loudest).astype("<i2").tobytes())
        self._room -= 2 * len(samples)
        return f'<audio controls preload="none" src="data:audio/wav;base64,{_base64(file.getvalue())}"></audio>'


def picture_html(pixels: Pixels) -> str:
    """(H, W, 1 or 3) uint8 as a thumbnail."""
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    file = io.BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(file, "PNG")
        times = SIDE // max(picture.size)
        width, height = (max(1, times * side) for side in picture.size)
        return _img("png", file, width, height, ' class="small"')
    picture.thumbnail((SIDE, SIDE))
    picture.save(file, "JPEG", quality=85)
    return _img("jpeg", file, *picture.size, "")


def _img(kind: str, file: io.BytesIO, width: int, height: int, of: str) -> str:
    data = _base64(file.getvalue())
    return f'<img{of} alt="" width="{width}" height="{height}" src="data:image/{kind};base64,{data}">'


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
