"""YOLO text: for each picture a file with a line "class x y width height" per box, in shares of the picture.

x and y are those of the middle of the box; classes are positions in a list of names, which stands in data.yaml
(Ultralytics), classes.txt (LabelImg) or a .names file (Darknet).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

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
from likewise.data.annotations.pairing import Pictures, annotation_files, is_labels_folder
from likewise.data.boxes import BoxSet, shown
from likewise.data.loaders import below
from likewise.errors import DataError

MOST_BYTES = 2**22  # of a text file
MOST_CLASSES = 10_000
CLASSES, SETTINGS = "classes.txt", "data.yaml"
PICTURES, LABELS = "images", "labels"
SETTINGS_SUFFIXES = (".yaml", ".yml")


def looks_like(content: bytes) -> bool:
    """Whether the beginning of a file is a line of a box."""
    fields = content.split(b"\n", 1)[0].split()
    try:
        numbers = [float(field) for field in fields[1:]]
        return _of_box_or_outline(len(fields)) and int(fields[0]) >= 0 and bool(np.isfinite(numbers).all())
    except ValueError:
        return False


def read(root: Path) -> Annotations:
    """Every text file below a folder that lies where a picture does, or in a folder called labels.

    Raises:
        DataError: a folder that may not be listed, or a list of names that cannot be read.
    """
    problems = Problems()
    pictures = Pictures(root)
    names = _names(root)
    found: list[tuple[PurePosixPath, list[list[float]]]] = []
    for file in annotation_files(root, _is_text):
        if not is_labels_folder(file) and pictures.of(file) is None:
            continue  # any text
        picture = pictures.take(file, "", problems)
        if picture is None:
            continue
        try:
            found.append((picture, _lines(root / file, None if names is None else len(names))))
        except DataError as error:
            problems.append(refused(str(file), error))
    if names is None:
        most = max((line[0] for _, lines in found for line in lines), default=-1)
        names = [str(i) for i in range(int(most) + 1)]
    distinct = tuple(dict.fromkeys(names))
    place = np.array([distinct.index(name) for name in names], np.int64)
    marked: list[Marked] = []
    for picture, lines in found:
        table = np.array(lines, np.float64).reshape(-1, 5)
        corners = np.concatenate([table[:, 1:3] - table[:, 3:] / 2, table[:, 1:3] + table[:, 3:] / 2], axis=1)
        labels = place[table[:, 0].astype(np.int64)]
        marked.append(Marked(str(picture), root / picture, corners, labels, flags([False] * len(table)), relative=True))
    return Annotations(marked, distinct, problems + pictures.unannotated())


def write(data: BoxSet, pictures: Sequence[str], root: Path) -> Problems:
    """A text file for each picture, and the names of classes. Ignored boxes cannot be said, and are told as problems.

    Args:
        data: what to write.
        pictures: (N,) name of each picture in the folder `PICTURES` below `root`.
        root: a folder.
    """
    (root / LABELS).mkdir()
    problems = Problems()
    for i, picture in enumerate(pictures):
        height, width = data.sizes[i]
        lines = list[str]()
        for box, label, ignored in zip(data.boxes[i], data.labels[i], data.ignored[i], strict=True):
            if ignored:
                received = f"{shown(box)}, which is ignored"
                problems.append(flaw(data.files[i], "YOLO text knows no box that does not count", received, "left out"))
                continue
            middle = (box[:2] + box[2:] / 2) / (width, height)
            lines.append(" ".join(map(str, (label, *middle.tolist(), *(box[2:] / (width, height)).tolist()))))
        text = "".join(f"{line}\n" for line in lines)
        (root / LABELS / PurePosixPath(picture).with_suffix(".txt")).write_text(text, encoding="utf-8")
    (root / CLASSES).write_text("".join(f"{name}\n" for name in data.names), encoding="utf-8")
    names = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(data.names))
    (root / SETTINGS).write_text(f"train: {PICTURES}\nval: {PICTURES}\nnames:\n{names}", encoding="utf-8")
    return problems


def _is_text(name: str) -> bool:
    return name.lower().endswith(".txt") and name.lower() != CLASSES


def _of_box_or_outline(fields: int) -> bool:
    """Whether a line has a class and a box, or a class and the 3 or more corners of an outline."""
    return fields == 5 or (fields >= 7 and fields % 2 == 1)


def _lines(file: Path, classes: int | None) -> list[list[float]]:
    """Class and box of each line.

    Args:
        file: the text.
        classes: how many there are; None where no list says so.

    Raises:
        DataError: a line of another form, or a class that is none.
    """
    lines = lines_of(file, MOST_BYTES, "A file of labels")
    found: list[list[float]] = []
    for i, line in enumerate(lines):
        fields = line.split()
        if not fields:
            continue
        values = [number(field) for field in fields]
        if not _of_box_or_outline(len(fields)) or not fields[0].isascii() or not fields[0].isdecimal():
            rule = "A line is class x y and so on around an outline, or class x y width height"
            raise DataError(rule, f"{line!r:.80} in line {i + 1}")
        if values[0] >= (MOST_CLASSES if classes is None else classes):
            have = f"{classes} names" if classes is not None else f"at most {MOST_CLASSES}"
            raise DataError("A class has a name", f"{fields[0]:.20} of {have}, in line {i + 1}")
        if len(values) > 5:  # an outline, as Ultralytics has them to segment: its bounds are the box
            across, down = values[1::2], values[2::2]
            left, right, top, bottom = min(across), max(across), min(down), max(down)
            values = [values[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            if not all(map(math.isfinite, [*across, *down])):
                raise DataError("Corners of an outline are finite numbers", f"{line!r:.80} in line {i + 1}")
        found.append(values)
    return found


def _names(root: Path) -> list[str] | None:
    """The names of classes, from the topmost file that lists them; None where none does.

    Raises:
        DataError: it cannot be read.
    """
    lists = below(root, lambda name: name.lower() == CLASSES or name.lower().endswith((".names", *SETTINGS_SUFFIXES)))
    for file in sorted(lists, key=lambda file: (len(file.parts), file.suffix not in SETTINGS_SUFFIXES, str(file))):
        if file.suffix.lower() in SETTINGS_SUFFIXES:
            names = _named_in_settings(bounded(root / file, MOST_BYTES, "A list of classes"), str(file))
        else:
            names = [" ".join(line.split()) for line in lines_of(root / file, MOST_BYTES, "A list of classes")]
            names = names[: max((i + 1 for i, name in enumerate(names) if name), default=0)]
        if names is not None and len(names) > MOST_CLASSES:
            raise DataError(f"There are at most {MOST_CLASSES:,} classes", f"{len(names):,} in {file}")
        if names is not None:
            return names
    return None


def _named_in_settings(content: bytes, file: str) -> list[str] | None:
    """`names` of a data.yaml, a list or a mapping from 0 on; None where there are none."""
    import yaml

    try:
        names: Any = yaml.safe_load(content).get("names")
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError) as error:
        raise DataError("The settings of YOLO data are whole YAML", f"{file} ({error})") from error
    if isinstance(names, dict):
        names = [names.get(i) for i in range(len(names))]
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str | int | float) for name in names):
        raise DataError("Names of classes are a list, or a mapping from 0 on", f"{str(names)[:80]} in {file}")
    return [str(name) for name in names]
