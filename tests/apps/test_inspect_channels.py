"""What a channel looks for: by optimised pixels, and in the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from inspect_drawn import SIDE, SQUARE, red_encoder, with_square

from likewise.apps.inspect import levels_of, read_shown, receptive_field, sought, strongest_patches
from likewise.apps.inspect.channels import Level
from likewise.apps.inspect.patches import _offset
from likewise.apps.inspect.subject import outputs_at
from likewise.data import Dataset, arrays, folder
from likewise.encoder import BACKBONES, Encoder, Head, Pictures, Sounds
from likewise.errors import DataError, UsageError


def encoder_of(backbone: str, *, channels: int = 1, side: int = 16, head: Head | None = None) -> Encoder:
    half = (0.5,) * channels
    how = Pictures(channels, side, side, mean=half, std=half)
    return Encoder(backbone, None if head else 8, head=head, preprocessing=how, seed=0).eval()


class TestLevels:
    @pytest.mark.parametrize(
        ("backbone", "taps"),
        [
            ("linear", ["embedding"]), ("mlp", ["hidden1", "hidden2"]), ("tutorial", ["conv1", "conv2", "hidden"]),
            ("convnet-small", ["conv1", "conv2", "conv4"]), ("convnet", ["stem", "block1", "block3"]),
        ],
    )  # fmt: skip
    def test_low_middle_and_high(self, backbone: str, taps: list[str]) -> None:
        assert backbone in BACKBONES
        levels = levels_of(encoder_of(backbone))
        assert [level.tap for level in levels] == taps
        assert all(level.channels == tuple(range(len(level.channels))) for level in levels)
        assert all(len(level.channels) in (8, 9) for level in levels)

    def test_of_a_classifier_the_highest_are_its_classes(self) -> None:
        encoder = encoder_of("convnet-small", head=Head("multiclass", ("cat", "dog", "cow")))
        last = levels_of(encoder)[-1]
        assert (last.tap, last.names) == ("embedding", ("cat", "dog", "cow"))
        binary = encoder_of("linear", head=Head("binary", ("no", "yes")))
        assert levels_of(binary)[-1].names == ("yes",)

    def test_an_item_chooses_the_channels_that_it_excites_most(self) -> None:
        encoder = encoder_of("convnet-small")
        item = read_shown(encoder, np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8))
        (level,) = levels_of(encoder, item, tap="conv2")
        peaks = outputs_at(encoder, item.features, ["conv2"])["conv2"][0].amax(dim=(1, 2))
        assert set(level.channels) == set(peaks.argsort(descending=True)[:9].tolist())
        assert list(level.channels) == sorted(level.channels)

    def test_what_cannot_be(self) -> None:
        encoder = encoder_of("convnet-small")
        with pytest.raises(UsageError, match="Taps of this model are conv1"):
            levels_of(encoder, tap="conv9")
        for channel in (-1, 32):
            with pytest.raises(UsageError, match="Channels of conv1 are 0 to 31"):
                levels_of(encoder, tap="conv1", channel=channel)
        with pytest.raises(UsageError, match="Name the tap"):
            levels_of(encoder, channel=3)


class TestSought:
    def test_a_template_is_found_again(self) -> None:
        """A linear channel that wants the left bright and the right dark, and another that wants the reverse."""
        encoder = encoder_of("linear")
        last = encoder.stages["embedding"]
        with torch.no_grad():
            last.weight.zero_()
            template = torch.cat([torch.ones(16, 8), -torch.ones(16, 8)], dim=1).flatten()
            last.weight[2], last.weight[5] = template, -template
        found = sought(encoder, Level("embedding", (2, 5), ("2", "5")), steps=60)
        for pixels, sign in zip(found.pixels, (1, -1), strict=True):
            left, right = pixels[:, :7].mean(), pixels[:, 9:].mean()
            assert sign * (left - right) > 80  # noise has no side
        assert (found.answers > found.starts).all()

    def test_red_is_looked_for_by_what_sees_red(self) -> None:
        found = sought(red_encoder(), Level("conv2", (0,), ("0",)), steps=60)
        red, green, blue = found.pixels[0].reshape(-1, 3).astype(float).T
        # One pixel of the four that a maximum is taken of is enough.
        assert np.quantile(red - np.maximum(green, blue), 0.9) > 100
        assert np.quantile(green - np.maximum(red, blue), 0.9) < 50

    def test_of_a_sound_it_is_a_spectrogram(self) -> None:
        """A channel that wants the lowest bands loud: high sounds are above."""
        how = Sounds.at(8000, 0.5)
        encoder = Encoder("linear", 2, preprocessing=how, seed=0).eval()
        with torch.no_grad():
            last = encoder.stages["embedding"]
            weight = torch.zeros(how.mels, how.frames)
            weight[: how.mels // 2] = 1.0
            last.weight[0] = weight.flatten()
        (pixels,) = sought(encoder, Level("embedding", (0,), ("0",)), steps=60).pixels
        assert pixels.shape == (how.mels, how.frames, 1)
        half = how.mels // 2
        assert pixels[half:].mean() > pixels[:half].mean() + 60  # the lower half of the picture

    def test_a_channel_that_nothing_excites_is_said(self) -> None:
        encoder = encoder_of("convnet-small")
        with torch.no_grad():
            encoder.stages["conv1"][2].bias[3] = -1e4
        found = sought(encoder, Level("conv1", (3, 4), ("3", "4")), steps=9)
        assert found.answers[0] == 0
        assert "1 could not be excited" in found.said()

    def test_the_seed_decides(self) -> None:
        encoder, level = encoder_of("convnet-small"), Level("conv2", (0, 1), ("0", "1"))
        first, again, other = (sought(encoder, level, steps=4, seed=seed) for seed in (0, 0, 1))
        assert all((a == b).all() for a, b in zip(first.pixels, again.pixels, strict=True))
        assert any((a != b).any() for a, b in zip(first.pixels, other.pixels, strict=True))


class TestPatches:
    @pytest.fixture
    def data(self) -> Dataset:
        rng = np.random.default_rng(0)
        return arrays(rng.integers(0, 256, (300, 16, 16), np.uint8), rng.integers(0, 4, 300))

    @pytest.mark.parametrize("at_once", [256, 7])
    def test_they_are_those_of_a_plain_search(
        self, data: Dataset, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("likewise.apps.inspect.patches.AT_ONCE", at_once)
        encoder = encoder_of("convnet-small")
        levels = [Level("conv1", (0, 5, 31), ("0", "5", "31")), Level("conv3", (7, 100), ("7", "100"))]
        for level, found in zip(levels, strongest_patches(encoder, levels, data), strict=True):
            features = encoder.features(torch.from_numpy(data.sources)[:, None])
            maps = outputs_at(encoder, features, [level.tap])[level.tap]
            for k, channel in enumerate(level.channels):
                peaks = maps[:, channel].flatten(1).max(dim=1).values
                best = peaks.argsort(descending=True, stable=True)[:9]
                assert [patch.item for patch in found.patches[k]] == best.tolist()
                expected = pytest.approx(peaks[best].tolist(), rel=1e-4)
                assert [patch.answer for patch in found.patches[k]] == expected

    def test_a_patch_is_all_that_the_answer_depends_on(self, data: Dataset) -> None:
        """With everything else noise, the answer is the same."""
        encoder = encoder_of("convnet-small")
        level = Level("conv2", (3, 9), ("3", "9"))
        (found,) = strongest_patches(encoder, [level], data)
        rng = np.random.default_rng(1)
        for k, channel in enumerate(level.channels):
            for patch, pixels in zip(found.patches[k], found.pixels[k], strict=True):
                top, bottom, left, right = patch.box
                noise = rng.integers(0, 256, (16, 16), np.uint8)
                noise[top:bottom, left:right] = data.sources[patch.item][top:bottom, left:right]
                maps = outputs_at(encoder, encoder.features(torch.from_numpy(noise)[None, None]), ["conv2"])["conv2"]
                assert float((maps[0, channel] - patch.answer).abs().min()) < 1e-4
                inside = data.sources[patch.item][top:bottom, left:right]
                assert _holds(pixels[..., 0], inside)

    def test_the_patch_shows_what_excites(self) -> None:
        """Of many pictures, nine with a red square: they are found, and their patches show it."""
        rng = np.random.default_rng(0)
        grey = np.repeat(rng.integers(90, 160, (60, SIDE, SIDE, 1), np.uint8), 3, axis=3)
        places = {int(item): tuple(rng.integers(10, 45, 2).tolist()) for item in rng.choice(60, 9, replace=False)}
        for item, place in places.items():
            grey[item] = with_square(*place, seed=item)
        data = arrays(grey, np.arange(60) % 2)
        (found,) = strongest_patches(red_encoder(), [Level("conv2", (0,), ("0",))], data)
        assert {patch.item for patch in found.patches[0]} == set(places)
        for patch, pixels in zip(found.patches[0], found.pixels[0], strict=True):
            top, left = places[patch.item]
            assert patch.box[0] < top + SQUARE
            assert patch.box[1] > top
            assert patch.box[2] < left + SQUARE
            assert patch.box[3] > left
            assert ((pixels[..., 0] > 200) & (pixels[..., 1] < 50)).mean() >= 0.1  # of grey pixels none is so

    def test_fewer_items_than_patches_and_a_silent_channel(self, data: Dataset) -> None:
        encoder = encoder_of("convnet-small")
        with torch.no_grad():
            encoder.stages["conv1"][2].bias[3] = -1e4
        (found,) = strongest_patches(encoder, [Level("conv1", (2, 3), ("2", "3"))], data.subset(np.arange(4)))
        assert [len(row) for row in found.patches] == [4, 0]
        assert "1 of the channels answer to none" in found.said()
        assert found.draw().width > 200

    def test_unreadable_items_are_told_and_passed_over(self, digit_folder: Path) -> None:
        data = folder(digit_folder)
        broken = Dataset((*data.sources[:20], digit_folder / "nosuch.png"), (*data.files[:20], "nosuch.png"),
                         np.append(data.labels[:20], 0), data.names)  # fmt: skip
        encoder = encoder_of("convnet-small", side=8)
        (found,) = strongest_patches(encoder, [Level("conv1", (0,), ("0",))], broken)
        assert found.items == 20
        assert [file for file, _ in found.skipped] == ["nosuch.png"]
        with pytest.raises(DataError, match="At least one item"):
            strongest_patches(encoder, [Level("conv1", (0,), ("0",))], broken.subset([20]))

    def test_of_a_sound_high_bands_are_above(self) -> None:
        """Channels of a convolution that hear the highest and the lowest rows; boxes are those of what is shown."""
        how = Sounds.at(8000, 0.5)
        t = np.arange(4000) / 8000
        sounds = [(np.sin(2 * np.pi * f * t) * 2e4).astype(np.int16) for f in (150, 3500)]
        encoder = Encoder(
            "convnet-small", 4, preprocessing=how.standardised(torch.from_numpy(np.stack(sounds))), seed=0
        )
        encoder.eval()
        with torch.no_grad():  # loudness of a place
            weight = next(encoder.stages["conv1"].parameters())
            weight.zero_()
            weight[0, 0, 1, 1] = 1.0
        data = arrays(np.stack(sounds), ["low", "high"])
        (found,) = strongest_patches(encoder, [Level("conv1", (0,), ("0",))], data)
        middle = {patch.item: (patch.box[0] + patch.box[1]) / 2 for patch in found.patches[0]}
        assert middle[1] < how.mels / 3 < 2 * how.mels / 3 < middle[0]

    def test_the_field_of_the_patches_is_that_of_the_tap(self, data: Dataset) -> None:
        encoder = encoder_of("convnet-small")
        (found,) = strongest_patches(encoder, [Level("conv1", (0,), ("0",))], data)
        field = receptive_field(encoder, "conv1")
        boxes = {field.box(row, column) for row in range(8) for column in range(8)}
        assert {patch.box for patch in found.patches[0]} <= boxes
        assert {one.shape for one in found.pixels[0]} == {(4, 4, 1)}


@pytest.mark.parametrize(
    ("first", "after", "length", "room", "offset"),
    [(3, 7, 20, 4, 0), (0, 3, 20, 4, 1), (17, 20, 20, 4, 0), (0, 20, 20, 30, 5), (0, 4, 20, 4, 0)],
)
def test_what_is_missing_at_an_edge_is_missing_there(
    first: int, after: int, length: int, room: int, offset: int
) -> None:
    assert _offset(first, after, length, room) == offset


def _holds(pixels: np.ndarray, part: np.ndarray) -> bool:
    """Whether a part is somewhere in a picture."""
    h, w = part.shape
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (h, w))
    return bool((windows == part).all(axis=(2, 3)).any())
