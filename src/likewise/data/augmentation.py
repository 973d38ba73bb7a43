"""Random changes that leave the identity as it is, on whole batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from likewise.errors import UsageError

Augmentation = Callable[[Tensor], Tensor]  # (N, C, H, W) float in [0, 1] -> the same


def augmentation(name: str) -> Augmentation | None:
    """The augmentation called `name`; None for "none".

    Raises:
        UsageError: unknown name.
    """
    if name not in AUGMENTATIONS:
        raise UsageError(f"An augmentation is one of {', '.join(AUGMENTATIONS)}", repr(name))
    build = AUGMENTATIONS[name]
    return build() if build else None


def seeded(augment: Augmentation, pixels: Tensor, seed: int) -> Tensor:
    """`augment(pixels)` with random choices that depend on `seed` alone, leaving torch's global state as it was.

    kornia draws from the global generator and takes no other.
    """
    with torch.random.fork_rng(devices=[pixels.device] if pixels.is_cuda else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if pixels.is_cuda:
            torch.cuda.default_generators[pixels.get_device()].manual_seed(seed)
        return augment(pixels)


def _jitter() -> Augmentation:
    """Small rotations, shifts and scalings: for drawn or scanned signs, where left and right matter."""
    import kornia.augmentation as K

    return K.RandomAffine(degrees=12.0, translate=(0.1, 0.1), scale=(0.85, 1.15), shear=8.0, p=1.0)


def _mirror() -> Augmentation:
    """Mirror images and small shifts: for things pictured alike, upright and in the middle, as in a catalogue."""
    import kornia.augmentation as K

    shifted = K.RandomAffine(degrees=0.0, translate=(0.06, 0.06), p=1.0)
    return K.AugmentationSequential(K.RandomHorizontalFlip(p=0.5), shifted, data_keys=["input"])


def _photo() -> Augmentation:
    """Mirror images, crops and light: for photographs, where left and right do not matter."""
    import kornia.augmentation as K

    steps: list[Any] = [
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(degrees=8.0, translate=(0.08, 0.08), scale=(0.85, 1.15), padding_mode="border", p=1.0),
        K.RandomBrightness(brightness=(0.75, 1.25), p=0.8),
        K.RandomContrast(contrast=(0.75, 1.25), p=0.8),
    ]
    return K.AugmentationSequential(*steps, data_keys=["input"])


AUGMENTATIONS: dict[str, Callable[[], Augmentation] | None] = {
    "none": None,
    "jitter": _jitter,
    "mirror": _mirror,
    "photo": _photo,
}
