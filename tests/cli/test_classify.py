"""Classes, several at once and numbers through the commands: keys, statuses, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., object]
QUICK = (
    "--task", "classify", "--backbone", "linear", "--epochs", 20, "--lr", 0.02, "--precision", "float32", "--json"
)  # fmt: skip
LEFT, UPPER = 0, 1


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))


def drawn(rng: np.random.Generator, left: int, upper: int) -> Image.Image:
    picture = rng.normal(90, 20, (8, 8))
    picture[:, :4] += 70 * left
    picture[:4] += 70 * upper
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 160 pictures whose left half, upper half, both or none are bright; to be read, not changed."""
    root, rng = tmp_path_factory.mktemp("halves"), np.random.default_rng(0)
    lines = ["path,label,left,upper,degrees,camera"]
    for i in range(160):
        left, upper = i % 2, i // 2 % 2
        drawn(rng, left, upper).save(root / f"{i}.png")
        lines.append(f"{i}.png,{'bright' if left else 'dark'},{left},{upper},{10 * left + 5 * upper - 3},c{i % 20}")
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return root / "t.csv"


@pytest.fixture(scope="module")
def folder(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the column label; to be read, not changed."""
    from likewise.apps.classify import ClassifyOptions, learn
    from likewise.data import open_data
    from likewise.training import FitOptions

    class Quiet:
        def step(self, _: object) -> None:
            pass

        def say(self, _: str) -> None:
            pass

    options = ClassifyOptions(backbone="linear", fit=FitOptions(epochs=20, lr=0.02, precision="float32"))
    out = tmp_path_factory.mktemp("model") / "halves.model"
    learn(open_data(table), out, options, watcher=Quiet())
    return out


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """One with a bright left half, and one without."""
    rng, files = np.random.default_rng(9), [tmp_path / "bright.png", tmp_path / "dark.png"]
    for left, file in zip((1, 0), files, strict=True):
        drawn(rng, left, 0).save(file)
    return files


def test_from_a_folder_to_answers(run: Run, digit_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "digits.model"
    trained = run("train", digit_folder, "--out", out, *QUICK)
    assert trained.status == 0, trained.err
    assert {"model", "epochs", "train_seconds", "images_per_second", "loss"} <= set(trained.json)
    assert (trained.json["task"], trained.json["head"], trained.json["split"]) == ("classify", "multiclass", "item")
    assert "split by item: " in trained.err

    measured = run("evaluate", out, digit_folder, "--out", tmp_path / "report", "--json")
    assert {"accuracy", "balanced_accuracy", "log_loss", "ece"} <= set(measured.json)
    assert measured.json["accuracy"] > 0.9
    assert "The model was trained on" in measured.err
    names = {Path(file).name for file in measured.json["files"]}
    assert (
        names
        == {"metrics.json", "reliability.png", "confusion.png"}
        == {file.name for file in (tmp_path / "report").iterdir()}
    )
    kept = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert kept == {name: value for name, value in measured.json.items() if name != "files"}

    files = [digit_folder / "3" / "00.png", digit_folder / "7" / "00.png"]
    said = run("classify", out, *files, "--top", 2, "--json")
    assert said.status == 0
    assert [one["file"] for one in said.json["files"]] == [str(file) for file in files]
    for one in said.json["files"]:
        assert {"file", "label", "probability"} <= set(one)
        assert len(one["values"]) == 2
        assert one["values"][one["label"]] == one["probability"] == max(one["values"].values())


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("nan", "Targets are finite numbers, or yes and no; 'left' is one; got 'nan' in row 2"),
        ("", "Every row has a left; got an empty one in row 2"),
    ],
)
def test_a_cell_without_a_target_is_named_with_what_to_do(run: Run, tmp_path: Path, cell: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(f"path,left\n0.png,{cell}\n1.png,1\n")
    refused = run("train", tmp_path / "t.csv", "--out", tmp_path / "m", *QUICK, "--targets", "left").refused(3)
    assert said in refused
    assert refused.rstrip().endswith("Fill it in, or leave the row out.")


def test_what_cannot_be_learned_that_way_is_refused_with_the_option_that_can(
    run: Run, table: Path, tmp_path: Path
) -> None:
    tenths = table.parent / "tenths.csv"
    tenths.write_text("path,much\n" + "".join(f"{i}.png,{i / 10}\n" for i in range(40)))
    out = ("--out", tmp_path / "m")
    refused = run("train", tenths, *out, *QUICK, "--targets", "much", "--head", "multilabel").refused(2)
    assert "got much 0.1 of '1.png'. Numbers take --head regression." in refused
    refused = run("train", tmp_path / "nowhere", *out, *QUICK, "--batch", "8x16").refused(2)  # before data are read
    assert "got 8x16. Pass for example --batch 64." in refused


def test_the_part_of_its_own_data_that_it_never_saw(run: Run, folder: Path, table: Path, tmp_path: Path) -> None:
    from likewise.apps.classify import Classifier
    from likewise.data import open_data
    from likewise.encoder import PARTS

    seen, data = Classifier.load(folder).encoder.seen, open_data(table)
    uses = seen.parts[seen.rows(data.contents)]
    in_training = json.loads((folder / "report" / "metrics.json").read_text())
    for part in ("train", "valid", "tune", "test"):
        found = run("evaluate", folder, table, "--part", part, "--json")
        assert found.json["items"] == (uses == PARTS.index(part)).sum(), part
        assert "The model was trained on" not in found.err
    again = run("evaluate", folder, table, "--part", "test", "--errors", tmp_path / "errors", "--json").json
    assert {name: again[name] for name in ("accuracy", "ece", "items")} == {
        name: in_training[name] for name in ("accuracy", "ece", "items")
    }
    relabel = (tmp_path / "errors" / "relabel.csv").read_text().splitlines()
    assert len(relabel) == 161  # all items, to be corrected in one place
    whole = run("evaluate", folder, table).err
    assert f"The model was trained on {(uses == 0).sum()} of 160 items of these" in whole
    assert "--part test is what it never saw" in whole
    (tmp_path / "t.csv").write_text("path,label\nnew.png,dark\n")
    drawn(np.random.default_rng(3), 0, 1).save(tmp_path / "new.png")
    assert "test" in run("evaluate", folder, tmp_path / "t.csv", "--part", "test").refused(2)


def test_what_a_model_is(run: Run, folder: Path) -> None:
    values = run("models", "info", folder, "--json").json
    assert (values["task"], values["architecture"]["head"]["names"]) == ("classify", ["bright", "dark"])
    assert values["parameters"] == 2 * 64 + 2
    assert values["calibration"] == json.loads((folder / "calibration.json").read_text())
    text = run("models", "info", folder).out
    assert "classify: multiclass" in text
    assert "bright, dark" in text
    listed = run("models", "list", folder.parent, "--json").json["models"]
    assert [(model["task"], model["backbone"]) for model in listed] == [("classify", "linear")]


def test_a_file_that_cannot_be_read_is_said_and_the_others_answered(
    run: Run, folder: Path, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = run("classify", folder, pictures[0], tmp_path / "bad.png", pictures[1], "--json")
    assert found.status == 1
    assert [(one["file"], one["label"]) for one in found.json["files"]] == [
        (str(pictures[0]), "bright"), (str(pictures[1]), "dark"),
    ]  # fmt: skip
    assert [one["file"] for one in found.json["skipped"]] == [str(tmp_path / "bad.png")]
    assert "skipped " in found.err
    alone = run("classify", folder, tmp_path / "none.png")
    assert alone.refused(3).count("none.png") == 1  # said once
    assert "skipped" not in alone.err
    many = run("classify", folder, *(tmp_path / f"none{i}.png" for i in range(14)))
    assert many.err.count("skipped ") == 10
    assert "and 4 more" in many.err.splitlines()
    assert "At least one file can be read; got none of 14" in many.err
    text = run("classify", folder, *pictures, "--top", 1).out.splitlines()
    assert [line.split("%")[0].rsplit(" ", 1)[0] for line in text] == [
        f"{pictures[0]}: bright (bright", f"{pictures[1]}: dark (dark",
    ]  # fmt: skip
    assert len(run("classify", folder, tmp_path, "--json").json["files"]) == 2  # a folder is the files in it


def test_several_at_once(run: Run, table: Path, tmp_path: Path, pictures: list[Path]) -> None:
    out = tmp_path / "m"
    trained = run("train", table, "--out", out, *QUICK, "--targets", "left,upper", "--split", "item")
    assert trained.json["head"] == "multilabel"
    both = tmp_path / "both.png"
    drawn(np.random.default_rng(5), 1, 1).save(both)
    said = run("classify", out, *pictures, both, "--json").json["files"]
    assert [one["label"] for one in said] == ["left", "none", "left+upper"]
    measured = run("evaluate", out, table, "--json").json  # finds the columns by their names
    assert {"accuracy", "balanced_accuracy", "log_loss", "ece", "mean_f1"} <= set(measured)
    assert set(measured["by_name"]) == {"left", "upper"}
    promise = run("calibrate", out, table, "--json").json
    assert set(promise["thresholds"]) == {"left", "upper"}


def test_numbers(run: Run, table: Path, tmp_path: Path, pictures: list[Path]) -> None:
    out = tmp_path / "m"
    trained = run("train", table, "--out", out, *QUICK, "--targets", "degrees", "--norm", "l1")
    assert trained.json["head"] == "regression"
    first, second = run("classify", out, *pictures, "--json").json["files"]
    assert first["values"]["degrees"] > second["values"]["degrees"] + 5
    assert first["probability"] is None
    low, high = first["between"]["degrees"]
    assert low < first["values"]["degrees"] < high
    assert "90% in" in run("classify", out, pictures[0]).out
    assert {"mae", "covered"} <= set(run("evaluate", out, table, "--json").json)


def test_groups(run: Run, table: Path, tmp_path: Path) -> None:
    grouped = tmp_path / "t.csv"
    lines = table.read_text().replace("camera", "group").splitlines()
    grouped.write_text("\n".join([lines[0], *(f"{table.parent}/{line}" for line in lines[1:])]) + "\n")
    trained = run("train", grouped, "--out", tmp_path / "m", *QUICK)
    assert trained.json["split"] == "group"
    assert run("evaluate", tmp_path / "m", grouped, "--json").json["groups"] == 20


def test_calibrating_a_copy_and_in_place(run: Run, folder: Path, table: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    copy = tmp_path / "copy.model"
    found = run("calibrate", folder, table, "--out", copy, "--json")
    values = found.json
    assert {"temperature", "items", "data"} <= set(values)
    assert not {"accuracy", "ece"} & set(values)  # of what set it, it is always right
    assert values["model"] == str(copy)
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    assert json.loads((copy / "calibration.json").read_text())["temperature"] == values["temperature"]
    text = (copy / "README.md").read_text()
    assert text.startswith("# copy.model\n")
    assert f"found on {values['items']} items that training did not use" in text
    assert "On the test part, which had no part in training." in text
    again = run("calibrate", copy, table, "--json")
    assert again.json["temperature"] == pytest.approx(values["temperature"])
    assert "calibrated the model: whether it is, shows on others" in run("evaluate", copy, table).err
    assert (folder / "report").is_dir() == (copy / "report").is_dir()


def test_what_training_used_calibrates_nothing(run: Run, folder: Path, table: Path, tmp_path: Path) -> None:
    from likewise.apps.classify import Classifier
    from likewise.data import open_data
    from likewise.encoder import PARTS

    seen, data = Classifier.load(folder).encoder.seen, open_data(table)
    uses = seen.parts[seen.rows(data.contents)]
    used = np.isin(uses, [PARTS.index("train"), PARTS.index("valid")])
    copy = tmp_path / "copy.model"
    found = run("calibrate", folder, table, "--out", copy, "--json")
    assert f"{used.sum()} of these 160 items were used in training, and are left out." in found.err
    assert found.json["items"] == (~used).sum()
    assert f"without {used.sum()} of 160 items, which training used" in found.json["data"]
    now = Classifier.load(copy).encoder.seen
    assert (now.parts[now.rows(data.contents)][used] == uses[used]).all()

    lines = table.read_text().splitlines()
    few = [*np.flatnonzero(used)[:40], *np.flatnonzero(~used)[:4]]
    (tmp_path / "t.csv").write_text("\n".join([lines[0], *(f"{table.parent}/{lines[1 + i]}" for i in few)]) + "\n")
    kept = (copy / "calibration.json").read_bytes()
    line = run("calibrate", copy, tmp_path / "t.csv").refused(3)
    assert "A calibration takes 5 items or more that training did not use; got 4 of 44." in line
    assert (copy / "calibration.json").read_bytes() == kept


def test_a_new_last_layer_on_a_model(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    quick = (*QUICK[:2], *QUICK[4:])  # the backbone is that of the model
    found = run("train", digit_folder, "--out", tmp_path / "m", *quick, "--from", model_folder, "--frozen")
    assert found.status == 0, found.err
    assert run("models", "info", tmp_path / "m", "--json").json["architecture"]["backbone"] == "mlp"
    assert run("evaluate", tmp_path / "m", digit_folder, "--json").json["accuracy"] > 0.9
    assert list((tmp_path / "cache" / "features").iterdir())


def test_names_that_a_terminal_or_a_page_would_obey(run: Run, table: Path, tmp_path: Path) -> None:
    """Names of classes and files are of whoever made the data."""
    bad, tag = "da\x1b[2Jrk\nsecond line", "<img src=x onerror=alert(1)>|[a](b)"
    named = tmp_path / "t.csv"
    with named.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        for line in table.read_text().splitlines()[1:]:
            path, label, *_ = line.split(",")
            rows.writerow([table.parent / path, bad if label == "dark" else tag])
    out = tmp_path / "m"
    trained = run("train", named, "--out", out, *QUICK)
    assert trained.status == 0, trained.err
    text = (out / "README.md").read_text()
    assert r"\<img src=x onerror=alert(1)\>\|\[a\](b)" in text
    assert not any(part in text.replace(r"\<", "") for part in ("\x1b", "\nsecond", "<img"))
    picture = tmp_path / "a\x1b[31m.png"
    drawn(np.random.default_rng(5), 0, 1).save(picture)
    (tmp_path / "b\x1b[31m.png").write_bytes(b"no picture")
    found = run("classify", out, picture, tmp_path / "b\x1b[31m.png")
    shown = found.out + found.err + run("evaluate", out, named).out + run("models", "info", out).out
    assert "\x1b" not in shown
    assert len(found.out.splitlines()) == 1
    assert r"a\x1b[31m.png: da\x1b[2Jrk\nsecond line (" in found.out
    said = run("classify", out, picture, "--json").json["files"][0]
    assert (said["file"], said["label"]) == (str(picture), bad)  # scripts get them as they are


def test_without_colour(run: Run, tmp_path: Path) -> None:
    """Red and green of one brightness: what tells them apart is gone."""
    rng, folder = np.random.default_rng(0), tmp_path / "lights"
    for name, lit in (("green", (0, 130, 0)), ("red", (255, 0, 0))):  # both of luma 76
        (folder / name).mkdir(parents=True)
        for i in range(40):
            pixels = np.full((8, 8, 3), lit, np.uint8)
            pixels[rng.integers(8), rng.integers(8)] = 255
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    for options, channels in (((), 3), (("--grey",), 1)):
        out = tmp_path / f"{channels}.model"
        assert run("train", folder, "--out", out, *QUICK, *options).status == 0
        assert run("models", "info", out, "--json").json["architecture"]["preprocessing"]["channels"] == channels
        assert (run("evaluate", out, folder, "--json").json["accuracy"] > 0.95) == (channels == 3)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--frozen",), "--frozen without --from"),
            (("--split", "identity"), "Classes are the same in all parts"),
            (("--head", "binary", "--loss", "triplet"), "A model for classifying has no --loss"),
            (("--dim", 8), "has no --dim"),
            (("--margin", 0.2), "has no --margin"),
            (("--select", "eer"), "has no --select"),
            (("--hold", 0.2), "has no --hold"),
            (("--tune", "clips"), "has no --tune"),
            (("--head", "ranking"), "--head"),
        ],
        ids=str,
    )
    def test_before_data_are_looked_for(self, run: Run, tmp_path: Path, options: tuple[object, ...], said: str) -> None:
        line = run("train", tmp_path / "none", "--out", tmp_path / "m", *QUICK, *options).refused(2)
        assert said in line
        assert "not there" not in line

    @pytest.mark.parametrize(
        "options", [("--head", "binary"), ("--targets", "a"), ("--norm", "l1"), ("--frozen",)], ids=str
    )
    def test_options_of_classes_by_other_tasks(self, run: Run, tmp_path: Path, options: tuple[object, ...]) -> None:
        found = run("train", tmp_path / "none", "--out", tmp_path / "m", *options)
        assert f"A model for encoding items has no {options[0]}" in found.refused(2)

    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("calibrate", ("--fmr", 0.1)), ("calibrate", ("--per-hour", 1)), ("calibrate", ("--unit", "item")),
            ("evaluate", ("--group-by", "camera")), ("evaluate", ("--ways", 5)), ("evaluate", ("--threshold", 0.5)),
        ],
        ids=str,
    )  # fmt: skip
    def test_options_of_other_tasks_for_a_model(
        self, run: Run, folder: Path, table: Path, command: str, options: tuple[object, ...]
    ) -> None:
        assert f"A model for classifying has no {options[0]}" in run(command, folder, table, *options).refused(2)

    def test_a_model_for_another_task_by_each_command(
        self, run: Run, folder: Path, model_folder: Path, pictures: list[Path], digit_folder: Path, tmp_path: Path
    ) -> None:
        assert "one for encoding items" in run("classify", model_folder, pictures[0]).refused(3)
        for command in (
            ("verify", folder, *pictures), ("encode", folder, *pictures, "-o", tmp_path / "e.npz"),
            ("map", folder, digit_folder, "-o", tmp_path / "m.png"),
            ("cluster", folder, digit_folder, "--out", tmp_path / "c"), ("search", folder, digit_folder, pictures[0]),
            ("enrol", tmp_path / "g", "ada", pictures[0], "--model", folder), ("listen", folder, pictures[0]),
            ("train", digit_folder, "--from", folder, "--out", tmp_path / "m"),
        ):  # fmt: skip
            assert "one for classifying" in run(*command).refused(3), command[0]

    @pytest.mark.parametrize(
        ("lines", "options", "status", "said"),
        [
            (["path,label", "0.png,a", "1.png,a"], (), 3, "at least 2 classes; got only a"),
            (["path,label", "0.png,a", "1.png,"], (), 3, "an empty one in row 3"),
            (["path,left", "0.png,1", "1.png,0"], (), 3, "Add label"),
            (["path,left", "0.png,1", "1.png,"], ("--targets", "left"), 3, "an empty one in row 3"),
            (["path,left", "0.png,1", "1.png,much"], ("--targets", "left"), 3, "'much' in row 3"),
            (["path,left", "0.png,1", "1.png,0"], ("--targets", "left,right"), 2, "has path, left"),
            (["path,n", "0.png,7", "1.png,7"], ("--targets", "n"), 3, "'n', which is always the same"),
            (["a,b,same", "0.png,1.png,1", "0.png,2.png,0"], (), 2, "a pairs file"),
            (
                ["path,a,b", "0.png,1,1", "1.png,1,0", "2.png,0,1"], ("--targets", "a,b", "--head", "multiclass"), 3,
                "use the head multilabel",
            ),
        ],
        ids=str,
    )  # fmt: skip
    def test_manifests(
        self, run: Run, table: Path, tmp_path: Path, lines: list[str], options: tuple[object, ...], status: int,
        said: str,
    ) -> None:  # fmt: skip
        bad = tmp_path / "t.csv"
        bad.write_text("\n".join(lines) + "\n")
        for i in range(3):
            (tmp_path / f"{i}.png").write_bytes((table.parent / f"{i}.png").read_bytes())
        assert said in run("train", bad, "--out", tmp_path / "m", *QUICK, *options).refused(status)
        assert not (tmp_path / "m").exists()

    def test_a_class_that_training_never_saw(self, run: Run, folder: Path, table: Path, tmp_path: Path) -> None:
        drawn(np.random.default_rng(3), 0, 1).save(tmp_path / "new.png")
        other = tmp_path / "t.csv"
        other.write_text("path,label\nnew.png,dusk\n")
        for command in ("evaluate", "calibrate"):
            assert "trained on: bright, dark; got dusk" in run(command, folder, other, "--json").refused(3)
        known = [f"{table.parent}/{line}" for line in table.read_text().splitlines()[1:60]]
        rows = [",".join([*line.split(",")[:2], "train"]) for line in known]
        other.write_text("\n".join(["path,label,split", *rows, "new.png,dusk,test"]) + "\n")
        refused = run("train", other, "--out", tmp_path / "m", *QUICK).refused(3)
        assert "trained on: bright, dark; got dusk" in refused
        assert not (tmp_path / "m").exists()

    def test_a_manifest_without_the_columns_of_the_model(
        self, run: Run, table: Path, digit_folder: Path, tmp_path: Path
    ) -> None:
        run("train", table, "--out", tmp_path / "m", *QUICK, "--targets", "left,upper")
        assert "Targets are columns of a manifest" in run("evaluate", tmp_path / "m", digit_folder).refused(2)
        (tmp_path / "t.csv").write_text("path,left\n0.png,1\n")
        refused = run("evaluate", tmp_path / "m", tmp_path / "t.csv").refused(3)
        assert "have what it answers: left, upper; got no column upper in" in refused

    def test_nothing_to_classify(self, run: Run, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "There is something to classify" in run("classify", folder, tmp_path / "empty").refused(3)
