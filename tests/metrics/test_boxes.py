import contextlib
import io
import math
import time

import numpy as np
import pytest
from scipy.stats import t as student

import likewise as lw
from likewise.data.annotations.coco import document
from likewise.errors import DataError, UsageError
from likewise.metrics.box_matching import Detections, match
from likewise.metrics.boxes import RECALLS, THRESHOLDS, detection

SIDE = 100


def truth_of(boxes, labels, ignored=None, classes=2, groups=None):
    return lw.BoxSet(
        sources=tuple(bytes([i % 256, i // 256]) for i in range(len(boxes))),
        files=tuple(f"{i}.png" for i in range(len(boxes))),
        names=tuple("abcdefgh"[:classes]),
        boxes=tuple(np.asarray(each, float).reshape(-1, 4) for each in boxes),
        labels=tuple(np.asarray(each, int) for each in labels),
        ignored=tuple(np.zeros(len(each), bool) for each in labels) if ignored is None else ignored,
        sizes=np.full((len(boxes), 2), SIDE),
        groups=groups,
    )


def scene(seed, pictures=25, classes=3, most=8, misses=0.3, extra=3, crowds=0.2, whole=True, ties=10, tiny=False):
    """Boxes that are there, and what a poor detector makes of them. Whole pixels and few scores give many ties."""
    rng = np.random.default_rng(seed)
    boxes, labels, ignored, found = [], [], [], []
    for _ in range(pictures):
        k = int(rng.integers(0, most + 1))
        size = rng.uniform(3, 8 if tiny else 40, (k, 2))
        x = np.c_[rng.uniform(0, SIDE - size), size]
        x = np.round(x) if whole else x
        c = rng.integers(0, classes, k)
        boxes.append(x)
        labels.append(c)
        ignored.append(rng.random(k) < crowds)
        again = rng.random((int(rng.integers(1, 4)), k)) > misses  # some are found twice, and thrice
        which = np.nonzero(again)[1]
        moved = x[which] + rng.normal(0, 3, (len(which), 4))
        random = np.c_[rng.uniform(0, SIDE, (extra, 2)), rng.uniform(2, 40, (extra, 2))]
        out = np.r_[moved, random]
        out[:, 2:] = np.maximum(out[:, 2:], 1)
        out = np.round(out) if whole else out
        wrong = rng.integers(0, classes, len(out))
        label = np.where(rng.random(len(out)) < 0.1, wrong, np.r_[c[which], rng.integers(0, classes, extra)])
        score = rng.random(len(out))
        found.append((out, label, np.round(score * ties) / ties if ties else score))
    truth = truth_of(boxes, labels, tuple(ignored), classes)
    return truth, Detections(*map(tuple, zip(*found, strict=True)))


def by_pycocotools(truth, found):
    """COCOeval as it stands: stats, and precision (T, R, C) with at most 100 boxes."""
    coco = pytest.importorskip("pycocotools.coco", reason="needs the package pycocotools")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        there = coco.COCO()
        there.dataset = document(truth, truth.files)
        there.createIndex()
        results = [
            {"image_id": i + 1, "category_id": int(c) + 1, "bbox": box.tolist(), "score": float(score)}
            for i in range(len(found))
            for box, c, score in zip(found.boxes[i], found.labels[i], found.scores[i], strict=True)
        ]
        answers = there.loadRes(results)
        judge = cocoeval.COCOeval(there, answers, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats, judge.eval["precision"][:, :, :, 0, 2]


SCENES = {
    "usual": {},
    "no crowds": {"crowds": 0},
    "floats without ties": {"whole": False, "ties": None},
    "one score for all": {"ties": 1},
    "small boxes": {"tiny": True, "most": 40, "extra": 10},
    "mostly crowds": {"crowds": 0.8},
    "mostly empty": {"most": 1, "extra": 1},
    "more than 100 in a picture": {"pictures": 4, "most": 60, "extra": 250, "classes": 2, "misses": 0.1},
    "one class": {"classes": 1},
    "a class that is nowhere": {"classes": 8, "pictures": 4, "most": 2},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SCENES)
def test_average_precision_is_that_of_pycocotools(kind, seed):
    truth, found = scene(seed, **SCENES[kind])
    stats, precision = by_pycocotools(truth, found)
    report = detection(truth, found, draws=0)
    assert report.map.value == pytest.approx(stats[0], abs=1e-9)
    assert report.map_50.value == pytest.approx(stats[1], abs=1e-9)
    for i, of_class in enumerate(report.classes):
        expected = precision[:, :, i]
        if of_class.boxes:
            assert of_class.average_precision == pytest.approx(expected.mean(), abs=1e-9)
            assert of_class.average_precision_50 == pytest.approx(expected[0].mean(), abs=1e-9)
        else:
            assert (expected == -1).all()
            assert math.isnan(of_class.average_precision)


def test_the_scenes_have_what_they_are_for():
    """Ties, crowds, matches taken by others, and more than are counted."""
    truth, found = scene(0, **SCENES["more than 100 in a picture"])
    assert max(np.bincount(each).max() for each in found.labels) > 100
    truth, found = scene(0)
    matches = match(truth, found, THRESHOLDS, 100)
    assert matches.hit[0].any()
    assert matches.void[0].any()
    assert not (matches.hit | matches.void)[0].all()
    assert (matches.hit[0] & ~matches.hit[-1]).any()
    assert len(np.unique(matches.score)) < len(matches.score)


def naive_match(truth, found, threshold):
    """One box after the other, from the words of the docstring."""

    def overlap(a, b, crowd):
        width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        common = max(width, 0) * max(height, 0)
        return common / (a[2] * a[3] + (0 if crowd else b[2] * b[3] - common))

    results = {}
    for i in range(len(truth)):
        taken = set()
        for j in np.argsort(-np.asarray(found.scores[i]), kind="stable"):
            best, most, on_ignored = None, threshold, False
            for g, box in enumerate(truth.boxes[i]):
                if truth.labels[i][g] != found.labels[i][j]:
                    continue
                share = overlap(found.boxes[i][j], box, truth.ignored[i][g])
                if truth.ignored[i][g]:
                    on_ignored |= share >= threshold
                elif g not in taken and share >= most:
                    best, most = g, share
            taken.add(best)
            results[i, int(j)] = "hit" if best is not None else "void" if on_ignored else "wrong"
    return results


@pytest.mark.parametrize("seed", range(5))
def test_matching_is_the_naive_loop(seed):
    truth, found = scene(seed, ties=None, most=12)
    expected = naive_match(truth, found, 0.6)
    matches = match(truth, found, np.array([0.6]), 100)
    for picture, score, hit, void in zip(matches.picture, matches.score, matches.hit[0], matches.void[0], strict=True):
        j = int(np.flatnonzero(found.scores[picture] == score)[0])
        assert expected.pop((int(picture), j)) == ("hit" if hit else "void" if void else "wrong")
    assert not expected


def test_two_boxes_by_hand():
    """Of two boxes one is found, after a mistake: precision is 1/2 up to a recall of 1/2, which are 51 of 101 steps."""
    truth = truth_of([[[0, 0, 10, 10], [50, 50, 10, 10]]], [[0, 0]], classes=1)
    found = Detections(([[30, 30, 5, 5], [0, 0, 10, 10]],), ([0, 0],), ([0.9, 0.8],))
    report = detection(truth, found)
    assert report.map_50.value == pytest.approx(51 / 101 / 2)
    assert report.map.value == pytest.approx(51 / 101 / 2)
    assert (report.boxes, report.found, report.pictures) == (2, 2, 1)
    half = report.at(0.8)
    assert (half.precision, half.recall, half.f1) == (0.5, 0.5, 0.5)
    assert report.best == half
    first = report.at(0.85)
    assert (first.precision, first.recall, first.f1) == (0.0, 0.0, 0.0)
    nothing = report.at(0.95)
    assert math.isnan(nothing.precision)
    assert nothing.recall == 0
    assert report.at(0.0).recall == 0.5


def test_all_found_exactly_is_1_and_its_interval_is_not_certain():
    boxes, labels = [[[1, 1, 9, 9]]] * 20, [[0]] * 20
    truth = truth_of(boxes, labels)
    report = detection(truth, Detections(boxes, labels, [[0.5]] * 20))
    assert report.map.value == report.map_50.value == 1
    assert report.map.high == 1
    assert 0.8 < report.map.low < 0.9  # Wilson's for 20 of 20: 0.839
    assert report.best.f1 == 1


def test_nothing_found():
    truth, _ = scene(0)
    nothing = Detections([np.empty((0, 4))] * len(truth), [[]] * len(truth), [[]] * len(truth))
    nothing = Detections(nothing.boxes, [np.empty(0, int)] * len(truth), nothing.scores)
    report = detection(truth, nothing)
    assert (report.map.value, report.map_50.value, report.found) == (0, 0, 0)
    assert report.map.low == 0
    assert 0 < report.map.high < 0.3
    assert report.best is None
    assert report.as_dict()["best"] is None
    assert report.at(0.5).recall == 0


def test_best_threshold_is_that_of_all_thresholds():
    truth, found = scene(7, whole=False, ties=None)
    report = detection(truth, found, draws=0)
    scores = np.concatenate([np.asarray(each) for each in found.scores])
    by_trying = max(report.at(score).f1 for score in scores)
    assert report.best.f1 == pytest.approx(by_trying, abs=1e-12)
    matches = naive_match(truth, found, 0.5)
    above = [kind for (i, j), kind in matches.items() if found.scores[i][j] >= report.best.score]
    assert report.best.precision == above.count("hit") / (above.count("hit") + above.count("wrong"))
    assert report.best.recall == above.count("hit") / (~truth.every_ignored).sum()


def test_an_interval_comes_from_drawing_pictures_anew():
    """Of drawn pictures, put together as a set of their own: their spread, and how much better they are."""
    truth, found = scene(3, pictures=12, ties=None)  # of ties the order would be another
    report = detection(truth, found, draws=60, seed=11)
    rng = np.random.default_rng(11)
    drawn = rng.multinomial(12, np.full(12, 1 / 12), size=60)
    values = []
    for counts in drawn:
        rows = np.repeat(np.arange(12), counts)
        columns = [[column[i] for i in rows] for column in (found.boxes, found.labels, found.scores)]
        values.append(detection(truth.subset(rows), Detections(*columns), draws=0).map_50.value)
    middle = 2 * report.map_50.value - np.mean(values)
    showing = len(np.unique(truth.picture_of[~truth.every_ignored]))
    reach = student.ppf(0.975, showing - 1) * np.std(values, ddof=1) / (middle * (1 - middle))
    ends = [1 / (1 + (1 - middle) / middle * math.exp(side * reach)) for side in (1, -1)]
    assert [report.map_50.low, report.map_50.high] == pytest.approx(ends, abs=1e-9)
    assert report.map_50.low < report.map_50.value < report.map_50.high
    assert detection(truth, found, draws=60, seed=11).as_dict() == report.as_dict()


def test_pictures_of_one_group_are_drawn_together():
    """Ten copies of a group tell no more than the group, so the interval does not narrow."""
    truth, found = scene(4, pictures=8)
    rows = np.repeat(np.arange(8), 10)
    columns = [[column[i] for i in rows] for column in (found.boxes, found.labels, found.scores)]
    copies = truth.subset(rows)
    grouped = lw.BoxSet(
        copies.sources, copies.files, copies.names, copies.boxes, copies.labels, copies.ignored, copies.sizes,
        groups=rows, group_names=tuple("abcdefgh"),
    )  # fmt: skip

    def width(report):
        return report.map_50.high - report.map_50.low

    alone = width(detection(truth, found))
    assert width(detection(grouped, Detections(*columns))) == pytest.approx(alone, rel=0.25)
    assert width(detection(copies, Detections(*columns))) < alone / 2


def test_one_picture_says_nothing_of_others():
    truth = truth_of([[[0, 0, 10, 10]]], [[0]])
    report = detection(truth, Detections([[[0, 0, 10, 10]]], [[0]], [[1.0]]))
    assert (report.map.low, report.map.value, report.map.high) == (0, pytest.approx(1), 1)


def test_wrong_use():
    truth = truth_of([[[0, 0, 10, 10]]], [[0]])
    good = Detections([[[0, 0, 10, 10]]], [[0]], [[1.0]])
    with pytest.raises(UsageError, match="At least 1 box counts"):
        detection(truth, good, most=0)
    with pytest.raises(DataError, match="of the pictures it is compared with; got 1 and 2"):
        detection(truth.subset([0, 0]), good)
    with pytest.raises(DataError, match="known classes; got 5 to 5 of 2"):
        detection(truth, Detections([[[0, 0, 10, 10]]], [[5]], [[1.0]]))
    with pytest.raises(DataError, match="finite"):
        Detections([[[0, 0, 10, np.nan]]], [[5]], [[1.0]])
    with pytest.raises(DataError, match="a label and a score"):
        Detections([[[0, 0, 10, 10]]], [[]], [[1.0]])
    with pytest.raises(DataError, match="not ignored"):
        detection(truth_of([[[0, 0, 10, 10]]], [[0]], (np.array([True]),)), good)


def test_steps_are_those_of_coco():
    assert len(RECALLS) == 101
    np.testing.assert_allclose(THRESHOLDS, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], atol=1e-12)


def test_it_is_faster_than_pycocotools():
    truth, found = scene(0, pictures=300, classes=5, extra=30)

    def took(work):
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    detection(truth, found, draws=0)
    assert took(lambda: detection(truth, found, draws=0)) < took(lambda: by_pycocotools(truth, found))
