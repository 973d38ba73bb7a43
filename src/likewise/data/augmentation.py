"""Random changes that leave the identity as it is, on whole batches of pictures; boxes in them move along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, final

import torch
from torch import Tensor

from likewise.data.sound_augmentation import changed_bands, changed_sounds, changed_spectrograms, changed_streams
from likewise.errors import UsageError

Change = Callable[[Tensor], Tensor]
KEPT = 0.4  # share of a box inside the picture; of less nobody would say what it is


@final
@dataclass(frozen=True)
class Augmentation:
    """What is changed, and where on the way from an item to an embedding.

    Attributes:
        kind: of the items it is for: "picture", "sound", or "stream" of sounds whose labels are of times.
        items: (N, ...) floats as scaled by the preprocessing -> the same; None to leave them.
        features: (N, C, H, W) as the network sees them -> the same; None to leave them.
        placed: as `items`, of pictures and the boxes in them; see `moved_along`. None where there are no boxes.
    """

    kind: str
    items: Change | None = None
    features: Change | None = None
    placed: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None


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


Found = TypeVar("Found")


def seeded(change: Callable[[Tensor], Found], values: Tensor, seed: int) -> Found:
    """`change(values)` with random choices that depend on `seed` alone, leaving torch's global state as it was.

    kornia draws from the global generator and takes no other.
    """
    with torch.random.fork_rng(devices=[values.device] if values.is_cuda else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        if values.is_cuda:
            torch.cuda.default_generators[values.get_device()].manual_seed(seed)
        return change(values)


def moved_along(steps: Sequence[Any], values: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Changes pictures (N, C, H, W) by kornia's `steps`, and the boxes in them with them.

    Of a box that is turned, the upright one around its corners is taken; what reaches over the edge is cut off, and a
    box of which less than `KEPT` is left is there no more; an ignored one is as long as anything is left of it.

    Args:
        steps: augmentations of kornia.
        values: floats.
        boxes: (N, M, 5) centre x and y, width and height as shares of the picture, and class; -1 for none, -2 for an
            ignored box.
    """
    import kornia.augmentation as K

    size = boxes.new_tensor([values.shape[3], values.shape[2]])
    half = (
        boxes[..., 2:4, None] / 2 * boxes.new_tensor([[-1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, 1.0, 1.0]])
    )  # (N, M, 2, 4)
    corners = (
        boxes[..., :2, None] + half
    ).mT * size - 0.5  # (N, M, 4, 2): kornia's pixels have their centre at 0, 1, ...
    both = K.AugmentationSequential(*steps, data_keys=["input", "keypoints"])
    changed, found = both(values, corners.flatten(1, 2))
    found = (found.unflatten(1, corners.shape[1:3]) + 0.5) / size
    whole = (found.amax(2) - found.amin(2)).prod(dim=-1)
    first, last = found.amin(2).clamp(0, 1), found.amax(2).clamp(0, 1)
    side = last - first
    left = side.prod(dim=-1)
    there = torch.where(boxes[..., 4] < -1, left > 0, left >= KEPT * whole.clamp_min(1e-12))
    label = torch.where(there, boxes[..., 4], -1.0)
    return changed, torch.cat([(first + last) / 2, side, label[..., None]], dim=-1)


def _of_pictures(*steps: Any) -> Augmentation:
    """Of pictures, by kornia's `steps`; boxes move along."""
    import kornia.augmentation as K

    items = steps[0] if len(steps) == 1 else K.AugmentationSequential(*steps, data_keys=["input"])
    return Augmentation("picture", items, placed=partial(moved_along, steps))


def _jitter() -> Augmentation:
    """Small rotations, shifts and scalings: for drawn or scanned signs, where left and right matter."""
    import kornia.augmentation as K

    return _of_pictures(K.RandomAffine(degrees=12.0, translate=(0.1, 0.1), scale=(0.85, 1.15), shear=8.0, p=1.0))


def _mirror() -> Augmentation:
    """Mirror images and small shifts: for things pictured alike, upright and in the middle, as in a catalogue."""
    import kornia.augmentation as K

    return _of_pictures(K.RandomHorizontalFlip(p=0.5), K.RandomAffine(degrees=0.0, translate=(0.06, 0.06), p=1.0))


def _photo() -> Augmentation:
    """Mirror images, crops and light: for photographs, where left and right do not matter."""
    import kornia.augmentation as K

    return _of_pictures(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomAffine(degrees=8.0, translate=(0.08, 0.08), scale=(0.85, 1.15), padding_mode="border", p=1.0),
        K.RandomBrightness(brightness=(0.75, 1.25), p=0.8),
        K.RandomContrast(contrast=(0.75, 1.25), p=0.8),
    )


def _scene() -> Augmentation:
    """Mirror images, crops, large shifts and scalings, light and colour: for scenes with things in them."""
    import kornia.augmentation as K

    return _of_pictures(K.RandomHorizontalFlip(p=0.5), *_scene_changes())


def _signs() -> Augmentation:
    """The same without mirror images: where left and right matter, as of letters and digits."""
    return _of_pictures(*_scene_changes())


def _scene_changes() -> list[Any]:
    import kornia.augmentation as K

    class Saturation(K.RandomSaturation):
        """Leaves grey pictures as they are, where kornia would refuse them."""

        def apply_transform(self, input: Tensor, *others: Any, **more: Any) -> Tensor:
            return super().apply_transform(input, *others, **more) if input.shape[1] == 3 else input

    return [
        K.RandomAffine(degrees=0.0, translate=(0.2, 0.2), scale=(0.6, 1.5, 0.6, 1.5), p=1.0),
        K.RandomBrightness(brightness=(0.7, 1.3), p=0.8),
        K.RandomContrast(contrast=(0.7, 1.3), p=0.8),
        Saturation(saturation=(0.5, 1.5), p=0.5),
    ]


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
    "scene": ("picture", _scene),
    "signs": ("picture", _signs),
    "speech": ("sound", _speech),
    "stream": ("stream", _stream),
}  # -> the kind of items it is for, and what makes it
WITH_BOXES = frozenset({"scene", "signs"})  # of things somewhere in a picture: one that fills it would lose half
