from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.errors import UsageError
from likewise.objective import miners
from likewise.objective.distances import L1, Distance, Euclidean
from likewise.objective.miners import (
    MINERS,
    AllValid,
    HardestInBatch,
    Miner,
    RandomTriplets,
    SemiHard,
    Triplets,
    make_miner,
)

LABELS = st.lists(st.integers(0, 3), max_size=11)


def listed(triplets: Triplets) -> list[tuple[int, int, int]]:
    return sorted(zip(*(column.tolist() for column in triplets), strict=True))


def all_valid(labels: list[int]) -> list[tuple[int, int, int]]:
    items = range(len(labels))
    return [
        (a, p, n)
        for a in items
        for p in items
        for n in items
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]


def semi_hard(apart: Tensor, labels: list[int]) -> list[tuple[int, int, int]]:
    """FaceNet's choice, pair by pair."""
    found = []
    for a, p in sorted({(a, p) for a, p, _ in all_valid(labels)}):
        further = [n for n in range(len(labels)) if labels[n] != labels[a] and apart[a, n] > apart[a, p]]
        if further:
            found.append((a, p, min(further, key=lambda n: float(apart[a, n]))))
    return found


def hardest(apart: Tensor, labels: list[int]) -> list[tuple[int, int, int]]:
    """Batch hard, anchor by anchor."""
    found = []
    for a in sorted({a for a, _, _ in all_valid(labels)}):
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        far = max(positives, key=lambda p: float(apart[a, p]))
        found.append((a, far, min(negatives, key=lambda n: float(apart[a, n]))))
    return found


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 10_000), distance=st.sampled_from([Euclidean(), L1()]))
def test_each_miner_against_loops(batch, labels: list[int], seed: int, distance: Distance) -> None:
    embeddings, drawn = batch(labels, seed=seed)
    apart = distance.between(embeddings, embeddings)
    assert listed(AllValid()(embeddings, drawn, distance)) == sorted(all_valid(labels))
    assert listed(SemiHard()(embeddings, drawn, distance)) == semi_hard(apart, labels)
    assert listed(HardestInBatch()(embeddings, drawn, distance)) == hardest(apart, labels)


@settings(max_examples=30, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 10_000))
def test_order_of_the_batch_and_names_of_identities_do_not_matter(batch, labels: list[int], seed: int) -> None:
    embeddings, drawn = batch(labels, seed=seed)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    renamed = torch.tensor([7, -3, 10**12, 2**40])[drawn]
    for miner in (AllValid(), SemiHard(), HardestInBatch()):
        shuffled = miner(embeddings[order], renamed[order])
        assert listed(Triplets(*(order[column] for column in shuffled))) == listed(miner(embeddings, drawn))


def test_semi_hard_on_a_line() -> None:
    #   position  -2  -1   0   1   3
    #   identity   B   B   A   A   B     anchor 0, positive 1: at -1 is a negative exactly as far, at -2 one further.
    embeddings = torch.tensor([[0.0], [1.0], [-1.0], [-2.0], [3.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    found = listed(SemiHard()(embeddings, labels))
    assert (0, 1, 3) in found
    assert (1, 0, 2) in found or (1, 0, 4) in found  # both are 2 away, the nearest beyond 1
    # From -2 the positive at 3 is 5 away and both negatives are nearer: that pair gives nothing.
    assert not [t for t in found if t[:2] == (3, 4)]
    assert [t for t in found if t[:2] == (3, 2)] == [(3, 2, 0)]


def test_a_pair_gives_nothing_when_no_negative_is_further() -> None:
    embeddings, labels = torch.tensor([[0.0], [10.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 2])
    assert listed(SemiHard()(embeddings, labels)) == []
    collapsed = torch.ones(4, 1)
    assert listed(SemiHard()(collapsed, labels)) == []


@pytest.mark.parametrize("miner", [RandomTriplets(3), AllValid(), HardestInBatch(), SemiHard()])
def test_a_two_item_identity_never_serves_an_item_as_its_own_positive(batch, miner: Miner) -> None:
    embeddings, labels = batch([0, 0, 1, 1, 2, 2, 3, 3, 4])
    embeddings[0] = embeddings[1]  # even where they are the same picture
    triplets = miner(embeddings, labels)
    assert len(triplets.anchor) > 0
    assert (triplets.anchor != triplets.positive).all()
    assert (labels[triplets.anchor] == labels[triplets.positive]).all()
    assert (labels[triplets.anchor] != labels[triplets.negative]).all()
    assert 8 not in triplets.anchor


@pytest.mark.parametrize("labels", [[], [0], [0, 0, 0], [0, 1, 2]])
@pytest.mark.parametrize("miner", [RandomTriplets(), AllValid(), HardestInBatch(), SemiHard()])
def test_batches_without_triplets_give_none(batch, miner: Miner, labels: list[int]) -> None:
    triplets = miner(*batch(labels))
    assert [tuple(column.shape) for column in triplets] == [(0,)] * 3
    assert all(column.dtype == torch.int64 for column in triplets)


@pytest.mark.parametrize("miner", [AllValid(), HardestInBatch(), SemiHard()])
def test_blocks_do_not_show(batch, miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = batch([0, 1, 2, 3, 4] * 6)
    whole = listed(miner(embeddings, labels))
    monkeypatch.setattr(miners, "BLOCK", 70)
    assert listed(miner(embeddings, labels)) == whole


def test_random_triplets_are_drawn_by_the_generator(batch) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 10)
    draws = [
        listed(RandomTriplets(2)(embeddings, labels, generator=torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert sorted(a for a, _, _ in draws[0]) == sorted([*range(40)] * 2)
    assert set(draws[0]) <= set(all_valid(labels.tolist()))


def test_bfloat16_embeddings_are_mined_in_float32(batch) -> None:
    embeddings, labels = batch([0, 1, 2] * 10, dim=16)
    low = embeddings.bfloat16()
    for miner in (HardestInBatch(), SemiHard()):
        assert listed(miner(low, labels)) == listed(miner(low.float(), labels))


def test_all_valid_lists_no_more_than_fits() -> None:
    labels = torch.arange(1000) % 10
    with pytest.raises(UsageError, match=r"At most 16,777,216 triplets are listed; got 89,100,000\."):
        AllValid()(torch.zeros(1000, 1), labels)


def test_pytorch_metric_learning_agrees_where_it_means_the_same(batch) -> None:
    from pytorch_metric_learning import distances, utils
    from pytorch_metric_learning.miners import BatchHardMiner

    embeddings, labels = batch([0, 1, 2, 3, 4, 5] * 7, dim=8)
    plain = distances.LpDistance(normalize_embeddings=False)
    theirs = BatchHardMiner(distance=plain)(embeddings, labels)
    assert listed(HardestInBatch()(embeddings, labels)) == listed(Triplets(*theirs))
    every = utils.loss_and_miner_utils.get_all_triplets_indices(labels)
    assert listed(AllValid()(embeddings, labels)) == listed(Triplets(*every))


def test_their_semi_hard_is_another_definition(batch) -> None:
    from pytorch_metric_learning import distances
    from pytorch_metric_learning.miners import TripletMarginMiner

    embeddings, labels = batch([0, 1, 2, 3, 4, 5] * 7, dim=8)
    plain = distances.LpDistance(normalize_embeddings=False)
    ours = listed(SemiHard()(embeddings, labels))
    # Theirs is every negative between the positive and the margin...
    theirs = listed(Triplets(*TripletMarginMiner(0.2, type_of_triplets="semihard", distance=plain)(embeddings, labels)))
    assert len(theirs) > 1.3 * len(ours)
    # ... so that the nearest of them, without any margin, is FaceNet's choice.
    without = TripletMarginMiner(1e9, type_of_triplets="semihard", distance=plain)(embeddings, labels)
    nearest: dict[tuple[int, int], int] = {}
    for a, p, n in listed(Triplets(*without)):
        apart = (embeddings - embeddings[a]).norm(dim=1)
        if (a, p) not in nearest or apart[n] < apart[nearest[a, p]]:
            nearest[a, p] = n
    assert ours == sorted((a, p, n) for (a, p), n in nearest.items())


@pytest.mark.parametrize("name", ["semi-hard", pytest.param("hardest", marks=pytest.mark.slow)])
def test_no_tensor_of_all_triplets(extra_megabytes, name: str) -> None:
    # 4096 items in 10 identities: all triplets are 6 billion, B x B distances are 64 MB, the answer of semi-hard 40 MB.
    used = extra_megabytes(
        f"""
        from likewise.objective.miners import make_miner
        miner = make_miner({name!r})
        def mine(items):
            generator = torch.Generator().manual_seed(0)
            miner(torch.randn(items, 64, generator=generator), torch.arange(items) % 10)
        mine(100)
        """,
        "mine(4096)",
    )
    assert used < 200


def test_the_table_holds_every_miner_under_its_name() -> None:
    assert list(MINERS) == ["random", "all-valid", "hardest", "semi-hard"]
    assert all(make_miner(name).options()["name"] == name for name in MINERS)
    with pytest.raises(UsageError, match="random, all-valid, hardest, semi-hard; got 'semihard'"):
        make_miner("semihard")
    with pytest.raises(UsageError, match="at least 1 triplet; got 0"):
        RandomTriplets(0)
