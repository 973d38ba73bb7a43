"""Scenes drawn for tests of detectors: white squares and rings on grey noise, with exact boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from likewise.apps.detect import DetectOptions, LearnedBoxes, learn
from likewise.data import BoxSet
from likewise.data.annotations import write_boxes
from likewise.training import FitOptions

NAMES = ("ring", "square")
SIDE = 64


def scene(rng: np.random.Generator, height: int = SIDE, width: int = SIDE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture (H, W, 1), boxes (k, 4) of one or two things that do not overlap, and their labels."""
    picture = rng.integers(60, 120, (height, width, 1)).astype(np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    labels = rng.integers(0, 2, rng.integers(1, 3))
    for label in labels:
        for _ in range(50):
            side = int(rng.integers(12, 25))
            x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
            if all(x + side < a or a + c < x or y + side < b or b + d < y for a, b, c, d in boxes):
                break
        inside = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2)) <= side / 2
        inside &= np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2)) >= side / 4
        picture[y : y + side, x : x + side, 0][inside if label == 0 else np.ones((side, side), bool)] = 255
        boxes.append((x, y, side, side))
    return picture, np.array(boxes, np.float64), labels.astype(np.int64)


def scenes(count: int, seed: int = 0, height: int = SIDE, width: int = SIDE) -> BoxSet:
    rng = np.random.default_rng(seed)
    drawn = [scene(rng, height, width) for _ in range(count)]
    return BoxSet(
        tuple(picture for picture, _, _ in drawn), tuple(f"scene {i}" for i in range(count)), NAMES,
        tuple(boxes for _, boxes, _ in drawn), tuple(labels for _, _, labels in drawn),
        tuple(np.zeros(len(labels), bool) for _, _, labels in drawn), np.full((count, 2), (height, width)),
        origin="drawn scenes",
    )  # fmt: skip


def scene_folder(folder: Path, count: int, seed: int = 0) -> Path:
    """The same as a folder in YOLO's format."""
    write_boxes(scenes(count, seed), folder, "yolo")
    return folder


def learned_scenes(folder: Path, watcher: Any) -> LearnedBoxes:
    fit = FitOptions(epochs=8, batch=16, precision="float32", seed=0)
    options = DetectOptions(size=SIDE, stride=8, fit=fit)
    return learn(scenes(260), folder / "scenes.model", options, watcher=watcher)
