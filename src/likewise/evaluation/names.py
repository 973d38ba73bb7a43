"""Names of identities as they are written into pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.text import Text


def printable(text: str) -> str:
    """`text` on one line, without characters that no screen shows."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def shortened(names: Sequence[str], longest: int) -> list[str]:
    """Printable names of at most `longest` characters, told apart as far as a beginning and an end can.

    What is too long keeps its end, where names in folders differ (`Early_Aramaic/character10`), and as many characters
    of its beginning as leave the most names different from each other: none if the ends are enough.
    """
    whole = [printable(name) for name in names]
    tries = ([elided(name, head, longest) for name in whole] for head in range(longest))
    return max(tries, key=lambda found: len(set(found)))  # of equals the first: the shortest beginning


def elided(text: str, head: int, longest: int) -> str:
    """`text`, or its first `head` characters and the last of it, `longest` in all."""
    return text if len(text) <= longest else f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def fit(text: Text, room: float) -> None:
    """Makes the letters of a text in a figure smaller where it is wider than `room`, in pixels."""
    width = text.get_window_extent().width
    if width > room:
        text.set_fontsize(float(text.get_fontsize()) * 0.97 * room / width)  # letters are not exactly in proportion
