"""What a newcomer reads is in the words of the command line, and names the mistake that was made."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from likewise import assets

Run = Callable[..., object]


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_model_and_data_the_wrong_way_round(run: Run, model_folder: Path, digit_folder: Path, command: str) -> None:
    line = run(command, digit_folder, model_folder).refused(2)
    assert f"{str(model_folder)!r}, which is a model folder" in line
    assert f"Did you mean `likewise {command} {shlex.join([str(model_folder), str(digit_folder)])}`?" in line


def test_model_and_data_of_a_map_the_wrong_way_round(
    run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path
) -> None:
    line = run("map", digit_folder, model_folder, "-o", tmp_path / "map.png").refused(2)
    assert f"Did you mean `likewise map {model_folder} {digit_folder}`?" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["train", "--out", "m"], ["data", "check"]])
def test_a_model_where_only_data_belong(run: Run, model_folder: Path, command: list[str]) -> None:
    line = run(*command, model_folder).refused(2)
    assert "which is a model folder" in line
    assert "Did you mean" not in line


def test_a_model_for_both(run: Run, model_folder: Path) -> None:
    assert "Did you mean" not in run("evaluate", model_folder, model_folder).refused(2)


def test_a_model_that_is_missing_is_the_models_fault(run: Run, digit_folder: Path, tmp_path: Path) -> None:
    assert "A model is a folder" in run("evaluate", tmp_path / "none", digit_folder).refused(3)


def test_data_with_a_config_of_their_own_are_data(run: Run, model_folder: Path, digit_folder: Path) -> None:
    """Other programs call their files config.json too."""
    beside = digit_folder.parent / "with_config"
    beside.mkdir()
    (beside / "config.json").write_text("{}")
    for digit in ("0", "1"):
        (beside / digit).symlink_to(digit_folder / digit)
    assert run("data", "check", beside, "--json").json["items"] == 60


def test_a_part_that_is_not_there(run: Run, model_folder: Path, digit_folder: Path) -> None:
    line = run("evaluate", model_folder, digit_folder, "--part", "people").refused(2)
    assert "'people'" in line
    assert "(" not in line.split("people")[1]  # no call of a function


@pytest.mark.parametrize("option", [("--unit", "people"), ("--ways", "many"), ("--ways", 1)])
def test_a_value_that_cannot_be(run: Run, model_folder: Path, digit_folder: Path, option: tuple[str, object]) -> None:
    line = run("evaluate", model_folder, digit_folder, *option).refused(2)
    assert f"'{option[0]}'" in line
    assert "Value error" not in line


def test_where_the_files_of_data_are(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from likewise.assets.catalogue import MNIST

    def fetch(name: str, **_: object) -> dict[str, Path]:
        return {file.role: tmp_path / file.name for file in assets.ASSETS[name].files}

    monkeypatch.setattr(assets, "fetch", fetch)
    told = [line.split("  ", 1) for line in run("data", "get", "mnist").out.splitlines()]
    assert [role for role, _ in told] == ["train images", "train labels", "test images", "test labels"]
    assert [path.strip() for _, path in told] == [str(tmp_path / file.name) for file in MNIST.files]
    assert run("data", "get", "digits").out == "files  none to fetch: a package has them\n"


def test_data_list_says_where(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(name: str) -> assets.AssetStatus:
        where = {"mnist": (tmp_path / "one", tmp_path / "two"), "digits": ()}.get(name)
        return assets.AssetStatus(assets.ASSETS[name], found=where is not None, where=where or ())

    monkeypatch.setattr(assets, "status", status)
    rows = {line.split()[0]: line for line in run("data", "list").out.splitlines()}
    assert f"{tmp_path / 'one'}, {tmp_path / 'two'}" in rows["mnist"]
    assert "to be fetched" in rows["omniglot"]
    assert "in a package" in rows["digits"]
    assert len({line.index(assets.ASSETS[name].description) for name, line in rows.items()}) == 1


def test_the_two_maps_of_a_demo_have_a_name_and_a_title_each(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layouts are drawn by chance here: UMAP takes its time, and it is titles that are looked at."""
    from likewise.apps import demo
    from likewise.apps.learn import LearnOptions
    from likewise.apps.map import Layout, mapping
    from likewise.training import FitOptions

    titles: dict[str, str] = {}

    def layout(embeddings: object, *, method: str, **_: object) -> Layout:
        return Layout(np.zeros((len(embeddings), 2), np.float32), method, None, {"metric": "cosine"})

    def drawn(_: object, __: object, ___: object, file: Path, *, title: str, **____: object) -> None:
        file.touch()
        titles[file.name] = title

    for name, stand_in in {"layout": layout, "draw": drawn, "page": drawn}.items():
        monkeypatch.setattr(mapping, name, stand_in)
    for module, name in (("report", "draw_curves"), ("report", "draw_hardest")):
        monkeypatch.setattr(f"likewise.evaluation.{module}.{name}", lambda _, __, file: file.touch())
    monkeypatch.setattr("likewise.apps.training.draw_history", lambda _, file: file.touch())
    quick = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=1, precision="float32"))
    monkeypatch.setattr(demo, "recipe", lambda *_: quick)
    found = run("demo", "--data", "digits", "--out", tmp_path / "demo")
    files = [Path(line.split()[-1]).name for line in found.out.splitlines() if line.startswith("look at")]
    assert len(set(files)) == len(files)
    assert {"map.png", "map.html", "pca.png"} <= set(files)
    assert titles["map.png"] == titles["map.html"]
    assert titles["map.png"].startswith("Map of digits")
    assert titles["pca.png"].startswith("Principal components of digits")
