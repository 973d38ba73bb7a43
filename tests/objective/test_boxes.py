import time

import numpy as np
import pytest
import torch

from likewise.errors import UsageError
from likewise.objective.boxes import (
    area,
    centred_to_corners,
    corners_to_centred,
    corners_to_sized,
    iou_between,
    iou_rowwise,
    nms,
    sized_to_corners,
)


def some_corners(count, seed, size=100.0, whole=False):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, size, (count, 2))
    found = np.concatenate([start, start + rng.uniform(1, 30, (count, 2))], axis=1)
    return torch.from_numpy(np.round(found) if whole else found)


def naive_iou(a, b):
    """By counting, for whole numbers: a box is the set of its pixels."""
    pixels = [
        {(x, y) for x in range(int(left), int(right)) for y in range(int(top), int(bottom))}
        for left, top, right, bottom in (a.tolist(), b.tolist())
    ]
    union = pixels[0] | pixels[1]
    return len(pixels[0] & pixels[1]) / len(union) if union else 0.0


def naive_nms(corners, scores, labels, overlap):
    over = (iou_between(corners, corners) > overlap).tolist()
    left = sorted(range(len(scores)), key=lambda i: -scores[i].item())
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if labels[i] != labels[best] or not over[i][best]]
    return kept


def test_forms_of_one_box_drawn_by_hand():
    sized = torch.tensor([[10.0, 20, 6, 8]])
    corners = torch.tensor([[10.0, 20, 16, 28]])
    centred = torch.tensor([[13.0, 24, 6, 8]])
    torch.testing.assert_close(sized_to_corners(sized), corners)
    torch.testing.assert_close(corners_to_sized(corners), sized)
    torch.testing.assert_close(centred_to_corners(centred), corners)
    torch.testing.assert_close(corners_to_centred(corners), centred)


def test_iou_counts_pixels():
    a, b = some_corners(20, 1, 30, whole=True), some_corners(15, 2, 30, whole=True)
    expected = torch.tensor([[naive_iou(one, other) for other in b] for one in a], dtype=torch.float64)
    assert (expected > 0).sum() > 20
    torch.testing.assert_close(iou_between(a, b), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(iou_rowwise(a[:15], b), expected.diagonal(), rtol=0, atol=1e-12)


def test_iou_by_hand():
    a = torch.tensor([[0.0, 0, 4, 4]])
    b = torch.tensor([[2.0, 0, 6, 4], [4, 0, 8, 4], [1, 1, 2, 2], [0, 0, 4, 4], [2, 2, 2, 2], [3, 3, 1, 1]])
    expected = [8 / 24, 0, 1 / 16, 1, 0, 0]  # half, side by side, inside, itself, without area, inside out
    torch.testing.assert_close(iou_between(a, b)[0], torch.tensor(expected))
    crowd = torch.tensor([True, True, False, True, True, True])
    torch.testing.assert_close(iou_between(a, b, crowd)[0], torch.tensor([0.5, 0, 1 / 16, 1, 0, 0]))


def test_iou_is_none_where_neither_has_an_area_and_its_gradient_is_finite():
    a = torch.tensor([[1.0, 1, 1, 1], [0, 0, 2, 2]], requires_grad=True)
    found = iou_rowwise(a, torch.tensor([[1.0, 1, 1, 1], [1, 0, 3, 2]]))
    torch.testing.assert_close(found, torch.tensor([0.0, 2 / 6]))
    found.sum().backward()
    assert torch.isfinite(a.grad).all()
    assert a.grad[1, 2] > 0  # to reach farther right would overlap more


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 1.0])
def test_nms_is_the_naive_loop(seed, overlap):
    corners = some_corners(200, seed, 60)
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randint(50, (200,), generator=rng) / 50  # with ties
    labels = torch.randint(3, (200,), generator=rng)
    assert nms(corners, scores, labels, overlap).tolist() == naive_nms(corners, scores, labels, overlap)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_nms_of_the_best_is_the_beginning_of_all(most):
    generator = torch.Generator().manual_seed(3)
    low = torch.rand(3000, 2, generator=generator)
    corners = torch.cat([low, low + 0.1 * torch.rand(3000, 2, generator=generator)], dim=1)
    scores, labels = torch.rand(3000, generator=generator), torch.zeros(3000)
    every = nms(corners, scores, labels, 0.3)
    assert nms(corners, scores, labels, 0.3, most).tolist() == every[:most].tolist()


def test_nms_over_several_blocks_is_the_naive_loop():
    corners = some_corners(2_500, 3, 150)
    scores = torch.rand(2_500, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2_500, dtype=torch.int64)
    kept = nms(corners, scores, labels, 0.4).tolist()
    alive = torch.ones(2_500, dtype=torch.bool)
    expected = []
    for i in torch.argsort(scores, descending=True).tolist():
        if alive[i]:
            expected.append(i)
            alive &= iou_between(corners, corners[[i]])[:, 0] <= 0.4
    assert kept == expected


def test_a_chain_of_overlaps_is_cut_greedily():
    """Each overlaps only its neighbours: the second falls to the first, so the third stays."""
    left = torch.arange(60.0) * 6
    corners = torch.stack([left, torch.zeros(60), left + 10, torch.full((60,), 10.0)], dim=1)
    scores = torch.linspace(1, 0.1, 60)
    assert nms(corners, scores, torch.zeros(60), 0.2).tolist() == list(range(0, 60, 2))


def test_nothing_is_kept_of_nothing():
    assert nms(torch.empty(0, 4), torch.empty(0), torch.empty(0)).tolist() == []
    assert iou_between(torch.empty(0, 4), torch.ones(3, 4)).shape == (0, 3)
    assert area(torch.empty(0, 4)).shape == (0,)


def test_an_overlap_is_a_share():
    with pytest.raises(UsageError, match="0 to 1"):
        nms(torch.empty(0, 4), torch.empty(0), torch.empty(0), 1.5)


def test_nms_of_a_thousand_boxes_is_faster_than_one_at_a_time():
    corners = some_corners(1_000, 5, 300).float()
    scores = torch.rand(1_000, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(1_000) % 5

    def one_at_a_time():
        alive = torch.ones(1_000, dtype=torch.bool)
        for i in torch.argsort(scores, descending=True).tolist():
            if alive[i]:
                alive &= ~((labels == labels[i]) & (iou_between(corners, corners[[i]])[:, 0] > 0.5))
                alive[i] = True

    def took(work):
        work()
        times = []
        for _ in range(3):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return min(times)

    assert took(lambda: nms(corners, scores, labels)) < took(one_at_a_time) / 2
