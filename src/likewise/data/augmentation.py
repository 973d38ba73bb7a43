"""Random changes that leave the identity as it is, on whole batches of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from likewise.data.sound_augmentation import changed_bands, changed_sounds, changed_spectrograms, changed_streams
from likewise.errors import UsageError

Change = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True)
class Augmentation:
    """What is changed, and where on the way from an item to an embedding.

    Attributes:
        kind: of the items it is for: "picture", "sound", or "stream" of sounds whose labels are of times.
        items: (N, ...) floats as scaled by the preprocessing -> the same; None to leave them.
        features: (N, C, H, W) as the network sees them -> the same; None to leave them.
    """

    kind: str
    items: Change | None = None
    features: Change | None = None


def check_augmentation(name: str) -> None:
    """Refuses the name of none.

    Raises:
        UsageError: it is.
    """
    if name not in AUGMENTATIONS:
        raise UsageError(f"An augmentation is one of {', '.join(AUGMENTATIONS)}", repr(name))


def augmentation(name: str, kind: str) -> Augmentation | None:
    """The augmentation called `name`, for items of a kind; None for "none".

    Raises:
        UsageError: unknown name, or one for items of another kind.
    """
    check_augmentation(name)
    of, build = AUGMENTATIONS[name]
    if of not in (kind, "any"):
        there = [known for known, (one, _) in AUGMENTATIONS.items() if one in (kind, "any")]
        raise UsageError(f"An augmentation of {kind}s is one of {', '.join(there)}", f"{name!r}, which is for {of}s")
    return build()


def seeded(change: Change, values: Tensor, seed: int) -> Tensor:
    """`change(values)` with random choices that depend on `seed` alone, leaving torch's global state as it was.

    kornia draws from the global generator and takes no other.
    """
    with torch.random.fork_rng(devices=[values.device] if values.is_cuda else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if values.is_cuda:
            torch.cuda.default_generators[values.get_device()].manual_seed(seed)
        return change(values)


def _jitter() -> Augmentation:
    """Small rotations, shifts and scalings: for drawn or scanned signs, where left and right matter."""
    import kornia.augmentation as K

    return Augmentation(
        "picture", K.RandomAffine(degrees=12.0, translate=(0.1, 0.1), scale=(0.85, 1.15), shear=8.0, p=1.0)
    )


def _mirror() -> Augmentation:
    """Mirror images and small shifts: for things pictured alike, upright and in the middle, as in a catalogue."""
    import kornia.augmentation as K

    shifted = K.RandomAffine(degrees=0.0, translate=(0.06, 0.06), p=1.0)
    return Augmentation(
        "picture", K.AugmentationSequential(K.RandomHorizontalFlip(p=0.5), shifted, data_keys=["input"])
    )


def _photo() -> Augmentation:
    """Mirror images, crops and light: for photographs, where left and right do not matter."""
    import kornia.augmentation as K

    steps: list[Any] = [
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(degrees=8.0, translate=(0.08, 0.08), scale=(0.85, 1.15), padding_mode="border", p=1.0),
        K.RandomBrightness(brightness=(0.75, 1.25), p=0.8),
        K.RandomContrast(contrast=(0.75, 1.25), p=0.8),
    ]
    return Augmentation("picture", K.AugmentationSequential(*steps, data_keys=["input"]))


def _speech() -> Augmentation:
    """Loudness, place, noise, tempo, pitch and gaps: for spoken words."""
    return Augmentation("sound", changed_sounds, changed_spectrograms)


def _stream() -> Augmentation:
    """Loudness, noise, pitch and gaps: for clips in which it is known when each word is said."""
    return Augmentation("stream", changed_streams, changed_bands)


AUGMENTATIONS: dict[str, tuple[str, Callable[[], Augmentation | None]]] = {
    "none": ("any", lambda: None),
    "jitter": ("picture", _jitter),
    "mirror": ("picture", _mirror),
    "photo": ("picture", _photo),
    "speech": ("sound", _speech),
    "stream": ("stream", _stream),
}  # -> the kind of items it is for, and what makes it
