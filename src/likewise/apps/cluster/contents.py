"""Which pictures lie where, by content: of a folder to be clustered, and of OUT."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from likewise.apps.cluster.keys import content_of
from likewise.apps.cluster.manifest import State
from likewise.encoder import Progress
from likewise.media.kinds import kind_of

READ_AT_ONCE = 256  # files between two progress reports
PART = re.compile(r"\.likewise-[0-9a-f]{12}\.part")  # a copy that was not finished


@final
@dataclass(frozen=True)
class Tree:
    """What lies in OUT.

    Attributes:
        hashes: content hash of every picture, by its path relative to OUT.
        names: paths of all files, whatever they are.
        parts: copies that a killed run left unfinished.
    """

    hashes: dict[str, str]
    names: frozenset[str]
    parts: tuple[Path, ...]


def content_hash(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hashes(files: Sequence[Path], progress: Progress | None = None) -> list[str | OSError]:
    """The hash of every file, or why it could not be read."""

    def one(file: Path) -> str | OSError:
        try:
            return content_hash(file)
        except OSError as error:
            return error

    found: list[str | OSError] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), READ_AT_ONCE):
            found += pool.map(one, files[start : start + READ_AT_ONCE])
            if progress is not None:
                progress(len(found), len(files), "reading")
    return found


def tree_of(out: Path, state: State) -> Tree:
    """All there is in OUT; hidden files and folders are passed over, and links to folders not followed.

    A picture that cannot be read, such as a link whose target is gone, is taken for what the manifest says lies there,
    or for what it links to.
    """
    pictures: list[str] = []
    names: list[str] = []
    parts: list[Path] = []
    for directory, folders, files in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = PurePosixPath(Path(directory).relative_to(out).as_posix())
        parts += [Path(directory, name) for name in files if PART.fullmatch(name)]
        names += [str(inside / name) for name in sorted(files)]
        pictures += [
            str(inside / name) for name in sorted(files) if not name.startswith(".") and kind_of(name) is not None
        ]
    by_place = {entry.file: content_of(key) for key, entry in state.items.items() if entry.file is not None}
    by_place |= {old: content_of(key) for key, old in state.writing.items() if old is not None}
    by_source = {entry.source: content_of(key) for key, entry in state.items.items() if entry.source is not None}
    hashes: dict[str, str] = {}
    for name, found in zip(pictures, content_hashes([out / name for name in pictures]), strict=True):
        if isinstance(found, str):
            hashes[name] = found
        elif content := by_place.get(name) or by_source.get(_target(out / name)):
            hashes[name] = content
    return Tree(hashes, frozenset(names), tuple(parts))


def _target(file: Path) -> str:
    return str(file.readlink()) if file.is_symlink() else ""
