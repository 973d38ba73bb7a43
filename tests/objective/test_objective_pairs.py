from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from likewise.errors import DataError, UsageError
from likewise.objective.distances import L1, Concatenated, Cosine, Distance, Euclidean, WeightedL1
from likewise.objective.pairs import (
    PAIRS_PER_ITEM,
    BinaryCrossEntropy,
    ConcatenatedTwins,
    Contrastive,
    PairObjective,
    balanced_pairs,
)


def rows(count: int, seed: int, dim: int = 4) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 3), max_size=12), per_item=st.integers(1, 3), seed=st.integers(0, 99))
def test_pairs_are_balanced_and_say_the_truth(labels: list[int], per_item: int, seed: int) -> None:
    drawn = torch.tensor(labels, dtype=torch.int64)
    left, right, same = balanced_pairs(drawn, per_item, torch.Generator().manual_seed(seed))
    assert (left != right).all()
    assert torch.equal(drawn[left] == drawn[right], same)
    counts = Counter(labels)
    begin = [i for i, label in enumerate(labels) if 1 < counts[label] < len(labels)]
    for kind in (same, ~same):
        assert sorted(left[kind].tolist()) == sorted(begin * per_item)


def contrastive(a: Tensor, b: Tensor, same: bool, margin: float) -> float:
    """Equation 4 of Hadsell, Chopra and LeCun, with their Y = 0 for the same."""
    y, d = (0, math.dist(a.tolist(), b.tolist())) if same else (1, math.dist(a.tolist(), b.tolist()))
    return (1 - y) * 0.5 * d**2 + y * 0.5 * max(0.0, margin - d) ** 2


def test_contrastive_is_its_equation() -> None:
    a, b, same = rows(20, 0), rows(20, 1), torch.arange(20) % 3 == 0
    expected = [contrastive(p, q, bool(s), 2.5) for p, q, s in zip(a, b, same, strict=True)]
    loss, terms, active = Contrastive(margin=2.5).on_pairs(a, b, same)
    assert loss.item() == pytest.approx(sum(expected) / 20, rel=1e-12)
    assert terms == 20
    assert active == sum(value > 0 for value in expected)
    assert 0 < active < 20


def test_contrastive_on_paper() -> None:
    a, b = torch.zeros(3, 2), torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4]])
    one = [Contrastive().on_pairs(a[i : i + 1], b[i : i + 1], torch.tensor([s])) for i, s in enumerate([1, 0, 0])]
    assert [outcome.loss.item() for outcome in one] == pytest.approx([12.5, 0.0, 0.125])
    assert [outcome.active for outcome in one] == [1, 0, 1]


def test_answers_are_bool_or_1_for_same_and_nothing_else() -> None:
    a, b, same = rows(6, 0), rows(6, 1), torch.tensor([True, False, True, True, False, False])
    for objective in (Contrastive(), BinaryCrossEntropy(Euclidean()), ConcatenatedTwins(4).double()):
        expected = objective.on_pairs(a, b, same)
        for answers in (same.long(), same.float()):
            assert objective.on_pairs(a, b, answers) == expected
    with pytest.raises(DataError, match=r"1 for same and 0 for different; got values \[-1, 1\]"):
        Contrastive().on_pairs(a, b, torch.where(same, 1, -1))
    with pytest.raises(DataError, match=r"got \(6, 4\) and \(5, 4\) and \(6,\)"):
        Contrastive().on_pairs(a, b[:5], same)


@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), L1(), WeightedL1(4)])
def test_bce_is_one_sigmoid_unit_on_the_distance(distance: Distance) -> None:
    objective = BinaryCrossEntropy(distance)
    with torch.no_grad():
        objective.log_scale.fill_(0.7)
        objective.bias.fill_(-0.3)
    a, b, same = rows(12, 0), rows(12, 1), torch.arange(12) % 2 == 0
    total = 0.0
    for p, q, s in zip(a, b, same, strict=True):
        probability = 1 / (1 + math.exp(0.3 + math.exp(0.7) * distance.rowwise(p[None], q[None]).item()))
        total -= math.log(probability if s else 1 - probability)
    assert objective.on_pairs(a, b, same).loss.item() == pytest.approx(total / 12, rel=1e-5)


def test_concatenated_twins_answer_with_their_network() -> None:
    objective = ConcatenatedTwins(4, hidden=8, seed=1).double()
    a, b, same = rows(12, 0), rows(12, 1), torch.arange(12) % 2 == 0
    probability = torch.exp(-objective.distance.rowwise(a, b))  # the distance is -log p(same)
    expected = nn.functional.binary_cross_entropy(probability, same.double())
    torch.testing.assert_close(objective.on_pairs(a, b, same).loss, expected)
    assert isinstance(objective.distance, Concatenated)


def test_initial_weights_follow_the_seed() -> None:
    first, again, other = (ConcatenatedTwins(4, seed=seed).distance.state_dict()["first"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() <= 1 / math.sqrt(8)


@pytest.mark.parametrize(
    "objective",
    [Contrastive(1.5), BinaryCrossEntropy(WeightedL1(4)), BinaryCrossEntropy(Cosine()), ConcatenatedTwins(4, 3)],
    ids=lambda o: o.name,
)
def test_gradients(objective: PairObjective) -> None:
    objective.double()
    a, b, same = rows(6, 0).requires_grad_(), rows(6, 1).requires_grad_(), torch.arange(6) % 2 == 0
    assert torch.autograd.gradcheck(lambda p, q: objective.on_pairs(p, q, same).loss, (a, b))
    objective.on_pairs(a, b, same).loss.backward()
    assert all(p.grad is not None and p.grad.norm() > 0 for p in objective.parameters())


def test_equal_embeddings_of_different_identities_leave_a_finite_gradient() -> None:
    a = torch.ones(4, 3, requires_grad=True)
    outcome = Contrastive().outcome(a, torch.tensor([0, 0, 1, 1]))
    outcome.loss.backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()
    assert outcome.loss.item() == pytest.approx(Contrastive().collapsed_loss)


def test_a_batch_gives_the_pairs_its_labels_allow(batch) -> None:
    embeddings, labels = batch([0, 0, 1, 1, 2])
    assert Contrastive().outcome(embeddings, labels).terms == 2 * PAIRS_PER_ITEM * 4  # the fifth item has no partner
    left, right, same = balanced_pairs(labels, PAIRS_PER_ITEM, torch.Generator().manual_seed(3))
    expected = Contrastive().on_pairs(embeddings[left], embeddings[right], same)
    assert Contrastive().outcome(embeddings, labels, torch.Generator().manual_seed(3)) == expected


def test_weighted_l1_learns_which_dimension_tells() -> None:
    # Dimension 0 is the identity, the others are noise; nothing but the weights and the unit can be trained.
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 8
    embeddings = torch.randn(64, 4, generator=generator)
    embeddings[:, 0] = 0.5 * labels
    objective = BinaryCrossEntropy(WeightedL1(4))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    first = objective.outcome(embeddings, labels, generator).loss.item()
    for _ in range(150):
        optimizer.zero_grad()
        objective.outcome(embeddings, labels, generator).loss.backward()
        optimizer.step()
    weights = objective.distance.weights
    assert weights[0] > 10 * weights[1:].max()
    assert (weights > 0).all()
    assert objective.outcome(embeddings, labels, generator).loss.item() < 0.5 * first


def test_a_margin_is_above_zero() -> None:
    for margin in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UsageError, match="A margin is greater than 0; got"):
            Contrastive(margin=margin)
