"""Pictures are decoded elsewhere, as they would be here, and within limits that hold whatever comes."""

from __future__ import annotations

import io
import signal
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ExifTags, Image
from service_client import png

from likewise.encoder import Pictures
from likewise.errors import DataError
from likewise.prepare import Part
from likewise.server.decoding import Decoders
from likewise.server.limits import Limits
from likewise.server.refusals import Refusal

HOW = {
    (channels, resize): Pictures(channels, 24, 20, resize, (0.5,) * channels, (0.2,) * channels)
    for channels in (1, 3)
    for resize in ("squash", "pad", "crop")
}


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    pool = Decoders(Limits(pixels=100_000), 2)
    yield pool
    pool.close()


def decode(decoders: Decoders, content: bytes, how: Pictures, name: str = "x.png") -> list[Part]:
    return decoders.decode(content, name, how, decoders.budget()).parts


def pictures() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8))
    found = {"grey.png": png(rng.integers(0, 256, (24, 20), dtype=np.uint8))}
    for name, options in (("a.jpg", {}), ("a.webp", {}), ("a.gif", {}), ("a.bmp", {}), ("a.tiff", {})):
        stream = io.BytesIO()
        colour.save(stream, {"jpg": "JPEG"}.get(name[2:], name[2:].upper()), **options)
        found[name] = stream.getvalue()
    return found


@pytest.mark.parametrize("how", HOW.values(), ids=str)
def test_as_the_library_decodes(decoders: Decoders, how: Pictures) -> None:
    for name, content in pictures().items():
        (part,) = decode(decoders, content, how, name)
        assert part.box is None
        assert part.flaw is None
        assert np.array_equal(part.values, how.one(content).values), name


@pytest.mark.parametrize("channels", [1, 3])
def test_whole_pictures_and_sizes_are_of_the_upright_picture(decoders: Decoders, channels: int) -> None:
    how, exif = HOW[channels, "pad"], Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying = np.random.default_rng(2).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(lying).save(stream, "PNG", exif=exif)
    content = stream.getvalue()
    assert decoders.decode(content, "x.png", how, decoders.budget()).size == (50, 30)
    whole = decoders.picture(content, "x.png", how, decoders.budget())
    upright = Image.fromarray(np.rot90(lying, -1)).convert("L" if channels == 1 else "RGB")
    assert np.array_equal(whole, np.array(upright).reshape(50, 30, channels))


def test_many_at_once_do_not_mix(decoders: Decoders) -> None:
    how, rng = HOW[1, "squash"], np.random.default_rng(1)
    drawn = [rng.integers(0, 256, (24, 20), dtype=np.uint8) for _ in range(100)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda one: decode(decoders, png(one), how), drawn))
    assert all(np.array_equal(part.values[:, :, 0], one) for (part,), one in zip(found, drawn, strict=True))


def header_of(width: int, height: int) -> bytes:
    """A PNG that says it is large, and is a few bytes."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("content", [b"", b"text", header_of(60_000, 60_000), png(np.zeros((300, 300), np.uint8))[:90]])
def test_bad_pictures_are_refused_in_the_words_of_the_library(decoders: Decoders, content: bytes) -> None:
    from likewise.media.pictures import read_picture

    with pytest.raises(DataError) as here:
        read_picture(content, name="x.png", max_pixels=100_000)
    with pytest.raises(DataError) as there:
        decode(decoders, content, HOW[1, "pad"])
    assert str(there.value) == str(here.value)


def test_a_picture_with_too_many_pixels_ends_its_request_and_is_told_what_a_client_can_do(decoders: Decoders) -> None:
    with pytest.raises(Refusal) as refused:
        decode(decoders, png(np.zeros((400, 500), np.uint8))[:90], HOW[1, "pad"])  # seen before it is decoded
    assert refused.value.status == 413
    told = "A picture has at most 100,000 pixels; got x.png with 500 x 400. Make it smaller, or have the service"
    assert str(refused.value) == f"{told} started with more `serve --pixels`."


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal of Unix")
def test_a_decoder_that_hangs_is_killed_and_another_takes_its_place() -> None:
    pool = Decoders(Limits(decode_seconds=0.5), 1)
    try:
        good, how = png(np.zeros((24, 20), np.uint8)), HOW[1, "squash"]
        decode(pool, good, how)
        process = pool._all[0]._running
        process.send_signal(signal.SIGSTOP)  # as a decoder that never comes to an end
        with pytest.raises(Refusal, match=r"A picture decodes within 0\.5 s; got slow\.png") as refused:
            decode(pool, good, how, "slow.png")
        assert refused.value.status == 413
        assert process.poll() is not None
        assert pool.killed == 1
        assert decode(pool, good, how)[0].values.shape == (24, 20, 1)
    finally:
        pool.close()


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal of Unix")
def test_many_slow_pictures_of_a_request_cost_no_more_than_a_few() -> None:
    pool = Decoders(Limits(decode_seconds=0.5), 1)
    try:
        good, how, budget = png(np.zeros((24, 20), np.uint8)), HOW[1, "squash"], pool.budget()
        pool.decode(good, "good", how, budget)
        assert 1.5 < budget.left < 2.0  # four times the seconds of one, less what that took
        budget.left = 0.2  # many pictures later
        pool._all[0]._running.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(Refusal, match=r"The pictures of a request decode within 2 s; got last\.png") as refused:
            pool.decode(good, "last.png", how, budget)
        assert refused.value.status == 413
        assert 0.2 <= time.monotonic() - began < 0.5  # a picture of its own would have had so long
        with pytest.raises(Refusal, match="of a request decode within"):  # and nobody is killed for the next
            pool.decode(good, "more.png", how, budget)
        assert pool.killed == 1
        assert len(decode(pool, good, how)) == 1
    finally:
        pool.close()


def test_a_decoder_that_crashes_costs_one_picture() -> None:
    pool = Decoders(Limits(), 1)
    try:
        good, how = png(np.zeros((24, 20), np.uint8)), HOW[1, "squash"]
        decode(pool, good, how)
        pool._all[0]._running.kill()
        pool._all[0]._running.wait()
        with pytest.raises(DataError, match="the decoder ended"):
            decode(pool, good, how, "crashes.png")
        assert decode(pool, good, how)[0].values.shape == (24, 20, 1)
    finally:
        pool.close()


def test_closing_ends_the_processes() -> None:
    pool = Decoders(Limits(), 2)
    running = [process._running for process in pool._all]
    pool.close()
    time.sleep(0.01)
    assert all(process.poll() is not None for process in running)
