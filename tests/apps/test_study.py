"""Studies: runs are kept one by one, gone on with and never mixed; what they conclude follows from the runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from likewise.apps.study import Dim, Learning, Objectives, Resolution, Run, Split, Study, Taps, conduct, fit_power_law
from likewise.apps.study.study import FINDINGS, PICTURE, RUNS
from likewise.apps.study.trials import Held, worse
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, UsageError
from likewise.metrics import retrieval
from likewise.objective import Cosine
from likewise.training import FitOptions

QUICK = FitOptions(epochs=2)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    items, labels = load_digits(return_X_y=True)
    return arrays((items[:500].reshape(-1, 8, 8) * 15.9).astype(np.uint8), labels[:500])


class Counting(Study):
    """Squares of numbers; the third run fails until it is told not to."""

    name: ClassVar[str] = "counting"

    def __init__(self, *, fails: bool = False, numbers: int = 4) -> None:
        self.fails, self.numbers, self.tried = fails, numbers, list[int]()

    def options(self) -> dict[str, Any]:
        return {"numbers": self.numbers}

    def trials(self) -> list[dict[str, Any]]:
        return [{"number": i} for i in range(self.numbers)]

    def run(self, settings: dict[str, Any]) -> dict[str, Any]:
        if self.fails and settings["number"] == 2:
            raise DataError("A number can be squared", "2")
        self.tried.append(settings["number"])
        return {"square": settings["number"] ** 2, "all": [1, 2, 3]}

    def said(self, run: Run) -> str:
        return f"{run.settings['number']}: {run.figures['square']}"

    def advice(self, runs: Sequence[Run]) -> str:
        return f"The largest is {max(run.figures['square'] for run in runs)}."

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        file.write_text(",".join(str(run.figures["square"]) for run in runs))


class TestConduct:
    def test_every_run_is_kept_and_the_end_is_said(self, tmp_path: Path) -> None:
        said: list[str] = []
        found = conduct(Counting(), tmp_path / "s", say=said.append)
        assert said == ["1 of 4: 0: 0", "2 of 4: 1: 1", "3 of 4: 2: 4", "4 of 4: 3: 9"]
        assert found.advice == "The largest is 9."
        assert (tmp_path / "s" / PICTURE).read_text() == "0,1,4,9"
        lines = [json.loads(line) for line in (tmp_path / "s" / RUNS).read_text().splitlines()]
        assert [line["figures"]["square"] for line in lines] == [0, 1, 4, 9]
        written = json.loads((tmp_path / "s" / FINDINGS).read_text())
        assert written == found.as_dict()
        assert written["runs"][3] == {"settings": {"number": 3}, "square": 9}  # without what is there for every item

    def test_a_stopped_study_is_gone_on_with(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="squared"):
            conduct(Counting(fails=True), tmp_path / "s", say=print)
        assert len((tmp_path / "s" / RUNS).read_text().splitlines()) == 2
        study = Counting()
        found = conduct(study, tmp_path / "s", resume=True, say=print)
        assert study.tried == [2, 3]
        assert [run.figures["square"] for run in found.runs] == [0, 1, 4, 9]

    def test_what_is_there_is_not_written_over(self, tmp_path: Path) -> None:
        conduct(Counting(), tmp_path / "s", say=print)
        with pytest.raises(UsageError, match="--resume"):
            conduct(Counting(), tmp_path / "s", say=print)
        with pytest.raises(UsageError, match="numbers 4, now 5"):
            conduct(Counting(numbers=5), tmp_path / "s", resume=True, say=print)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.txt").write_text("all of it")
        with pytest.raises(UsageError, match="other things"):
            conduct(Counting(), tmp_path / "other", say=print)

    def test_a_damaged_study_is_refused(self, tmp_path: Path) -> None:
        conduct(Counting(), tmp_path / "s", say=print)
        (tmp_path / "s" / RUNS).write_text('{"settings": {"num')
        with pytest.raises(DataError, match="damaged"):
            conduct(Counting(), tmp_path / "s", resume=True, say=print)


class TestHeld:
    def test_the_test_part_is_left_alone(self, digits: Dataset) -> None:
        held = Held.of(digits, "item", 0)
        used = np.concatenate([part.contents for part in (held.train, held.valid, held.judged)])
        assert len(used) == round(0.85 * len(digits))
        assert held.digest == Held.of(digits, "item", 0).digest != Held.of(digits, "item", 1).digest


class TestWorse:
    @pytest.mark.parametrize("seed", range(5))
    def test_chance_alone_is_no_difference(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        found = [worse(*(rng.random((2, 300)) < 0.9), None) for _ in range(200)]
        assert np.mean(found) < 0.1  # one side of 95%

    def test_a_difference_is_seen(self) -> None:
        rng = np.random.default_rng(0)
        good, bad = rng.random(500) < 0.98, rng.random(500) < 0.9
        assert worse(good, bad, None)
        assert not worse(bad, good, None)
        assert not worse(good, good, None)

    def test_items_of_a_group_are_one_witness(self) -> None:
        good, bad = np.ones(400, bool), np.ones(400, bool)
        bad[:40] = False  # all of one group of ten
        groups = np.repeat(np.arange(10), 40)
        assert worse(good, bad, None)
        assert not worse(good, bad, groups)


class TestPowerLaw:
    @settings(max_examples=30, deadline=None)
    @given(scale=st.floats(0.5, 3), rate=st.floats(0.3, 0.9), floor=st.sampled_from([0.0, 0.01]))
    def test_a_law_is_found_again(self, scale: float, rate: float, floor: float) -> None:
        examples = np.array([50.0, 100, 200, 400, 800, 1600])
        errors = scale * examples**-rate + floor
        law = fit_power_law(examples, errors, 1_000_000)
        assert law(examples) == pytest.approx(errors, rel=0.02)
        assert law(3200.0) == pytest.approx(scale * 3200**-rate + floor, rel=0.05)

    def test_examples_are_the_inverse(self) -> None:
        law = fit_power_law(np.array([50.0, 100, 200, 400]), 2 * np.array([50.0, 100, 200, 400]) ** -0.5, 1_000_000)
        assert float(law(law.examples(0.05))) == pytest.approx(0.05)
        assert law.examples(0.05) == pytest.approx(1600, rel=0.05)
        assert math.isinf(replace(law, floor=0.1).examples(0.05))


class TestLearning:
    def test_shares_grow_and_keep_the_classes(self, digits: Dataset) -> None:
        study = Learning(digits, 0.05, fit=QUICK)
        sizes = [trial["examples"] for trial in study.trials()]
        train = study._held.train
        assert sizes[-1] == len(train)
        assert sizes == sorted(sizes)
        for trial in study.trials():
            drawn = study._drawn(trial["examples"], trial["draw"])
            assert len(drawn) == trial["examples"] == len(set(drawn.tolist()))
            counts = np.bincount(train.labels[drawn], minlength=10)
            share = len(drawn) / len(train)
            assert np.abs(counts - share * train.counts()).max() <= 1
        assert (study._drawn(50, 0) != study._drawn(50, 1)).any()

    def test_it_ends_with_a_sentence(self, digits: Dataset, tmp_path: Path) -> None:
        study = Learning(digits, 0.001, repeats=1, backbone="linear", fit=QUICK)
        found = conduct(study, tmp_path / "s", say=print)
        assert "examples" in found.advice
        assert (tmp_path / "s" / PICTURE).stat().st_size > 1000

    def test_enough_is_enough(self, digits: Dataset) -> None:
        study = Learning(digits, 0.2, fit=QUICK)
        runs = [
            Run({"examples": n, "draw": 0}, {"accuracy": a, "low": a - 0.01, "high": a + 0.01, "items": 100})
            for n, a in ((20, 0.6), (80, 0.75), (300, 0.9))
        ]
        assert "are enough" in study.advice(runs)
        level = [replace(run, figures={**run.figures, "accuracy": 0.7}) for run in runs]
        assert "hardly do" in study.advice(level)

    def test_what_cannot_be(self, digits: Dataset) -> None:
        for error in (0.0, 1.0, -1.0, math.nan):
            with pytest.raises(UsageError, match="between 0 and 1"):
                Learning(digits, error)


class TestResolution:
    def test_the_smallest_that_is_as_good_is_named(self, digits: Dataset) -> None:
        study = Resolution(digits, (4, 8, 16), fit=QUICK)
        rng = np.random.default_rng(0)

        def run(size: int, accuracy: float) -> Run:
            right = (rng.random(200) < accuracy).astype(int).tolist()
            share = float(np.mean(right))
            return Run({"size": size, "colour": "as they are"}, {"accuracy": share, "right": right, "items": 200})

        assert study.advice([run(4, 0.5), run(8, 0.985), run(16, 0.99)]).startswith("Pictures of 8 x 8 will do")
        assert study.advice([run(4, 0.5), run(8, 0.6), run(16, 0.99)]).startswith("Take pictures of 16 x 16")

    def test_sizes_and_grey_are_tried(self, tmp_path: Path) -> None:
        """Red and green squares that are equally bright: without colour nothing tells them apart."""
        rng = np.random.default_rng(0)
        items = rng.integers(0, 40, (240, 12, 12, 3), dtype=np.uint8)
        labels = np.arange(240) % 2
        items[labels == 0, :, :, 0] += 120
        items[labels == 1, :, :, 1] += 61  # as bright, by the weights of grey
        study = Resolution(arrays(items, labels), (4, 8), colourless=True, backbone="linear", fit=FitOptions(epochs=8))
        found = conduct(study, tmp_path / "s", say=print)
        share = {(run.settings["size"], run.settings["colour"]): run.figures["accuracy"] for run in found.runs}
        assert share[4, "as they are"] == share[8, "as they are"] == 1.0
        assert max(share[4, "grey"], share[8, "grey"]) < 0.8
        assert found.advice.startswith("Pictures of 4 x 4 will do") or "pictures of 4 x 4" in found.advice
        assert "grey" not in found.advice

    @pytest.mark.parametrize("sizes", [(8,), (16, 8), (8, 8), (0, 8)])
    def test_sizes_that_cannot_be(self, digits: Dataset, sizes: tuple[int, ...]) -> None:
        with pytest.raises(UsageError, match="two sizes or more, rising"):
            Resolution(digits, sizes)


class TestSplit:
    def pictures(self, cameras: int = 12, each: int = 10) -> Dataset:
        """Scenes that hardly change: each camera's are near-duplicates."""
        rng = np.random.default_rng(0)
        scenes = rng.integers(0, 200, (cameras, 1, 20, 20), dtype=np.uint8)
        items = np.repeat(scenes, each, axis=1).reshape(-1, 20, 20)
        items = items + rng.integers(0, 6, items.shape, dtype=np.uint8)
        groups = np.repeat(np.arange(cameras), each)
        return replace(
            arrays(items, np.arange(len(items)) % 2), groups=groups, group_names=tuple(map(str, range(cameras)))
        )

    def test_near_duplicates_leak_by_item_and_not_by_group(self, tmp_path: Path) -> None:
        found = conduct(Split(self.pictures(), (0.5, 0.25)), tmp_path / "s", say=print)
        for run in found.runs:
            leak = run.figures["near_duplicates"]
            assert (leak > 0.95) if run.settings["by"] == "item" else (leak == 0)
        assert "split by group" in found.advice

    def test_groups_are_what_is_counted(self) -> None:
        study = Split(self.pictures(), (0.5,))
        by_item, by_group = (study.run(settings) for settings in study.trials())
        assert (by_item["units"], by_group["units"]) == (60, 6)
        assert by_group["high"] - by_group["low"] > 2 * (by_item["high"] - by_item["low"])

    def test_unlike_items_do_not_leak(self) -> None:
        rng = np.random.default_rng(1)
        items = rng.integers(0, 255, (100, 16, 16), dtype=np.uint8)
        study = Split(arrays(items, np.arange(100) % 2), (0.2,))
        (figures,) = (study.run(settings) for settings in study.trials())
        assert figures["near_duplicates"] == 0
        assert figures["rarest"] == 10

    def test_what_cannot_be(self, digits: Dataset) -> None:
        for shares in ((), (0.0,), (1.0,)):
            with pytest.raises(UsageError, match="between 0 and 1"):
                Split(digits, shares)


class TestTaps:
    def test_the_last_tap_is_the_embedding_and_earlier_ones_are_means(self, digits: Dataset) -> None:
        encoder = Encoder("convnet-small", 16, preprocessing=Pictures(1, 8, 8), seed=0).eval()
        study = Taps(encoder, digits)
        assert [trial["tap"] for trial in study.trials()] == list(encoder.taps)
        labels = torch.from_numpy(digits.labels)
        embeddings = encoder.encode(digits.sources).embeddings
        last = study.run({"tap": "embedding"})
        assert last["precision_at_1"] == pytest.approx(retrieval(embeddings, labels, Cosine()).precision_at_1)
        assert last["numbers"] == 16
        with torch.inference_mode():
            pixels = encoder.ready().decode(digits.sources).values
            first = encoder(pixels, ["conv1"])["conv1"].mean(dim=(2, 3))
        expected = retrieval(first, labels, Cosine()).precision_at_1
        assert study.run({"tap": "conv1"})["precision_at_1"] == pytest.approx(expected)


class TestEmbeddings:
    def test_lengths(self, digits: Dataset, tmp_path: Path) -> None:
        study = Dim(digits, (1, 8), by="item", fit=FitOptions(epochs=4))
        found = conduct(study, tmp_path / "s", say=print)
        one, eight = (run.figures["precision_at_1"] for run in found.runs)
        assert one < eight
        assert found.advice.startswith("8 numbers are enough")

    def test_objectives(self, digits: Dataset, tmp_path: Path) -> None:
        found = conduct(Objectives(digits, ("triplet", "softmax"), by="item", fit=QUICK), tmp_path / "s", say=print)
        best = max(found.runs, key=lambda run: run.figures["precision_at_1"])
        assert found.advice.startswith(f"{best.settings['loss']} does best here")

    def test_what_cannot_be(self, digits: Dataset) -> None:
        with pytest.raises(UsageError, match="two lengths or more"):
            Dim(digits, (8, 4))
        with pytest.raises(UsageError, match="got nosuch"):
            Objectives(digits, ("triplet", "nosuch"))
