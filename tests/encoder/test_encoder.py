"""The encoder: weights from a seed, taps, unit length, encoding in batches, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from likewise.encoder import BACKBONES, EMBEDDING, Encoder, Pictures, evaluating, read_encoding
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.objective import Cosine, WeightedL1
from likewise.objective.distances import Concatenated

GREY = Pictures(1, 12, 10, mean=(0.4,), std=(0.2,))
COLOUR = Pictures(3, 12, 10, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
ANY_SIZE = [name for name in BACKBONES if name != "dlib-face"]  # which has tests of its own


def encoder(backbone: str = "mlp", dim: int = 8, preprocessing: Pictures = GREY, **options: object) -> Encoder:
    return Encoder(backbone, dim, preprocessing=preprocessing, **options).eval()


def pixels(count: int, shape: tuple[int, int, int] = (1, 12, 10), seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def test_one_seed_gives_one_set_of_weights() -> None:
    first, again, other = encoder(seed=3), encoder(seed=3), encoder(seed=4)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.stages["hidden1"][1].weight, other.stages["hidden1"][1].weight)


@pytest.mark.parametrize("backbone", ANY_SIZE)
def test_making_an_encoder_leaves_the_global_generators_alone(backbone: str) -> None:
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002 - that it is left alone is what is tested
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    encoder(backbone, preprocessing=replace(GREY, height=32, width=32))
    assert torch.equal(torch.rand(4), expected)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_an_encoder_without_preprocessing_has_no_layers_until_it_is_built() -> None:
    empty = Encoder("mlp", 8, seed=5)
    assert empty.taps == ()
    with pytest.raises(UsageError, match="shape of its items"):
        empty(pixels(1))
    empty.build(GREY)
    assert torch.equal(empty.eval()(pixels(3)), encoder(seed=5)(pixels(3)))


@pytest.mark.parametrize(
    ("backbone", "taps", "shapes"),
    [
        ("mlp", ("hidden1", "hidden2", "embedding"), [(2, 512), (2, 256), (2, 8)]),
        ("tutorial", ("conv1", "conv2", "hidden", "embedding"), [(2, 32, 14, 14), (2, 64, 5, 5), (2, 128), (2, 8)]),
        (
            "convnet-small",
            ("conv1", "conv2", "conv3", "conv4", "pooled", "embedding"),
            [(2, 32, 16, 16), (2, 64, 8, 8), (2, 128, 4, 4), (2, 128, 4, 4), (2, 128, 2, 2), (2, 256), (2, 8)],
        ),
        (
            "convnet",
            ("stem", "block1", "block2", "block3", "pooled", "embedding"),
            [(2, 64, 32, 32), (2, 64, 16, 16), (2, 128, 8, 8), (2, 256, 4, 4), (2, 512), (2, 8)],
        ),
        (
            "resnet-18",
            ("stem", "block1", "block2", "block3", "block4", "pooled", "embedding"),
            [(2, 64, 8, 8), (2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2), (2, 512, 1, 1), (2, 512), (2, 8)],
        ),
        (
            "vgg19",
            (*(f"conv{b}_{c}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for c in range(1, n + 1)), "pooled", EMBEDDING),
            [(2, 64, 32, 32)] * 2
            + [(2, 128, 16, 16)] * 2
            + [(2, 256, 8, 8)] * 4
            + [(2, 512, 4, 4)] * 4
            + [(2, 512, 2, 2)] * 4
            + [(2, 512), (2, 8)],
        ),
        (
            "efficientnet-lite0",
            ("stem", *(f"block{i}" for i in range(1, 8)), "head", "pooled", EMBEDDING),
            [
                (2, 32, 16, 16),
                (2, 16, 16, 16),
                (2, 24, 8, 8),
                (2, 40, 4, 4),
                (2, 80, 2, 2),
                (2, 112, 2, 2),
                (2, 192, 1, 1),
                (2, 320, 1, 1),
                (2, 1280, 1, 1),
                (2, 1280),
                (2, 8),
            ],
        ),
    ],
)
def test_taps_are_the_stages_in_order(backbone: str, taps: tuple[str, ...], shapes: list[tuple[int, ...]]) -> None:
    net = encoder(backbone, preprocessing=replace(GREY, height=32, width=32))
    if backbone == "convnet-small":  # one more halving at 32 pixels than at 16
        taps = (*taps[:4], "conv5", *taps[4:])
    assert net.taps == taps
    with torch.inference_mode():
        found = net(pixels(2, (1, 32, 32)), taps=net.taps)
    assert list(found) == list(taps)
    assert [tuple(found[name].shape) for name in taps] == shapes


@pytest.mark.parametrize("backbone", ANY_SIZE)
def test_a_tap_is_what_running_the_stages_by_hand_gives(backbone: str) -> None:
    net = encoder(backbone, preprocessing=replace(GREY, height=32, width=32), unit=True)
    x = pixels(3, (1, 32, 32))
    by_hand, h = {}, (x.float() / 255 - 0.4) / 0.2
    with torch.inference_mode():
        for name, stage in net.stages.items():
            h = stage(h)
            by_hand[name] = F.normalize(h, dim=1) if name == EMBEDDING else h
        for name in net.taps:
            torch.testing.assert_close(net(x, taps=[name])[name], by_hand[name], rtol=1e-4, atol=1e-5)
        assert torch.equal(net(x, taps=[EMBEDDING])[EMBEDDING], net(x))


def test_what_lies_behind_the_last_tap_is_not_computed() -> None:
    net = encoder()
    ran: list[str] = []
    for name, stage in net.stages.items():
        stage.register_forward_hook(lambda *_, name=name: ran.append(name))
    net(pixels(2), taps=["hidden1"])
    assert ran == ["hidden1"]
    assert net(pixels(2), taps=[]) == {}
    assert ran == ["hidden1"]


def test_embeddings_have_unit_length_where_asked() -> None:
    lengths = encoder(unit=True)(pixels(20)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(20), rtol=0, atol=1e-6)
    assert (encoder(unit=False)(pixels(20)).norm(dim=1) - 1).abs().max() > 0.1


@pytest.mark.parametrize("preprocessing", [GREY, COLOUR])
def test_bytes_and_floats_are_the_same_picture(preprocessing: Pictures) -> None:
    net = encoder(preprocessing=preprocessing)
    x = pixels(5, preprocessing.shape)
    torch.testing.assert_close(net(x), net(x.float() / 255), rtol=0, atol=0)


def test_standardisation_is_inside() -> None:
    net = encoder(preprocessing=COLOUR)
    seen: list[torch.Tensor] = []
    net.stages["hidden1"].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    x = pixels(4, COLOUR.shape)
    net(x)
    mean, std = (np.array(v)[:, None, None] for v in (COLOUR.mean, COLOUR.std))
    np.testing.assert_allclose(seen[0].numpy(), (x.numpy() / 255 - mean) / std, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backbone", ANY_SIZE)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48)])
def test_every_backbone_goes_forward_and_backward(backbone: str, shape: tuple[int, int, int]) -> None:
    if backbone in ("resnet-18", "darknet-tiny") and shape[1] < 32:
        shape = (1, 32, 32)
    half = (0.5,) * shape[0]
    net = Encoder(backbone, 12, preprocessing=Pictures(*shape, mean=half, std=half), unit=True).train()
    x = pixels(4, shape)
    embeddings = net(x)
    assert embeddings.shape == (4, 12)
    (embeddings * torch.arange(12.0)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name  # noqa: PT018 - every layer takes part


def test_the_tutorial_network_has_about_190_000_parameters() -> None:
    net = Encoder("tutorial", 100, preprocessing=Pictures(1, 28, 28))
    # Two 5 x 5 convolutions, one hidden layer of 128, one of 100, each with biases.
    by_hand = (25 * 1 + 1) * 32 + (25 * 32 + 1) * 64 + (64 * 4 * 4 + 1) * 128 + (128 + 1) * 100
    assert net.parameters_count == by_hand
    assert 185_000 <= by_hand <= 200_000


@pytest.mark.parametrize(
    ("backbone", "side"), [("tutorial", 16), ("resnet-18", 32), ("mlp", 4), ("convnet-small", 4), ("convnet", 4)]
)
def test_pictures_too_small_for_the_backbone_are_refused(backbone: str, side: int) -> None:
    least = replace(GREY, height=side, width=side)
    assert encoder(backbone, preprocessing=least)(pixels(2, least.shape)).shape == (2, 8)
    for small in (replace(least, height=side - 1), replace(least, width=side - 1)):
        with pytest.raises(UsageError, match=f"at least {side} pixels"):
            encoder(backbone, preprocessing=small)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"backbone": "nosuch"}, "A backbone is one of"),
        ({"dim": 0}, "1 to 65536 dimensions"),
        ({"dim": -3}, "1 to 65536 dimensions"),
        ({"dim": 65537}, "1 to 65536 dimensions"),
    ],
)
def test_impossible_encoders_are_refused(options: dict[str, object], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        Encoder(**options)


@pytest.mark.parametrize("shape", [(1, 10, 12), (3, 12, 10), (1, 12), (1, 12, 10, 1)])
def test_items_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"items of shape \(1, 12, 10\)"):
        encoder()(torch.zeros(2, *shape))


def test_unknown_taps_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"Taps of this encoder are hidden1, hidden2, embedding; got hiden1"):
        encoder()(pixels(1), taps=["hidden1", "hiden1"])


def test_batches_give_what_single_items_give() -> None:
    net = encoder("convnet-small", unit=True)
    x = pixels(23).numpy()[:, 0]
    whole = net.encode(x, batch=7)
    assert whole.embeddings.shape == (23, 8)
    assert whole.kept.tolist() == list(range(23))
    singly = torch.cat([net.encode([item]).embeddings for item in x])
    torch.testing.assert_close(whole.embeddings, singly, rtol=0, atol=1e-6)
    torch.testing.assert_close(net.encode(pixels(23)).embeddings, whole.embeddings, rtol=0, atol=1e-6)


def test_encoding_many_goes_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    net = encoder()
    items = [*pixels(11).numpy()[:, 0]]
    items[2] = items[5] = b"no picture"
    expected = net.encode(items)
    area = net.ready().height * net.ready().width
    monkeypatch.setattr("likewise.encoder.encoding.DECODED_AT_ONCE", 4 * area + 1)
    seen: list[tuple[int, int]] = []
    found = net.encode(items, batch=3, progress=lambda done, total, _: seen.append((done, total)))
    torch.testing.assert_close(found.embeddings, expected.embeddings, rtol=0, atol=1e-6)
    assert found.kept.tolist() == expected.kept.tolist() == [0, 1, 3, 4, 6, 7, 8, 9, 10]
    assert [i for i, _ in found.problems] == [i for i, _ in expected.problems] == [2, 5]
    assert seen == [(4, 11), (8, 11), (11, 11)]


@pytest.mark.parametrize(("pixels_at_once", "passes"), [(1, [1] * 7), (3, [3, 3, 1]), (1000, [7])])
def test_passes_are_as_large_as_pictures_allow(
    monkeypatch: pytest.MonkeyPatch, pixels_at_once: int, passes: list[int]
) -> None:
    net = encoder()
    area = net.ready().height * net.ready().width
    monkeypatch.setattr("likewise.encoder.encoding.ENCODED_AT_ONCE", pixels_at_once * area)
    seen: list[int] = []
    net.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    net.encode(pixels(7))
    assert seen == passes


def test_encoding_uses_running_figures_and_gives_the_mode_back() -> None:
    net = encoder("convnet-small").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    in_training_mode = net(pixels(9)).detach()
    net.load_state_dict(before)
    found = net.encode(pixels(9)).embeddings
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert (found - in_training_mode).abs().max() > 1e-3
    torch.testing.assert_close(found, net.eval()(pixels(9)), rtol=0, atol=1e-6)


def test_the_mode_comes_back_after_an_error_too() -> None:
    net = encoder().train()
    modes: list[bool] = []
    net.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    with pytest.raises(UsageError), evaluating(net):
        net(torch.zeros(1, 1, 3, 3))
    assert modes == [False]
    assert net.training


def test_nothing_to_encode_is_an_empty_answer() -> None:
    found = encoder().encode([])
    assert found.embeddings.shape == (0, 8)
    assert found.kept.shape == (0,)
    assert encoder().encode([b"no picture"]).embeddings.shape == (0, 8)


def test_a_single_path_in_place_of_a_list_is_refused() -> None:
    for lone in ("a.jpg", b"bytes"):
        with pytest.raises(UsageError, match="in a list"):
            encoder().encode(lone)


def test_encode_all_refuses_an_unreadable_item_in_one_line() -> None:
    with pytest.raises(DataError) as caught:
        encoder().encode_all([pixels(1).numpy()[0, 0], b"no picture"])
    assert "no picture" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("distance", [Cosine(), WeightedL1(8), Concatenated(8, hidden=5, seed=1)], ids=lambda d: d.name)
@pytest.mark.parametrize("backbone", ANY_SIZE)
def test_the_architecture_makes_the_encoder_again(backbone: str, distance: torch.nn.Module) -> None:
    shape = Pictures(3, 34, 40, "pad", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    net = encoder(backbone, preprocessing=shape, unit=True, distance=distance, seed=9)
    again = Encoder.from_architecture(net.architecture())
    again.load_state_dict(net.state_dict())
    again.eval()
    assert again.architecture() == net.architecture()
    assert again.fingerprint() == net.fingerprint()
    x = pixels(3, shape.shape)
    assert torch.equal(again(x), net(x))
    a, b = net(x), net(x.flip(0))
    assert torch.equal(again.distance.rowwise(a, b), net.distance.rowwise(a, b))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backbone", "of tomorrow"),
        ("dim", 0),
        ("dim", "8"),
        ("taps", ["hidden1", "embedding"]),
        ("taps", None),
        ("distance", {"name": "of tomorrow"}),
        ("distance", {"name": "cosine", "power": 3}),
        ("distance", "cosine"),
        ("preprocessing", {"kind": "sound"}),
        ("preprocessing", None),
    ],
)
def test_an_architecture_that_is_not_known_is_a_model_error(key: str, value: object) -> None:
    described = encoder().architecture() | {key: value}
    with pytest.raises(ModelError) as caught:
        Encoder.from_architecture(described)
    assert "\n" not in str(caught.value)


def test_an_incomplete_architecture_is_a_model_error(tmp_path: Path) -> None:
    encoder().write_parameters(tmp_path)
    assert read_encoding(encoder().architecture(), tmp_path).fingerprint() == encoder().fingerprint()
    for key in encoder().architecture():
        described = encoder().architecture()
        del described[key]
        with pytest.raises(ModelError):
            read_encoding(described, tmp_path)


def test_the_fingerprint_covers_everything_that_decides_an_embedding() -> None:
    net = encoder(unit=True, seed=1)
    prints = {
        "itself": net.fingerprint(),
        "seed": encoder(unit=True, seed=2).fingerprint(),
        "unit": encoder(unit=False, seed=1).fingerprint(),
        "mean": encoder(unit=True, seed=1, preprocessing=replace(GREY, mean=(0.41,))).fingerprint(),
        "resize": encoder(unit=True, seed=1, preprocessing=replace(GREY, resize="crop")).fingerprint(),
        "distance": encoder(unit=True, seed=1, distance=Cosine()).fingerprint(),
    }
    assert len(set(prints.values())) == len(prints)
    assert encoder(unit=True, seed=1).fingerprint() == prints["itself"]
    with torch.no_grad():
        net.stages[EMBEDDING].bias[0] += 1e-7
    assert net.fingerprint() != prints["itself"]


def test_the_fingerprint_is_that_of_the_numbers_not_of_their_layout_in_memory() -> None:
    net = encoder("convnet-small")
    before = net.fingerprint()
    net.to(memory_format=torch.channels_last)
    assert net.fingerprint() == before


def test_running_figures_are_part_of_the_fingerprint() -> None:
    net = encoder("convnet-small")
    before = net.fingerprint()
    net.train()(pixels(8))
    assert net.fingerprint() != before


def test_every_refusal_is_one_line() -> None:
    for wrong in (lambda: Encoder("nosuch"), lambda: encoder()(torch.zeros(1, 1, 2, 2)), lambda: Encoder(dim=0)):
        with pytest.raises(LikewiseError) as caught:
            wrong()
        assert "\n" not in str(caught.value)
