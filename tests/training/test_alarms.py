"""The alarm of a stuck loss: only where the validation figure agrees."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from small_runs import trained

from likewise.data import Dataset
from likewise.objective import TripletLoss
from likewise.training import Epoch
from likewise.training.alarms import alarms

MARGIN = 0.2  # the loss of triplets whose embeddings are identical


def heard(figures: Sequence[float | None], select: str | None = None) -> tuple[str, ...]:
    """The warnings of a run whose loss is that of a collapse from the first epoch on."""
    epochs = [Epoch(n, MARGIN, 1.0, 0.5, 0.0, 0.1, 1.0, float(n), figure) for n, figure in enumerate(figures, start=1)]
    found: tuple[str, ...] = ()
    for n in range(1, len(epochs) + 1):
        found = alarms(epochs[:n], TripletLoss(margin=MARGIN), found, select)
    return found


@pytest.mark.parametrize(
    ("figures", "select"),
    [
        ([0.889, 0.90, 0.91, 0.915, 0.917], "precision_at_1"),  # rising all the time
        ([0.88, 0.90, 0.89, 0.91, 0.90], "precision_at_1"),  # not in every epoch, but on the whole
        ([0.88, 0.90, 0.89, 0.89], "precision_at_1"),  # the best of three was the first of them
        ([0.30, 0.25, 0.26, 0.20, 0.21], "eer"),
    ],
)
def test_it_is_silent_while_the_validation_figure_gets_better(figures: list[float], select: str) -> None:
    assert heard(figures, select) == ()


@pytest.mark.parametrize(
    ("figures", "select", "epoch"),
    [
        ([0.9, 0.8, 0.85, 0.85], "precision_at_1", 4),
        ([0.9, 0.9, 0.9, 0.9], "precision_at_1", 4),  # as good is not better
        ([0.8, 0.85, 0.9, 0.8, 0.8, 0.8], "precision_at_1", 6),
        ([0.2, 0.3, 0.25, 0.25], "eer", 4),
        ([0.2, 0.3, 0.4, 0.5], "eer", 4),  # a rising error is no progress
    ],
)
def test_it_sounds_when_three_epochs_brought_nothing_better(figures: list[float], select: str, epoch: int) -> None:
    (text,) = heard(figures, select)
    assert text.startswith(f"The loss is stuck at 0.2 in epoch {epoch}: identical embeddings give 0.2, and")
    assert "validation figure gets no better" in text


def test_without_a_validation_set_the_loss_alone_decides() -> None:
    (text,) = heard([None] * 4)
    assert text.startswith("The loss is stuck at 0.2 in epoch 3: identical embeddings give 0.2. Lower")
    assert "validation" not in text


@pytest.mark.parametrize("select", ["precision_at_1", "eer"])
def test_training_says_which_figure_it_is(
    parts: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch, select: str
) -> None:
    given: list[object] = []
    module = sys.modules["likewise.training.fit"]  # of which the package shows the function of the same name
    monkeypatch.setattr(module, "alarms", lambda *arguments: given.append(arguments[3]) or ())
    trained(*parts, epochs=2, select=select)
    assert given == [select, select]
