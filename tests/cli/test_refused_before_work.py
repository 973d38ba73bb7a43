"""What cannot work is refused before a model encodes anything, and what cannot apply is not passed over in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.encoder import Encoder

Run = Callable[..., object]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> Path:
    """The model folder; no encoder may encode more than the golden inputs that loading looks at."""
    real = Encoder.encode

    def encode(self: Encoder, items: object, **options: object) -> object:
        assert len(items) <= 4, "work was done"
        return real(self, items, **options)

    monkeypatch.setattr(Encoder, "encode", encode)
    return model_folder


@pytest.fixture
def pairs_csv(digit_folder: Path, tmp_path: Path) -> Path:
    def name(digit: int, number: int) -> str:
        return f"{digit_folder}/{digit}/{number:02}.png"

    lines = ["a,b,same"]
    lines += [f"{name(d, n)},{name(d, n + 1)},1" for d in range(10) for n in range(0, 10, 2)]
    lines += [f"{name(d, n)},{name((d + 1) % 10, n + 10)},0" for d in range(10) for n in range(10, 20)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path / "pairs.csv"


def test_a_folder_that_is_no_report(run: Run, idle: Path, digit_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years")
    line = run("evaluate", idle, digit_folder, "--out", tmp_path / "precious").refused(2)
    assert "metrics.json" in line
    line = run("calibrate", idle, digit_folder, "--fmr", 0.1, "--out", tmp_path / "precious").refused(2)
    assert "config.json" in line
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--method", "tsne"), ("--dimensions", 4), ("--dimensions", 1), ("--neighbours", 1), ("--min-dist", -0.1),
        ("--min-dist", 1.5), ("--metric", "nosuch"), ("--seed", -1),
    ],
)  # fmt: skip
def test_options_of_a_map(run: Run, idle: Path, digit_folder: Path, tmp_path: Path, option: str, value: object) -> None:
    line = run("map", idle, digit_folder, "-o", tmp_path / "m.png", option, value).refused(2)
    assert option in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_a_seed_below_0(run: Run, idle: Path, digit_folder: Path, command: str) -> None:
    assert "--seed" in run(command, idle, digit_folder, "--seed", -1).refused(2)


@pytest.mark.parametrize(("option", "value"), [("--ways", 1), ("--shots", 0)])
def test_few_shot_of_nothing(run: Run, idle: Path, digit_folder: Path, option: str, value: int) -> None:
    assert option in run("evaluate", idle, digit_folder, option, value).refused(2)


@pytest.mark.parametrize(("option", "value"), [("--unit", "item"), ("--ways", 5), ("--shots", 2)])
def test_options_that_pairs_cannot_have(run: Run, idle: Path, pairs_csv: Path, option: str, value: object) -> None:
    line = run("evaluate", idle, pairs_csv, option, value).refused(2)
    assert "Pairs" in line
    assert option.removeprefix("--") in line


def test_pairs_without_them_are_measured(run: Run, model_folder: Path, pairs_csv: Path) -> None:
    found = run("evaluate", model_folder, pairs_csv, "--json")
    assert found.status == 0
    assert (found.json["pairs_same"], found.json["pairs_different"]) == (50, 100)
    assert set(found.json["fnmr_at_fmr"]["0.1"]) == {"value", "low", "high"}
    assert found.json["fnmr_at_fmr"]["0.01"]["value"] is None
    assert set(found.json["fmr_at_threshold"]) == {"value", "low", "high"}
    text = run("evaluate", model_folder, pairs_csv).out
    assert "FMR at threshold" in text
    assert "not known: 0.01 of 100 different pairs" in text


def test_ways_and_shots_reach_the_figure(run: Run, model_folder: Path, digit_folder: Path) -> None:
    found = run("evaluate", model_folder, digit_folder, "--ways", 4, "--shots", 3, "--json").json["few_shot"]
    assert (found["ways"], found["shots"]) == (4, 3)
    usual = run("evaluate", model_folder, digit_folder, "--json").json["few_shot"]
    assert (usual["ways"], usual["shots"]) == (10, 1)  # 20 is asked for, and lowered to the digits there are
