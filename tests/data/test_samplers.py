import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.data import IdentityBatches, PlainBatches
from likewise.errors import UsageError


@settings(deadline=None, max_examples=80)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=40),
    p=st.integers(2, 12),
    k=st.integers(2, 8),
    seed=st.integers(0, 1000),
)
def test_every_item_is_served_exactly_once_per_epoch(counts, p, k, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if k > max(counts):
        with pytest.raises(UsageError, match="largest identity"):
            IdentityBatches(labels, p, k, seed=seed)
        return
    sampler = IdentityBatches(labels, p, k, seed=seed)
    batches = list(sampler.epoch(0))
    assert len(batches) == len(sampler)
    served = np.concatenate(batches)
    assert sorted(served.tolist()) == list(range(len(labels)))


@settings(deadline=None, max_examples=80)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=12).filter(lambda counts: max(counts) >= 2),
    size=st.integers(2, 80),
    k=st.integers(2, 8),
    balanced=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_item_is_its_own_positive(counts, size, k, balanced, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    plain = PlainBatches(labels, size, balanced=balanced, seed=seed)
    dealt = IdentityBatches(labels, 4, min(k, max(counts)), balanced=balanced, seed=seed)
    for sampler in (plain, dealt):
        for epoch in range(3):
            batches = list(sampler.epoch(epoch))
            assert len(batches) == len(sampler)
            for batch in batches:
                assert len(batch) > 0
                assert len(set(batch.tolist())) == len(batch)


def test_balanced_draws_of_a_small_identity_are_void_once_it_has_no_more_to_give():
    labels = np.repeat([0, 1], [3, 997])
    for batch in PlainBatches(labels, 100, balanced=True, seed=0).epoch(0):
        small, large = np.bincount(labels[batch], minlength=2)
        assert small == 3  # of the 50 or so draws
        assert 25 < large < 75  # five standard deviations of half of 100


def test_balanced_draws_go_round_all_items_of_an_identity():
    labels = np.repeat([0, 1, 2], [10, 100, 190])
    served = np.bincount(np.concatenate(list(PlainBatches(labels, 10, balanced=True, seed=1).epoch(0))), minlength=300)
    # About 100 draws of each identity, at most 10 of it in a batch: none is void, and each item comes up in turn.
    assert served.sum() == 300
    for identity in range(3):
        of_it = served[labels == identity]
        assert of_it.max() - of_it.min() <= 1


def test_equal_identities_give_full_p_by_k_batches():
    labels = np.repeat(np.arange(10), 40)
    for batch in IdentityBatches(labels, 10, 8, seed=0).epoch(0):
        assert np.bincount(labels[batch], minlength=10).tolist() == [8] * 10


def test_odd_counts_never_leave_a_single_item():
    labels = np.repeat(np.arange(6), [3, 5, 7, 9, 11, 13])
    sampler = IdentityBatches(labels, 6, 2, seed=0)
    sizes = [n for batch in sampler.epoch(0) for n in np.bincount(labels[batch], minlength=6) if n]
    assert min(sizes) >= 2


def test_balanced_batches_serve_identities_alike():
    labels = np.repeat(np.arange(3), [400, 40, 40])
    served = np.concatenate(list(IdentityBatches(labels, 3, 4, balanced=True, seed=0).epoch(0)))
    counts = np.bincount(labels[served])
    assert counts.max() <= 1.2 * counts.min()
    plain = np.concatenate(list(PlainBatches(labels, 48, balanced=True, seed=0).epoch(0)))
    drawn = np.bincount(labels[plain])
    assert abs(drawn - 160).max() < 5 * np.sqrt(160 * 2 / 3)  # five standard deviations of the draw


@settings(deadline=None, max_examples=80)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=12).filter(lambda counts: max(counts) >= 2),
    k=st.integers(2, 8),
    seed=st.integers(0, 1000),
)
def test_balanced_deals_go_round_the_items_of_each_identity(counts, k, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    k = min(k, max(counts))
    batches = list(IdentityBatches(labels, 4, k, balanced=True, seed=seed).epoch(0))
    served = np.bincount(np.concatenate(batches), minlength=len(labels))
    # Handfuls of each identity, as the class describes them: about K of its items, two at least where it has them.
    handfuls = np.array([min(max(round(n / k), 1), max(1, n // 2)) for n in counts])
    common = int(np.median(handfuls))
    for identity, (count, own) in enumerate(zip(counts, handfuls, strict=True)):
        of_it = served[labels == identity]
        assert of_it.max() - of_it.min() <= 1
        turns, rest = divmod(common, own)
        least, most = (turns * count + rest * (count // own), turns * count + rest * -(-count // own))
        assert least <= of_it.sum() <= most


def test_balanced_deals_of_one_small_identity_do_not_repeat_the_large_ones():
    labels = np.r_[np.repeat(np.arange(5), 12_000), np.full(4, 5)]
    sampler = IdentityBatches(labels, 6, 42, balanced=True, seed=0)
    tracemalloc.start()
    batches = list(sampler.epoch(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    served = sum(map(len, batches))
    assert 60_000 < served < 62_000
    assert peak < 30 * 8 * served  # some columns of 8 bytes; all items for each turn of the small one are over 1,000


def test_epochs_differ_and_can_be_asked_for_in_any_order():
    labels = np.repeat(np.arange(8), 10)
    sampler = IdentityBatches(labels, 4, 5, seed=7)
    third = [b.tolist() for b in sampler.epoch(3)]
    assert third != [b.tolist() for b in sampler.epoch(2)]
    assert third == [b.tolist() for b in IdentityBatches(labels, 4, 5, seed=7).epoch(3)]


def test_plain_batches_leave_no_tiny_last_batch():
    batches = list(PlainBatches(np.zeros(1025, np.int64), 128, seed=0).epoch(0))
    assert min(map(len, batches)) >= 100
    assert sorted(np.concatenate(batches).tolist()) == list(range(1025))


@pytest.mark.parametrize(("p", "k"), [(1, 4), (4, 1), (0, 0)])
def test_batches_too_small_for_a_pair_are_refused(p, k):
    with pytest.raises(UsageError, match="P >= 2"):
        IdentityBatches(np.repeat(np.arange(4), 4), p, k)
