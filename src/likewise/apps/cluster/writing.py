"""Carrying out a plan so that nothing is lost: files are only made and renamed, never overwritten and never deleted.

The manifest is written first, with what is about to be done, and once more when it is done. A run that is killed
between leaves files where the manifest says they were or are to be, and the next run goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal
from uuid import uuid4

from likewise.apps.cluster.contents import content_hash
from likewise.apps.cluster.keys import content_of
from likewise.apps.cluster.manifest import write_state
from likewise.apps.cluster.placing import Plan
from likewise.encoder import Progress
from likewise.errors import DataError

Link = Literal["hard", "symbolic"]


def carry_out(
    out: Path, plan: Plan, sources: Mapping[str, str], link: Link | None = None, progress: Progress | None = None
) -> tuple[tuple[str, str], ...]:
    """Makes OUT what the plan says.

    Args:
        out: the folder; made if it is missing.
        plan: what goes where.
        sources: by key, the file to copy or link.
        link: "hard" or "symbolic" links in the place of copies.
        progress: told how many files are done.

    Returns:
        File and reason of each that could not be copied, because it changed or went away meanwhile.

    Raises:
        DataError: something cannot be written. What was done is kept, and the next run goes on from there.
    """
    write_state(out, replace(plan.state, writing=plan.writing))
    items, lost = dict(plan.state.items), list[tuple[str, str]]()
    for done, (key, old) in enumerate(plan.writing.items()):
        if progress is not None and done % 100 == 0:
            progress(done, len(plan.writing), "writing")
        entry = items[key]
        assert entry.file is not None
        target = out / entry.file
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if old is not None:
                _rename(out / old, target)
            elif why := _bring(Path(sources[key]), target, key, link):
                lost.append((sources[key], why))
                items[key] = replace(entry, file=None)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EMLINK, errno.ENOTSUP) and link == "hard":
                raise DataError(
                    "Hard links need a disk that both folders are on", error, "Take symbolic links, or copy."
                ) from error
            raise DataError(
                "Pictures can be put into their folders",
                error,
                "Nothing is lost: make room or set permissions and run again, it goes on from here.",
            ) from error
    _remove_empty(out, (old for old in plan.writing.values() if old is not None))
    if plan.writing and hasattr(os, "sync"):
        os.sync()  # copies are on disk before the manifest says that they are
    write_state(out, replace(plan.state, items=items))
    return tuple(lost)


@contextmanager
def alone(out: Path) -> Generator[None]:
    """Nobody else clusters into `out` meanwhile, where the system can tell; it is made, and kept unless it stays empty.

    Raises:
        DataError: somebody does.
    """
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        if os.name == "posix":
            with _locked(out):
                yield
        else:
            yield
    finally:
        if made:
            with suppress(OSError):  # there is something in it
                out.rmdir()


@contextmanager
def _locked(out: Path) -> Generator[None]:
    import fcntl

    descriptor = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                "One run at a time clusters into a folder", f"another one is at work in {str(out)!r}", "Wait for it."
            ) from error
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(descriptor)


def remove_parts(parts: Iterable[Path]) -> None:
    """Deletes what a killed run had not finished copying."""
    for part in parts:
        part.unlink(missing_ok=True)


def _rename(old: Path, new: Path) -> None:
    if os.path.lexists(new):
        raise FileExistsError(f"{new} appeared meanwhile")
    old.rename(new)


def _bring(source: Path, target: Path, key: str, link: Link | None) -> str | None:
    """Copies or links `source`; why not, if it no longer has the content of `key`."""
    part = target.with_name(f".likewise-{uuid4().hex[:12]}.part")
    try:
        if link is None:
            with source.open("rb") as reader, part.open("xb") as writer:
                digest = hashlib.sha256()
                while block := reader.read(1 << 20):
                    digest.update(block)
                    writer.write(block)
            shutil.copystat(source, part)
            found = digest.hexdigest()
        else:
            found = content_hash(source)
            if link == "hard":
                os.link(source.resolve(), part)
            else:
                part.symlink_to(source.resolve())
        if found != content_of(key):
            return "it changed while it was clustered; run again"
        _rename(part, target)
    except FileNotFoundError as error:
        if source.exists():
            raise
        return f"it went away while it was clustered ({error.strerror})"
    finally:
        part.unlink(missing_ok=True)
    return None


def _remove_empty(out: Path, files: Iterable[str]) -> None:
    """Removes the folders `files` were in, where nothing is left in them."""
    for folder in sorted({PurePosixPath(file).parent for file in files}, reverse=True):
        if folder != PurePosixPath():
            with suppress(OSError):
                (out / folder).rmdir()
