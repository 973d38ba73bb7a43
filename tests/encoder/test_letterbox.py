"""Boxes on their way to the network and back, against where pixels go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.encoder import Pictures, clipped, from_page, to_page
from likewise.errors import UsageError
from likewise.media.pictures import resize_picture

sides = st.integers(1, 700)


def how(height: int, width: int, resize: str = "pad") -> Pictures:
    return Pictures(1, height, width, resize)  # pyright: ignore[reportArgumentType]


@settings(max_examples=100, deadline=None)
@given(sides, sides, st.sampled_from([(64, 64), (224, 224), (96, 160)]), st.integers(0, 2**31))
def test_there_and_back(rows: int, columns: int, page: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.random((2, 5, 2)), axis=0)
    boxes = np.concatenate([ends[0], ends[1] - ends[0]], axis=1) * np.tile([columns, rows], 2)
    placed = to_page(boxes, (rows, columns), how(*page))
    np.testing.assert_allclose(from_page(placed, (rows, columns), how(*page)), boxes, rtol=1e-12, atol=1e-9)
    assert (placed[:, :2] - placed[:, 2:] / 2 >= -1e-9).all()  # inside the picture is inside the page
    assert (placed[:, :2] + placed[:, 2:] / 2 <= 1 + 1e-9).all()


@pytest.mark.parametrize("size", [(100, 300), (300, 100), (64, 64), (33, 517), (640, 480)])
def test_a_box_goes_where_its_pixels_go(size: tuple[int, int]) -> None:
    rows, columns = size
    x, y, width, height = columns // 4, rows // 3, columns // 2, rows // 3
    picture = np.zeros((rows, columns, 1), np.uint8)
    picture[y : y + height, x : x + width] = 255
    page = resize_picture(picture, 128, 160, "pad")[..., 0]
    (placed,) = to_page(np.array([[x, y, width, height]], float), size, how(128, 160))
    left, top = (placed[:2] - placed[2:] / 2) * (160, 128)
    right, bottom = (placed[:2] + placed[2:] / 2) * (160, 128)
    # Light that falls on the page in each direction, in whole pixels.
    assert page.max(axis=0).astype(float).sum() / page.max() == pytest.approx(right - left, abs=1.01)
    lit = np.argwhere(page > page.max() / 2)
    assert lit.min(axis=0) == pytest.approx([top, left], abs=1)
    assert lit.max(axis=0) + 1 == pytest.approx([bottom, right], abs=1)


def test_what_reaches_over_the_edge_is_cut_off() -> None:
    boxes = np.array([[-5, 10, 20, 30], [90, 40, 50, 50], [200, 200, 5, 5], [10, 10, 5, 5]], float)
    expected = [[0, 10, 15, 30], [90, 40, 10, 20], [100, 60, 0, 0], [10, 10, 5, 5]]
    assert clipped(boxes, (60, 100)).tolist() == expected


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_pictures_keep_their_aspect_ratio(resize: str) -> None:
    with pytest.raises(UsageError, match="aspect ratio"):
        to_page(np.zeros((1, 4)), (10, 10), how(64, 64, resize))
