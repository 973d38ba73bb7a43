"""Why two items are similar: how much each place of either contributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from likewise.apps.drawing import BLUE, VERMILION, Tile, tiled
from likewise.apps.inspect.subject import Shown, outputs_at, tap_called, upright
from likewise.encoder import EMBEDDING, Encoder, evaluating
from likewise.errors import UsageError
from likewise.media.pictures import Pixels

EXACT = 1e-4  # of the largest: what is missing of a sum that is said to be exact
FINE = 7  # places a side, at least
STEPS = 32  # of the way from nothing to the item, where it is not straight
SIDE, COLUMNS = 340, 4  # pixels of a picture, and pictures in a row
OPAQUE = 0.75  # of the strongest heat


@final
@dataclass(frozen=True, eq=False)
class Similarity:
    """The similarity of two items, taken apart over the places of either.

    Attributes:
        names: of both.
        pixels: (h, w, 1 or 3) uint8 of both.
        heat: (h, w) of both, what each place contributes; either sums to `similarity`, as `bias` and `missed` are
            spread over its places evenly.
        similarity: cosine of what is compared, in [-1, 1].
        bias: of both, what of it would be there were there nothing at any place.
        missed: of both, what neither places nor bias account for: the error of integration, or of rounding.
        distance: by which the model compares embeddings; None where it has a head instead.
        compared: the tap whose outputs are compared.
        at: the tap whose places these are; None for those of the item itself.
        exact: whether what lies behind these places is linear from place to place, so that a place contributes what is
            said; else it is shared out by gradients on the way.
    """

    names: tuple[str, str]
    pixels: tuple[Pixels, Pixels]
    heat: tuple[NDArray[np.float64], NDArray[np.float64]]
    similarity: float
    bias: tuple[float, float]
    missed: tuple[float, float]
    distance: float | None
    compared: str
    at: str | None
    exact: bool

    def method(self) -> str:
        """How the similarity was taken apart."""
        where = f"places of {self.at}" if self.at is not None else "pixels"
        how = "exactly" if self.exact else "by integrated gradients"
        return f"{how}, over {self.heat[0].shape[0]} x {self.heat[0].shape[1]} {where}"

    def said(self) -> str:
        """What there is to see, in a sentence."""
        reason = (
            "Behind them is nothing but pooling and a linear layer, so each contributes just that."
            if self.exact
            else "What is behind them is not linear: each has the share that gradients give it on the way from nothing."
        )
        distance = "" if self.distance is None else f"; their distance is {self.distance:.4g}"
        error = "" if self.exact else ", and {:+.3f} and {:+.3f} that integration misses".format(*self.missed)
        return (
            f"The similarity of both, {self.similarity:.3f} (cosine of {self.compared}{distance}), taken apart"
            f" {self.method()}: vermilion adds to it, blue takes from it. {reason} Spread evenly, so that the heat on"
            " either sums to the similarity: {:+.3f} and {:+.3f} of bias, which would be there for nothing at"
            " all{}.".format(*self.bias, error)
        )

    def draw(self) -> Image.Image:
        """Both items, and both with the heat on them."""
        most = max(float(np.abs(heat).max()) for heat in self.heat)
        heated = [_heated(pixels, heat, most) for pixels, heat in zip(self.pixels, self.heat, strict=True)]
        tiles = [
            Tile(self.pixels[0], self.names[0]),
            Tile(heated[0]),
            Tile(heated[1]),
            Tile(self.pixels[1], self.names[1]),
        ]
        enlarged = [Tile(_enlarged(tile.pixels), tile.caption) for tile in tiles]
        return tiled(
            enlarged, side=SIDE, columns=COLUMNS, title=f"Similarity {self.similarity:.3f}, taken apart {self.method()}"
        )


def similarity(encoder: Encoder, first: Shown, second: Shown, *, tap: str | None = None) -> Similarity:
    """Takes apart how similar two items are.

    The similarity is the cosine of what is compared: embeddings, or with a head what its layer is given. Let z be that
    of one item, before it has unit length, and u that of the other, of unit length; then it is (z . u) / |z|, and u and
    |z| are held. Where z is a linear layer on a mean over places, it is a sum over them (Stylianou, Souvenir and Pless
    2019), and where it is on a maximum too, each maximum is of one place. Such stages are recognised by their gradient,
    which is the same all the way from nothing to the item. Elsewhere its mean on that way is taken (integrated
    gradients, Sundararajan, Taly and Yan 2017). What is added at no place is spread evenly: the bias, which is what
    there is at nothing, and what a sum over so few steps of the way misses.

    Args:
        encoder: one embedding per item.
        first, second: items.
        tap: whose places to look at; None for the last that has places, or the item's own where none has.

    Raises:
        UsageError: an encoder that hears a stream; a tap that is unknown, or has no places.
    """
    if encoder.step_times is not None:
        raise UsageError(
            "Items are similar by an embedding of each",
            f"{encoder.backbone}, which hears a stream and has one at every step",
            "Leave out the second file.",
        )
    compared = EMBEDDING if encoder.head is None else encoder.taps[-2]
    with evaluating(encoder):
        at = _places(encoder, first, tap, compared)
        found = [_outputs(encoder, item.features, at) for item in (first, second)]
        with torch.no_grad():
            one, other = (_behind(encoder, outputs, at, compared) for outputs in found)
        cosine = float(F.cosine_similarity(one.double(), other.double()))
        parts = [
            _contributions(encoder, outputs, at, compared, own, foreign)
            for outputs, own, foreign in zip(found, (one, other), (other, one), strict=True)
        ]
    heat = [upright(encoder, part + (cosine - part.sum()) / part.numel()).numpy() for part, _, _ in parts]
    bias = [at_nothing for _, at_nothing, _ in parts]
    missed = [cosine - at_nothing - float(part.sum()) for part, at_nothing, _ in parts]
    distance = None if encoder.head is not None else _distance(encoder, one, other)
    return Similarity(
        (first.name, second.name), (first.pixels, second.pixels), (heat[0], heat[1]), cosine,
        (bias[0], bias[1]), (missed[0], missed[1]), distance, compared, at, all(exact for _, _, exact in parts),
    )  # fmt: skip


def fine_tap(encoder: Encoder, item: Shown) -> str | None:
    """The last tap with so many places that heat on them shows more than a direction; None where none has any."""
    spatial = _spatial(encoder, item, encoder.taps[-2])
    fine = [name for name, shape in spatial.items() if max(shape) >= FINE]
    return fine[-1] if fine else next(iter(spatial), None)


def _places(encoder: Encoder, item: Shown, tap: str | None, compared: str) -> str | None:
    """The tap whose places are looked at."""
    spatial = list(_spatial(encoder, item, compared))
    if tap is None:
        return spatial[-1] if spatial else None
    if tap_called(encoder, tap) not in spatial:
        raise UsageError(f"Taps with places are {', '.join(spatial) or 'none of this model'}", repr(tap))
    return tap


def _spatial(encoder: Encoder, item: Shown, before: str) -> dict[str, torch.Size]:
    """Height and width of the taps `before` one that have several places."""
    taps = list(encoder.taps[: encoder.taps.index(before)])
    outputs = outputs_at(encoder, item.features, taps) if taps else {}
    return {name: maps.shape[2:] for name, maps in outputs.items() if maps.shape[2:].numel() > 1}


def _outputs(encoder: Encoder, features: Tensor, at: str | None) -> Tensor:
    with torch.no_grad():
        return features if at is None else encoder.from_features(features, [at])[at].float()


def _behind(encoder: Encoder, outputs: Tensor, at: str | None, compared: str) -> Tensor:
    """(N, channels, h, w) at these places -> (N, D) what is compared, before it has unit length."""
    done = 0 if at is None else encoder.taps.index(at) + 1
    for name in encoder.taps[done : encoder.taps.index(compared) + 1]:
        outputs = encoder.stages[name](outputs)
    return outputs.float()


def _contributions(
    encoder: Encoder, outputs: Tensor, at: str | None, compared: str, end: Tensor, other: Tensor
) -> tuple[Tensor, float, bool]:
    """(h, w) what places add to the cosine, what there is of it without any, and whether that is exact."""
    toward = F.normalize(other, dim=1) / end.norm().clamp_min(1e-12)

    def along(shares: Tensor) -> tuple[Tensor, Tensor]:
        """The cosine at shares (n,) of the way from nothing to the item, and its gradients."""
        inputs = (shares.view(-1, 1, 1, 1) * outputs).requires_grad_()
        with torch.enable_grad():
            values = (_behind(encoder, inputs, at, compared) * toward).sum(dim=1)
            (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach().double(), gradient.double()

    values, _ = along(torch.tensor([0.0, 1.0]))
    way = float(values[1] - values[0])

    def shared(shares: Tensor) -> Tensor:
        gradients = [along(part)[1] for part in shares.split(8)]
        return (torch.cat(gradients).mean(dim=0, keepdim=True) * outputs.double()).sum(dim=1)[0]

    here = [shared(torch.tensor([share])) for share in (0.5, 1.0)]
    exact = all(bool(((part - here[0]).abs() <= EXACT * here[0].abs().max()).all()) for part in here) and (
        abs(way - float(here[0].sum())) <= EXACT * max(1.0, abs(way))
    )
    return (here[0] if exact else shared((torch.arange(STEPS) + 0.5) / STEPS)), float(values[0]), exact


def _distance(encoder: Encoder, one: Tensor, other: Tensor) -> float:
    """By which the model compares two embeddings that have no unit length yet."""
    ends = (F.normalize(end, dim=1) if encoder.unit else end for end in (one, other))
    return float(encoder.distances(*ends))


def _heated(pixels: Pixels, heat: NDArray[np.float64], most: float) -> Pixels:
    """The item in grey with its heat over it."""
    height, width = pixels.shape[:2]
    smooth = F.interpolate(torch.from_numpy(heat)[None, None], (height, width), mode="bilinear")[0, 0].numpy()
    level = np.clip(np.abs(smooth) / (most or 1), 0, 1)[..., None] * OPAQUE
    colour = np.where(smooth[..., None] > 0, np.array(VERMILION), np.array(BLUE))
    base = pixels.mean(axis=2, keepdims=True) * 0.7 + 40
    return (base * (1 - level) + colour * level).round().astype(np.uint8)


def _enlarged(pixels: Pixels) -> Pixels:
    """With `SIDE` pixels on its longer side, squares of small items kept."""
    times = max(1, SIDE // max(pixels.shape[:2]))
    return np.repeat(np.repeat(pixels, times, axis=0), times, axis=1)
