"""Objectives on outputs at every step, against loops written from the definition of weighted binary cross-entropy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import DataError, UsageError
from likewise.objective import ClipBCE, Objective, SequentialBCE, StepObjective


def drawn(seed: int, clips: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, S, 1) and labels (N, S) of -1, 0 and 1."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 3, (clips, steps, 1)))
    return logits, torch.from_numpy(rng.integers(-1, 2, (clips, steps)).astype(np.int8))


def term(logit: float, label: int, weight: float, focus: float) -> float:
    """FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t)."""
    p = 1 / (1 + math.exp(-logit))
    right, alpha = (p, weight) if label else (1 - p, 1.0)
    return -alpha * (1 - right) ** focus * math.log(right)


shapes = given(
    seed=st.integers(0, 999), clips=st.integers(1, 5), steps=st.integers(1, 9), weight=st.floats(0.1, 20),
    focus=st.sampled_from([0.0, 0.5, 2.0, 5.0]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@shapes
def test_timed_labels(seed: int, clips: int, steps: int, weight: float, focus: float) -> None:
    logits, labels = drawn(seed, clips, steps)
    terms = [
        term(logits[i, s, 0].item(), labels[i, s].item(), weight, focus)
        for i in range(clips)
        for s in range(steps)
        if labels[i, s] >= 0
    ]
    found = SequentialBCE(weight, focus).outcome(logits, labels)
    assert found.terms == len(terms)
    assert found.loss.item() == pytest.approx(sum(terms) / max(1, len(terms)), rel=1e-9)


@settings(max_examples=60, deadline=None)
@shapes
def test_one_label_per_clip(seed: int, clips: int, steps: int, weight: float, focus: float) -> None:
    logits, labels = drawn(seed, clips, steps)
    terms = list[float]()
    for row, of in zip(logits[..., 0].tolist(), labels.tolist(), strict=True):
        counted = [logit for logit, label in zip(row, of, strict=True) if label >= 0]
        if counted:
            terms.append(term(max(counted), int(1 in of), weight, focus))
    found = ClipBCE(weight, focus).outcome(logits, labels)
    assert found.terms == len(terms)
    assert found.loss.item() == pytest.approx(sum(terms) / max(1, len(terms)), rel=1e-9)


def test_steps_that_may_be_either_pull_on_nothing_and_the_others_do() -> None:
    logits, labels = drawn(0, 4, 30)
    logits.requires_grad_()
    SequentialBCE()(logits, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[labels < 0] == 0).all()
    assert (logits.grad[labels == 1] < 0).all()
    assert (logits.grad[labels == 0] > 0).all()


def test_of_a_clip_the_largest_output_is_pulled() -> None:
    logits, labels = drawn(1, 4, 30)
    labels[0] = 0
    logits.requires_grad_()
    ClipBCE()(logits, labels).backward()
    assert logits.grad is not None
    pulled = logits.grad[..., 0] != 0
    counted = logits[..., 0].masked_fill(labels < 0, -math.inf)
    assert pulled.nonzero()[:, 1].tolist() == counted.argmax(dim=1).tolist()
    assert (logits.grad[..., 0][pulled] < 0).tolist() == [False, True, True, True]  # up where the word is


@pytest.mark.parametrize("objective", [SequentialBCE(), ClipBCE()], ids=lambda o: o.name)
class TestBoth:
    def test_no_terms_no_loss_but_a_gradient(self, objective: StepObjective) -> None:
        logits = torch.zeros(2, 5, 1, requires_grad=True)
        labels = torch.full((2, 5), -1) if objective.timed else torch.zeros(2, 5, dtype=torch.int8)
        objective(logits, labels).backward()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()

    @pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
    @pytest.mark.parametrize("label", [[0, 1], [1, 0]])
    def test_large_logits_stay_finite(self, objective: Objective, focus: float, label: list[int]) -> None:
        logits, labels = torch.tensor([[[500.0], [-500.0]]], requires_grad=True), torch.tensor([label])
        loss = type(objective)(focus=focus)(logits, labels)
        loss.backward()
        assert loss.isfinite()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()

    def test_wrong_shapes_are_refused(self, objective: Objective) -> None:
        for logits, labels in (((2, 5), (2, 5)), ((2, 5, 2), (2, 5)), ((2, 5, 1), (2,)), ((2, 5, 1), (5, 2))):
            with pytest.raises(DataError, match=r"outputs \(N, S, 1\) with labels \(N, S\)"):
                objective(torch.zeros(logits), torch.zeros(labels, dtype=torch.int8))
        with pytest.raises(DataError, match="integers"):
            objective(torch.zeros(2, 5, 1), torch.zeros(2, 5))

    def test_what_it_was_made_with(self, objective: StepObjective) -> None:
        made = type(objective)(2.0, 1.0, 0.5, 0.25).options()
        assert made == {"name": objective.name, "positive_weight": 2.0, "focus": 1.0, "hold": 0.5, "grace": 0.25}


@pytest.mark.parametrize("name", ["positive_weight", "hold", "grace"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_numbers_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        SequentialBCE(**{name: value})


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_a_focus_that_cannot_be(value: float) -> None:
    with pytest.raises(UsageError, match="focus"):
        SequentialBCE(focus=value)
