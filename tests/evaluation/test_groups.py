"""Figures by group: those of each group by itself, beside those of all, so that nobody's errors are averaged away."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from likewise.apps.learn import Learned
from likewise.data import Dataset, PairSet, arrays
from likewise.errors import UsageError
from likewise.evaluation import Report, evaluate
from likewise.evaluation.groups import Figures, Groups, Worst, measure_groups, rates_of
from likewise.matching import Labelled
from likewise.metrics import retrieval, verification
from likewise.objective import Euclidean

LINE = 1.5  # threshold of the drawn cases


def drawn(places: dict[str, list[tuple[float, float]]]) -> tuple[Dataset, Labelled]:
    """Two items of each identity, at these places on a line; identities of a group by its name."""
    groups = [group for group, identities in places.items() for _ in identities for _ in range(2)]
    points = [place for identities in places.values() for pair in identities for place in pair]
    labels = np.arange(len(points)) // 2
    data = arrays(np.zeros((len(points), 2, 2), np.uint8), labels, groups=groups)
    shuffled = np.random.default_rng(0).permutation(len(points))  # nothing may hang on the order
    data = data.subset(shuffled)
    return data, Labelled(torch.tensor(points)[shuffled, None], torch.from_numpy(data.labels), data, ())


def measured(data: Dataset, labelled: Labelled, line: float = LINE, unit: str = "identity") -> Groups:
    given = labelled.embeddings, labelled.labels, Euclidean()
    whole = Figures(retrieval(*given).precision_at_1, verification(*given, unit=unit).eer, rates_of(line, *given, unit))
    return measure_groups(data, labelled, Euclidean(), unit, whole, threshold=line, promised=0.01, own=True)


EASY = [(1000.0 * i, 1000.0 * i + 1) for i in range(10)]
# Five couples that stand in each other's way, and two people who differ from themselves.
TWINS = [place for i in range(5) for place in ((-1000.0 * i - 900, -1000.0 * i - 899),) * 2]
HARD = [(a + 0.25 * (n % 2), b + 0.25 * (n % 2)) for n, (a, b) in enumerate(TWINS)] + [
    (-9e4, -9e4 + 3),
    (-8e4, -8e4 + 3),
]


@pytest.fixture(scope="module")
def found() -> Groups:
    return measured(*drawn({"hard": HARD, "easy": EASY}))


class TestTwoGroups:
    """Ten easy and twelve hard identities with two items each, so that every rate is known."""

    def test_each_group_has_the_rates_it_was_drawn_with(self, found: Groups) -> None:
        easy, hard = found.each
        assert [(g.name, g.items, g.identities, g.reason) for g in found.each] == [
            ("easy", 20, 10, None),
            ("hard", 24, 12, None),
        ]
        assert (easy.figures.rates.fmr.value, easy.figures.rates.fnmr.value) == (0, 0)
        assert (easy.figures.precision_at_1, easy.figures.eer.value) == (1, 0)
        # Of 12 identities with 2 items, 4 pairs of each two; those of 5 couples lie within the line.
        assert hard.figures.rates.fmr.value == pytest.approx(5 * 4 / (66 * 4))
        assert hard.figures.rates.fnmr.value == pytest.approx(2 / 12)
        assert hard.figures.precision_at_1 == pytest.approx(4 / 24)  # a twin is nearest to all but the last two

    def test_all_together_hide_it_and_the_ratio_shows_it(self, found: Groups) -> None:
        assert found.whole.rates.fmr.value == pytest.approx(20 / (231 * 4))
        assert found.worst("fmr") == Worst("hard", pytest.approx((20 / 264) / (20 / 924)))
        assert found.worst("fnmr") == Worst("hard", pytest.approx((2 / 12) / (2 / 22)))

    def test_pairs_across_groups_count_for_no_group(self) -> None:
        """The same two groups in one place: everybody has a double in the other group, which only all together see."""
        found = measured(*drawn({"a": EASY, "b": EASY}))
        assert [g.figures.rates.fmr.value for g in found.each] == [0, 0]
        assert [g.figures.precision_at_1 for g in found.each] == [1, 1]
        assert found.whole.rates.fmr.value == pytest.approx(10 * 4 / (190 * 4))
        assert found.worst("fmr").ratio == 0

    def test_an_identity_with_items_in_two_groups_is_compared_within_each(self) -> None:
        """Of every identity two items in either group; between the groups lie 10, within each 1."""
        data, labelled = drawn({"dusk": EASY, "noon": [(a + 10, b + 10) for a, b in EASY]})
        same = replace(data, labels=data.labels % 10)
        found = measured(same, replace(labelled, labels=torch.from_numpy(same.labels), data=same))
        assert [g.identities for g in found.each] == [10, 10]
        assert [g.figures.rates.fnmr.value for g in found.each] == [0, 0]
        assert found.whole.rates.fnmr.value == pytest.approx(4 / 6)  # of the 6 pairs of 4 items, 4 are across

    def test_json(self, found: Groups) -> None:
        values = found.as_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        hard = values["groups"][1]
        assert hard["group"] == "hard"
        assert hard["fmr"] == found.each[1].figures.rates.fmr.as_dict()
        assert hard["eer"] == found.each[1].figures.eer.as_dict()
        compared = values["groups_compared"]
        assert (compared["threshold"], compared["promised_fmr"], compared["threshold_of"]) == (LINE, 0.01, "model")
        assert compared["fmr"] == found.whole.rates.fmr.as_dict()
        assert compared["worst_fmr"] == {"group": "hard", "ratio": pytest.approx(3.5)}

    def test_text(self, found: Groups) -> None:
        rows = dict(found.rows())
        assert rows["group threshold"] == "1.5: the model's own for FMR 0.01"
        assert rows["group hard"].split()[:3] == ["24", "12", "0.1667"]
        assert rows["all"].split()[:2] == ["44", "22"]
        assert rows["worst FMR"] == "hard: 3.5 times that of all"
        assert rows["worst FNMR"] == "hard: 1.8 times that of all"
        assert "too small" not in rows
        start = {rows[name].index(text) for name, text in (("by group", "FMR at"), ("group hard", "0.0758 ("))}
        assert len(start) == 1  # columns stand below their names


class TestTooSmall:
    @pytest.mark.parametrize(("identities", "reason"), [(9, None), (8, "8 identities, of the 9 it takes")])
    def test_of_a_sample_of_identities_nine_are_needed(self, identities: int, reason: str | None) -> None:
        """3 / 0.1 pairs of identities, the least that shows a rate of 0.1: nine identities form 36, eight 28."""
        few = measured(*drawn({"few": EASY[:identities], "many": HARD})).each[0]
        assert (few.items, few.identities, few.reason) == (2 * identities, identities, reason)
        assert (few.figures is None) == (reason is not None)

    @pytest.mark.parametrize(("sizes", "pairs"), [((5, 6), 30), ((4, 7), 28)])
    def test_of_a_fixed_list_thirty_pairs_are(self, sizes: tuple[int, int], pairs: int) -> None:
        data = arrays(np.zeros((11, 2, 2), np.uint8), np.repeat([0, 1], sizes), groups=["a"] * 11)
        points = torch.randn(11, 3, generator=torch.Generator().manual_seed(0))
        (found,) = measured(data, Labelled(points, torch.from_numpy(data.labels), data, ()), unit="item").each
        assert found.reason == (None if pairs >= 30 else "28 different pairs, of the 30 it takes")

    def test_a_group_in_which_nobody_has_two_items(self) -> None:
        data, labelled = drawn({"a": HARD, "b": EASY})
        alone = replace(data, labels=np.where(data.groups == 1, 100 + np.arange(len(data)), data.labels),
                        names=tuple(map(str, range(200))))  # fmt: skip
        found = measured(alone, replace(labelled, labels=torch.from_numpy(alone.labels), data=alone))
        assert [g.reason for g in found.each] == [None, "no identity with 2 items"]
        assert found.as_dict()["groups"][1] == {
            "group": "b", "items": 20, "identities": 20, "precision_at_1": None, "eer": None, "fmr": None, "fnmr": None,
            "reason": "no identity with 2 items",
        }  # fmt: skip

    def test_a_group_of_which_nothing_could_be_read_is_told_of(self) -> None:
        data, labelled = drawn({"gone": EASY, "there": HARD})
        kept = np.flatnonzero(data.groups == 1)
        there = Labelled(labelled.embeddings[kept], labelled.labels[kept], data.subset(kept), ())
        gone = measured(data, there).each[0]
        assert (gone.name, gone.items, gone.reason) == ("gone", 0, "0 identities, of the 9 it takes")

    def test_a_group_of_another_part_is_not_told_of(self) -> None:
        data, labelled = drawn({"elsewhere": EASY, "here": HARD})
        kept = np.flatnonzero(data.groups == 1)
        here = data.subset(kept)
        found = measured(here, Labelled(labelled.embeddings[kept], labelled.labels[kept], here, ()))
        assert [g.name for g in found.each] == ["here"]

    def test_it_is_never_the_worst(self) -> None:
        found = measured(*drawn({"few": [(0.0, 9.0)] * 3, "many": EASY}))
        assert found.worst("fnmr") == Worst("many", 0)
        assert dict(found.rows())["too small"] == "few (3 identities, of the 9 it takes)"

    def test_a_group_for_each_item_does_not_flood_the_screen(self) -> None:
        data, labelled = drawn({"a": EASY})
        each = replace(data, groups=np.arange(20), group_names=tuple(f"g{i}" for i in range(20)))
        found = measured(each, replace(labelled, data=each))
        small = dict(found.rows())["too small"]
        assert small.startswith("g0 (1 identity, of the 9 it takes), g1 (")
        assert small.endswith(", and 10 more")
        assert found.worst("fmr") is None
        assert len(found.as_dict()["groups"]) == 20


def test_without_any_error_there_is_no_worst_group() -> None:
    found = measured(*drawn({"a": EASY, "b": [(a + 500, b + 500) for a, b in EASY]}))
    assert found.worst("fmr") is None
    assert found.worst("fnmr") is None
    assert not {"worst FMR", "worst FNMR"} & {name for name, _ in found.rows()}
    assert found.as_dict()["groups_compared"]["worst_fmr"] is None


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Dataset:
    rng = np.random.default_rng(0)
    chosen = digits.subset(rng.permutation(1797)[:300])
    return replace(chosen, groups=rng.integers(0, 2, 300), group_names=("left", "right"))


@pytest.fixture(scope="module")
def report(learned: Learned, some: Dataset) -> Report:
    return evaluate(learned.model, some, by_group=True)


class TestEvaluate:
    @pytest.mark.parametrize("unit", ["item", "identity"])
    def test_a_group_has_the_figures_of_its_items_alone(self, learned: Learned, some: Dataset, unit: str) -> None:
        found = evaluate(learned.model, some, unit=unit, by_group=True).groups
        for number, group in enumerate(found.each):
            alone = evaluate(learned.model, some.subset(np.flatnonzero(some.groups == number)), unit=unit)
            assert (group.items, group.identities) == (len(alone.labelled.labels), 10)
            assert group.figures.precision_at_1 == alone.retrieval.precision_at_1
            assert group.figures.eer == alone.verification.eer
            assert group.figures.rates == alone.at_threshold.rates

    def test_the_threshold_is_the_models_own(self, learned: Learned, report: Report) -> None:
        line = learned.model.calibrated().threshold_for()
        found = report.groups
        assert (found.threshold, found.promised, found.own) == (line.threshold, line.promised, True)
        assert found.whole.rates == report.at_threshold.rates
        assert found.whole.eer == report.verification.eer

    def test_without_one_it_is_that_of_all_items(self, learned: Learned, some: Dataset) -> None:
        encoder = learned.model.encoder
        found = evaluate(encoder, some, by_group=True)
        embeddings = encoder.encode(some.sources).embeddings
        i, j = torch.triu_indices(len(some), len(some), 1)
        with torch.no_grad():
            far = encoder.distance.rowwise(embeddings[i], embeddings[j]).double().numpy()
        far = np.sort(far[some.labels[i] != some.labels[j]])
        groups = found.groups
        assert (groups.own, groups.promised) == (False, 0.01)
        accepted = np.count_nonzero(far <= groups.threshold)
        assert groups.whole.rates.fmr.value == pytest.approx(accepted / len(far), abs=2 / len(far))
        assert 0.009 < groups.whole.rates.fmr.value <= 0.01
        assert found.as_dict()["groups_compared"]["threshold_of"] == "data"
        assert "as the model has none, that of all these items for FMR 0.01" in dict(found.rows())["group threshold"]
        assert found.at_threshold is None

    def test_where_even_the_nearest_pair_is_too_much_nothing_is_accepted(self, learned: Learned) -> None:
        """All pictures are one: every pair has distance 0, and no threshold keeps 0.01."""
        data = arrays(np.zeros((40, 8, 8), np.uint8), np.repeat(np.arange(10), 4), groups=["a"] * 40)
        found = evaluate(learned.model.encoder, data, unit="identity", by_group=True)
        assert found.groups.threshold == -1
        assert (found.groups.whole.rates.fmr.value, found.groups.whole.rates.fnmr.value) == (0, 1)
        json.dumps(found.as_dict(), allow_nan=False)

    def test_one_group_is_the_whole(self, learned: Learned, some: Dataset) -> None:
        one = replace(some, groups=np.zeros(300, np.int64), group_names=("everybody",))
        found = evaluate(learned.model, one, by_group=True).groups
        (group,) = found.each
        assert group.figures == found.whole
        for kind in ("fmr", "fnmr"):
            worst, rate = found.worst(kind), getattr(found.whole.rates, kind).value
            assert worst == (Worst("everybody", 1) if rate else None)

    def test_nothing_else_changes(self, learned: Learned, some: Dataset, report: Report) -> None:
        plain = evaluate(learned.model, some).as_dict()
        assert not {"groups", "groups_compared"} & set(plain)
        timed = {"encode_seconds", "measure_seconds"}
        ours = report.as_dict()
        assert {k: v for k, v in ours.items() if k not in {"groups", "groups_compared"} | timed} == {
            k: v for k, v in plain.items() if k not in timed
        }

    def test_data_without_groups_are_refused_before_the_work(self, learned: Learned, digits: Dataset) -> None:
        told: list[object] = []
        with pytest.raises(UsageError, match="items that have a group; got none in digits"):
            evaluate(learned.model, digits, by_group=True, progress=lambda *step: told.append(step))
        assert told == []

    def test_pairs_have_none(self, learned: Learned, digits: Dataset) -> None:
        few = digits.subset(np.arange(40))
        first, second = np.array(list(combinations(range(40), 2))).T
        pairs = PairSet(few, first, second, few.labels[first] == few.labels[second])
        with pytest.raises(UsageError, match="by_group"):
            evaluate(learned.model, pairs, by_group=True)

    @pytest.mark.parametrize("name", ["\x1b[31mred\n", "<img src=x>", "x" * 300, "$a_b$", "顔"])
    def test_names_of_groups_can_do_no_harm(self, learned: Learned, some: Dataset, name: str) -> None:
        found = evaluate(learned.model, replace(some, group_names=(name, "right")), by_group=True)
        lines = [line for line in str(found).splitlines() if line.startswith("group ")]
        assert len(lines) == 3  # threshold, and two groups
        assert all(len(line) < 160 and "\x1b" not in line for line in lines)
        assert "<img" not in found._repr_html_()
        assert found.as_dict()["groups"][0]["group"] == name
