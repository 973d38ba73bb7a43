"""Encoders with an output at every cell of a grid."""

import pytest
import torch

from likewise.encoder import BACKBONES, Encoder, Head, Pictures
from likewise.errors import UsageError
from likewise.objective import grid_of

HEAD = Head("detect", ("cat", "dog"), per_cell=2, stride=16)


def pictures(height=64, width=96, channels=3):
    return Pictures(channels, height, width, "pad", (0.5,) * channels, (0.25,) * channels)


@pytest.mark.parametrize(
    ("backbone", "stride"),
    [("convnet-small", 8), ("convnet-small", 16), ("darknet-tiny", 16), ("darknet-tiny", 32), ("convnet", 8),
     ("resnet-18", 32)],
)  # fmt: skip
def test_there_is_an_output_at_every_cell(backbone, stride):
    encoder = Encoder(
        backbone, head=Head("detect", ("cat", "dog"), per_cell=2, stride=stride), preprocessing=pictures()
    )
    found = encoder.embed(torch.zeros(3, 3, 64, 96, dtype=torch.uint8))
    assert found.shape == (3, 64 // stride, 96 // stride, 12) == (3, *encoder.embedded)
    assert "neck" in encoder.taps


@pytest.mark.parametrize("backbone", ["linear", "mlp"])
def test_a_backbone_without_places_has_no_grid(backbone):
    with pytest.raises(UsageError, match="Cells of this backbone"):
        Encoder(backbone, head=HEAD, preprocessing=pictures())


def test_sides_are_multiples_of_a_cell():
    with pytest.raises(UsageError, match="16 pixels"):
        Encoder("convnet-small", head=HEAD, preprocessing=pictures(height=72))


def test_an_output_sees_its_own_cell():
    """Moving the picture by one cell moves the outputs by one, away from the edges."""
    encoder = Encoder(
        "darknet-tiny", head=Head("detect", ("a",), per_cell=1, stride=8), preprocessing=pictures(256, 256)
    )
    random = torch.Generator().manual_seed(0)
    page = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    page[:, :, 96:160, 96:160] = torch.randint(0, 256, (1, 3, 64, 64), generator=random, dtype=torch.uint8)
    found, moved = encoder.embed(page), encoder.embed(page.roll((8, 16), (2, 3)))
    assert torch.allclose(found.roll((1, 2), (1, 2))[:, 8:-8, 8:-8], moved[:, 8:-8, 8:-8], atol=1e-5)
    assert not torch.allclose(found[:, 8:-8, 8:-8], moved[:, 8:-8, 8:-8], atol=1e-5)


def test_the_boxes_of_a_cell_begin_unlike_each_other_and_in_its_middle():
    encoder = Encoder("convnet-small", head=HEAD, preprocessing=pictures())
    boxes = grid_of(encoder.embed(torch.zeros(1, 3, 64, 96, dtype=torch.uint8)), 2).boxes
    assert boxes[0, 1, 2, :, :2].tolist() == [pytest.approx([2.5 / 6, 1.5 / 4], abs=0.03)] * 2
    assert boxes[0, ..., 0, 2:].max() < boxes[0, ..., 1, 2:].min()


def test_it_is_described_and_made_again(tmp_path):
    encoder = Encoder("darknet-tiny", head=HEAD, preprocessing=pictures(), seed=3)
    encoder.write_parameters(tmp_path)
    again = Encoder.read(encoder.architecture(), tmp_path)
    items = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert again.head == HEAD
    assert again.fingerprint() == encoder.fingerprint()
    assert torch.equal(again.embed(items), encoder.embed(items))


def test_it_begins_with_the_stages_of_an_encoder_of_the_same_backbone():
    embedding = Encoder("convnet-small", 8, preprocessing=pictures(64, 64), seed=1)
    detecting = embedding.with_head(HEAD, seed=2, preprocessing=pictures(128, 128))
    assert torch.equal(detecting.stages["conv2"][0].weight, embedding.stages["conv2"][0].weight)
    assert detecting.embedded == (8, 8, 12)


def test_colour_and_grey(tmp_path):
    for channels in (1, 3):
        encoder = Encoder("convnet-small", head=HEAD, preprocessing=pictures(channels=channels))
        assert encoder.embed(torch.zeros(1, channels, 64, 96, dtype=torch.uint8)).shape == (1, 4, 6, 12)


def test_every_backbone_of_places_is_left_as_it_was_made():
    """Finding out what a stage gives changes none of its running figures."""
    stages = BACKBONES["convnet-small"]((3, 64, 96)).stages
    encoder = Encoder("convnet-small", head=HEAD, preprocessing=pictures())
    norm = encoder.stages["conv1"][2]
    assert torch.equal(norm.running_mean, torch.zeros(32))
    assert stages["conv1"][2].running_var.equal(norm.running_var)
    assert encoder.stages["conv1"].training
