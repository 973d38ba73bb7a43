"""What splits let one know, and what leaks between their parts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likewise.apps.study import Run, Split, conduct
from likewise.apps.study.split import ALIKE
from likewise.data import Dataset, arrays
from likewise.errors import DataError, UsageError
from likewise.metrics.classification import share_right
from likewise.metrics.intervals import wilson


def quiet(done: int, total: int, text: str) -> None:
    """Nobody waits."""


def webcams(cameras: int = 12, each: int = 10) -> Dataset:
    """Scenes that hardly change: each camera's are near-duplicates, called by camera and number."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 200, (cameras, 1, 20, 20), dtype=np.uint8)
    items = np.repeat(scenes, each, axis=1).reshape(-1, 20, 20)
    items = items + rng.integers(0, 6, items.shape, dtype=np.uint8)
    groups = np.repeat(np.arange(cameras), each)
    names = tuple(f"{camera}/{i}.png" for camera in range(cameras) for i in range(each))
    found = replace(arrays(items, np.arange(len(items)) % 2), files=names)
    return replace(found, groups=groups, group_names=tuple(map(str, range(cameras))))


def noise(count: int, labels: np.ndarray) -> Dataset:
    rng = np.random.default_rng(1)
    return arrays(rng.integers(0, 255, (count, 16, 16), dtype=np.uint8), labels)


class TestLeaks:
    def test_near_duplicates_leak_by_item_and_not_by_group(self, tmp_path: Path) -> None:
        found = conduct(Split(webcams(), (0.5, 0.25)), tmp_path / "s", say=print)
        for run in found.runs:
            leak = run.figures["near_duplicates"]
            assert (leak > 0.95) if run.settings["by"] == "item" else (leak == 0)
        assert "split by group, where it is 0%" in found.advice
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000

    def test_they_are_named_with_what_they_are_like(self) -> None:
        study = Split(webcams(), (0.25,))
        by_item, _ = (study.run(settings, quiet) for settings in study.trials([]))
        assert 0 < len(by_item["leaks"]) <= 20
        for measured, trained, alike in by_item["leaks"]:
            assert measured != trained
            assert measured.split("/")[0] == trained.split("/")[0]  # of one camera
            assert alike >= ALIKE
        without = Split(replace(webcams(), groups=None, group_names=()), (0.25,))
        (figures,) = (without.run(settings, quiet) for settings in without.trials([]))
        said = without.advice([Run({"share": 0.25, "by": "item"}, figures)])
        assert f"as {figures['leaks'][0][0]} has {figures['leaks'][0][1]}" in said
        assert "find what was made together (camera, speaker, day)" in said

    def test_unlike_items_do_not_leak(self) -> None:
        study = Split(noise(100, np.arange(100) % 2), (0.2,))
        (figures,) = (study.run(settings, quiet) for settings in study.trials([]))
        assert figures["near_duplicates"] == 0
        assert figures["leaks"] == []
        assert figures["of_rarest"] == 10


class TestAdvice:
    def test_groups_are_what_is_counted(self) -> None:
        study = Split(webcams(), (0.5,))
        by_item, by_group = (study.run(settings, quiet) for settings in study.trials([]))
        assert (by_item["units"], by_group["units"]) == (60, 6)
        assert by_group["high"] - by_group["low"] > 2 * (by_item["high"] - by_item["low"])

    @pytest.mark.parametrize("alike", [0.0, 1.0])
    def test_intervals_are_those_of_a_report_where_items_are_independent_and_at_worst(self, alike: float) -> None:
        """20 groups of 100, of which a twentieth is wrong: spread evenly over them, or one group as a whole."""
        study = Split(webcams(cameras=40, each=100), (0.5,))
        _, by_group = (study.run(settings, quiet) for settings in study.trials([]))
        groups = np.repeat(np.arange(20), 100)
        report = share_right(groups != 3 if alike else np.arange(2000) % 20 != 3, groups)
        low, high = ("low", "high") if alike else ("low_independent", "high_independent")
        assert by_group["units"] == 20
        # At worst they are the same; evenly spread, a report's has Student's t for 20 groups in place of the normal.
        assert (by_group[low], by_group[high]) == pytest.approx((report.low, report.high), abs=1e-9 if alike else 0.002)
        assert by_group["low"] < by_group["low_independent"] < 0.95

    def test_what_is_said_of_groups_is_said_to_be_at_worst(self) -> None:
        study = Split(webcams(), (0.5,))
        runs = [Run(settings, study.run(settings, quiet)) for settings in study.trials([])]
        assert [("at worst" in study.said(run)) for run in runs] == [False, True]
        alone = wilson(0.95, 60)
        half = f"{50 * (alone.high - alone.low):.1f}"
        assert re.search(rf"within [\d.]+ points at worst, where groups .* \({half} were items", study.advice(runs))

    def test_progress_is_told_for_each_block(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("likewise.apps.study.split.AT_ONCE", 16)
        study, told = Split(noise(100, np.arange(100) % 2), (0.5,)), list[tuple[int, int]]()
        study.run(study.trials([])[0], lambda done, total, _: told.append((done, total)))
        assert told == [(16, 50), (32, 50), (48, 50), (50, 50)]

    def test_few_groups_are_better_judged_by_folds(self) -> None:
        study = Split(webcams(), (0.5, 0.2))
        runs = [Run(settings, study.run(settings, quiet)) for settings in study.trials([])]
        said = study.advice(runs)
        assert said.startswith("Judge every item once, by folds over groups")
        assert "50/50 by group is the best of these" in said
        assert "takes at most some 457 groups to measure on, not 6" in said  # 0.95 x 0.05 x (1.96 / 0.02)^2

    def test_the_smallest_part_that_is_large_enough(self) -> None:
        study = Split(noise(4000, np.arange(4000) % 2), (0.5, 0.2, 0.02))
        runs = [Run(settings, study.run(settings, quiet)) for settings in study.trials([])]
        interval = wilson(0.95, 800)
        half = 100 * (interval.high - interval.low) / 2
        said = study.advice(runs)
        assert said.startswith(
            f"Take 80/20 by item: 95% is then known to within {half:.1f} points, and 20% of the items"
        )
        less = 100 * (runs[-1].figures["high"] - runs[-1].figures["low"]) / 2
        assert said.endswith(f"; 98/2 by item tells within {less:.1f}.")

    def test_rare_and_frequent_classes(self) -> None:
        study = Split(noise(2000, (np.arange(2000) < 30).astype(int)), (0.5, 0.2))
        runs = [Run(settings, study.run(settings, quiet)) for settings in study.trials([])]
        assert [run.figures["of_rarest"] for run in runs] == [15, 6]
        said = study.advice(runs)
        assert said.startswith("Take 50/50 by item")  # 80/20 measures the rare class on 6
        assert said.endswith("Always to say 0 is right in 98%: look at balanced accuracy.")
        assert "The rarest class, 1, has 6 items to measure on" in study.advice(runs[1:])


def test_what_cannot_be() -> None:
    data = noise(40, np.arange(40) % 2)
    for shares in ((), (0.0,), (1.0,)):
        with pytest.raises(UsageError, match="between 0 and 1"):
            Split(data, shares)
    with pytest.raises(UsageError, match="expected accuracy"):
        Split(data, accuracy=1.0)
    with pytest.raises(DataError, match="at least 2 classes"):
        Split(noise(40, np.zeros(40, int)))
