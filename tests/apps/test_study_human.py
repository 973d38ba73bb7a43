"""People beside the machine: who is asked what, what is kept, and what follows from it."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from study_drawn import first, grouped, judged, some_digits

from likewise.apps.study import Asker, Human, Question, Resolution, Run, conduct
from likewise.data import Dataset, arrays, folder
from likewise.encoder import Wanted
from likewise.errors import DataError, UsageError
from likewise.training import FitOptions


class Somebody(Asker):
    """Answers by a rule, and keeps what was shown; leaves after some questions."""

    def __init__(self, rule: Callable[[Question], int] = lambda _: 0, leaves_after: int = 10_000) -> None:
        self.rule, self.left, self.shown, self.thanked = rule, leaves_after, list[Question](), False

    def ask(self, question: Question) -> int:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.shown.append(question)
        return self.rule(question)

    def end(self) -> None:
        self.thanked = True


def squares(count: int = 240, noise: int = 60) -> Dataset:
    """Bright and dark pictures of 16 x 16, between noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    items = 60 + 100 * labels[:, None, None] + rng.integers(-noise, noise, (count, 16, 16))
    return arrays(items.clip(0, 255).astype(np.uint8), np.where(labels, "bright", "dark"))


def by_brightness(question: Question) -> int:
    return question.classes.index("bright" if question.item.astype(float).mean() > 110 else "dark")


@pytest.fixture(scope="module")
def study() -> Resolution:
    return Resolution(squares(), (4, 8, 16), backbone="linear", fit=FitOptions(epochs=2))


def machine(*right: int) -> Callable[[], Sequence[Run]]:
    """Runs at 4, 8 and 16 pixels with so many of 100 right."""
    sizes = (4, 8, 16)
    return lambda: [
        judged({"size": size, "colour": "as they are"}, first(100, count))
        for size, count in zip(sizes, right, strict=True)
    ]


class TestQuestions:
    @pytest.mark.parametrize("each", [1, 4, 5])
    def test_sizes_take_turns_with_as_many_items_of_each_class(self, each: int) -> None:
        study = Resolution(some_digits(), (2, 4, 8), fit=FitOptions(epochs=1), backbone="linear")
        human = Human(study, "ada", Somebody(), machine(1, 1, 1), each=each)
        asked = human.trials([])
        assert len({trial["item"] for trial in asked}) == len(asked)  # nobody meets an item twice
        labels = study.plan.data.labels
        of_size = {
            size: collections.Counter(labels[trial["item"]] for trial in asked if trial["size"] == size)
            for size in (2, 4, 8)
        }
        assert of_size[2] == of_size[4] == of_size[8]
        for turn in range(0, len(asked), 3):
            assert {trial["size"] for trial in asked[turn : turn + 3]} == {2, 4, 8}
        assert {trial["item"] for trial in asked} <= set(study.plan.judged.tolist())

    def test_as_many_as_asked_where_there_are_enough(self, study: Resolution) -> None:
        asked = Human(study, "ada", Somebody(), machine(1, 1, 1), each=10).trials([])
        assert collections.Counter(trial["size"] for trial in asked) == {4: 10, 8: 10, 16: 10}

    def test_orders_are_a_persons_own_and_the_same_again(self, study: Resolution) -> None:
        ada, again, bob = (
            Human(study, name, Somebody(), machine(1, 1, 1), each=10).trials([]) for name in ("ada", "ada", "bob")
        )
        assert ada == again
        assert [(t["item"], t["size"]) for t in ada] != [(t["item"], t["size"]) for t in bob]

    def test_items_are_shown_as_the_machine_is_given_them(self, study: Resolution) -> None:
        asker = Somebody()
        human = Human(study, "ada", asker, machine(1, 1, 1), each=4)
        data = study.plan.data
        for settings in human.trials([]):
            human.run(settings, lambda *_: None)
            how = Wanted(size=settings["size"]).suiting(data.sources)
            given = how.decode_sole([data.sources[settings["item"]]]).values[0, 0].numpy()
            assert np.array_equal(asker.shown[-1].item, given)

    def test_sounds_at_their_rate(self, tmp_path: Path) -> None:
        from likewise.media.sounds import write_sound

        for name in ("low", "high"):
            (tmp_path / name).mkdir()
            for i in range(30):
                write_sound(tmp_path / name / f"{i}.wav", 0.2 * np.sin(np.arange(800 + i) / (5 + i)), 4000)
        study = Resolution(folder(tmp_path), backbone="mlp", fit=FitOptions(epochs=1))
        asker = Somebody()
        human = Human(study, "ada", asker, machine(1, 1, 1), each=1)
        for settings in human.trials([]):
            human.run(settings, lambda *_: None)
            assert asker.shown[-1].rate == settings["size"]
            assert asker.shown[-1].item.dtype == np.int16
            assert len(asker.shown[-1].item) == round(0.3 * settings["size"])  # to a tenth of a second, as in training

    def test_what_cannot_be_read_is_not_asked_about(self, digit_folder: Path, tmp_path: Path) -> None:
        import shutil

        shutil.copytree(digit_folder, tmp_path / "digits")
        torn = sorted((tmp_path / "digits" / "3").iterdir())
        for file in torn[::2]:
            file.write_bytes(b"no picture: " + file.name.encode())
        study = Resolution(folder(tmp_path / "digits"), (4, 8), backbone="linear", folds=3, fit=FitOptions(epochs=1))
        human = Human(study, "ada", Somebody(), list, each=20)
        asked = human.trials([])
        files = {study.plan.data.files[trial["item"]] for trial in asked}
        assert not files & {f"3/{file.name}" for file in torn[::2]}
        assert any(file.startswith("3/") for file in files)
        assert human.run(asked[0], lambda *_: None)["skipped"]


class TestAnswers:
    def test_they_are_kept_one_by_one_and_gone_on_with(self, study: Resolution, tmp_path: Path) -> None:
        early = Somebody(by_brightness, leaves_after=7)
        with pytest.raises(KeyboardInterrupt):
            conduct(Human(study, "ada", early, machine(90, 98, 99), each=6), tmp_path / "s", say=print)
        assert not early.thanked
        late = Somebody(by_brightness)
        said: list[str] = []
        found = conduct(
            Human(study, "ada", late, machine(90, 98, 99), each=6), tmp_path / "s", resume=True, say=said.append
        )
        assert late.thanked
        assert (len(early.shown), len(late.shown), len(found.runs)) == (7, 11, 18)
        assert [(q.number, q.of) for q in (*early.shown, *late.shown)] == [(i, 18) for i in range(1, 19)]
        assert len({run.settings["item"] for run in found.runs}) == 18
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000
        assert all(line.endswith((" said bright", " said dark")) for line in said)  # and never what was right

    def test_names_command_no_terminal(self, tmp_path: Path) -> None:
        data = replace(squares(), names=("\x1b[2Jbright", "dark\n"))
        study = Resolution(data, (4, 8), backbone="linear", fit=FitOptions(epochs=1))
        said: list[str] = []
        made = machine(90, 98, 99)()[:2]
        conduct(Human(study, "ada", Somebody(), lambda: made, each=2), tmp_path / "s", say=said.append)
        assert len(said) == 4
        assert all(line.isprintable() for line in said)

    def test_several_people(self, study: Resolution, tmp_path: Path) -> None:
        conduct(Human(study, "ada", Somebody(by_brightness), machine(9, 9, 9), each=6), tmp_path / "s", say=print)
        always = Human(study, "bob", Somebody(), machine(90, 98, 99), each=6)
        found = conduct(always, tmp_path / "s", resume=True, say=print)
        assert len(found.runs) == 36
        assert "2 people" in found.advice
        right = {
            name: [r.figures["right"] for r in found.runs if r.settings["person"] == name] for name in ("ada", "bob")
        }
        assert np.mean(right["ada"]) == 1.0
        assert np.mean(right["bob"]) == 0.5

    def test_more_questions_ask_about_others(self, study: Resolution, tmp_path: Path) -> None:
        for each in (4, 8):
            asker = Somebody(by_brightness)
            human = Human(study, "ada", asker, machine(90, 98, 99), each=each)
            found = conduct(human, tmp_path / "s", resume=True, say=print)
        assert len({run.settings["item"] for run in found.runs}) == len(found.runs) > 12


class TestAdvice:
    def people(
        self, study: Resolution, right: dict[int, int], machines: tuple[int, int, int], learned: int = 100
    ) -> str:
        """Of 40 answers at each size so many right, beside a machine with so many of 100, as many of each class."""
        data = study.plan.data
        order = np.stack([np.flatnonzero(data.labels == label)[:80] for label in (0, 1)], axis=1).ravel()
        runs = [
            Run(
                {"person": "ada", "item": int(order[40 * k + i]), "size": size},
                {"right": int(i < count), "seconds": 1.5, "truth": data.names[data.labels[order[40 * k + i]]]},
            )
            for k, (size, count) in enumerate(right.items())
            for i in range(40)
        ]
        made = machine(*machines)()
        for run in made:
            run.figures["each"]["item"] = order[:100].tolist()
            run.figures["trained_by_class"] = [[learned, 100]] * 2
        return Human(study, "ada", Somebody(), lambda: made).advice(runs)

    def test_people_and_machine_need_sizes_of_their_own(self, study: Resolution) -> None:
        said = self.people(study, {4: 24, 8: 39, 16: 40}, (60, 70, 94))
        assert said.startswith("People need pictures of 8 x 8: 97.5% right")
        assert "1 person; the machine needs pictures of 16 x 16: 94.0% right" in said

    def test_bias_and_variance(self, study: Resolution) -> None:
        """People err in 0, the machine in 12 of 100: what it misses of what it learned from is bias."""
        said = self.people(study, {4: 24, 8: 39, 16: 40}, (60, 70, 88), learned=97)
        assert "3.0 points (0.0 to 3.0) are avoidable bias" in said  # people may err in 8.8 of 100, too
        assert re.search(r"9\.0 points \(4\.\d to 16\.\d\) are variance: more examples or augmentation first\.", said)
        said = self.people(study, {4: 24, 8: 39, 16: 40}, (60, 70, 88), learned=90)
        assert "10.0 points (1.2 to 10.0) are avoidable bias" in said
        assert "2.0 points (0.0 to 9.8) are variance: more epochs or a larger network first." in said

    def test_a_machine_as_good_as_people(self, study: Resolution) -> None:
        said = self.people(study, {4: 20, 8: 24, 16: 28}, (60, 70, 94))
        assert "30.0%, the machine, were it asked as often about each class, in 6.0%: -24.0 points (" in said
        assert said.endswith("It does no worse than people, whose error does not say any more what is possible.")

    def test_no_worse_is_said_only_where_the_answers_show_it(self, study: Resolution) -> None:
        """4 of 40 wrong, and 6 of 100: the machine looks better, and may be worse by some points."""
        said = self.people(study, {4: 24, 8: 32, 16: 36}, (60, 70, 94))
        assert "no worse" not in said
        assert said.endswith("whether it does worse than people so few answers do not tell. Ask about more.")

    def test_few_answers_are_said_to_be_few(self, study: Resolution) -> None:
        assert "which may be chance" in self.people(study, {4: 24, 8: 39, 16: 40}, (60, 70, 94))
        assert "chance" not in self.people(study, {4: 24, 8: 39, 16: 40}, (60, 70, 75))

    def test_both_are_set_side_by_side_on_the_same_mix_of_classes(self) -> None:
        """Nine in ten are bright, where nobody errs; of the dark ones people and machine get half right. The machine's
        95% in the mix that there is are no better than people's 75% of as many of each."""
        bright = np.arange(1000) % 10 > 0
        pictures = np.random.default_rng(0).integers(0, 255, (1000, 16, 16), dtype=np.uint8)
        data = arrays(pictures, np.where(bright, "bright", "dark"))
        study = Resolution(data, (4, 8), backbone="linear", fit=FitOptions(epochs=1))
        human = Human(study, "ada", Somebody(), list, each=10)
        labels, names = study.plan.data.labels, study.plan.data.names
        bright_label = names.index("bright")

        def right(items: np.ndarray) -> np.ndarray:
            """All of the bright ones, and every other dark one."""
            dark = np.cumsum(labels[items] != bright_label)
            return (labels[items] == bright_label) | (dark % 2 == 0)

        asked = human.trials([])
        answers = right(np.array([trial["item"] for trial in asked]))
        runs = [
            Run(trial, {"right": int(ok), "seconds": 1.0, "truth": names[labels[trial["item"]]]})
            for trial, ok in zip(asked, answers, strict=True)
        ]
        judged_items = study.plan.judged
        made = [judged({"size": size, "colour": "as they are"}, right(judged_items)) for size in (4, 8)]
        for run in made:
            run.figures["each"]["item"] = judged_items.tolist()
            run.figures["trained_by_class"] = [[90, 90], [5, 10]] if bright_label == 0 else [[5, 10], [90, 90]]
        assert made[0].figures["accuracy"] > 0.93
        found = Human(study, "ada", Somebody(), lambda: made, each=10)._in_mix(made[0], runs).figures
        assert found["accuracy"] == pytest.approx(0.75, abs=0.06)  # of an odd number of dark ones half is not half
        assert found["trained_accuracy"] == pytest.approx(0.75)
        assert found["low"] < 0.75 < found["high"]
        said = Human(study, "ada", Somebody(), lambda: made, each=10).advice(runs)
        assert "no worse" not in said

    def test_people_who_guess(self, study: Resolution) -> None:
        said = self.people(study, {4: 20, 8: 22, 16: 24}, (60, 70, 94))
        assert said.startswith("People do no better than by guessing, 50.0%")
        assert "The machine has 94.0% right" in said


class TestRefused:
    @pytest.mark.parametrize("person", ["", "  ", "a\nb", "x" * 65])
    def test_names(self, study: Resolution, person: str) -> None:
        with pytest.raises(UsageError, match="A person has a name"):
            Human(study, person, Somebody(), machine(1, 1, 1))

    def test_too_many_classes_for_keys(self) -> None:
        rng = np.random.default_rng(0)
        data = arrays(rng.integers(0, 255, (800, 8, 8), dtype=np.uint8), np.arange(800) % 40)
        study = Resolution(data, (4, 8), backbone="linear", fit=FitOptions(epochs=1))
        with pytest.raises(UsageError, match="among 34 classes at most"):
            Human(study, "ada", Somebody(), machine(1, 1, 1))

    def test_too_few_items(self) -> None:
        study = Resolution(
            grouped(squares(24), 8), (4, 6, 8, 10, 12, 14, 16), backbone="linear", fit=FitOptions(epochs=1)
        )
        with pytest.raises(DataError, match="For 30 sizes some class has 30 items"):
            Human(study, "ada", Somebody(), machine(1, 1, 1), list(range(2, 32)))
