"""Opening what somebody names, with one line for whatever is wrong with it."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from likewise.errors import DataError


@contextmanager
def opened(path: str | os.PathLike[str], what: str) -> Generator[io.BufferedReader]:
    """A regular file, open to be read; `what` ("A picture") is what a refusal calls it.

    Raises:
        DataError: it cannot be opened, or not be read to where the block reads.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise OSError("a folder or a device")  # opening a pipe would wait for ever
        with Path(path).open("rb") as stream:
            yield stream
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{what} is a file that can be read",
            f"{os.fspath(path)} ({reason})",
            "Check its name and permissions.",
        ) from error
