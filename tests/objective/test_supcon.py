from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from likewise.errors import UsageError
from likewise.objective.supcon import SupCon


def naive(embeddings: Tensor, labels: list[int], temperature: float) -> list[float]:
    """L_out of Khosla et al., equation 2, anchor by anchor."""
    z = [[v / math.hypot(*row) for v in row] for row in embeddings.tolist()]
    dot = [[sum(p * q for p, q in zip(x, y, strict=True)) / temperature for y in z] for x in z]
    items = range(len(labels))
    losses = []
    for a in items:
        positives = [p for p in items if p != a and labels[p] == labels[a]]
        if positives and any(labels[n] != labels[a] for n in items):
            bottom = sum(math.exp(dot[a][i]) for i in items if i != a)
            losses.append(-sum(math.log(math.exp(dot[a][p]) / bottom) for p in positives) / len(positives))
    return losses


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([0.07, 0.1, 1.0]),
)
def test_loss_against_a_loop(batch, labels: list[int], seed: int, temperature: float) -> None:
    embeddings, drawn = batch(labels, seed=seed)
    losses = naive(embeddings, labels, temperature)
    loss, terms, active = SupCon(temperature).outcome(3 * embeddings, drawn)
    assert loss.item() == pytest.approx(sum(losses) / max(1, len(losses)), rel=1e-9)
    assert terms == len(losses)
    assert active <= terms


def test_gradients(batch) -> None:
    embeddings, labels = batch([0, 0, 0, 1, 1, 2, 3, 3])
    assert torch.autograd.gradcheck(lambda e: SupCon().outcome(e, labels).loss, embeddings.requires_grad_())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_invariances(batch, seed: int) -> None:
    embeddings, labels = batch([0, 0, 0, 1, 1, 2, 3, 3], seed=seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(8, generator=generator)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    expected = SupCon()(embeddings, labels)
    torch.testing.assert_close(SupCon()(embeddings[order] @ turn, 2**40 - labels[order]), expected)


def test_pytorch_metric_learning_agrees(batch) -> None:
    from pytorch_metric_learning.losses import SupConLoss

    embeddings, labels = batch([0, 1, 2, 3, 4] * 6, dim=8)
    torch.testing.assert_close(SupCon(0.1)(embeddings, labels), SupConLoss(temperature=0.1)(embeddings, labels))


def test_a_temperature_is_above_zero() -> None:
    with pytest.raises(UsageError, match="A temperature is greater than 0; got 0"):
        SupCon(0)
