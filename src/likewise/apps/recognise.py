"""Who is on pictures: known people from a folder, lines for a spreadsheet, and pictures with boxes and names."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from unicodedata import bidirectional

from likewise.data.loaders import pictures_below
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.gallery import Gallery, Identified, Probe
from likewise.gallery.names import check_name
from likewise.gallery.results import Skipped
from likewise.matching import Model
from likewise.media.files import replacing_file
from likewise.media.pictures import read_picture

FULL = ("path", "name", "distance", "decision", "perhaps", "left", "top", "width", "height", "problem")

_COLORS = {"known": (0, 170, 80), "unsure": (230, 150, 0), "unknown": (210, 40, 40)}


@contextmanager
def known_people(
    folder: Path, model: Model | str, progress: Progress | None = None
) -> Generator[tuple[Gallery, Skipped]]:
    """A gallery of the people in a folder, gone when the block ends.

    Args:
        folder: one sub-folder of pictures per person, or one picture, called by their names.
        model: what encodes.
        progress: told of encoding.

    Yields:
        The gallery, and file and reason of each picture that could not be used.

    Raises:
        DataError: no such folder, or nobody in it.
    """
    if not folder.is_dir():
        raise DataError(
            "Known people are a folder", f"{str(folder)!r}, which is none", "Give one sub-folder per person."
        )
    people: dict[str, list[Path]] = {}
    skipped: list[tuple[str, str]] = []
    pictures = pictures_below(folder)
    for inside in pictures:
        name, file = inside.parts[0] if len(inside.parts) > 1 else inside.stem, folder / inside
        try:
            people.setdefault(check_name(name), []).append(file)
        except UsageError as error:  # this person cannot be called so; the others can be known
            skipped.append((str(file), str(error)))
    without = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    without -= {inside.parts[0] for inside in pictures}
    skipped += [(str(folder / name), "no pictures in it, so nobody is known by this name") for name in sorted(without)]
    with (
        tempfile.TemporaryDirectory(prefix="likewise-") as temporary,
        Gallery.open(Path(temporary, "known.gallery"), model) as gallery,
    ):
        done = gallery.enrol_all(people, progress=progress) if people else ()
        skipped += [unused for person in done for unused in person.skipped]
        if not gallery.names():
            reason = f"{skipped[0][0]}: {skipped[0][1].rstrip('.')}" if skipped else f"no pictures in {str(folder)!r}"
            raise DataError("There is somebody to know", reason)
        yield gallery, tuple(skipped)


def as_csv(found: Identified, *, full: bool = False) -> str:
    """Lines of ``path,name,distance`` as users of face_recognition know them, without a heading, in the order given.

    Whoever is unsure or unknown is ``unknown_person``. The distance is `Decision.distance`, and empty where nobody is
    enrolled. A picture in which nothing is found has the name ``no_persons_found`` and no distance, and one that cannot
    be read no line.

    Args:
        found: what was identified.
        full: with the heading `FULL` and what these lines leave out: whether somebody is known, unsure or unknown, who
            it may be where unsure, the box, and why a face is poor; last the pictures that cannot be read, without a
            name.
    """
    text = io.StringIO()
    lines: Any = csv.writer(text, lineterminator="\n")
    columns = len(FULL) if full else 3
    rows = list[list[object]]()
    if full:
        rows.append([*FULL])
    for file, probes in found.by_file().items():
        rows += [_row(probe) for probe in probes]
        if not probes:
            rows.append([file, "no_persons_found", "", "empty", *[""] * 6])
    if full:
        rows += [[file, "", "", "unreadable", *[""] * 5, problem] for file, problem in found.skipped]
    lines.writerows(row[:columns] for row in rows)
    return text.getvalue().rstrip("\n")


def _row(probe: Probe) -> list[object]:
    decided = probe.decision
    name = decided.name if decided.outcome == "known" else "unknown_person"
    distance = "" if decided.distance is None else f"{decided.distance:.6g}"
    perhaps = decided.name if decided.outcome == "unsure" else ""
    return [probe.file, name, distance, decided.outcome, perhaps, *(probe.box or [""] * 4), probe.flaw or ""]


@final
@dataclass(frozen=True)
class Shown:
    """What `annotate` wrote.

    Attributes:
        files: in the order of the pictures.
        numbered: the name that is meant by each number in them.
    """

    files: tuple[Path, ...]
    numbered: dict[int, str]


def check_new(out: Path) -> None:
    """Refuses a folder with anything in it, so that no annotated picture takes the place of another file.

    Raises:
        UsageError: it is there, and is no empty folder.
        DataError: it cannot be looked into.
    """
    try:
        new = not any(out.iterdir()) if out.is_dir() else not os.path.lexists(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    if not new:
        rule = "Annotated pictures are written into a new or empty folder"
        raise UsageError(rule, f"{str(out)!r}, where something is already", "Choose another place.")


def annotate(found: Identified, out: Path) -> Shown:
    """Writes every picture that was looked at into the folder `out`, with a box and a name for each thing found.

    The files are PNG, called like the pictures, with a number where two have one name. A name with letters that the
    font (DejaVu Sans) does not have is drawn as #1, #2 and so on.

    Raises:
        UsageError: `out` is there, and is no empty folder.
        DataError: a picture cannot be read again, or a file not be written.
    """
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font
    from PIL import Image, ImageDraw, ImageFont

    check_new(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error
    face = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    letters = set(FT2Font(str(face)).get_charmap())
    numbers: dict[str, int] = {}
    written: list[Path] = []
    for file, probes in found.by_file().items():
        picture = Image.fromarray(read_picture(Path(file), mode="RGB"))
        pen = ImageDraw.Draw(picture)
        size = max(12, min(picture.size) // 25)
        font = ImageFont.truetype(str(face), size)
        for probe in probes:
            left, top, width, height = probe.box or (0, 0, *picture.size)
            color = _COLORS[probe.decision.outcome]
            text = str(probe.decision.name) if probe.decision.outcome == "known" else probe.decision.outcome
            if not _can_be_drawn(text, letters):
                text = f"#{numbers.setdefault(text, len(numbers) + 1)}"
            right, bottom = min(left + width, picture.width - 1), min(top + height, picture.height - 1)
            pen.rectangle((max(left, 0), max(top, 0), right, bottom), outline=color, width=max(2, size // 8))
            long = int(pen.textlength(text, font=font)) + 1
            where = max(min(left, picture.width - long), 0), max(min(bottom, picture.height - size - 4), 0)
            pen.rectangle(pen.textbbox(where, text, font=font), fill=color)
            pen.text(where, text, font=font, fill="white")
        target, number = out / f"{Path(file).stem}.png", 2
        while target.exists():
            target, number = out / f"{Path(file).stem}-{number}.png", number + 1
        with replacing_file(target) as fresh:
            picture.save(fresh, format="PNG")
        written.append(target)
    return Shown(tuple(written), {number: name for name, number in numbers.items()})


def _can_be_drawn(text: str, letters: set[int]) -> bool:
    from PIL import features

    leftwards = any(bidirectional(letter) in ("R", "AL") for letter in text)
    return {ord(letter) for letter in text} <= letters and (not leftwards or bool(features.check("fribidi")))


def _unwritable(out: Path, error: OSError) -> DataError:
    return DataError("Annotated pictures can be written", f"{out} ({error})", "Check permissions and space.")
