"""Pixels are optimised, and nothing else; smoothness and shifts are what they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from likewise.encoder import Encoder, Pictures, Sounds
from likewise.training.movers import LBFGS, Adam, Mover
from likewise.training.pixels import CONTRAST, NotFiniteError, Pixels, Waves, _shifted, optimise_pixels, through_taps


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    how = Pictures(3, 12, 16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
    return Encoder("convnet-small", 4, preprocessing=how, seed=0).train()


@pytest.mark.parametrize("shape", [(2, 3, 12, 16), (1, 1, 9, 7), (1, 1, 1, 5)])
def test_waves_begin_as_noise_around_a_colour(shape: tuple[int, int, int, int]) -> None:
    around = torch.tensor([0.2, 0.5, 0.9][: shape[1]])
    waves = Waves(shape, around, seed=3)
    found = torch.logit(waves()).detach()
    assert found.shape == shape
    assert float((found - torch.logit(around).view(1, -1, 1, 1)).std()) == pytest.approx(CONTRAST, rel=1e-3)
    assert torch.equal(waves(), Waves(shape, around, seed=3)())
    assert not torch.equal(waves(), Waves(shape, around, seed=4)())


def test_slow_waves_begin_larger() -> None:
    spectrum = (
        torch.fft.rfft2(torch.logit(Waves((8, 1, 32, 32), torch.tensor([0.5]))().detach())).abs().mean(dim=(0, 1))
    )
    assert float(spectrum[0, 1]) > 4 * float(spectrum[0, 8]) > 8 * float(spectrum[0, 16])


@pytest.mark.parametrize("start", ["waves", "pixels"])
@pytest.mark.parametrize("make", [lambda: Adam(0.05), lambda: LBFGS(0.01)], ids=["adam", "lbfgs"])
def test_any_picture_can_be_reached(start: str, make: Callable[[], Mover]) -> None:
    rng = np.random.default_rng(0)
    wanted = torch.from_numpy(rng.uniform(0.1, 0.9, (1, 3, 12, 16))).float()
    grey = torch.full((3,), 0.5)
    pictures = Waves((1, 3, 12, 16), grey) if start == "waves" else Pixels(torch.rand(1, 3, 12, 16))
    *_, last = optimise_pixels(pictures, lambda shown: (shown - wanted).square().sum(), make(), steps=800)
    assert last.number == 800
    assert last.loss == pytest.approx(float((last.pictures - wanted).square().sum()), rel=1e-3)
    assert float((last.pictures - wanted).abs().max()) < 0.03


def test_pixels_stay_where_they_can_be_shown() -> None:
    pictures = Pixels(torch.linspace(-0.5, 1.5, 12).view(1, 1, 3, 4))
    for step in optimise_pixels(
        pictures, lambda shown: -shown[..., :2].sum() + shown[..., 2:].sum(), Adam(0.3), steps=9
    ):
        assert 0 <= float(step.pictures.min()) <= float(step.pictures.max()) <= 1
    assert step.pictures[0, 0].tolist() == [[1, 1, 0, 0]] * 3


def test_pixels_stay_within_bounds_of_their_own() -> None:
    least, most = torch.tensor([[0.2, 0.3], [0.0, 0.9]]).view(1, 1, 2, 2), torch.tensor(0.95)
    pictures = Pixels(torch.full((1, 1, 2, 2), 0.5), least, most)
    *_, last = optimise_pixels(pictures, lambda shown: shown[..., 0].sum() - shown[..., 1].sum(), Adam(0.3), steps=9)
    assert last.pictures[0, 0].flatten().tolist() == pytest.approx([0.2, 0.95, 0.0, 0.95])


def test_what_is_optimised_are_the_pixels_alone(encoder: Encoder) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    pictures = Waves((2, 3, 12, 16), torch.full((3,), 0.5))

    def loss(_: torch.Tensor, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return -outputs["conv2"][:, 3].mean() - outputs["conv1"][:, 0].mean()

    through = through_taps(encoder, loss, ["conv1", "conv2"])
    answers = [-step.loss for step in optimise_pixels(pictures, through, Adam(0.05), steps=30)]
    assert answers[-1] > 1.5 * answers[0]
    assert encoder.training  # as it came
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_the_same_seed_gives_the_same_picture(encoder: Encoder) -> None:
    def run(seed: int) -> torch.Tensor:
        pictures = Waves((1, 3, 12, 16), torch.full((3,), 0.5))
        through = through_taps(encoder, lambda _, o: -o["conv1"].mean(), ["conv1"], jitter=3, seed=seed)
        *_, last = optimise_pixels(pictures, through, Adam(0.05), steps=5)
        return last.pictures

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_with_averaging_pictures_are_the_mean_of_those_before() -> None:
    wanted = torch.full((1, 1, 2, 2), 0.25)

    def swinging(average: float) -> list[float]:
        start = Pixels(wanted + 0.1)
        steps = optimise_pixels(
            start, lambda x: (x - wanted).abs().sum(), Adam(0.2, 0, 0), steps=6, average=average
        )  # fmt: skip
        return [float(step.pictures[0, 0, 0, 0]) for step in steps]

    plain, mean = swinging(0.0), swinging(0.7)
    assert plain == pytest.approx([0.35, 0.15, 0.35, 0.15, 0.35, 0.15])
    expected = plain[0]
    for number, (found, value) in enumerate(zip(mean, plain, strict=True), start=1):
        share = max(0.3, 1 / number)  # the first three count alike
        expected += share * (value - expected)
        assert found == pytest.approx(expected, abs=1e-6)


def test_who_asks_for_no_more_has_stopped_it_and_keeps_what_is_there() -> None:
    pictures = Pixels(torch.rand(1, 1, 4, 4))
    steps = optimise_pixels(pictures, lambda shown: shown.square().sum(), Adam(0.01), steps=100)
    first, second = next(steps), next(steps)
    kept = first.pictures.clone()
    next(steps)
    steps.close()
    assert torch.equal(first.pictures, kept)
    assert second.loss < first.loss
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_numbers_that_are_not_finite_are_an_error_and_what_was_before_is_kept(where: str) -> None:
    pictures, good = Pixels(torch.full((1, 1, 2, 2), 0.5)), []

    def objective(shown: torch.Tensor) -> torch.Tensor:
        if len(good) < 2:
            return shown.square().sum()
        return shown.sum() * torch.nan if where == "loss" else (shown - shown.detach()).abs().sqrt().sum()

    steps = optimise_pixels(pictures, objective, Adam(0.1), steps=9)
    good += [next(steps).pictures]
    good += [next(steps).pictures]
    with pytest.raises(NotFiniteError, match="step 3"):
        next(steps)
    assert len(good) == 2
    assert all(bool(one.isfinite().all()) for one in (*good, pictures()))


@pytest.mark.parametrize(("down", "aside"), [(0, 0), (2, 0), (-1, 3), (3, -2), (-3, -3)])
def test_shifts_move_all_and_draw_edges_out(down: int, aside: int) -> None:
    picture = torch.arange(30.0).view(1, 1, 5, 6)
    found = _shifted(picture, down, aside)
    for y in range(5):
        for x in range(6):
            expected = picture[0, 0, min(max(y - down, 0), 4), min(max(x - aside, 0), 5)]
            assert found[0, 0, y, x] == expected


class TestShown:
    """What is shown of an item and what the network sees are the same, up to the rounding of pixels."""

    def test_pictures(self) -> None:
        how = Pictures(3, 5, 4, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
        values = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4), np.uint8))
        shown = torch.from_numpy(how.shown(values)).permute(0, 3, 1, 2) / 255
        torch.testing.assert_close(how.from_shown(shown), how.front()(how.scaled(values)))

    def test_sounds(self) -> None:
        how = Sounds.at(8000, 0.5)
        values = how.drawn(np.random.default_rng(0), 3)
        how = how.standardised(values)
        shown = torch.from_numpy(how.shown(values)).permute(0, 3, 1, 2) / 255
        seen = how.front()(how.scaled(values))
        inside = (seen > -1.9) & (seen < 1.9)
        assert inside.float().mean() > 0.8
        assert float((how.from_shown(shown) - seen).abs()[inside].max()) <= 1 / 64 + 1e-4
