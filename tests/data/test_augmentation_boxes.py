"""Boxes that move along with what is in them, looked up in the pixels afterwards."""

import pytest
import torch
from torch import Tensor

from likewise.data.augmentation import AUGMENTATIONS, KEPT, Augmentation, augmentation, seeded

PICTURES = [name for name, (kind, _) in AUGMENTATIONS.items() if kind == "picture"]
UPRIGHT = [name for name in PICTURES if name not in ("jitter", "photo")]  # those that turn nothing


def drawn(count: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Red rectangles on black, (N, 3, 80, 120), and boxes (N, 2, 5), of which the second fills up."""
    random = torch.Generator().manual_seed(seed)
    values, boxes = torch.zeros(count, 3, 80, 120), torch.zeros(count, 2, 5)
    boxes[:, 1, 4] = -1
    for i in range(count):
        x, y = (int(torch.randint(20, most, (), generator=random)) for most in (60, 35))
        w, h = (int(torch.randint(14, 30, (), generator=random)) for _ in range(2))
        values[i, 0, y : y + h, x : x + w] = 1
        boxes[i, 0] = torch.tensor([(x + w / 2) / 120, (y + h / 2) / 80, w / 120, h / 80, 3])
    return values, boxes


def changed(name: str, values: Tensor, boxes: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    found = augmentation(name, "picture")
    assert isinstance(found, Augmentation)
    assert found.placed is not None
    placed = found.placed
    return seeded(lambda each: placed(each, boxes), values, seed)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("seed", range(3))
def test_the_box_is_where_the_pixels_are(name: str, seed: int) -> None:
    values, boxes = changed(name, *drawn(seed=seed), seed=seed)
    looked = 0
    for picture, (x, y, w, h, label) in zip(values[:, 0], boxes[:, 0].tolist(), strict=True):
        if label < 0:
            continue
        looked += 1
        lit = (picture > picture.max() / 2).nonzero().float()
        low, high = lit.min(dim=0).values, lit.max(dim=0).values + 1
        found = [float(low[1]), float(low[0]), float(high[1]), float(high[0])]
        said = [(x - w / 2) * 120, (y - h / 2) * 80, (x + w / 2) * 120, (y + h / 2) * 80]
        if name in UPRIGHT:
            assert found == pytest.approx(said, abs=1.5)
        else:  # the upright box around one that is turned is no smaller
            assert said[0] - 1.5 <= found[0] <= found[2] <= said[2] + 1.5
            assert said[1] - 1.5 <= found[1] <= found[3] <= said[3] + 1.5
    assert looked >= 8


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_change_as_they_do_without_boxes(name: str) -> None:
    values, boxes = drawn()
    plain = augmentation(name, "picture")
    assert plain is not None
    assert plain.items is not None
    torch.testing.assert_close(changed(name, values, boxes, seed=5)[0], seeded(plain.items, values, 5))
    again = changed(name, values, boxes, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(changed(name, values, boxes, seed=5), again, strict=True))


def test_a_box_that_is_mostly_gone_is_there_no_more() -> None:
    """Over many draws every box that is left keeps its share inside, and some are lost."""
    random = torch.Generator().manual_seed(1)
    boxes = torch.zeros(400, 1, 5)
    boxes[:, 0, :2] = (torch.rand(400, 2, generator=random) > 0.5).float() * 0.9 + 0.05  # in the corners
    boxes[:, 0, 2:4] = 0.1
    _, found = changed("scene", torch.zeros(400, 3, 32, 32), boxes, seed=2)
    kept = found[:, 0, 4] >= 0
    assert 40 < int((~kept).sum()) < 360
    area = found[kept, 0, 2:4].prod(dim=1)
    assert (area >= KEPT * 0.1**2 * 0.6**2 * 0.99).all()  # no less than the share of what scaling left
    corners = torch.cat([found[kept, 0, :2] - found[kept, 0, 2:4] / 2, found[kept, 0, :2] + found[kept, 0, 2:4] / 2])
    assert corners.min() >= -1e-6
    assert corners.max() <= 1 + 1e-6


def test_of_an_ignored_box_whatever_is_left_is_there() -> None:
    boxes = torch.zeros(400, 2, 5)
    boxes[..., :2], boxes[..., 2:4], boxes[:, 1, 4] = 0.08, 0.1, -2
    _, found = changed("scene", torch.zeros(400, 3, 32, 32), boxes, seed=2)
    torch.testing.assert_close(found[:, 0, :4], found[:, 1, :4])
    area = found[:, 0, 2:4].prod(dim=1)
    thing, ignored = found[..., 4].T
    assert torch.equal(ignored == -2, area > 0)
    assert int(((thing == -1) & (ignored == -2)).sum()) > 20


def test_signs_are_never_mirrored() -> None:
    """A picture with its left half lit stays lighter on the left, whatever its box."""
    values = torch.zeros(64, 3, 48, 48)
    values[..., 12:22] = 1
    found, _ = changed("signs", values, torch.full((64, 1, 5), -1.0), seed=0)
    mirrored, _ = changed("scene", values, torch.full((64, 1, 5), -1.0), seed=0)
    middle = torch.arange(48.0)

    def beside(pictures: Tensor) -> Tensor:  # where the light is, in pixels
        light = pictures.sum(dim=(1, 2))
        return (light * middle).sum(dim=1) / light.sum(dim=1).clamp_min(1e-6)

    assert beside(found).median() < 22
    assert beside(mirrored).std() > beside(found).std()
