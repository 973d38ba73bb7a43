"""Writing that loses nothing: what is saved is written beside its place, flushed, then renamed into it.

Whatever goes wrong on the way (a full disk, an exception, Ctrl-C), what was there before is still there and
nothing half-written remains. After a kill or a power cut it is there too, though what was being written may remain
beside it, under a name that starts with a dot.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError

from likewise.errors import DataError, UsageError

_LONGEST_LINE = 1 << 20  # bytes looked through for where the last line begins


@contextmanager
def replacing_folder(target: str | Path, *, marker: str | None) -> Generator[Path]:
    """Yields a fresh folder to write into, which takes the place of `target` when the block ends well.

    A folder that was there is exchanged as a whole, so files of the old one never mix with the new. On Linux's usual
    disks that is one step; elsewhere a kill between two steps leaves no folder, and `recover_folder` finds the old one.

    Args:
        target: where the folder is to be; missing parents are made.
        marker: a file that only a folder of the right kind has, e.g. ``"config.json"``, and no other program writes;
            None where nothing that is there is replaced.

    Raises:
        UsageError: `target` is there, not empty, and is not a folder of that kind.
        DataError: writing failed; `target` is as it was.
    """
    target = Path(target)
    check_replaceable(target, marker=marker)
    with _whole_or_not_at_all(target):
        target = target.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = _beside(target, ".new")
        try:
            fresh.mkdir()
            yield fresh
            if target.exists():
                shutil.copymode(target, fresh)
            for path in fresh.rglob("*"):
                _flush(path)
            _flush(fresh)
            _exchange(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def replacing_file(target: str | Path) -> Generator[Path]:
    """Yields an empty file to write into, which takes the place of `target` when the block ends well.

    Its name ends like `target`, for writers that choose a format by the suffix.

    Raises:
        UsageError: `target` is there and is not a regular file.
        DataError: writing failed; `target` is as it was.
    """
    target = Path(target)
    with _whole_or_not_at_all(target):
        target = target.resolve()
        if target.exists() and not target.is_file():
            raise UsageError("A file replaces only a file", target, "Choose another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = _beside(target, target.suffix)
        try:
            fresh.touch(exist_ok=False)
            yield fresh
            if target.exists():
                shutil.copymode(target, fresh)
            _flush(fresh)
            fresh.replace(target)
            _flush_name(target)
        finally:
            fresh.unlink(missing_ok=True)


def check_replaceable(target: str | Path, *, marker: str | None) -> None:
    """Raises UsageError unless there is nothing, an empty folder, or a folder with the file `marker`, if there is one.

    `replacing_folder` asks it; so may a caller, before the hours of work whose result is to go there.
    """
    target = Path(target)
    recover_folder(target)
    with _whole_or_not_at_all(target):
        if target.is_dir():
            known = marker is not None and (target / marker).is_file()
            replaceable = known or not any(target.iterdir())
        else:
            replaceable = not target.exists()
    if not replaceable and marker is None:
        raise UsageError("What is made goes into a folder that is new or empty", target, "Choose another place.")
    if not replaceable:
        raise UsageError(f"Only a folder that holds {marker} is overwritten", target, "Choose another place.")


def check_outside(out: str | Path, sources: Iterable[str | Path]) -> None:
    """Refuses to write a folder over, into or around what it is made from.

    Args:
        out: the folder that is to be written.
        sources: files and folders that are read. A folder may not hold `out`.

    Raises:
        UsageError: `out` is one of them, lies in one or holds one.
    """
    target = Path(out).resolve()
    for source in map(Path, sources):
        there = source.resolve()
        if target == there or there in target.parents or target in there.parents:
            where = "as" if target == there else "in" if there in target.parents else "around"
            raise UsageError(
                "What is made is written outside of what it is made from",
                f"{str(out)!r} {where} {str(source)!r}",
                "Choose another place.",
            )


def finite(value: Any) -> Any:
    """The same with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Writes JSON that every reader takes: NaN and infinity, which JSON does not know, become null.

    Raises:
        OSError: it could not be written.
    """
    file.write_text(json.dumps(finite(values), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def recover_folder(target: str | Path) -> None:
    """Brings back a folder that a kill in the middle of `replacing_folder` left under another name.

    For all who read what `replacing_folder` writes, before they look. It does nothing where `target` is there, or where
    it is not plain what it was.
    """
    with suppress(OSError, RuntimeError):  # a circle of links, say: the reader will tell that nothing is there
        target = Path(target).resolve()
        if not target.exists():
            name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{12}}\.old")
            aside = [path for path in target.parent.iterdir() if name.fullmatch(path.name)]
            if len(aside) == 1:
                aside[0].rename(target)


@contextmanager
def _whole_or_not_at_all(target: Path) -> Generator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk by an exception of its own
        raise DataError(
            "What is saved is written whole or not at all",
            f"{target} ({error})",
            "Check the space and the permissions there; what was there before is untouched.",
        ) from error


def _beside(target: Path, ending: str) -> Path:
    """A name nobody else uses, in the same folder and so on the same disk: there a rename is atomic."""
    return target.with_name(f".{target.name}.{uuid4().hex[:12]}{ending}")


def _exchange(fresh: Path, target: Path) -> None:
    """Puts `fresh` in the place of `target`; what was there is deleted, here or as `fresh`."""
    if target.exists() and _exchanged_in_one_step(fresh, target):
        _flush_name(target)
        return
    # A full folder cannot be renamed over, so the old one steps aside first.
    aside = _beside(target, ".old")
    try:
        for attempts_left in (2, 1, 0):
            if target.exists():
                target.rename(aside)
            try:
                fresh.rename(target)
                break
            except OSError:
                if not (attempts_left and target.exists()):  # else a reader has brought the old one back just now
                    raise
        _flush_name(target)
    finally:
        if aside.exists():
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.rename(target)


def _exchanged_in_one_step(one: Path, other: Path) -> bool:
    """Swaps the names of two folders; False where system or disk cannot, or will not."""
    if sys.platform != "linux":
        return False
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):  # an old C library
        return False
    from_here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    return renameat2(from_here, os.fsencode(one), from_here, os.fsencode(other), exchange) == 0


def _flush_name(renamed: Path) -> None:
    """Brings a rename to disk as far as possible: it has happened, and a failure here would not undo it."""
    with suppress(OSError):
        _flush(renamed.parent)


def _flush(path: Path) -> None:
    """Brings a file or folder to disk: without it a power cut after the rename could leave an empty file."""
    if os.name != "posix":
        return  # Windows flushes only what is open for writing
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(file: Path, values: dict[str, Any]) -> None:
    """Adds one line of JSON to a file that only its owner reads: all of it, or nothing.

    Writers wait for each other. What a kill has left of an earlier line is taken out: it was never acknowledged.

    Raises:
        OSError: it could not be written, or the file ends in something else than lines of JSON.
    """
    line = (json.dumps(values, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        end = _end_of_lines(descriptor)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def _end_of_lines(descriptor: int) -> int:
    """The length of a file, once it ends where a line ends."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    start = os.lseek(descriptor, max(0, end - _LONGEST_LINE), os.SEEK_SET)
    last = os.read(descriptor, end - start)
    tail = last[last.rfind(b"\n") + 1 :]
    if not tail:
        return end
    if not tail.startswith(b"{") or len(tail) == _LONGEST_LINE:
        raise OSError("it does not end in a line of JSON")
    try:
        json.loads(tail)
    except ValueError:
        os.ftruncate(descriptor, end - len(tail))
        return end - len(tail)
    return end + os.write(descriptor, b"\n")
