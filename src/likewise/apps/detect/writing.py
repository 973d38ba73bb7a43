"""What was found, as pictures: each thing cut out, or every picture with its boxes drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from likewise.apps.detect.boxes import FoundBox, cut_out
from likewise.apps.detect.drawing import drawn
from likewise.apps.drawing import BLUE, write_picture
from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file
from likewise.media.pictures import Pixels, png_bytes, read_picture


def check_folders(*folders: Path | None) -> None:
    """Refuses folders that hold anything: what was in them before would be taken for what was found now.

    Raises:
        UsageError: one does, or both are the same.
    """
    asked = [folder for folder in folders if folder is not None]
    if len({folder.resolve() for folder in asked}) < len(asked):
        raise UsageError("Crops and drawings go into folders of their own", str(asked[0]), "Name another.")
    for folder in asked:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError("What is found is written into an empty folder", str(folder), "Name another.")


def write_found(
    seen: Sequence[tuple[Path, list[FoundBox]]], crop: Path | None, draw: Path | None, margin: float = 0.0
) -> dict[str, list[Path]]:
    """Writes crops ("NAME_1.png", the surest first) and drawings ("NAME.png"); files of one name get a number.

    Args:
        seen: pictures, and what was found in each.
        crop: folder for the one; None for none.
        draw: folder for the other, likewise.
        margin: share of a box left around a crop.

    Returns:
        What was written: "crops", "drawings".

    Raises:
        DataError: it cannot be written.
    """
    written: dict[str, list[Path]] = {"crops": [], "drawings": []}
    if crop is None and draw is None:
        return written
    for folder in (crop, draw):
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError("A folder can be made", f"{folder}: {error}", "Check the path.") from error
    taken: set[str] = set()
    for file, boxes in seen:
        picture, name = read_picture(file), _free(file.stem, taken)
        if crop is not None:
            for number, box in enumerate(boxes, start=1):
                part = cut_out(picture, (box.x, box.y, box.width, box.height), margin)
                with replacing_file(crop / f"{name}_{number}.png") as fresh:
                    fresh.write_bytes(png_bytes(part.values))
                written["crops"].append(crop / f"{name}_{number}.png")
        if draw is not None:
            write_picture(Image.fromarray(_with_boxes(picture, boxes)), draw / f"{name}.png")
            written["drawings"].append(draw / f"{name}.png")
    return written


def _with_boxes(picture: Pixels, boxes: list[FoundBox]) -> Pixels:
    places = [(one.x, one.y, one.width, one.height) for one in boxes]
    return drawn(picture, places, [f"{one.label} {one.score:.2f}" for one in boxes], [BLUE] * len(boxes))


def _free(name: str, taken: set[str]) -> str:
    """A name that no other picture has."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found)
    return found
