from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.objective.partners import Partners

LABELS = st.lists(st.integers(-2, 3), max_size=12)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS)
def test_every_partner_is_found_once(labels: list[int]) -> None:
    partners = Partners(torch.tensor(labels, dtype=torch.int64))
    items = range(len(labels))
    same = [[j for j in items if j != i and labels[j] == labels[i]] for i in items]
    different = [[j for j in items if labels[j] != labels[i]] for i in items]
    assert partners.same.tolist() == [len(found) for found in same]
    assert partners.different.tolist() == [len(found) for found in different]
    assert partners.most_same == max(map(len, same), default=0)
    assert partners.triplets == sum(len(same[i]) * len(different[i]) for i in items)
    assert partners.anchors.tolist() == [i for i in items if same[i] and different[i]]
    others, real = partners.all_same(torch.arange(len(labels)))
    assert [sorted(row[mask].tolist()) for row, mask in zip(others, real, strict=True)] == same


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 1000))
def test_drawn_partners_are_partners(labels: list[int], seed: int) -> None:
    partners = Partners(torch.tensor(labels, dtype=torch.int64))
    generator = torch.Generator().manual_seed(seed)
    items = partners.anchors.repeat_interleave(5)
    same, different = partners.draw_same(items, generator), partners.draw_different(items, generator)
    for i, p, n in zip(items.tolist(), same.tolist(), different.tolist(), strict=True):
        assert p != i
        assert labels[p] == labels[i]
        assert labels[n] != labels[i]


def test_all_partners_are_equally_likely() -> None:
    labels = torch.tensor([1, 0, 1, 2, 1, 0, 1])
    partners = Partners(labels)
    generator = torch.Generator().manual_seed(5)
    draws = 6000
    items = torch.full((draws,), 2)
    for drawn, expected in (
        (partners.draw_same(items, generator), [0, 4, 6]),
        (partners.draw_different(items, generator), [1, 3, 5]),
    ):
        counts = drawn.bincount(minlength=7)
        assert counts.nonzero().flatten().tolist() == expected
        # Binomial(6000, 1/3) has standard deviation 36.5; 5 of them are 183.
        assert (counts[expected] - draws / 3).abs().max() < 183


def test_the_generator_decides() -> None:
    partners = Partners(torch.arange(50) % 5)
    items = torch.arange(50)
    draws = [partners.draw_same(items, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(draws[0], partners.draw_same(items, None))
