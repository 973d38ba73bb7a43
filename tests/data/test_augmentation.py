"""Augmentation: seeded, quiet about global state, and what comes out is still a picture of the same thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.data.augmentation import AUGMENTATIONS, Change, augmentation, seeded
from likewise.errors import UsageError

NAMES = [name for name, (kind, _) in AUGMENTATIONS.items() if kind == "picture"]


def pictures_changed_by(name: str) -> Change:
    found = augmentation(name, "picture")
    assert found is not None
    assert found.items is not None
    assert found.features is None
    return found.items


def batch(channels: int) -> torch.Tensor:
    """A bright disc on black, off the centre to the left, in every picture."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(40), indexing="ij")
    disc = ((y - 16) ** 2 + (x - 12) ** 2 < 64).float() * 0.8
    return disc.expand(12, channels, 32, 40).clone()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_shape_type_and_range_stay(self, name: str, channels: int) -> None:
        found = seeded(pictures_changed_by(name), batch(channels), 0)
        assert found.shape == (12, channels, 32, 40)
        assert found.dtype == torch.float32
        assert found.min() >= 0
        assert found.max() <= 1

    def test_the_seed_decides(self, name: str, channels: int) -> None:
        found = [seeded(pictures_changed_by(name), batch(channels), seed) for seed in (1, 1, 2)]
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])

    def test_what_was_drawn_before_does_not(self, name: str, channels: int) -> None:
        augment = pictures_changed_by(name)
        seeded(augment, batch(channels), 7)
        assert torch.equal(seeded(augment, batch(channels), 1), seeded(pictures_changed_by(name), batch(channels), 1))

    def test_every_picture_of_a_batch_is_changed_in_its_own_way(self, name: str, channels: int) -> None:
        found = seeded(pictures_changed_by(name), batch(channels), 0)
        assert len({picture.numpy().tobytes() for picture in found}) == 12

    def test_the_given_pixels_are_not_written_to(self, name: str, channels: int) -> None:
        given = batch(channels)
        seeded(pictures_changed_by(name), given, 0)
        assert torch.equal(given, batch(channels))

    def test_global_generators_are_left_alone(self, name: str, channels: int) -> None:
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002 - that it is left alone is what is tested
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        seeded(pictures_changed_by(name), batch(channels), 0)
        assert torch.equal(torch.rand(2), expected)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002

    def test_the_thing_is_still_there(self, name: str, channels: int) -> None:
        """The disc keeps about its area: within what scaling by 0.85 to 1.15, or 0.6 to 1.5, and light do to it."""
        found = seeded(pictures_changed_by(name), batch(channels), 0)
        area = (found[:, 0] > 0.3).float().mean(dim=(1, 2)) / (batch(1)[:, 0] > 0.3).float().mean(dim=(1, 2))
        least, most = (0.3, 2.4) if name in ("scene", "signs") else (0.6, 1.6)
        assert area.min() > least
        assert area.max() < most


def test_left_and_right_matter_for_drawn_signs_and_not_for_photographs() -> None:
    left_share = {}
    for name in NAMES:
        columns = seeded(pictures_changed_by(name), batch(1).repeat(8, 1, 1, 1), 0).sum(dim=(1, 2))  # (96, 40)
        left_share[name] = float((columns[:, :20].sum(dim=1) > columns[:, 20:].sum(dim=1)).float().mean())
    assert left_share["jitter"] > 0.95  # never mirrored
    for name in ("mirror", "photo"):
        assert 0.3 < left_share[name] < 0.7  # mirrored every other time


def test_none_is_none_and_the_unknown_is_refused() -> None:
    assert augmentation("none", "picture") is None
    assert augmentation("none", "sound") is None
    known = "none, jitter, mirror, photo, scene, signs, speech, stream"
    with pytest.raises(UsageError, match=f"An augmentation is one of {known}; got 'blur'"):
        augmentation("blur", "picture")
    with pytest.raises(UsageError, match="An augmentation of sounds is one of none, speech; got 'photo'"):
        augmentation("photo", "sound")
    with pytest.raises(UsageError, match="An augmentation of streams is one of none, stream; got 'speech'"):
        augmentation("speech", "stream")  # which moves words away from their labels
    with pytest.raises(UsageError, match="An augmentation of sounds is one of none, speech; got 'stream'"):
        augmentation("stream", "sound")
