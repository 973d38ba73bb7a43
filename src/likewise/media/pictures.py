"""Reading pictures, safely and alike everywhere: the only place of Likewise that decodes one.

Whatever comes in (a file, bytes, an array, a PIL picture; 1 to 32 bits, palette, CMYK, alpha, turned by EXIF,
animated) leaves as one kind of array: uint8, (height, width, 1) for grey and (height, width, 3) for colour.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ExifTags import Base as ExifTag

from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media.opening import opened

Pixels: TypeAlias = NDArray[np.uint8]
Resize = Literal["squash", "pad", "crop"]
Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | Image.Image

MAX_PIXELS = 2**28 // 3  # 89 million: a quarter of a gibibyte as RGB

# What a scan of a folder takes for a picture, compared in lower case; reading goes by the content alone. HEIC is there
# although it cannot be read: photos that are passed over without a word would be missed too late.
PICTURE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)

_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
_HEIC_BRANDS = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"))
_TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# How a file of each format begins, and what reads its header. The classes are called directly because
# Image.open holds pictures to a limit of the whole process and tries formats that run other programs (EPS).
_FORMATS: dict[str, tuple[Callable[[bytes], bool], Callable[[IO[bytes], str], Image.Image]]] = {
    "JPEG": (lambda head: head.startswith(b"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),
    "PNG": (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    "GIF": (lambda head: head[:6] in (b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    "WebP": (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
    "AVIF": (lambda head: head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS, AvifImagePlugin.AvifImageFile),
    "TIFF": (lambda head: head[:4] in _TIFF_BEGINNINGS, TiffImagePlugin.TiffImageFile),
    "BMP": (lambda head: head.startswith(b"BM"), BmpImagePlugin.BmpImageFile),
    "PPM": (lambda head: head[:1] == b"P" and head[1:2] in b"123456", PpmImagePlugin.PpmImageFile),
}

# EXIF orientation -> what brings the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TRANSPOSED = (5, 6, 7, 8)  # of these rows become columns; PIL has turned the size of a TIFF already
_PNG_ORIENTATION = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type")  # what a PNG can hold it in


def read_picture(
    source: Source,
    *,
    mode: Literal["RGB", "L"] | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Pixels:
    """A picture of any supported kind as an array.

    The picture is turned upright by its EXIF orientation; of an animation the first frame is taken;
    transparent parts are composited over white; 16-bit values are scaled to 8 bits, not clipped. Arrays are
    (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with alpha last, of uint8, uint16 or floats in [0, 1].

    Args:
        source: a path, the bytes of a file, an array or a PIL picture.
        mode: "RGB" or "L" (luma of ITU-R BT.601); None keeps grey pictures grey and makes all others RGB.
        max_pixels: the most pixels a file may declare; looked at before anything is decoded.
        name: what an error calls the picture, where `source` does not say it (a member of a zip).

    Returns:
        uint8 (H, W, C), a copy; C = 1 for grey and 3 for colour.

    Raises:
        DataError: no picture can be read; the one line names it and says why.
        UsageError: a source or mode of another kind.
    """
    if mode not in (None, "RGB", "L"):
        raise UsageError('A picture is read as "RGB", "L" or None (as it is)', repr(mode))
    picture = _decoded(source, name, max_pixels, _upright_grey_or_rgb)
    if mode not in (None, picture.mode):
        picture = picture.convert(mode)
    pixels = np.array(picture)
    return pixels.reshape(*pixels.shape[:2], -1)


def read_cutout(source: Source, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Pixels:
    """As `read_picture`, but colours as they are below what is transparent, and how opaque they are beside them.

    Returns:
        uint8 (H, W, 4): red, green, blue, and alpha, which is 255 everywhere in a picture that has none.

    Raises:
        DataError: no picture can be read.
    """
    return np.array(_decoded(source, name, max_pixels, _upright_rgba))


def _decoded(
    source: Source, name: str | None, max_pixels: int, finish: Callable[[Image.Image, str], Image.Image]
) -> Image.Image:
    """The picture of any source, as `finish` makes it of what a decoder gives."""
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "an array", finish)
    if isinstance(source, Image.Image):
        return _from_decoder(lambda: source, name or "a PIL picture", max_pixels, finish)
    if isinstance(source, bytes):
        stream: IO[bytes] = io.BytesIO(source)
        return _from_decoder(_header_reader(stream, name or "bytes"), name or "bytes", max_pixels, finish)
    if isinstance(source, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]  for untyped callers
        with opened(source, "A picture") as stream:
            name = name or os.fspath(source)
            return _from_decoder(_header_reader(stream, name), name, max_pixels, finish)
    raise UsageError("A picture is a path, bytes, an array or a PIL picture", type(source).__name__)


def picture_shape(source: Source, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> tuple[int, int, int]:
    """Height and width of the picture that `read_picture` would give, and its EXIF orientation, 1 (upright) to 8.

    Only the header of a file is looked at, so that pixels may turn out to be damaged all the same.

    Raises:
        DataError: no picture, or one of too many pixels.
    """
    if isinstance(source, np.ndarray):
        height, width = read_picture(source, name=name).shape[:2]
        return height, width, 1
    if isinstance(source, Image.Image):
        return _shape(lambda: source, name or "a PIL picture", max_pixels)
    if isinstance(source, bytes):
        stream: IO[bytes] = io.BytesIO(source)
        return _shape(_header_reader(stream, name or "bytes"), name or "bytes", max_pixels)
    with opened(source, "A picture") as stream:
        name = name or os.fspath(source)
        return _shape(_header_reader(stream, name), name, max_pixels)


def _shape(read_header: Callable[[], Image.Image], name: str, max_pixels: int) -> tuple[int, int, int]:
    with _told_as_data_error(name):
        picture = _within(read_header(), name, max_pixels)
        orientation = _orientation(picture) if _may_be_turned(picture) else 1
        orientation = orientation if orientation in _TURNS else 1
        width, height = picture.size
        turned = orientation in _TRANSPOSED and not isinstance(picture, TiffImagePlugin.TiffImageFile)
        return (width, height, orientation) if turned else (height, width, orientation)


def _may_be_turned(picture: Image.Image) -> bool:
    """Whether to ask for the orientation: of a PNG that would decode all of it, as it may stand behind the pixels."""
    if not isinstance(picture, PngImagePlugin.PngImageFile) or picture.fp is None:
        return True
    place = picture.fp.tell()
    picture.fp.seek(0)
    content = picture.fp.read()
    picture.fp.seek(place)
    return any(mark in content for mark in _PNG_ORIENTATION)


def resize_picture(pixels: Pixels, height: int, width: int, how: Resize) -> Pixels:
    """(H, W, C) uint8 -> (height, width, C) uint8, antialiased (a triangle filter as wide as the reduction).

    Args:
        pixels: as from `read_picture`; returned as it is where the size is right already.
        height: rows wanted, at least 1.
        width: columns wanted, at least 1.
        how: "squash" changes the aspect ratio; "pad" keeps it and centres the picture on black; "crop"
            keeps it and cuts both ends of the longer side.

    Raises:
        UsageError: a size below 1, or another `how`.
    """
    if min(height, width) < 1:
        raise UsageError("A picture is at least 1 x 1", f"{height} x {width}")
    if how not in ("squash", "pad", "crop"):
        raise UsageError('A picture is resized by "squash", "pad" or "crop"', repr(how))
    rows, columns, channels = pixels.shape
    if (rows, columns) == (height, width):
        return pixels
    if how == "pad":
        (across, down), (left, top) = padded(rows, columns, height, width)
        page = np.zeros((height, width, channels), dtype=np.uint8)
        page[top : top + down, left : left + across] = resize_picture(pixels, down, across, "squash")
        return page
    box = (0.0, 0.0, float(columns), float(rows))
    if how == "crop":
        scale = min(rows / height, columns / width)
        # What is cut off where nothing is may be 1e-14 less.
        left, top = max(0.0, (columns - scale * width) / 2), max(0.0, (rows - scale * height) / 2)
        box = (left, top, columns - left, rows - top)
    resized = _as_pil(pixels).resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.array(resized).reshape(height, width, channels)


def padded(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where "pad" puts a picture of (rows, columns) on a page of (height, width): (width, height) and (left, top)."""
    scale = min(height / rows, width / columns)
    across, down = max(1, round(scale * columns)), max(1, round(scale * rows))
    return (across, down), ((width - across) // 2, (height - down) // 2)


def png_bytes(array: NDArray[Any]) -> bytes:
    """The bytes of a PNG file with the picture of an array, of any kind `read_picture` takes."""
    stream = io.BytesIO()
    _as_pil(read_picture(array)).save(stream, "PNG")
    return stream.getvalue()


def jpeg_bytes(pixels: Pixels, quality: int = 92) -> bytes:
    """The bytes of a JPEG file of (H, W, C) pixels, with colours at full resolution."""
    stream = io.BytesIO()
    _as_pil(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def content_hash(source: str | os.PathLike[str] | bytes | NDArray[Any]) -> str:
    """SHA-256 in hex of the bytes of a file, of bytes, or of an array (its shape, type and values).

    Raises:
        DataError: a file that cannot be read.
    """
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, np.ndarray):
        digest = hashlib.sha256(f"{source.shape} {source.dtype.str}\n".encode())
        digest.update(source.tobytes())
        return digest.hexdigest()
    with opened(source, "An item") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _header_reader(stream: IO[bytes], name: str) -> Callable[[], Image.Image]:
    """What reads the header of a file of the format that it begins as."""
    head = stream.read(16)
    stream.seek(0)
    if not head:
        raise DataError("A picture has content", f"{name} with 0 bytes", "Copy it again or take it out.")
    header_reader = next((reader for begins, reader in _FORMATS.values() if begins(head)), None)
    if header_reader is None and head[4:12] in _HEIC_BRANDS:
        raise DataError(
            f"A picture is one of {', '.join(_FORMATS)}", f"{name}, which is HEIC", "Export it as JPEG, or convert it."
        )
    if header_reader is None:
        raise DataError(
            f"A picture is one of {', '.join(_FORMATS)}",
            f"{name}, which begins with {head!r}",
            "Convert it or take it out.",
        )
    return lambda: header_reader(stream, "")


def _from_decoder(
    read_header: Callable[[], Image.Image],
    name: str,
    max_pixels: int,
    finish: Callable[[Image.Image, str], Image.Image],
) -> Image.Image:
    with _told_as_data_error(name):
        picture = _within(read_header(), name, max_pixels)
        picture.load()
        return finish(picture, name)


def _within(picture: Image.Image, name: str, max_pixels: int) -> Image.Image:
    width, height = picture.size
    if width * height > max_pixels:
        raise DataError(
            f"A picture has at most {max_pixels:,} pixels",
            f"{name} with {width} x {height}",
            "Make it smaller first.",
        )
    return picture


@contextmanager
def _told_as_data_error(name: str) -> Generator[None]:
    try:
        yield
    except LikewiseError:
        raise
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, ...
        raise DataError(
            "A picture decodes to its last pixel",
            f"{name} ({error or type(error).__name__})",
            "Copy it again from where it came from, or take it out.",
        ) from error


def _upright_grey_or_rgb(picture: Image.Image, name: str) -> Image.Image:
    """Any mode of PIL -> "L" or "RGB", turned by EXIF."""
    turn = _TURNS.get(_orientation(picture))
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = _from_deep_grey(picture, name)
    base = "L" if _is_grey(picture) else "RGB"
    if picture.mode == "P":
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.has_transparency_data:
        sheer = picture.convert(base + "A")
        picture = Image.new(base, picture.size, "white")
        picture.paste(sheer.convert(base), mask=sheer.getchannel("A"))
    if picture.mode != base:
        # CMYK needs no more: JPEG files hold it inverted, as Adobe began to, and PIL has turned that round.
        picture = picture.convert(base)
    return picture if turn is None else picture.transpose(turn)


def _upright_rgba(picture: Image.Image, name: str) -> Image.Image:
    """Any mode of PIL -> "RGBA", turned by EXIF."""
    turn = _TURNS.get(_orientation(picture))
    if not picture.has_transparency_data or picture.mode.startswith(("I", "F")):
        return _upright_grey_or_rgb(picture, name).convert("RGBA")
    picture = picture.convert("RGBA")
    return picture if turn is None else picture.transpose(turn)


def _orientation(picture: Image.Image) -> int:
    """1 (upright) where EXIF has none; damaged EXIF does not make good pixels unreadable."""
    try:
        return picture.getexif().get(ExifTag.Orientation, 1)
    except Exception:
        return 1


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "P":
        red, green, blue = np.array(picture.getpalette("RGB")).reshape(-1, 3).T
        return bool((red == green).all() and (green == blue).all())
    return picture.mode in ("1", "L", "LA", "La")


def _from_deep_grey(picture: Image.Image, name: str) -> Image.Image:
    """16-bit integers, 32-bit integers (in PIL these hold 16-bit values) and floats -> "L"."""
    values = np.asarray(picture)
    if picture.mode == "I":
        if values.min() < 0 or values.max() > 65535:
            raise DataError(
                "A grey picture of integers lies in 0 to 65535",
                f"{name} with values from {values.min()} to {values.max()}",
                "Scale it first.",
            )
        values = values.astype(np.uint16)
    transparent = picture.info.get("transparency")
    if transparent is not None:
        values = np.where(values == transparent, np.array(65535, values.dtype), values)
    return Image.fromarray(_eight_bits(values, name))


def _from_array(values: NDArray[Any], name: str, finish: Callable[[Image.Image, str], Image.Image]) -> Image.Image:
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or values.size == 0:
        raise DataError("A picture as an array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)", f"{name} {values.shape}")
    return finish(_as_pil(_eight_bits(values, name)), name)


def _eight_bits(values: NDArray[Any], name: str) -> Pixels:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):  # so put, NaN is refused too
            raise DataError(
                "A picture of floats lies in [0, 1]",
                f"{name} with values from {values.min()} to {values.max()}",
                "Scale it and see to NaN first.",
            )
        return np.rint(values * 255.0).astype(np.uint8)
    raise DataError(
        "A picture as an array is of uint8, uint16 or floats in [0, 1]",
        f"{name} of {values.dtype}",
        "Convert it, for example with array.astype(numpy.uint8).",
    )


def _as_pil(pixels: Pixels) -> Image.Image:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 -> "L", "RGB" or "RGBA"."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)
