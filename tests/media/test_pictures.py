"""Every picture here is drawn in memory; expected values are worked out by hand beside them."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from likewise.errors import DataError, UsageError
from likewise.media.pictures import (
    PICTURE_SUFFIXES,
    content_hash,
    picture_shape,
    png_bytes,
    read_picture,
    resize_picture,
)

ORIENTATION = 0x0112


def encoded(picture: Image.Image | np.ndarray, form: str, **options) -> bytes:
    stream = io.BytesIO()
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(stream, form, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG put together chunk by chunk, so that its header can say anything."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    middle = b"".join(chunk(*one) for one in extra)
    body = chunk(b"IDAT", zlib.compress(rows)) if rows else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + body + chunk(b"IEND", b"")


def refusal(source, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_picture(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\x02\x02\x4c\x01\0;"
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]], [[0, 0, 0], [255, 255, 255]]], np.uint8)
GREYS = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)


class TestKinds:
    @pytest.mark.parametrize(
        ("form", "options"),
        [
            ("PNG", {}),
            ("BMP", {}),
            ("PPM", {}),
            ("TIFF", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("WEBP", {"lossless": True}),
        ],
    )
    def test_colours_come_through_exactly(self, form, options):
        pixels = read_picture(encoded(COLOURS, form, **options))
        assert pixels.shape == (3, 2, 3)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, COLOURS)

    @pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "GIF"])
    def test_grey_stays_grey(self, form):
        np.testing.assert_array_equal(read_picture(encoded(GREYS, form)), GREYS[:, :, None])

    @pytest.mark.parametrize(("form", "options"), [("JPEG", {"subsampling": 0}), ("AVIF", {"subsampling": "4:4:4"})])
    def test_formats_that_lose_a_little(self, form, options):
        blocks = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
        pixels = read_picture(encoded(blocks, form, quality=100, **options))
        assert np.abs(pixels.astype(int) - blocks).max() <= 2  # rounding to and from YCbCr

    def test_grey_as_rgb_has_three_equal_channels(self):
        pixels = read_picture(encoded(GREYS, "PNG"), mode="RGB")
        np.testing.assert_array_equal(pixels, np.repeat(GREYS[:, :, None], 3, axis=2))

    def test_rgb_as_grey_is_luma(self):
        # 0.299 R + 0.587 G + 0.114 B: 76.245, 149.685, 29.07, and 2.99 + 11.74 + 3.42 = 18.15
        pixels = read_picture(encoded(COLOURS, "PNG"), mode="L")
        np.testing.assert_array_equal(pixels[:, :, 0], [[76, 150], [29, 18], [0, 255]])

    def test_a_palette_of_greys_is_grey(self):
        picture = Image.new("P", (2, 1))
        picture.putpalette([10, 10, 10, 40, 40, 40])
        picture.putdata([1, 0])
        np.testing.assert_array_equal(read_picture(encoded(picture, "PNG")), [[[40], [10]]])
        np.testing.assert_array_equal(read_picture(encoded(picture, "PNG", transparency=1)), [[[255], [10]]])

    def test_one_bit_becomes_black_and_white(self):
        picture = Image.new("1", (3, 1))
        picture.putdata([0, 1, 0])
        np.testing.assert_array_equal(read_picture(encoded(picture, "PNG"))[:, :, 0], [[0, 255, 0]])

    def test_palette_becomes_rgb(self):
        picture = Image.new("P", (2, 1))
        picture.putpalette([10, 20, 30, 40, 50, 60])
        picture.putdata([1, 0])
        np.testing.assert_array_equal(read_picture(encoded(picture, "PNG")), [[[40, 50, 60], [10, 20, 30]]])

    def test_cmyk_tiff(self):
        # RGB = (255 - ink)(255 - black) / 255; ink 255, 0, 51 and black 51: 0, 204, 204 * 204 / 255 = 163.2
        picture = Image.new("CMYK", (1, 1), (255, 0, 51, 51))
        np.testing.assert_array_equal(read_picture(encoded(picture, "TIFF")), [[[0, 204, 163]]])

    def test_cmyk_jpeg_is_stored_inverted_and_read_upright(self):
        data = encoded(Image.new("CMYK", (16, 16), (255, 0, 51, 51)), "JPEG", quality=100)
        assert b"Adobe" in data
        assert np.abs(read_picture(data).astype(int) - [0, 204, 163]).max() <= 2

    def test_cmyk_jpeg_without_the_adobe_mark_is_read_alike(self):
        data = encoded(Image.new("CMYK", (16, 16), (255, 0, 51, 51)), "JPEG", quality=100)
        at = data.index(b"\xff\xee")
        unmarked = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
        assert b"Adobe" not in unmarked
        np.testing.assert_array_equal(read_picture(unmarked), read_picture(data))


class TestDepth:
    # v / 257 rounded: 128 / 257 = 0.498, 129 / 257 = 0.502, 32768 / 257 = 127.502
    DEEP = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    EIGHT = np.array([[0, 0, 1, 1, 128, 255]])

    def test_png_of_16_bits_is_scaled_not_clipped(self):
        np.testing.assert_array_equal(read_picture(encoded(self.DEEP, "PNG"))[:, :, 0], self.EIGHT)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_tiff_of_16_bits(self, order):
        data = encoded(self.DEEP.astype(order + "u2"), "TIFF")
        np.testing.assert_array_equal(read_picture(data)[:, :, 0], self.EIGHT)

    def test_pgm_of_16_bits(self):
        data = b"P5 6 1 65535\n" + self.DEEP.astype(">u2").tobytes()
        np.testing.assert_array_equal(read_picture(data)[:, :, 0], self.EIGHT)

    def test_32_bit_integers_within_16_bits(self):
        np.testing.assert_array_equal(read_picture(encoded(self.DEEP.astype(np.int32), "TIFF"))[:, :, 0], self.EIGHT)

    def test_32_bit_integers_beyond_are_refused(self):
        assert "70000" in refusal(encoded(np.array([[0, 70000]], np.int32), "TIFF"), name="deep.tif")

    def test_floats(self):
        data = encoded(np.array([[0, 0.2, 1]], np.float32), "TIFF")
        np.testing.assert_array_equal(read_picture(data)[:, :, 0], [[0, 51, 255]])

    def test_floats_beyond_one_are_refused(self):
        assert "2.5" in refusal(encoded(np.array([[0, 2.5]], np.float32), "TIFF"))

    def test_colours_of_16_bits(self):
        rows = b"\0" + struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1200, 0x3400, 0x5600)
        np.testing.assert_array_equal(read_picture(png(2, 1, 16, 2, rows)), [[[0, 0x80, 255], [0x12, 0x34, 0x56]]])

    def test_a_transparent_grey_of_16_bits_is_white(self):
        rows = b"\0" + struct.pack(">3H", 0, 1000, 65535)
        data = png(3, 1, 16, 0, rows, (b"tRNS", struct.pack(">H", 0)))
        np.testing.assert_array_equal(read_picture(data)[:, :, 0], [[255, 4, 255]])


class TestTransparency:
    def test_alpha_shows_white_behind(self):
        # c a + 255 (1 - a), with a = 128 / 255: 100 -> 177.19, 0 -> 127, 200 -> 227.39
        picture = Image.new("RGBA", (3, 1))
        picture.putdata([(100, 0, 200, 128), (7, 8, 9, 255), (7, 8, 9, 0)])
        np.testing.assert_array_equal(
            read_picture(encoded(picture, "PNG")), [[[177, 127, 227], [7, 8, 9], [255, 255, 255]]]
        )

    def test_grey_with_alpha_stays_grey(self):
        picture = Image.new("LA", (3, 1))
        picture.putdata([(100, 128), (7, 255), (7, 0)])
        np.testing.assert_array_equal(read_picture(encoded(picture, "PNG"))[:, :, 0], [[177, 7, 255]])

    def test_palette_with_one_transparent_entry(self):
        picture = Image.new("P", (2, 1))
        picture.putpalette([10, 20, 30, 40, 50, 60])
        picture.putdata([0, 1])
        for form in ("PNG", "GIF"):
            data = encoded(picture, form, transparency=1)
            np.testing.assert_array_equal(read_picture(data), [[[10, 20, 30], [255, 255, 255]]])

    def test_palette_with_half_transparent_entries(self):
        picture = Image.new("P", (2, 1))
        picture.putpalette([100, 0, 200, 40, 50, 60])
        picture.putdata([0, 1])
        data = encoded(picture, "PNG", transparency=bytes([128, 255]))
        np.testing.assert_array_equal(read_picture(data), [[[177, 127, 227], [40, 50, 60]]])

    def test_a_transparent_colour_of_rgb_and_grey(self):
        data = encoded(COLOURS[:1], "PNG", transparency=(255, 0, 0))
        np.testing.assert_array_equal(read_picture(data), [[[255, 255, 255], [0, 255, 0]]])
        np.testing.assert_array_equal(
            read_picture(encoded(GREYS, "PNG", transparency=0))[:, :, 0], [[255, 50, 100], [150, 200, 255]]
        )

    def test_premultiplied_alpha(self):
        # (50, 0, 100) premultiplied by 128 / 255 was (99.6, 0, 199.2): as above within 1
        picture = Image.new("RGBa", (1, 1), (50, 0, 100, 128))
        assert np.abs(read_picture(picture).astype(int) - [177, 127, 227]).max() <= 1


class TestOrientation:
    @staticmethod
    def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
        """What a camera stores, from the words of the EXIF standard: which side row 0 and column 0 are."""
        row0, column0 = {
            1: ("top", "left"),
            2: ("top", "right"),
            3: ("bottom", "right"),
            4: ("bottom", "left"),
            5: ("left", "top"),
            6: ("right", "top"),
            7: ("right", "bottom"),
            8: ("left", "bottom"),
        }[orientation]
        lines = upright if row0 in ("top", "bottom") else upright.swapaxes(0, 1)
        lines = lines if row0 in ("top", "left") else lines[::-1]
        return lines if column0 in ("top", "left") else lines[:, ::-1]

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(
        ("form", "options"),
        [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
    )
    def test_every_orientation_is_turned_upright(self, form, options, orientation):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = encoded(np.ascontiguousarray(self.stored(COLOURS, orientation)), form, exif=exif, **options)
        np.testing.assert_array_equal(read_picture(data), COLOURS)
        assert picture_shape(data) == (3, 2, orientation)

    def test_jpeg(self):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        blocks = np.kron(COLOURS, np.ones((16, 16, 1), np.uint8))
        data = encoded(np.ascontiguousarray(self.stored(blocks, 6)), "JPEG", quality=100, subsampling=0, exif=exif)
        pixels = read_picture(data)
        assert pixels.shape == (48, 32, 3)
        assert picture_shape(data) == (48, 32, 6)
        assert picture_shape(Image.open(io.BytesIO(data))) == (48, 32, 6)
        assert np.abs(pixels.astype(int) - blocks).max() <= 2

    def test_a_png_that_tells_behind_its_pixels(self):
        exif = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION, 3, 1, 6, 0, 0)
        data = png(3, 1, 8, 0, b"\0abc")
        chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        data = data[:-12] + chunk + data[-12:]
        assert read_picture(data).shape == (3, 1, 1)
        assert picture_shape(data) == (3, 1, 6)

    def test_sixteen_bits_are_turned_too(self):
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        data = encoded(np.array([[0, 65535, 257]], np.uint16), "PNG", exif=exif)
        np.testing.assert_array_equal(read_picture(data)[:, :, 0], [[0], [255], [1]])

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\1", b"Exif\0\0"])
    def test_damaged_exif_does_not_lose_the_picture(self, exif):
        np.testing.assert_array_equal(read_picture(encoded(COLOURS, "PNG", exif=exif)), COLOURS)
        assert picture_shape(encoded(COLOURS, "PNG", exif=exif)) == (3, 2, 1)

    def test_an_orientation_out_of_range_is_upright(self):
        exif = Image.Exif()
        exif[ORIENTATION] = 77
        assert picture_shape(encoded(COLOURS, "PNG", exif=exif)) == (3, 2, 1)
        np.testing.assert_array_equal(read_picture(encoded(COLOURS, "PNG", exif=exif)), COLOURS)


class TestShape:
    @pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "GIF", "JPEG", "WEBP", "AVIF"])
    def test_every_format_says_its_own(self, form, tmp_path):
        (tmp_path / "picture").write_bytes(encoded(Image.new("RGB", (64, 48)), form))
        assert picture_shape(tmp_path / "picture") == (48, 64, 1)

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 4)])
    def test_arrays(self, shape):
        assert picture_shape(np.zeros(shape, np.uint8)) == (5, 7, 1)

    def test_what_is_no_picture(self, tmp_path):
        for source, rule in (
            (b"", "has content"),
            (b"GIF89a", "decodes"),
            (b"no picture at all", "is one of"),
            (tmp_path / "gone.png", "can be read"),
            (png(30_000, 30_000, 8, 0, b""), "at most"),
        ):
            with pytest.raises(DataError, match=rule):
                picture_shape(source)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(form):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as several:
        assert several.n_frames == 3
    np.testing.assert_array_equal(read_picture(data), np.full((3, 4, 3), [255, 0, 0]))


class TestArrays:
    @pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
    def test_grey(self, shape):
        np.testing.assert_array_equal(read_picture(GREYS.reshape(shape)), GREYS[:, :, None])

    def test_colour_is_copied(self):
        pixels = read_picture(COLOURS)
        np.testing.assert_array_equal(pixels, COLOURS)
        assert not np.shares_memory(pixels, COLOURS)
        pixels[0, 0, 0] = 1  # writable

    def test_alpha_shows_white_behind(self):
        array = np.array([[[100, 0, 200, 128]]], np.uint8)
        np.testing.assert_array_equal(read_picture(array), [[[177, 127, 227]]])

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_sixteen_bits(self, order):
        np.testing.assert_array_equal(read_picture(TestDepth.DEEP.astype(order + "u2"))[:, :, 0], TestDepth.EIGHT)

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_floats(self, kind):
        # 0.001 * 255 = 0.255 and 0.998 * 255 = 254.49 go to the nearest, 0.999 * 255 = 254.745 up
        pixels = read_picture(np.array([[0, 0.001, 0.2, 0.6, 0.998, 0.999, 1]], kind))
        np.testing.assert_array_equal(pixels[:, :, 0], [[0, 0, 51, 153, 254, 255, 255]])

    def test_views_that_are_not_contiguous(self):
        np.testing.assert_array_equal(read_picture(COLOURS[::-1, ::-1]), COLOURS[::-1, ::-1].copy())

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.01, -0.01])
    def test_floats_out_of_range(self, value):
        assert "[0, 1]" in refusal(np.array([[0, value]]), name="row 7")
        assert "row 7" in refusal(np.array([[0, value]]), name="row 7")

    @pytest.mark.parametrize("kind", [np.int64, np.int16, np.bool_, np.uint32, np.complex64])
    def test_other_types(self, kind):
        assert np.dtype(kind).name in refusal(np.zeros((2, 2), kind))

    @pytest.mark.parametrize("shape", [(4,), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3), (0, 3), (3, 0, 3), ()])
    def test_other_shapes(self, shape):
        assert str(shape) in refusal(np.zeros(shape, np.uint8))

    def test_another_kind_of_source(self):
        with pytest.raises(UsageError, match="list"):
            read_picture([[0, 1]])

    def test_another_mode(self):
        with pytest.raises(UsageError, match="'CMYK'"):
            read_picture(GREYS, mode="CMYK")


class TestPilPictures:
    def test_it_is_read_and_left_as_it_is(self):
        picture = Image.fromarray(COLOURS)
        np.testing.assert_array_equal(read_picture(picture), COLOURS)
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), COLOURS)

    def test_one_that_does_not_decode(self):
        with Image.open(io.BytesIO(encoded(COLOURS, "PNG")[:60])) as picture:
            text = refusal(picture)
        assert "a PIL picture" in text
        assert "decodes" in text


class TestLimits:
    @pytest.mark.parametrize(
        "bomb",
        [
            png(60000, 60000, 8, 2, b""),
            b"GIF89a" + struct.pack("<HHBBB", 60000, 60000, 0x80, 0, 0) + bytes(6) + GIF_FRAME,
            b"P6 60000 60000 255\n",
            b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
        ],
        ids=["png", "gif", "ppm", "bmp"],
    )
    def test_a_bomb_is_refused_by_its_header(self, bomb, tmp_path):
        path = tmp_path / "bomb.png"
        path.write_bytes(bomb)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            text = refusal(path)
        assert "60000 x 60000" in text
        assert "89,478,485" in text
        assert str(path) in text

    def test_nothing_is_decoded_beyond_the_limit(self, monkeypatch):
        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
        assert "at most 5 pixels" in refusal(encoded(COLOURS, "PNG"), max_pixels=5)

    def test_exactly_the_limit_is_read(self):
        assert read_picture(encoded(COLOURS, "PNG"), max_pixels=6).shape == (3, 2, 3)

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
    def test_the_limit_of_the_process_is_neither_used_nor_changed(self, form, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_picture(encoded(COLOURS, form))
        assert Image.MAX_IMAGE_PIXELS == 4

    def test_threads_with_limits_of_their_own(self):
        data = encoded(COLOURS, "PNG")

        def answer(limit: int) -> bool:
            try:
                read_picture(data, max_pixels=limit)
            except DataError:
                return False
            return True

        limits = [5, 6] * 200
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(answer, limits)) == [limit >= 6 for limit in limits]


class TestFiles:
    @pytest.mark.parametrize("name", ["ada.png", "ñandú — 猫 🐈.png", "no suffix", "wrong.jpg", "two\nlines.png"])
    def test_any_name(self, tmp_path, name):
        (tmp_path / name).write_bytes(encoded(COLOURS, "PNG"))
        np.testing.assert_array_equal(read_picture(tmp_path / name), COLOURS)
        np.testing.assert_array_equal(read_picture(str(tmp_path / name)), COLOURS)
        (tmp_path / name).write_bytes(b"not a picture")
        assert name.split()[0] in refusal(tmp_path / name)

    def test_a_name_that_is_not_text(self, tmp_path):
        name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
        Path(name).write_bytes(encoded(COLOURS, "PNG"))
        np.testing.assert_array_equal(read_picture(name), COLOURS)

    def test_missing(self, tmp_path):
        text = refusal(tmp_path / "gone.jpg")
        assert "gone.jpg" in text
        assert "No such file" in text

    def test_a_name_with_a_zero_byte(self):
        assert "null byte" in refusal("a\0b.jpg")

    def test_a_folder(self, tmp_path):
        text = refusal(tmp_path)
        assert str(tmp_path) in text
        assert "folder" in text

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.jpg")
        assert "pipe.jpg" in refusal(tmp_path / "pipe.jpg")

    def test_zero_bytes(self, tmp_path):
        (tmp_path / "empty.jpg").touch()
        text = refusal(tmp_path / "empty.jpg")
        assert "empty.jpg" in text
        assert "0 bytes" in text

    def test_text_named_jpg(self, tmp_path):
        (tmp_path / "notes.jpg").write_text("Buy milk,\nand bread.")
        text = refusal(tmp_path / "notes.jpg")
        assert "notes.jpg" in text
        assert "JPEG, PNG, GIF" in text

    def test_unreadable_permissions(self, tmp_path, monkeypatch):
        path = tmp_path / "secret.jpg"
        path.write_bytes(encoded(COLOURS, "JPEG"))
        if os.geteuid() == 0:  # root reads everything: play the refusal

            def refuse(self, *_, **__):
                raise PermissionError(13, "Permission denied", str(self))

            monkeypatch.setattr(Path, "open", refuse)
        else:
            path.chmod(0)
        text = refusal(path)
        assert "secret.jpg" in text
        assert "Permission denied" in text

    def test_a_member_of_a_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "people.zip", "w") as archive:
            archive.writestr("ada/1.png", encoded(COLOURS, "PNG"))
            archive.writestr("ada/2.png", b"GIF89a")
        with zipfile.ZipFile(tmp_path / "people.zip") as archive:
            np.testing.assert_array_equal(read_picture(archive.read("ada/1.png")), COLOURS)
            assert "people.zip/ada/2.png" in refusal(archive.read("ada/2.png"), name="people.zip/ada/2.png")

    @pytest.mark.parametrize(
        "data",
        [
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
            b"%PDF-1.4\n",
            b"8BPS\0\1" + bytes(20),
        ],
        ids=["eps", "pdf", "psd"],
    )
    def test_formats_off_the_list(self, data):
        assert "A picture is one of" in refusal(data)

    def test_suffixes_are_compared_in_lower_case(self):
        assert {suffix.lower() for suffix in PICTURE_SUFFIXES} == PICTURE_SUFFIXES
        assert Path("DSC_0001.JPG").suffix.lower() in PICTURE_SUFFIXES
        assert Path("figure.eps").suffix.lower() not in PICTURE_SUFFIXES


RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (12, 10, 3), dtype=np.uint8)
BLOCKS = np.kron(RANDOM.integers(0, 256, (4, 3), dtype=np.uint8), np.ones((4, 4), np.uint8))
FILES = {
    "jpeg": encoded(NOISE, "JPEG"),
    "progressive": encoded(NOISE, "JPEG", progressive=True),
    "png": encoded(NOISE, "PNG"),
    "gif": encoded(BLOCKS, "GIF"),
    "webp": encoded(NOISE, "WEBP"),
    "lossless": encoded(NOISE, "WEBP", lossless=True),
    "avif": encoded(NOISE, "AVIF"),
    "tiff": encoded(NOISE, "TIFF"),
    "lzw": encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "bmp": encoded(NOISE, "BMP"),
    "ppm": encoded(NOISE, "PPM"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestDamage:
    @pytest.mark.parametrize("form", FILES)
    def test_a_cut_file_is_refused_or_whole_never_half(self, form):
        whole = read_picture(FILES[form])
        refused = 0
        for length in range(len(FILES[form])):
            try:
                pixels = read_picture(FILES[form][:length])
            except DataError:
                refused += 1
            else:  # all pixels were there, only the end mark was not
                np.testing.assert_array_equal(pixels, whole)
        assert refused > 0.9 * len(FILES[form])

    @given(form=st.sampled_from(sorted(FILES)), data=st.data())
    @settings(max_examples=300, deadline=None, derandomize=True)
    def test_altered_bytes_give_a_picture_or_one_line(self, form, data):
        content = bytearray(FILES[form])
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[at] = data.draw(st.integers(0, 255))
        try:
            pixels = read_picture(bytes(content), max_pixels=10_000)
        except DataError as error:
            outcome = str(error)
        else:
            outcome = f"{pixels.dtype} {pixels.ndim} {pixels.shape[2]}"
        assert "\n" not in outcome
        assert outcome.startswith("A picture") or outcome in ("uint8 3 1", "uint8 3 3")

    @pytest.mark.parametrize("kind", [MemoryError, RecursionError, SyntaxError, KeyError, zlib.error, struct.error])
    def test_whatever_a_decoder_raises(self, kind, monkeypatch):
        def fail(self):
            raise kind

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
        assert "ada.png" in refusal(encoded(COLOURS, "PNG"), name="ada.png")

    def test_truncated_pictures_are_not_let_through_for_the_whole_process(self):
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False


class TestResize:
    def test_the_right_size_is_left_alone(self):
        assert resize_picture(COLOURS, 3, 2, "crop") is COLOURS

    def test_squash_is_a_triangle_filter_of_twice_the_step(self):
        # Halving: output 0 is centred at 1.0 and reaches 2 to each side, so pixels 0, 1, 2, centred at 0.5,
        # 1.5, 2.5, weigh 3/4, 3/4, 1/4 of their sum 7/4. Output 1 mirrors it: 255 * 3/7 = 109.3
        row = np.array([[0, 0, 0, 255]], np.uint8)[:, :, None]
        np.testing.assert_array_equal(resize_picture(row, 1, 2, "squash")[:, :, 0], [[0, 109]])

    def test_a_fine_checkerboard_becomes_grey(self):
        board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None]
        assert np.abs(resize_picture(board, 8, 8, "squash").astype(int) - 127.5).max() <= 4

    def test_pad_centres_on_black(self):
        wide = np.full((2, 4, 3), 9, np.uint8)
        padded = resize_picture(wide, 4, 4, "pad")
        np.testing.assert_array_equal(padded[1:3], wide)
        assert not padded[0].any()
        assert not padded[3].any()

    def test_crop_takes_the_middle(self):
        wide = np.arange(8, dtype=np.uint8).reshape(2, 4, 1)
        np.testing.assert_array_equal(resize_picture(wide, 2, 2, "crop"), wide[:, 1:3])
        np.testing.assert_array_equal(
            resize_picture(wide.swapaxes(0, 1).copy(), 2, 2, "crop"), wide.swapaxes(0, 1)[1:3]
        )

    @given(
        rows=st.integers(1, 70),
        columns=st.integers(1, 70),
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        channels=st.sampled_from([1, 3]),
        how=st.sampled_from(["squash", "crop", "pad"]),
        value=st.integers(1, 255),
    )
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_one_colour_stays_that_colour(self, rows, columns, height, width, channels, how, value):
        resized = resize_picture(np.full((rows, columns, channels), value, np.uint8), height, width, how)
        assert resized.shape == (height, width, channels)
        assert resized.dtype == np.uint8
        assert set(np.unique(resized)) <= ({0, value} if how == "pad" else {value})
        assert value in resized

    @pytest.mark.parametrize("shape", [(1, 1000), (1000, 1)])
    def test_pad_of_a_hair_keeps_one_pixel(self, shape):
        assert resize_picture(np.full((*shape, 1), 255, np.uint8), 8, 8, "pad").sum() == 8 * 255

    def test_impossible_sizes(self):
        with pytest.raises(UsageError, match="0 x 5"):
            resize_picture(COLOURS, 0, 5, "squash")
        with pytest.raises(UsageError, match="'stretch'"):
            resize_picture(COLOURS, 5, 5, "stretch")


class TestPngBytes:
    @pytest.mark.parametrize("array", [GREYS, GREYS[:, :, None], COLOURS])
    def test_round_trip(self, array):
        data = png_bytes(array)
        assert data.startswith(b"\x89PNG")
        np.testing.assert_array_equal(read_picture(data), array.reshape(*array.shape[:2], -1))

    def test_a_bad_array_is_refused(self):
        with pytest.raises(DataError, match="int64"):
            png_bytes(np.zeros((2, 2), np.int64))


class TestContentHash:
    def test_known_answers(self, tmp_path):
        # FIPS 180-4's own example
        known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        (tmp_path / "abc").write_bytes(b"abc")
        assert content_hash(b"abc") == content_hash(tmp_path / "abc") == content_hash(str(tmp_path / "abc")) == known

    def test_large_files_are_read_to_the_end(self, tmp_path):
        content = bytes(range(256)) * 20_000
        (tmp_path / "large").write_bytes(content)
        assert content_hash(tmp_path / "large") == hashlib.sha256(content).hexdigest()

    def test_arrays(self):
        array = np.arange(16, dtype=np.uint8).reshape(4, 4)
        assert content_hash(array) == content_hash(array.copy(order="F"))
        others = [array.reshape(2, 8), array.view(np.int8), array + np.uint8(1), array.T]
        assert len({content_hash(one) for one in [array, *others]}) == 5

    def test_missing(self, tmp_path):
        with pytest.raises(DataError, match=r"gone\.jpg"):
            content_hash(tmp_path / "gone.jpg")

    def test_a_folder(self, tmp_path):
        with pytest.raises(DataError, match="folder"):
            content_hash(tmp_path)


def test_heic_is_found_in_folders_and_refused_by_its_name(tmp_path: Path) -> None:
    photo = tmp_path / "IMG_1.HEIC"
    photo.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    assert photo.suffix.lower() in PICTURE_SUFFIXES
    with pytest.raises(DataError, match=r"IMG_1\.HEIC, which is HEIC\. Export it as JPEG"):
        read_picture(photo)


def test_cropping_works_at_every_size() -> None:
    """At 29 pixels what is cut off is -1e-15."""
    for side in range(1, 200):
        for other in (side, side + 1):
            found = resize_picture(np.full((side, other, 1), 7, np.uint8), 224, 224, "crop")
            assert found.shape == (224, 224, 1)
            assert (found == 7).all()
