"""What a report says of the model's own threshold, of pairs, and of the pairs that are hardest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.apps.learn import Learned
from likewise.data import Dataset, PairSet
from likewise.evaluation import Report, evaluate
from likewise.matching import Model


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Dataset:
    return digits.subset(np.random.default_rng(0).permutation(1797)[:200])  # labels in no order


@pytest.fixture(scope="module")
def model(learned: Learned) -> Model:
    """Set for a rate of 0.1, which 200 items show well."""
    return Model(learned.model.encoder, replace(learned.model.calibrated(), default=0.1))


@pytest.fixture(scope="module")
def report(model: Model, some: Dataset) -> Report:
    return evaluate(model, some)


@pytest.fixture(scope="module")
def pairs(digits: Dataset) -> PairSet:
    """200 same and 400 different pairs, in which no picture stands twice."""
    rng = np.random.default_rng(1)
    left = rng.permutation(len(digits))
    firsts, seconds, same = [], [], []
    for wanted, count in ((True, 200), (False, 400)):
        for _ in range(count):
            first, left = left[0], left[1:]
            alike = digits.labels[left] == digits.labels[first]
            place = int(np.flatnonzero(alike == wanted)[0])
            firsts.append(first)
            seconds.append(left[place])
            same.append(wanted)
            left = np.delete(left, place)
    return PairSet(digits, np.array(firsts), np.array(seconds), np.array(same), origin="pairs")


def pair_distances(model: Model, pairs: PairSet) -> np.ndarray:
    vectors = model.encode(pairs.items.sources).embeddings
    with torch.no_grad():
        return model.encoder.distance.rowwise(vectors[pairs.first], vectors[pairs.second]).numpy()


class TestLabelled:
    def test_both_rates_are_those_of_the_models_threshold(self, model: Model, some: Dataset, report: Report) -> None:
        """Counted pair by pair, whatever the order of the labels."""
        line = model.calibrated().threshold_for()
        i, j = np.triu_indices(len(some), 1)
        accepted = pair_distances(model, PairSet(some, i, j, i < 0)) <= line.threshold
        different = some.labels[i] != some.labels[j]
        found = report.at_threshold
        assert (found.threshold, found.promised) == (line.threshold, line.promised)
        assert found.rates.fmr.value == pytest.approx(accepted[different].mean(), abs=2 / different.sum())
        assert found.rates.fnmr.value == pytest.approx(1 - accepted[~different].mean(), abs=2 / (~different).sum())
        for rate in (found.rates.fmr, found.rates.fnmr):
            assert 0 <= rate.low <= rate.value <= rate.high <= 1
            assert rate.low < rate.high

    def test_json_and_rows(self, report: Report) -> None:
        values, found = report.as_dict(), report.at_threshold
        assert values["threshold"] == found.threshold
        assert values["promised_fmr"] == found.promised
        assert values["fmr_at_threshold"] == found.rates.fmr.as_dict()
        assert values["fnmr_at_threshold"] == found.rates.fnmr.as_dict()
        rows = dict(report.rows())
        assert rows["FMR at threshold"].endswith(f"promised {found.promised:g}")
        assert rows["FMR at threshold"].startswith(f"{found.rates.fmr.value:.3g} (95%: ")
        assert rows["FNMR at threshold"].startswith(f"{found.rates.fnmr.value:.2%} (95%: ")

    def test_what_was_sampled_decides_the_interval_and_not_the_rate(
        self, model: Model, some: Dataset, report: Report
    ) -> None:
        people = evaluate(model, some, unit="identity").at_threshold.rates.fmr
        items = report.at_threshold.rates.fmr
        assert people.value == items.value
        assert people.high > items.high  # ten identities say less of others than 200 items do of their ten

    def test_a_model_without_a_threshold_has_no_rates_there(self, learned: Learned, some: Dataset) -> None:
        for bare in (learned.model.encoder, Model(learned.model.encoder)):
            found = evaluate(bare, some)
            assert found.at_threshold is None
            values = found.as_dict()
            assert [values[k] for k in ("threshold", "promised_fmr", "fmr_at_threshold", "fnmr_at_threshold")] == (
                [None] * 4
            )
            assert "at threshold" not in str(found)

    def test_the_hardest_pairs_are_named(self, report: Report, some: Dataset, tmp_path: Path) -> None:
        report.write(tmp_path)
        hardest = json.loads((tmp_path / "metrics.json").read_text())["hardest"]
        label = dict(zip(some.files, some.labels.tolist(), strict=True))
        for kind, alike in (("same", True), ("different", False)):
            assert len(hardest[kind]) == 20
            assert all((label[pair["first"]] == label[pair["second"]]) == alike for pair in hardest[kind])
            given = [pair["distance"] for pair in hardest[kind]]
            assert given == sorted(given, reverse=alike)
        first = report.hardest.different[0]
        assert hardest["different"][0]["first"] == some.files[first.first]
        assert hardest["different"][0]["second"] == some.files[first.second]

    def test_columns_are_aligned(self, report: Report) -> None:
        lines = str(report).splitlines()
        width = max(len(name) for name, _ in report.rows())
        assert all(line[width] == " " and line[width + 1] != " " for line in lines)


class TestPairs:
    def test_fnmr_at_each_rate_by_hand(self, model: Model, pairs: PairSet) -> None:
        found = evaluate(model, pairs)
        far = pair_distances(model, pairs)
        different, same = np.sort(far[~pairs.same]), far[pairs.same]
        assert [point.fmr for point in found.verification.fnmr_at_fmr] == [0.1, 0.01, 0.001, 0.0001]
        tenth = found.verification.fnmr_at_fmr[0].fnmr  # 40 of 400 may be accepted: all that is below the 41st
        assert tenth.value == pytest.approx((same >= different[40]).mean(), abs=1.5 / len(same))
        assert tenth.low <= tenth.value <= tenth.high

    def test_rates_that_too_few_pairs_make_up_are_not_known(self, model: Model, pairs: PairSet) -> None:
        """10 different pairs must lie within the threshold: 1,000 for 0.01; with 400 there are 4, with 100 for 0.1 just
        10, with 99 fewer."""
        points = evaluate(model, pairs).as_dict()["fnmr_at_fmr"]
        assert points["0.1"]["value"] is not None
        assert points["0.01"]["value"] is None
        assert "400 different pairs" in points["0.01"]["reason"]
        for count, known in ((100, True), (99, False)):
            fewer = evaluate(model, pairs.subset(np.arange(200 + count)))
            assert (fewer.verification.fnmr_at_fmr[0].fnmr is not None) == known

    def test_both_rates_at_the_models_threshold(self, model: Model, pairs: PairSet) -> None:
        found = evaluate(model, pairs)
        line = model.calibrated().threshold_for()
        accepted = pair_distances(model, pairs) <= line.threshold
        rates = found.at_threshold.rates
        assert rates.fmr.value == pytest.approx(accepted[~pairs.same].mean(), abs=1.5 / 400)
        assert rates.fnmr.value == pytest.approx(1 - accepted[pairs.same].mean(), abs=1.5 / 200)
        assert found.as_dict()["fmr_at_threshold"] == rates.fmr.as_dict()
        assert found.as_dict()["promised_fmr"] == line.promised
        assert evaluate(model.encoder, pairs).at_threshold is None

    def test_pictures_of_the_same_two_people_are_no_new_evidence(self, model: Model, pairs: PairSet) -> None:
        """Every different pair ten times over: the rate stays, and so does the doubt."""
        different = np.flatnonzero(~pairs.same)
        again = pairs.subset(np.r_[np.flatnonzero(pairs.same), np.tile(different, 10)])
        once, often = (evaluate(model, p).at_threshold.rates.fmr for p in (pairs, again))
        assert often.value == pytest.approx(once.value)
        assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.1)
