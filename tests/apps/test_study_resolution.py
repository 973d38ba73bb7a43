"""Which size is enough: advice from drawn answers, and from pictures of which it is known what they need."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from study_drawn import QUICK, first, grouped, judged, some_digits

from likewise.apps.study import Resolution, Run, conduct
from likewise.apps.study.resolution import draw_accuracy, enough
from likewise.apps.study.scale import RATES
from likewise.data import Dataset, arrays, folder
from likewise.errors import DataError, UsageError
from likewise.training import FitOptions


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


def sized(size: int, of: int, right: int, colour: str = "as they are", **more: object):
    return judged({"size": size, "colour": colour}, first(of, right), **more)


@pytest.fixture(scope="module")
def study(digits: Dataset) -> Resolution:
    return Resolution(digits, (4, 8, 16), fit=QUICK)


class TestAdvice:
    def test_the_smallest_that_is_as_good_is_named(self, study: Resolution) -> None:
        said = study.advice([sized(4, 200, 100), sized(8, 200, 197), sized(16, 200, 198)])
        assert said.startswith("Pictures of 8 x 8 will do: 98.5% right")
        assert "within chance of the best, 99.0% of pictures of 16 x 16" in said

    def test_where_all_smaller_ones_look_worse(self, study: Resolution) -> None:
        said = study.advice([sized(4, 200, 100), sized(8, 200, 120), sized(16, 200, 198)])
        assert said.startswith("Take pictures of 16 x 16: 99.0% right")
        assert "smaller ones look worse" in said
        assert "Larger" not in said  # the digits have no more than 8 x 8 pixels

    def test_the_smallest_tried(self, study: Resolution) -> None:
        said = study.advice([sized(4, 200, 199), sized(8, 200, 190), sized(16, 200, 191)])
        assert "the smallest tried" in said

    def test_runs_in_any_order(self, study: Resolution) -> None:
        runs = [sized(16, 200, 198), sized(4, 200, 100), sized(8, 200, 197)]
        assert study.advice(runs).startswith("Pictures of 8 x 8 will do")

    def test_no_better_than_the_most_frequent_class(self, study: Resolution) -> None:
        said = study.advice([sized(4, 200, 100, most_frequent=0.55), sized(8, 200, 112, most_frequent=0.55)])
        assert said.startswith("None of these sizes tells the classes apart for sure: pictures of 8 x 8")

    def test_colour(self, study: Resolution) -> None:
        both = [sized(8, 200, 198), sized(8, 200, 197, "grey"), sized(4, 200, 90), sized(4, 200, 90, "grey")]
        assert study.advice(both).startswith("Grey pictures of 8 x 8 will do")
        assert "Colour is not needed (`--grey`): with it 99.0% are right" in study.advice(both)
        needed = [sized(8, 200, 198), sized(8, 200, 150, "grey"), sized(4, 200, 90), sized(4, 200, 90, "grey")]
        assert "Colour is needed at that size: in grey 75.0% are right" in study.advice(needed)

    def test_few_groups_do_not_make_the_smallest_good_enough(self) -> None:
        """All of one group of six wrong at 4 x 4: no proof that it is worse, and no reason to take it."""
        groups = np.repeat(np.arange(6), 20)
        bad = judged({"size": 4, "colour": "as they are"}, first(120, 100), groups)
        good = judged({"size": 8, "colour": "as they are"}, first(120, 120), groups)
        assert enough([bad, good])[0] is good


class TestRuns:
    def test_judged_items_are_told_by_their_place_among_all(self, digit_folder: Path, tmp_path: Path) -> None:
        """Also where some cannot be read: other studies look their classes up by it."""
        shutil.copytree(digit_folder, tmp_path / "digits")
        torn = sorted((tmp_path / "digits" / "3").iterdir())[::2]
        for file in torn:
            file.write_bytes(b"no picture: " + file.name.encode())
        study = Resolution(folder(tmp_path / "digits"), (4, 8), backbone="linear", folds=2, fit=FitOptions(epochs=1))
        figures = study.run({"size": 4, "colour": "as they are"}, lambda *_: None)
        files = {study.plan.data.files[item] for item in figures["each"]["item"]}
        assert files == set(study.plan.data.files) - {f"3/{file.name}" for file in torn}
        assert sum(items for _, items in figures["trained_by_class"]) == len(files)  # of two folds, each half once

    def test_red_and_green_that_are_equally_bright(self, tmp_path: Path) -> None:
        """Without colour nothing tells them apart."""
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
        assert found.advice.startswith("Take pictures of 4 x 4, the smallest tried")
        assert "Colour is needed" in found.advice
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000

    def test_stripes_that_small_pictures_do_not_show(self, tmp_path: Path) -> None:
        """Upright or lying, a pixel wide, somewhere on 16 x 16: at 4 x 4 they are grey, and noise hides the rest."""
        rng = np.random.default_rng(0)
        labels = np.arange(300) % 2
        stripes = np.where((np.arange(16) + rng.integers(0, 2, (300, 1))) % 2, 140, 20)
        items = np.where(labels[:, None, None], stripes[:, :, None], stripes[:, None, :])
        items = (items + rng.integers(0, 110, items.shape)).astype(np.uint8)
        study = Resolution(arrays(items, labels), (4, 16), backbone="convnet-small", fit=FitOptions(epochs=6))
        found = conduct(study, tmp_path / "s", say=print)
        assert found.advice.startswith("Take pictures of 16 x 16")

    def test_folds_judge_every_item_once(self, digits: Dataset) -> None:
        study = Resolution(grouped(digits, 8), (4, 8), backbone="linear", fit=QUICK)
        assert len(study.plan.folds) == 5
        figures = study.run({"size": 8, "colour": "as they are"}, lambda *_: None)
        assert figures["each"]["item"] == list(range(len(study.plan.data)))
        assert figures["items"] == len(study.plan.data)
        assert figures["each"]["cluster"] == study.plan.data.groups.tolist()
        assert figures["accuracy"] == pytest.approx(np.mean(figures["each"]["right"]))

    def test_ctrl_c_in_the_middle_of_a_run_is_no_run(self, digits: Dataset) -> None:
        """`fit` keeps the best epoch then, which would say too little of a size."""

        def interrupt(done: int, total: int, text: str) -> None:
            if done > 0.7 * total:
                raise KeyboardInterrupt

        study = Resolution(digits, (4, 8), backbone="linear", fit=FitOptions(epochs=4))
        with pytest.raises(KeyboardInterrupt):
            study.run({"size": 8, "colour": "as they are"}, interrupt)

    def test_sounds_are_tried_at_rates(self, tmp_path: Path) -> None:
        """Tones of 300 and 1,700 Hz: 1,000 samples a second hold the one only, which is enough to tell them apart."""
        from likewise.data import folder
        from likewise.media.sounds import write_sound

        rng = np.random.default_rng(0)
        for name, pitch in (("low", 300), ("high", 1700)):
            (tmp_path / "tones" / name).mkdir(parents=True)
            for i in range(40):
                t = np.arange(2400) / 8000
                tone = 0.3 * np.sin(2 * np.pi * pitch * t * rng.uniform(0.95, 1.05)) + 0.01 * rng.normal(size=len(t))
                write_sound(tmp_path / "tones" / name / f"{i}.wav", tone, 8000)
        study = Resolution(folder(tmp_path / "tones"), backbone="mlp", fit=FitOptions(epochs=6))
        assert [trial["size"] for trial in study.trials([])] == [rate for rate in RATES if rate <= 8000]
        found = conduct(study, tmp_path / "s", say=print)
        assert found.advice.startswith("Take sounds at 1,000 Hz, the smallest tried")


class TestUsual:
    @pytest.mark.parametrize(
        ("side", "sizes"), [(200, [8, 16, 32, 64, 128]), (28, [8, 16, 28]), (64, [8, 16, 32, 64]), (8, [4, 8])]
    )
    def test_no_larger_than_the_pictures(self, side: int, sizes: list[int]) -> None:
        rng = np.random.default_rng(0)
        data = arrays(rng.integers(0, 255, (60, side, side), dtype=np.uint8), np.arange(60) % 2)
        assert [trial["size"] for trial in Resolution(data, fit=QUICK).trials([])] == sizes


class TestRefused:
    @pytest.mark.parametrize("sizes", [(8,), (16, 8), (8, 8)])
    def test_sizes_that_cannot_be(self, digits: Dataset, sizes: tuple[int, ...]) -> None:
        with pytest.raises(UsageError, match="two sizes or more, rising"):
            Resolution(digits, sizes)

    @pytest.mark.parametrize(("backbone", "sizes", "least"), [("convnet-small", (0, 8), 4), ("tutorial", (8, 16), 16)])
    def test_sizes_below_what_the_backbone_takes(
        self, digits: Dataset, backbone: str, sizes: tuple[int, ...], least: int
    ) -> None:
        with pytest.raises(UsageError, match=f"{backbone} takes pictures of {least} pixels a side or more"):
            Resolution(digits, sizes, backbone=backbone)

    @pytest.mark.parametrize(("backbone", "least"), [("convnet-small", 4), ("resnet-18", 32)])
    def test_pictures_that_cannot_be_coarser(self, backbone: str, least: int) -> None:
        data = arrays(np.arange(60, dtype=np.uint8)[:, None, None], np.arange(60) % 2)
        said = (
            f"{backbone} takes {least} pixels a side or more; got 1 pixels a side in most of the data. Bring finer ones"
        )
        with pytest.raises(DataError, match=said):
            Resolution(data, backbone=backbone)

    def test_data_that_cannot_be(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="at least 2 classes"):
            Resolution(digits.subset(np.flatnonzero(digits.labels == 3)))
        with pytest.raises(DataError, match="split by item fills 4 parts"):
            Resolution(digits.subset([0, 1, 2]))
        with pytest.raises(UsageError, match="pictures that have some"):
            Resolution(digits, (4, 8), colourless=True)
        with pytest.raises(UsageError, match="A backbone is one of"):
            Resolution(digits, (4, 8), backbone="nosuch")


def test_bars_of_two_series_do_not_lie_on_each_other() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    runs = [Run({"size": size}, {"accuracy": 0.9, "low": 0.8, "high": 0.95}) for size in (8, 16)]
    draw_accuracy(axes, runs, "colour", "black")
    draw_accuracy(axes, runs, "grey", "grey", beside=1.04)
    one, other = (lines[0].get_xdata().tolist() for lines in axes.containers)
    assert one == [8, 16]
    assert other == pytest.approx([8.32, 16.64])
