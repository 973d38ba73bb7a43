"""`train --snapshots` from the data to the report: with stops, with kills, and for both tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_runs import Killed

from likewise.apps.classify import ClassifyOptions
from likewise.apps.classify import learn as learn_answers
from likewise.apps.learn import LearnOptions, learn
from likewise.apps.training import Trained
from likewise.data import Dataset, PairSet, arrays
from likewise.training import FitOptions, Step

pytestmark = pytest.mark.usefixtures("undrawn")

FIT = FitOptions(epochs=3, batch=64, precision="float32", device="cpu", seed=0)


@pytest.fixture(scope="module")
def some(digit_arrays: tuple[np.ndarray, np.ndarray]) -> Dataset:
    return arrays(digit_arrays[0][:600], digit_arrays[1][:600], origin="some digits")


class Telling:
    """A watcher that raises at a step."""

    def __init__(self, at: tuple[int, int] | None = None, error: type[BaseException] = Killed) -> None:
        self.at, self.error, self.said = at, error, list[str]()

    def step(self, step: Step) -> None:
        if (step.epoch, step.step) == self.at:
            raise self.error

    def say(self, text: str) -> None:
        self.said.append(text)


def embedding(data: Dataset | PairSet, out: Path, watcher: Telling, **changes: Any) -> Trained:
    options = LearnOptions(backbone="mlp", dim=8, fit=FIT)
    return learn(data, out, options, snapshots=changes.pop("snapshots", True), watcher=watcher, **changes)


def answering(data: Dataset, out: Path, watcher: Telling, **changes: Any) -> Trained:
    options = ClassifyOptions(backbone="mlp", fit=FIT)
    return learn_answers(data, out, options, snapshots=changes.pop("snapshots", True), watcher=watcher, **changes)


Learner = Callable[..., Trained]
both = pytest.mark.parametrize("learned", [embedding, pytest.param(answering, marks=pytest.mark.slow)])


@both
def test_the_path_is_in_the_report_and_the_weights_are_the_same(
    learned: Learner, some: Dataset, tmp_path: Path
) -> None:
    found = learned(some, tmp_path / "m", Telling())
    names = [file.name for file in found.files]
    assert "path.webp" in names
    assert "path.html" in names
    with Image.open(tmp_path / "m" / "report" / "path.webp") as moving:
        assert moving.n_frames >= 4
    assert [path.name for path in tmp_path.iterdir()] == ["m"]  # nothing is left beside
    without = learned(some, tmp_path / "n", Telling(), snapshots=False)
    assert found.model.fingerprint == without.model.fingerprint
    assert not (tmp_path / "n" / "report" / "path.html").exists()


@both
def test_a_killed_run_goes_on_with_its_snapshots(learned: Learner, some: Dataset, tmp_path: Path) -> None:
    whole = learned(some, tmp_path / "whole", Telling())
    with pytest.raises(Killed):
        learned(some, tmp_path / "m", Telling((3, 2)))
    kept = sorted(path.name for path in (tmp_path / "m.training" / "snapshots").iterdir())
    assert kept == ["00000.safetensors", "00001.safetensors", "00002.safetensors"]
    found = learned(some, tmp_path / "m", Telling(), resume=True)
    assert not (tmp_path / "m.training").exists()
    for name in ("path.webp", "path.html"):
        ours, theirs = (folder / "report" / name for folder in (found.folder, whole.folder))
        assert ours.read_bytes() == theirs.read_bytes()


@both
def test_after_ctrl_c_the_path_is_that_of_the_epochs_done(learned: Learner, some: Dataset, tmp_path: Path) -> None:
    stopped = learned(some, tmp_path / "m", Telling((3, 1), KeyboardInterrupt))
    assert stopped.history.stopped == "interrupted"
    page = (tmp_path / "m" / "report" / "path.html").read_text()
    assert '"epoch 2 of 2"' in page.replace("\\/", "/")
    assert "epoch 3" not in page
    learned(some, tmp_path / "m", Telling(), resume=True)
    assert '"epoch 3 of 3"' in (tmp_path / "m" / "report" / "path.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_before_an_epoch_is_done_nothing_is_left(some: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        embedding(some, tmp_path / "m", Telling((1, 2), KeyboardInterrupt))
    assert list(tmp_path.iterdir()) == []


def test_snapshots_asked_for_only_when_going_on_begin_there(some: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        embedding(some, tmp_path / "m", Telling((2, 2)), snapshots=False)
    embedding(some, tmp_path / "m", Telling(), resume=True)
    page = (tmp_path / "m" / "report" / "path.html").read_text()
    assert '["epoch 2 of 3", "epoch 3 of 3"]' in page


def test_snapshots_that_are_no_longer_asked_for_are_taken_away(some: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        embedding(some, tmp_path / "m", Telling((2, 2)))
    embedding(some, tmp_path / "m", Telling(), resume=True, snapshots=False)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "report" / "path.html").exists()


def test_pairs_have_a_path_too(tmp_path: Path, digit_arrays: tuple[np.ndarray, np.ndarray]) -> None:
    order = np.argsort(digit_arrays[1][:400], kind="stable")
    images, labels = digit_arrays[0][:400][order], digit_arrays[1][:400][order]
    first = np.arange(0, 400, 2)  # with the next one, mostly of the same digit, or with one of five digits later
    second = np.where(first % 4 == 0, first + 1, (first + 201) % 400)
    data = PairSet(arrays(images, np.arange(400)), first, second, labels[first] == labels[second])
    options = LearnOptions(loss="contrastive", backbone="mlp", dim=8, fit=replace(FIT, epochs=2))
    found = learn(data, tmp_path / "m", options, snapshots=True, watcher=Telling())
    assert "path.html" in [file.name for file in found.files]
