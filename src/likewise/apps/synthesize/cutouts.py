"""What is used of the files of piles of pictures: objects without what is around them, and photos to cut from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter

from likewise.apps.making import Progress, in_order
from likewise.apps.synthesize.files import File, share
from likewise.apps.synthesize.store import Store
from likewise.data import Dataset, PairSet, open_data, pile, with_groups
from likewise.data.dataset import ZipMember
from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media.kinds import kind_of
from likewise.media.pictures import read_cutout, read_picture

Pixels: TypeAlias = NDArray[np.uint8]
Skipped: TypeAlias = list[tuple[str, str]]  # file and reason

DARK, BRIGHT = 64, 191  # what is around an object is plain below the one or above the other
PLAIN = 0.75  # of the border: the rest may be where the object touches it
NOISE = 16  # levels of luminance: so little is none of the object
EDGE = 5  # pixels across which an object fades into what is around it
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601
VISIBLE = 32  # of 255: what is less opaque nobody sees, so it is cut off and no box holds it
RICHEST = 4  # times the side of what is made: of larger photos no more is kept

Read = TypeVar("Read")


@final
@dataclass(frozen=True)
class Stored:
    """Pixels (height, width, channels) in the store.

    Attributes:
        name: of the file they are from.
        label: the class of an object; 0 for a background.
        start: their position in the store.
        shape: height, width and channels.
    """

    name: str
    label: int
    start: int
    shape: tuple[int, int, int]

    def pixels(self, stored: Pixels) -> Pixels:
        """(height, width, channels) of all that is `stored`."""
        return stored[self.start : self.start + int(np.prod(self.shape))].reshape(self.shape)


def open_objects(where: str | Path | Dataset, group_from: str | None, take: tuple[float, float]) -> Dataset:
    """The share of objects that is used: of each class a block of them in their order, or of the groups.

    Args:
        where: a folder with one sub-folder for each class, a flat one of one class, or other data, by path or name.
        group_from: finds the group in file names.
        take: from where to where.

    Raises:
        DataError: no such data, no pictures, or none in the share. UsageError: pairs.
    """
    if isinstance(where, Dataset):
        data = where
    else:
        flat = pile(where) if Path(where).is_dir() else None
        data = flat if flat is not None else open_data(where)
    if isinstance(data, PairSet):
        raise UsageError("Objects have classes", f"pairs, {data.origin!r}", "Pass a folder with one for each class.")
    if len(data) and kind_of(data.sources[0]) != "picture":
        raise DataError("The pile of objects holds pictures", f"sounds in {data.origin!r}", "Check the path.")
    if group_from is not None:
        data = with_groups(data, group_from)
    if data.groups is not None:
        taken = share(sorted(data.group_names), take)
        chosen = np.flatnonzero(np.isin(np.array(data.group_names)[data.groups], sorted(taken)))
    else:
        rows = [np.flatnonzero(data.labels == label) for label in np.unique(data.labels)]
        chosen = np.sort(np.concatenate([rows_of[slice(*_ends(len(rows_of), take))] for rows_of in rows]))
    if not len(chosen):
        raise DataError(
            "The share of the objects holds pictures",
            f"{take[0]:g}:{take[1]:g} of {len(data)} in {data.origin!r}, and none of them",
            "Take a larger share.",
        )
    return data.subset(chosen)


def _ends(count: int, take: tuple[float, float]) -> tuple[int, int]:
    return round(take[0] * count), round(take[1] * count)


def digest_of(objects: Dataset) -> str:
    """SHA-256 of the contents and the classes of objects."""
    found = hashlib.sha256("\n".join(objects.names).encode("utf-8", "surrogateescape"))
    for column in (objects.contents, objects.labels):
        found.update(np.ascontiguousarray(column).data)
    return found.hexdigest()


def read_objects(
    data: Dataset, store: Store[np.uint8], longest: int, workers: int | None, progress: Progress | None
) -> tuple[list[Stored], Skipped, int]:
    """Each object as red, green, blue and alpha, cut to what is visible of it.

    Args:
        data: pictures with a class each.
        store: where they are put.
        longest: pixels of the longer side; larger ones are made smaller.
        workers: threads.
        progress: told how many are read.

    Returns:
        The objects, those that cannot be used, and how many are whole rectangles.

    Raises:
        DataError: there is not one that can be used.
    """

    def read(i: int) -> tuple[Stored, bool] | str:
        source: Any = data.sources[i]
        try:
            raw = source.read() if isinstance(source, ZipMember) else source
            found, plain = cut_out(read_cutout(raw, name=data.files[i]))
        except LikewiseError as error:
            return str(error)
        bounds = visible(found)
        if bounds is None:
            return "nothing of it is visible"
        top, bottom, left, right = bounds
        found = _at_most(found[top:bottom, left:right], longest)
        shape = (found.shape[0], found.shape[1], 4)
        return Stored(data.files[i], int(data.labels[i]), store.add(found.reshape(-1)), shape), plain

    made = in_order(read, range(len(data)), workers=workers, progress=progress, text="reading objects")
    skipped = [(data.files[i], reason) for i, reason in enumerate(made) if isinstance(reason, str)]
    kept = [each for each in made if not isinstance(each, str)]
    if not kept:
        raise _none_usable("objects", skipped)
    return [stored for stored, _ in kept], skipped, sum(not plain for _, plain in kept)


def cut_out(pixels: Pixels) -> tuple[Pixels, bool]:
    """(H, W, 4) -> the same with an alpha, and whether there was something to tell the object by.

    Alpha that is there counts. Else, where the border is dark, or bright, how far luminance is from that of the
    border says how opaque a pixel is: as opaque as that is of the farthest nearby, so that a grey inside stays solid
    while edges fade. Its colour is what is left without the border's share. A picture with neither is an object as a
    whole.
    """
    if (pixels[..., 3] < 255).any():
        return pixels, True
    luminance = pixels[..., :3] @ LUMA
    border = np.concatenate([luminance[[0, -1]].ravel(), luminance[:, [0, -1]].ravel()])
    around = float(np.median(border))
    if max(np.mean(border <= DARK), np.mean(border >= BRIGHT)) < PLAIN:
        return pixels, False
    away = np.abs(luminance - around)
    alpha = np.where(away > NOISE, away / np.maximum(maximum_filter(away, EDGE), 1), 0)[..., None]
    colour = (pixels[..., :3] - (1 - alpha) * around) / np.maximum(alpha, 1 / 255)
    return np.concatenate([np.clip(np.rint(colour), 0, 255), np.rint(alpha * 255)], axis=2).astype(np.uint8), True


def visible(pixels: Pixels) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of what is an eighth opaque or more in (H, W, 4); None where nothing is."""
    there = pixels[..., 3] >= VISIBLE
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if len(rows) else None


def read_backgrounds(
    files: Sequence[File], store: Store[np.uint8], size: int, workers: int | None, progress: Progress | None
) -> tuple[list[Stored], Skipped]:
    """The photos of a pile; of very large ones a smaller version.

    Args:
        files: of the pile.
        store: where they are put.
        size: side of the pictures that are made.
        workers: threads.
        progress: told how many are read.

    Raises:
        DataError: there is not one that can be used.
    """

    def read(file: File) -> Stored | str:
        try:
            pixels = read_picture(file.path, mode="RGB")
        except LikewiseError as error:
            return str(error)
        height, width = pixels.shape[:2]
        pixels = _at_most(pixels, RICHEST * size * max(height, width) // min(height, width))
        return Stored(file.name, 0, store.add(pixels.reshape(-1)), (pixels.shape[0], pixels.shape[1], 3))

    made = in_order(read, files, workers=workers, progress=progress, text="reading backgrounds")
    skipped = [(str(file.path), reason) for file, reason in zip(files, made, strict=True) if isinstance(reason, str)]
    kept = [each for each in made if not isinstance(each, str)]
    if not kept:
        raise _none_usable("backgrounds", skipped)
    return kept, skipped


def resized(pixels: Pixels, height: int, width: int, box: tuple[float, float, float, float] | None = None) -> Pixels:
    """(H, W, C), or the `box` (left, top, right, bottom) of it, -> (height, width, C); colours count by their alpha."""
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(picture)


def _at_most(pixels: Pixels, longest: int) -> Pixels:
    """Made smaller where the longer side is more."""
    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    return resized(pixels, height, width)


def _none_usable(what: str, skipped: Skipped) -> DataError:
    file, reason = skipped[0]
    return DataError(f"At least one of the {what} can be used", f"none of {len(skipped)}: {file}: {reason}")
