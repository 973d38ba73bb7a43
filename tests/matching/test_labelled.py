"""Labelled pictures in which a model looks for parts: only those that show one thing well count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import likewise as lw
from likewise.data import Dataset, PairSet
from likewise.encoder import Encoder, Pictures
from likewise.matching import Model, encode_labelled, encode_pairs
from likewise.media.pictures import Pixels
from likewise.objective import Contrastive, SupCon
from likewise.prepare import Finder, Part
from likewise.training import FitOptions
from likewise.training.batches import prepare
from likewise.training.validation import validator

SIDE = 8
DARK = "too dark"
PEOPLE, EACH = 6, 5
SPOILED = {3: "2 tiles were found, and one is needed", 9: DARK, 14: "no tile was found"}


@dataclass(frozen=True)
class Tiles(Finder):
    """The squares of a row that are not black, the brightest first."""

    kind: ClassVar[str] = "tiles"
    one: ClassVar[str] = "tile"
    many: ClassVar[str] = "tiles"

    def find(self, picture: Pixels) -> list[Part]:
        cut = [(left, picture[:, left : left + SIDE]) for left in range(0, picture.shape[1], SIDE)]
        cut = sorted(((left, tile) for left, tile in cut if tile.any()), key=lambda one: -one[1].mean())
        return [Part(tile, (left, 0, SIDE, SIDE), DARK if tile.mean() < 60 else None) for left, tile in cut]

    def sources(self) -> dict[str, str]:
        return {}


@pytest.fixture
def data() -> Dataset:
    """Rows of two tiles with one person each; in one there is a brighter bystander, one is dark and one is empty."""
    rng = np.random.default_rng(0)
    people = rng.integers(80, 200, (PEOPLE, SIDE, SIDE))
    labels = np.repeat(np.arange(PEOPLE), EACH)
    rows = np.zeros((len(labels), SIDE, 2 * SIDE), np.uint8)
    rows[:, :, SIDE:] = np.clip(people[labels] + rng.integers(-9, 10, (len(labels), SIDE, SIDE)), 0, 255)
    rows[3, :, :SIDE] = 250
    rows[9] //= 5
    rows[14] = 0
    return lw.arrays(rows, labels)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder("mlp", 16, preprocessing=Pictures(1, SIDE, SIDE, prepare=Tiles()), seed=0)


def check(skipped: object) -> None:
    told = dict(skipped)  # type: ignore[call-overload]
    assert list(told) == [f"item {i}" for i in SPOILED]
    assert all(why in told[f"item {i}"] for i, why in SPOILED.items())


def test_what_does_not_show_one_thing_well_is_left_out_and_told(encoder: Encoder, data: Dataset) -> None:
    found = encode_labelled(encoder, data)
    check(found.skipped)
    kept = [i for i in range(len(data)) if i not in SPOILED]
    assert found.labels.tolist() == data.labels[kept].tolist()
    assert found.data.files == tuple(data.files[i] for i in kept)
    alone = [data.sources[i][:, SIDE:] for i in kept]
    assert torch.allclose(found.embeddings, Model(encoder).encode(alone).embeddings, atol=1e-6)


def test_calibration_and_evaluation_leave_it_out(encoder: Encoder, data: Dataset) -> None:
    told: list[tuple[str, str]] = []
    model = lw.calibrate(encoder, data, 0.1, unit="item", skipped=lambda file, why: told.append((file, why)))
    check(told)
    assert model.calibrated().items == len(data) - len(SPOILED)
    report = lw.evaluate(model, data, unit="item")
    check(report.skipped)
    assert report.verification.eer.value == 0  # of the brightest tiles it is not


def test_pairs_with_it_are_left_out(encoder: Encoder, data: Dataset) -> None:
    pairs = PairSet(
        data, np.array([0, 3, 5, 9, 10]), np.array([1, 4, 6, 14, 20]), np.array([True, True, True, False, False])
    )
    distances, whole, skipped = encode_pairs(encoder, pairs)
    check(skipped)
    assert (len(distances), whole.same.tolist()) == (3, [True, True, False])


def test_nothing_is_learned_or_chosen_by_it(encoder: Encoder, data: Dataset) -> None:
    batches = prepare(encoder, data, SupCon(), FitOptions())
    check(batches.skipped)
    assert len(batches.values) == len(batches.labels) == len(data) - len(SPOILED)
    assert not (batches.values == 250).all(dim=(1, 2, 3)).any()
    check(validator(encoder, SupCon(), data, FitOptions()).skipped)
    first, second = np.arange(0, 28), np.arange(1, 29)
    pairs = PairSet(data, first, second, data.labels[first] == data.labels[second])
    check(prepare(encoder, pairs, Contrastive(), FitOptions()).skipped)
    check(validator(encoder, Contrastive(), pairs, FitOptions()).skipped)
