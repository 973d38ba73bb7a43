"""Pictures: what is chosen from the data, how pictures are resized and standardised, what happens to bad ones."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.data import zip_folder
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, ModelError, UsageError


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_grey_pictures_of_one_size_keep_it() -> None:
    found = Pictures.of(noise(5, 20, 30))
    assert found.shape == (1, 20, 30)
    assert (found.mean, found.std, found.resize) == ((0.5,), (0.5,), "squash")


def test_one_picture_in_colour_makes_all_colour() -> None:
    items = [png(noise(9, 9)), png(noise(9, 9, 3)), png(noise(9, 9))]
    assert Pictures.of(items).shape == (3, 9, 9)
    assert Pictures.of(items[::2]).shape == (1, 9, 9)


def test_colour_is_left_out_where_asked() -> None:
    items = [noise(9, 9, 3, seed=seed) for seed in (1, 2)]
    grey = Encoder("mlp", 4, grey=True).suiting(items)
    assert isinstance(grey, Pictures)
    assert (grey.shape, grey.mean, grey.std) == ((1, 9, 9), (0.5,), (0.5,))
    luma = np.array(Image.fromarray(items[0]).convert("L"))
    assert (grey.decode(items).values[0, 0].numpy() == luma).all()


def test_an_unreadable_first_item_does_not_decide() -> None:
    assert Pictures.of([b"", png(noise(12, 7)), b"text"]).shape == (1, 12, 7)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(10, 20), (12, 26), (40, 22)], (12, 22)),  # the median of each side
        ([(300, 400), (300, 400)], (96, 128)),  # at most 128 on the longer side, the ratio kept
        ([(400, 300)], (128, 96)),
        ([(2, 1000)], (1, 128)),
        ([(128, 128)], (128, 128)),
    ],
)
def test_other_sizes_are_brought_to_their_median(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert Pictures.of([noise(*size) for size in sizes]).shape[1:] == expected


@pytest.mark.parametrize(("size", "expected"), [(17, (17, 17)), ((5, 9), (5, 9))])
def test_the_size_can_be_said(size: object, expected: tuple[int, int]) -> None:
    assert Pictures.of(noise(3, 20, 30), size).shape == (1, *expected)


def test_of_looks_at_a_sample_that_reaches_to_the_end() -> None:
    items = [noise(8, 8)] * 999 + [noise(8, 8, 3)]
    assert Pictures.of(items).channels == 3


@pytest.mark.parametrize("items", [[], [b"no picture"], np.empty((0, 4, 4), np.uint8)])
def test_nothing_readable_is_refused(items: object) -> None:
    with pytest.raises(DataError, match="At least one item can be read"):
        Pictures.of(items)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((2, 8, 8, "squash", (0.5, 0.5), (0.5, 0.5)), "1 or 3 channels"),
        ((1, 0, 8), "1 to 4096 pixels"),
        ((1, 8, 4097), "1 to 4096 pixels"),
        ((3, 8, 8), "one mean and one positive std"),
        ((1, 8, 8, "squash", (0.5,), (0.0,)), "one mean and one positive std"),
        ((1, 8, 8, "stretch"), "squash, pad or crop"),
    ],
)
def test_impossible_preprocessing_is_refused(values: tuple[object, ...], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        Pictures(*values)


def test_of_refuses_what_cannot_work() -> None:
    for arguments in ({"size": 0}, {"size": -1}, {"size": (4, 0)}, {"resize": "stretch"}):
        with pytest.raises(UsageError):
            Pictures.of(noise(2, 8, 8), **arguments)


def test_standardised_agrees_with_numpy() -> None:
    pixels = noise(50, 3, 6, 7) // np.array([1, 2, 3], np.uint8)[:, None, None]
    found = Pictures(3, 6, 7, mean=(0.5,) * 3, std=(0.5,) * 3).standardised(torch.from_numpy(pixels))
    scaled = pixels.astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)


def test_one_flat_colour_standardises_to_finite_numbers() -> None:
    found = Pictures(1, 4, 4).standardised(torch.full((3, 1, 4, 4), 255, dtype=torch.uint8))
    assert found.mean == (1.0,)
    assert found.std[0] > 0


def test_squash_pad_and_crop() -> None:
    wide = np.zeros((10, 20), np.uint8)
    wide[:, 5:15] = 255  # a white square in the middle of a black strip
    squash, pad, crop = (Pictures(1, 10, 10, how).one(wide).values[:, :, 0] for how in ("squash", "pad", "crop"))
    assert (crop == 255).all()  # both black ends are cut off
    assert (squash[:, 0] == 0).all()
    assert (squash[:, -1] == 0).all()
    assert (squash[:, 4:6] == 255).all()
    assert (pad[:2] == 0).all()  # the strip is half as high now; black above and below
    assert (pad[-2:] == 0).all()
    assert (pad[4:6, 4:6] == 255).all()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = noise(9, 7, 3)
    assert (Pictures(3, 9, 7, mean=(0.5,) * 3, std=(0.5,) * 3).one(picture).values == picture).all()


def test_colour_becomes_grey_and_grey_becomes_colour() -> None:
    grey = noise(5, 5)
    three = Pictures(3, 5, 5, mean=(0.5,) * 3, std=(0.5,) * 3).one(grey).values
    assert (three == grey[:, :, None]).all()
    red = np.zeros((5, 5, 3), np.uint8)
    red[..., 0] = 255
    assert (Pictures(1, 5, 5).one(red).values == 76).all()  # 0.299 x 255, the luma of ITU-R BT.601


def test_decode_keeps_the_order_and_reports_what_is_bad(tmp_path: Path) -> None:
    pictures = noise(600, 6, 5)
    items: list[object] = [png(p) if i % 3 else p for i, p in enumerate(pictures)]
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(png(noise(40, 40))[:300])
    bad = {
        7: tmp_path / "text.jpg",
        300: tmp_path / "empty.png",
        301: tmp_path / "cut.png",
        599: tmp_path / "not there.png",
    }
    for i, item in bad.items():
        items[i] = item
    told: list[tuple[int, int]] = []
    found = Pictures(1, 6, 5).decode(items, lambda done, total, _: told.append((done, total)))
    kept = np.setdiff1d(np.arange(600), list(bad))
    assert (found.kept == kept).all()
    assert (found.values.numpy()[:, 0] == pictures[kept]).all()
    assert [i for i, _ in found.problems] == list(bad)
    for (_, reason), path in zip(found.problems, bad.values(), strict=True):
        assert path.name in reason
        assert "\n" not in reason
    assert told[-1] == (600, 600)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_decode_of_an_array_is_a_copy_in_order() -> None:
    array = noise(9, 6, 5)
    for given in (array, array[..., None], array[::-1][::-1]):
        found = Pictures(1, 6, 5).decode(given)
        assert (found.values.numpy()[:, 0] == array).all()
    found.values[:] = 0
    assert array.any()


def test_an_array_with_nan_in_one_item_loses_that_item_only() -> None:
    array = np.random.default_rng(0).random((4, 6, 5))
    array[2, 3, 3] = np.nan
    found = Pictures(1, 6, 5).decode(array)
    assert found.kept.tolist() == [0, 1, 3]
    assert found.problems[0][0] == 2
    assert "[0, 1]" in found.problems[0][1]


def test_members_of_a_zip_are_read_in_place(tmp_path: Path, tree: Path) -> None:
    import shutil

    data = zip_folder(shutil.make_archive(str(tmp_path / "tree"), "zip", tree))
    found = Pictures(1, 20, 16).decode(data.sources)
    assert (found.values.numpy()[0, 0] == np.asarray(Image.open(tree / "person 0" / "0.png"))).all()
    assert len(found.kept) == 24


def test_a_file_without_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(noise(6, 5)))
    secret.chmod(0)
    if os.geteuid() == 0:  # root reads everything: play the refusal

        def refuse(self: Path, *_: object) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
    found = Pictures(1, 6, 5).decode([secret, noise(6, 5)])
    assert found.kept.tolist() == [1]
    assert "secret.png" in found.problems[0][1]


def test_it_survives_json() -> None:
    import json

    shape = Pictures(3, 30, 20, "pad", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Pictures.from_dict(json.loads(json.dumps(shape.as_dict()))) == shape


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "sound"},
        {"channels": 2},
        {"channels": "1"},
        {"channels": 1.0},
        {"height": 12.5},
        {"height": True},
        {"mean": 0.5},
        {"mean": [0.5, 0.5]},
        {"mean": ["half"]},
        {"std": [-1.0]},
        {"std": [float("nan")]},
        {"resize": "stretch"},
    ],
)
def test_a_damaged_description_is_a_model_error(change: dict[str, object]) -> None:
    with pytest.raises(ModelError) as caught:
        Pictures.from_dict(Pictures(1, 8, 8).as_dict() | change)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_a_model_error() -> None:
    for key in Pictures(1, 8, 8).as_dict():
        values = Pictures(1, 8, 8).as_dict()
        del values[key]
        with pytest.raises(ModelError):
            Pictures.from_dict(values)
