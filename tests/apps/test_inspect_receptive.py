"""A receptive field is all that an answer depends on, and no more: tried by changing items."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from likewise.apps.inspect import receptive_field
from likewise.apps.inspect.subject import on_grid
from likewise.encoder import Encoder, Pictures, Sounds


def encoder_of(backbone: str, channels: int, height: int, width: int) -> Encoder:
    half = (0.5,) * channels
    return Encoder(backbone, 4, preprocessing=Pictures(channels, height, width, mean=half, std=half), seed=0).eval()


def open_copy(encoder: Encoder, seed: int) -> Encoder:
    """The same in double precision with weights above 0, so that whatever grows makes all that depends on it grow."""
    found, generator = deepcopy(encoder).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in found.stages.parameters():
            drawn = (0.5 + torch.rand(parameter.shape, generator=generator)) / parameter[0].numel()
            parameter.copy_(drawn if parameter.ndim > 1 else torch.zeros(()))  # a bias would be there without any item
        for module in found.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(1.0)
    return found


def reached(encoder: Encoder, tap: str, axis: int) -> np.ndarray:
    """(places, 2) the first row (axis 2) or column (3) whose change changes a place, and the first after the last.

    From an item of zeros one row or column is lit at a time: where nothing is above 0, a maximum is of what is lit.
    """
    copy = open_copy(encoder, seed=1)
    shape = encoder.ready().shape
    size = shape[axis - 1]
    changed = []
    with torch.inference_mode():
        for line in range(size):
            lit = torch.zeros(1, *shape, dtype=torch.float64)
            lit.select(axis, line).fill_(1.0)
            answers = on_grid(copy, tap, copy.from_features(lit, [tap])[tap])[0]
            changed.append((answers != 0).any(dim=0).any(dim=3 - axis))
    table = torch.stack(changed).numpy()  # (lines, places)
    return np.stack([table.argmax(axis=0), size - table[::-1].argmax(axis=0)], axis=1)


@pytest.mark.parametrize(
    ("backbone", "shape"),
    [
        ("linear", (1, 6, 5)), ("mlp", (1, 6, 5)), ("tutorial", (1, 28, 24)), ("convnet-small", (1, 28, 28)),
        ("convnet-small", (3, 40, 20)), ("convnet", (1, 24, 32)),
        pytest.param("resnet-18", (1, 48, 64), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_it_is_what_a_change_reaches(backbone: str, shape: tuple[int, int, int]) -> None:
    encoder = encoder_of(backbone, *shape)
    for tap in encoder.taps:
        found = receptive_field(encoder, tap)
        np.testing.assert_array_equal(found.rows, reached(encoder, tap, 2), err_msg=tap)
        np.testing.assert_array_equal(found.columns, reached(encoder, tap, 3), err_msg=tap)


@pytest.mark.slow
def test_that_of_dlib(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of("dlib-face", 3, 150, 150)
    for tap in ("stem", "level64"):
        found = receptive_field(encoder, tap)
        np.testing.assert_array_equal(found.rows, reached(encoder, tap, 2), err_msg=tap)


def test_known_sizes() -> None:
    """Of ResNet-18 as published: 11 pixels after the pooling of the stem, 43 after the first blocks, every 4 pixels."""
    encoder = encoder_of("resnet-18", 1, 128, 128)
    stem, first = (receptive_field(encoder, tap) for tap in ("stem", "block1"))
    middle = len(stem.rows) // 2
    assert (stem.rows[middle, 1] - stem.rows[middle, 0], first.rows[middle, 1] - first.rows[middle, 0]) == (11, 43)
    assert (np.diff(stem.rows[3:-3, 0]) == 4).all()


@pytest.mark.parametrize("tap", ["conv1", "conv2", "conv3"])
def test_what_lies_outside_does_not_matter(tap: str) -> None:
    encoder = encoder_of("convnet-small", 3, 40, 40)
    field = receptive_field(encoder, tap)
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(1, 3, 40, 40, generator=rng)
    with torch.inference_mode():
        maps = encoder.from_features(features, [tap])[tap]
        for row, column in ((0, 0), (1, maps.shape[3] - 1), (maps.shape[2] // 2, maps.shape[3] // 2)):
            top, bottom, left, right = field.box(row, column)
            other = torch.randn(1, 3, 40, 40, generator=rng)
            other[:, :, top:bottom, left:right] = features[:, :, top:bottom, left:right]
            again = encoder.from_features(other, [tap])[tap]
            torch.testing.assert_close(again[0, :, row, column], maps[0, :, row, column], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["conv-gru", "conv-lstm"])
def test_of_a_stream_it_is_what_was_heard_by_then(backbone: str) -> None:
    how = Sounds.at(8000, 1.5, streamed=True)
    encoder = Encoder(backbone, 1, preprocessing=how, seed=0).eval()
    times = encoder.step_times
    assert times is not None
    for tap in ("conv2", "recurrent", "embedding"):
        found = receptive_field(encoder, tap)
        steps = np.arange(len(found.columns))
        heard = 1 + (times.heard(steps) - how.window) // how.hop  # frames that are whole by then
        np.testing.assert_array_equal(found.columns[:, 1], heard)
        assert found.rows.tolist() == [[0, how.mels]]
        assert tap == "conv2" or (found.columns[:, 0] == 0).all()
