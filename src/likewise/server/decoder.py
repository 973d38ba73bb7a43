"""A process that decodes pictures for the service, one after the other, until its input ends.

A decoder is C code that works on what a stranger sent. It can be told to stop, and kept from taking all memory, only
where it is a process of its own; nothing here needs torch, so that another one starts in a quarter of a second.

Frames go in and out, each a header in JSON and a body, with the lengths of both before them:

    in:   {"prepare"}, to load a finder before the time of a picture runs
    out:  {"ready"}; or {"rule", "received", "remedy"}
    in:   {"name", "prepare", "kind": "picture", "mode", "height", "width", "resize", "max_pixels"} and the bytes of a
          picture; or "kind": "whole" with no more than "mode" and "max_pixels", for a picture as it is, which somebody
          else will look through; or "kind": "sound", "rate", "samples", "max_seconds" and the bytes of a sound
    out:  {"size", "parts", "type", "shape"}: height and width of the upright picture, or how many samples the sound
          has; each part with {"box", "flaw"}; and the values of the parts, each of this type and shape; or
          {"rule", "received", "remedy"} and nothing
"""

from __future__ import annotations

import json
import signal
import struct
import sys
import warnings
from functools import lru_cache
from typing import Any, BinaryIO

from likewise.errors import DataError, LikewiseError
from likewise.media.lengths import at_length, whole_numbers
from likewise.media.pictures import Pixels, read_picture
from likewise.media.sounds import read_sound
from likewise.prepare import Finder, Part, finder_from, parts_of

MOST_MEMORY = 4 << 30  # bytes of address space; pictures within the limit of pixels need far less
_LENGTHS = struct.Struct("!II")


def send(stream: BinaryIO, header: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Writes a frame."""
    head = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(head), len(body)) + head)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Reads a frame.

    Raises:
        EOFError: the other side has ended.
    """
    head, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, head)), _exactly(stream, body)


def _exactly(stream: BinaryIO, number: int) -> bytes:
    found = stream.read(number)
    if len(found) < number:
        raise EOFError
    return found


@lru_cache(maxsize=4)
def _finder(described: str) -> Finder:
    return finder_from(json.loads(described))


def _picture(header: dict[str, Any], content: bytes, finder: Finder | None) -> tuple[list[Part], tuple[int, ...]]:
    picture = _upright(header, content)
    return parts_of(picture, finder, header["height"], header["width"], header["resize"]), picture.shape[:2]


def _whole(header: dict[str, Any], content: bytes, _: Finder | None) -> tuple[list[Part], tuple[int, ...]]:
    picture = _upright(header, content)
    return [Part(picture)], picture.shape[:2]


def _upright(header: dict[str, Any], content: bytes) -> Pixels:
    return read_picture(content, mode=header["mode"], max_pixels=header["max_pixels"], name=header["name"])


def _sound(header: dict[str, Any], content: bytes, _: Finder | None) -> tuple[list[Part], tuple[int, ...]]:
    samples = read_sound(content, rate=header["rate"], max_seconds=header["max_seconds"], name=header["name"])
    return [Part(whole_numbers(at_length(samples, header["samples"])))], samples.shape


_READERS = {"picture": _picture, "whole": _whole, "sound": _sound}


def _answer(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    name = header.get("name", "")
    try:
        finder = None if header["prepare"] is None else _finder(json.dumps(header["prepare"]))
        if "name" not in header:
            return {"ready": True}, b""
        parts, size = _READERS[header["kind"]](header, content, finder)
        described: dict[str, Any] = {"size": size, "parts": [{"box": part.box, "flaw": part.flaw} for part in parts]}
        if parts:
            described |= {"type": parts[0].values.dtype.str, "shape": parts[0].values.shape}
        return described, b"".join(part.values.tobytes() for part in parts)
    except LikewiseError as error:
        failed = error
    except MemoryError:
        failed = DataError("An upload is decoded in a bounded memory", name, "Make it smaller.")
    received = None if failed.received is None else str(failed.received)
    return {"rule": failed.rule, "received": received, "remedy": failed.remedy}, b""


def main() -> None:
    """Serves standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends this process
    warnings.simplefilter("ignore")
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # which would be pictures on disk
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    send(answers, {"ready": True})
    while True:
        try:
            send(answers, *_answer(*receive(asked)))
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    main()
