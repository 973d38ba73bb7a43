"""Reading sounds, safely and alike everywhere: the only place of Likewise that decodes one.

Whatever comes in (a file, bytes, an array; 8 to 64 bits, one channel or many, 1 to 768 kHz, compressed or not) leaves
as one kind of array: float32 (T,), one channel, about -1 to 1, at the rate that was asked for.

How long a sound is to be stands in the header of most files, and one that ends before is refused. Ogg has no such
place, nor has an MP3 without a Xing header: cut, these are read as far as they go.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias, cast, final

import numpy as np
import soundfile
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file
from likewise.media.opening import opened

Samples: TypeAlias = NDArray[np.float32]
Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any]

MAX_SECONDS = 3600.0  # 230 MB at 16 kHz; what is longer is read by `stream_sound`
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
MAX_CHANNELS = 1024  # as in files
LOUDEST = 16.0  # 24 dB above full scale: more is another scale, such as that of 16-bit integers

# What a scan of a folder takes for a sound, compared in lower case; reading goes by the content alone.
SOUND_SUFFIXES = frozenset(
    {
        ".aif",
        ".aifc",
        ".aiff",
        ".au",
        ".caf",
        ".flac",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".rf64",
        ".snd",
        ".w64",
        ".wav",
        ".wave",
    }
)

# How a file of each format begins. libsndfile knows more, some of which begin in ways that any file might.
_FORMATS: dict[str, Callable[[bytes], bool]] = {
    "WAV": lambda head: head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE",
    "W64": lambda head: head.startswith(b"riff\x2e\x91\xcf\x11"),
    "FLAC": lambda head: head.startswith(b"fLaC"),
    "Ogg": lambda head: head.startswith(b"OggS"),
    "MP3": lambda head: head.startswith(b"ID3") or (head[0] == 0xFF and len(head) > 1 and head[1] & 0xE6 == 0xE2),
    "AIFF": lambda head: head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"),
    "AU": lambda head: head[:4] in (b".snd", b"dns."),
    "CAF": lambda head: head.startswith(b"caff"),
}

# libsndfile makes do with what is there of a WAV, AIFF, AU, RF64 or W64 file, and notes it in its log.
_CUT = re.compile(r"^\s*(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNTOLD_BYTES = 0x7FFF0000  # who writes into a pipe cannot know the size, and writes this or more
_UNTOLD_FRAMES = 2**60
_MP3_SLACK = 2304  # two frames of an MP3: encoders do not agree on whether the header counts the first and the last

_SAMPLES_AT_ONCE = 2**16  # of all channels together

FRAME_SECONDS = 0.01  # of `word_bounds`, as all below
CLICK_FRAMES = 4  # what is loud in no more than 3 frames in a row is a click
PAUSE_FRAMES = 20  # the longest pause inside a word, such as before a k
DIGITAL_ZERO_DB = -100.0  # below the smallest step of 16 bits
STEADY_DB = 6.0  # noise alone varies less
WORD_SHARE = 0.4  # of the way up from floor to peak, in dB, where the word begins
WORD_DEPTH_DB = 35.0  # below the peak; what is quieter in a quiet room is breath


@final
@dataclass(frozen=True)
class SoundInfo:
    """What the header of a sound says.

    Attributes:
        seconds: its length.
        rate: samples per second of one channel.
        channels: 1 for mono.
    """

    seconds: float
    rate: int
    channels: int


def read_sound(source: Source, *, rate: int, max_seconds: float = MAX_SECONDS, name: str | None = None) -> Samples:
    """A sound of any supported kind as an array.

    Several channels become their mean, and another rate `rate` by band-limited interpolation (soxr, HQ: flat within
    0.02 dB up to 0.92 of the lower band, what would alias 120 dB down). Clipped and silent sounds are read
    as they are. Safe in many threads at once.

    Args:
        source: a path, the bytes of a file, or an array (T,) or (T, C) of uint8, int16, int32 or floats in [-1, 1],
            which is at `rate` already. Samples without a header are no file.
        rate: samples per second that are wanted, 1,000 to 768,000.
        max_seconds: the longest a file may declare to be; looked at before anything is decoded, and again while it is.
        name: what an error calls the sound, where `source` does not say it (a member of a zip).

    Returns:
        float32 (T,), a copy. Full scale is 1; codecs that lose a little, and resampling, may pass it.

    Raises:
        DataError: no sound can be read; the one line names it and says why.
        UsageError: a source of another kind, or an impossible rate.
    """
    _check_rate(rate)
    if isinstance(source, np.ndarray):
        return _from_array(source, rate, max_seconds, name or "an array")
    with _open(source, name) as sound:
        _check_whole(sound)
        return np.concatenate(list(_decoded(sound, rate, _at_once(sound), max_seconds)))


def sound_info(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> SoundInfo:
    """Length, rate and channels of a sound, by its header alone; a FLAC that does not tell its length is counted.

    Raises:
        DataError: it cannot be opened, is none, or ends before it should by its header.
    """
    with _open(source, name) as sound:
        _check_whole(sound)
        samples = sum(map(len, _mono(sound, _at_once(sound)))) if sound.promised is None else sound.promised
        return SoundInfo(samples / sound.samplerate, sound.samplerate, sound.channels)


def stream_sound(
    source: str | os.PathLike[str] | BinaryIO, *, rate: int, block: int, name: str | None = None
) -> Iterator[Samples]:
    """A sound of any length, or one that is still being made, in memory that does not grow.

    The blocks together are what `read_sound` returns.

    Args:
        source: a path or a binary stream. A stream that cannot be sought, such as standard input, has a file
            descriptor and holds a WAV of any kind libsndfile reads; what its header says of the length is not held
            against it, since who writes into a pipe does not know it.
        rate: samples per second that are wanted, 1,000 to 768,000.
        block: samples of each block but the last, which has 1 to `block`. A block is there as soon as the stream
            has brought about as much (resampling looks ahead some ms).
        name: what an error calls the sound, where `source` does not say it.

    Raises:
        DataError: as `read_sound`, but some only once the stream has come so far: of a file that was cut short, all
            that is there comes first.
        UsageError: an impossible rate or block, or a stream without any descriptor that cannot be sought.
    """
    _check_rate(rate)
    if block < 1:
        raise UsageError("A block has at least 1 sample", block)
    return _in_blocks(_streamed(source, rate, block, name), block)


def stream_pieces(pieces: Iterable[Samples], *, given: int, rate: int, block: int) -> Iterator[Samples]:
    """Samples of one channel that come in piece by piece, as `stream_sound` gives those of a file.

    Args:
        pieces: (T,) each, of any length.
        given: their rate.
        rate, block: see `stream_sound`.

    Raises:
        UsageError: an impossible rate or block.
    """
    _check_rate(given)
    _check_rate(rate)
    if block < 1:
        raise UsageError("A block has at least 1 sample", block)
    return _in_blocks(pieces if given == rate else _resampled(pieces, given, rate), block)


def write_sound(path: str | os.PathLike[str], samples: NDArray[np.floating[Any]], rate: int) -> None:
    """Writes a WAV of 16 bits; what was there before is replaced in one step.

    The nearest step of 2^-15 is taken, without dither, so that what was read from 16 bits is written as it was. What
    passes full scale is clipped.

    Args:
        path: where to.
        samples: (T,) or (T, C), 1 is full scale.
        rate: samples per second, 1,000 to 768,000.

    Raises:
        DataError: NaN or infinity among the samples, another shape, or it could not be written.
        UsageError: an impossible rate, or `path` is a folder.
    """
    _check_rate(rate)
    _check_shape(samples, os.fspath(path))
    _check_level(samples, os.fspath(path), loudest=math.inf)
    steps = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, steps, rate, format="WAV", subtype="PCM_16")
    with replacing_file(os.fspath(path)) as fresh:
        fresh.write_bytes(stream.getbuffer())


def word_bounds(samples: Samples, rate: int, share: float = WORD_SHARE) -> tuple[int, int] | None:
    """Where the one word of a clip lies: ``samples[start:end]``; None where there is none.

    The clip may hold silence, noise that is at least some 20 dB quieter, clicks and digital zero besides.
    Energies of frames of 10 ms, each without its mean, are opened in the sense of mathematical morphology
    with 4 frames: each becomes the loudest level that some 4 frames in a row around it reach, so that a
    click shorter than 40 ms is gone. The floor is the 10th percentile of frames that are not digital
    zero, the peak the loudest after opening. The word is what lies above `share` of the way from floor to
    peak in dB, or 35 dB below the peak where that is higher, with pauses up to 0.2 s; of several such
    stretches the one with the largest area above the line. Where all that is not digital zero is steady
    within 6 dB, it is the word as a whole if there is digital zero too, else there is none.

    Measured on 315 clips of "alexa" of 1.3 to 5.7 s from many microphones, a fifth of each digital zero:
    94% of the words found last 0.4 to 1.0 s, none less, the median 0.63 s; the other 6%, up to 1.7 s,
    take in noise before or after the word. All of 411 clips of "computer", mostly of 3.1 s, give 0.44 to
    0.96 s, the median 0.66 s. Of 28 of both that were looked at, the shortest and the longest among them,
    none lost a part of the word. A clip that holds nothing but a word has no floor and loses its quiet
    ends, such as the s of "six": of 2,000 spoken digits of 0.14 to 1.0 s, 90% of what is found lasts 0.13
    to 0.41 s, and the median is 0.64 of the clip.

    Args:
        samples: (T,) as from `read_sound`.
        rate: samples per second.
        share: in (0, 1); more of it leaves more noise out, and soft ends of words too.
    """
    size = max(1, round(rate * FRAME_SECONDS))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    if len(frames) < CLICK_FRAMES:
        return None
    levels = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + 1e-12)
    heard = levels > DIGITAL_ZERO_DB
    if not heard.any():
        return None
    floor = float(np.percentile(levels[heard], 10))
    levels = _opening(levels, CLICK_FRAMES)
    peak = float(levels.max())
    if peak - floor >= STEADY_DB:
        line = max(floor + share * (peak - floor), peak - WORD_DEPTH_DB)
    elif heard.all():
        return None
    else:
        line = DIGITAL_ZERO_DB
    loud = np.flatnonzero(levels > line)
    if not len(loud):
        return None
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE_FRAMES + 1) + 1)
    word = max(stretches, key=lambda stretch: float((levels[stretch] - line).sum()))
    return int(word[0]) * size, int(word[-1] + 1) * size


def _opening(levels: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """(F,) the highest level that `width` neighbours, of which one is the frame itself, all reach."""
    reached = np.pad(sliding_window_view(levels, width).min(axis=1), width - 1, constant_values=-np.inf)
    return sliding_window_view(reached, width).max(axis=1)


@final
class _Nameless:
    """What soundfile asks of a stream: without a name, whose ending it would believe, and without exceptions.

    Those of its callbacks are printed, and damaged files send it to places before the beginning.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, count: int) -> bytes:
        try:
            return self._stream.read(count)
        except OSError:
            return b""  # then the sound ends before it should

    def seek(self, offset: int, whence: int) -> None:
        with suppress(OSError, ValueError):
            self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@final
class _Decoder(soundfile.SoundFile):
    """Reads straight on: soundfile seeks to where it is after every block, which upsets the decoder of MP3.

    Attributes:
        called: what an error calls the sound.
        promised: samples of each channel by the header; None where it does not tell, or through a pipe cannot know.
    """

    def __init__(self, file: _Nameless | int, called: str) -> None:
        super().__init__(cast(Any, file), "r", closefd=False)
        self.called = called
        self.promised = None if isinstance(file, int) or self.frames >= _UNTOLD_FRAMES else self.frames

    def seekable(self) -> bool:
        return False


@contextmanager
def _open(source: str | os.PathLike[str] | bytes, name: str | None) -> Generator[_Decoder]:
    if isinstance(source, bytes):
        with _from_stream(io.BytesIO(source), name or "bytes") as sound:
            yield sound
    elif isinstance(source, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]  for untyped callers
        with opened(source, "A sound") as stream, _from_stream(stream, name or os.fspath(source)) as sound:
            yield sound
    else:
        raise UsageError("A sound is a path, bytes or an array", type(source).__name__)


@contextmanager
def _from_stream(stream: BinaryIO, name: str) -> Generator[_Decoder]:
    head = stream.read(16)
    stream.seek(0)
    if not head:
        raise DataError("A sound has content", f"{name} with 0 bytes", "Copy it again or take it out.")
    if not any(begins(head) for begins in _FORMATS.values()):
        raise DataError(
            f"A sound is one of {', '.join(_FORMATS)}",
            f"{name}, which begins with {head!r}",
            "Convert it or take it out.",
        )
    with _decoding(name):
        sound = _Decoder(_Nameless(stream), name)
    with sound:
        _check_rate_of(sound)
        yield sound


@contextmanager
def _from_pipe(stream: BinaryIO, name: str) -> Generator[_Decoder]:
    """From a pipe libsndfile reads WAV, but some other formats wrongly."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError) as error:
        raise UsageError(
            "A stream of sound can be sought or has a file descriptor", type(stream).__name__, "Save it to a file."
        ) from error
    try:
        sound = _Decoder(descriptor, name)
    except Exception as error:
        raise _no_wav(name, _reason(error)) from error
    with sound:
        if sound.format not in ("WAV", "WAVEX"):
            raise _no_wav(name, sound.format)
        _check_rate_of(sound)
        yield sound


def _no_wav(name: str, received: str) -> DataError:
    return DataError("A sound that comes through a pipe is a WAV", f"{name} ({received})", "Save it to a file first.")


@contextmanager
def _decoding(name: str) -> Generator[None]:
    try:
        yield
    except Exception as error:  # soundfile raises what it likes: RuntimeError, TypeError, ValueError, MemoryError, ...
        raise _cut_short(f"{name} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (getattr(error, "error_string", "") or str(error) or type(error).__name__).rstrip(".")


def _cut_short(received: str) -> DataError:
    return DataError(
        "A sound decodes to its last sample", received, "Copy it again from where it came from, or take it out."
    )


def _streamed(source: str | os.PathLike[str] | BinaryIO, rate: int, block: int, name: str | None) -> Iterator[Samples]:
    if isinstance(source, str | os.PathLike):
        opening = _open(source, name)
    elif hasattr(source, "read") and not isinstance(source, bytes):
        called = name or str(getattr(source, "name", "a stream"))
        opening = _from_stream(source, called) if source.seekable() else _from_pipe(source, called)
    else:
        raise UsageError("A sound to be streamed is a path or a binary stream", type(source).__name__)
    with opening as sound:
        yield from _decoded(sound, rate, math.ceil(block * sound.samplerate / rate))


def _at_once(sound: _Decoder) -> int:
    return max(1, _SAMPLES_AT_ONCE // sound.channels)


def _decoded(sound: _Decoder, rate: int, frames: int, max_seconds: float = math.inf) -> Iterator[Samples]:
    """One channel at `rate`, in pieces of any length, from at most `frames` samples of the file each."""
    longest = max_seconds * sound.samplerate
    if sound.promised is not None and sound.promised > longest:
        raise _too_long(f"{sound.called} with {sound.promised / sound.samplerate:,.1f} s", max_seconds)
    pieces = _mono(sound, frames, longest)
    made = 0
    for piece in pieces if sound.samplerate == rate else _resampled(pieces, sound.samplerate, rate):
        made += len(piece)
        yield piece
    if not made:
        raise DataError("A sound has samples", f"{sound.called} with none at {rate:,} Hz", "Take it out.")


def _mono(sound: _Decoder, frames: int, longest: float = math.inf) -> Iterator[Samples]:
    read = 0
    while True:
        with _decoding(sound.called):
            block = np.asarray(sound.read(frames, dtype="float32", always_2d=True), np.float32)
        if not len(block):
            break
        read += len(block)
        if read > longest:  # a header may lie, or say nothing
            raise _too_long(f"{sound.called} with more", longest / sound.samplerate)
        piece = block[:, 0] if sound.channels == 1 else block.mean(axis=1)
        _check_level(piece, sound.called)
        yield piece
    slack = _MP3_SLACK if sound.format == "MP3" else 0
    if sound.promised is not None:
        _check_whole(sound)
        if read < sound.promised - slack:
            raise _cut_short(f"{sound.called} with {read:,} of {sound.promised:,} samples")


def _check_whole(sound: _Decoder) -> None:
    """Refuses a file that has fewer bytes than its header says."""
    cut = _CUT.search(sound.extra_info)
    if cut and int(cut[1]) < _UNTOLD_BYTES:
        raise _cut_short(f"{sound.called} with {int(cut[2]):,} of {int(cut[1]):,} bytes")


def _resampled(pieces: Iterable[Samples], given: int, wanted: int) -> Iterator[Samples]:
    resampler = soxr.ResampleStream(given, wanted, 1, dtype="float32", quality="HQ")
    for piece in pieces:
        yield resampler.resample_chunk(piece)
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _in_blocks(pieces: Iterable[Samples], block: int) -> Iterator[Samples]:
    held = np.empty(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        whole = len(held) - len(held) % block
        yield from held[:whole].reshape(-1, block)
        held = held[whole:]
    if len(held):
        yield held


def _from_array(values: NDArray[Any], rate: int, max_seconds: float, name: str) -> Samples:
    _check_shape(values, name)
    if len(values) > max_seconds * rate:
        raise _too_long(f"{name} with {len(values) / rate:,.1f} s", max_seconds)
    kind, bits = values.dtype.kind, values.dtype.itemsize * 8
    if (kind, bits) == ("u", 8):
        scaled = (values - np.float32(128)) / np.float32(128)
    elif (kind, bits) in (("i", 16), ("i", 32)):
        scaled = values.astype(np.float32) / np.float32(2 ** (bits - 1))
    elif kind == "f":
        scaled = values.astype(np.float32)
    else:
        raise DataError(
            "A sound as an array is of uint8, int16, int32 or floats in [-1, 1]",
            f"{name} of {values.dtype}",
            "Convert it, for example with array.astype(numpy.int16).",
        )
    samples = scaled if scaled.ndim == 1 else scaled.mean(axis=1)
    _check_level(samples, name)
    return samples


def _check_shape(values: NDArray[Any], name: str) -> None:
    if values.ndim not in (1, 2) or values.size == 0 or values.shape[1:] > (MAX_CHANNELS,):
        raise DataError("A sound as an array is (T,) or (T, C)", f"{name} {values.shape}")


def _check_level(samples: NDArray[np.floating[Any]], name: str, loudest: float = LOUDEST) -> None:
    low, high = samples.min(), samples.max()
    if not np.isfinite([low, high]).all():
        raise DataError("A sound holds finite numbers", f"{name} with NaN or infinity", "Repair it or take it out.")
    if max(-low, high) > loudest:
        raise DataError(
            "A sound of floats lies in about [-1, 1]", f"{name} with values from {low:g} to {high:g}", "Scale it first."
        )


def _check_rate(rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise UsageError(f"A rate is a whole number from {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz", f"{rate:,}")


def _check_rate_of(sound: _Decoder) -> None:
    if not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
        raise DataError(
            f"A sound has {LOWEST_RATE:,} to {HIGHEST_RATE:,} samples per second",
            f"{sound.called} with {sound.samplerate:,}",
            "Convert it or take it out.",
        )


def _too_long(received: str, max_seconds: float) -> DataError:
    return DataError(
        f"A sound lasts at most {max_seconds:,g} s", received, "Cut it, or raise max_seconds if you trust it."
    )
