"""How pictures become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.preprocessing import Item, Preprocessing, content_of, name_of, sampled
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import Pixels, Resize, read_picture
from likewise.prepare import Finder, Part, finder_from, parts_of, shown_part

LARGEST_DEFAULT_SIDE = 128  # pixels


@final
@dataclass(frozen=True)
class Pictures(Preprocessing):
    """How a picture becomes numbers.

    Attributes:
        channels: 1 (grey) or 3 (RGB).
        height, width: pixels.
        resize: "squash" ignores the aspect ratio, "pad" keeps it with a border, "crop" keeps it and cuts.
        mean, std: per channel, of pixels scaled to [0, 1]; taken off and divided by inside the encoder.
        prepare: finds the parts of a picture that are encoded; None to encode all of it.
    """

    kind: ClassVar[str] = "picture"
    dtype: ClassVar[torch.dtype] = torch.uint8
    full: ClassVar[int] = 255

    channels: int
    height: int
    width: int
    resize: Resize = "squash"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    prepare: Finder | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError("Pictures have 1 or 3 channels", self.channels)
        if not (1 <= self.height <= 4096 and 1 <= self.width <= 4096):
            raise UsageError("Pictures are encoded at 1 to 4096 pixels a side", f"{self.height} x {self.width}")
        finite = np.isfinite([*self.mean, *self.std]).all()
        if not finite or not len(self.mean) == len(self.std) == self.channels or min(self.std) <= 0:
            raise UsageError("There is one mean and one positive std per channel", f"{self.mean}, {self.std}")
        if self.resize not in get_args(Resize):
            raise UsageError("Pictures are resized by squash, pad or crop", repr(self.resize))

    @classmethod
    def of(
        cls,
        items: Sequence[Item] | NDArray[Any],
        size: int | tuple[int, int] | None = None,
        resize: Resize = "squash",
        prepare: Finder | None = None,
        *,
        grey: bool = False,
    ) -> Pictures:
        """Channels and size that suit `items`; mean and std are set from the pixels by `standardised`.

        Grey where asked for, or where no sampled picture has colour. Pictures all of one size up to 128 pixels a side
        keep it; others are brought to their median shape, at most 128 pixels on the longer side.

        Args:
            items: at least one readable picture.
            size: one side or (height, width) in pixels, to set it by hand.
            resize, prepare: see the class.
            grey: leave colour out.

        Raises:
            DataError: nothing can be read.
        """

        def shape_of(item: Item) -> tuple[int, ...]:
            picture = _read(item, None)
            if prepare is not None:
                picture = shown_part(prepare.find(picture), prepare, name_of(item) or "a picture").values
            return picture.shape

        shapes = sampled(items, shape_of)
        channels = 1 if grey else max(shape[2] for shape in shapes)
        if size is None:
            height, width = (int(np.median([shape[k] for shape in shapes])) for k in (0, 1))
            scale = min(1.0, LARGEST_DEFAULT_SIDE / max(height, width))
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
        else:
            height, width = (size, size) if isinstance(size, int) else size
        half = (0.5,) * channels
        return cls(channels, height, width, resize, half, half, prepare)

    def standardised(self, values: Tensor) -> Pictures:
        """See `Preprocessing`; per channel."""
        histogram = torch.stack([torch.bincount(values[:, c].reshape(-1), minlength=256) for c in range(self.channels)])
        share = histogram.double() / histogram.sum(dim=1, keepdim=True)
        level = torch.arange(256, dtype=torch.float64) / 255
        mean = share @ level
        # A set of one flat colour has no spread; dividing by a little keeps the numbers finite.
        std = ((share * (level - mean[:, None]) ** 2).sum(dim=1)).sqrt().clamp_min(1 / 255)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    @property
    def layout(self) -> tuple[int, int, int]:
        """(C, H, W): the network sees pixels."""
        return self.channels, self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.layout

    def front(self) -> nn.Module:
        """See `Preprocessing`."""
        return Standardised(self.mean, self.std)

    def parts(self, item: Item) -> list[Part]:
        """See `Preprocessing`; each (H, W, C)."""
        picture = _read(item, "L" if self.channels == 1 else "RGB")
        return parts_of(picture, self.prepare, self.height, self.width, self.resize)

    def laid_out(self, part: Part) -> Pixels:
        """(H, W, C) -> (C, H, W)."""
        return part.values.transpose(2, 0, 1)

    def already(self, items: NDArray[Any]) -> NDArray[Any] | None:
        """See `Preprocessing`: one grey uint8 array of the right size."""
        fits = items.shape[1:] in ((self.height, self.width), (self.height, self.width, 1))
        ready = self.prepare is None and items.dtype == np.uint8 and self.channels == 1 and fits
        return items.reshape(len(items), *self.layout) if ready else None

    def shown(self, values: Tensor) -> Pixels:
        """See `Preprocessing`."""
        return values.permute(0, 2, 3, 1).contiguous().numpy()

    def from_shown(self, pictures: Tensor) -> Tensor:
        """See `Preprocessing`."""
        return self.front()(pictures)

    def drawn(self, rng: np.random.Generator, count: int) -> Tensor:
        """See `Preprocessing`."""
        coarse = torch.from_numpy(rng.random((count, self.channels, 7, 7), dtype=np.float32))
        smooth = F.interpolate(coarse, (self.height, self.width), mode="bilinear")
        return (smooth * 255).round().to(torch.uint8)

    def as_dict(self) -> dict[str, Any]:
        """See `Preprocessing`."""
        return {
            "kind": self.kind,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(replace(self, prepare=None)).items()},
            "prepare": None if self.prepare is None else self.prepare.as_dict(),
        }

    @staticmethod
    def said(values: dict[str, Any]) -> str:
        """See `Preprocessing`."""
        colour = "colour" if values["channels"] == 3 else "grey"
        return f"{colour} pictures of {values['height']} x {values['width']} pixels"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Pictures:
        """See `Preprocessing`."""
        try:
            described = values["prepare"]
            if values["kind"] != cls.kind:
                raise ValueError(f"kind {values['kind']!r}")
            mean, std = (tuple(float(v) for v in values[name]) for name in ("mean", "std"))
            size = (values["channels"], values["height"], values["width"])
            if not all(type(number) is int for number in size):
                raise ValueError(f"size {size}")
            whole = cls(*size, values["resize"], mean, std)
        except (TypeError, KeyError, ValueError, UsageError) as error:
            raise ModelError(
                "The preprocessing of a model is complete", str(error), "Copy the folder again."
            ) from error
        return whole if described is None else replace(whole, prepare=finder_from(described))


@final
class Standardised(nn.Module):
    """(N, C, H, W) in [0, 1] -> the same less a mean and divided by a standard deviation, per channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return (x - self.get_buffer("mean")) / self.get_buffer("std")


def _read(item: Item, mode: Literal["L", "RGB"] | None) -> Pixels:
    return read_picture(content_of(item), mode=mode, name=name_of(item))
