"""Every command does what its help says: files, figures, exit status, and exactly one JSON document."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.learn import Learned
from likewise.cli.console import table
from likewise.cli.train import parse_batch
from likewise.errors import UsageError
from likewise.matching import load

Run = Callable[..., object]


@pytest.fixture
def pairs_csv(digit_folder: Path, tmp_path: Path) -> Path:
    """Pairs in which no picture stands twice, half of them the same."""
    lines = ["a,b,same"]
    for digit in range(10):
        for number in range(0, 20, 2):
            lines.append(f"{digit_folder}/{digit}/{number:02}.png,{digit_folder}/{digit}/{number + 1:02}.png,1")
        for number in range(20, 30):
            if digit % 2 == 0:
                lines.append(f"{digit_folder}/{digit}/{number}.png,{digit_folder}/{digit + 1}/{number}.png,0")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path / "pairs.csv"


class TestJson:
    """Keys as in the table of commands; one document on standard output and nothing else there."""

    @pytest.mark.usefixtures("undrawn")
    def test_train(self, run: Run, digit_folder: Path, quick: list[object], tmp_path: Path) -> None:
        found = run("train", digit_folder, *quick, "--json")
        assert found.status == 0
        assert {"model", "epochs", "train_seconds", "images_per_second", "loss"} <= set(found.json)
        assert found.json["epochs"] == 1
        assert found.json["split"] == "item"
        assert "split by item: train 180" in found.err
        assert load(tmp_path / "m").dim == 8

    def test_evaluate(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        found = run("evaluate", model_folder, digit_folder, "--json")
        assert found.status == 0
        assert {
            "precision_at_1", "r_precision", "map_at_r", "roc_auc", "eer", "fnmr_at_fmr", "nmi", "items", "identities",
        } <= set(found.json)  # fmt: skip
        assert found.json["items"] == 300
        assert found.json["precision_at_1"] > 0.9

    def test_evaluate_writes_a_report(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        found = run("evaluate", model_folder, digit_folder, "--out", tmp_path / "report", "--json")
        assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
            "hardest.png", "metrics.json", "roc.png",
        ]  # fmt: skip
        assert all(Path(file).is_file() for file in found.json["files"])
        written = json.loads((tmp_path / "report" / "metrics.json").read_text())
        assert {k: v for k, v in found.json.items() if k != "files"} == written

    def test_evaluate_pairs(self, run: Run, model_folder: Path, pairs_csv: Path) -> None:
        found = run("evaluate", model_folder, pairs_csv, "--json")
        assert found.status == 0
        assert (found.json["pairs_same"], found.json["pairs_different"]) == (100, 50)
        assert found.json["eer"] < 0.3

    def test_calibrate(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        before = (model_folder / "calibration.json").read_bytes()
        found = run(
            "calibrate", model_folder, digit_folder, "--unit", "item", "--fmr", 0.02, "--out", tmp_path / "c", "--json"
        )
        assert found.status == 0
        assert {"fmr", "threshold", "fmr_low", "fmr_high", "fnmr", "pairs_different", "pairs_same"} <= set(found.json)
        assert found.json["fmr"] == 0.02
        assert found.json["fmr_measured"] <= 0.02
        assert found.json["unit"] == "item"
        calibration = load(tmp_path / "c").calibrated()
        assert calibration.threshold_for(0.02).threshold == found.json["threshold"]
        assert (model_folder / "calibration.json").read_bytes() == before

    def test_calibrate_in_place(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        import shutil

        copy = shutil.copytree(model_folder, tmp_path / "copy")
        assert run("calibrate", copy, digit_folder, "--unit", "item", "--fmr", 0.05, "--json").status == 0
        assert load(copy).calibrated().default == 0.05
        assert (copy / "report" / "roc.png").is_file()

    def test_verify(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        a, same, other = (digit_folder / name for name in ("3/00.png", "3/00.png", "8/00.png"))
        found = run("verify", model_folder, a, same, "--json")
        assert (found.status, found.json["same"]) == (0, True)
        assert found.json["distance"] < 1e-3
        assert set(found.json) == {"same", "distance", "threshold", "probability", "fmr", "fmr_high", "supported"}
        found = run("verify", model_folder, a, other, "--json")
        assert (found.status, found.json["same"]) == (1, False)

    def test_verify_says_by_its_status_what_its_answer_says(
        self, run: Run, model_folder: Path, digit_folder: Path
    ) -> None:
        for b in ("3/01.png", "5/02.png", "3/03.png", "9/00.png"):
            found = run("verify", model_folder, digit_folder / "3/00.png", digit_folder / b)
            assert found.status == int(found.out.startswith("not the same"))
            assert found.err == ""

    def test_encode(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.png").write_text("text")
        found = run(
            "encode", model_folder, digit_folder / "4", tmp_path / "bad.png", "-o", tmp_path / "e.npz", "--json"
        )
        assert found.status == 0
        assert (found.json["items"], found.json["dim"]) == (30, 16)
        assert "skipped" in found.err
        assert "bad.png" in found.err
        with np.load(tmp_path / "e.npz", allow_pickle=False) as held:
            assert held["embeddings"].shape == (30, 16)

    @pytest.mark.parametrize("kind", ["png", "html"])
    def test_map(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path, kind: str) -> None:
        found = run("map", model_folder, digit_folder, "-o", tmp_path / f"map.{kind}", "--method", "pca", "--json")
        assert found.status == 0
        assert {"points", "method", "trustworthiness", "file"} <= set(found.json)
        assert (found.json["points"], found.json["method"]) == (300, "pca")
        assert 0.5 < found.json["trustworthiness"] <= 1
        assert Path(found.json["file"]).stat().st_size > 10_000

    def test_data_check(self, run: Run, tree: Path) -> None:
        (tree / "person 0" / "bad.png").write_text("text")
        found = run("data", "check", tree, "--json")
        assert found.status == 0
        assert (found.json["items"], found.json["identities"]) == (24, 4)
        assert [problem["kind"] for problem in found.json["problems"]] == ["unreadable"]

    def test_data_list_and_get(self, run: Run) -> None:
        found = run("data", "list", "--json")
        assert found.status == 0
        assert {"mnist", "digits", "omniglot"} <= {entry["name"] for entry in found.json["sets"]}
        assert run("data", "get", "digits", "--json").json["name"] == "digits"

    def test_models_list(self, run: Run, model_folder: Path, tmp_path: Path) -> None:
        import shutil

        shutil.copytree(model_folder, tmp_path / "one.model")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "config.json").write_text('{"of": "another program"}')
        found = run("models", "list", tmp_path, "--json")
        assert found.json["models"] == [
            {"model": str(tmp_path / "one.model"), "task": "embed", "backbone": "mlp", "dim": 16}
        ]

    def test_models_list_names_what_it_cannot_read(self, run: Run, model_folder: Path, tmp_path: Path) -> None:
        import shutil

        shutil.copytree(model_folder, tmp_path / "newer.model")
        config = json.loads((tmp_path / "newer.model" / "config.json").read_text())
        (tmp_path / "newer.model" / "config.json").write_text(json.dumps({**config, "format": 99}))
        (entry,) = run("models", "list", tmp_path, "--json").json["models"]
        assert entry["model"] == str(tmp_path / "newer.model")
        assert "format 99" in entry["problem"]
        assert "format 99" in run("models", "list", tmp_path).out

    def test_models_info(self, run: Run, learned: Learned, model_folder: Path) -> None:
        found = run("models", "info", model_folder, "--json")
        assert found.status == 0
        assert found.json["fingerprint"] == learned.model.fingerprint
        assert found.json["parameters"] == learned.model.encoder.parameters_count
        assert found.json["calibration"]["default"] == learned.model.calibrated().default

    @pytest.mark.usefixtures("undrawn")
    def test_demo(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from likewise.apps import demo
        from likewise.apps.learn import LearnOptions
        from likewise.apps.map import MapOptions
        from likewise.training import FitOptions

        quick = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=1, precision="float32"))
        monkeypatch.setattr(demo, "recipe", lambda *_: quick)
        monkeypatch.setattr(demo, "MapOptions", lambda **_: MapOptions("pca"))
        found = run("demo", "--data", "digits", "--out", tmp_path / "demo", "--json")
        assert found.status == 0
        assert {
            "precision_at_1", "eer", "roc_auc", "model", "files", "train_seconds", "images_per_second",
        } <= set(found.json)  # fmt: skip
        assert all(Path(file).is_file() for file in found.json["files"])
        assert any(file.endswith("map.html") for file in found.json["files"])
        assert load(found.json["model"]).dim == 8

    @pytest.mark.usefixtures("undrawn")
    def test_the_demo_makes_do_with_digits(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from likewise.apps import demo
        from likewise.apps.learn import LearnOptions
        from likewise.apps.map import MapOptions
        from likewise.data import open_data
        from likewise.errors import DataError
        from likewise.training import FitOptions

        def offline(name: str) -> object:
            if name == "mnist":
                raise DataError("The data set mnist can be had", "no network", "Connect to one.")
            return open_data(name)

        monkeypatch.setattr(demo, "open_data", offline)
        quick = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=1, precision="float32"))
        monkeypatch.setattr(demo, "recipe", lambda *_: quick)
        monkeypatch.setattr(demo, "MapOptions", lambda **_: MapOptions("pca"))
        found = run("demo", "--out", tmp_path / "demo", "--json")
        assert found.status == 0
        assert found.json["items"] < 300
        assert sum("MNIST cannot be had" in line for line in found.err.splitlines()) == 1


class TestTraining:
    pytestmark = pytest.mark.usefixtures("undrawn")

    def test_options_reach_the_run(self, run: Run, digit_folder: Path, tmp_path: Path) -> None:
        found = run(
            "train", digit_folder, "--out", tmp_path / "m", "--loss", "triplet", "--miner", "hardest", "--margin", 0.3,
            "--dim", 12, "--backbone", "tutorial", "--size", 20, "--resize", "pad", "--epochs", 2, "--batch", "5x4",
            "--balanced", "--optimizer", "sgd", "--lr", 0.01, "--weight-decay", 0.001, "--schedule", "cosine",
            "--precision", "float32", "--augment", "jitter", "--average", 0.5, "--select", "eer", "--patience", 3,
            "--split", "item", "--device", "cpu", "--seed", 7, "--json",
        )  # fmt: skip
        assert found.status == 0
        trained = json.loads((tmp_path / "m" / "config.json").read_text())["trained"]
        assert trained["fit"] == {
            "epochs": 2, "batch": [5, 4], "balanced": True, "optimizer": "sgd", "lr": 0.01, "weight_decay": 0.001,
            "momentum": 0.9, "schedule": "cosine", "precision": "float32", "augment": "jitter", "average": 0.5,
            "select": "eer", "patience": 3, "seed": 7, "device": "cpu",
        }  # fmt: skip
        assert trained["objective"]["name"] == "triplet"
        assert trained["objective"]["margin"] == 0.3
        assert trained["objective"]["miner"]["name"] == "hardest"
        made = load(tmp_path / "m").encoder
        assert (made.backbone, made.dim, made.ready().shape, made.ready().resize) == (
            "tutorial",
            12,
            (1, 20, 20),
            "pad",
        )

    def test_the_same_seed_writes_the_same_parameters(
        self, run: Run, digit_folder: Path, quick: list[object], tmp_path: Path
    ) -> None:
        for name in ("a", "b"):
            assert run("train", digit_folder, *quick[:-1], tmp_path / name, "--seed", 3).status == 0
        a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
        assert a == b

    def test_from_another_model(self, run: Run, digit_folder: Path, model_folder: Path, tmp_path: Path) -> None:
        found = run("train", digit_folder, "--from", model_folder, "--epochs", 1, "--out", tmp_path / "m", "--json")
        assert found.status == 0
        assert load(tmp_path / "m").dim == 16

    def test_pairs(self, run: Run, pairs_csv: Path, quick: list[object], tmp_path: Path) -> None:
        found = run("train", pairs_csv, *quick, "--loss", "contrastive", "--json")
        assert found.status == 0
        assert load(tmp_path / "m").encoder.trained["identities"] is None

    def test_one_broken_file_is_reported_and_skipped(
        self, run: Run, digit_folder: Path, quick: list[object], tmp_path: Path
    ) -> None:
        import shutil

        shutil.copytree(digit_folder, tmp_path / "mixed")
        (tmp_path / "mixed" / "0" / "broken.png").write_bytes(b"\x89PNG broken")
        found = run("train", tmp_path / "mixed", *quick)
        assert found.status == 0
        assert sum("broken.png" in line for line in found.err.splitlines()) == 1

    def test_tensorboard(self, run: Run, digit_folder: Path, quick: list[object], tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        assert run("train", digit_folder, *quick, "--tensorboard", tmp_path / "log").status == 0
        assert [file.name for file in (tmp_path / "log").iterdir() if file.name.startswith("events")]

    def test_a_collapse_is_said_once(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        for digit in "ab":
            (tmp_path / "flat" / digit).mkdir(parents=True)
            for number in range(20):  # other files each, and yet the same to look at
                side = 8 + 20 * "ab".index(digit) + number
                Image.new("L", (side, side), 90).save(tmp_path / "flat" / digit / f"{number}.png")
        with warnings.catch_warnings(record=True) as heard:
            found = run("train", tmp_path / "flat", *quick, "--json")
        assert found.status == 0
        assert heard == []  # Python would write them to standard error, with a line of source
        assert sum("The embeddings collapsed" in line for line in found.err.splitlines()) == 1
        assert any("The embeddings collapsed" in note for note in found.json["notes"])

    def test_file_names_of_all_kinds(self, run: Run, digit_folder: Path, tmp_path: Path, quick: list[object]) -> None:
        """Non-ASCII, and on Linux not even UTF-8: they are names like others."""
        import os
        import shutil

        names = ["Größe 顔", "русский 🙂", os.fsdecode(b"caf\xe9"), "$\\frac{1}$"]
        root = tmp_path / "näme"
        for digit, name in enumerate(names):
            shutil.copytree(digit_folder / str(digit), root / name)
        found = run("train", root, *quick, "--json")
        assert found.status == 0
        assert found.json["model"]
        checked = run("data", "check", root, "--json").json
        assert list(checked["counts"].values()) == [30] * 4
        assert set(checked["counts"]) == set(names)
        assert run("data", "check", root).status == 0
        first = next((root / names[2]).iterdir())
        assert run("verify", tmp_path / "m", first, first).status == 0


class TestText:
    def test_results_are_on_standard_output_and_the_rest_is_not(
        self, run: Run, model_folder: Path, digit_folder: Path
    ) -> None:
        found = run("evaluate", model_folder, digit_folder, "--unit", "item")
        assert "P@1" in found.out
        assert "EER" in found.out
        assert found.err == ""

    def test_calibrate_says_what_was_promised_and_measured(
        self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path
    ) -> None:
        found = run("calibrate", model_folder, digit_folder, "--unit", "item", "--fmr", 0.02, "--out", tmp_path / "c")
        assert "promised FMR" in found.out
        assert "the same if the distance is at most this" in found.out

    def test_models_info_names_tap_and_threshold(self, run: Run, model_folder: Path) -> None:
        out = run("models", "info", model_folder).out
        assert "hidden1, hidden2, embedding" in out
        assert "at FMR 0.1" in out

    def test_version(self, run: Run) -> None:
        from importlib.metadata import version

        assert run("--version") == (0, f"{version('likewise')}\n", "")

    def test_a_command_alone_shows_its_help(self, run: Run) -> None:
        for arguments in ((), ("data",), ("models",)):
            found = run(*arguments)
            assert found.status == 2
            assert found.out == ""
            assert "Commands:" in found.err

    def test_a_table_is_aligned(self) -> None:
        assert table([("a", 1.23456789), ("long", [1, "x"]), ("b", None), ("c", ())]) == (
            "a     1.235\nlong  1, x\nb     not known\nc     none"
        )

    def test_batches(self) -> None:
        assert (parse_batch(None), parse_batch("8x16"), parse_batch("8X16"), parse_batch("256")) == (
            None, (8, 16), (8, 16), 256,
        )  # fmt: skip
        for wrong in ("8x", "x", "", "8x4x2", "-8", "8.5", "²x³", "eight"):
            with pytest.raises(UsageError, match="--batch is PxK or a number"):
                parse_batch(wrong)


@pytest.mark.slow
def test_umap_from_the_command_line(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    found = run("map", model_folder, digit_folder, "-o", tmp_path / "map.html", "--json")
    assert found.status == 0
    assert (found.json["method"], found.json["points"]) == ("umap", 300)
    assert "principal components" in found.err


@pytest.mark.slow
def test_the_demo_as_it_is(run: Run, tmp_path: Path) -> None:
    """On scikit-learn's digits, with nothing shortened."""
    found = run("demo", "--data", "digits", "--out", tmp_path / "demo", "--json")
    assert found.status == 0
    assert found.json["precision_at_1"] > 0.97
    assert found.json["eer"] < 0.05
    for file in found.json["files"]:
        assert Path(file).stat().st_size > 500
