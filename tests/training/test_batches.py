"""How training items come together in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.data import Dataset, PairSet, arrays
from likewise.encoder import Encoder, Pictures
from likewise.objective import Contrastive, Softmax, SupCon, TripletLoss
from likewise.training import FitOptions
from likewise.training.batches import Batches, prepare


def prepared(data: Dataset | PairSet, objective: object = None, **options: object) -> tuple[Encoder, Batches]:
    encoder = Encoder("mlp", 4)
    return encoder, prepare(encoder, data, objective or SupCon(), FitOptions(**options))


def test_the_encoder_takes_shape_and_standardisation_from_the_data(digits: Dataset) -> None:
    encoder, batches = prepared(digits)
    scaled = digits.sources.astype(np.float64) / 255
    assert encoder.ready().shape == (1, 8, 8)
    assert encoder.ready().mean == pytest.approx((scaled.mean(),), rel=1e-12)
    assert encoder.ready().std == pytest.approx((scaled.std(),), rel=1e-12)
    assert (batches.values.numpy()[:, 0] == digits.sources).all()
    assert (batches.labels.numpy() == digits.labels).all()


def test_an_encoder_that_has_a_shape_keeps_it(digits: Dataset) -> None:
    shape = Pictures(3, 10, 12, "pad", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    encoder = Encoder("mlp", 4, preprocessing=shape)
    batches = prepare(encoder, digits.subset(np.arange(50)), SupCon(), FitOptions())
    assert encoder.preprocessing == shape
    assert batches.values.shape == (50, 3, 10, 12)


@pytest.mark.parametrize("batch", [None, 64, (5, 7)])
def test_an_epoch_holds_every_item_once_in_step_with_its_label(digits: Dataset, batch: object) -> None:
    pictures = np.tile(np.arange(300, dtype=np.uint16).view(np.uint8).reshape(300, 1, 2), (1, 4, 2))  # its own number
    data = arrays(pictures, digits.labels[:300])
    _, batches = prepared(data, batch=batch)
    seen = list(batches.epoch(1))
    assert len(seen) == len(batches)
    numbers = torch.cat([b.values[:, 0, 0, :2] for b in seen]).numpy().copy().view(np.uint16).ravel()
    assert sorted(numbers.tolist()) == list(range(300))
    assert (torch.cat([b.labels for b in seen]).numpy() == data.labels[numbers]).all()


def test_the_default_batch_has_pairs_of_the_same_and_of_others(digits: Dataset) -> None:
    _, batches = prepared(digits, TripletLoss())
    for batch in batches.epoch(1):
        counts = torch.bincount(batch.labels)
        assert (counts > 1).sum() >= 2
        assert 100 < len(batch.labels) < 400


def test_small_sets_have_several_batches(digits: Dataset) -> None:
    few = digits.subset(np.arange(150))
    for objective in (TripletLoss(), Softmax(4, 10)):
        _, batches = prepared(few, objective)
        assert 4 <= len(batches) <= 8


@pytest.mark.parametrize("batch", [(5, 4), 40])
def test_balanced_batches_draw_every_identity_equally_often(digits: Dataset, batch: object) -> None:
    uneven = digits.subset(np.concatenate([np.flatnonzero(digits.labels == 0)[:12], np.flatnonzero(digits.labels > 4)]))
    drawn = []
    for balanced in (False, True):
        _, batches = prepared(uneven, Softmax(4, 6), batch=batch, balanced=balanced)
        labels = torch.cat([b.labels for epoch in range(1, 9) for b in batches.epoch(epoch)])
        drawn.append(float((labels == 0).double().mean()))
    assert drawn[0] < 0.06
    assert drawn[1] == pytest.approx(1 / 6, abs=0.04)


def test_labels_are_numbered_without_gaps(digits: Dataset) -> None:
    _, batches = prepared(digits.of_identities([9, 4]))
    assert sorted(set(batches.labels.tolist())) == [0, 1]
    assert batches.identities == 2


def test_epochs_differ_and_repeat(digits: Dataset) -> None:
    _, batches = prepared(digits)
    _, again = prepared(digits)
    _, other = prepared(digits, seed=1)
    order = [torch.cat([b.labels for b in source.epoch(n)]) for source, n in
             ((batches, 1), (batches, 2), (again, 2), (again, 1), (other, 1))]  # fmt: skip
    assert torch.equal(order[0], order[3])
    assert torch.equal(order[1], order[2])
    assert not torch.equal(order[0], order[1])
    assert not torch.equal(order[0], order[4])


def test_pairs_come_first_items_then_second(digits: Dataset) -> None:
    items = arrays(digits.sources[:60], np.arange(60))
    first, second = np.arange(0, 60, 2), np.arange(1, 60, 2)
    same = digits.labels[first] == digits.labels[second]
    _, batches = prepared(PairSet(items, first, second, same), Contrastive(), batch=8)
    found = {(a.numpy().tobytes(), b.numpy().tobytes()): bool(s)
             for batch in batches.epoch(1)
             for a, b, s in zip(*batch.values.chunk(2), batch.labels, strict=True)}  # fmt: skip
    given = {(digits.sources[a].tobytes(), digits.sources[b].tobytes()): bool(s)
             for a, b, s in zip(first, second, same, strict=True)}  # fmt: skip
    assert found.items() <= given.items()
    assert batches.identities is None


def test_the_fingerprint_is_of_contents(digits: Dataset) -> None:
    renamed = Dataset(digits.sources, tuple(f"x{i}" for i in range(len(digits))), digits.labels, digits.names)
    changed = digits.sources.copy()
    changed[1000, 3, 3] ^= 1
    prints = [prepared(d)[1].fingerprint for d in (
        digits, renamed, arrays(changed, digits.labels), digits.subset(np.arange(len(digits))[::-1]),
        arrays(digits.sources, np.roll(digits.labels, 1)),
    )]  # fmt: skip
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4
