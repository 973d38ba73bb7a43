"""Cells that a spreadsheet would compute are text, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.data import clips, manifest
from likewise.data.cells import plain_cell, safe_cell, write_table
from likewise.data.loaders import readable_table


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("ada", "ada"), ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("'=1", "''=1"), ("'twas", "'twas"), ("a=1", "a=1"), ("", ""), ("''-2", "'''-2"),
    ],
)  # fmt: skip
def test_what_begins_as_a_formula_has_a_quote(text: str, written: str) -> None:
    assert safe_cell(text) == written
    assert plain_cell(written) == text


@given(st.text())
def test_whatever_is_written_is_read_back(text: str) -> None:
    assert plain_cell(safe_cell(text)) == text
    assert safe_cell(text).lstrip("'")[:1] not in ("=", "+", "-", "@") or safe_cell(text).startswith("'")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_through_a_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    file = tmp_path_factory.mktemp("cells") / "t.csv"
    write_table(file, ["label", "other"], ((text, i / 2) for i, text in enumerate(texts)))
    assert readable_table(file)["label"].tolist() == texts


def test_in_a_manifest_and_in_clips(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label\n'=a.png,'-1\n'b.png,'x\nc.png,+1\n")
    data = manifest(tmp_path / "m.csv")
    assert data.files == ("=a.png", "'b.png", "c.png")
    assert [data.names[label] for label in data.labels] == ["-1", "'x", "+1"]
    (tmp_path / "c.csv").write_text("path,start,end,seconds\n'@a.wav,0,1,2\n")
    assert clips(tmp_path / "c.csv").sources == (tmp_path / "@a.wav",)
