"""`likewise synthesize` of pictures: objects over photos, with exact boxes."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from likewise.apps.making import Progress, in_order
from likewise.apps.synthesize.collage import Collage, Piles, Rules, draw_collage
from likewise.apps.synthesize.cutouts import (
    Pixels,
    Skipped,
    Stored,
    digest_of,
    open_objects,
    read_backgrounds,
    read_objects,
)
from likewise.apps.synthesize.files import File, list_piles
from likewise.apps.synthesize.flow import DrawOptions, Folders, conduct, digest, listed
from likewise.apps.synthesize.store import Store
from likewise.data import BoxSet, Dataset
from likewise.data.annotations.coco import FILE, PICTURES, document
from likewise.errors import UsageError
from likewise.media.files import check_outside, replacing_file
from likewise.media.pictures import jpeg_bytes

RECORD = "pictures.json"
LEAST_SIZE, MOST_SIZE = 16, 4_096
MOST_OBJECTS = 100
MOST_IN_MEMORY = 2**33  # bytes of pixels


@final
@dataclass(frozen=True, kw_only=True)
class PictureOptions(DrawOptions):
    """What pictures are made; see `DrawOptions` too. Groups are those of objects.

    Attributes:
        size: rows and columns of a picture.
        objects: range of how many objects are drawn for each.
        extent: range of the longer side of what is visible of an object, in parts of `size`.
        brightness: range of how many times as bright as in its file an object is.
        contrast: least difference, in parts of white, that an object makes to the mean luminance of where it is (its
            pixels counted by their alpha); where the brightness that was drawn gives less, the nearest that does not is
            taken; where none does, as black has none, the object is lifted; where that does not do, it is left out.
        gap: least pixels between two objects.
    """

    size: int = 224
    objects: tuple[int, int] = (1, 5)
    extent: tuple[float, float] = (0.125, 0.5)
    brightness: tuple[float, float] = (0.6, 1.0)
    contrast: float = 0.2
    gap: float = 0

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be made."""
        super().__post_init__()
        if not LEAST_SIZE <= self.size <= MOST_SIZE:
            raise UsageError(f"Pictures have {LEAST_SIZE} to {MOST_SIZE:,} rows and columns", self.size)
        if not 0 <= self.objects[0] <= self.objects[1] <= MOST_OBJECTS:
            received = f"{self.objects[0]} to {self.objects[1]}"
            raise UsageError(f"Objects are from a lower to a higher number, 0 to {MOST_OBJECTS}", received)
        if not 0 < self.extent[0] <= self.extent[1] <= 1:
            received = f"{self.extent[0]:g} to {self.extent[1]:g}"
            raise UsageError("An extent is from a lower to a higher part of the picture, above 0 up to 1", received)
        if not 0 <= self.brightness[0] <= self.brightness[1] <= 10:
            received = f"{self.brightness[0]:g} to {self.brightness[1]:g}"
            raise UsageError("A brightness is from a lower to a higher one, 0 to 10", received)
        if not 0 <= self.contrast <= 0.5:
            raise UsageError("A contrast is 0 to 0.5", self.contrast)
        if not (0 <= self.gap <= self.size and float(self.gap).is_integer()):
            raise UsageError("A gap is a whole number of pixels, 0 up to the size of the picture", self.gap)

    @property
    def rules(self) -> Rules:
        """What pictures are drawn by."""
        return Rules(self.size, self.objects, self.extent, self.brightness, self.contrast, int(self.gap))


@final
@dataclass(frozen=True)
class SynthesizedPictures:
    """What was made.

    Attributes:
        out: the folder.
        pictures: how many.
        boxes: objects placed.
        classes: how many of each.
        left_out: objects for which a picture had no room.
        unseen: objects that were left out because nobody could have told them from what would be under them.
        files: how many of each pile were used.
        skipped: file and reason of each that could not be.
        notes: what the person should know.
    """

    out: Path
    pictures: int
    boxes: int
    classes: dict[str, int]
    left_out: int
    unseen: int
    files: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def manifest(self) -> Path:
        """All boxes, as COCO writes them."""
        return self.out / FILE

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise synthesize --json`."""
        return {
            "pictures": self.pictures,
            "boxes": self.boxes,
            "manifest": str(self.manifest),
            "classes": self.classes,
            "left_out": self.left_out,
            "unseen": self.unseen,
            "files": self.files,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "notes": list(self.notes),
        }


def synthesize_pictures(
    objects: Path | str | Dataset,
    background: Folders,
    out: Path | str,
    options: PictureOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SynthesizedPictures:
    """Writes pictures of objects over photos, and where every object lies, so that `open_boxes` reads the folder.

    The piles are only read. Stopped and called again with the same arguments it goes on where it was; the manifest is
    written at the end, so a folder that has one is whole.

    Args:
        objects: a folder with a sub-folder for each class, other data by path or name (IDX files, mnist), or a data
            set. Cut out by their alpha, or by luminance where a plain dark or bright border is around them.
        background: folder, or several, of photos.
        out: where to: images/, annotations.json and pictures.json.
        options: the defaults if None.
        workers: threads, as many as there are processors by default; they do not change the pictures.
        progress: told of every stage.

    Raises:
        UsageError: options that cannot be; an `out` that lies in a pile, holds something else, or was made with other
            options or of other files.
        DataError: a pile of which nothing can be used; a folder that cannot be read or written.
    """
    options = options or PictureOptions()
    out = Path(out)
    check_outside(out, [*listed(background), *([Path(objects)] if isinstance(objects, (str, Path)) else [])])
    kind = _opened(objects, background, options, workers, progress)
    return conduct(kind, out, options.count, kind.made_from(), workers, progress)


def draw_pictures(
    objects: Path | str | Dataset,
    background: Folders,
    options: PictureOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> BoxSet:
    """The pictures that `synthesize_pictures` would write, in memory and before JPEG; grouped by their photos.

    Args:
        objects, background, options, workers, progress: see there.

    Returns:
        `sources` is one array (count, size, size, 3); `problems` are the files that were skipped.

    Raises:
        UsageError: more than 8 GiB of pixels, or other options that cannot be. DataError: see there.
    """
    options = options or PictureOptions()
    if 3 * options.count * options.size**2 > MOST_IN_MEMORY:
        raise UsageError(
            f"Pictures in memory have up to {MOST_IN_MEMORY >> 30} GiB of pixels",
            f"{options.count} of {options.size} x {options.size}",
            "Write them into a folder.",
        )
    kind = _opened(objects, background, options, workers, progress)
    pixels = np.empty((options.count, options.size, options.size, 3), np.uint8)

    def make(number: int) -> Collage:
        pixels[number], collage = kind.draw(number)
        return collage

    with closing(Store(None, np.uint8)) as store:
        kind.read(store, workers, progress)
        collages = in_order(make, range(options.count), workers=workers, progress=progress, text=kind.called)
    return kind.boxes(collages, pixels)


@final
class _Pictures:
    """Pictures; see `Kind`.

    Args:
        objects: the share of them that is used.
        files: photos.
        options: what is asked.
    """

    record, folder, dtype, called = RECORD, PICTURES, np.uint8, "pictures"

    def __init__(self, objects: Dataset, files: Sequence[File], options: PictureOptions) -> None:
        self._objects, self._files, self._options = objects, files, options
        self._skipped: Skipped = []
        self._notes: list[str] = []

    def made_from(self) -> dict[str, Any]:
        """All that decides what the pictures are."""
        digests = {"objects_from": digest_of(self._objects), "backgrounds": digest(self._files)}
        return self._options.made_from(digests, "pillow")

    def read(self, store: Store[np.uint8], workers: int | None, progress: Progress | None) -> None:
        """The piles, and what could not be read of them."""
        options = self._options
        longest = math.ceil(options.extent[1] * options.size)
        objects, skipped, whole = read_objects(self._objects, store, longest, workers, progress)
        backgrounds, more = read_backgrounds(self._files, store, options.size, workers, progress)
        self._skipped = skipped + more
        if whole:
            self._notes.append(
                f"{whole} of {len(objects)} objects have no alpha and no plain border: they are placed as rectangles"
            )
        of_class: defaultdict[int, list[Stored]] = defaultdict(list)
        for each in objects:
            of_class[each.label].append(each)
        self._piles = Piles(list(of_class.values()), backgrounds, store.mapped())

    def draw(self, number: int) -> tuple[Pixels, Collage]:
        """Picture `number`."""
        return draw_collage(self._piles, self._options.rules, np.random.default_rng([self._options.seed, number]))

    def make(self, number: int, out: Path) -> Collage:
        """What is in a picture, which is written."""
        pixels, collage = self.draw(number)
        file = out / self._path(number)
        if not file.exists():
            with replacing_file(file) as fresh:
                fresh.write_bytes(jpeg_bytes(pixels))
        return collage

    def boxes(self, collages: Sequence[Collage], sources: Pixels | tuple[Path, ...]) -> BoxSet:
        """What is where, as a set."""
        photos = tuple(dict.fromkeys(each.background.name for each in collages))
        number = {name: i for i, name in enumerate(photos)}
        placed = [each.placed for each in collages]
        return BoxSet(
            sources=sources,
            files=tuple(self._path(i) for i in range(len(collages))),
            names=self._objects.names,
            boxes=tuple(np.array([each.box for each in some], np.float64).reshape(-1, 4) for some in placed),
            labels=tuple(np.array([each.object.label for each in some], np.int64) for some in placed),
            ignored=tuple(np.zeros(len(some), np.bool_) for some in placed),
            sizes=np.full((len(collages), 2), self._options.size),
            groups=np.array([number[each.background.name] for each in collages], np.int64),
            group_names=photos,
            origin=f"{self._objects.origin} over photos, seed {self._options.seed}",
            problems=tuple(self._skipped),
        )

    def finish(self, out: Path, scenes: Sequence[Collage]) -> SynthesizedPictures:
        """Writes the manifest."""
        data = self.boxes(scenes, tuple(out / self._path(i) for i in range(len(scenes))))
        result = SynthesizedPictures(
            out=out,
            pictures=len(scenes),
            boxes=len(data.every_label),
            classes={name: int(count) for name, count in zip(data.names, data.counts(), strict=True) if count},
            left_out=sum(each.left_out for each in scenes),
            unseen=sum(each.unseen for each in scenes),
            files={
                "objects": sum(map(len, self._piles.objects)),
                "backgrounds": len(self._piles.backgrounds),
            },
            skipped=tuple(self._skipped),
            notes=tuple(self._notes),
        )
        manifest = document(data, data.files)
        for picture, collage in zip(manifest["images"], scenes, strict=True):
            picture |= {"background": collage.background.name, "cut": [round(each, 2) for each in collage.cut]}
        every = [each for collage in scenes for each in collage.placed]
        for annotation, each in zip(manifest["annotations"], every, strict=True):
            annotation |= {
                "object": each.object.name,
                "brightness": round(each.brightness, 4),
                "lift": round(each.lift, 2),
            }
        with replacing_file(result.manifest) as fresh:
            fresh.write_text(json.dumps(manifest) + "\n", "utf-8", "surrogateescape")
        return result

    def _path(self, number: int) -> str:
        return f"{PICTURES}/{number:0{max(5, len(str(self._options.count - 1)))}}.jpg"


def _opened(
    objects: Path | str | Dataset,
    background: Folders,
    options: PictureOptions,
    workers: int | None,
    progress: Progress | None,
) -> _Pictures:
    folders = {"backgrounds": listed(background)}
    if not folders["backgrounds"]:
        raise UsageError("Pictures are cut out of a pile of photos", "none", "Pass --background DIR.")
    piles, _ = list_piles(folders, options.take, None, "picture", workers, progress)
    return _Pictures(open_objects(objects, options.group_from, options.take), piles["backgrounds"], options)
