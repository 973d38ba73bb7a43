"""The pages are right: their links lead somewhere, their commands parse and their Python code runs."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
assert _spec is not None
assert _spec.loader is not None
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


SLOW = {"tour.md", "learning.md"}  # each trains some nine small networks
RUNNABLE = [page for page in build.PAGES if "```python" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", build.PAGES, ids=lambda page: page.name)
def test_links_and_commands(page: Path) -> None:
    assert build.faults(page) == []


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.name in SLOW else [], id=page.name) for page in RUNNABLE],
)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    assert build.run(page, tmp_path) >= 1
    assert [picture.name for picture in build.pictures(page) if not (tmp_path / picture.name).exists()] == []


def test_each_picture_for_learners_is_drawn_by_the_code_above_it() -> None:
    page = ROOT / "docs" / "learning.md"
    assert len(build.pictures(page)) == len(build.PICTURE.findall(page.read_text(encoding="utf-8"))) == 7


def test_readme_and_tour_have_code_to_run() -> None:
    assert {"README.md", "tour.md"} <= {page.name for page in RUNNABLE}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("likewise demo --data digits", None),
        ("likewise data check people/  # counts", None),
        ("likewise verify m.model a.jpg b.jpg && echo the same", None),
        ("likewise train --help", None),
        ("likewise --version", None),
        ("likewise trian people/ --out m", "no command trian"),
        ("likewise data chek people/", "no command chek"),
        ("likewise train people/ --out m --los triplet", "--los"),
        ("likewise train people/", "--out"),
        ("likewise verify m.model a.jpg", "'B'"),
        ("likewise evaluate m.model people/ --ways many", "--ways"),
    ],
)
def test_a_command_line_is_refused_as_the_program_would(line: str, why: str | None) -> None:
    found = build.refusal(line)
    assert found is None if why is None else why in found


def test_a_command_in_a_sentence_may_leave_out_arguments_but_not_misname_options() -> None:
    assert build.refusal("likewise calibrate --fmr", whole=False) is None
    assert build.refusal("likewise calibrate --far", whole=False) == "no option --far"


def test_faults_are_found_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# One, two & three\n")
    page = tmp_path / "page.md"
    page.write_text(
        textwrap.dedent("""\
        # Page
        [good](other.md), [good](other.md#one-two--three), [good](#page), [elsewhere](https://example.org/x)
        [bad](missing.md) and `[no link](missing.md)`
        [bad](other.md#four)

            likewise verify m

        ```sh
        likewise demo --data digits
        likewise demo \\
            --dat digits
        ```
        Call `likewise maps` or `likewise map`.
        """)
    )
    found = [fault.split(": ")[:2] for fault in build.faults(page)]
    assert [place for place, _ in found] == ["page.md:3", "page.md:4", "page.md:6", "page.md:10", "page.md:13"]
    assert found[0][1] == "no file missing.md"
    assert found[1][1] == "no heading #four in other.md"


def test_blocks_share_a_namespace_and_name_their_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\na = 1\n```\n\n```text\nnot code\n```\n\n```python\nassert a == 1\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as raised:
        build.run(page, tmp_path)
    assert raised.traceback[-1].lineno + 1 == 11
    assert str(raised.traceback[-1].path).endswith("page.md")
