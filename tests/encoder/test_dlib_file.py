"""Networks as dlib writes them: read back what was written by the same description, and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from dlib_written import (
    affine,
    convolution,
    full,
    integer,
    integers,
    network,
    plain,
    pool,
    real,
    tensor,
    text,
    views,
)

from likewise.encoder.dlib_file import Network, read_network
from likewise.errors import ModelError

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(2, 3, 3, 3)).astype(np.float32)
BIASES, FACTORS, SHIFTS = RNG.normal(size=(3, 2)).astype(np.float32)
FULL = RNG.normal(size=(2, 4)).astype(np.float32)
SMALL = network(
    convolution(WEIGHTS, BIASES, stride=2, padding=0),
    affine(FACTORS, SHIFTS),
    plain("relu_"),
    pool("max_pool_2", 3, 3, 2, 2, 0, 0),
    pool("avg_pool_2", 0, 0, 1, 1, 0, 0),
    full(FULL),
)


def read(tmp_path: Path, content: bytes) -> Network:
    file = tmp_path / "network.dat"
    file.write_bytes(content)
    return read_network(file)


def refused(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(ModelError) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, SMALL)
    kind, margin, threshold = found.loss
    assert kind == "loss_metric_2"
    assert (margin, threshold) == pytest.approx((0.04, 0.6), abs=1e-7)
    assert found.input[0] == "input_rgb_image_sized"
    assert found.input[1:4] == pytest.approx((122.782, 117.001, 104.298), abs=1e-4)
    assert found.input[4:] == (150, 150)
    assert [(layer.kind, layer.options) for layer in found.layers] == [
        ("con", (2, 3, 3, 2, 2, 0, 0)),
        ("affine", (0,)),
        ("relu", ()),
        ("max_pool", (3, 3, 2, 2, 0, 0)),
        ("avg_pool", (0, 0, 1, 1, 0, 0)),
        ("fc", (4, 2, 1)),
    ]
    expected = [(WEIGHTS, BIASES), (FACTORS, SHIFTS), (), (), (), (FULL,)]
    for layer, parts in zip(found.layers, expected, strict=True):
        np.testing.assert_array_equal(layer.numbers, np.concatenate([p.reshape(-1) for p in parts] or [np.empty(0)]))


def test_examples_of_the_description_are_what_is_written() -> None:
    assert integer(150) == bytes.fromhex("0196")
    assert integer(-4) == bytes.fromhex("8104")
    assert integer(4736) == bytes.fromhex("028012")


def test_cut_anywhere_is_refused(tmp_path: Path) -> None:
    for length in range(len(SMALL)):
        # A file of whole layers is a network too, a shorter one: what it should be is known to whoever asked for it.
        if SMALL[:length] in SHORTER:
            assert len(read(tmp_path, SMALL[:length]).layers) == SHORTER[SMALL[:length]]
        else:
            refused(tmp_path, SMALL[:length])


def _shorter() -> dict[bytes, int]:
    starts = [match.start() - 2 for match in re.finditer(rb"affine_|relu_|max_pool_2|avg_pool_2|fc_2", SMALL)]
    return {SMALL[:start]: count for count, start in enumerate(starts, start=1)}


SHORTER = _shorter()


@pytest.mark.parametrize("more", [b"\0", b"\x01", SMALL])
def test_what_follows_the_last_layer_is_refused(tmp_path: Path, more: bytes) -> None:
    refused(tmp_path, SMALL + more)


def test_any_altered_byte_is_refused_in_one_line_or_changes_a_value(tmp_path: Path) -> None:
    file = tmp_path / "network.dat"
    file.write_bytes(SMALL)
    for place in range(len(SMALL)):
        for mask in (0x01, 0x80, 0xFF):
            altered = bytearray(SMALL)
            altered[place] ^= mask
            with file.open("r+b") as stream:  # in place: new files take ten times as long
                stream.write(altered)
            try:
                found = read_network(file)
            except ModelError as error:
                assert "\n" not in str(error)  # noqa: PT017 - any other error fails the test
            else:
                assert len(found.layers) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"not a network at all, but text",
        bytes(1000),
        b"\x01\x01" * 10_000,  # versions without end
        b"\x80\x05stuff",  # a pickle
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    assert "network written by dlib" in refused(tmp_path, content)


@pytest.mark.parametrize("shape", [(2**62, 1, 1, 1), (2**31, 2**31, 2**31, 2**31), (-1, 1, 1, 1)])
def test_a_claimed_size_is_not_believed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    good = tensor(np.concatenate([WEIGHTS.reshape(-1), BIASES]))
    bad = integers(2, *shape) + good[-4:]
    started = time.perf_counter()
    line = refused(tmp_path, SMALL.replace(good, bad))
    assert "not there" in line or "shape" in line
    assert time.perf_counter() - started < 5  # nothing was allocated by it


def test_a_layer_of_another_kind_or_version_is_named(tmp_path: Path) -> None:
    assert "con_9" in refused(tmp_path, network(convolution(WEIGHTS, BIASES, 2, 0, kind="con_9")))
    assert "dropout_" in refused(tmp_path, network(convolution(WEIGHTS, BIASES, 2, 0), plain("dropout_")))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_are_finite(tmp_path: Path, value: float) -> None:
    weights = WEIGHTS.copy()
    weights[1, 2, 0, 0] = value
    assert "not finite" in refused(tmp_path, network(convolution(weights, BIASES, 2, 0)))


def test_weights_and_biases_make_up_their_tensor(tmp_path: Path) -> None:
    shape = views(WEIGHTS.shape)
    assert "parts of" in refused(tmp_path, SMALL.replace(shape, views((2, 3, 3, 2))))


def test_a_network_in_training_is_refused(tmp_path: Path) -> None:
    empty = integers(2, 0, 0, 0, 0)
    state = tensor(np.ones(3, np.float32))
    layer = plain("relu_")
    held = layer[: -len(empty)] + state
    assert "state of training" in refused(tmp_path, SMALL.replace(layer, held))


def test_an_infinite_real_is_refused(tmp_path: Path) -> None:
    infinite = integers(0, 32000)  # as dlib writes it
    assert "exponent" in refused(tmp_path, SMALL.replace(real(0.04), infinite, 1))


def test_text_is_text(tmp_path: Path) -> None:
    assert "no text" in refused(tmp_path, SMALL.replace(text("relu_"), b"\x01\x05rel\xff_"))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_network(tmp_path / "none.dat")
    with pytest.raises(ModelError, match="directory"):
        read_network(tmp_path)
