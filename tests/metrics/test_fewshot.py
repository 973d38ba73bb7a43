from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from scipy.stats import chisquare

from likewise.errors import DataError, UsageError
from likewise.metrics.fewshot import _drawn, few_shot
from likewise.objective.distances import L1, Cosine, Euclidean


def over_all_episodes(points, labels, distance, ways: int, shots: int, rule: str) -> float:
    """Mean over choices of identities, and for each over all draws of shots and one query of each, by loops."""
    identities = sorted(set(labels.tolist()))
    means = []
    for chosen in permutations(identities, ways):
        right = []
        drawn = [list(permutations((labels == c).nonzero()[:, 0].tolist(), shots + 1)) for c in chosen]
        for episode in product(*drawn):
            shown = [points[list(items[:shots])] for items in episode]
            for own, items in enumerate(episode):
                query = points[items[-1]][None]
                if rule == "mean":
                    if isinstance(distance, Cosine):  # lengths do not count, in a mean either
                        shown = [shot / shot.norm(dim=1, keepdim=True) for shot in shown]
                    close = [float(distance.rowwise(query, shot.mean(dim=0)[None])) for shot in shown]
                else:
                    close = [min(float(d) for d in distance.between(query, shot)[0]) for shot in shown]
                right.append(all(close[own] < c for i, c in enumerate(close) if i != own))
        means.append(sum(right) / len(right))
    return sum(means) / len(means)


@pytest.mark.parametrize(("distance", "rule"), [(Euclidean(), "mean"), (L1(), "nearest"), (Cosine(), "mean")])
@pytest.mark.parametrize(("ways", "shots", "sizes"), [(2, 1, [2, 4, 3]), (2, 2, [3, 4])])
def test_as_the_mean_over_all_episodes_there_are(cloud, distance, rule, ways, shots, sizes) -> None:
    points, labels = cloud(1, sizes, dim=2, spread=1.0)
    expected = over_all_episodes(points, labels, distance, ways, shots, rule)
    found = few_shot(points, labels, distance, ways=ways, shots=shots, rule=rule, episodes=20_000, seed=0)
    assert 0.1 < expected < 0.9
    assert found.accuracy == pytest.approx(expected, abs=4 * 0.5 / 20_000**0.5)  # 4 standard errors
    asked = {"ways": ways, "shots": shots, "rule": rule}
    others = torch.tensor([few_shot(points, labels, distance, **asked, seed=s).accuracy for s in range(1, 60)])
    assert found.standard_error * 20**0.5 == pytest.approx(float(others.std()), rel=0.4)  # 1,000 episodes each
    assert found.identities == sum(size > shots for size in sizes)


def test_draws_are_different_and_every_ordered_choice_is_as_likely() -> None:
    drawn = _drawn(torch.full((24_000,), 4), 3, torch.Generator().manual_seed(0))
    assert (drawn.sort(dim=1).values.diff(dim=1) > 0).all()
    choices, counts = drawn.unique(dim=0, return_counts=True)
    assert choices.tolist() == [list(choice) for choice in permutations(range(4), 3)]
    assert chisquare(counts.numpy()).pvalue > 0.001


def test_draws_stay_below_sizes_of_their_own() -> None:
    sizes = torch.tensor([3, 10, 100_000] * 500)
    drawn = _drawn(sizes, 3, torch.Generator().manual_seed(0))
    assert (drawn < sizes[:, None]).all()
    assert (drawn >= 0).all()
    assert drawn[0::3].sort(dim=1).values.tolist() == [[0, 1, 2]] * 500
    assert drawn[2::3].max() > 99_000


def test_the_mean_and_the_nearest_of_the_shots_differ() -> None:
    # Identity 0 lies at -3 and 3, so its mean is at 0, where identity 1 has all its items, slightly apart.
    points = torch.tensor([[-3.0], [-3.0], [-3.0], [3.0], [3.0], [3.0], [0.1], [0.1], [0.1], [0.1]])
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    nearest = few_shot(points, labels, Euclidean(), ways=2, shots=3, rule="nearest", seed=0)
    mean = few_shot(points, labels, Euclidean(), ways=2, shots=3, rule="mean", seed=0)
    # Of the 10 ways to draw 3 shots from the other 5 items, 1 has none on the query's side, and 3 have two there.
    assert nearest.accuracy == pytest.approx((1 + 9 / 10) / 2, abs=0.03)
    assert mean.accuracy == pytest.approx((1 + 3 / 10) / 2, abs=0.03)


def test_all_right_and_all_in_one_place() -> None:
    labels = torch.arange(10).repeat_interleave(4)
    apart = few_shot(100.0 * labels[:, None] + torch.arange(40)[:, None] / 40, labels, Euclidean(), ways=10)
    assert (apart.accuracy, apart.standard_error) == (1, 0)
    assert few_shot(torch.zeros(40, 2), labels, Euclidean(), ways=10).accuracy == 0  # a tie is wrong


def test_identities_with_too_few_items_are_not_drawn(cloud) -> None:
    points, labels = cloud(2, [5, 5, 1, 2])
    found = few_shot(points, labels + 2**24, Euclidean(), ways=2, shots=2, queries=1, episodes=50)
    assert found == few_shot(points[labels < 2], labels[labels < 2], Euclidean(), ways=2, shots=2, episodes=50)
    with pytest.raises(DataError, match="3-way 2-shot episodes need 3 identities with 3 items; got 2 such"):
        few_shot(points, labels, Euclidean(), ways=3, shots=2)


def test_a_seed_repeats_the_episodes_and_little_is_held_at_once(cloud, watched) -> None:
    points, labels = cloud(3, [6] * 30, dim=64, spread=1.5)
    one = few_shot(points, labels, watched, ways=20, shots=2, rule="nearest", seed=1)
    assert one == few_shot(points, labels, Euclidean(), ways=20, shots=2, rule="nearest", seed=1)
    assert one != few_shot(points, labels, Euclidean(), ways=20, shots=2, rule="nearest", seed=2)
    assert watched.largest * 64 <= 2**20


@pytest.mark.parametrize("options", [{"ways": 1}, {"shots": 0}, {"queries": 0}, {"episodes": 1}])
def test_impossible_options_are_refused(cloud, options) -> None:
    points, labels = cloud(4, [5, 5])
    with pytest.raises(UsageError):
        few_shot(points, labels, Euclidean(), **({"ways": 2} | options))
