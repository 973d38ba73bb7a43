"""Cells of tables that spreadsheets open: text that would be a formula there stays text, and is read back as it was."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")  # how a formula begins, as written here or with quotes before it


def safe_cell(text: str) -> str:
    """`text`, with a quote before it where a spreadsheet would take it for a formula (or +1 for 1)."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_cell(text: str) -> str:
    """Inverse of `safe_cell`; what it would not have written is left as it is."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_table(file: Path, columns: Sequence[str], rows: Iterable[Iterable[str | float | None]]) -> None:
    """CSV in UTF-8, whose text is safe (`safe_cell`); what a row lacks at its end is empty.

    Lone surrogates, which UTF-8 does not have, are written as numbers.
    """
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        table = csv.writer(stream)  # lines end in \r\n (RFC 4180), so that either of the two is quoted where it is text
        table.writerow(map(safe_cell, columns))
        for row in rows:
            cells = [safe_cell(cell) if isinstance(cell, str) else cell for cell in row]
            table.writerow([*cells, *[None] * (len(columns) - len(cells))])
