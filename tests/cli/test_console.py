"""Results reach standard output whatever is in them and whatever it can write."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable

import pytest

from likewise.cli import console
from likewise.cli.console import PLAIN_LINE_EVERY, Bar, answer, table

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


def test_what_says_nothing_has_no_row() -> None:
    assert table([("points", 5), ("note", ""), ("of", [])]) == "points  5\nof      none"


class TestBar:
    """Without a terminal, by a clock that is set by hand."""

    @pytest.fixture
    def at(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        """What the bar writes when it is told (done, total, note) so many seconds after it began."""
        now = [100.0]
        monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
        bar = Bar("mapping")

        def at(seconds: float, *told: object) -> str:
            now[0] = 100.0 + seconds
            bar(*told)
            return capsys.readouterr().err

        return at

    def test_nothing_is_said_of_the_time_left_before_anything_is_done(self, at: Callable[..., str]) -> None:
        assert at(11, 0, 500, "UMAP") == "mapping: 0 of 500, UMAP\n"

    def test_a_note_that_says_the_same_is_left_out(self, at: Callable[..., str]) -> None:
        assert at(11, 0, 500, "mapping") == "mapping: 0 of 500\n"

    def test_what_comes_before_the_first_item_does_not_count(self, at: Callable[..., str]) -> None:
        """Ten seconds of compiling, then ten items a second."""
        at(0, 0, 500, "UMAP")
        assert at(10, 1, 500, "UMAP") == "mapping: 1 of 500, UMAP\n"
        assert at(15, 51, 500, "UMAP") == "mapping: 51 of 500, about 45 s left, UMAP\n"

    @pytest.mark.parametrize("total", [40, 500])
    def test_a_new_stage_has_a_pace_of_its_own(self, at: Callable[..., str], total: int) -> None:
        """An item in five seconds, then two items a second; of as many items as before, or of more."""
        at(0, 1, 40, "encoding")
        assert at(5, 2, 40, "encoding") == "mapping: 2 of 40, about 190 s left, encoding\n"
        assert at(200, 40, 40, "encoding").startswith("mapping: 40 of 40, about 0 s left")
        assert at(205, 0, total, "UMAP") == f"mapping: 0 of {total}, UMAP\n"
        at(206, 1, total, "UMAP")
        assert at(211, 11, total, "UMAP") == f"mapping: 11 of {total}, about {(total - 11) / 2:.0f} s left, UMAP\n"

    def test_a_line_is_written_every_five_seconds(self, at: Callable[..., str]) -> None:
        told = [at(0.5 * n, n, 60) for n in range(60)]
        assert [n / 2 for n, line in enumerate(told) if line] == [PLAIN_LINE_EVERY * n for n in range(1, 6)]
