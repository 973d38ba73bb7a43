"""Both error rates at thresholds, counted in blocks, against loops over every pair. Seeds are fixed."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats

from likewise.calibration.rates import listed_rates_at, rates_at
from likewise.errors import DataError
from likewise.metrics.intervals import effective_number, wilson
from likewise.objective.distances import L1, Euclidean, WeightedL1


def people(sizes, seed=0, dim=3):
    """Embeddings of identities with the given numbers of items, labels rising."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), dim)) * rng.choice([0.3, 1.5], (len(sizes), 1))
    points = centres[of] + 0.5 * rng.normal(size=(len(of), dim))
    return torch.tensor(points, dtype=torch.float32), torch.tensor(of)


def every_pair(embeddings, of):
    """(i, j, distance, same) of all pairs, one at a time."""
    return [
        (i, j, float(torch.linalg.vector_norm(embeddings[i] - embeddings[j])), int(of[i]) == int(of[j]))
        for i, j in combinations(range(len(of)), 2)
    ]


def by_double_loop(errors, vertices, strata):
    """Interval of a share: residuals from the share of each stratum, products over pairs that share a vertex.

    Args:
        errors: 0 or 1 of each pair.
        vertices: the vertices of each pair.
        strata: the stratum of each pair.
    """
    share = np.mean(errors)
    of_stratum = {s: np.mean([e for e, t in zip(errors, strata, strict=True) if t == s]) for s in set(strata)}
    r = [e - of_stratum[s] for e, s in zip(errors, strata, strict=True)]
    touch = np.array([[bool(a & b) for b in vertices] for a in vertices])
    alike = np.array([[s == t for t in strata] for s in strata])
    products = float(np.sum(np.outer(r, r) * touch))
    edges = {}
    for ends, value in zip(vertices, r, strict=True):
        edges[ends] = edges.get(ends, 0.0) + value
    squares = sum(value**2 for ends, value in edges.items() if len(ends) == 2)
    scale = np.sum(alike) / np.sum(alike & ~touch)  # pairs of pairs within strata, to those that share nothing
    variance = max(products, squares) / len(errors) ** 2 * scale
    names = sorted({v for ends in vertices for v in ends})
    sums = np.array([sum(value for ends, value in edges.items() if v in ends) for v in names])
    freedom = min(len(names) - 1, effective_number(sums))
    return wilson(share, min(share * (1 - share) / variance, len(errors)), freedom=freedom)


def near(expected):
    """What the values of an interval are to equal."""
    return pytest.approx(expected.as_dict(), rel=1e-9)


@pytest.mark.parametrize("block", [5, 64, 1 << 20])
@pytest.mark.parametrize("sizes", [[4, 4, 4, 4, 4], [1, 6, 2, 3, 5, 1]])
def test_identities_as_units(sizes, block):
    embeddings, of = people(sizes)
    pairs = every_pair(embeddings, of)
    found = rates_at([2.5, 0.9, 1.6], embeddings, of, Euclidean(), "identity", block)
    for threshold, rates in zip([2.5, 0.9, 1.6], found, strict=True):
        different = [(frozenset((int(of[i]), int(of[j]))), d) for i, j, d, same in pairs if not same]
        errors = [int(d <= threshold) for _, d in different]
        assert rates.fmr.as_dict() == near(by_double_loop(errors, [ends for ends, _ in different], [0] * len(errors)))
        same = [(frozenset([int(of[i])]), d) for i, j, d, same in pairs if same]
        errors = [int(d > threshold) for _, d in same]
        if 0 < sum(errors) < len(errors):
            assert rates.fnmr.as_dict() == near(by_double_loop(errors, [ends for ends, _ in same], [0] * len(errors)))
        else:
            assert rates.fnmr.as_dict() == near(wilson(np.mean(errors), len({ends for ends, _ in same})))


@pytest.mark.parametrize("block", [5, 1 << 20])
@pytest.mark.parametrize("sizes", [[6, 6, 6], [5, 4, 7, 1]])
def test_items_as_units_of_fixed_classes(sizes, block):
    embeddings, of = people(sizes, seed=1)
    pairs = every_pair(embeddings, of)
    found = rates_at([0.8, 1.3], embeddings, of, Euclidean(), "item", block)
    for threshold, rates in zip([0.8, 1.3], found, strict=True):
        for same, rate in ((False, rates.fmr), (True, rates.fnmr)):
            kept = [(i, j, d) for i, j, d, alike in pairs if alike == same]
            errors = [int((d <= threshold) != same) for _, _, d in kept]
            strata = [frozenset((int(of[i]), int(of[j]))) for i, j, _ in kept]
            assert rate.as_dict() == near(by_double_loop(errors, [frozenset((i, j)) for i, j, _ in kept], strata))


def test_listed_pairs_say_the_same_as_the_embeddings_they_came_from():
    embeddings, of = people([3, 5, 2, 4, 4, 1])
    pairs = every_pair(embeddings, of)
    distances = np.array([d for _, _, d, _ in pairs], np.float32)
    same = np.array([s for *_, s in pairs])
    first, second = (np.array([int(of[pair[side]]) for pair in pairs]) for side in (0, 1))
    flipped = np.arange(len(pairs)) % 2 == 0  # which side comes first says nothing
    first, second = np.where(flipped, second, first), np.where(flipped, first, second)
    thresholds = [0.7, 1.4]
    listed = listed_rates_at(thresholds, distances, same, first, second)
    for ours, theirs in zip(listed, rates_at(thresholds, embeddings, of, Euclidean(), "identity"), strict=True):
        assert ours.fmr.as_dict() == near(theirs.fmr)
        assert ours.fnmr.as_dict() == near(theirs.fnmr)


def test_listed_pairs_of_items():
    rng = np.random.default_rng(2)
    ends = [(i, j) for i, j in combinations(range(14), 2) if rng.random() < 0.5]
    same = rng.random(len(ends)) < 0.4
    distances = (rng.random(len(ends)) + ~same).astype(np.float32)
    first, second = np.array(ends).T
    (rates,) = listed_rates_at([1.2], distances, same, first, second)
    kept = [(frozenset(e), int(d <= 1.2)) for e, d, s in zip(ends, distances, same, strict=True) if not s]
    assert rates.fmr.as_dict() == near(by_double_loop([e for _, e in kept], [v for v, _ in kept], [0] * len(kept)))


def test_who_errs_is_taken_for_a_person_or_for_an_item():
    """Two of five classes lie on top of each other: chance if people were drawn, none if the list is fixed."""
    rng = np.random.default_rng(3)
    centres = np.array([[0.0, 0], [0, 0.1], [9, 0], [0, 9], [9, 9]])
    of = np.repeat(np.arange(5), 40)
    embeddings = torch.tensor(centres[of] + 0.3 * rng.normal(size=(200, 2)), dtype=torch.float32)
    (people_,) = rates_at([2.0], embeddings, torch.tensor(of), Euclidean(), "identity")
    (items,) = rates_at([2.0], embeddings, torch.tensor(of), Euclidean(), "item")
    assert people_.fmr.value == items.fmr.value == pytest.approx(0.1, abs=1e-3)  # 1 of 10 pairs of classes
    assert people_.fmr.high - people_.fmr.low > 0.3
    assert items.fmr.high - items.fmr.low < 0.01


def test_no_error_among_fixed_classes_counts_the_items_and_not_their_pairs():
    """One item in a hundred is odd and close to everything: 100 items hold none in 37 of 100 draws (seed 0).

    A pair has two ends, so each odd item in a hundred spoils two pairs in a hundred. Taking all 4,500 pairs for trials
    would leave no room for that.
    """
    of = torch.arange(10).repeat_interleave(10)
    ends = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        points = np.where(rng.random(100) < 0.01, 0.0, 10.0)[:, None] * np.eye(10)[of]
        (rates,) = rates_at([11.0], torch.tensor(points, dtype=torch.float32), of, Euclidean(), "item")
        ends.append((rates.fmr.value, rates.fmr.low, rates.fmr.high))
    value, low, high = np.array(ends).T
    true = 1 - 0.99**2  # classes are 14 apart, an odd item is within 10 of all
    assert np.mean(value == 0) == pytest.approx(0.99**100, abs=0.15)
    assert high[value == 0] == pytest.approx(stats.norm.ppf(0.975) ** 2 / (50 + stats.norm.ppf(0.975) ** 2))
    assert np.mean((low <= true) & (true <= high)) > 0.9


@pytest.mark.parametrize("sizes", [[4, 4, 4], [9, 2, 1], [2, 3, 3]])
def test_without_an_error_trials_are_the_pairs_that_can_be_chosen_apart(sizes):
    """No item in two of them: a maximum matching, by networkx."""
    of = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    points = 100.0 * torch.nn.functional.one_hot(of).float() + torch.arange(len(of))[:, None] / 100
    (rates,) = rates_at([2.0], points, of, Euclidean(), "item")
    different = [(i, j) for i, j, _, same in every_pair(points, of) if not same]
    assert rates.fmr.as_dict() == near(wilson(0.0, len(nx.max_weight_matching(nx.Graph(different)))))


@pytest.mark.parametrize(
    ("ends", "apart"),
    [
        ([(2 * i, 2 * i + 1) for i in range(9)], 9),  # nobody twice
        (list(combinations(range(8), 2)), 4),  # everybody with everybody
        ([(0, i) for i in range(1, 9)] + [(20, 21)], 2),  # one against eight others, and two apart from them
        ([(0, 1)] * 7 + [(2, 3)] * 2, 2),  # the same two, often
    ],
)
def test_of_listed_pairs_too(ends, apart):
    first, second = np.array([*ends, (50, 50), (51, 51)]).T
    same = np.arange(len(first)) >= len(ends)
    (rates,) = listed_rates_at([1.0], np.full(len(first), 2, np.float32), same, first, second)
    assert rates.fmr.as_dict() == near(wilson(0.0, apart))
    assert rates.fnmr.as_dict() == near(wilson(1.0, 2))


def test_distances_that_are_no_numbers_are_refused():
    embeddings, of = people([3, 3])
    broken = WeightedL1(3)
    with torch.no_grad():
        broken.raw[0] = torch.nan
    with pytest.raises(DataError, match="finite"):
        rates_at([1.0], embeddings, of, broken, "identity")


def test_another_distance_is_used_as_given():
    embeddings, of = people([3, 3, 3])
    (rates,) = rates_at([1.5], embeddings, of, L1(), "identity")
    matched = [
        float((embeddings[i] - embeddings[j]).abs().sum()) <= 1.5
        for i, j in combinations(range(9), 2)
        if of[i] != of[j]
    ]
    assert rates.fmr.value == pytest.approx(np.mean(matched))


def test_a_distance_of_just_the_threshold_is_accepted():
    """Points 0, 2 | 1, 5 on a line: different at 1, 5, 1, 3, same at 2 and 4."""
    embeddings = torch.tensor([[0.0], [2.0], [1.0], [5.0]])
    found = rates_at([1.0, 2.0, 3.0, 4.0], embeddings, torch.tensor([0, 0, 1, 1]), Euclidean(), "identity", 2)
    assert [rates.fmr.value for rates in found] == [0.5, 0.5, 0.75, 0.75]
    assert [rates.fnmr.value for rates in found] == [1.0, 0.5, 0.5, 0.0]
    (alone,) = rates_at([2.0], embeddings, torch.tensor([0, 0, 1, 1]), Euclidean(), "identity")
    assert (alone.fmr.value, alone.fnmr.value) == (0.5, 0.5)
