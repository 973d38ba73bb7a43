"""Items on their way to an encoder: each is read once, and what was read is what is hashed, encoded and kept."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, cast, final

import numpy as np
from numpy.typing import NDArray

from likewise.data.loaders import files_below
from likewise.encoder import Encoded, Item
from likewise.encoder.preprocessing import Readable
from likewise.errors import DataError, ModelError, UsageError
from likewise.media.pictures import content_hash, png_bytes
from likewise.prepare import Box, Finder, unfit

LARGEST = 1 << 30  # bytes of a file; pixels are limited where it is decoded

Encode = Callable[[Sequence[Item]], Encoded]


@final
@dataclass(frozen=True)
class EncodedItem:
    """An item that could be read, or a part of one.

    Attributes:
        number: which of the items that were given.
        file: its path, or what else says which it was.
        box: the part of it that was encoded: left, top, width, height in pixels; None for all of it.
        flaw: why nothing should be decided by it; None for a good one.
        embedding: (D,) float32.
        content_hash: SHA-256 in hexadecimal.
        original: its bytes, where they were to be kept.
    """

    number: int
    file: str
    box: Box | None
    flaw: str | None
    embedding: NDArray[np.float32]
    content_hash: str
    original: bytes | None


class Unused(NamedTuple):
    """An item that cannot be used: which of those that were given, its file, and why."""

    number: int
    file: str
    reason: str


@final
@dataclass(frozen=True)
class EncodedItems:
    """What encoding items gave.

    Attributes:
        found: everything that was found in them, in their order.
        skipped: each that could not be read.
        empty: number and file of each in which nothing was found.
    """

    found: list[EncodedItem]
    skipped: list[Unused]
    empty: list[tuple[int, str]]


def encode_items(items: Item | Sequence[Item], encode: Encode, *, keep: bool = False) -> EncodedItems:
    """Reads and encodes items.

    Args:
        items: one, or a list.
        encode: e.g. `Model.encode_parts`.
        keep: whether originals are wanted.

    Raises:
        UsageError: nothing to encode. ModelError: an embedding that is no finite numbers.
    """
    listed = cast(Sequence[Item], items if isinstance(items, (list, tuple)) else [items])  # an item is neither
    if not listed:
        raise UsageError("There is something to encode", "an empty list", "Pass at least one item.")
    opened = [_Opened(item, i, keep) for i, item in enumerate(listed)]
    encoded = encode([one.item for one in opened])
    embeddings = encoded.embeddings.numpy()
    with np.errstate(over="ignore"):
        if not np.isfinite(np.square(embeddings).sum(axis=1)).all():
            raise ModelError("Embeddings are finite numbers", "others", "The model is damaged; train it again.")
    rows = encoded.kept.tolist()
    boxes, flaws = encoded.boxes or [None] * len(rows), encoded.flaws or [None] * len(rows)
    found = [
        EncodedItem(i, opened[i].file, box, flaw, row, opened[i].content_hash, opened[i].original)
        for i, box, flaw, row in zip(rows, boxes, flaws, embeddings, strict=True)
    ]
    skipped = [Unused(i, opened[i].file, reason) for i, reason in encoded.problems]
    nothing = sorted(set(range(len(opened))) - set(rows) - {i for i, _ in encoded.problems})
    return EncodedItems(found, skipped, [(i, opened[i].file) for i in nothing])


def sole(encoded: EncodedItems, finder: Finder | None) -> tuple[list[EncodedItem], list[Unused]]:
    """Items that show one thing and show it well; and in their order those that do not, or cannot be read.

    Args:
        encoded: everything that was found.
        finder: what found it.
    """
    good: list[EncodedItem] = []
    bad = [*encoded.skipped, *(Unused(number, file, str(unfit((), finder))) for number, file in encoded.empty)]
    for number, group in groupby(encoded.found, key=lambda item: item.number):
        there = list(group)
        reason = unfit([item.flaw for item in there], finder)
        if reason is None:
            good += there
        else:
            bad.append(Unused(number, there[0].file, reason))
    return good, sorted(bad)


def told(unused: Sequence[Unused]) -> tuple[tuple[str, str], ...]:
    """File and reason of each, for an answer."""
    return tuple((one.file, one.reason) for one in unused)


def nothing_read(unused: Sequence[Unused]) -> DataError:
    """The refusal where none of the items can be used."""
    first = unused[0]
    reason = first.reason if first.file in first.reason else f"{first.file}: {first.reason}"
    if len(unused) == 1:
        return DataError(reason)
    return DataError(f"None of {len(unused)} items can be used, the first because: {reason}")


@final
class _Opened:
    """One item; reading it leaves its hash, and its bytes where they are to be kept."""

    def __init__(self, item: Item, number: int, keep: bool) -> None:
        self._keep = keep
        self.content_hash = ""
        self.original: bytes | None = None
        self.file = str(item) if isinstance(item, (str, os.PathLike, Readable)) else f"item {number}"
        self.item: Item = self  # what is handed to the encoder, which reads it
        if isinstance(item, np.ndarray):
            self.item, self.content_hash = item, content_hash(item)
            self.original = png_bytes(item) if keep else None
        elif isinstance(item, bytes):
            self._read = lambda: item
        elif isinstance(item, Readable):
            self._read = item.read
        else:
            self._read = lambda: read_file(Path(item))

    def read(self) -> bytes:
        """The bytes, as `encode` asks for them."""
        content = self._read()
        self.content_hash = content_hash(content)
        self.original = content if self._keep else None
        return content

    def __str__(self) -> str:
        return self.file


def files_in(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and the pictures below the folders among them.

    Raises:
        DataError: a folder that may not be listed, no file at all, or none that is there: which is told at once.
    """
    found = [
        file for path in paths for file in ([path / below for below in files_below(path)] if path.is_dir() else [path])
    ]
    if not found:
        raise DataError("There is something to encode", f"no pictures in {', '.join(map(str, paths))}")
    if not any(os.path.lexists(path) for path in found):
        reasons = [str(_unreadable(path, os.strerror(errno.ENOENT))) for path in found]
        raise nothing_read([Unused(i, str(found[i]), reason) for i, reason in enumerate(reasons)])
    return found


def read_file(path: Path) -> bytes:
    """All of a regular file; opening a pipe would wait for ever.

    Raises:
        DataError: it cannot be read, or is too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError("a folder or a device")
        if status.st_size > LARGEST:
            raise OSError(f"{status.st_size:,} bytes, and {LARGEST:,} are the most")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise _unreadable(path, reason) from error


def _unreadable(path: Path, reason: object) -> DataError:
    return DataError("A picture is a file that can be read", f"{path} ({reason})", "Check its name and permissions.")
