"""Names: any alphabet, one line, one spelling."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import UsageError
from likewise.gallery.names import LONGEST, check_name


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "Größe",
        "顔認証",
        "Владимир",
        "علی‌رضا",
        "नमस्ते",
        "O'Hara",
        'the "one"',
        "a.b",
        "...",
        "50%",
        "👩‍👩‍👧",
        "x" * LONGEST,
        "क्‍ष",
        "❤️",
        "❤️‍🔥",
        "🏳️‍🌈",
        "1️⃣",
        "葛\U000e0100",
        "3",
        "?",
    ],
)
def test_any_alphabet(name: str) -> None:
    assert check_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "got 0"), ("   ", "got 0"), ("x" * 10_000, "10,000"), ("x" * (LONGEST + 1), "201"),
        ("a/b", "'/'"), ("a\\b", r"'\\\\'"), ("../../etc", "'/'"), ("a\nb", r"'\\n'"), ("a\x00b", r"'\\x00'"),
        ("a\x1b[31m", r"x1b"), ("a\u2028b", "u2028"), ("\u202egnp.exe", "u202e"), ("\ud800", "ud800"), ("..", "dots"),
        (".", "dots"), ("tab\tbed", r"'\\t'"), ("a\x7f", "x7f"), ("a\x85b", "x85"),
        # What nobody sees would make two names of one.
        ("ada\u200b", "u200b"), ("\u200bada", "u200b"), ("ada\ufeff", "ufeff"), ("a\u200eda", "u200e"),
        ("a\u200fda", "u200f"), ("a\u061cda", "u061c"), ("a\u00adda", "xad"), ("a\u2060da", "u2060"),
        ("\u200b", "u200b"), ("\u3164", "u3164"), ("ada\u3164", "u3164"), ("a\u115fda", "u115f"), ("\u2800", "u2800"),
        ("a\u034fda", "u034f"), ("ada\ufe0f", "ufe0f"), ("ada\U000e0100", "U000e0100"), ("a\u200dda", "u200d"),
        ("a\u200cda", "u200c"), ("\u200dada", "u200d"), ("ada\u200d", "u200d"), ("🙂\u200d", "u200d"),
        ("\u0301", "a letter"), ("\u0301\u0302", "a letter"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        check_name(name)
    text = str(refused.value)
    assert len(text) < 300
    assert text.isascii()
    assert text.isprintable()


def test_one_name_has_one_spelling() -> None:
    assert check_name("Gro\u0308ße") == check_name("Größe") == check_name("  Größe \t")
    assert check_name("Ada\u00a0Lovelace") == check_name("Ada\u2003Lovelace") == check_name("Ada Lovelace\u3000")


@given(st.text(max_size=300))
def test_what_is_a_name_stays_one(name: str) -> None:
    try:
        clean = check_name(name)
    except UsageError:
        return
    assert check_name(clean) == clean
    assert len(clean.splitlines()) == 1
    assert any(unicodedata.category(character)[0] in "LNPS" for character in clean)
    assert {c for c in clean if unicodedata.category(c) == "Cf"} <= {"\u200c", "\u200d"}
    clean.encode()
