from __future__ import annotations

import sys

import pytest
import torch

from likewise.errors import DataError, UsageError
from likewise.objective.distances import Cosine, Euclidean
from likewise.objective.objectives import make_objective
from likewise.objective.pml import PML

losses = pytest.importorskip("pytorch_metric_learning.losses")


@pytest.mark.parametrize("name", ["TripletMarginLoss", "MultiSimilarityLoss", "CircleLoss", "NTXentLoss", "MarginLoss"])
def test_losses_on_pairs_and_triplets_are_theirs(batch, name: str) -> None:
    embeddings, labels = batch([0, 1, 2] * 5)
    objective = PML(name, dim=4, classes=3)
    loss, terms, active = objective.outcome(embeddings, labels)
    assert loss.item() == pytest.approx(getattr(losses, name)()(embeddings, labels).item(), rel=1e-6)
    assert (terms, active) == (15, 15)
    assert (objective.batches, objective.unit) == ("identity", True)


@pytest.mark.parametrize("name", ["ProxyAnchorLoss", "SoftTripleLoss", "SubCenterArcFaceLoss", "P2SGradLoss"])
def test_losses_with_weights_per_class_get_their_sizes(batch, name: str) -> None:
    embeddings, labels = batch([0, 1, 2] * 5)
    objective = PML(name, dim=4, classes=3, seed=1)
    embeddings = embeddings.float().requires_grad_()
    outcome = objective.outcome(embeddings, labels)
    outcome.loss.backward()
    assert embeddings.grad is not None
    assert embeddings.grad.norm() > 0
    assert all(p.grad is not None for p in objective.parameters())
    assert objective.batches == "item"
    assert objective.options()["num_classes"] == 3
    again, other = (PML(name, dim=4, classes=3, seed=seed).outcome(embeddings, labels).loss for seed in (1, 2))
    assert again == outcome.loss != other


def test_the_distance_follows_theirs() -> None:
    assert isinstance(PML("TripletMarginLoss", 4, 3).distance, Euclidean)
    assert isinstance(PML("MultiSimilarityLoss", 4, 3).distance, Cosine)


def test_a_margin_reaches_the_loss(batch) -> None:
    embeddings, labels = batch([0, 1, 2] * 5)
    theirs = losses.TripletMarginLoss(margin=0.7)(embeddings, labels)
    objective = make_objective("pml:TripletMarginLoss", dim=4, classes=3, margin=0.7)
    torch.testing.assert_close(objective(embeddings, labels), theirs)
    assert objective.options() == {"name": "pml:TripletMarginLoss", "margin": 0.7}
    with pytest.raises(UsageError, match=r"pml:NTXentLoss has no margin; got 0\.7"):
        PML("NTXentLoss", 4, 3, margin=0.7)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_pairs_is_not_silent(batch, labels: list[int]) -> None:
    embeddings, drawn = batch(labels)
    outcome = PML("ContrastiveLoss", 4, 3).outcome(embeddings.requires_grad_(), drawn)
    outcome.loss.backward()
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (0.0, 0, 0)
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_what_cannot_be_had_is_said_in_one_line(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"AngularLoss, .*TripletMarginLoss.*; got 'TripletLoss'"):
        PML("TripletLoss", 4, 3)
    with pytest.raises(UsageError, match=r"need no further options; got .*'margin' and 'Tn'"):
        PML("RankedListLoss", 4, 3)
    embeddings, labels = batch([0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="pml:SmoothAPLoss refuses this batch; got All classes must have"):
        PML("SmoothAPLoss", 4, 3).outcome(embeddings, labels)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    with pytest.raises(UsageError, match=r'pml:NCALoss needs the package .*\. pip install "likewise\[pml\]"\.'):
        PML("NCALoss", 4, 3)
