"""Pascal VOC: an XML file for each picture, as LabelImg and others write it.

Pixels are counted from 1 and both corners are inside the box (development kit of the VOC2012 challenge): xmin = 1 and
xmax = W span a picture of width W. Here that is x = 0 and width = W.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import numpy as np

from likewise.data.annotations.marks import (
    Annotations,
    Marked,
    Problems,
    bounded,
    flags,
    flaw,
    lines_of,
    number,
    refused,
)
from likewise.data.annotations.pairing import Pictures, annotation_files
from likewise.data.boxes import BoxSet
from likewise.data.loaders import below, natural
from likewise.errors import DataError
from likewise.media.pictures import PICTURE_SUFFIXES

MOST_BYTES = 2**22  # of an XML file
CLASSES = "classes.txt"  # names in their order, where there is one; of VOC's own files none says it
ANNOTATIONS, PICTURES = "Annotations", "JPEGImages"
LISTS = ("ImageSets", "Main")  # the folder of lists, of names without suffix, a line each
USES = {"trainval": "train", "train": "train", "val": "valid", "test": "test"}  # of lists; the later ones say more
FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY")  # definitions that could name files, or grow without end


def looks_like(content: bytes) -> bool:
    """Whether the beginning of a file is that of an annotation."""
    return b"<annotation" in content


def read(root: Path) -> Annotations:
    """Every XML file below a folder, with the picture that lies where it does or that it names.

    Raises:
        DataError: a folder that may not be listed.
    """
    problems = Problems()
    pictures = Pictures(root)
    found: list[tuple[PurePosixPath, Any]] = []
    for file in annotation_files(root, lambda name: name.lower().endswith(".xml")):
        try:
            tree = _tree(root / file)
            objects = [_object(each) for each in tree.findall("object")]
        except DataError as error:
            problems.append(refused(str(file), error))
            pictures.take(file, "", Problems())  # it has an annotation, though one that cannot be used
            continue
        picture = pictures.take(file, (tree.findtext("filename") or "").strip(), problems)
        if picture is not None:
            found.append((picture, (objects, _size(tree))))
    listed, parts = _listed(root), _parts(root, [picture for picture, _ in found], problems)
    others = {name for _, (objects, _) in found for name, _, _ in objects} - set(listed)
    names = (*listed, *sorted(others, key=natural))
    place = {name: i for i, name in enumerate(names)}
    marked = [
        Marked(
            file=str(picture),
            source=root / picture,
            corners=np.array([corners for _, corners, _ in objects], np.float64).reshape(-1, 4),
            labels=np.array([place[name] for name, _, _ in objects], np.int64),
            ignored=flags([difficult for _, _, difficult in objects]),
            size=size,
            first=1,
            part=parts.get(picture),
        )
        for picture, (objects, size) in found
    ]
    return Annotations(marked, names, problems + pictures.unannotated())


def write(data: BoxSet, pictures: Sequence[str], root: Path) -> Problems:
    """An XML file for each picture, and the names of classes in their order. Ignored boxes are called difficult.

    Args:
        data: what to write.
        pictures: (N,) name of each picture in the folder `PICTURES` below `root`.
        root: a folder.
    """
    (root / ANNOTATIONS).mkdir()
    for i, picture in enumerate(pictures):
        tree = ElementTree.Element("annotation")
        _add(tree, folder=PICTURES, filename=picture)
        height, width = data.sizes[i].tolist()
        _add(ElementTree.SubElement(tree, "size"), width=width, height=height, depth=3)
        _add(tree, segmented=0)
        for box, label, ignored in zip(data.boxes[i].tolist(), data.labels[i], data.ignored[i], strict=True):
            each = ElementTree.SubElement(tree, "object")
            _add(each, name=data.names[label], pose="Unspecified", truncated=0, difficult=int(ignored))
            x, y, wide, high = box
            corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + wide, "ymax": y + high}
            _add(ElementTree.SubElement(each, "bndbox"), **corners)
        ElementTree.indent(tree, "\t")
        text = ElementTree.tostring(tree, encoding="unicode")
        (root / ANNOTATIONS / PurePosixPath(picture).with_suffix(".xml")).write_text(text + "\n", encoding="utf-8")
    (root / CLASSES).write_text("".join(f"{name}\n" for name in data.names), encoding="utf-8")
    return []


def _add(parent: ElementTree.Element, **fields: str | float) -> None:
    for name, value in fields.items():
        text = repr(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        ElementTree.SubElement(parent, name).text = text


def _tree(file: Path) -> ElementTree.Element:
    """The element `annotation` of a file.

    Raises:
        DataError: it is none.
    """
    content = bounded(file, MOST_BYTES, "An annotation")
    if any(word in content.replace(b"\0", b"").upper() for word in FORBIDDEN):  # zeros: in UTF-16 they are between
        raise DataError("An annotation defines no document type or entities", "one that does")
    try:
        tree = ElementTree.fromstring(content, ElementTree.XMLParser(target=_Builder()))
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise DataError("An annotation is whole XML", error) from error
    if tree.tag != "annotation":
        raise DataError("An annotation of Pascal VOC is an element called annotation", repr(tree.tag))
    return tree


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        """Called where a document type is defined in an encoding that hid it.

        Raises:
            ValueError: always.
        """
        raise ValueError("it defines a document type")


def _object(each: ElementTree.Element) -> tuple[str, list[float], bool]:
    """Name, corners and whether it is difficult.

    Raises:
        DataError: a name or a box is missing.
    """
    name = " ".join((each.findtext("name") or "").split())
    box = each.find("bndbox")
    if not name or box is None:
        raise DataError("An object has a name and a bndbox", "one without")
    texts = [box.findtext(corner) for corner in ("xmin", "ymin", "xmax", "ymax")]
    if None in texts:
        raise DataError("A bndbox has xmin, ymin, xmax and ymax", "one without")
    return name, [number(text) for text in texts], (each.findtext("difficult") or "").strip() == "1"


def _size(tree: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width; None where they are not said, or said to be 0, as some programs do."""
    height, width = (number(tree.findtext(f"size/{side}")) for side in ("height", "width"))
    return (int(height), int(width)) if 0 < height < 1e9 and 0 < width < 1e9 else None


def _parts(root: Path, pictures: Sequence[PurePosixPath], problems: Problems) -> dict[PurePosixPath, str]:
    """The part of each picture that a list in the folder `LISTS` beside its own, or beside one above, names.

    Of a picture in several lists the last one of `USES` counts: val says more than trainval.
    """
    lists = [
        file for file in below(root, lambda name: name.endswith(".txt") and Path(name).stem in USES)
        if file.parts[-3:-1] == LISTS
    ]  # fmt: skip
    places = {(folder, picture.stem): picture for picture in pictures for folder in picture.parents}
    found: dict[PurePosixPath, str] = {}
    for file in sorted(lists, key=lambda file: list(USES).index(file.stem)):
        try:
            names = [line.strip() for line in lines_of(root / file, MOST_BYTES, "A list of pictures") if line.strip()]
        except DataError as error:
            problems.append((str(file), f"{str(error).removesuffix('.')}: the list is not read"))
            continue
        named = [places.get((file.parents[2], _stem(name))) for name in names]
        lacking = [name for name, picture in zip(names, named, strict=True) if picture is None]
        if lacking:
            received = f"{len(lacking):,} of {len(names):,}, {lacking[0]!r:.80} first"
            problems.append(flaw(str(file), "Names in a list are of annotated pictures", received, "passed over"))
        use, both = USES[file.stem], list[PurePosixPath]()
        for picture in filter(None, named):
            if found.get(picture, use) != use and file.stem != "val":
                both.append(picture)
            found[picture] = use
        if both:
            received = f"{len(both):,} in others too, {str(both[0])!r} first"
            problems.append(flaw(str(file), "A picture is in one list", received, f"taken for {use}"))
    return found


def _stem(name: str) -> str:
    """A name as lists have it, without the suffix of a picture, if somebody gave it one."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name


def _listed(root: Path) -> list[str]:
    file = root / CLASSES
    if not file.is_file():
        return []
    lines = lines_of(file, MOST_BYTES, "A list of classes")
    return list(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
