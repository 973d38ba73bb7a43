"""Cells of tables that spreadsheets open: text that would be a formula there stays text, and is read back as it was."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")  # how a formula begins, as written here or with quotes before it


def safe_cell(text: str) -> str:
    """`text`, with a quote before it where a spreadsheet would take it for a formula (or +1 for 1)."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_cell(text: str) -> str:
    """Inverse of `safe_cell`; what it would not have written is left as it is."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
