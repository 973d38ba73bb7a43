"""Tiles, colours and letters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.drawing import (
    GAP,
    MARGIN,
    Tile,
    coloured,
    fitted,
    grey,
    lettering,
    roomy,
    scaled,
    signed,
    tiled,
    write_picture,
)
from likewise.errors import DataError


def flat(value: int, height: int = 4, width: int = 4, channels: int = 1) -> np.ndarray:
    return np.full((height, width, channels), value, np.uint8)


def test_tiles_lie_row_after_row() -> None:
    found = np.asarray(tiled([Tile(flat(v)) for v in (10, 60, 110, 160, 210)], side=20, columns=3))
    places = [(row, column) for row in range(2) for column in range(3)][:5]
    for (row, column), value in zip(places, (10, 60, 110, 160, 210), strict=True):
        y, x = MARGIN + row * (20 + GAP), MARGIN + column * (20 + GAP)
        assert (found[y : y + 20, x : x + 20] == value).all()


def test_what_is_enlarged_keeps_its_squares_and_what_is_shrunk_its_shape() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 40
    large = np.asarray(scaled(pixels, 31))
    assert large.shape == (20, 30, 3)  # ten times, the most that fits
    np.testing.assert_array_equal(large[::10, ::10, 0], pixels[..., 0])
    assert scaled(flat(9, 400, 100), 50).size == (12, 50)


def test_a_caption_is_written_below_and_cut_where_there_is_no_room() -> None:
    tile = Tile(flat(0, 10, 10), "x" * 200)
    found = np.asarray(tiled([tile], side=40, columns=1))
    assert found.shape[1] < 40 * 2 + 2 * MARGIN
    below = found[MARGIN + 40 + 2 :, :, 0]
    assert (below < 200).any()  # letters
    text = fitted("a/very/long/name.png", 60, lettering(13))
    assert text.startswith("a")
    assert text.endswith("g")
    assert "…" in text
    assert lettering(13).getlength(text) <= 60
    assert fitted("ok", 60, lettering(13)) == "ok"


@pytest.mark.parametrize("values", [np.array([0.0, 0.5, 1.0, 2.0])])
def test_grey_goes_from_black_to_white(values: np.ndarray) -> None:
    assert grey(values, 1.0)[:, 0].tolist() == [0, 128, 255, 255]
    assert grey(np.zeros(2), 0.0).max() == 0


def test_signed_is_white_at_0_and_has_a_colour_for_each_side() -> None:
    low, zero, high = signed(np.array([-3.0, 0.0, 3.0]), 3.0).tolist()
    assert zero == [255, 255, 255]
    assert low[2] > low[0] + 100  # blue
    assert high[0] > high[2] + 100  # vermilion
    assert signed(np.array([-1.5]), 3.0)[0, 0] == round((255 + low[0]) / 2)
    assert (coloured(np.array([0.0, 1.0]), 1.0) == grey(np.array([0.0, 1.0]), 1.0)).all()
    assert (coloured(np.array([-1.0, 1.0]), 1.0) == signed(np.array([-1.0, 1.0]), 1.0)).all()


def test_what_is_narrow_gets_more_room() -> None:
    assert roomy((3, 3), 72) == 72
    assert roomy((40, 5), 72) == 160
    assert roomy((1, 1000), 72) == 200


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    write_picture(Image.new("RGB", (3, 2)), tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").size == (3, 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError):
        write_picture(Image.new("RGB", (3, 2)), tmp_path / "file" / "a.png")
