"""Boxes as tensors: between their forms, how far two overlap, and which of many say the same thing.

Three forms: `sized` (x and y of the top left corner, width, height), as data have them; `centred` (x and y of the
middle, width, height), as the YOLO loss has them; and corners (left, top, right, bottom), which all is computed in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.errors import UsageError

BLOCK = 1024  # boxes that `nms` compares with one another at once


def sized_to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) x, y, width, height -> (..., 4) left, top, right, bottom."""
    start, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([start, start + size], dim=-1)


def corners_to_sized(corners: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> (..., 4) x, y, width, height."""
    start, end = corners[..., :2], corners[..., 2:]
    return torch.cat([start, end - start], dim=-1)


def centred_to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) x and y of the middle, width, height -> (..., 4) left, top, right, bottom."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def corners_to_centred(corners: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> (..., 4) x and y of the middle, width, height."""
    start, end = corners[..., :2], corners[..., 2:]
    return torch.cat([(start + end) / 2, end - start], dim=-1)


def area(corners: Tensor) -> Tensor:
    """(..., 4) -> (...); 0 where right is left of left, or bottom above top."""
    left, top, right, bottom = corners.unbind(dim=-1)
    return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)


def iou_rowwise(a: Tensor, b: Tensor, crowd: Tensor | None = None) -> Tensor:
    """Intersection over union of boxes (..., 4) and (..., 4), corners, that are broadcast against each other.

    0 where they do not overlap; two boxes without area have none either. It has a gradient wherever both have an area.

    Args:
        a: corners.
        b: corners.
        crowd: (...) bool, where the union is taken for that of `a` alone: `b` stands for many things that are not told
            apart, of which `a` may be any (COCO's iscrowd). None for nowhere.

    Returns:
        (...) in [0, 1].
    """
    left, top, right, bottom = a.unbind(dim=-1)
    other_left, other_top, other_right, other_bottom = b.unbind(dim=-1)
    wide = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp(min=0)
    high = (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp(min=0)
    common = wide * high
    union = area(a) + area(b) - common
    if crowd is not None:
        union = torch.where(crowd, area(a), union)
    return torch.where(common > 0, common / union.clamp(min=torch.finfo(union.dtype).tiny), common)


def iou_between(a: Tensor, b: Tensor, crowd: Tensor | None = None) -> Tensor:
    """(n, 4) and (m, 4) corners -> (n, m) intersection over union of each with each; see `iou_rowwise`.

    Args:
        a: corners.
        b: corners.
        crowd: (m,) which of `b` are crowds.
    """
    return iou_rowwise(a[:, None], b[None, :], None if crowd is None else crowd[None, :])


def nms(corners: Tensor, scores: Tensor, labels: Tensor, overlap: float = 0.5, most: int | None = None) -> Tensor:
    """Greedy non-maximum suppression: the best box, without those of its class that overlap it, then the next best.

    In blocks of falling score. Within a block a box is kept if no kept one before it overlaps it; beginning with all
    of them this is asked again until nothing changes, which is the greedy answer after as many rounds as the longest
    chain of overlaps has boxes (Zheng et al., "Enhancing geometric factors in model learning and inference for object
    detection and instance segmentation", 2020).

    Args:
        corners: (N, 4).
        scores: (N,); of equal ones the first comes first.
        labels: (N,) whole numbers; boxes of different classes do not suppress each other.
        overlap: an intersection over union above this suppresses, in [0, 1].
        most: boxes that are kept, the best; others are not looked at. None for all.

    Returns:
        (K,) int64 positions of those kept, best first.

    Raises:
        UsageError: an overlap outside [0, 1].
    """
    if not 0 <= overlap <= 1:
        raise UsageError("An overlap that suppresses is an intersection over union, 0 to 1", overlap)
    order = torch.argsort(scores, descending=True, stable=True)
    kept = order[:0]
    for block in order.split(BLOCK):
        block = block[~_suppressed(block, kept, corners, labels, overlap).any(dim=1)]
        over = _suppressed(block, block, corners, labels, overlap).tril(-1)  # only by those before it
        alive = torch.ones(len(block), dtype=torch.bool, device=corners.device)
        while True:
            found = ~(over & alive).any(dim=1)
            if torch.equal(found, alive):
                break
            alive = found
        kept = torch.cat([kept, block[alive]])
        if most is not None and len(kept) >= most:
            return kept[:most]
    return kept


def _suppressed(some: Tensor, others: Tensor, corners: Tensor, labels: Tensor, overlap: float) -> Tensor:
    """(n, m) whether boxes at `some` are of one class with those at `others`, and overlap them."""
    same = labels[some][:, None] == labels[others][None, :]
    return same & (iou_between(corners[some], corners[others]) > overlap)
