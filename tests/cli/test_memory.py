"""What the commands say of data a model was trained on, and of pairs that do not say who is who."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likewise.data import Dataset
from likewise.encoder import Encoder
from likewise.matching import Model
from likewise.objective import SupCon
from likewise.training import fit

Run = Callable[..., Any]


def write(data: Dataset, root: Path) -> Path:
    """A folder of folders of the items of `data`."""
    for number, (picture, label) in enumerate(zip(data.sources, data.labels, strict=True)):
        (root / data.names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / data.names[label] / f"{number}.png")
    return root


@pytest.fixture
def model_of_people(crowd: Callable[..., Dataset], tmp_path: Path) -> tuple[Path, Path]:
    """A model trained on half of the pictures of twelve people, and the folder of all of them."""
    from likewise.data import folder

    root = write(crowd([f"p{i}" for i in range(12)], 10), tmp_path / "people")
    encoder = Encoder("mlp", 4)
    fit(encoder, folder(root).split(0.5, 0.5)[0], SupCon(), epochs=1, precision="float32")
    Model(encoder).save(tmp_path / "m")
    return tmp_path / "m", root


@pytest.mark.parametrize(
    "command", [("evaluate",), ("calibrate", "--fmr", 0.1), ("map", "-o", "map.png", "--method", "pca")]
)
@pytest.mark.parametrize("place", ["the same", "relative", "moved"])
def test_each_command_says_what_was_trained_on(
    run: Run, model_of_people: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, command: tuple[Any, ...], place: str
) -> None:
    model, root = model_of_people
    monkeypatch.chdir(root.parent)
    data = {"the same": root, "relative": "./people", "moved": root.parent / "moved"}[place]
    if place == "moved":
        shutil.copytree(root, data)
    name, *options = command
    found = run(name, model, data, *options)
    assert found.status == 0
    assert "The model was trained on 60 of 120 items of these, which flatters it." in found.err.splitlines()


@pytest.mark.parametrize("where", ["in place", "--out"])
def test_what_calibrated_a_model_is_told_when_it_is_measured_on(
    run: Run, model_of_people: tuple[Path, Path], crowd: Callable[..., Dataset], tmp_path: Path, where: str
) -> None:
    model, _ = model_of_people
    others = write(crowd([f"q{i}" for i in range(12)], 4), tmp_path / "others")
    new = write(crowd([f"r{i}" for i in range(3)], 4, seed=1), tmp_path / "new")
    out = model if where == "in place" else tmp_path / "copy"
    assert "calibrated this model" not in run("evaluate", model, others).err
    assert run("calibrate", model, others, "--fmr", 0.1, *(["--out", out] if out != model else [])).status == 0
    shutil.copytree(others / "q1", new / "somebody")
    for data, told in ((others, "48 of 48"), (new, "4 of 16")):
        found = run("evaluate", out, data)
        assert found.status == 0
        line = f"{told} items calibrated this model: whether its promise holds shows on others only."
        assert line in found.err.splitlines()
    shutil.rmtree(new / "somebody")
    assert "calibrated this model" not in run("evaluate", out, new).err


def test_strangers_are_a_sample_for_a_model_trained_by_item(
    run: Run, model_of_people: tuple[Path, Path], crowd: Callable[..., Dataset], tmp_path: Path
) -> None:
    model, root = model_of_people
    others = write(crowd([f"q{i}" for i in range(12)], 12), tmp_path / "others")
    assert "66 pairs of 12 identities" in run("calibrate", model, others, "--fmr", 0.001).refused(3)
    found = run("calibrate", model, others, "--fmr", 0.1, "--json")
    assert (found.json["unit"], found.json["identities"], found.json["trials"]) == ("identity", 12, 66)
    assert run("evaluate", model, others, "--json").json["unit"] == "identity"
    found = run("calibrate", model, root, "--fmr", 0.001, "--json")  # more pictures of those it knows
    assert found.json["unit"] == "item"


def test_few_known_among_strangers_are_left_out_and_told(
    run: Run, model_of_people: tuple[Path, Path], crowd: Callable[..., Dataset], tmp_path: Path
) -> None:
    model, root = model_of_people
    mixed = write(crowd([f"q{i}" for i in range(10)], 8), tmp_path / "mixed")
    for name in ("p0", "p1"):
        shutil.copytree(root / name, mixed / name)
    found = run("calibrate", model, mixed, "--fmr", 0.1)
    assert "trained on 10 of 100 items and 2 of 12 identities of these" in found.err
    assert "without 2 of 12 identities, which were trained on" in found.out
    assert "new identities" in found.out


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_strangers_of_the_same_names_are_told_in_one_line(
    run: Run, model_of_people: tuple[Path, Path], crowd: Callable[..., Dataset], tmp_path: Path, command: str
) -> None:
    crowd_of_others = crowd([f"q{i}" for i in range(12)], 12)
    others = write(replace(crowd_of_others, names=tuple(f"p{i}" for i in range(12))), tmp_path / "others")
    options = ("--fmr", 0.1) if command == "calibrate" else ()
    found = run(command, model_of_people[0], others, *options, "--json")
    assert found.json["unit"] == "identity"
    (line,) = found.err.splitlines()
    assert line.startswith("12 of 12 identities have names of some that were trained on")
    assert "--unit item says that they are the same" in line.replace(")", "")
    told = run(command, model_of_people[0], others, *options, "--unit", "item", "--json")
    assert (told.json["unit"], told.err) == ("item", "")


@pytest.mark.parametrize("named", [False, True])
def test_support_of_pairs_is_a_bound_unless_they_are_named(
    run: Run, model_folder: Path, crowd: Callable[..., Dataset], tmp_path: Path, named: bool
) -> None:
    """Thirty people in 300 same and 300 different pairs, no picture twice on a side."""
    root = write(crowd([f"p{i}" for i in range(30)], 20), tmp_path / "people")
    lines = ["a,b,same,id_a,id_b" if named else "a,b,same"]
    for who in range(30):
        for n in range(10):
            a, b, other = 20 * who + n, 20 * who + 10 + n, (20 * (who + 1 + n) + 10 + n) % 600
            for second, same in ((b, 1), (other, 0)):
                names = f",p{who},p{second // 20}" if named else ""
                lines.append(f"p{who}/{a}.png,p{second // 20}/{second}.png,{same}{names}")
    (root / "pairs.csv").write_text("\n".join(lines))
    calibrate = ("calibrate", model_folder, root / "pairs.csv", "--fmr", 0.01, "--out", tmp_path / "c")
    found = run(*calibrate, "--json")
    assert found.json["support_at_most"] == (not named)
    assert found.json["identities"] == (30 if named else None)
    assert ("at most 300 trials, as pairs do not tell who is who" in run(*calibrate).out) == (not named)
    assert ("counted as far as pairs tell" in (tmp_path / "c" / "README.md").read_text()) == (not named)
    assert ("intervals may be too narrow" in run("evaluate", model_folder, root / "pairs.csv").err) == (not named)


def test_a_part_has_its_usual_names(run: Run, model_folder: Path, tmp_path: Path, digit_folder: Path) -> None:
    for top, numbers in (("Training", range(20)), ("Testing", range(20, 30))):
        for who in sorted(digit_folder.iterdir()):
            (tmp_path / "d" / top / who.name).mkdir(parents=True)
            for n in numbers:
                shutil.copy(who / f"{n:02}.png", tmp_path / "d" / top / who.name)
    assert run("evaluate", model_folder, tmp_path / "d", "--part", "test", "--json").json["items"] == 100
    assert run("evaluate", model_folder, tmp_path / "d", "--part", "TRAIN", "--json").json["items"] == 200
