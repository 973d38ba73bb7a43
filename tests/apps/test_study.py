"""Studies: runs are kept one by one, gone on with and never mixed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from likewise.apps.study import Run, Study, conduct
from likewise.apps.study.study import EACH, FINDINGS, PICTURE, RUNS, SKIPPED
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError


class Counting(Study):
    """Squares of numbers; the third run fails where it is told to."""

    name: ClassVar[str] = "counting"

    def __init__(self, *, fails: BaseException | None = None, numbers: int = 4) -> None:
        self.fails, self.numbers, self.tried = fails, numbers, list[int]()

    def options(self) -> dict[str, Any]:
        return {"numbers": self.numbers}

    def trials(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        return [{"number": i} for i in range(self.numbers)]

    def run(self, settings: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if self.fails is not None and settings["number"] == 2:
            raise self.fails
        self.tried.append(settings["number"])
        progress(1, 1, "squaring")
        return {"square": settings["number"] ** 2, EACH: {"item": [1, 2, 3]}, SKIPPED: [["x.png", "torn"]]}

    def said(self, run: Run) -> str:
        return f"{run.settings['number']}: {run.figures['square']}"

    def advice(self, runs: Sequence[Run]) -> str:
        return f"The largest is {max(run.figures['square'] for run in runs)}."

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        file.write_text(",".join(str(run.figures["square"]) for run in runs))


class Squares(Counting):
    """Squares of given numbers; without any it is stopped before the first."""

    def __init__(self, of: list[int]) -> None:
        super().__init__()
        self.of = of

    def trials(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        if not self.of:
            raise KeyboardInterrupt
        return [{"number": i} for i in self.of]


class Fitting(Counting):
    """One with options within options."""

    def __init__(self, numbers: int = 4, epochs: int = 1) -> None:
        super().__init__(numbers=numbers)
        self.epochs = epochs

    def options(self) -> dict[str, Any]:
        return {**super().options(), "fit": {"epochs": self.epochs, "lr": None}}


class Doubling(Counting):
    """1, and then twice what came last, up to a number."""

    upto = 8

    def trials(self, runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
        if not runs:
            yield {"number": 1}
        while runs[-1].settings["number"] < self.upto:
            yield {"number": 2 * runs[-1].settings["number"]}


class TestConduct:
    def test_every_run_is_kept_and_the_end_is_said(self, tmp_path: Path) -> None:
        said: list[str] = []
        found = conduct(Counting(), tmp_path / "s", say=said.append)
        assert said == ["skipped x.png: torn", "1 of 4: 0: 0", "2 of 4: 1: 1", "3 of 4: 2: 4", "4 of 4: 3: 9"]
        assert found.advice == "The largest is 9."
        assert (tmp_path / "s" / PICTURE).read_text() == "0,1,4,9"
        lines = [json.loads(line) for line in (tmp_path / "s" / RUNS).read_text().splitlines()]
        assert [line["figures"]["square"] for line in lines] == [0, 1, 4, 9]
        written = json.loads((tmp_path / "s" / FINDINGS).read_text())
        assert written == found.as_dict()
        assert written["runs"][3] == {
            "settings": {"number": 3},
            "square": 9,
            "skipped": [["x.png", "torn"]],
        }

    def test_a_study_that_fails_is_gone_on_with(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="squared"):
            conduct(Counting(fails=DataError("A number can be squared", "2")), tmp_path / "s", say=print)
        assert len((tmp_path / "s" / RUNS).read_text().splitlines()) == 2
        study = Counting()
        found = conduct(study, tmp_path / "s", resume=True, say=print)
        assert study.tried == [2, 3]
        assert [run.figures["square"] for run in found.runs] == [0, 1, 4, 9]

    def test_ctrl_c_keeps_what_is_done_and_says_so(self, tmp_path: Path) -> None:
        said: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            conduct(Counting(fails=KeyboardInterrupt()), tmp_path / "s", say=said.append)
        assert said[-1] == f"Stopped: 2 runs are kept in {tmp_path / 's'}; --resume goes on."
        study = Counting()
        conduct(study, tmp_path / "s", resume=True, say=print)
        assert study.tried == [2, 3]

    def test_more_may_be_tried_in_the_same_folder_and_all_counts(self, tmp_path: Path) -> None:
        """What is tried is no part of what a study is; what its runs depend on is."""
        conduct(Squares([3, 1]), tmp_path / "s", say=print)
        found = conduct(Squares([1, 5]), tmp_path / "s", resume=True, say=print)
        assert [run.figures["square"] for run in found.runs] == [9, 1, 25]

    def test_what_comes_next_may_depend_on_what_came_before(self, tmp_path: Path) -> None:
        study = Doubling()
        found = conduct(study, tmp_path / "s", say=print)
        assert [run.settings["number"] for run in found.runs] == [1, 2, 4, 8]
        study.upto = 32
        found = conduct(study, tmp_path / "s", resume=True, say=print)
        assert [run.settings["number"] for run in found.runs] == [1, 2, 4, 8, 16, 32]

    def test_what_is_there_is_not_written_over(self, tmp_path: Path) -> None:
        conduct(Counting(), tmp_path / "s", say=print)
        with pytest.raises(UsageError, match="--resume"):
            conduct(Counting(), tmp_path / "s", say=print)
        with pytest.raises(UsageError, match="numbers 4, now 5"):
            conduct(Counting(numbers=5), tmp_path / "s", resume=True, say=print)
        conduct(Fitting(epochs=3), tmp_path / "f", say=print)
        with pytest.raises(UsageError, match=r"got epochs 3, now 4; numbers 4, now 5\. Take"):
            conduct(Fitting(numbers=5, epochs=4), tmp_path / "f", resume=True, say=print)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.txt").write_text("all of it")
        with pytest.raises(UsageError, match="other things"):
            conduct(Counting(), tmp_path / "other", say=print)

    def test_a_study_without_runs_may_be_begun_anew(self, tmp_path: Path) -> None:
        """As where the first run failed, or was killed in the middle of a write."""
        with pytest.raises(KeyboardInterrupt):
            conduct(Squares([]), tmp_path / "s", say=print)
        (tmp_path / "s" / ".study.json.0123456789ab.json").touch()
        assert conduct(Counting(numbers=2), tmp_path / "s", say=print).advice == "The largest is 1."

    def test_a_line_that_a_kill_has_cut_was_never_written(self, tmp_path: Path) -> None:
        conduct(Counting(), tmp_path / "s", say=print)
        whole = (tmp_path / "s" / RUNS).read_bytes()
        (tmp_path / "s" / RUNS).write_bytes(whole[:-20])
        study = Counting()
        found = conduct(study, tmp_path / "s", resume=True, say=print)
        assert study.tried == [3]
        assert found.advice == "The largest is 9."
        assert (tmp_path / "s" / RUNS).read_bytes() == whole

    @pytest.mark.parametrize("line", ['{"settings": {"num\n', "[]\n", '{"settings": 3, "figures": {}}\n', "\xff\xfe\n"])
    def test_a_damaged_study_is_refused(self, tmp_path: Path, line: str) -> None:
        conduct(Counting(), tmp_path / "s", say=print)
        (tmp_path / "s" / RUNS).write_bytes(line.encode("latin-1"))
        with pytest.raises(DataError, match="whole runs"):
            conduct(Counting(), tmp_path / "s", resume=True, say=print)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_study import Counting, conduct

class Slow(Counting):
    def run(self, settings, progress):
        if settings["number"] == 2:
            print("in the middle", flush=True)
            time.sleep(60)
        return super().run(settings, progress)

conduct(Slow(), Path({folder!r}), say=lambda _: None)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_kill_in_the_middle_of_a_run_loses_that_run(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "s"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
    study = Counting()
    found = conduct(study, tmp_path / "s", resume=True, say=print)
    assert study.tried == [2, 3]
    assert [run.figures["square"] for run in found.runs] == [0, 1, 4, 9]
