from __future__ import annotations

import pytest
import torch

from likewise.errors import DataError
from likewise.objective.objective import Outcome
from likewise.objective.triplets import TripletLoss


def test_outcome_of_losses() -> None:
    losses = torch.tensor([3.0, 0.0, 1.0, 0.0], requires_grad=True)
    assert tuple(Outcome.mean(losses)) == (1.0, 4, 2)
    nothing = Outcome.mean(losses[:0])
    nothing.loss.backward()
    assert tuple(nothing) == (0.0, 0, 0)
    assert losses.grad is not None
    assert not losses.grad.any()


def test_a_batch_that_does_not_fit_together_is_refused() -> None:
    loss = TripletLoss()
    for embeddings, labels, received in (
        (torch.zeros(4, 2), torch.zeros(3, dtype=torch.int64), r"\(4, 2\) and \(3,\)"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.int64), r"\(4,\) and \(4,\)"),
        (torch.zeros(4, 2), torch.zeros(4, 1, dtype=torch.int64), r"\(4, 2\) and \(4, 1\)"),
    ):
        with pytest.raises(DataError, match=rf"embeddings \(N, D\) with labels \(N,\); got {received}"):
            loss.outcome(embeddings, labels)


def test_labels_stay_integers() -> None:
    with pytest.raises(DataError, match=r"Labels are integers; got torch\.float32"):
        TripletLoss().outcome(torch.zeros(4, 2), torch.zeros(4))
    # In float32 these two would be the same identity.
    labels = torch.tensor([2**24, 2**24 + 1, 2**24, 2**24 + 1])
    assert TripletLoss().outcome(torch.tensor([[0.0], [2.0], [1.0], [5.0]]), labels).terms == 3
    small = torch.tensor([0, 1, 0, 1], dtype=torch.int32)
    assert TripletLoss().outcome(torch.tensor([[0.0], [2.0], [1.0], [5.0]]), small).terms == 3
