"""What a person or a script sees: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

from likewise.errors import visible

INTERRUPTED = 130  # the shell's own exit status for Ctrl-C
METRICS = "metrics.json"  # marks a folder that `evaluate` wrote
PLAIN_LINE_EVERY = 5.0  # seconds between progress lines where there is no terminal


def say(text: str) -> None:
    """One line for the person, on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def answer(as_json: bool, values: Mapping[str, Any], text: str | None = None) -> bool:
    """The result: one JSON document, or `text` (a table of the values where none is given), on standard output.

    Returns:
        Whether anybody still reads it.
    """
    if as_json:
        from likewise.media.files import finite

        text = json.dumps(finite(values), allow_nan=False)
    elif text is None:
        text = table(list(values.items()))
    encoding = sys.stdout.encoding
    try:
        # What the encoding of the terminal or pipe lacks is written as a number.
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)  # noqa: T201
    except BrokenPipeError:  # the reader went away, as `| head` does; the exit status still says the answer
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def table(rows: Sequence[tuple[str, Any]]) -> str:
    """Two aligned columns, of the values that say something, each on one line."""
    said = [(visible(name), visible(text)) for name, value in rows if (text := shown(value))]
    width = max((len(name) for name, _ in said), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in said)


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(v) for v in value) if value else "none"
    return "not known" if value is None else str(value)


@final
class Bar:
    """Progress of one long piece of work: a bar with rate and time left on a terminal, plain lines elsewhere.

    What is left is reckoned by the pace from the first item on: before it stands what is prepared once, which may take
    longer than all the rest. Where another total or a smaller number done shows that a new stage has begun, the clock
    starts again.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_line = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first items of a stage were done, and how many
        self._before = 0, 0  # done and total when last told
        self._rich: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._rich = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._rich.start()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total`; `note` is shown behind."""
        if self._rich is not None:
            if self._task is None:
                self._task = self._rich.add_task(self._text, total=total, note=note)
            self._rich.update(self._task, completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if done < self._before[0] or total != self._before[1]:
            self._first = None
        self._before = done, total
        if self._first is None and done:
            self._first = now, done
        if now - self._last_line >= PLAIN_LINE_EVERY:
            self._last_line = now
            told = f", {note}" if note not in ("", self._text) else ""
            say(f"{self._text}: {done} of {total}{self._left(now, done, total)}{told}")

    def _left(self, now: float, done: int, total: int) -> str:
        """How long the rest takes, once that can be told."""
        if self._first is None or done == self._first[1]:
            return ""
        began, already = self._first
        return f", about {(now - began) / (done - already) * (total - done):.0f} s left"

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self._rich is not None:
            self._rich.stop()


@contextmanager
def progress(text: str) -> Generator[Callable[[int, int, str], None]]:
    """A `Bar` for the work inside the block."""
    bar = Bar(text)
    try:
        yield bar
    finally:
        bar.close()


def report_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Every item that could not be used, by name."""
    for file, reason in skipped:
        say_skipped(file, reason)


def say_skipped(file: str, reason: str) -> None:
    """An item that could not be used."""
    say(f"skipped {visible(file)}: {visible(reason)}")
