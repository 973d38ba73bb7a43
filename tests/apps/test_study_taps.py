"""Taps: what each gives is the mean of its output, and where it is best taken depends on what is to be told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from study_drawn import QUICK, first, grouped, judged, some_digits

from likewise.apps.study import Taps, conduct
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, UsageError
from likewise.metrics import retrieval
from likewise.objective import Cosine
from likewise.training import FitOptions


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


def quiet(done: int, total: int, text: str) -> None:
    """Nobody waits."""


class TestOfAModel:
    def test_the_last_tap_is_the_embedding_and_earlier_ones_are_means(self, digits: Dataset) -> None:
        encoder = Encoder("convnet-small", 16, preprocessing=Pictures(1, 8, 8), seed=0).eval()
        study = Taps(digits, encoder)
        assert study.opening() == f"all {len(digits)} items are judged: measure what you choose by them on others"
        assert study.trials([]) == [{"task": "label", "tap": tap} for tap in encoder.taps]
        labels = torch.from_numpy(digits.labels)
        embeddings = encoder.encode(digits.sources).embeddings
        last = study.run({"task": "label", "tap": "embedding"}, quiet)
        assert last["precision_at_1"] == pytest.approx(retrieval(embeddings, labels, Cosine()).precision_at_1)
        assert last["numbers"] == 16
        with torch.inference_mode():
            pixels = encoder.ready().decode(digits.sources).values
            first = encoder(pixels, ["conv1"])["conv1"].mean(dim=(2, 3))
        expected = retrieval(first, labels, Cosine()).precision_at_1
        assert study.run({"task": "label", "tap": "conv1"}, quiet)["precision_at_1"] == pytest.approx(expected)

    def test_several_tasks(self, digits: Dataset) -> None:
        parity = (digits.labels % 2).astype(np.float32)[:, None]
        data = replace(digits, targets=parity, target_names=("parity",))
        encoder = Encoder("mlp", 16, preprocessing=Pictures(1, 8, 8), seed=0).eval()
        study = Taps(data, encoder)
        assert {trial["task"] for trial in study.trials([])} == {"label", "parity"}
        embeddings = encoder.encode(digits.sources).embeddings
        expected = retrieval(embeddings, torch.from_numpy(digits.labels % 2), Cosine()).precision_at_1
        found = study.run({"task": "parity", "tap": "embedding"}, quiet)
        assert found["precision_at_1"] == pytest.approx(expected)


class TestTrainedHere:
    def test_items_of_the_judged_part_only(self, digits: Dataset, tmp_path: Path) -> None:
        study = Taps(digits, backbone="mlp", by="item", fit=QUICK)
        found = conduct(study, tmp_path / "s", say=print)
        assert {run.figures["items"] for run in found.runs} == {75}  # 0.15 of 500
        assert [run.settings["tap"] for run in found.runs] == ["hidden1", "hidden2", "embedding"]
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000

    def test_what_was_trained_for_decides_which_tap_knows_what(self, tmp_path: Path) -> None:
        """Shapes are the label and brightness the group: training for shapes forgets brightness on the way."""
        rng = np.random.default_rng(0)
        labels, groups = np.arange(480) % 4, (np.arange(480) // 4) % 3
        shapes = rng.random((4, 12, 12)) < 0.5
        light = np.array([70, 140, 210])[groups]
        items = (shapes[labels] * light[:, None, None] + rng.integers(0, 40, (480, 12, 12))).astype(np.uint8)
        data = replace(arrays(items, labels), groups=groups, group_names=("dim", "middle", "bright"))
        study = Taps(data, backbone="convnet-small", fit=FitOptions(epochs=6))
        found = conduct(study, tmp_path / "s", say=print)
        eer = {(run.settings["task"], run.settings["tap"]): run.figures["eer"] for run in found.runs}
        assert eer["label", "embedding"] < 0.05 < 0.2 < eer["label", "conv1"]
        assert eer["group", "conv1"] < 0.05 < 0.2 < eer["group", "embedding"]
        assert "To tell label apart take embedding" in found.advice
        assert "To tell group apart take conv1" in found.advice
        assert "What the network was trained for decides which tap knows what." in found.advice

    def test_groups_that_are_told_apart_are_met_in_training(self, digits: Dataset) -> None:
        assert Taps(grouped(digits, 4), backbone="mlp", fit=QUICK).options()["by"] == "item"


class TestAdvice:
    def taken(self, *figures: tuple[int, float, float]) -> str:
        """Of taps conv1, ..., embedding: right of 200, EER and the lower end of its interval."""
        encoder = Encoder("mlp", 16, preprocessing=Pictures(1, 8, 8), seed=0).eval()
        study = Taps(some_digits(), encoder)
        runs = [
            judged({"task": "label", "tap": tap}, first(200, right), eer=eer, eer_low=low, eer_high=1.0)
            for tap, (right, eer, low) in zip(encoder.taps, figures, strict=True)
        ]
        return study.advice(runs)

    def test_the_last_one_where_nothing_is_better_by_more_than_chance(self) -> None:
        said = self.taken((100, 0.4, 0.3), (199, 0.04, 0.02), (197, 0.05, 0.03))
        assert said.startswith("Take embedding: P@1 0.985")

    def test_by_neighbours(self) -> None:
        said = self.taken((100, 0.4, 0.3), (199, 0.09, 0.05), (150, 0.05, 0.03))
        assert said.startswith("Take hidden2: P@1 0.995")
        assert "where embedding, the last one, has P@1 0.750" in said

    def test_by_error_rate_where_neighbours_are_all_found(self) -> None:
        assert self.taken((200, 0.01, 0.0), (200, 0.04, 0.03), (200, 0.3, 0.2)).startswith("Take hidden1")


class TestRefused:
    def test_no_such_task(self, digits: Dataset) -> None:
        with pytest.raises(UsageError, match=r"can be told apart: label; got speaker"):
            Taps(digits, tasks=["label", "speaker"])

    def test_nothing_to_compare(self, digits: Dataset) -> None:
        data = replace(digits, targets=np.arange(500, dtype=np.float32)[:, None], target_names=("weight",))
        with pytest.raises(DataError, match="Telling weight apart"):
            Taps(data, Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8)))
        with pytest.raises(DataError, match="at least 2 identities"):
            Taps(digits.subset(np.flatnonzero(digits.labels == 1)))
