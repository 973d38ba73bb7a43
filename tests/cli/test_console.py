"""Results reach standard output whatever is in them and whatever it can write."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from likewise.cli.console import answer

NAME = os.fsdecode(b"caf\xe9") + " 顔"  # a file name that is no UTF-8, and one letter that ASCII lacks


def written(monkeypatch: pytest.MonkeyPatch, encoding: str, *, as_json: bool) -> bytes:
    """What a standard output gets that refuses what its encoding lacks."""
    held = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding=encoding, errors="strict"))
        answer(as_json, {"file": NAME, "figure": float("nan")})
        return held.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_gives_the_name_back(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    found = written(monkeypatch, encoding, as_json=True)
    assert found.isascii()
    assert json.loads(found) == {"file": NAME, "figure": None}


@pytest.mark.parametrize(("encoding", "letter"), [("utf-8", "顔"), ("ascii", r"\u9854"), ("latin-1", r"\u9854")])
def test_text_is_written_as_far_as_the_encoding_goes(
    monkeypatch: pytest.MonkeyPatch, encoding: str, letter: str
) -> None:
    lines = written(monkeypatch, encoding, as_json=False).decode(encoding).splitlines()
    assert lines[0] == rf"file    caf\udce9 {letter}"
