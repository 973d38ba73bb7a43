"""Learning from pairs, for people who have nothing else: same or not, no labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.data import Dataset, PairSet, arrays
from likewise.encoder import Encoder
from likewise.errors import CollapseWarning, DataError, UsageError
from likewise.evaluation import evaluate
from likewise.objective import SupCon, make_objective
from likewise.training import fit


def pairs_of(data: Dataset, chosen: np.ndarray, count: int, seed: int) -> PairSet:
    """`count` same and as many different pairs of the `chosen` items; the labels of `data` are forgotten."""
    rng = np.random.default_rng(seed)
    labels = data.labels[chosen]
    first, second = (rng.integers(0, len(chosen), (2, 100_000))).tolist()
    first, second = np.array(first), np.array(second)
    apart = first != second
    same = apart & (labels[first] == labels[second])
    different = apart & (labels[first] != labels[second])
    kept = np.r_[np.flatnonzero(same)[:count], np.flatnonzero(different)[:count]]
    items = arrays(data.sources[chosen], np.arange(len(chosen)))
    return PairSet(items, first[kept], second[kept], same[kept], origin="pairs of digits")


@pytest.fixture(scope="module")
def sets(digits: Dataset) -> tuple[PairSet, PairSet, PairSet]:
    """Pairs to fit, to choose by and to measure on; no item is in two of them."""
    order = np.random.default_rng(0).permutation(len(digits))
    cuts = (order[:1000], order[1000:1300], order[1300:])
    return tuple(pairs_of(digits, part, count, seed=1) for part, count in zip(cuts, (1500, 200, 300), strict=True))


@pytest.mark.parametrize("loss", ["contrastive", "bce", "concatenated"])
def test_pairs_are_learned_from_to_the_end(sets: tuple[PairSet, PairSet, PairSet], loss: str) -> None:
    train, valid, test = sets
    encoder = Encoder("mlp", 16)
    objective = make_objective(loss, dim=16, classes=2)
    history = fit(
        encoder, train, objective, validation=valid, epochs=6, batch=64, precision="float32", device="cpu", seed=0
    )
    assert history.select == "eer"  # pairs know nothing of neighbours
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert min(entry.validation for entry in history.epochs) == history.epochs[history.best - 1].validation
    untrained = Encoder("mlp", 16, preprocessing=encoder.preprocessing, unit=encoder.unit)
    after, before = (evaluate(which, test).verification.eer.value for which in (encoder, untrained))
    assert after < min(0.2, 0.75 * before)


def test_a_seed_repeats_pairs_too(sets: tuple[PairSet, PairSet, PairSet]) -> None:
    found = []
    for _ in range(2):
        encoder = Encoder("mlp", 8)
        objective = make_objective("bce", dim=8, classes=2)
        fit(encoder, sets[0], objective, validation=sets[1], epochs=2, precision="float32", device="cpu", seed=3)
        found.append(encoder.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_only_objectives_on_pairs_take_pairs(sets: tuple[PairSet, PairSet, PairSet]) -> None:
    with pytest.raises(UsageError, match="an objective on pairs; got supcon"):
        fit(Encoder("mlp", 8), sets[0], SupCon(), epochs=1)


@pytest.mark.parametrize(("batch", "rule"), [((4, 4), "a number of pairs"), (0, "at least 2 items")])
def test_impossible_batches_of_pairs_are_refused(
    sets: tuple[PairSet, PairSet, PairSet], batch: object, rule: str
) -> None:
    with pytest.raises(UsageError, match=rule):
        fit(Encoder("mlp", 8), sets[0], make_objective("contrastive", dim=8, classes=2), batch=batch, epochs=1)


def test_pairs_of_one_kind_are_refused(sets: tuple[PairSet, PairSet, PairSet]) -> None:
    train = sets[0].subset(np.flatnonzero(sets[0].same))
    with pytest.raises(DataError, match=r"pairs of both kinds; got 1500 same of 1500"):
        fit(Encoder("mlp", 8), train, make_objective("contrastive", dim=8, classes=2), epochs=1)


def test_a_pair_with_an_unreadable_item_is_left_out(sets: tuple[PairSet, PairSet, PairSet]) -> None:
    valid = sets[1]
    sources = [*valid.items.sources]
    sources[int(valid.first[0])] = b"no picture"
    items = Dataset(sources, valid.items.files, valid.items.labels, valid.items.names)
    broken = PairSet(items, valid.first, valid.second, valid.same)
    history = fit(
        Encoder("mlp", 8), broken, make_objective("contrastive", dim=8, classes=2), epochs=1, precision="float32"
    )
    assert [file for file, _ in history.skipped] == [valid.items.files[int(valid.first[0])]]


def test_validation_pairs_that_are_all_unreadable_are_done_without(sets: tuple[PairSet, PairSet, PairSet]) -> None:
    train, valid, _ = sets
    items = Dataset([b"text"] * len(valid.items), valid.items.files, valid.items.labels, valid.items.names)
    with pytest.warns(CollapseWarning, match="Too little to choose an epoch by"):
        history = fit(
            Encoder("mlp", 8), train, make_objective("contrastive", dim=8, classes=2),
            validation=PairSet(items, valid.first, valid.second, valid.same), epochs=1,
        )  # fmt: skip
    assert history.select is None
    assert len(history.skipped) == len(items)
