from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.metrics.pairs import COLUMNS, Block, cross_blocks, upper_blocks
from likewise.objective.distances import L1, Euclidean


def listed(tile: Block) -> list[tuple[int, int, float]]:
    """The pairs a block counts, by position, with their distances."""
    found = []
    for i in range(tile.rows.stop - tile.rows.start):
        for j in range(tile.columns.stop - tile.columns.start):
            if tile.mask is None or tile.mask[i, j]:
                found.append((tile.rows.start + i, tile.columns.start + j, float(tile.distances[i, j])))
    return found


@settings(max_examples=30, deadline=None)
@given(items=st.integers(0, 12), block=st.integers(1, 200))
def test_upper_blocks_hold_every_pair_once_and_no_item_with_itself(items: int, block: int) -> None:
    points = torch.arange(items, dtype=torch.float32)[:, None] ** 2
    tiles = list(upper_blocks(points, L1(), block))
    pairs = [pair for tile in tiles for pair in listed(tile)]
    assert sorted(pairs) == [(i, j, float(j**2 - i**2)) for i, j in combinations(range(items), 2)]
    assert all(tile.distances.numel() <= block for tile in tiles)


@settings(max_examples=30, deadline=None)
@given(queries=st.integers(0, 7), gallery=st.integers(0, 7), block=st.integers(1, 60))
def test_cross_blocks_hold_every_query_with_every_item_once(queries: int, gallery: int, block: int) -> None:
    a = torch.arange(queries, dtype=torch.float32)[:, None]
    b = 10.0 + torch.arange(gallery, dtype=torch.float32)[:, None] ** 2
    tiles = list(cross_blocks(a, b, L1(), block))
    pairs = [pair for tile in tiles for pair in listed(tile)]
    assert pairs == [(i, j, 10.0 + j**2 - i) for i in range(queries) for j in range(gallery)]
    assert all(tile.distances.numel() <= max(block, gallery) for tile in tiles)


def test_cross_blocks_of_a_large_gallery_agree_with_one_product() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(70, 3, generator=generator), torch.randn(2 * COLUMNS + 5, 3, generator=generator)
    tiles = list(cross_blocks(a, b, Euclidean(), block=32 * len(b)))
    assert [len(tile.distances) for tile in tiles] == [32, 32, 6]
    torch.testing.assert_close(torch.cat([tile.distances for tile in tiles]), Euclidean().between(a, b))


@pytest.mark.parametrize("walk", [upper_blocks, lambda x, d: cross_blocks(x, x, d)])
def test_the_reader_keeps_its_gradients_and_the_blocks_carry_none(walk) -> None:
    points = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for tile in walk(points, Euclidean()):
        assert torch.is_grad_enabled()
        assert not tile.distances.requires_grad
        assert tile.distances.dtype == torch.float32
