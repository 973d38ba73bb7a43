"""Pictures with boxes, in whatever format they are annotated: which it is, and reading it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from likewise.data.annotations import coco, voc, yolo
from likewise.data.annotations.marks import Annotations, Progress, flaw, gathered
from likewise.data.annotations.pairing import Pictures, annotation_files, is_labels_folder
from likewise.data.annotations.writing import FORMATS
from likewise.data.boxes import BoxSet
from likewise.data.loaders import below
from likewise.errors import DataError, UsageError
from likewise.media.opening import opened

LOOKED_AT = 2**16  # bytes of a file that tell its format
FEW_FILES = 20  # that are looked at to find out


NONE = "Pictures with boxes are a folder with annotations of Pascal VOC (.xml) or YOLO (.txt), or a COCO .json"


def open_boxes(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    pictures: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    progress: Progress | None = None,
) -> BoxSet:
    """Pictures with boxes, annotated in Pascal VOC XML, COCO JSON or YOLO text.

    Boxes that reach over the edge are clipped, swapped corners put right, boxes outside or without area left out, and
    so are pictures whose annotation is missing, damaged, or of a class that is not listed: `BoxSet.problems` says so.

    Args:
        path: a folder, a COCO .json, or the data.yaml of YOLO data.
        format: "voc", "coco" or "yolo"; None finds out.
        pictures: of COCO, the folder that file names start from; None looks where it usually is.
        group_from: a regular expression with one group; what it finds in a file's name is the picture's group.
        progress: told how many pictures were looked at.

    Raises:
        DataError: there is nothing of the kind, or nothing of it can be used.
        UsageError: another format, or a folder of pictures where there is none to be given.
    """
    where = Path(path)
    if format not in (None, *FORMATS):
        raise UsageError("Boxes are in coco, voc or yolo", repr(format))
    if not where.exists():
        raise DataError(NONE, f"{str(path)!r}, which is not there", "Check the path.")
    formats = _formats(where)
    kind = format or next(formats, None)
    if kind is None:
        raise DataError(NONE, f"{str(path)!r}, which is neither", "See docs/boxes.md.")
    if pictures is not None and kind != "coco":
        raise UsageError("A folder of pictures is given for COCO alone", FORMATS[kind].called, "Leave it out.")
    origin = str(path)
    if kind == "coco":
        file = _coco_file(where)
        found, origin = coco.read(file, None if pictures is None else Path(pictures)), str(file)
    else:
        reader: Callable[[Path], Annotations] = voc.read if kind == "voc" else yolo.read
        found = reader(where if where.is_dir() else where.parent)
    for other in _others(formats) if format is None else ():
        received = f"{FORMATS[other].called} beside {FORMATS[kind].called}"
        found.problems.append(
            flaw(str(path), "A folder is annotated in one format", received, "the former is not read")
        )
    return gathered(found, origin, group_from=group_from, progress=progress)


def box_format(path: str | os.PathLike[str]) -> str | None:
    """How the boxes of a folder or file are written down, "voc", "coco" or "yolo"; None where there are none.

    Raises:
        DataError: a folder that may not be listed.
    """
    return next(_formats(Path(path)), None)


def _others(formats: Iterator[str]) -> list[str]:
    """What is left of `formats`; where a file of theirs cannot be read, they are none of the data."""
    try:
        return list(formats)
    except DataError:
        return []


def _formats(where: Path) -> Iterator[str]:
    """All formats of which there is something."""
    if where.is_file():
        if where.suffix.lower() in yolo.SETTINGS_SUFFIXES:
            yield "yolo"
        elif where.suffix.lower() == ".json" and coco.looks_like(_beginning(where)):
            yield "coco"
        return
    if not where.is_dir():
        return
    if any(voc.looks_like(_beginning(where / file)) for file in _files(where, ".xml")[:FEW_FILES]):
        yield "voc"
    if _coco_files(where):
        yield "coco"
    texts = _files(where, ".txt")
    pictures = Pictures(where) if texts else None
    paired = [file for file in texts if pictures and pictures.of(file)]
    boxed = any(yolo.looks_like(_beginning(where / file)) for file in paired[:FEW_FILES])
    if boxed or any(is_labels_folder(file) for file in paired):
        yield "yolo"


def _coco_file(where: Path) -> Path:
    if where.is_file():
        return where
    found = _coco_files(where)
    if len(found) != 1:
        several = ", ".join(str(file) for file in found[:5]) or "none"
        raise DataError("A folder has one COCO .json, or the file itself is named", f"{several} in {str(where)!r}")
    return where / found[0]


def _coco_files(where: Path) -> list[PurePosixPath]:
    return [file for file in _files(where, ".json") if coco.looks_like(_beginning(where / file))]


def _files(where: Path, suffix: str) -> list[PurePosixPath]:
    """Annotation files by their suffix; of JSON all, as no folder says which they are."""
    if suffix == ".json":
        return below(where, lambda name: name.lower().endswith(suffix))
    return annotation_files(where, lambda name: name.lower().endswith(suffix) and name.lower() != yolo.CLASSES)


def _beginning(file: Path) -> bytes:
    with opened(file, "An annotation") as stream:
        return stream.read(LOOKED_AT)
