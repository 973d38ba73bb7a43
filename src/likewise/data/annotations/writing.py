"""Pictures with boxes written as a folder that other programs, and `open_boxes`, read."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, final

from likewise.data.annotations import coco, voc, yolo
from likewise.data.annotations.marks import Problems, Progress
from likewise.data.boxes import BoxSet
from likewise.data.dataset import ZipMember
from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_folder
from likewise.media.opening import opened
from likewise.media.pictures import PICTURE_SUFFIXES, png_bytes, read_picture

RESERVED = PurePosixPath(yolo.CLASSES).stem  # that of a file of labels would be taken for it


class _Write(Protocol):
    def __call__(self, data: BoxSet, pictures: Sequence[str], root: Path) -> Problems: ...


@final
@dataclass(frozen=True)
class Format:
    """One way to write boxes down.

    Attributes:
        called: its name when speaking to a person.
        write: writes the annotations of a set, whose pictures lie in a folder.
        pictures: what that folder is called.
    """

    called: str
    write: _Write
    pictures: str


FORMATS = {
    "coco": Format("COCO", coco.write, coco.PICTURES),
    "voc": Format("Pascal VOC", voc.write, voc.PICTURES),
    "yolo": Format("YOLO text", yolo.write, yolo.PICTURES),
}


def write_boxes(
    data: BoxSet, out: str | os.PathLike[str], format: str = "coco", *, progress: Progress | None = None
) -> Problems:
    """Writes a folder with copies of the pictures and their boxes, which `open_boxes` reads.

    Pictures of files are copied as they are, arrays become PNG. Nothing that is there is replaced: folders of labels
    look alike, whoever wrote them.

    Args:
        data: what to write.
        out: the folder, new or empty.
        format: "coco", "voc" or "yolo".
        progress: told how many pictures are copied.

    Returns:
        File and reason of what the format cannot say.

    Raises:
        UsageError: another format, or `out` holds something.
        DataError: a picture cannot be read, or the folder not be written.
    """
    if format not in FORMATS:
        raise UsageError("Boxes are written in coco, voc or yolo", repr(format))
    form = FORMATS[format]
    _check_names(data.names)
    with replacing_folder(Path(out), marker=None) as fresh:
        (fresh / form.pictures).mkdir()
        names = _file_names(data)
        for i, name in enumerate(names):
            _copy(data.sources[i], data.files[i], fresh / form.pictures / name)
            if progress:
                progress(i + 1, len(data), "copying pictures")
        return form.write(data, names, fresh)


def _check_names(names: Sequence[str]) -> None:
    """Refuses names that a line of text or an element of XML cannot hold, or that two classes have."""
    for name, count in Counter(names).items():
        if count > 1 or not name.isprintable() or name != " ".join(name.split()) or not name:
            rule = "The name of a class to be written is one line of its own, without spaces around it"
            raise DataError(rule, f"{name!r}{' twice' if count > 1 else ''}")


def _file_names(data: BoxSet) -> list[str]:
    """What to call each picture: as its file, with its number before it where that would not tell it from others."""
    stems, suffixes = list[str](), list[str]()
    for source, file in zip(data.sources, data.files, strict=True):
        path = PurePosixPath(file.replace("\\", "/"))
        known = path.suffix.lower() in PICTURE_SUFFIXES
        stems.append(re.sub(r"[^\w.()+-]+", "_", path.stem if known else path.name).strip("._") or "picture")
        suffixes.append(path.suffix.lower() if known and isinstance(source, Path | ZipMember | bytes) else ".png")
    often = Counter(stem.lower() for stem in [*stems, RESERVED])
    return [
        (stem if often[stem.lower()] == 1 else f"{i:06}-{stem}") + suffix
        for i, (stem, suffix) in enumerate(zip(stems, suffixes, strict=True))
    ]


def _copy(source: Any, file: str, target: Path) -> None:
    if isinstance(source, Path):
        with opened(source, "A picture") as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    elif isinstance(source, ZipMember):
        target.write_bytes(source.read())
    elif isinstance(source, bytes) and target.suffix != ".png":
        target.write_bytes(source)
    else:
        target.write_bytes(png_bytes(read_picture(source, name=file)))
