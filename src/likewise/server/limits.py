"""What a client may send, at most."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from likewise.errors import UsageError


@final
@dataclass(frozen=True)
class Limits:
    """Each is greater than 0.

    Attributes:
        request_bytes: of the body of a request; looked at before and while it arrives.
        picture_bytes: of one picture.
        pixels: of one picture, as its header says, before it is decoded.
        sound_seconds: of one sound, as its header says and as it is decoded.
        decode_seconds: for decoding one picture, and for cutting out what a detector finds in it.
        parts: that are encoded of one picture.
        body_seconds: until the body of a request has arrived.
        files: pictures in one request; in one to cluster, `cluster_files`.
        queue: pictures, and requests, that are being worked on or wait for it.
    """

    request_bytes: int = 64 << 20
    picture_bytes: int = 10 << 20
    pixels: int = 24_000_000
    sound_seconds: float = 600.0
    decode_seconds: float = 5.0
    parts: int = 128
    body_seconds: float = 30.0
    files: int = 64
    cluster_files: int = 1000
    queue: int = 256

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise UsageError("A limit is greater than 0", f"{one.name} = {getattr(self, one.name)}")
        if self.files > self.queue:
            raise UsageError(
                "The queue holds the pictures of a request", f"{self.files} pictures, and a queue of {self.queue}"
            )
