"""What may be a name: any alphabet, one line, and short enough to read; nothing in it that nobody can see."""

from __future__ import annotations

import unicodedata

from likewise.errors import UsageError

LONGEST = 200  # characters

# Controls, marks of format, halves of characters, line and paragraph ends: what cannot be shown, or shows nothing.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters and marks that show nothing: Hangul fillers, the grapheme joiner, inherent vowels of Khmer, selectors of
# Mongolian, an empty pattern of Braille.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800")
_JOINERS = frozenset("\u200c\u200d")
_SELECTORS = frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))  # of one of a character's shapes
_VIRAMA = 9  # the class of marks after which a joiner says how letters of India are joined
_PATHS = frozenset("/\\")  # a name can be a folder's name or a part of an address


def check_name(name: str) -> str:
    """The name in Unicode's composed form (NFC), with one kind of space and none at its ends: so one name is not two
    that look alike.

    Raises:
        UsageError: no name.
    """
    composed = unicodedata.normalize("NFC", name)
    clean = "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed).strip()
    if not clean:
        raise UsageError(f"A name has 1 to {LONGEST} characters", "0", "Give one.")
    if len(clean) > LONGEST:
        raise UsageError(f"A name has 1 to {LONGEST} characters", f"{len(clean):,}", "Give a shorter one.")
    for place, character in enumerate(clean):
        if character in _PATHS or not _shows(character, clean[:place][-1:], clean[place + 1 :][:1]):
            raise UsageError(
                "A name is one line of text without slashes and what cannot be seen",
                f"{character!a} in {clean[:40]!a}",
                "Leave it out.",
            )
    if not any(unicodedata.category(character)[0] in "LNPS" for character in clean):
        raise UsageError("A name has a letter, a digit or a sign", f"{clean[:40]!a}", "Give one that can be seen.")
    if clean in (".", ".."):
        raise UsageError("A name is not a folder's dots", repr(clean), "Give another one.")
    return clean


def _shows(character: str, before: str, after: str) -> bool:
    """Whether a character changes what is seen, between two others."""
    if character in _JOINERS:
        return bool(before and after) and _joined(before, after)
    if character in _SELECTORS:
        return bool(before) and _has_shapes(before)
    return character not in _EMPTY and unicodedata.category(character) not in _UNSHOWABLE


def _joined(before: str, after: str) -> bool:
    """Whether a joiner shows: after a virama, between letters of Arabic, in front of an emoji."""
    arabic = unicodedata.bidirectional(before) in ("AL", "NSM") and unicodedata.bidirectional(after) == "AL"
    emoji = unicodedata.category(before) in ("So", "Sk", "Mn") and unicodedata.category(after) in ("So", "Sm")
    return unicodedata.combining(before) == _VIRAMA or arabic or emoji


def _has_shapes(character: str) -> bool:
    """Whether a character can have several: signs, digits and ideographs."""
    return unicodedata.category(character)[0] in "SPN" or unicodedata.name(character, "").startswith("CJK")
