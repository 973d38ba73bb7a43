"""A search over options: what it knows, what it never sees, and that its command gives what it promised."""

from __future__ import annotations

import builtins
import json
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_drawn import first, grouped, judged, some_digits

from likewise.apps.study import Run, Tune, conduct
from likewise.apps.study.proposing import FINISHED
from likewise.apps.study.space import LOSSES, Space, command, rounded
from likewise.data import Dataset
from likewise.errors import DataError, UsageError

pytest.importorskip("optuna")


def quiet(done: int, total: int, text: str) -> None:
    """Nobody waits."""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


def small(digits: Dataset, task: str = "classify", minutes: float = 10, **options: Any) -> Tune:
    return Tune(digits, task, minutes, **{"backbone": "mlp", "epochs": 3, "by": "item", **options})  # type: ignore[arg-type]


def taken(study: Tune, count: int, runs: list[Run] | None = None) -> list[Run]:
    """The first runs of a study, as `conduct` would take them."""
    found = [] if runs is None else runs
    for settings in study.trials(found):
        found.append(Run(json.loads(json.dumps(settings)), json.loads(json.dumps(study.run(settings, quiet)))))
        if len(found) == count:
            break
    return found


class TestSearch:
    def test_the_defaults_come_first_and_are_never_cut(self, digits: Dataset) -> None:
        study = small(digits, minutes=1e-9)  # no time at all
        (only,) = taken(study, 5)
        assert only.settings == {"number": 0, "lr": 2e-3, "weight_decay": 0.01, "augment": "none", "average": 0.0}
        assert only.figures["ended"] == FINISHED
        assert "no time for more than the defaults" in study.advice([only])

    def test_a_resumed_search_proposes_what_it_would_have_proposed(self, digits: Dataset) -> None:
        whole = taken(small(digits), 6)
        resumed = taken(small(digits), 6, whole[:4])
        assert [run.settings for run in resumed] == [run.settings for run in whole]
        assert [run.figures["curve"] for run in resumed] == [run.figures["curve"] for run in whole]

    def test_runs_are_chosen_by_the_validation_part_and_measured_on_another(self, digits: Dataset) -> None:
        """The test part is in no plan; of the rest, what judges neither trains nor chooses."""
        study = small(digits)
        (fold,) = study._plan.folds
        run = study.run({"number": 0, **study._space.usual()}, quiet)
        assert run["each"]["item"] == sorted(fold.judged.tolist())
        assert not set(fold.judged) & (set(fold.valid) | set(fold.train))
        assert len(study._plan.data) == 425  # 0.85 of 500
        assert len(run["curve"]) == 3
        assert run["validation"] == min(run["curve"])  # a loss

    def test_what_falls_behind_is_cut(self, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        """Five good runs, and then one whose learning rate hardly moves it."""
        study = small(digits, epochs=8)
        good = [
            Run({"number": i, **study._space.usual(), "lr": rounded(2e-3 + 1e-4 * i)}, {
                "validation": 0.1, "curve": [0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1], "ended": FINISHED,
                "accuracy": 1.0, "low": 1.0, "high": 1.0,
            })
            for i in range(5)
        ]  # fmt: skip
        trials = study.trials(good)
        settings = {**next(iter(trials)), "lr": 1e-6}
        figures = study.run(settings, quiet)
        assert figures["ended"] == "worse than half of the others"
        assert 2 <= len(figures["curve"]) < 8
        assert "accuracy" not in figures  # of what was cut nothing is measured
        assert "cut" not in study.said(Run(settings, figures))
        assert "(worse than half of the others)" in study.said(Run(settings, figures))

    def test_time_runs_out_in_the_middle_of_a_run(self, digits: Dataset) -> None:
        study = small(digits, epochs=8)
        runs = taken(study, 1)
        settings = next(iter(study.trials(runs)))
        study._deadline = time.monotonic()
        figures = study.run(settings, quiet)
        assert figures["ended"] == "out of time"
        assert len(figures["curve"]) == 1
        runs.append(Run(settings, figures))
        assert list(study.trials(runs)) == []
        assert study._best(runs) is runs[0]

    def test_a_run_that_diverges_is_a_run(self, digits: Dataset) -> None:
        study = small(digits, epochs=4)
        settings = {"number": 3, **study._space.usual(), "lr": 1e9}
        figures = study.run(settings, quiet)
        assert figures["ended"] != FINISHED
        runs = [*taken(study, 1), Run({**settings, "lr": 0.02}, figures)]  # the highest that is proposed
        assert study._best(runs) is runs[0]
        next(iter(study.trials(runs)))  # Optuna takes it

    def test_embeddings(self, digits: Dataset, tmp_path: Path) -> None:
        study = small(digits, "embed", 0.02, losses=("supcon", "triplet"))
        found = conduct(study, tmp_path / "s", say=print)
        assert found.runs[0].settings["loss"] == "supcon"
        assert {"precision_at_1", "eer", "low", "high"} <= set(found.runs[0].figures)
        assert "likewise train DATA --out MODEL" in found.advice
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000


class TestCommand:
    @pytest.mark.usefixtures("undrawn")
    @pytest.mark.parametrize("task", ["classify", "embed"])
    def test_it_gives_the_figure_that_chose_it(self, digit_folder: Path, tmp_path: Path, task: str) -> None:
        """Trained by the command, the validation figure of the best epoch is that of the run, bit for bit."""
        from likewise.cli import main
        from likewise.data import open_data

        options = {"backbone": "mlp", "epochs": 3, "seed": 5}
        study = Tune(open_data(str(digit_folder)), task, called=[str(digit_folder)], **options)  # type: ignore[arg-type]
        found = taken(study, 3)[2]
        words = shlex.split(study.command(found).replace("MODEL", str(tmp_path / "m")))
        assert words[:2] == ["likewise", "train"]
        with pytest.raises(SystemExit) as left:
            main(words[1:])
        assert not left.value.code
        epochs = [json.loads(line) for line in (tmp_path / "m" / "report" / "history.jsonl").read_text().splitlines()]
        assert [epoch["validation"] for epoch in epochs] == found.figures["curve"]

    def test_what_is_usual_is_left_out(self) -> None:
        usual = {"lr": 2e-3, "weight_decay": 0.01, "augment": "none", "average": 0.0}
        assert command(["a b/"], "classify", usual, {}) == "likewise train 'a b/' --out MODEL --task classify"
        other = {"lr": 0.00123, "augment": "photo", "loss": "triplet", "dim": 64, "margin": 0.31}
        assert command(["d"], "embed", other, {"epochs": 7, "select": "eer", "split": None}) == (
            "likewise train d --out MODEL --lr 0.00123 --augment photo --loss triplet --dim 64 --margin 0.31 --epochs 7"
            " --select eer"
        )

    def test_margins_are_those_of_the_losses(self) -> None:
        from likewise.apps.study.space import MARGINS
        from likewise.objective import make_objective

        for loss, (low, high, usual) in MARGINS.items():
            assert low < usual < high
            assert make_objective(loss, dim=4, classes=3).options()["margin"] == usual
            for margin in (low, high):
                make_objective(loss, dim=4, classes=3, margin=margin)

    @pytest.mark.parametrize(
        ("value", "wanted"), [(0.00123456, 0.00123), (0.0199999, 0.02), (3.14159, 3.14), (25.0, 25)]
    )
    def test_three_digits(self, value: float, wanted: float) -> None:
        assert rounded(value) == wanted


class TestSpace:
    @pytest.mark.parametrize("task", ["embed", "classify"])
    @pytest.mark.parametrize("kind", ["picture", "sound"])
    def test_what_is_proposed_can_be_trained_and_told_again(self, task: Any, kind: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = Space(task, kind)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        seen: dict[str, set[Any]] = {}
        for _ in range(60):
            settings = space.suggested(study.ask())
            given, distributions = space.as_asked(json.loads(json.dumps(settings)))
            optuna.trial.create_trial(value=1.0, params=given, distributions=distributions)
            for name, value in settings.items():
                seen.setdefault(name, set()).add(value)
        wanted = {"picture": {"none", "jitter", "mirror", "photo"}, "sound": {"none", "speech"}}[kind]
        assert seen["augment"] == wanted
        if task == "embed":
            assert seen["loss"] == set(LOSSES)
            assert seen["dim"] == {32, 64, 128, 256}

    def test_no_such_loss(self) -> None:
        with pytest.raises(UsageError, match="got nosuch"):
            Space("embed", "picture", ("supcon", "nosuch"))


class TestAdvice:
    @pytest.fixture
    def study(self, digits: Dataset) -> Tune:
        return small(digits)

    def run(self, number: int, validation: float, right: int, ended: str = FINISHED) -> Run:
        settings = {
            "number": number,
            "lr": 2e-3 + 1e-3 * number,
            "weight_decay": 0.01,
            "augment": "none",
            "average": 0.0,
        }
        return judged(settings, first(400, right), validation=validation, curve=[validation], ended=ended)

    @pytest.mark.parametrize(
        ("right", "said"),
        [
            (395, "It is better by more than chance."),
            (362, "The difference may be chance."),
            (360, "--epochs 3 --split item is as good: 90.0%"),
            (358, "--epochs 3 --split item measured worse, which may be chance: 89.5%"),
            (300, "--epochs 3 --split item is worse by more than chance, so bring more to choose by: 75.0%"),
        ],
    )
    def test_the_best_is_measured_on_what_did_not_choose_it(self, study: Tune, right: int, said: str) -> None:
        runs = [
            self.run(0, 0.5, 360),
            self.run(1, 0.3, right),
            self.run(2, 0.9, 400),
            self.run(3, 0.1, 1, "out of time"),
        ]
        advice = study.advice(runs)
        if right > 360:
            assert advice.startswith("likewise train DATA --out MODEL --task classify --lr 0.003")
        else:
            defaults = "likewise train DATA --out MODEL --task classify --backbone mlp --epochs 3 --split item"
            assert advice.startswith(f"Keep the defaults: {defaults}. likewise train")
        assert f"{right / 400:.1%} right" in advice
        assert "where the defaults have 90.0% right" in advice
        assert "the best of 4 by the validation part, 1 of them cut short" in advice
        assert said in advice

    def test_the_defaults_may_be_best(self, study: Tune) -> None:
        assert "the defaults are the best of 2" in study.advice([self.run(0, 0.5, 360), self.run(1, 0.7, 395)])

    def test_a_validation_part_that_tells_none_apart(self, study: Tune) -> None:
        said = study.advice([self.run(0, 0.0, 360), self.run(1, 0.0, 395)])
        assert "tells none of 2 apart: keep the defaults" in said


class TestRefused:
    def test_without_optuna(self, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        before = builtins.__import__

        def without(name: str, *rest: Any, **more: Any) -> Any:
            if name == "optuna":
                raise ImportError("No module named 'optuna'", name="optuna")
            return before(name, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(UsageError, match=r'pip install "likewise\[tune\]"'):
            small(digits)

    def test_too_few_to_choose_by(self, digits: Dataset) -> None:
        labels = np.repeat(np.arange(8), 2)
        few = replace(digits.subset(np.arange(16)), labels=labels, names=tuple("abcdefgh"))
        with pytest.raises(DataError, match="The part to choose by has 2 identities"):
            small(few, "embed", by="identity")

    def test_what_cannot_be(self, digits: Dataset) -> None:
        with pytest.raises(UsageError, match="more than 0 minutes"):
            small(digits, minutes=0)
        with pytest.raises(DataError, match="at least 2 classes"):
            small(digits.subset(np.flatnonzero(digits.labels == 3)))
        assert small(grouped(digits, 40), by=None).options()["by"] == "group"


def test_runs_that_were_cut_off_do_not_stretch_the_axis(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file: drawn.append(self))
    settings = {"lr": 2e-3, "weight_decay": 0.01, "augment": "none", "average": 0.0}
    figures = [([0.6, 0.2], FINISHED), ([0.5, 0.1], FINISHED), ([16.0], "worse than half of the others")]
    runs = [
        judged({"number": i, **settings}, first(400, 300), validation=curve[-1], curve=curve, ended=ended)
        for i, (curve, ended) in enumerate(figures)
    ]
    small(digits).draw(runs, tmp_path / "study.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert low < 0.1
    assert 0.6 < high < 0.7
