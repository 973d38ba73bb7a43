"""Who is on pictures: known people from a folder, lines for a spreadsheet, and pictures with boxes and names."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from likewise.data.loaders import pictures_below
from likewise.encoder import Progress
from likewise.errors import DataError
from likewise.gallery import Gallery, Identified
from likewise.gallery.results import Skipped
from likewise.matching import Model
from likewise.media.files import replacing_file
from likewise.media.pictures import read_picture

_COLORS = {"known": (0, 170, 80), "unsure": (230, 150, 0), "unknown": (210, 40, 40)}


@contextmanager
def known_people(
    folder: Path, model: Model | str, progress: Progress | None = None
) -> Generator[tuple[Gallery, Skipped]]:
    """A gallery of the people in a folder, gone when the block ends.

    Args:
        folder: one sub-folder of pictures per person, or one picture, called by their names.
        model: what encodes.
        progress: told of people.

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
    for inside in pictures_below(folder):
        name = inside.parts[0] if len(inside.parts) > 1 else inside.stem
        people.setdefault(name, []).append(folder / inside)
    skipped: list[tuple[str, str]] = []
    with (
        tempfile.TemporaryDirectory(prefix="likewise-") as temporary,
        Gallery.open(Path(temporary, "known.gallery"), model) as gallery,
    ):
        for done, (name, files) in enumerate(sorted(people.items())):
            try:
                skipped += gallery.enrol(name, list(files)).skipped
            except DataError as error:  # nothing of this person can be used; the others can
                skipped.append((name, str(error)))
            if progress:
                progress(done + 1, len(people), "getting to know")
        if not gallery.names():
            reason = f"{skipped[0][0]}: {skipped[0][1].rstrip('.')}" if skipped else f"no pictures in {str(folder)!r}"
            raise DataError("There is somebody to know", reason)
        yield gallery, tuple(skipped)


def as_csv(found: Identified) -> str:
    """Lines of ``path,name,distance`` as users of face_recognition know them, without a heading.

    Whoever is unsure or unknown is ``unknown_person``; the distance is to the nearest name, and empty where nobody is
    enrolled. A picture in which nothing is found has the name ``no_persons_found`` and no distance.
    """
    text = io.StringIO()
    lines: Any = csv.writer(text, lineterminator="\n")
    for probe in found:
        decided = probe.decision
        name = decided.name if decided.outcome == "known" else "unknown_person"
        lines.writerow([probe.file, name, f"{decided.matches[0].distance:.6g}" if decided.matches else ""])
    for file in found.empty:
        lines.writerow([file, "no_persons_found", ""])
    return text.getvalue().rstrip("\n")


def annotate(found: Identified, out: Path) -> list[Path]:
    """Writes every picture that was looked at into the folder `out`, with a box and a name for each thing found.

    Returns:
        The files, as PNG: called like the pictures, with a number where two have one name.

    Raises:
        DataError: a picture cannot be read again, or a file not be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    out.mkdir(parents=True, exist_ok=True)
    by_file: dict[str, list[Any]] = {file: [] for file in found.empty}
    for probe in found:
        by_file.setdefault(probe.file, []).append(probe)
    written: list[Path] = []
    for file, probes in by_file.items():
        picture = Image.fromarray(read_picture(Path(file), mode="RGB"))
        pen = ImageDraw.Draw(picture)
        size = max(12, min(picture.size) // 25)
        font = ImageFont.load_default(size)
        for probe in probes:
            left, top, width, height = probe.box or (0, 0, *picture.size)
            color = _COLORS[probe.decision.outcome]
            text = probe.decision.name if probe.decision.outcome == "known" else probe.decision.outcome
            pen.rectangle((left, top, left + width, top + height), outline=color, width=max(2, size // 8))
            where = left, min(top + height, picture.height - size - 4)
            pen.rectangle(pen.textbbox(where, text, font=font), fill=color)
            pen.text(where, text, font=font, fill="white")
        target, number = out / f"{Path(file).stem}.png", 2
        while target in written:
            target, number = out / f"{Path(file).stem}-{number}.png", number + 1
        with replacing_file(target) as fresh:
            picture.save(fresh, format="PNG")
        written.append(target)
    return written
