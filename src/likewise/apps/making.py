"""Folders that a long run makes: begun, gone on with after a stop, and finished; and its work on several threads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file

Given = TypeVar("Given")
Made = TypeVar("Made")

Progress: TypeAlias = Callable[[int, int, str], None]  # done, of how many, what

MADE_FROM = "made_from"


def check_makable(out: Path, record: str, made_from: Mapping[str, Any]) -> None:
    """Raises unless `out` is new, empty, or what an earlier run with the same beginnings made or was making.

    Args:
        out: a folder.
        record: the file in it that says what it was made from.
        made_from: all that decides what is made, JSON-ready.

    Raises:
        UsageError: `out` is something else, or was made from something else.
        DataError: its record is damaged.
    """
    file = out / record
    if not file.exists():
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise UsageError("What is made goes into a folder that is new or empty", str(out), "Choose another name.")
        return
    try:
        before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))[MADE_FROM]
        other = [name for name in made_from if before.get(name) != made_from[name]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"A folder that was begun says in {record} from what", f"{file} ({error})", "Choose another folder."
        ) from error
    if other:
        raise UsageError(
            "A folder is gone on with only from what it was begun with",
            f"{str(out)!r} (not as then: {', '.join(other)})",
            "Choose another folder, or delete this one.",
        )


def write_record(out: Path, record: str, made_from: Mapping[str, Any], results: Mapping[str, Any] | None) -> None:
    """Writes what `out` is made from and, at the end, what came of it.

    Raises:
        DataError: it cannot be written.
    """
    values = {"finished": results is not None, **(results or {}), MADE_FROM: made_from}
    with replacing_file(out / record) as fresh:
        fresh.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")


def in_order(
    work: Callable[[Given], Made],
    items: Sequence[Given],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    text: str = "",
) -> list[Made]:
    """What `work` makes of each item, in their order, on several threads.

    Threads do where NumPy, a decoder, the disk or another program does the work: they let others run meanwhile. Where
    an exception or Ctrl-C stops it, what was begun is finished and the rest is left.

    Args:
        work: makes something of an item.
        items: what it is made of.
        workers: threads; as many as there are processors by default.
        progress: told how many are done.
        text: what progress shows.
    """
    made: list[Made] = []
    with ThreadPoolExecutor(workers or _processors()) as pool:
        try:
            for result in pool.map(work, items):
                made.append(result)
                if progress is not None:
                    progress(len(made), len(items), text)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return made


def _processors() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
