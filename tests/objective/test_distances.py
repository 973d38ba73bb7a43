from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from likewise.errors import UsageError
from likewise.objective import distances
from likewise.objective.distances import (
    DISTANCES,
    L1,
    Concatenated,
    Cosine,
    Distance,
    Euclidean,
    WeightedL1,
    make_distance,
    squared_between,
    squared_rowwise,
)

DIM = 5


def rows(count: int, seed: int, dim: int = DIM) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(name: str) -> Distance:
    """With weights that are not the initial ones, so that ignoring them shows."""
    distance = make_distance(name, DIM).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in distance.parameters():
        nn.init.normal_(parameter, generator=generator)
    return distance


def naive(distance: Distance, a: Tensor, b: Tensor) -> float:
    """One distance from its definition, number by number."""
    x, y = a.tolist(), b.tolist()
    if isinstance(distance, Euclidean):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(x, y, strict=True)))
    if isinstance(distance, Cosine):
        return 1 - sum(p * q for p, q in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))
    if isinstance(distance, L1):
        return sum(abs(p - q) for p, q in zip(x, y, strict=True))
    if isinstance(distance, WeightedL1):
        return sum(w * abs(p - q) for w, p, q in zip(distance.weights.tolist(), x, y, strict=True))
    assert isinstance(distance, Concatenated)

    def logit(first: list[float], second: list[float]) -> float:
        answer = distance.second_bias.item()
        for unit in range(len(distance.second)):
            weights = distance.first[:, unit].flatten().tolist()
            inner = sum(w * v for w, v in zip(weights, first + second, strict=True)) + distance.first_bias[unit].item()
            answer += distance.second[unit].item() * max(0.0, inner)
        return answer

    return math.log1p(math.exp(-(logit(x, y) + logit(y, x)) / 2))


@pytest.mark.parametrize("name", DISTANCES)
def test_each_is_what_its_definition_says(name: str) -> None:
    distance, a, b = made(name), rows(4, 0), rows(3, 1)
    expected = torch.tensor([[naive(distance, p, q) for q in b] for p in a], dtype=torch.float64)
    torch.testing.assert_close(distance.between(a, b), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(distance.rowwise(a[:3], b), expected.diagonal(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(distance(a[:3], b), distance.rowwise(a[:3], b))


@pytest.mark.parametrize(("name", "metric"), [("euclidean", "euclidean"), ("cosine", "cosine"), ("l1", "cityblock")])
def test_scipy_agrees_in_float32(name: str, metric: str) -> None:
    a, b = rows(40, 0, dim=64).float(), rows(50, 1, dim=64).float()
    found = make_distance(name, 64).between(a, b)
    assert found.dtype == torch.float32
    expected = torch.from_numpy(cdist(a.double(), b.double(), metric))
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


def test_on_paper() -> None:
    a, b = torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    assert Euclidean().between(a, b).tolist() == [[5.0], [4.0]]
    assert squared_between(a, b).tolist() == [[25.0], [16.0]]
    assert squared_rowwise(a, a.flip(0)).tolist() == [9.0, 9.0]
    assert L1().between(a, b).tolist() == [[7.0], [4.0]]
    turned = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-5.0, 0.0]])
    assert Cosine().between(turned[:1], turned)[0].tolist() == pytest.approx([0.0, 1.0, 2.0], abs=1e-7)


@pytest.mark.parametrize("far", [0.0, 100.0])
@pytest.mark.parametrize("apart", [1e-1, 1e-3, 1.2e-4, 1e-5, 1e-6])
def test_near_duplicates_keep_their_distance(apart: float, far: float) -> None:
    # Beside |a|^2 + |b|^2 = 2 a squared distance of 1e-8 is below float32's last digit. A common offset is worse.
    a = nn.functional.normalize(rows(30, 0, dim=64), dim=1) + far
    b = a + apart * nn.functional.normalize(rows(30, 1, dim=64), dim=1)
    a, b = a.float(), b.float()
    exact = (a.double()[:, None] - b.double()).norm(dim=2)
    torch.testing.assert_close(Euclidean().between(a, b).double(), exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(squared_between(a, b).double(), exact.square(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["euclidean", "cosine", "l1", "weighted-l1"])
def test_equal_rows_are_at_distance_zero(name: str) -> None:
    same = rows(1, 0, dim=64).float().repeat(3, 1)
    assert (make_distance(name, 64).between(torch.cat([same, rows(5, 1, dim=64).float()]), same)[:3] == 0).all()
    assert (make_distance(name, 64).rowwise(same, same) == 0).all()


def test_collapsed_embeddings_are_told_apart_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    # All pairs are near-duplicates here, so that all are computed again, a block at a time.
    monkeypatch.setattr(distances, "BLOCK", 70)
    a = (1 + 1e-9 * rows(23, 0)).double()
    torch.testing.assert_close(Euclidean().between(a, a), (a[:, None] - a).norm(dim=2), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", DISTANCES)
def test_blocks_do_not_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    distance, a, b = made(name), rows(17, 0), rows(13, 1)
    whole = distance.between(a, b)
    monkeypatch.setattr(distances, "BLOCK", 40)
    torch.testing.assert_close(distance.between(a, b), whole)
    with torch.no_grad():
        torch.testing.assert_close(distance.between(a, b), whole)


@pytest.mark.parametrize("name", DISTANCES)
def test_gradients(name: str) -> None:
    distance = made(name)
    a, b = rows(4, 0).requires_grad_(), rows(3, 1).requires_grad_()
    assert torch.autograd.gradcheck(distance.between, (a, b))
    assert torch.autograd.gradcheck(distance.rowwise, (a[:3], b))
    for parameter in distance.parameters():
        distance.between(a, b).sum().backward()
        assert parameter.grad is not None
        assert parameter.grad.norm() > 0
    assert torch.autograd.gradcheck(squared_between, (a, b))
    assert torch.autograd.gradcheck(squared_rowwise, (a[:3], b))


@pytest.mark.parametrize("name", DISTANCES)
def test_gradient_to_both_sides_of_itself(name: str) -> None:
    # The diagonal is distance 0, where a root has an infinite slope.
    distance, a = made(name), rows(6, 0)
    pull = rows(6, 2, dim=6)
    left = a.clone().requires_grad_()
    (distance.between(left, left) * pull).sum().backward()
    right = a.clone().requires_grad_()
    i, j = (~torch.eye(6, dtype=torch.bool)).nonzero(as_tuple=True)
    (distance.rowwise(right[i], right[j]) * pull[i, j]).sum().backward()
    if name == "concatenated":  # not 0 on the diagonal, where it has a gradient like everywhere else
        (distance.rowwise(right, right) * pull.diagonal()).sum().backward()
    torch.testing.assert_close(left.grad, right.grad)


def test_gradients_far_from_the_origin() -> None:
    a, b = (rows(20, 0) + 1000).float().requires_grad_(), (rows(20, 1) + 1000).float()
    exact = a.detach().double().requires_grad_()
    for compare, definition in (
        (Euclidean().between, lambda x: (x[:, None] - b.double()).norm(dim=2)),
        (squared_between, lambda x: (x[:, None] - b.double()).square().sum(dim=2)),
    ):
        (found,) = torch.autograd.grad(compare(a, b).sum(), a)
        (expected,) = torch.autograd.grad(definition(exact).sum(), exact)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", DISTANCES)
def test_bfloat16_is_compared_in_float32(name: str) -> None:
    distance = make_distance(name, DIM)
    a, b = rows(6, 0).bfloat16(), rows(6, 1).bfloat16()
    for compare in (distance.rowwise, distance.between):
        assert compare(a, b).dtype == torch.float32
        torch.testing.assert_close(compare(a, b), compare(a.float(), b.float()), rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 9), m=st.integers(0, 9), seed=st.integers(0, 10_000), shift=st.floats(-50, 50))
def test_euclidean_ignores_where_the_origin_is_and_how_space_is_turned(n: int, m: int, seed: int, shift: float) -> None:
    a, b = rows(n, seed), rows(m, seed + 1)
    turn = torch.linalg.qr(rows(DIM, seed + 2)).Q
    expected = Euclidean().between(a, b)
    assert expected.shape == (n, m)
    torch.testing.assert_close(Euclidean().between(a @ turn + shift, b @ turn + shift), expected)
    torch.testing.assert_close(Euclidean().between(b, a), expected.T)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_cosine_ignores_length_and_turning(seed: int, scale: float) -> None:
    a, b = rows(6, seed), rows(7, seed + 1)
    turn = torch.linalg.qr(rows(DIM, seed + 2)).Q
    torch.testing.assert_close(Cosine().between(scale * a @ turn, b @ turn), Cosine().between(a, b))


def test_zero_vectors_have_a_finite_cosine_distance_and_gradient() -> None:
    a = torch.zeros(2, 3, requires_grad=True)
    found = Cosine().between(a, torch.tensor([[1.0, 0.0, 0.0]]))
    assert found.tolist() == [[0.5], [0.5]]
    found.sum().backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()


def test_weights_of_l1_are_positive_and_begin_alike() -> None:
    distance = WeightedL1(16)
    torch.testing.assert_close(distance.weights, torch.full((16,), 0.25))
    with torch.no_grad():
        distance.raw.fill_(-30.0)
    assert (distance.weights > 0).all()


def test_concatenated_does_not_care_which_comes_first() -> None:
    distance, a, b = made("concatenated"), rows(6, 0), rows(6, 1)
    torch.testing.assert_close(distance.rowwise(a, b), distance.rowwise(b, a))


def test_concatenated_tells_the_surely_different_apart() -> None:
    distance = Concatenated(DIM, hidden=2)
    a = rows(3, 0).float()
    with torch.no_grad():
        distance.second.zero_()
        for logit, expected in ((-50.0, 50.0), (-60.0, 60.0), (0.0, math.log(2)), (50.0, math.exp(-50.0))):
            distance.second_bias.fill_(logit)
            assert distance.rowwise(a, a).tolist() == pytest.approx([expected] * 3, rel=1e-6)


def test_concatenated_never_holds_all_pairs_of_vectors(extra_megabytes) -> None:
    # All pairs at once would be 1000 x 1000 x 128 floats: 512 MB. What comes out is 4 MB.
    used = extra_megabytes(
        """
        from likewise.objective.distances import Concatenated
        distance, a = Concatenated(64), torch.ones(1000, 64)
        with torch.no_grad():
            distance.between(a[:10], a)
        """,
        """
        with torch.no_grad():
            distance.between(a, a)
        """,
    )
    assert used < 25


@pytest.mark.parametrize("name", DISTANCES)
def test_options_and_parameters_make_it_again(name: str) -> None:
    distance, a, b = made(name), rows(4, 0), rows(4, 1)
    again = DISTANCES[name](**distance.options()).double()
    again.load_state_dict(distance.state_dict())
    torch.testing.assert_close(again.between(a, b), distance.between(a, b), rtol=0, atol=0)


def test_impossible_distances_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="euclidean, cosine, l1, weighted-l1, concatenated; got 'manhattan'"):
        make_distance("manhattan", 4)
    with pytest.raises(UsageError, match="at least 1 dimension; got 0"):
        make_distance("weighted-l1", 0)
    with pytest.raises(UsageError, match="at least 1 unit; got 0"):
        Concatenated(4, hidden=0)
