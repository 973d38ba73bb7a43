"""evaluate --errors: mistakes of every kind of model, labels corrected and trained with again, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.triggerword import LearnedTrigger
from likewise.data import manifest

Run = Callable[..., object]
QUICK = ("--backbone", "linear", "--epochs", 20, "--lr", 0.02, "--precision", "float32", "--json")
FILES = ("index.html", "errors.csv", "errors.json", "relabel.csv")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two manifests of pictures whose left half is bright or dark; in the second 8 of 200 labels are wrong.

    To be read, not changed.
    """
    root, rng = tmp_path_factory.mktemp("halves"), np.random.default_rng(0)
    right, wrong = ["path,label"], ["path,label"]
    for i in range(400):
        bright = i % 2
        picture = rng.normal(90, 25, (8, 8))
        picture[:, :4] += 60 * bright
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / f"{i}.png")
        name, other = ("bright", "dark") if bright else ("dark", "bright")
        if i < 200:
            right.append(f"{i}.png,{name}")
        else:
            wrong.append(f"{i}.png,{other if i % 25 == 0 else name}")
    (root / "right.csv").write_text("\n".join(right) + "\n")
    (root / "wrong.csv").write_text("\n".join(wrong) + "\n")
    return root / "right.csv", root / "wrong.csv"


@pytest.fixture(scope="module")
def classifier(tables: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from likewise.apps.classify import ClassifyOptions, learn
    from likewise.data import open_data
    from likewise.training import FitOptions

    class Quiet:
        def step(self, _: object) -> None: ...
        def say(self, _: str) -> None: ...

    out = tmp_path_factory.mktemp("model") / "halves.model"
    options = ClassifyOptions(backbone="linear", fit=FitOptions(epochs=20, lr=0.02, precision="float32"))
    learn(open_data(tables[0]), out, options, watcher=Quiet())
    return out


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_wrong_labels_are_found_corrected_and_trained_with(
    run: Run, classifier: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    found = run("evaluate", classifier, tables[1], "--errors", tmp_path / "errors", "--json")
    assert found.status == 0, found.err
    errors = found.json["errors"]
    assert errors["files"] == [str(tmp_path / "errors" / name) for name in FILES]
    assert {file.name for file in (tmp_path / "errors").iterdir()} == set(FILES)
    assert errors["answers"] == errors["items"] == found.json["items"] == 200
    assert errors["mistakes"] == round(200 * (1 - found.json["accuracy"]))
    kept = json.loads((tmp_path / "errors" / "errors.json").read_text())
    assert {k: v for k, v in errors.items() if k != "files"} == {k: v for k, v in kept.items() if k != "relabel_sha256"}

    table = tmp_path / "errors" / "relabel.csv"
    rows = rows_of(table)
    planted = {str(tables[1].parent / f"{i}.png") for i in range(200, 400, 25)}
    suspected = [row["path"] for row in rows if row["suggested"]]
    assert [row["path"] for row in rows[: len(suspected)]] == suspected
    assert len(planted & set(suspected)) >= 7
    assert len(suspected) <= 10

    health = run("data", "check", table, "--json").json
    assert (health["items"], health["problems"]) == (200, [])
    for row in rows:
        if row["path"] in planted:
            row["label"] = "dark" if row["label"] == "bright" else "bright"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    again = run("train", table, "--task", "classify", "--out", tmp_path / "m", *QUICK)
    assert again.status == 0, again.err
    assert run("evaluate", tmp_path / "m", table, "--json").json["accuracy"] > found.json["accuracy"]
    line = run("evaluate", classifier, tables[1], "--errors", tmp_path / "errors").refused(2)
    assert "corrected are not written over" in line
    assert rows_of(table) == rows


def test_groups_are_those_that_were_asked_for(
    run: Run, classifier: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ("--errors", tmp_path / "errors", "--group-from", r"\d*(\d)\.png", "--json")
    errors = run("evaluate", classifier, tables[1], *options).json["errors"]
    assert {group["name"] for group in errors["groups"]} == set("0123456789")
    assert sum(group["mistakes"] for group in errors["groups"]) == errors["mistakes"]
    # All wrong labels end in 0 or 5.
    assert {group["name"] for group in errors["groups"][:2]} == {"0", "5"}
    back = manifest(tmp_path / "errors" / "relabel.csv")
    assert set(back.group_names) == set("0123456789")


def test_a_model_that_compares(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    found = run(
        "evaluate", model_folder, digit_folder, "--errors", tmp_path / "errors", "--out", tmp_path / "out", "--json"
    )
    assert found.status == 0, found.err
    errors = found.json["errors"]
    assert errors["mistakes"] == round(300 * (1 - found.json["precision_at_1"]))
    assert {Path(file).name for file in found.json["files"]} == {"metrics.json", "roc.png", "hardest.png"}
    assert "errors" not in json.loads((tmp_path / "out" / "metrics.json").read_text())
    back = manifest(tmp_path / "errors" / "relabel.csv")
    assert sorted(map(str, back.sources)) == sorted(map(str, digit_folder.rglob("*.png")))
    assert all(
        back.names[label] == Path(str(s)).parent.name for s, label in zip(back.sources, back.labels, strict=True)
    )
    text = run("evaluate", model_folder, digit_folder, "--errors", tmp_path / "errors").out
    assert "suspected labels" in text
    assert str(tmp_path / "errors" / "index.html") in text


def test_of_a_part_all_items_are_listed(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    parts = tmp_path / "data"
    for file in digit_folder.rglob("*.png"):
        part = "test" if int(file.stem) >= 20 else "train"
        (parts / part / file.parent.name).mkdir(parents=True, exist_ok=True)
        (parts / part / file.parent.name / file.name).write_bytes(file.read_bytes())
    found = run("evaluate", model_folder, parts, "--part", "test", "--errors", tmp_path / "errors", "--json").json
    assert found["items"] == found["errors"]["items"] == 100
    back = manifest(tmp_path / "errors" / "relabel.csv")
    assert (len(back), (back.parts == "test").sum()) == (300, 100)


def test_an_unreadable_item_is_told_and_listed(
    run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path
) -> None:
    for digit in "012":
        (tmp_path / "data" / digit).mkdir(parents=True)
        for file in sorted((digit_folder / digit).glob("*.png"))[:5]:
            (tmp_path / "data" / digit / file.name).write_bytes(file.read_bytes())
    (tmp_path / "data" / "1" / "bad.png").write_bytes(b"no picture")
    found = run("evaluate", model_folder, tmp_path / "data", "--errors", tmp_path / "errors", "--json")
    assert "skipped 1/bad.png" in found.err
    assert [skipped["file"] for skipped in found.json["errors"]["skipped"]] == ["1/bad.png"]
    assert "1/bad.png" in (tmp_path / "errors" / "index.html").read_text()
    (row,) = (row for row in rows_of(tmp_path / "errors" / "relabel.csv") if row["path"].endswith("bad.png"))
    assert row["label"] == "1"
    assert row["why"].startswith("cannot be used: ")


def test_a_trigger_word(run: Run, trigger: LearnedTrigger, tmp_path: Path) -> None:
    clips = trigger.folder.parent / "clips"
    options = ("--threshold", 0.9, "--errors", tmp_path / "errors", "--json")
    found = run("evaluate", trigger.folder, clips, *options)
    assert found.status == 0, found.err
    errors = found.json["errors"]
    assert (errors["mistakes"], errors["answers"]) == (found.json["misses"], found.json["words"])
    assert errors["listed"].get("false alarm", 0) == found.json["false_alarms"]
    assert [Path(file).name for file in errors["files"]] == ["index.html", "errors.csv", "errors.json"]
    assert run("evaluate", trigger.folder, clips, *options).status == 0


class TestRefused:
    def test_before_the_work(self, run: Run, classifier: Path, tables: tuple[Path, Path], tmp_path: Path) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.txt").write_text("precious")
        line = run("evaluate", classifier, tables[1], "--errors", tmp_path / "full").refused(2)
        assert "full" in line
        assert (tmp_path / "full" / "mine.txt").read_text() == "precious"
        for out, errors in (("o", "o"), ("o", "o/errors"), ("e/out", "e")):
            line = run(
                "evaluate", classifier, tables[1], "--out", tmp_path / out, "--errors", tmp_path / errors
            ).refused(2)
            assert "--out and --errors are folders of their own" in line
        assert not (tmp_path / "o").exists()

    def test_pairs(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        a, b, c, d = (digit_folder / name for name in ("0/00.png", "0/01.png", "1/00.png", "1/01.png"))
        (tmp_path / "pairs.csv").write_text(f"a,b,same\n{a},{b},1\n{c},{d},1\n{a},{c},0\n")
        line = run("evaluate", model_folder, tmp_path / "pairs.csv", "--errors", tmp_path / "errors").refused(2)
        assert "Mistakes are looked for among labelled items; got a pairs file" in line
        assert not (tmp_path / "errors").exists()

    def test_one_label(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        (tmp_path / "data" / "0").mkdir(parents=True)
        for file in sorted((digit_folder / "0").glob("*.png"))[:4]:
            (tmp_path / "data" / "0" / file.name).write_bytes(file.read_bytes())
        assert "2 identities" in run(
            "evaluate", model_folder, tmp_path / "data", "--errors", tmp_path / "errors"
        ).refused(3)
        assert not (tmp_path / "errors").exists()

    def test_a_place_that_cannot_be_written(
        self, run: Run, classifier: Path, tables: tuple[Path, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("x")
        line = run("evaluate", classifier, tables[1], "--errors", tmp_path / "file" / "errors").refused(3)
        assert "written whole or not at all" in line
