"""Nothing is used before its content is proved right, wherever it comes from."""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

from likewise.assets.catalogue import AssetFile

_BLOCK = 1 << 20
_log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """One source does not have one file; the text says why in a few words."""


def find_checked(folder: Path, file: AssetFile) -> Path:
    """The file in a folder, as it is or with .gz, when its content is right.

    Raises:
        UnavailableError: it is not there, or what is there is not right.
        OSError: the folder cannot be looked into.
    """
    if not folder.is_dir():
        raise UnavailableError("no such folder")
    reason = f"no {file.name}"
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        if path.is_file():
            try:
                with path.open("rb") as stream:
                    copy_checked(stream, None, file, origin=str(path))
                return path
            except (UnavailableError, OSError) as error:
                reason = str(error)
    raise UnavailableError(reason)


def store_checked(
    source: IO[bytes],
    folder: Path,
    file: AssetFile,
    *,
    origin: str,
    progress: Callable[[int], None],
) -> Path:
    """Writes the content of a stream to `folder`, where it gets its name only once it is whole and right.

    Raises:
        UnavailableError: the content is not right.
        OSError: reading or writing failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{file.name}.{uuid4().hex[:12]}"
    try:
        with part.open("xb") as target:
            copy_checked(source, target, file, origin=origin, progress=progress)
        return part.replace(folder / file.name)
    finally:
        part.unlink(missing_ok=True)


def copy_checked(
    source: IO[bytes],
    target: IO[bytes] | None,
    file: AssetFile,
    *,
    origin: str,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Reads a stream to its end, or one byte beyond the right size, and proves its content.

    Args:
        source: the stream; unwrapped on the way where `origin` ends with .gz and the file's name does not.
        target: where the content goes; None only proves it.
        file: what the content must be.
        origin: the path or address, for the message where it is wrong.
        progress: called with the bytes of content so far.

    Raises:
        UnavailableError: the content is not right; this is logged as a warning too.
    """
    wrapped = origin.endswith(".gz") and not file.name.endswith(".gz")
    content = gzip.GzipFile(fileobj=source) if wrapped else source
    digest, done, fault = hashlib.sha256(), 0, None
    try:
        while block := content.read(min(_BLOCK, file.size + 1 - done)):
            digest.update(block)
            done += len(block)
            if target is not None:
                target.write(block)
            if progress is not None:
                progress(done)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        fault = f"is damaged ({error})"
    else:
        if done != file.size:
            fault = f"is {'longer' if done > file.size else 'shorter'} than {file.size:,} bytes"
        elif digest.hexdigest() != file.sha256:
            fault = f"has SHA-256 {digest.hexdigest()[:12]}... instead of {file.sha256[:12]}..."
    if fault is not None:
        _log.warning("%s %s: not used.", origin, fault)
        raise UnavailableError(f"{file.name} {fault}")
