"""evaluate --group-by: for whom a model errs more often."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., object]


@pytest.fixture
def listed(digit_folder: Path, tmp_path: Path) -> Path:
    """Every other picture of each digit by one pen; one of them is blue in three places."""
    rows = ["path,label,pen,colour"]
    for file in sorted(digit_folder.rglob("*.png")):
        number = int(file.stem)
        rare = "blue" if number == 0 and file.parent.name < "3" else "black"
        rows.append(f"{file},{file.parent.name},pen{number % 2},{rare}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    return tmp_path / "list.csv"


def test_a_column_of_a_manifest(run: Run, model_folder: Path, listed: Path) -> None:
    found = run("evaluate", model_folder, listed, "--group-by", "pen", "--json").json
    assert [(g["group"], g["items"], g["identities"]) for g in found["groups"]] == [
        ("pen0", 150, 10),
        ("pen1", 150, 10),
    ]
    for group in found["groups"]:
        assert group["reason"] is None
        assert group["precision_at_1"] > 0.8
        for rate in ("eer", "fmr", "fnmr"):
            assert 0 <= group[rate]["low"] <= group[rate]["value"] <= group[rate]["high"] <= 1
    compared = found["groups_compared"]
    assert compared["threshold_of"] == "model"
    assert compared["threshold"] == found["threshold"]
    assert compared["fnmr"] == found["fnmr_at_threshold"]
    worst = max(found["groups"], key=lambda group: group["fnmr"]["value"])
    assert compared["worst_fnmr"]["group"] == worst["group"]
    assert compared["worst_fnmr"]["ratio"] == pytest.approx(worst["fnmr"]["value"] / compared["fnmr"]["value"])


def test_in_text_and_in_the_reports_folder(run: Run, model_folder: Path, listed: Path, tmp_path: Path) -> None:
    found = run("evaluate", model_folder, listed, "--group-by", "colour", "--out", tmp_path / "report")
    assert found.status == 0
    lines = {line.split("  ")[0].strip(): line for line in found.out.splitlines()}
    assert {"all", "group black", "worst FNMR", "too small", "group threshold"} <= set(lines)
    assert "blue (3 identities, of the 9 it takes)" in lines["too small"]
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert [group["group"] for group in written["groups"]] == ["black", "blue"]
    assert written["groups"][1]["fmr"] is None


@pytest.mark.parametrize("named", [(), ("--group-by", "group")])
def test_names_of_files(run: Run, model_folder: Path, digit_folder: Path, named: tuple[str, ...]) -> None:
    found = run("evaluate", model_folder, digit_folder, "--group-from", r"^(\d)", *named, "--json").json
    assert [(g["group"], g["items"]) for g in found["groups"]] == [("0", 100), ("1", 100), ("2", 100)]


def test_nobody_asked(run: Run, model_folder: Path, listed: Path) -> None:
    assert "groups" not in run("evaluate", model_folder, listed, "--json").json


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--group-by", "pens"), "'pens'"),
        (("--group-by", "group"), "path, label, pen, colour"),
        (("--group-by", "pen", "--group-from", "(.)"), "--group-by pen and --group-from"),
    ],
)
def test_columns_that_are_not_there(
    run: Run, model_folder: Path, listed: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in run("evaluate", model_folder, listed, *options).refused(2)


def test_a_folder_has_no_columns(run: Run, model_folder: Path, digit_folder: Path) -> None:
    assert "--group-from" in run("evaluate", model_folder, digit_folder, "--group-by", "pen").refused(2)


def test_pairs_have_no_groups(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    rows = [f"{digit_folder}/0/00.png,{digit_folder}/{who}/01.png,{int(who == 0)}" for who in (0, 1)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same", *rows]))
    assert "a pairs file" in run("evaluate", model_folder, tmp_path / "pairs.csv", "--group-by", "sex").refused(2)
