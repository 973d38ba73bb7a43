"""Suspected labels: planted ones are found, good ones are left alone, against naive sums and hand-drawn cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.errors import DataError
from likewise.metrics import Claims, Doubts, claims_of, doubts, neighbour_claims
from likewise.objective.distances import Cosine, Distance, Euclidean


def flipped(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The labels with a share of them replaced by others, and which ones (bool)."""
    rng = np.random.default_rng(seed)
    who = rng.choice(len(labels), round(share * len(labels)), replace=False)
    classes = int(labels.max()) + 1
    found = labels.copy()
    found[who] = (found[who] + rng.integers(1, classes, len(who))) % classes
    return found, found != labels


def blobs(sizes: list[int], seed: int = 0, apart: float = 10.0, dim: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Points around one middle for each label."""
    rng = np.random.default_rng(seed)
    middles = apart * rng.standard_normal((len(sizes), dim))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return (middles[labels] + rng.standard_normal((len(labels), dim))).astype(np.float32), labels


def named(found: Doubts, count: int) -> np.ndarray:
    suspected = np.zeros(count, bool)
    suspected[[suspect.item for suspect in found.suspects]] = True
    return suspected


def precision_and_recall(suspected: np.ndarray, planted: np.ndarray) -> tuple[float, float]:
    both = (suspected & planted).sum()
    return both / suspected.sum(), both / planted.sum()


class TestNeighbourClaims:
    @pytest.mark.parametrize("distance", [Euclidean(), Cosine()], ids=lambda d: d.name)
    @pytest.mark.parametrize("block", [1, 40, 1 << 20])
    def test_they_are_powers_of_mean_distances_by_a_naive_loop(self, distance: Distance, block: int) -> None:
        x, y = blobs([7, 4, 2, 1, 6], apart=1.0)
        y = y * 3  # labels need not be without gaps
        found = neighbour_claims(x, y, distance, nearest=3, block=block)
        far = np.full((len(y), 5), np.inf)
        for i in range(len(y)):
            for k, label in enumerate(np.unique(y)):
                others = [j for j in range(len(y)) if j != i and y[j] == label]
                near = sorted(float(distance.rowwise(*torch.from_numpy(x[[i, j]])[:, None])) for j in others)[:3]
                far[i, k] = np.mean(near) if near else np.inf
        own = y // 3
        rows, known = np.arange(len(y)), own != 3
        assert np.isnan(found.own[~known]).all()

        def probability(power: float) -> np.ndarray:
            weight = far**-power
            return weight / weight.sum(axis=1, keepdims=True)

        def likelihood(power: float) -> float:
            return float(np.log(probability(power)[rows, own][known]).mean())

        # The power is not handed out: it is recovered from two probabilities, and no other makes labels more probable.
        i = int(np.flatnonzero(known)[0])
        other = int(found.others[i].argmin())
        ratio = found.own[i] / found.probability[i, other]
        power = np.log(ratio) / np.log(far[i, found.others[i, other] // 3] / far[i, own[i]])
        np.testing.assert_allclose(found.own[known], probability(power)[rows, own][known], rtol=1e-4)
        expected = np.take_along_axis(probability(power), found.others // 3, axis=1)
        np.testing.assert_allclose(found.probability[known], expected[known], rtol=1e-4)
        assert all(likelihood(power) >= likelihood(power * factor) for factor in (0.8, 0.95, 1.05, 1.25))

    def test_equal_distances_and_copies_are_finite(self) -> None:
        found = neighbour_claims(np.zeros((6, 2), np.float32), np.array([0, 0, 1, 1, 2, 2]), Euclidean())
        np.testing.assert_allclose(found.own, 1 / 3)
        assert doubts(found) == Doubts((), ())

    def test_only_the_nearest_labels_are_looked_at(self) -> None:
        x, y = blobs([5] * 30)
        found = neighbour_claims(x, y, Euclidean(), among=4)
        assert found.others.shape == (150, 4)
        assert not (found.others == y[:, None]).any()
        middles = np.stack([x[y == label].mean(axis=0) for label in range(30)])
        for i in range(0, 150, 7):
            nearest = np.argsort(np.linalg.norm(middles - x[i], axis=1))[1:5]
            assert len(set(found.others[i].tolist()) & set(nearest.tolist())) >= 3

    def test_one_label_is_refused(self) -> None:
        with pytest.raises(DataError, match="of one label"):
            neighbour_claims(np.zeros((3, 2), np.float32), np.zeros(3, int), Euclidean())


class TestPlanted:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
    def test_in_drawn_points_nearly_all_are_found(self, share: float, seed: int) -> None:
        x, truth = blobs([60] * 8, seed)
        y, planted = flipped(truth, share, seed)
        found = doubts(neighbour_claims(x, y, Euclidean()))
        precision, recall = precision_and_recall(named(found, len(y)), planted)
        assert precision >= 0.95
        assert recall >= 0.9
        assert all(suspect.suggested == truth[suspect.item] for suspect in found.suspects if planted[suspect.item])

    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("share", [0.05, 0.1])
    def test_in_digits(self, digit_arrays: tuple[np.ndarray, np.ndarray], share: float, seed: int) -> None:
        pictures, truth = digit_arrays
        y, planted = flipped(truth, share, seed)
        found = doubts(neighbour_claims(pictures.reshape(len(y), -1).astype(np.float32), y, Euclidean()))
        precision, recall = precision_and_recall(named(found, len(y)), planted)
        assert precision >= 0.95
        assert recall >= 0.95

    def test_in_digits_without_any_none_but_a_few(self, digit_arrays: tuple[np.ndarray, np.ndarray]) -> None:
        pictures, y = digit_arrays
        found = doubts(neighbour_claims(pictures.reshape(len(y), -1).astype(np.float32), y, Euclidean()))
        assert len(found.suspects) <= 5  # of 1,797
        assert found.inseparable == ()

    def test_labels_mixed_up_between_two_alike_are_found_too(self, digit_arrays: tuple[np.ndarray, np.ndarray]) -> None:
        pictures, truth = digit_arrays
        y = truth.copy()
        four, nine = np.flatnonzero(truth == 4)[::20], np.flatnonzero(truth == 9)[::20]
        y[four], y[nine] = 9, 4
        found = doubts(neighbour_claims(pictures.reshape(len(y), -1).astype(np.float32), y, Euclidean()))
        precision, recall = precision_and_recall(named(found, len(y)), y != truth)
        assert precision >= 0.8  # 19 are planted: 4 of 1,778 good ones
        assert recall >= 0.9

    @pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
    def test_by_a_classifier_that_is_nearly_always_right(self, share: float) -> None:
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 6, 3000)
        logits = rng.standard_normal((3000, 6)) + 6 * np.eye(6)[truth]
        probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        y, planted = flipped(truth, share)
        precision, recall = precision_and_recall(named(doubts(claims_of(probability, y)), len(y)), planted)
        assert precision >= 0.85
        assert recall >= 0.85


class TestDrawnByHand:
    def test_one_wrong_item_is_named_and_its_good_neighbours_are_not(self) -> None:
        x, y = blobs([10, 10])
        y[3] = 1
        (suspect,) = doubts(neighbour_claims(x, y, Euclidean())).suspects
        assert suspect[:3] == (3, 1, 0)
        assert suspect.own < 0.1 < 0.9 < suspect.probability

    def test_a_wrong_item_that_is_nobody_elses_label_convicts_nobody(self) -> None:
        x, y = blobs([10, 10])
        y[3] = 2
        assert doubts(neighbour_claims(x, y, Euclidean())).suspects == ()

    def test_a_label_of_one_item_is_not_suggested_and_pushes_nobody_out(self) -> None:
        """Two blobs with two planted errors, and beside a good item of the first one that alone bears a third label."""
        x, y = blobs([20, 20])
        y[3], y[25] = 1, 0
        x, y = np.concatenate([x, x[[10]] + 0.001]), np.append(y, 2)
        claims = neighbour_claims(x, y, Euclidean())
        assert claims.probability[10].max() > 0.9  # which is nearest by far
        suspects = doubts(claims).suspects
        assert {(suspect.item, suspect.suggested) for suspect in suspects} == {(3, 0), (25, 1)}

    def test_two_wrong_items_side_by_side(self) -> None:
        x, y = blobs([10, 10])
        x[4] = x[3] + 0.01  # each is the other's nearest neighbour, and both say the same
        y[3] = y[4] = 1
        found = doubts(neighbour_claims(x, y, Euclidean()))
        assert {suspect.item for suspect in found.suspects} == {3, 4}

    def test_one_person_in_two_folders_is_no_wrong_label(self) -> None:
        x, y = blobs([40, 40, 40, 40])
        y[:20] = 4  # half of the first
        found = doubts(neighbour_claims(x, y, Euclidean()))
        assert found.suspects == ()
        assert {(cell.label, cell.taken_for) for cell in found.inseparable} == {(0, 4), (4, 0)}
        assert all(1 < cell.items <= 20 for cell in found.inseparable)

    def test_counts_are_those_of_confident_learning(self) -> None:
        """Two labels; b is said of four of a's items with at least what b's own have on average: those four."""
        p_b = np.array([0.1] * 16 + [0.95, 0.99, 0.9, 0.92] + [0.9] * 18 + [0.6, 0.6])
        y = np.array([0] * 20 + [1] * 20)
        probability = np.column_stack([1 - p_b, p_b])
        # b's threshold is 0.87: the four of a pass it. a's is 0.732: sixteen of a pass, and none of b says a.
        found = doubts(claims_of(probability, y))
        assert [suspect.item for suspect in found.suspects] == [17, 16, 19, 18]
        assert [suspect.probability for suspect in found.suspects] == [0.99, 0.95, 0.92, 0.9]

    def test_what_passes_no_threshold_counts_as_often_as_what_does(self) -> None:
        """Half of a's items are taken for nothing: one of ten that are is wrong, so two of twenty are."""
        p_a = np.array([0.6] * 9 + [0.3] * 9 + [0.02, 0.12] + [0.05] * 40)
        y = np.array([0] * 20 + [1] * 40)
        # b's threshold is 0.95, passed by one of a; a's is 0.412, passed by nine: 20 items, 10 counted, 1 of them b.
        found = doubts(claims_of(np.column_stack([p_a, 1 - p_a]), y))
        assert [suspect.item for suspect in found.suspects] == [18, 19]

    def test_nothing_to_judge(self) -> None:
        nothing = Claims(np.empty(0, np.int64), np.empty(0), np.empty((0, 1), np.int64), np.empty((0, 1)))
        assert doubts(nothing) == Doubts((), ())
        lone = Claims(np.array([0]), np.array([np.nan]), np.array([[1]]), np.array([[1.0]]))
        assert doubts(lone) == Doubts((), ())

    def test_a_label_that_nobody_bears_is_no_suggestion(self) -> None:
        assert doubts(claims_of(np.array([[0.1, 0.9]] * 5), np.zeros(5, np.int64))) == Doubts((), ())


def test_claims_of_a_classifier_are_its_most_probable_labels() -> None:
    probability = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.15, 0.05, 0.1]])
    found = claims_of(probability, np.array([3, 0]), among=2)
    np.testing.assert_array_equal(found.own, [0.4, 0.7])
    assert [sorted(row) for row in found.others.tolist()] == [[1, 2], [1, 3]]
    np.testing.assert_array_equal(found.probability, np.take_along_axis(probability, found.others, axis=1))
