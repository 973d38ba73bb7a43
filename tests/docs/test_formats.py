"""docs/formats.md lists the fields that are written, all of them and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from likewise.apps.classify import ClassifyOptions, learn
from likewise.apps.detect import LearnedBoxes
from likewise.apps.embeddings import encode_files
from likewise.apps.mistakes import find_mistakes
from likewise.apps.mistakes.findings import Kind
from likewise.apps.triggerword import LearnedTrigger
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Pictures, Sounds
from likewise.evaluation import PairReport
from likewise.metrics import listed_verification
from likewise.training import FitOptions

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def documented(heading: str) -> set[str]:
    """Names in the first column of the tables under a heading."""
    section = re.split(rf"^#+ {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def written(values: dict[str, Any], inner: set[str]) -> set[str]:
    """Names of the fields of `values`, and of the fields inside those whose names are in `inner`."""
    names: set[str] = set()
    for name, value in values.items():
        names.add(name)
        if name in inner:
            entry = value[0] if isinstance(value, list) else value
            names |= {f"{name}.{below}" for below in written(entry, {i[len(name) + 1 :] for i in inner})}
    return names


def test_config(model_folder: Path) -> None:
    config = json.loads((model_folder / "config.json").read_text())
    assert documented("config.json") == written(config, {"architecture", "architecture.preprocessing", "trained"})


def test_config_of_sounds() -> None:
    of_sounds = re.search(r"^For sounds, `architecture.preprocessing` (.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert of_sounds is not None
    assert set(re.findall(r"`(\w+)`", of_sounds[1])) == set(Sounds.at().as_dict())


def test_calibration(model_folder: Path) -> None:
    calibration = json.loads((model_folder / "calibration.json").read_text())
    assert documented("calibration.json") == written(calibration, {"thresholds", "probability"})
    assert calibration["rule"] == "same if distance <= threshold"


def test_metrics(model_folder: Path) -> None:
    metrics = json.loads((model_folder / "report" / "metrics.json").read_text())
    assert documented("report/metrics.json") == set(metrics)
    of_pairs = re.search(r"^For pairs: ([^.]*)\.", TEXT, re.MULTILINE)
    assert of_pairs is not None
    found = listed_verification(np.arange(4, dtype=np.float32), np.arange(4) < 2, np.arange(4), np.arange(4) + 4)
    assert set(re.findall(r"`(\w+)`", of_pairs[1])) == set(PairReport(found, None, (), "").as_dict())


def test_a_trigger_word(trigger: LearnedTrigger) -> None:
    calibration = json.loads((trigger.folder / "calibration.json").read_text())
    assert documented("calibration.json of a trigger word") == written(calibration, {"lines"})
    metrics = json.loads((trigger.folder / "report" / "metrics.json").read_text())
    assert documented("report/metrics.json of a trigger word") == set(metrics)
    manifest = trigger.folder.parent / "clips" / "manifest.csv"
    assert documented("Clips") == set(manifest.read_text().splitlines()[0].split(","))


def test_history(model_folder: Path) -> None:
    lines = (model_folder / "report" / "history.jsonl").read_text().splitlines()
    assert len(lines) == 6  # epochs of the model that the tests share
    assert all(documented("report/history.jsonl") == set(json.loads(line)) for line in lines)


def test_files_of_a_model_folder(model_folder: Path) -> None:
    found = {file.name + ("/" if file.is_dir() else "") for file in model_folder.iterdir()}
    assert documented("The model folder") == found
    report = {file.name for file in (model_folder / "report").iterdir()}
    assert set(re.findall(r"`([\w.]+\.(?:png))`", TEXT)) == {n for n in report if n.endswith(".png")}
    assert {n for n in report if not n.endswith(".png")} == {"metrics.json", "history.jsonl"}


def test_embeddings(model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    encode_files(model_folder, [digit_folder / "0"], tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert documented("Embeddings") == set(file.files)
    import pyarrow.parquet as pq

    encode_files(model_folder, [digit_folder / "0"], tmp_path / "e.parquet")
    schema = pq.read_schema(tmp_path / "e.parquet")
    assert schema.names == ["file", "embedding"]
    assert b"likewise.fingerprint" in schema.metadata


@pytest.mark.parametrize("answer", ["1", "true", "yes", "same", "0", "false", "no", "different"])
def test_answers_in_a_pairs_file(answer: str, digit_folder: Path, tmp_path: Path) -> None:
    from likewise.data import pairs_file

    assert f"`{answer}`" in TEXT.split("### Pairs file")[1]
    a, b, c, d = sorted((digit_folder / "0").glob("*.png"))[:4]
    table = tmp_path / "pairs.csv"
    other = "0" if answer in ("1", "true", "yes", "same") else "1"
    table.write_text(f"a,b,same\n{a},{b},{answer}\n{c},{d},{other}\n")
    assert pairs_file(table).same.tolist() == [other == "0", other == "1"]


def test_the_folder_of_mistakes(tmp_path: Path, digits: Dataset) -> None:
    encoder = Encoder("mlp", dim=4, preprocessing=Pictures(1, 8, 8), seed=0)
    find_mistakes(encoder, digits.subset(np.arange(200))).write(tmp_path / "errors")
    columns = (tmp_path / "errors" / "errors.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert documented("errors.csv") == set(columns)
    assert documented("errors.json") == set(json.loads((tmp_path / "errors" / "errors.json").read_text()))
    kinds = set(re.findall(r"`([a-z ]+)`", re.search(r"^\| `kind` \| (`suspected.*?) \|$", TEXT, re.MULTILINE)[1]))
    assert kinds == set(get_args(Kind))


class Quiet:
    """A watcher that is not interested."""

    def step(self, step: object) -> None: ...

    def say(self, text: str) -> None: ...


def test_a_detector(detector: LearnedBoxes) -> None:
    calibration = json.loads((detector.folder / "calibration.json").read_text())
    assert documented("calibration.json of a detector") == set(calibration)
    metrics = json.loads((detector.folder / "report" / "metrics.json").read_text())
    assert documented("report/metrics.json of a detector") == set(metrics)
    head = json.loads((detector.folder / "config.json").read_text())["architecture"]["head"]
    assert set(head) == {"kind", "names", "mean", "std", "per_cell", "stride"}


def test_a_model_that_classifies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, 255, (120, 8, 8), dtype=np.uint8)
    options = ClassifyOptions(backbone="linear", fit=FitOptions(epochs=1))
    learn(arrays(items, np.arange(120) % 2), tmp_path / "m", options, watcher=Quiet())
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert set(config["architecture"]["head"]) == {"kind", "names", "mean", "std"}
    assert "columns" in config["trained"]
    calibration = json.loads((tmp_path / "m" / "calibration.json").read_text())
    assert documented("calibration.json of a model that classifies") == set(calibration)
    metrics = json.loads((tmp_path / "m" / "report" / "metrics.json").read_text())
    assert documented("report/metrics.json of a model that classifies") == set(metrics)
