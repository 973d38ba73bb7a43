"""The search in memory finds exactly what comparing with every row finds, whatever the numbers and the block sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.gallery import points
from likewise.gallery.finalists import Finalists
from likewise.gallery.points import Points
from likewise.objective import Cosine, Distance, Euclidean, make_distance


def naive(rows: np.ndarray, probes: np.ndarray, distance: Distance) -> np.ndarray:
    """(Q, n) by subtraction, in double precision where the distance is Euclidean or cosine."""
    a, b = probes.astype(np.float64), rows.astype(np.float64)
    if isinstance(distance, (Euclidean, Cosine)):
        if isinstance(distance, Cosine):
            a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
        far = np.linalg.norm(a[:, None] - b[None], axis=2)
        return far if isinstance(distance, Euclidean) else far**2 / 2
    with torch.no_grad():
        return distance.between(torch.from_numpy(probes), torch.from_numpy(rows)).numpy()


def check(held: Points, rows: np.ndarray, probes: np.ndarray, k: int, distance: Distance, among=None) -> None:
    places, far = held.search(probes, k, distance, among)
    expected = naive(rows, probes, distance)
    if among is not None:
        left_out = np.setdiff1d(np.arange(len(rows)), among)
        expected[:, left_out] = np.inf
    scale = 1 + np.abs(expected[np.isfinite(expected)]).max(initial=0)
    best = np.sort(expected, axis=1)[:, : places.shape[1]]
    np.testing.assert_allclose(far, best, atol=1e-6 * scale, rtol=1e-5)  # ties may come in any order
    np.testing.assert_allclose(np.take_along_axis(expected, places, axis=1), best, atol=1e-6 * scale, rtol=1e-5)
    assert all(len(set(row)) == len(row) for row in places.tolist())
    assert (np.diff(far, axis=1) >= 0).all()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sizes so small that every border is met."""
    monkeypatch.setattr(points, "_BLOCK_BYTES", 7 * 4 * 6)
    monkeypatch.setattr(points, "_PROBES", 4)
    monkeypatch.setattr(points, "_SCORES", 12)
    monkeypatch.setattr(points, "_COMPARED", 20)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["euclidean", "cosine", "l1", "concatenated"])
@pytest.mark.parametrize("rows", [1, 6, 7, 8, 50])
@pytest.mark.parametrize("k", [1, 3, 60])
def test_all_borders(kind: str, rows: int, k: int) -> None:
    rng = np.random.default_rng(rows)
    x, probes = (rng.normal(size=(n, 5)).astype(np.float32) for n in (rows, 9))
    distance = make_distance(kind, 5)
    held = Points(5, kind == "cosine")
    for part in np.array_split(x, 3):
        held.append(part)
    assert len(held) == rows
    check(held, x, probes, k, distance)
    check(held, x, probes, k, distance, among=np.sort(rng.permutation(rows)[: rows // 2 + 1]))
    assert held.at(np.arange(rows)).tobytes() == held.of(x).tobytes()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ties_copies_and_large_numbers(data: st.DataObject) -> None:
    """Whole numbers tie, copies are at distance 0, and an offset makes the product lose the last digits."""
    seed = data.draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    rows, dim = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 20))
    offset = data.draw(st.sampled_from([0, 0, 3, 100]))
    x = rng.integers(-2, 3, (rows, dim)).astype(np.float32) + offset
    if data.draw(st.booleans()):
        x[rng.random(rows) < 0.3] = x[0]
    kind = data.draw(st.sampled_from(["euclidean", "cosine"]))
    held = Points(dim, kind == "cosine")
    held.append(x)
    probes = np.concatenate([x[:3], rng.normal(size=(data.draw(st.integers(1, 40)), dim)) + offset]).astype(np.float32)
    check(held, x, probes, data.draw(st.integers(1, 30)), make_distance(kind, dim))


def test_rows_without_a_direction() -> None:
    """A row of zeros is 1/2 from all directions, nearer than whatever points away."""
    x = np.array([[1, 0], [-1, 0], [0, 0], [0, 1]], np.float32)
    held = Points(2, directions=True)
    held.append(x)
    probes = np.array([[2, 0], [0, 0]], np.float32)
    places, far = held.search(probes, 4, Cosine())
    assert places[0].tolist() == [0, 2, 3, 1]
    np.testing.assert_allclose(far, [[0, 0.5, 1, 2], [0, 0.5, 0.5, 0.5]], atol=1e-6)


def test_near_duplicates_far_from_the_origin() -> None:
    """Rows so close that float32 products cannot tell them apart: all are finalists, and the distance judges."""
    rng = np.random.default_rng(0)
    x = (1000 + 1e-2 * rng.normal(size=(500, 16))).astype(np.float32)
    held = Points(16, directions=False)
    held.append(x)
    check(held, x, x[:50] + np.float32(1e-3), 7, Euclidean())


def test_a_collapsed_gallery_costs_no_memory() -> None:
    held = Points(4, directions=False)
    held.append(np.ones((200_000, 4), np.float32))
    places, far = held.search(np.ones((300, 4), np.float32), 10, Euclidean())
    assert far.max() == 0
    assert all(len(set(row)) == 10 for row in places.tolist())


@pytest.mark.usefixtures("small_blocks")
def test_dropping_rows() -> None:
    rng = np.random.default_rng(1)
    held, x = Points(5, directions=False), np.empty((0, 5), np.float32)
    for step in range(40):
        new = rng.normal(size=(rng.integers(0, 12), 5)).astype(np.float32)
        held.append(new)
        x = np.concatenate([x, new])
        gone = np.sort(rng.permutation(len(x))[: rng.integers(0, len(x) + 1) // (1 if step % 10 == 9 else 3)])
        order = held.drop(gone)
        assert sorted(order.tolist()) == np.setdiff1d(np.arange(len(x)), gone).tolist()
        x = x[order]
        assert held.at(np.arange(len(x))).tolist() == x.tolist()
        if len(x):
            check(held, x, rng.normal(size=(5, 5)).astype(np.float32), 3, Euclidean())
    assert held.drop(np.arange(len(x))).tolist() == []
    assert len(held) == 0


def test_what_is_dropped_leaves_memory() -> None:
    held, x = Points(3, directions=False), np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    held.append(x)
    held.drop(np.array([2, 9]))
    left = held._blocks[0].tobytes()
    assert x[2].tobytes() not in left
    assert x[9].tobytes() not in left
    assert x[8].tobytes() in left


class TestFinalists:
    def test_keeps_all_within_rounding_of_the_kth_best(self) -> None:
        rng = np.random.default_rng(0)
        scores = rng.normal(size=(3000, 7)).astype(np.float32)
        slack = np.full(7, 0.05, np.float32)
        finalists = Finalists(5, slack)
        for start in range(0, 3000, 170):
            finalists.offer(start, scores[start : start + 170])
        probe, place = finalists.all()
        for column in range(7):
            kth = np.sort(scores[:, column])[-5]
            expected = np.flatnonzero(scores[:, column] >= kth - slack[column])
            assert sorted(place[probe == column].tolist()) == expected.tolist()
        assert (np.diff(probe) >= 0).all()

    @pytest.mark.parametrize("sign", [1, -1])
    def test_scores_of_either_sign_are_ordered(self, sign: int) -> None:
        scores = sign * np.array([[0.0], [-0.0], [1e-30], [1.0], [3e38], [-1e-38], [-2.0]], np.float32)
        finalists = Finalists(3, np.zeros(1, np.float32))
        finalists.offer(0, scores)
        found = sorted(scores[finalists.all()[1], 0].tolist(), reverse=True)
        assert found[:3] == sorted(scores[:, 0].tolist(), reverse=True)[:3]
