"""Pixels are optimised, and nothing else; smoothness and shifts are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from likewise.encoder import Encoder, Pictures, Sounds
from likewise.errors import DataError
from likewise.training.pixels import CONTRAST, Waves, _shifted, optimise_pixels, total_variation


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    how = Pictures(3, 12, 16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
    return Encoder("convnet-small", 4, preprocessing=how, seed=0).train()


class Plain(nn.Module):
    """Pixels as they are: where style transfer begins with a photograph."""

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.pixels = nn.Parameter(start)

    def forward(self) -> torch.Tensor:
        return self.pixels


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


@pytest.mark.parametrize("start", ["waves", "plain"])
def test_any_picture_can_be_reached(encoder: Encoder, start: str) -> None:
    rng = np.random.default_rng(0)
    wanted = torch.from_numpy(rng.uniform(0.1, 0.9, (1, 3, 12, 16))).float()
    pictures = Waves((1, 3, 12, 16), torch.full((3,), 0.5)) if start == "waves" else Plain(torch.rand(1, 3, 12, 16))
    found = optimise_pixels(
        encoder, pictures, lambda shown, _: (shown - wanted).square().sum(), ["conv1"], steps=800, lr=0.05
    )
    assert float((found - wanted).abs().max()) < 0.03


def test_what_is_optimised_are_the_pixels_alone(encoder: Encoder) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    pictures = Waves((2, 3, 12, 16), torch.full((3,), 0.5))

    def loss(_: torch.Tensor, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return -outputs["conv2"][:, 3].mean() - outputs["conv1"][:, 0].mean()

    answers: list[float] = []

    def told(shown: torch.Tensor, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        answers.append(-float(loss(shown, outputs).detach()))
        return loss(shown, outputs)

    optimise_pixels(encoder, pictures, told, ["conv1", "conv2"], steps=30, lr=0.05)
    assert answers[-1] > 1.5 * answers[0]
    assert encoder.training  # as it came
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_the_same_seed_gives_the_same_picture(encoder: Encoder) -> None:
    def run(seed: int) -> torch.Tensor:
        pictures = Waves((1, 3, 12, 16), torch.full((3,), 0.5))
        return optimise_pixels(
            encoder, pictures, lambda _, o: -o["conv1"].mean(), ["conv1"], steps=5, lr=0.05, jitter=3, seed=seed
        )

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_numbers_that_are_not_finite_are_an_error(encoder: Encoder) -> None:
    pictures = Waves((1, 3, 12, 16), torch.full((3,), 0.5))
    with pytest.raises(DataError, match="step 1"):
        optimise_pixels(encoder, pictures, lambda shown, _: shown.sum() * torch.nan, ["conv1"], steps=2, lr=0.1)


def test_total_variation_is_that_of_a_plain_loop() -> None:
    pictures = torch.from_numpy(np.random.default_rng(0).random((3, 2, 4, 5)))
    for picture, found in zip(pictures, total_variation(pictures), strict=True):
        down = [(picture[c, y + 1, x] - picture[c, y, x]) ** 2 for c in range(2) for y in range(3) for x in range(5)]
        aside = [(picture[c, y, x + 1] - picture[c, y, x]) ** 2 for c in range(2) for y in range(4) for x in range(4)]
        assert float(found) == pytest.approx(float(sum(down) / len(down) + sum(aside) / len(aside)))


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
