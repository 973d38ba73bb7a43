"""`likewise data check` of a pairs file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_pairs(run: Callable[..., Any], tree: Path) -> None:
    rows = ["person 0/0.png,person 0/1.png,1", "person 0/1.png,person 0/0.png,0", "person 0/0.png,person 1/0.png,0"]
    (tree / "pairs.csv").write_text("a,b,same\n" + "\n".join(rows))
    found = run("data", "check", tree / "pairs.csv", "--json").json
    assert (found["items"], found["identities"], found["counts"]) == (3, None, {"same": 1, "different": 2})
    assert [problem["kind"] for problem in found["problems"]] == ["two answers"]
    shown = run("data", "check", tree / "pairs.csv")
    assert shown.status == 0
    assert "not known, only pairs" in shown.out
    assert "listed as same and as different" in shown.out
