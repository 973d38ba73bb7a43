"""Thresholds, against trying every one; and what is a hit, against the common matching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.apps.detect import Boxes, Found, ScoreCalibration, calibrated, found_in, matches_of
from likewise.data import BoxSet
from likewise.errors import DataError, ModelError, SupportError, UsageError


def drawn(seed: int, pictures: int = 12) -> tuple[list[Boxes], BoxSet]:
    """Boxes that are there, some ignored, and boxes found that lie near some of them."""
    rng = np.random.default_rng(seed)
    there, labels, ignored, found = [], [], [], []
    for _ in range(pictures):
        count = int(rng.integers(0, 4))
        boxes = np.concatenate([rng.uniform(0, 60, (count, 2)), rng.uniform(10, 40, (count, 2))], axis=1)
        label = rng.integers(0, 2, count)
        near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 3, (2 * count, 4))
        near[:, 2:] = near[:, 2:].clip(4, 60)
        stray = np.concatenate([rng.uniform(0, 60, (2, 2)), rng.uniform(10, 40, (2, 2))], axis=1)
        all_ = np.concatenate([near, stray]).clip(0, 100)
        said = np.where(rng.random(len(all_)) < 0.8, np.r_[np.repeat(label, 2), 0, 1], rng.integers(0, 2, len(all_)))
        score = np.sort(rng.permutation(1000)[: len(all_)] / 1000)[::-1]
        order = rng.permutation(len(all_))
        found.append(Boxes(all_[order], said[order].astype(np.int64), score.copy(), (120, 120)))
        there.append(boxes)
        labels.append(label.astype(np.int64))
        ignored.append(rng.random(count) < 0.25)
    data = BoxSet(
        tuple(np.zeros((120, 120, 1), np.uint8) for _ in range(pictures)), tuple(map(str, range(pictures))),
        ("a", "b"), tuple(there), tuple(labels), tuple(ignored), np.full((pictures, 2), 120),
    )  # fmt: skip
    return found, data


def overlap(a: list[float], b: list[float], crowd: bool) -> float:
    across = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    both = across * max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return both / (a[2] * a[3] + (0 if crowd else b[2] * b[3] - both))


@pytest.mark.parametrize("seed", range(20))
def test_matches_are_those_of_a_loop_over_boxes(seed: int) -> None:
    found, data = drawn(seed)
    for i, match in enumerate(matches_of(found, data)):
        there, ignored = data.boxes[i].tolist(), data.ignored[i].tolist()
        by = [float("nan") if each else 0.0 for each in ignored]
        for k in np.argsort(-found[i].scores).tolist():  # the surest takes first
            box, label, score = found[i].boxes[k].tolist(), found[i].labels[k], float(found[i].scores[k])
            near = {t: overlap(box, there[t], ignored[t]) for t in np.flatnonzero(data.labels[i] == label).tolist()}
            open_ = {t: o for t, o in near.items() if o >= 0.5 and by[t] == 0}
            void = any(o >= 0.5 and ignored[t] for t, o in near.items())
            if open_:
                by[max(open_, key=lambda t: open_[t])] = score
            assert (bool(match.hit[k]), bool(match.counted[k])) == (bool(open_), bool(open_) or not void)
        assert match.by.tolist() == pytest.approx(by, nan_ok=True)


def test_a_picture_without_boxes_and_one_where_nothing_is_found() -> None:
    box, none = np.array([[10.0, 10, 20, 20]]), np.empty((0, 4))
    data = BoxSet(
        tuple(np.zeros((50, 50, 1), np.uint8) for _ in range(2)), ("0", "1"), ("a",), (none, box),
        (np.empty(0, np.int64), np.zeros(1, np.int64)), (np.empty(0, bool), np.zeros(1, bool)), np.full((2, 2), 50),
    )  # fmt: skip
    found = [
        Boxes(box, np.zeros(1, np.int64), np.ones(1), (50, 50)),
        Boxes(none, np.empty(0, np.int64), np.empty(0), (50, 50)),
    ]
    first, second = matches_of(found, data)
    assert (first.hit.tolist(), first.counted.tolist(), first.by.tolist()) == ([False], [True], [])
    assert (second.hit.tolist(), second.by.tolist()) == ([], [0.0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_best_threshold_is_no_worse_than_any(seed: int) -> None:
    boxes, data = drawn(seed)
    found = found_in(boxes, matches_of(boxes, data), data)
    if not found.hit.any():
        with pytest.raises(DataError):
            found.best()
        return

    def f1(threshold: float) -> float:
        sure = found.scores >= threshold
        return 2 * found.hit[sure].sum() / (sure.sum() + len(found.by))

    best = found.best()
    assert f1(best) == pytest.approx(max(f1(threshold) for threshold in [0.0, *found.scores, 1.0]))
    assert best == 0 or best not in found.scores  # but between two of them


def test_shares_count_what_is_at_or_above_the_threshold() -> None:
    found = Found(
        scores=np.array([0.9, 0.8, 0.5, 0.2]), hit=np.array([True, False, True, False]), picture=np.arange(4),
        by=np.array([0.9, 0.5, 0.0]), there=np.array([0, 2, 3]),
    )  # fmt: skip
    right, there = found.precision(0.5), found.recall(0.5)
    assert right is not None
    assert there is not None
    assert (right.value, there.value) == pytest.approx((2 / 3, 2 / 3))
    assert found.precision(0.95) is None


def sure(right: int, wrong: int) -> Found:
    """Right boxes with scores above wrong ones, each in a picture of its own."""
    scores = np.r_[np.linspace(0.9, 0.6, right), np.linspace(0.5, 0.1, wrong)]
    hit = np.arange(right + wrong) < right
    return Found(scores, hit, np.arange(right + wrong), scores[:right], np.arange(right))


def test_a_promised_precision_is_kept_with_its_interval() -> None:
    found = sure(100, 50)
    threshold = found.precise(0.9)
    kept = found.precision(threshold)
    assert kept is not None
    assert kept.low >= 0.9
    lower = found.precision(float(found.scores[found.scores < threshold].max()))
    assert threshold <= 0.61 or (lower is not None and lower.low < 0.9)


@pytest.mark.parametrize(("promised", "count"), [(0.8, 300), (0.9, 400), (0.95, 500)])
def test_scores_that_say_nothing_make_a_promise_no_oftener_than_it_is_wrong(promised: float, count: int) -> None:
    """Of boxes that are right as often as is promised, whatever their score, 1 set in 40 may promise it."""
    rng, made, runs = np.random.default_rng(0), 0, 1000
    for hit in rng.random((runs, count)) < promised:
        scores = rng.permutation(count) / count
        try:
            Found(scores, hit, np.arange(count), scores[hit], np.arange(int(hit.sum()))).precise(promised)
            made += 1
        except SupportError:
            pass
    assert made / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


def test_a_few_wrong_among_the_surest_do_not_end_the_search() -> None:
    hit = np.arange(400) % 100 != 3  # 99 of 100 are right
    hit[300:] = False
    scores = np.linspace(0.99, 0.01, 400)
    found = Found(scores, hit, np.arange(400), scores[hit], np.arange(int(hit.sum())))
    assert 0.2 < found.precise(0.9) < 0.3  # nearly all of the 300


def test_too_few_boxes_promise_nothing() -> None:
    with pytest.raises(SupportError, match=r"precision of 0\.9"):
        sure(10, 0).precise(0.9)
    with pytest.raises(UsageError):
        sure(100, 0).precise(1.0)


def test_it_is_written_and_read() -> None:
    found = calibrated(sure(100, 50), "fingerprint", 150, "drawn", promised=0.9)
    assert ScoreCalibration.from_json(found.to_json()) == found
    assert "0.9" in found.said()
    for text in ("{", "{}", found.to_json().replace('"threshold": 0', '"threshold": 7'), "[]", "null"):
        with pytest.raises(ModelError, match="complete"):
            ScoreCalibration.from_json(text)
