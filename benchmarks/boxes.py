"""Boxes: average precision against pycocotools' time, suppression against one at a time, and what intervals hold.

    python benchmarks/boxes.py [--draws 200]

Scenes are drawn: boxes at random, found with a shift of a few pixels or not at all, and others that are not there. The
interval is asked of test sets drawn again and again, whose true figure is that of 5,000 pictures. Only pycocotools'
evaluate and accumulate are timed, not the reading of its lists.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable

import numpy as np
import torch

import likewise as lw
from likewise.data.annotations.coco import document
from likewise.metrics import Detections, detection
from likewise.objective.boxes import iou_between, nms

SIDE = 400


def scenes(pictures: int, classes: int, seed: int, extra: int = 8) -> tuple[lw.BoxSet, Detections]:
    """Up to 10 boxes in each picture, and what a middling detector finds: some pictures are harder than others."""
    rng = np.random.default_rng(seed)
    boxes, labels, found = [], [], []
    for _ in range(pictures):
        k = int(rng.integers(1, 11))
        size = rng.uniform(15, 120, (k, 2))
        there = np.c_[rng.uniform(0, SIDE - size), size]
        label = rng.integers(0, classes, k)
        hard = rng.beta(2, 2)
        seen = np.flatnonzero(rng.random(k) > 0.6 * hard)
        wrong = np.c_[rng.uniform(0, SIDE, (extra, 2)), rng.uniform(15, 120, (extra, 2))]
        moved = there[seen] + rng.normal(0, 2 + 6 * hard, (len(seen), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], 1)
        scores = np.r_[rng.beta(4, 2, len(seen)), rng.beta(1, 4, extra)]
        boxes.append(there)
        labels.append(label)
        found.append((np.r_[moved, wrong], np.r_[label[seen], rng.integers(0, classes, extra)], scores))
    truth = lw.BoxSet(
        sources=tuple(b"" for _ in boxes),
        files=tuple(map(str, range(pictures))),
        names=tuple(map(str, range(classes))),
        boxes=tuple(boxes),
        labels=tuple(labels),
        ignored=tuple(np.zeros(len(each), bool) for each in labels),
        sizes=np.full((pictures, 2), SIDE),
    )
    return truth, Detections(*map(tuple, zip(*found, strict=True)))


def seconds(work: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def against_pycocotools(pictures: int, classes: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scenes(pictures, classes, 0)
    with contextlib.redirect_stdout(io.StringIO()):
        there = COCO()
        there.dataset = document(truth, truth.files)
        there.createIndex()
        answers = there.loadRes(
            [
                {"image_id": i + 1, "category_id": int(c) + 1, "bbox": box.tolist(), "score": float(score)}
                for i in range(len(found))
                for box, c, score in zip(found.boxes[i], found.labels[i], found.scores[i], strict=True)
            ]
        )
        judge = COCOeval(there, answers, "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], ["all"]  # ours has no ranges of areas

        def theirs() -> None:
            judge.evaluate()
            judge.accumulate()

        slow = seconds(theirs, 2)
        value = judge.eval["precision"][:, :, :, 0, 2]
    report = detection(truth, found, draws=0)
    assert abs(report.map.value - value[value > -1].mean()) < 1e-9
    fast = seconds(lambda: detection(truth, found, draws=0))
    drawn = seconds(lambda: detection(truth, found), 1)
    print(
        f"{pictures} pictures, {classes} classes, {report.found} found: {fast:.3f} s, pycocotools {slow:.3f} s, "
        f"{slow / fast:.1f} times as long; with intervals of 500 draws {drawn:.2f} s"
    )


def suppression(count: int) -> None:
    rng = torch.Generator().manual_seed(0)
    start = torch.rand(count, 2, generator=rng) * SIDE
    corners = torch.cat([start, start + 20 + 60 * torch.rand(count, 2, generator=rng)], dim=1)
    scores, labels = torch.rand(count, generator=rng), torch.arange(count) % 5

    def one_at_a_time() -> list[int]:
        alive = torch.ones(count, dtype=torch.bool)
        kept = []
        for i in torch.argsort(scores, descending=True).tolist():
            if alive[i]:
                kept.append(i)
                alive &= ~((labels == labels[i]) & (iou_between(corners, corners[[i]])[:, 0] > 0.5))
        return kept

    assert nms(corners, scores, labels).tolist() == one_at_a_time()
    fast, slow = seconds(lambda: nms(corners, scores, labels), 5), seconds(one_at_a_time)
    print(
        f"suppression of {count} boxes: {fast * 1e3:.1f} ms, one at a time {slow * 1e3:.0f} ms, {slow / fast:.1f} times"
    )


def held(pictures: int, draws: int) -> None:
    truth, found = scenes(5_000, 2, 1)
    whole = detection(truth, found, draws=0)
    rng = np.random.default_rng(2)
    right = np.zeros(2)
    for i in range(draws):
        rows = rng.integers(0, len(truth), pictures)
        columns = [[column[row] for row in rows] for column in (found.boxes, found.labels, found.scores)]
        report = detection(truth.subset(rows), Detections(*columns), seed=i)
        right += [
            each.low <= true.value <= each.high
            for each, true in ((report.map, whole.map), (report.map_50, whole.map_50))
        ]
    print(f"{pictures} pictures: the 95% interval held the mAP in {right[0] / draws:.3f} and mAP@0.5 in "
          f"{right[1] / draws:.3f} of {draws} sets")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for size in ((200, 1), (1_000, 10), (2_000, 80)):
        against_pycocotools(*size)
    for count in (300, 1_000, 3_000):
        suppression(count)
    for pictures in (20, 50, 200):
        held(pictures, options.draws)
