"""COCO: one JSON file for all pictures (https://cocodataset.org/#format-data), boxes in pixels from 0."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from likewise.data.annotations.marks import LEFT_OUT, Annotations, Marked, Problems, bounded, flags, flaw, number
from likewise.data.boxes import BoxSet
from likewise.errors import DataError

MOST_BYTES = 2**30  # of a JSON file; that of 118,000 pictures with outlines has 450 MB
FILE, PICTURES = "annotations.json", "images"
KEYS = ("images", "annotations", "categories")
LOOKED_FOR = 50  # pictures that tell which folder they are all in


def looks_like(content: bytes) -> bool:
    """Whether the beginning of a file is that of an annotation."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(f'"{k}"'.encode() in content for k in KEYS)


def read(file: Path, pictures: Path | None = None) -> Annotations:
    """The pictures that a file lists, the empty ones too, with the boxes of each. Crowds are ignored boxes.

    Args:
        file: the JSON.
        pictures: the folder that the file names in it start from; None looks beside the file, in a folder images beside
            it or beside its folder, and in one that is called as the file is (instances_val2017.json: val2017).

    Raises:
        DataError: it is no such file.
    """
    document = _document(file)
    problems = Problems()
    listed = _listed(document["images"], file.name, problems)
    names, classes = _classes(document["categories"], file.name, problems)
    root = pictures or _folder(file, [name for name, _ in listed.values()])
    of_picture: defaultdict[object, list[dict[str, Any]]] = defaultdict(list)
    for i, each in enumerate(document["annotations"]):
        picture = each.get("image_id") if isinstance(each, dict) else None
        if _hashable(picture) and picture in listed:
            of_picture[picture].append(each)
        else:
            rule = "An annotation belongs to a picture that is listed"
            problems.append(flaw(file.name, rule, f"image_id {picture!r:.50} (annotation {i + 1})", "left out"))
    marked: list[Marked] = []
    for key, (name, size) in listed.items():
        found = of_picture[key]
        unknown = next((each for each in found if _class(each, classes) is None), None)
        if unknown is not None:
            received = f"category_id {unknown.get('category_id')!r:.50}"
            problems.append(flaw(name, "A box is of a category that is listed", received, LEFT_OUT))
            continue
        marked.append(
            Marked(
                file=name,
                source=root / name,
                corners=np.array([_corners(each) for each in found], np.float64).reshape(-1, 4),
                labels=np.array([_class(each, classes) for each in found], np.int64),
                ignored=flags([each.get("iscrowd") in (1, True) for each in found]),
                size=size,
            )
        )
    return Annotations(marked, names, problems)


def write(data: BoxSet, pictures: Sequence[str], root: Path) -> Problems:
    """One JSON file for all. Ignored boxes are crowds.

    Args:
        data: what to write.
        pictures: (N,) name of each picture in the folder `PICTURES` below `root`.
        root: a folder.
    """
    text = json.dumps(document(data, [f"{PICTURES}/{name}" for name in pictures]), ensure_ascii=False)
    (root / FILE).write_text(text + "\n", encoding="utf-8")
    return []


def document(data: BoxSet, files: Sequence[str]) -> dict[str, Any]:
    """The whole document, JSON-ready: ids count from 1, `files` are the names of the (N,) pictures."""
    every = zip(
        data.picture_of.tolist(), data.every_label.tolist(), data.every_box.tolist(), data.every_ignored.tolist(),
        strict=True,
    )  # fmt: skip
    return {
        "info": {"description": data.origin.encode("utf-8", "replace").decode()},
        "images": [
            {"id": i + 1, "file_name": file, "width": width, "height": height}
            for i, (file, (height, width)) in enumerate(zip(files, data.sizes.tolist(), strict=True))
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(data.names)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": picture + 1,
                "category_id": label + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(ignored),
            }
            for i, (picture, label, box, ignored) in enumerate(every)
        ],
    }


def _document(file: Path) -> dict[str, list[Any]]:
    """The three lists.

    Raises:
        DataError: it is not whole JSON, or has other content.
    """
    content = bounded(file, MOST_BYTES, "A COCO file")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError("A COCO file is whole JSON", f"{file.name} ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in KEYS):
        raise DataError("A COCO file has the lists images, annotations and categories", f"{file.name} without")
    return found


def _listed(images: list[Any], file: str, problems: Problems) -> dict[object, tuple[str, tuple[int, int] | None]]:
    """Of each picture by its id the file name and, where it is said, height and width."""
    listed: dict[object, tuple[str, tuple[int, int] | None]] = {}
    names: set[str] = set()
    for i, each in enumerate(images):
        name = each.get("file_name") if isinstance(each, dict) else None
        key = each.get("id") if isinstance(each, dict) else None
        if not isinstance(name, str) or not name or key is None or not _hashable(key):
            problems.append(flaw(file, "A picture has an id and a file_name", f"entry {i + 1} without", LEFT_OUT))
        elif not _inside(name):
            problems.append(flaw(file, "A picture lies in the folder of the data", f"{name!r:.200}", LEFT_OUT))
        elif key in listed or name in names:
            problems.append(
                flaw(name, "A picture is listed once", f"again as entry {i + 1}", "left out the second time")
            )
        else:
            height, width = number(each.get("height")), number(each.get("width"))
            listed[key] = name, (int(height), int(width)) if 0 < height < 1e9 and 0 < width < 1e9 else None
            names.add(name)
    return listed


def _inside(name: str) -> bool:
    """Whether a path stays in the folder that it starts from, on any system."""
    parts = PurePosixPath(name.replace("\\", "/"))
    return not parts.is_absolute() and ".." not in parts.parts and ":" not in parts.parts[0] and "\0" not in name


def _classes(categories: list[Any], file: str, problems: Problems) -> tuple[tuple[str, ...], dict[object, int]]:
    """Names in the order of their ids, and the place of each id among them; two ids of one name are one class."""
    usable: list[tuple[int, str]] = []
    for i, each in enumerate(categories):
        key, name = (each.get("id"), each.get("name")) if isinstance(each, dict) else (None, None)
        if isinstance(key, int) and isinstance(name, str):
            usable.append((key, name))
        else:
            rule = "A category has a whole number for an id, and a name"
            problems.append(flaw(file, rule, f"{key!r:.50} and {name!r:.50} (category {i + 1})", "left out"))
    usable.sort()
    names = tuple(dict.fromkeys(name for _, name in usable))
    place = {name: i for i, name in enumerate(names)}
    return names, {key: place[name] for key, name in usable}


def _class(each: dict[str, Any], classes: dict[object, int]) -> int | None:
    key = each.get("category_id")
    return classes.get(key) if _hashable(key) else None


def _corners(each: dict[str, Any]) -> list[float]:
    box = each.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return [np.nan] * 4
    x, y, width, height = map(number, box)
    return [x, y, x + width, y + height]


def _hashable(key: object) -> bool:
    return isinstance(key, str | int)


def _folder(file: Path, names: Sequence[str]) -> Path:
    """Of the places where pictures may be the one that has most of the first few; beside the file if none has any."""
    beside = file.parent
    called = file.stem.removeprefix("instances_")
    places = [
        beside,
        beside / PICTURES,
        beside / called,
        beside.parent,
        beside.parent / PICTURES,
        beside.parent / called,
    ]
    some = names[:: max(1, len(names) // LOOKED_FOR)]
    return max(places, key=lambda place: sum((place / name).is_file() for name in some))
