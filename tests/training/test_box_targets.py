"""What a grid is to find, and learning it with the one `fit`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_scenes import NAMES, scenes

import likewise as lw
from likewise.encoder import Pictures
from likewise.errors import DataError, UsageError
from likewise.objective import Yolo
from likewise.training import fit, memory
from likewise.training.batches import box_targets
from likewise.training.memory import check_memory

HEAD = lw.Head("detect", NAMES, per_cell=2, stride=8)


def network(side: int = 64) -> lw.Encoder:
    return lw.Encoder("darknet-tiny", head=HEAD, preprocessing=Pictures(1, side, side, "pad"))


def test_targets_are_shares_of_the_page() -> None:
    data = scenes(1, height=32, width=64)
    data = replace(data, boxes=(np.array([[16.0, 8, 32, 16]]),), labels=(np.array([1]),), ignored=(np.array([False]),))
    encoder = network()
    found = box_targets(encoder, data, encoder.ready())
    assert found.tolist() == [[[0.5, 0.5, 0.5, 0.25, 1.0]]]  # 16 of 64 rows lie above the picture


def test_ignored_boxes_are_neither_to_be_found_nor_background() -> None:
    data = scenes(6)
    ignored = replace(data, ignored=tuple(np.arange(len(each)) == 0 for each in data.labels))
    encoder = network()
    found, whole = (box_targets(encoder, each, encoder.ready()) for each in (ignored, data))
    assert [int((each[:, 4] >= 0).sum()) for each in found] == [len(each) - 1 for each in data.labels]
    assert (found[:, 0, 4] == -2).all()
    assert torch.equal(found[..., :4], whole[..., :4])


def test_where_something_is_ignored_its_cells_have_no_gradient() -> None:
    """All of one picture ignored, nothing of another: of the first, only cells beside what it shows learn."""
    data = scenes(2)
    data = replace(data, ignored=(np.ones(len(data.labels[0]), bool), data.ignored[1]))
    encoder = network()
    outputs = torch.full((2, 8, 8, 2 * 5 + len(NAMES)), 0.5, requires_grad=True)
    Yolo(2)(outputs, box_targets(encoder, data, encoder.ready())).backward()
    assert outputs.grad is not None
    learned = (outputs.grad[0] != 0).any(dim=-1).numpy()
    for x, y, width, height in data.boxes[0] / 8:
        assert not learned[int(y) : int(np.ceil(y + height)), int(x) : int(np.ceil(x + width))].any()
    assert learned.any()


def test_the_loss_falls_and_runs_repeat() -> None:
    histories = [
        fit(encoder, scenes(64), Yolo(2), validation=scenes(32, 1), epochs=6, precision="float32", augment="scene")
        for encoder in (network(), network())
    ]
    losses = [[epoch.loss for epoch in history.epochs] for history in histories]
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.6 * losses[0][0]
    assert histories[0].select == "loss"


def test_a_picture_without_boxes_is_learned_from() -> None:
    data = scenes(32)
    bare = replace(
        data, boxes=(np.empty((0, 4)), *data.boxes[1:]), labels=(np.empty(0, int), *data.labels[1:]),
        ignored=(np.empty(0, bool), *data.ignored[1:]),
    )  # fmt: skip
    history = fit(network(), bare, Yolo(2), epochs=1, precision="float32")
    assert np.isfinite(history.epochs[0].loss)


def test_stages_that_are_fixed_stay() -> None:
    encoder = network()
    encoder.fix("conv2")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    fit(encoder, scenes(32), Yolo(2), epochs=1, precision="float32", augment="scene")
    after = encoder.state_dict()
    assert torch.equal(before["stages.conv2.0.weight"], after["stages.conv2.0.weight"])
    assert not torch.equal(before["stages.conv3.0.weight"], after["stages.conv3.0.weight"])


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UsageError, match="learned from by yolo"):
        fit(network(), scenes(8), lw.Multiclass())
    with pytest.raises(UsageError, match="head that detects"):
        fit(lw.Encoder("convnet-small", 11), scenes(8), Yolo(2))
    other = lw.Head("detect", ("cat", "dog"), per_cell=2, stride=8)
    with pytest.raises(UsageError, match="their classes"):
        fit(lw.Encoder("darknet-tiny", head=other, size=64, resize="pad"), scenes(8), Yolo(2))
    with pytest.raises(UsageError, match="aspect ratio"):
        fit(lw.Encoder("darknet-tiny", head=HEAD, size=64), scenes(8, width=32), Yolo(2))
    with pytest.raises(UsageError, match="a number of them"):
        fit(network(), scenes(8), Yolo(2), batch=(2, 4))


def test_more_pictures_than_memory_holds_are_refused() -> None:
    how = Pictures(1, 320, 320, "pad")  # 102,400 bytes each
    check_memory(10, how, 2 * 1_024_000)
    with pytest.raises(DataError, match=r"0\.9 GiB for 9,000 of 320 x 320, where 1\.0 are free.*smaller --size"):
        check_memory(9000, how, 2**30)


def test_training_asks_whether_memory_holds_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free_memory", lambda: 1000)
    with pytest.raises(DataError, match="half of the free memory"):
        fit(network(), scenes(8), Yolo(2))


def test_nothing_to_find_is_nothing_to_learn() -> None:
    data = scenes(4)
    nothing = replace(data, ignored=tuple(np.ones(len(each), bool) for each in data.labels))
    with pytest.raises(DataError, match="Training needs boxes"):
        fit(network(), nothing, Yolo(2))
