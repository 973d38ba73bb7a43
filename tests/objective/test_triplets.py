from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.errors import UsageError
from likewise.objective import miners, triplets
from likewise.objective.distances import Cosine, Euclidean, WeightedL1
from likewise.objective.miners import AllValid, HardestInBatch, Miner, RandomTriplets, SemiHard
from likewise.objective.triplets import SoftMarginTripletLoss, SoftmaxTripletLoss, TripletLoss, TripletObjective

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=10)
MINERS = [RandomTriplets(2), AllValid(), HardestInBatch(), SemiHard()]


def facenet(a: Tensor, p: Tensor, n: Tensor, margin: float = 0.2) -> Tensor:
    """Equation 3 of Schroff, Kalenichenko and Philbin."""
    return (((a - p) ** 2).sum() - ((a - n) ** 2).sum() + margin).clamp(min=0)


def soft_margin(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
    """Hermans, Beyer and Leibe, section 2."""
    return torch.log1p(torch.exp((a - p).norm() - (a - n).norm()))


def debater(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
    """Ein Dor et al.: |p| + |1 - q| with (p, q) the softmax of both L1 distances."""
    positive, negative = torch.exp((a - p).abs().sum()), torch.exp((a - n).abs().sum())
    return (positive / (positive + negative)).abs() + (1 - negative / (positive + negative)).abs()


FORMS: list[tuple[Callable[[Miner], TripletObjective], Callable[..., Tensor]]] = [
    (lambda miner: TripletLoss(miner=miner), facenet),
    (lambda miner: SoftMarginTripletLoss(miner=miner), soft_margin),
    (lambda miner: SoftmaxTripletLoss(miner=miner), debater),
]
forms = pytest.mark.parametrize(("make", "formula"), FORMS, ids=["triplet", "soft-triplet", "softmax-triplet"])


def naive(
    objective: TripletObjective, formula: Callable[..., Tensor], embeddings: Tensor, labels: Tensor
) -> list[Tensor]:
    chosen = objective.miner(embeddings, labels, objective.distance)
    return [formula(*(embeddings[i] for i in t)) for t in zip(*(c.tolist() for c in chosen), strict=True)]


@forms
@settings(max_examples=40, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 10_000), miner=st.sampled_from(MINERS))
def test_loss_and_gradient_against_a_loop(batch, make, formula, labels: list[int], seed: int, miner: Miner) -> None:
    objective = make(miner)
    embeddings, drawn = batch(labels, seed=seed)
    embeddings.requires_grad_()
    losses = naive(objective, formula, embeddings.detach(), drawn)
    outcome = objective.outcome(embeddings, drawn)
    assert outcome.terms == len(losses)
    assert outcome.active == sum(float(loss) > 0 for loss in losses)
    # All valid triplets of the hinge: mean over those above zero; every other: mean over all that were chosen.
    count = outcome.active if isinstance(objective, TripletLoss) and isinstance(miner, AllValid) else len(losses)
    (found,) = torch.autograd.grad(outcome.loss, embeddings)
    expected = sum(naive(objective, formula, embeddings, drawn), 0 * embeddings.sum()) / max(1, count)
    (slope,) = torch.autograd.grad(expected, embeddings)
    torch.testing.assert_close(outcome.loss, expected.to(outcome.loss.dtype))
    torch.testing.assert_close(found, slope)


@forms
@pytest.mark.parametrize("miner", MINERS, ids=lambda miner: miner.name)
def test_gradients(batch, make, formula, miner: Miner) -> None:
    embeddings, labels = batch([0, 1, 2] * 3)
    objective = make(miner)
    assert torch.autograd.gradcheck(lambda e: objective.outcome(e, labels).loss, embeddings.requires_grad_())


@forms
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), miner=st.sampled_from([AllValid(), HardestInBatch(), SemiHard()]))
def test_invariances(batch, make, formula, seed: int, miner: Miner) -> None:
    embeddings, labels = batch([0, 1, 2, 2] * 4, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(16, generator=generator)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    if formula is debater:  # L1 distances stay the same under swaps and mirrors only
        turn = torch.eye(4, dtype=torch.float64)[torch.randperm(4, generator=generator)] * torch.tensor([1, -1, 1, -1])
    objective = make(miner)
    expected = objective.outcome(embeddings, labels)
    for found in (
        objective.outcome(embeddings[order], labels[order]),
        objective.outcome(embeddings, torch.tensor([-5, 2**50, 3])[labels]),
        objective.outcome(embeddings @ turn, labels),
    ):
        torch.testing.assert_close(found.loss, expected.loss)
        assert found[1:] == expected[1:]


def test_on_a_line() -> None:
    # anchor 0, positive 1, negative 2; squared distances 1 and 4 with margin 4 leave 1. Swapped: 1 - 1 + 4 = 4.
    embeddings, labels = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([7, 7, 9])
    outcome = TripletLoss(margin=4.0, miner=AllValid()).outcome(embeddings, labels)
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (2.5, 2, 2)
    outcome = TripletLoss(margin=1.0, miner=AllValid()).outcome(embeddings, labels)
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (1.0, 2, 1)  # mean over the one above zero
    outcome = TripletLoss(margin=3.0, miner=AllValid()).outcome(embeddings, labels)
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (3.0, 2, 1)  # 1 - 4 + 3 is not above zero
    outcome = TripletLoss(margin=1.0, miner=RandomTriplets()).outcome(embeddings, labels)
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (0.5, 2, 1)  # mean over both that were chosen
    gaps = torch.tensor([-1.0, 0.0, 1.0])
    assert SoftmaxTripletLoss().losses(gaps).tolist() == pytest.approx([2 / (1 + math.e**-g) for g in (-1, 0, 1)])
    assert SoftMarginTripletLoss().losses(gaps).tolist() == pytest.approx([math.log1p(math.e**g) for g in (-1, 0, 1)])


@forms
@pytest.mark.parametrize("miner", MINERS, ids=lambda miner: miner.name)
def test_identical_embeddings_give_the_collapsed_loss(make, formula, miner: Miner) -> None:
    objective, embeddings = make(miner), torch.ones(6, 3, requires_grad=True)
    outcome = objective.outcome(embeddings, torch.tensor([0, 0, 1, 1, 2, 2]))
    outcome.loss.backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
    if isinstance(miner, SemiHard):  # no negative is further away than the positive
        assert (outcome.loss.item(), outcome.terms) == (0.0, 0)
    else:
        assert outcome.loss.item() == pytest.approx(objective.collapsed_loss)


@forms
def test_one_by_one_or_from_all_distances_is_the_same(batch, make, formula, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 5)
    found = []
    for dense in (0, 10**9):
        monkeypatch.setattr(triplets, "DENSE", dense)
        e = embeddings.clone().requires_grad_()
        outcome = make(SemiHard()).outcome(e, labels)
        outcome.loss.backward()
        found.append((outcome.loss, e.grad))
    torch.testing.assert_close(found[0], found[1])


@forms
def test_blocks_of_all_valid_do_not_show(batch, make, formula, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 5)
    found = []
    for block in (1, 50, 10**9):
        monkeypatch.setattr(miners, "BLOCK", block)
        e = embeddings.clone().requires_grad_()
        outcome = make(AllValid()).outcome(e, labels)
        outcome.loss.backward()
        found.append((outcome.loss, e.grad, outcome.active))
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[2])


def test_pytorch_metric_learning_agrees(batch) -> None:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer

    embeddings, labels = batch([0, 1, 2, 3, 4] * 6, dim=8)
    squared, plain = (LpDistance(normalize_embeddings=False, power=power) for power in (2, 1))
    theirs = TripletMarginLoss(margin=0.2, distance=squared, reducer=AvgNonZeroReducer())(embeddings, labels)
    torch.testing.assert_close(TripletLoss(miner=AllValid())(embeddings, labels), theirs)
    theirs = TripletMarginLoss(margin=0, smooth_loss=True, distance=plain, reducer=MeanReducer())(embeddings, labels)
    torch.testing.assert_close(SoftMarginTripletLoss(AllValid())(embeddings, labels), theirs)
    chosen = SemiHard()(embeddings, labels)
    theirs = TripletMarginLoss(margin=0.2, distance=squared, reducer=MeanReducer())(embeddings, labels, tuple(chosen))
    torch.testing.assert_close(TripletLoss()(embeddings, labels), theirs)


def test_other_distances_can_be_asked_for(batch) -> None:
    embeddings, labels = batch([0, 1, 2] * 4)
    weighted = WeightedL1(4)
    for make in (SoftMarginTripletLoss, SoftmaxTripletLoss):
        for distance in (Cosine(), Euclidean(), weighted):
            objective = make(HardestInBatch(), distance)
            a, p, n = (embeddings[column] for column in objective.miner(embeddings, labels, distance))
            expected = objective.losses(distance.rowwise(a, p) - distance.rowwise(a, n)).mean()
            torch.testing.assert_close(objective(embeddings, labels), expected)
    SoftmaxTripletLoss(AllValid(), weighted)(embeddings, labels).backward()
    assert weighted.raw.grad is not None
    assert weighted.raw.grad.norm() > 0


@pytest.mark.parametrize("name", ["triplet", pytest.param("softmax-triplet", marks=pytest.mark.slow)])
def test_all_valid_triplets_are_never_held_at_once(extra_megabytes, name: str) -> None:
    # 640 items in 4 identities hold 49 million triplets: 195 MB for each tensor of them, and backward needs several.
    used = extra_megabytes(
        f"""
        from likewise.objective.objectives import make_objective
        objective = make_objective({name!r}, dim=16, classes=4, miner="all-valid")
        def step(items):
            e = torch.randn(items, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
            outcome = objective.outcome(e, torch.arange(items) % 4)
            outcome.loss.backward()
            assert outcome.terms == items * (items // 4 - 1) * items * 3 // 4
        step(32)
        """,
        "step(640)",
    )
    assert used < 60


def test_a_margin_is_above_zero() -> None:
    with pytest.raises(UsageError, match=r"A margin is greater than 0; got -0\.1\. Pass for example margin=0\.2\."):
        TripletLoss(margin=-0.1)
