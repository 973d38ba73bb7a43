"""What may be a name: any alphabet, one line, and short enough to read."""

from __future__ import annotations

import unicodedata

from likewise.errors import UsageError

LONGEST = 200  # characters

# Controls, halves of characters, line and paragraph ends: what cannot be shown on one line.
_UNSHOWABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # would show a name in another order
_PATHS = frozenset("/\\")  # a name can be a folder's name or a part of an address


def check_name(name: str) -> str:
    """The name in Unicode's composed form (NFC), without spaces at its ends: so one name is not two that look alike.

    Raises:
        UsageError: no name.
    """
    clean = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(clean) <= LONGEST:
        raise UsageError(f"A name has 1 to {LONGEST} characters", f"{len(clean):,}", "Give a shorter one.")
    for character in clean:
        if character in _TURNING or character in _PATHS or unicodedata.category(character) in _UNSHOWABLE:
            raise UsageError(
                "A name is one line of text without slashes and control characters",
                f"{character!a} in {clean[:40]!a}",
                "Leave it out.",
            )
    if clean in (".", ".."):
        raise UsageError("A name is not a folder's dots", repr(clean), "Give another one.")
    return clean
