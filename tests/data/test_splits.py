import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import likewise as lw
from likewise.data import arrays, default_split
from likewise.data.dataset import PairSet
from likewise.errors import DataError, UsageError


def dataset(labels, groups=None):
    labels = np.asarray(labels)
    return arrays(np.arange(len(labels) * 4, dtype=np.uint8).reshape(-1, 2, 2), labels, groups=groups)


def names_of(part):
    return {part.names[i] for i in part.labels}


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 12), min_size=4, max_size=30),
    by=st.sampled_from(["item", "identity"]),
    seed=st.integers(0, 2**20),
)
def test_parts_are_disjoint_and_cover_everything(counts, by, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    try:
        parts = dataset(labels).split(0.5, 0.5, by=by, seed=seed)
    except DataError:
        assert by == "item"
        assert max(counts) == 1  # two items of one identity are enough to fill both parts
        return
    files = [f for part in parts for f in part.files]
    assert sorted(files) == sorted(dataset(labels).files)
    if by == "identity":
        assert not names_of(parts[0]) & names_of(parts[1])


def test_split_by_item_keeps_the_proportion_inside_every_identity():
    parts = dataset(np.repeat(np.arange(5), 40)).split(0.6, 0.1, 0.15, 0.15, by="item", seed=3)
    for part, share in zip(parts, (0.6, 0.1, 0.15, 0.15), strict=True):
        assert np.abs(part.counts() - 40 * share).max() <= 1


def test_split_by_identity_deals_identities_by_share():
    parts = dataset(np.repeat(np.arange(20), 3)).split(0.6, 0.1, 0.15, 0.15, by="identity", seed=0)
    assert [part.identities for part in parts] == [12, 2, 3, 3]


def test_odd_items_of_small_identities_fall_to_both_parts():
    first, _ = dataset(np.repeat(np.arange(400), 3)).split(0.5, 0.5, by="item", seed=0)
    # With 3 items and two halves the odd one goes either way; always the same way would give 400 or 800.
    assert 550 < len(first) < 650


def test_split_by_group_never_divides_a_group():
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    parts = dataset([0, 1] * 5, groups).split(0.5, 0.5, by="group", seed=1)
    assert not set(parts[0].groups) & set(parts[1].groups)
    assert len(parts[0]) + len(parts[1]) == 10


def test_same_seed_same_parts_and_other_seed_other_parts():
    data = dataset(np.repeat(np.arange(6), 20))
    assert data.split(0.5, 0.5, seed=4)[0].files == data.split(0.5, 0.5, seed=4)[0].files
    assert data.split(0.5, 0.5, seed=4)[0].files != data.split(0.5, 0.5, seed=5)[0].files


def test_origin_records_share_rule_and_seed():
    part = dataset(np.repeat(np.arange(4), 10)).split(0.7, 0.3, by="item", seed=11)[1]
    assert "part 2 of 2 (30%) by item, seed 11" in part.origin


@pytest.mark.parametrize("shares", [(), (0.5, 0.6), (1.0, 0.0), (-0.1, 0.5)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(UsageError, match="sum to at most 1"):
        dataset([0, 0, 1, 1]).split(*shares)


def test_an_empty_part_is_refused():
    with pytest.raises(DataError, match="Every part of a split by identity holds something"):
        dataset([0, 0, 1, 1]).split(0.9, 0.05, 0.05, by="identity")


def test_groups_are_asked_for():
    with pytest.raises(DataError, match="needs groups"):
        dataset([0, 0, 1, 1]).split(0.5, 0.5, by="group")
    with pytest.raises(UsageError, match="by item, identity or group"):
        dataset([0, 0, 1, 1]).split(0.5, 0.5, by="colour")


def test_default_is_by_identity_from_twenty_identities_on():
    assert default_split(dataset(np.repeat(np.arange(19), 2))) == "item"
    assert default_split(dataset(np.repeat(np.arange(20), 2))) == "identity"


def test_pairs_that_share_an_item_stay_together():
    items = dataset(np.arange(40))
    rng = np.random.default_rng(0)
    first, second = np.arange(0, 40, 2), np.arange(1, 40, 2)
    first, second = np.r_[first, [0, 4]], np.r_[second, [2, 6]]  # 0-1-2-3 and 4-5-6-7 hang together
    pairs = PairSet(items, first, second, rng.random(22) < 0.5)
    a, b = pairs.split(0.5, 0.5, seed=0)
    seen_a, seen_b = set(a.first) | set(a.second), set(b.first) | set(b.second)
    assert not seen_a & seen_b
    assert len(a) + len(b) == 22


def test_public_name():
    assert lw.Dataset is type(dataset([0, 1]))
