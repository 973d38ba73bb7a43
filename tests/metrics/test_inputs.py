from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.errors import DataError
from likewise.metrics import clustering, confusions, few_shot, hardest_pairs, neighbours, retrieval, verification
from likewise.metrics.inputs import checked
from likewise.objective.distances import Euclidean

FIGURES = [
    lambda x, y: verification(x, y, Euclidean()),
    lambda x, y: retrieval(x, y, Euclidean()),
    lambda x, y: few_shot(x, y, Euclidean(), ways=2),
    lambda x, y: confusions(x, y, Euclidean()),
    lambda x, y: hardest_pairs(x, y, Euclidean()),
    lambda x, y: clustering(x, y, seed=0),
]
LABELS = torch.tensor([0, 0, 1, 1])


def points() -> torch.Tensor:
    return torch.tensor([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0], [5.0, 1.0]])


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused_by_row(figure, value: float) -> None:
    broken = points()
    broken[2, 1] = value
    with pytest.raises(DataError, match=r"finite.* 1 of 4 rows, the first in row 2"):
        figure(broken, LABELS)


@pytest.mark.parametrize("figure", FIGURES)
def test_labels_of_another_length_are_refused(figure) -> None:
    with pytest.raises(DataError, match=r"one label for each.*4 embeddings and labels of shape \(3,\)"):
        figure(points(), LABELS[:3])


@pytest.mark.parametrize("labels", [LABELS.float(), LABELS.bool(), np.array(["a", "a", "b", "b"])])
def test_labels_that_are_no_integers_are_refused(labels) -> None:
    with pytest.raises(DataError, match="Labels are integers"):
        checked(points(), labels)


def test_embeddings_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(items, dimensions\)"):
        neighbours(torch.zeros(4), Euclidean(), 1)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64])
def test_arrays_of_any_width_become_float32_and_int64(kind: type) -> None:
    embeddings, labels = checked(points().double().numpy(), LABELS.numpy().astype(kind))
    assert torch.equal(embeddings, points())
    assert embeddings.dtype == torch.float32
    assert torch.equal(labels, LABELS)
    assert labels.dtype == torch.int64


def test_large_labels_stay_apart() -> None:
    large = np.array([2**53, 2**53 + 1, 2**62, 2**62 + 1])
    assert checked(points(), large)[1].tolist() == large.tolist()


def test_arguments_are_left_as_they_are() -> None:
    mine, copy = points().requires_grad_(), points()
    for figure in FIGURES:
        figure(mine, LABELS)
    assert torch.equal(mine.detach(), copy)
