"""Places and bias make the similarity; heat is what the formula says where it is linear, and lies on what is shared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from inspect_drawn import SIDE, SQUARE, red_encoder, with_square
from torch.nn import functional as F

from likewise.apps.inspect import read_shown, similarity
from likewise.apps.inspect.heat import Similarity, fine_tap
from likewise.data import arrays
from likewise.encoder import Encoder, Head, Pictures, Sounds
from likewise.errors import UsageError
from likewise.objective import SupCon
from likewise.training import FitOptions, fit


def encoder_of(backbone: str, *, head: Head | None = None, side: int = 32, unit: bool = True) -> Encoder:
    how = Pictures(3, side, side, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.3))
    encoder = Encoder(backbone, None if head else 16, head=head, preprocessing=how, unit=unit, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))
            module.bias.data.copy_(0.2 * torch.randn(module.num_features, generator=generator))
    return encoder.eval()


def two(encoder: Encoder, side: int = 32) -> tuple[object, object]:
    rng = np.random.default_rng(0)
    return tuple(read_shown(encoder, rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(2))


def taken_apart(encoder: Encoder, tap: str | None = None) -> Similarity:
    return similarity(encoder, *two(encoder), tap=tap)


ROUNDING = 1e-6
INTEGRATION = 0.005  # of a similarity, with 32 steps on the way


def of_nothing(encoder: Encoder, features: list[torch.Tensor], at: str | None, k: int) -> float:
    """What the cosine would be, item `k` being nothing at these places, with its length and the other item held."""
    taps = [name for name in encoder.taps if name != "embedding"]
    behind = list(encoder.taps) if at is None else list(encoder.taps)[encoder.taps.index(at) + 1 :]

    def end(outputs: torch.Tensor) -> torch.Tensor:
        for name in behind:
            outputs = encoder.stages[name](outputs)
        return outputs[0].double()

    with torch.inference_mode():
        given = features if at is None else [encoder.from_features(x, taps)[at] for x in features]
        ends = [end(outputs) for outputs in given]
        return float(end(torch.zeros_like(given[k])) @ ends[1 - k] / (ends[0].norm() * ends[1].norm()))


@pytest.mark.parametrize(
    ("backbone", "at", "exact"),
    [
        ("linear", None, True), ("mlp", None, False), ("tutorial", "conv2", False), ("convnet-small", "conv5", True),
        ("convnet", "block3", True), ("resnet-18", None, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("unit", [True, False])
def test_places_and_bias_make_the_similarity(backbone: str, at: str | None, exact: bool, unit: bool) -> None:
    side = 64 if backbone == "resnet-18" else 32
    encoder = encoder_of(backbone, side=side, unit=unit)
    one, other = two(encoder, side)
    found = similarity(encoder, one, other)
    with torch.inference_mode():
        a, b = (encoder.from_features(item.features) for item in (one, other))
    assert found.similarity == pytest.approx(float(F.cosine_similarity(a, b)), abs=1e-5)
    assert found.distance == pytest.approx(float(encoder.distances(a, b)), abs=1e-4)
    assert found.exact == exact
    assert backbone == "resnet-18" or found.at == at
    for k, heat in enumerate(found.heat):
        assert abs(found.missed[k]) < (ROUNDING if exact else INTEGRATION)  # before anything is spread
        assert found.bias[k] == pytest.approx(
            of_nothing(encoder, [one.features, other.features], found.at, k), abs=1e-5
        )
        assert heat.sum() == pytest.approx(found.similarity, abs=1e-6)


def test_places_contribute_what_the_formula_says() -> None:
    """Mean and maximum side by side, then a linear layer: a plain loop over places and channels."""
    encoder = encoder_of("convnet-small")
    one, other = two(encoder)
    found = similarity(encoder, one, other)
    last = encoder.stages["embedding"]
    weight, bias = last.weight.detach().double(), last.bias.detach().double()
    with torch.inference_mode():
        maps = [encoder.from_features(i.features, ["conv5"])["conv5"][0].double() for i in (one, other)]
        ends = [
            weight @ torch.cat([m.mean(dim=(1, 2)), m.amax(dim=(1, 2))]) + bias for m in maps
        ]  # before they have unit length
    for k in (0, 1):
        channels, height, width = maps[k].shape
        toward = ends[1 - k] / (ends[0].norm() * ends[1].norm())
        for y in range(height):
            for x in range(width):
                share = bias / (height * width)
                for c in range(channels):
                    share = share + weight[:, c] * maps[k][c, y, x] / (height * width)
                    largest = maps[k][c].max()
                    if maps[k][c, y, x] == largest:
                        share = share + weight[:, channels + c] * largest / (maps[k][c] == largest).sum()
                assert found.heat[k][y, x] == pytest.approx(float(share @ toward), abs=1e-6)


def test_with_a_head_what_its_layer_is_given_is_compared() -> None:
    encoder = encoder_of("convnet-small", head=Head("multiclass", ("a", "b", "c")))
    one, other = two(encoder)
    found = similarity(encoder, one, other)
    with torch.inference_mode():
        a, b = (encoder.from_features(item.features, ["pooled"])["pooled"] for item in (one, other))
    assert found.compared == "pooled"
    assert found.distance is None
    assert found.similarity == pytest.approx(float(F.cosine_similarity(a, b)), abs=1e-5)
    assert found.missed == pytest.approx((0, 0), abs=ROUNDING)


@pytest.mark.parametrize("places", [((4, 8), (44, 40)), ((36, 50), (2, 2)), ((48, 6), (20, 20))])
def test_heat_lies_on_the_object_that_two_pictures_share(places: tuple[tuple[int, int], tuple[int, int]]) -> None:
    encoder = red_encoder()
    items = [read_shown(encoder, with_square(*place, seed=k)) for k, place in enumerate(places)]
    found = similarity(encoder, *items)
    assert found.exact
    assert found.similarity == pytest.approx(1.0, abs=1e-5)
    for heat, (top, left) in zip(found.heat, places, strict=True):
        cell = SIDE / heat.shape[0]
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert top - cell < y * cell < top + SQUARE
        assert left - cell < x * cell < left + SQUARE
        assert heat.max() > 0.99 * heat.sum()
    assert found.heat[0].argmax() != found.heat[1].argmax()


@pytest.mark.slow
def test_heat_of_a_trained_network_lies_on_the_shared_object() -> None:
    """Crosses, rings, bars and discs anywhere on noise; told apart, by the shape that two pictures share."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-5:6, -5:6]
    shapes = [
        (abs(x) < 2) | (abs(y) < 2), (np.hypot(x, y) > 2.5) & (np.hypot(x, y) < 5.5), abs(x - y) < 3,
        np.hypot(x, y) < 4,
    ]  # fmt: skip

    def draw(kind: int) -> tuple[np.ndarray, tuple[int, int]]:
        picture = rng.integers(0, 120, (40, 40), np.uint8)
        top, left = rng.integers(0, 29, 2).tolist()
        picture[top : top + 11, left : left + 11][shapes[kind]] = 230
        return picture, (top, left)

    labels = np.repeat(np.arange(4), 150)
    data = arrays(np.stack([draw(kind)[0] for kind in labels]), labels)
    encoder = Encoder("convnet-small", 16, seed=0)
    fit(encoder, data, SupCon(), options=FitOptions(epochs=8, precision="float32", seed=0))
    shares: list[float] = []
    for kind in range(4):
        for _ in range(5):
            drawn = [draw(kind) for _ in range(2)]
            items = [read_shown(encoder, picture) for picture, _ in drawn]
            found = similarity(encoder, *items, tap=fine_tap(encoder, items[0]))
            for heat, (_, (top, left)) in zip(found.heat, drawn, strict=True):
                cell = 40 / heat.shape[0]
                centres = (np.arange(heat.shape[0]) + 0.5) * cell
                near = (abs(centres - top - 5.5) < 5.5 + cell)[:, None] & (abs(centres - left - 5.5) < 5.5 + cell)
                positive = np.clip(heat, 0, None)
                shares.append(float(positive[near].sum() / positive.sum() / near.mean()))
    assert np.median(shares) > 2  # at least twice as much heat there as if it were spread


@pytest.mark.parametrize("tap", ["conv1", "conv2", "conv3"])
def test_finer_places_are_by_gradients_that_miss_little(tap: str) -> None:
    encoder = encoder_of("convnet-small")
    one, other = two(encoder)
    found = similarity(encoder, one, other, tap=tap)
    assert (found.at, found.exact) == (tap, False)
    assert "integrated gradients" in found.method()
    for k in (0, 1):
        assert abs(found.missed[k]) < INTEGRATION
        assert found.bias[k] == pytest.approx(of_nothing(encoder, [one.features, other.features], tap, k), abs=1e-5)


def test_a_way_in_one_step_misses_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missed is the error of the integral: a coarser one has more of it, and says so."""
    encoder = encoder_of("tutorial")
    usual = taken_apart(encoder)
    monkeypatch.setattr("likewise.apps.inspect.heat.STEPS", 1)
    coarse = taken_apart(encoder)
    assert min(map(abs, coarse.missed)) > 5 * max(map(abs, usual.missed))
    assert "{:+.3f} and {:+.3f} that integration misses".format(*coarse.missed) in coarse.said()


def test_gradients_on_the_way_add_up_nearly_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way cut into more steps they say nearly the same of every place."""
    encoder = encoder_of("tutorial")
    monkeypatch.setattr("likewise.apps.inspect.heat.STEPS", 256)
    fine = taken_apart(encoder)
    monkeypatch.setattr("likewise.apps.inspect.heat.STEPS", 32)
    usual = taken_apart(encoder)
    for a, b in zip(fine.heat, usual.heat, strict=True):
        assert np.abs(a - b).max() < 0.02 * np.abs(a).max()


def test_the_finer_tap_has_places_enough() -> None:
    encoder = encoder_of("convnet-small")
    (item, _) = two(encoder)
    assert fine_tap(encoder, item) == "conv2"  # 8 x 8; conv3 has 4 x 4
    assert fine_tap(encoder_of("mlp"), item) is None


def test_high_sounds_are_above() -> None:
    """The heat of a sound whose first half-second is low and second high, with itself."""
    how = Sounds.at(8000, 1.0)
    encoder = Encoder("linear", 4, preprocessing=how, seed=0).eval()
    t = np.arange(8000) / 8000
    sound = np.where(t < 0.5, np.sin(2 * np.pi * 200 * t), np.sin(2 * np.pi * 3000 * t))
    item = read_shown(encoder, (sound * 20000).astype(np.int16))
    found = similarity(encoder, item, item)
    weight = encoder.stages["embedding"].weight.detach().view(4, how.mels, how.frames).double()
    features, bias = item.features[0, 0].double(), encoder.stages["embedding"].bias.detach().double()
    end = (weight * features).sum(dim=(1, 2)) + bias
    toward = end / end.norm() ** 2
    expected = torch.einsum("kmf,k->mf", weight, toward) * features + float(bias @ toward) / features.numel()
    np.testing.assert_allclose(found.heat[0], expected.flip(0).numpy(), atol=1e-6)


def test_what_cannot_be() -> None:
    encoder = encoder_of("convnet-small")
    with pytest.raises(UsageError, match="Taps of this model are conv1"):
        taken_apart(encoder, "nosuch")
    with pytest.raises(UsageError, match=r"Taps with places are conv1, .*; got 'pooled'"):
        taken_apart(encoder, "pooled")
    stream = Encoder("conv-gru", 1, preprocessing=Sounds.at(8000, 1.0, streamed=True)).eval()
    item = read_shown(stream, np.zeros(8000, np.int16))
    with pytest.raises(UsageError, match="hears a stream"):
        similarity(stream, item, item)


def test_it_is_drawn_with_its_method() -> None:
    found = taken_apart(encoder_of("convnet-small"))
    picture = found.draw()
    assert picture.width > 3 * 300
    assert "exactly" in found.said()
    assert f"{found.similarity:.3f}" in found.said()
    assert "{:+.3f} and {:+.3f} of bias".format(*found.bias) in found.said()
    assert "integration misses" not in found.said()
