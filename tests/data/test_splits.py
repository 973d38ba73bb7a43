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
    distinct = np.arange(len(labels), dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2)
    return arrays(distinct, labels, groups=groups)


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


def test_the_only_item_of_an_identity_is_in_the_first_part():
    """In another it would be of somebody who was never seen, in a list that is meant to be fixed."""
    parts = dataset(np.r_[np.repeat(np.arange(5), 20), np.arange(5, 25)]).split(0.6, 0.1, 0.3, by="item", seed=0)
    assert [len(part) for part in parts] == pytest.approx([80, 10, 30], abs=3)
    assert names_of(parts[0]) == {str(i) for i in range(25)}
    lone = dataset(np.arange(100)).split(0.5, 0.5, by="item", seed=0)  # where all are, there is no other way
    assert [len(part) for part in lone] == pytest.approx([50, 50], abs=15)


def test_odd_items_of_small_identities_fall_to_both_parts():
    first, _ = dataset(np.repeat(np.arange(400), 3)).split(0.5, 0.5, by="item", seed=0)
    # With 3 items and two halves the odd one goes either way; always the same way would give 400 or 800.
    assert 550 < len(first) < 650


def test_split_by_group_never_divides_a_group():
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    parts = dataset([0, 1] * 5, groups).split(0.5, 0.5, by="group", seed=1)
    assert not set(parts[0].groups) & set(parts[1].groups)
    assert len(parts[0]) + len(parts[1]) == 10


def test_groups_are_dealt_by_seed_and_by_share():
    groups = np.repeat(np.arange(7), [30, 20, 14, 12, 10, 8, 6])
    data = dataset(np.arange(100) % 2, groups)
    seen = set()
    held_out = set()
    for seed in range(50):
        parts = data.split(0.6, 0.4, by="group", seed=seed)
        assert abs(len(parts[0]) - 60) <= 15  # half of the largest group
        assert parts[1].files == data.split(0.6, 0.4, by="group", seed=seed)[1].files
        seen.add(frozenset(parts[1].groups.tolist()))
        held_out |= set(parts[1].groups.tolist())
    assert len(seen) >= 10
    assert held_out == set(range(7))  # the largest too


def test_seven_groups_fill_four_parts_whatever_the_seed():
    data = dataset(np.arange(100) % 2, np.repeat(np.arange(7), [30, 20, 14, 12, 10, 8, 6]))
    for seed in range(30):
        parts = data.split(0.6, 0.1, 0.15, 0.15, by="group", seed=seed)
        assert sum(map(len, parts)) == 100


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


FOUR = (0.6, 0.1, 0.15, 0.15)


@pytest.mark.parametrize("sizes", [(500, 500, 500, 500), (900, 10, 10, 10), (40, 30, 20, 10)])
@pytest.mark.parametrize("seed", range(5))
def test_as_many_groups_as_parts_are_one_each(sizes, seed):
    groups = np.repeat(np.arange(4), sizes)
    parts = dataset(np.arange(len(groups)) % 2, groups).split(*FOUR, by="group", seed=seed)
    assert [len(set(part.groups)) for part in parts] == [1, 1, 1, 1]
    assert sorted(map(len, parts)) == sorted(sizes)
    if max(sizes) > 2 * sorted(sizes)[-2]:
        assert len(parts[0]) == max(sizes)  # the part that is to have most


def test_too_few_groups_are_told_with_how_many_it_takes_and_the_way_out():
    with pytest.raises(
        DataError, match=r"into 4 parts takes at least 4 groups; got 3, none .* part \d \(1\d%\).*--split item"
    ):
        dataset([0, 1] * 30, np.repeat(np.arange(3), 20)).split(*FOUR, by="group")


def test_too_few_identities_are_told_with_how_many_it_takes():
    """As many as are said fill every part, and so do all larger numbers; one less does not."""
    with pytest.raises(DataError, match=r"takes at least 7 identities; got 6, none of them for part 2 \(10%\)"):
        dataset(np.repeat(np.arange(6), 3)).split(*FOUR, by="identity")
    for identities in range(7, 30):
        parts = dataset(np.repeat(np.arange(identities), 3)).split(*FOUR, by="identity")
        assert min(map(len, parts)) > 0
    with pytest.raises(DataError, match="takes at least 3 identities; got 2"):
        dataset([0, 0, 1, 1]).split(0.3, 0.3, by="identity")


def test_too_few_items_are_told():
    with pytest.raises(DataError, match=r"by item fills 4 parts; got 4 items, of 2 identities, none of them for part"):
        dataset([0, 0, 1, 1]).split(*FOUR, by="item")


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
    assert not set(a.items.files) & set(b.items.files)
    assert len(a) + len(b) == 22
    assert a.origin == "in memory, part 1 of 2 (50%), seed 0"


def named_pairs(pairs):
    """Pairs by the names of their items, with the answer."""
    files = pairs.items.files
    return [(files[a], files[b], bool(s)) for a, b, s in zip(pairs.first, pairs.second, pairs.same, strict=True)]


@settings(deadline=None, max_examples=60)
@given(
    items=st.integers(4, 60),
    pairs=st.integers(2, 200),
    people=st.integers(2, 20),
    shares=st.sampled_from([(0.5, 0.5), (0.6, 0.1, 0.15, 0.15), (0.3, 0.3)]),
    seed=st.integers(0, 2**20),
)
def test_parts_of_pairs_share_no_item_and_invent_nothing(items, pairs, people, shares, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(items, size=pairs)
    second = (first + rng.integers(1, items, size=pairs)) % items
    person = rng.integers(people, size=items)
    whole = PairSet(dataset(np.arange(items)), first, second, person[first] == person[second])
    try:
        parts = whole.split(*shares, seed=seed)
    except DataError:  # so few may not fill every part
        return
    left = named_pairs(whole)
    for part in parts:
        assert part.comparable
        assert sorted({i for pair in named_pairs(part) for i in pair[:2]}) == sorted(part.items.files)
        for pair in named_pairs(part):
            left.remove(pair)
    for i, part in enumerate(parts):
        for other in parts[:i]:
            assert not set(part.items.files) & set(other.items.files)
    if sum(shares) == 1:
        assert (f"without {len(left)} of {pairs} pairs" in parts[0].origin) == bool(left)


def test_either_kind_of_pair_is_dealt_by_share():
    same = np.arange(400) < 40
    pairs = PairSet(dataset(np.arange(800)), np.arange(0, 800, 2), np.arange(1, 800, 2), same)
    for part, share in zip(pairs.split(0.6, 0.1, 0.15, 0.15, seed=2), (0.6, 0.1, 0.15, 0.15), strict=True):
        assert abs(part.same.sum() - 40 * share) <= 1
        assert abs((~part.same).sum() - 360 * share) <= 1


def test_where_all_hangs_together_pairs_of_the_same_are_kept():
    """Thirty people with eight pictures each, compared at random: one component, of which same pairs show people."""
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(30), 8)
    first = np.r_[np.arange(239), rng.integers(240, size=1500)]
    second = np.r_[np.arange(1, 240), (first[239:] + rng.integers(1, 240, size=1500)) % 240]
    pairs = PairSet(dataset(np.arange(240)), first, second, person[first] == person[second])
    parts = pairs.split(0.6, 0.1, 0.15, 0.15, seed=0)
    assert sum(int(part.same.sum()) for part in parts) == pairs.same.sum()
    people = [{person[int(file.removeprefix("item "))] for file in part.items.files} for part in parts]
    assert [len(who) for who in people] == pytest.approx([18, 3, 4.5, 4.5], abs=1)
    assert sum(map(len, people)) == 30
    lost = len(pairs) - sum(map(len, parts))
    assert f"without {lost} of {len(pairs)} pairs that lie across parts" in parts[2].origin
    assert lost < 0.7 * (~pairs.same).sum()  # 1 - 0.6² - 0.1² - 2 * 0.15² = 0.585 of them


def test_where_even_the_same_hangs_together_items_go_by_themselves():
    rng = np.random.default_rng(6)
    first = rng.integers(200, size=4000)
    second = (first + rng.integers(1, 200, size=4000)) % 200
    pairs = PairSet(dataset(np.arange(200)), first, second, rng.random(4000) < 0.5)
    parts = pairs.split(0.5, 0.5, seed=0)
    assert [len(part.items) for part in parts] == pytest.approx([100, 100], abs=5)
    assert all(900 < len(part) < 1100 for part in parts)  # a quarter of the pairs


def test_pairs_that_cannot_fill_every_part_are_refused():
    triangle = PairSet(dataset([0, 1, 2]), np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([True, False, False]))
    with pytest.raises(DataError, match="pairs of both kinds; got a part without"):
        triangle.split(0.5, 0.5)
    one_kind = PairSet(dataset(np.arange(8)), np.arange(0, 8, 2), np.arange(1, 8, 2), np.zeros(4, bool))
    with pytest.raises(DataError, match="pairs of both kinds"):
        one_kind.split(0.5, 0.5)
    with pytest.raises(UsageError, match="sum to at most 1"):
        triangle.split(0.9, 0.2)


def test_public_name():
    assert lw.Dataset is type(dataset([0, 1]))


def twice(data):
    """Every picture of `data` once more, under another name."""
    return arrays(np.concatenate([data.sources, data.sources]), np.r_[data.labels, data.labels])


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_dealt_together(seed):
    parts = twice(dataset(np.repeat(np.arange(10), 24))).split(0.6, 0.1, 0.15, 0.15, by="item", seed=seed)
    held = [set(part.contents.tolist()) for part in parts]
    assert sum(map(len, held)) == len(set().union(*held)) == 240
    assert [len(part) for part in parts] == pytest.approx([288, 48, 72, 72], abs=20)


def test_without_copies_they_are_no_matter():
    """What is a copy decides what goes together, not the order in which items are dealt."""
    labels = np.repeat(np.arange(6), 20)
    one, other = dataset(labels), arrays(np.random.default_rng(0).integers(0, 256, (120, 9, 9), np.uint8), labels)
    assert [p.files for p in one.split(0.5, 0.5, seed=3)] == [p.files for p in other.split(0.5, 0.5, seed=3)]


def test_copies_in_pairs_are_dealt_together():
    """Of 200 pairs every second names by other files what the one before shows."""
    labels = np.arange(400).reshape(-1, 2).repeat(2, axis=0).reshape(-1)[:400]
    items = arrays(dataset(labels).sources[labels], np.arange(400))
    pairs = PairSet(items, np.arange(0, 400, 2), np.arange(1, 400, 2), np.arange(200) % 4 < 2)
    for seed in range(5):
        parts = pairs.split(0.5, 0.5, seed=seed)
        assert not set(parts[0].contents.tolist()) & set(parts[1].contents.tolist())


@pytest.mark.parametrize("by", ["item", "identity", "group"])
def test_what_is_kept_stays_and_the_whole_comes_near_its_shares(by):
    labels = np.repeat(np.arange(50), 10)
    data = dataset(labels, np.arange(500) // 5)
    kept = np.where(np.arange(500) < 150, 0, np.where(np.arange(500) < 180, 2, -1))
    parts = data.split(0.6, 0.2, 0.2, by=by, seed=1, kept=kept)
    held = [{int(f.removeprefix("item ")) for f in part.files} for part in parts]
    assert set(range(150)) <= held[0]
    assert set(range(150, 180)) <= held[2]
    assert [len(part) for part in parts] == pytest.approx([300, 100, 100], abs=20)


def test_the_first_part_that_is_asked_for_counts():
    kept = np.full(40, -1)
    kept[[3, 7]] = 1, 0  # two items of identity 0
    first, second = dataset(np.repeat(np.arange(4), 10)).split(0.5, 0.5, by="identity", seed=0, kept=kept)
    assert "0" in names_of(first)
    assert "0" not in names_of(second)


def test_what_is_kept_may_leave_nothing_for_a_part():
    with pytest.raises(DataError, match="some keep the part they had, and none of them for part 2"):
        dataset(np.repeat(np.arange(4), 10)).split(0.5, 0.5, by="identity", kept=np.zeros(40, int))


def test_pairs_keep_their_parts_too():
    same = np.random.default_rng(3).random(200) < 0.5
    pairs = PairSet(dataset(np.arange(400)), np.arange(0, 400, 2), np.arange(1, 400, 2), same)
    kept = np.full(400, -1)
    kept[:40], kept[40:60] = 1, 0
    first, second = pairs.split(0.5, 0.5, seed=0, kept=kept)
    assert {f"item {i}" for i in range(40)} <= set(second.items.files)
    assert {f"item {i}" for i in range(40, 60)} <= set(first.items.files)
    assert [len(first), len(second)] == pytest.approx([100, 100], abs=5)


def test_people_named_in_pairs_stay_together():
    """Ada's pictures are in no pair of the same, and yet they are Ada's."""
    labels = np.repeat(np.arange(40), 4)
    first, second = np.arange(0, 160, 4), np.arange(1, 160, 4)
    others = np.arange(2, 160, 4), (np.arange(3, 160, 4) + 4) % 160
    ends, same = np.concatenate([[first, second], others], axis=1), np.arange(80) < 40
    pairs = PairSet(dataset(labels), *ends, same, named=True)
    parts = pairs.split(0.5, 0.5, seed=0)
    assert not any(part.mixed for part in parts)
    assert not set(parts[0].items.labels) & set(parts[1].items.labels)
