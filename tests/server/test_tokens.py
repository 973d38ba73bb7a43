"""Tokens: shown once, kept as hashes, with scopes and an end."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likewise.errors import DataError, StoreError, UsageError
from likewise.server.tokens import SCOPES, Tokens


def test_the_file_holds_no_token_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "t"
    text, made = Tokens(file).make("door", ["verify"])
    secret = text.split("_", 2)[2]
    assert len(secret) == 43  # 256 bits in base 64
    assert secret not in file.read_text()
    assert made.digest in file.read_text()
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0


def test_holder_is_who_it_was_made_for(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    made = {name: tokens.make(name, scopes) for name, scopes in (("a", ["verify"]), ("b", ["admin"]))}
    for name, (text, token) in made.items():
        assert tokens.holder(text) == token
        assert token.name == name
    assert [scope for scope in SCOPES if made["a"][1].may(scope)] == ["verify"]
    assert all(made["b"][1].may(scope) for scope in SCOPES)


def test_others_are_refused(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    text, made = tokens.make("a", ["verify"])
    other, _ = tokens.make("b", ["verify"])
    crossed = f"lw_{made.id}_{other.split('_', 2)[2]}"
    for wrong in (
        None,
        "",
        "lw_",
        text[:-1],
        text + "a",
        text.upper(),
        crossed,
        f"lw_{made.id}_{made.digest}",
        "ä" * 60,
    ):
        with pytest.raises(DataError, match="A request carries a token"):
            tokens.holder(wrong)


def test_an_expired_token_says_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path / "t")
    text, made = tokens.make("a", ["verify"], days=1)
    assert made.expires == pytest.approx(time.time() + 86400, abs=60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400 + 60)
    with pytest.raises(DataError, match=f"has not expired; got one that did on {made.until}"):
        tokens.holder(text)


def test_a_revoked_token_is_refused_by_who_had_read_the_file_before(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    text, made = tokens.make("a", ["verify"])
    kept, _ = tokens.make("b", ["verify"])
    assert tokens.holder(text) == made
    assert [token.id for token in Tokens(tmp_path / "t").revoke("a")] == [made.id]
    with pytest.raises(DataError):
        tokens.holder(text)
    assert tokens.holder(kept).name == "b"
    with pytest.raises(DataError, match="is there"):
        tokens.revoke("a")


def test_tokens_made_at_once_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: Tokens(tmp_path / "t").make(f"n{i}", ["verify"]), range(40)))
    tokens = Tokens(tmp_path / "t")
    assert sorted(token.id for token in tokens.all()) == sorted(token.id for _, token in made)
    assert all(tokens.holder(text) == token for text, token in made)


def test_what_cannot_be_made(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    for name, scopes, options in (
        ("", ["verify"], {}),
        ("a\nb", ["verify"], {}),
        ("a", ["all"], {}),
        ("a", [], {}),
        ("a", ["verify"], {"days": 0}),
        ("a", ["verify"], {"days": 4000}),
        ("a", ["verify"], {"days": float("nan")}),
        ("a", ["verify"], {"per_minute": 0}),
    ):
        with pytest.raises(UsageError):
            tokens.make(name, scopes, **options)
    assert tokens.all() == []


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    text, _ = tokens.make("a", ["verify"])
    assert tokens.holder(text).name == "a"
    with (tmp_path / "t").open("a") as file:
        file.write(json.dumps({"made": {"id": "x"}}) + "\n")
    with pytest.raises(DataError, match="line 2"):
        tokens.holder(text)


def test_a_full_disk_leaves_no_half_line_and_locks_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path / "t")
    text, _ = tokens.make("a", ["verify"])
    before, write = tokens.file.read_bytes(), os.write
    for change in (lambda: tokens.make("b", ["verify"]), lambda: tokens.revoke("a")):
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:20]))
            with pytest.raises(StoreError, match="can be written"):
                change()
        assert tokens.file.read_bytes() == before
        assert tokens.holder(text).name == "a"
    later, _ = tokens.make("c", ["verify"])
    assert tokens.holder(later).name == "c"


@pytest.mark.parametrize("left", [b'{"made": {"id": "01', b"{", b'{"revoked": "01"'])
def test_what_a_kill_has_left_of_a_line_counts_as_not_written(tmp_path: Path, left: bytes) -> None:
    tokens = Tokens(tmp_path / "t")
    text, _ = tokens.make("a", ["verify"])
    whole = tokens.file.read_bytes()
    tokens.file.write_bytes(whole + left)
    assert tokens.holder(text).name == "a"
    later, _ = tokens.make("b", ["verify"])
    assert tokens.holder(later).name == "b"
    assert tokens.file.read_bytes().startswith(whole + b'{"made"')


def test_a_last_line_that_an_editor_has_left_without_its_end_counts(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "t")
    text, _ = tokens.make("a", ["verify"])
    tokens.file.write_bytes(tokens.file.read_bytes().rstrip())
    later, _ = tokens.make("b", ["verify"])
    assert [tokens.holder(one).name for one in (text, later)] == ["a", "b"]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n1234", b"SQLite format 3\0", b'{"when": "today"}\n', b"{}"])
def test_nothing_is_written_into_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    for change in (Tokens(file).make, Tokens(file).revoke):
        with pytest.raises(StoreError, match=r"Name (another|the right) file"):
            change("a")
    assert file.read_bytes() == content


def test_a_token_is_for_one_thing_unless_more_is_asked_for(tmp_path: Path) -> None:
    assert Tokens(tmp_path / "t").make("a")[1].scopes == ("verify",)
