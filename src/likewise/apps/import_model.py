"""A model of an embedding network that somebody else trained and saved as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from likewise.apps.prepared import met_by
from likewise.encoder import Pictures
from likewise.encoder.onnx import COMPARED_BY, Color, OnnxEncoder
from likewise.encoder.onnx_network import Layout, Network, Takes
from likewise.errors import DataError, ModelError, UsageError
from likewise.matching import Model
from likewise.media.pictures import Resize
from likewise.objective.distances import DISTANCES
from likewise.prepare import finder_called

LARGEST_FILE = 1 << 31  # bytes; what Protocol Buffers, and so ONNX, allow
TRIED = 3  # pictures
ALONE_OR_TOGETHER = 1e-3  # of the length of an embedding; rounding differs with the number of pictures in a pass
DIFFERENT = 1e-6  # likewise: what embeddings of different pictures differ by, at least


@final
@dataclass(frozen=True)
class ImportOptions:
    """What an ONNX file does not say of itself.

    Attributes:
        size: side, or (height, width), of the pictures in pixels; None where the file says it.
        mean, std: taken off the pixels and divided by: one number, or one per channel in the network's order.
        scale: whether that is of pixels from 0 to 255 or from 0 to 1; None to tell by mean and std.
        color: order of the channels that the network takes, "rgb" or "bgr"; None for "rgb".
        layout: "nchw" or "nhwc"; None to tell by the shape of its input.
        resize: how pictures are brought to their size: "squash", "pad" or "crop".
        prepare: name of what finds the parts of a picture that are encoded; None for all of it.
        distance: "cosine" or "euclidean".
        unit: whether embeddings are scaled to length 1.
        output: name of the output with the embeddings; None where there is one.
        published: the distance up to which the network's makers take two for the same.
    """

    size: int | tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: int | None = None
    color: Color | None = None
    layout: Layout | None = None
    resize: Resize = "squash"
    prepare: str | None = None
    distance: str = "cosine"
    unit: bool = False
    output: str | None = None
    published: float | None = None


def import_model(file: str | Path, options: ImportOptions | None = None, **changes: Any) -> Model:
    """The network in an ONNX file as a model, not calibrated.

    It is tried on a few drawn pictures: it must repeat what it gives, and tell them apart. A network that says it takes
    any number of pictures at a time but gives something else for several is from then on given one at a time.

    Args:
        file: as its makers publish it, with all its numbers inside.
        options: see `ImportOptions`; single ones can be given by name, as in
            ``import_model(file, mean=(127.5,), std=(128.0,))``.

    Raises:
        DataError: the file cannot be read.
        ModelError: it is damaged, or does not turn one batch of pictures into one of embeddings.
        UsageError: options that do not fit it or each other; onnxruntime is not installed.
    """
    options = replace(options or ImportOptions(), **changes)
    file = Path(file)
    if options.distance not in COMPARED_BY:
        raise UsageError(f"Distances between imported embeddings are {' or '.join(COMPARED_BY)}", options.distance)
    finder = None if options.prepare is None else finder_called(options.prepare)
    network = Network(_read(file), str(file))  # before what must be known of it is asked
    top = pixel_scale(options.mean, options.std, options.scale)
    takes = network.pictures(options.layout)
    channels = takes.channels or 3
    if channels == 1 and options.color is not None:
        raise UsageError("Grey pictures have no order of colours", f"color {options.color}", "Leave it out.")
    mean, std = (
        tuple(value / top for value in _per_channel(values, channels, bgr=options.color == "bgr"))
        for values in (options.mean, options.std)
    )
    preprocessing = Pictures(channels, *_size(takes, options.size), options.resize, mean, std, finder)

    def encoder(batch: int | None) -> OnnxEncoder:
        return OnnxEncoder(
            network, file.stem, preprocessing, distance=DISTANCES[options.distance](), unit=options.unit,
            output=options.output, color=options.color or "rgb", layout=options.layout, batch=batch,
            published=options.published,
        )  # fmt: skip

    # What is exported from one picture often says that it takes any number, but was made for one.
    any_number = takes.batch is None and _agree_together(encoder(1), encoder(None))
    chosen = _tried(encoder(None if any_number or takes.batch else 1))
    chosen.trained = {"data": f"not known here: it came as {file.name}"}
    chosen.seen = met_by(options.prepare)
    return Model(chosen)


def pixel_scale(mean: tuple[float, ...], std: tuple[float, ...], scale: int | None = None) -> int:
    """1 or 255: where the pixels end that `mean` is taken off and `std` divides.

    Numbers above 1 are those of pixels up to 255, fractions those of pixels up to 1.

    Args:
        mean, std: as published.
        scale: if it was said; then it must agree with them.

    Raises:
        UsageError: they contradict each other, or leave it open.
    """
    if scale not in (None, 1, 255):
        raise UsageError("Pixels end at 255 or at 1", f"scale {scale}")
    shown = f"mean {_shown(mean)}, std {_shown(std)}"
    large = any(value > 1 for value in (*mean, *std))
    small = any(0 < value < 1 for value in (*mean, *std))
    if large and small:
        raise UsageError(
            "mean and std are both of pixels from 0 to 255, or both of pixels from 0 to 1",
            shown,
            "std divides: where a factor is published, pass 1 / factor.",
        )
    if scale is None and large == small:
        raise UsageError(
            "It must be known whether a network takes pixels from 0 to 255 or from 0 to 1",
            shown,
            "Pass --mean and --std as its makers publish them, or --scale 255 or --scale 1 where there are none.",
        )
    found = scale or (255 if large else 1)
    if (large and found == 1) or (small and found == 255):
        raise UsageError(
            f"mean and std are of pixels from 0 to {found}, as --scale {found} says",
            shown,
            f"Those are of pixels from 0 to {256 - found}: pass --scale {256 - found}.",
        )
    return found


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ModelError("An ONNX file has at most 2 GiB", str(file), "Import a smaller network.")
        return file.read_bytes()
    except OSError as error:
        raise DataError("A file to import can be read", f"{str(file)!r}: {error.strerror}") from error


def _size(takes: Takes, asked: int | tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of the pictures."""
    height, width = (asked, asked) if isinstance(asked, int) else asked or (takes.height, takes.width)
    if height is None or width is None:
        raise UsageError(
            "The size of its pictures is said where a network takes any",
            None,
            "Pass --size 112, or what its makers say.",
        )
    return height, width


def _agree_together(alone: OnnxEncoder, together: OnnxEncoder) -> bool:
    """Whether pictures have the same embeddings in one pass as one by one."""
    pictures = _drawn(alone)
    expected = alone.embed(pictures)
    try:
        return _off(together.embed(pictures), expected) <= ALONE_OR_TOGETHER
    except ModelError:
        return False


def _tried(encoder: OnnxEncoder) -> OnnxEncoder:
    """The same, if it repeats itself and tells pictures apart.

    Raises:
        ModelError: it does not.
    """
    pictures = _drawn(encoder)
    first, again = encoder.embed(pictures), encoder.embed(pictures)
    if _off(again, first) > ALONE_OR_TOGETHER:
        raise ModelError(
            "A picture has one embedding",
            f"{encoder.network.name!r}, which gives another each time",
            "Export it for use (in torch after model.eval()), without dropout.",
        )
    if _off(first[:1].expand_as(first[1:]), first[1:]) < DIFFERENT:
        raise ModelError(
            "Different pictures have different embeddings",
            f"{encoder.network.name!r}, which gives them all the same",
            "Check mean, std, scale and the output.",
        )
    return encoder


def _drawn(encoder: OnnxEncoder) -> Tensor:
    """Pictures of noise."""
    shape = encoder.ready().shape
    return torch.randint(0, 256, (TRIED, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _off(found: Tensor, expected: Tensor) -> float:
    """The largest difference between two embeddings, as a share of their length."""
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1).clamp_min(1e-12)).max())


def _per_channel(values: tuple[float, ...], channels: int, *, bgr: bool) -> tuple[float, ...]:
    """One for red, green and blue each, or for grey."""
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise UsageError(f"There is one mean, and one std, for all or for each of {channels} channels", _shown(values))
    return values[::-1] if bgr else values


def _shown(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
