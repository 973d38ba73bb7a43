"""Which annotation file belongs to which picture: by where both lie, whatever folders for either are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import final

from likewise.data.annotations.marks import LEFT_OUT, Problems, flaw
from likewise.data.loaders import below, pictures_below

PICTURES = frozenset({"images", "jpegimages", "imgs", "img"})
LABELS = frozenset({"annotations", "labels", "xml", "xmls"})


@final
class Pictures:
    """The pictures below a folder, to be found by annotation files.

    Where some of them lie in a folder called images or the like, others are no part of the data (masks, say).

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.all = _in_their_folder(pictures_below(root), PICTURES)
        self._by_key: defaultdict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[PurePosixPath]] = defaultdict(list)
        self._taken: dict[PurePosixPath, PurePosixPath] = {}
        for picture in self.all:
            self._by_key[_key(picture)].append(picture)
            self._by_stem[picture.stem].append(picture)

    def of(self, annotation: PurePosixPath, named: str = "") -> PurePosixPath | None:
        """The picture that lies where `annotation` does; if none does, the only one called `named`, by its stem.

        Args:
            annotation: path in the folder.
            named: a file name that the annotation gives, perhaps of another suffix or folder.
        """
        name = PurePosixPath(named.replace("\\", "/")).name
        found = self._by_key.get(_key(annotation), [])
        if not found:
            stems = (PurePosixPath(name).stem, annotation.stem)
            found = next((alike for stem in stems if len(alike := self._by_stem.get(stem, [])) == 1), [])
        return next((picture for picture in found if picture.name == name), found[0] if found else None)

    def take(self, annotation: PurePosixPath, named: str, problems: Problems) -> PurePosixPath | None:
        """As `of`; None, and a problem, where there is none or an annotation before had it."""
        picture = self.of(annotation, named)
        if picture is None:
            problems.append(flaw(str(annotation), "An annotation has a picture", named or "none", "left out"))
            return None
        other = self._taken.setdefault(picture, annotation)
        if other != annotation:
            received = f"{other} too, for {picture}"
            problems.append(flaw(str(annotation), "A picture has one annotation file", received, "left out"))
            return None
        return picture

    def unannotated(self) -> Problems:
        """A problem for each that nothing was taken for."""
        rule = "A picture has an annotation file, an empty one where nothing is in it"
        return [flaw(str(picture), rule, "none", LEFT_OUT) for picture in self.all if picture not in self._taken]


def annotation_files(root: Path, wanted: Callable[[str], bool]) -> list[PurePosixPath]:
    """Files below `root` whose names are `wanted`; only those in a folder called labels or the like where some are."""
    return _in_their_folder(below(root, wanted), LABELS)


def is_labels_folder(file: PurePosixPath) -> bool:
    """Whether it lies in a folder called labels or the like."""
    return any(part.lower() in LABELS for part in file.parts[:-1])


def _in_their_folder(files: Sequence[PurePosixPath], folders: frozenset[str]) -> list[PurePosixPath]:
    inside = [file for file in files if any(part.lower() in folders for part in file.parts[:-1])]
    return inside or list(files)


def _key(file: PurePosixPath) -> PurePosixPath:
    """The path without suffix and without what folders of pictures and of labels are called."""
    return PurePosixPath(*(part for part in file.parts[:-1] if part.lower() not in PICTURES | LABELS), file.stem)
