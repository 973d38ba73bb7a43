from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from likewise.errors import DataError, UsageError
from likewise.objective.heads import ArcFace, ClassHead, CosFace, Softmax

CLASSES, DIM = 5, 4


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cross_entropy(logits: list[float], label: int) -> float:
    return -math.log(math.exp(logits[label]) / sum(math.exp(value) for value in logits))


def angle(x: Tensor, w: Tensor) -> float:
    return math.acos(float(x @ w) / (math.hypot(*x.tolist()) * math.hypot(*w.tolist())))


def naive(head: ClassHead, x: Tensor, label: int) -> float:
    if isinstance(head, Softmax):
        return cross_entropy(
            [float(x @ w + b) for w, b in zip(head.weight.detach(), head.bias.detach(), strict=True)], label
        )
    logits = []
    for column, w in enumerate(head.weight.detach()):
        theta = angle(x, w)
        if column == label and isinstance(head, CosFace):
            value = math.cos(theta) - head.margin
        elif column == label and isinstance(head, ArcFace):
            within = theta + head.margin <= math.pi
            value = math.cos(theta + head.margin) if within else math.cos(theta) - head.margin * math.sin(head.margin)
        else:
            value = math.cos(theta)
        logits.append(head.scale * value)
    return cross_entropy(logits, label)


HEADS = [
    Softmax(DIM, CLASSES),
    ArcFace(DIM, CLASSES, margin=0.5, scale=8.0),
    ArcFace(DIM, CLASSES, margin=2.0, scale=8.0),  # many items beyond pi - margin
    CosFace(DIM, CLASSES, margin=0.35, scale=8.0),
]
heads = pytest.mark.parametrize("head", [head.double() for head in HEADS], ids=lambda head: head.name)


@heads
def test_loss_against_a_loop(head: ClassHead) -> None:
    embeddings, labels = 3 * rows(40, 0), torch.arange(40) % CLASSES
    expected = [naive(head, x, int(label)) for x, label in zip(embeddings, labels, strict=True)]
    loss, terms, active = head.outcome(embeddings, labels)
    assert loss.item() == pytest.approx(sum(expected) / 40, rel=1e-6)
    assert (terms, active) == (40, 40)


@heads
def test_gradients(head: ClassHead) -> None:
    embeddings, labels = rows(10, 0).requires_grad_(), torch.arange(10) % CLASSES
    assert torch.autograd.gradcheck(lambda e: head.outcome(e, labels).loss, embeddings)
    head.zero_grad()
    head.outcome(embeddings, labels).loss.backward()
    assert all(p.grad is not None and p.grad.norm() > 0 for p in head.parameters())


@heads
def test_order_of_the_batch_does_not_matter(head: ClassHead) -> None:
    embeddings, labels = rows(20, 0), torch.arange(20) % CLASSES
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(embeddings[order], labels[order]), head(embeddings, labels))


def test_margins_on_paper() -> None:
    # Class weights at 0 and 90 degrees, an item at 60: the true class, at 0, is made to look 30 degrees further.
    x, labels = torch.tensor([[math.cos(math.pi / 3), math.sin(math.pi / 3)]]), torch.tensor([0])
    for head, first in (
        (ArcFace(2, 2, margin=math.pi / 6, scale=10.0), 0.0),  # cos 90
        (CosFace(2, 2, margin=0.3, scale=10.0), 0.2),  # cos 60 - 0.3
    ):
        with torch.no_grad():
            head.weight.copy_(torch.eye(2))
        found = head.logits(5 * x, labels)[0].tolist()
        assert found == pytest.approx([10 * first, 10 * math.cos(math.pi / 6)], abs=1e-5)


def test_arcface_falls_all_the_way_to_180_degrees_with_a_finite_gradient() -> None:
    angles = torch.linspace(0, math.pi, 181, dtype=torch.float64)
    cosines = angles.cos().requires_grad_()
    harder = ArcFace(DIM, CLASSES, margin=0.5).harder(cosines)
    assert (harder.diff() < 0).all()
    harder.sum().backward()
    assert cosines.grad is not None
    assert cosines.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 64.0])
def test_pytorch_metric_learning_agrees(scale: float) -> None:
    from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss

    embeddings, labels = rows(60, 0), torch.arange(60) % CLASSES
    for ours, theirs in (
        (ArcFace(DIM, CLASSES, margin=0.5, scale=scale), ArcFaceLoss(CLASSES, DIM, math.degrees(0.5), scale)),
        (ArcFace(DIM, CLASSES, margin=2.0, scale=scale), ArcFaceLoss(CLASSES, DIM, math.degrees(2.0), scale)),
        (CosFace(DIM, CLASSES, margin=0.35, scale=scale), CosFaceLoss(CLASSES, DIM, margin=0.35, scale=scale)),
    ):
        ours.double(), theirs.double()
        with torch.no_grad():
            theirs.W.copy_(ours.weight.T)
        torch.testing.assert_close(ours(embeddings, labels), theirs(embeddings, labels), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [Softmax, ArcFace, CosFace])
def test_what_the_trainer_is_told(kind: type[ClassHead]) -> None:
    head = kind(DIM, CLASSES)
    assert (head.batches, head.distance.name, head.unit) == ("item", "cosine", kind is not Softmax)
    assert head.options()["classes"] == CLASSES
    assert torch.equal(head.weight, kind(DIM, CLASSES, seed=0).weight)
    assert not torch.equal(head.weight, kind(DIM, CLASSES, seed=1).weight)


def test_labels_it_has_no_row_for_are_refused() -> None:
    for labels, received in (([0, 5], "0 to 5"), ([-1, 2], "-1 to 2")):
        with pytest.raises(DataError, match=rf"knows the classes 0 to 4; got labels {received}\."):
            Softmax(DIM, CLASSES).outcome(rows(2, 0), torch.tensor(labels))


def test_impossible_heads_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 dimension; got 0"):
        Softmax(0, 5)
    with pytest.raises(UsageError, match="at least 2 classes apart; got 1"):
        ArcFace(4, 1)
    with pytest.raises(UsageError, match="A margin is greater than 0; got 0"):
        CosFace(4, 5, margin=0)
    with pytest.raises(UsageError, match="A scale is greater than 0; got -1"):
        ArcFace(4, 5, scale=-1)
    with pytest.raises(UsageError, match=r"an angle below pi; got 3\.5"):
        ArcFace(4, 5, margin=3.5)


@pytest.mark.parametrize("kind", [Softmax, ArcFace, CosFace])
def test_class_weights_weigh_each_item_by_its_class(kind):
    rng = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(12, 4, generator=rng), dim=1)
    labels = torch.arange(12) % 3
    plain, weighed = kind(4, 3, seed=1), kind(4, 3, seed=1, class_weights=[0.0, 1.0, 3.0])
    each = torch.stack([plain(embeddings[i : i + 1], labels[i : i + 1]) for i in range(12)])
    expected = (each * torch.tensor([0.0, 1.0, 3.0])[labels]).sum() / 12
    assert torch.allclose(weighed(embeddings, labels), expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1.0, -1.0, 1.0]])
def test_class_weights_of_another_number_or_sign_are_refused(weights):
    with pytest.raises(UsageError, match="one class weight of 0 or more per class"):
        Softmax(4, 3, class_weights=weights)
