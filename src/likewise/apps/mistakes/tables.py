"""Findings as a table, and all items as a manifest in which labels can be corrected."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from likewise.apps.mistakes.findings import Finding, IntArray, Judged
from likewise.apps.mistakes.words import Cut
from likewise.data import Dataset
from likewise.data.cells import write_table
from likewise.data.dataset import Source, ZipMember
from likewise.encoder import Preprocessing, Progress, Sounds
from likewise.media.pictures import content_hash, png_bytes

COLUMNS = (
    "kind", "file", "label", "said", "probability", "distance", "group", "trained_on", "why", "second", "second_label",
    "third", "third_label", "start", "end",
)  # fmt: skip
OWN = ("suggested", "why")  # columns of the list to correct
ITEMS = "items"  # folder of what has no file of its own
HASH_DIGITS = 16

Cell = str | float | None


def write_findings(file: Path, judged: Judged) -> None:
    """A row for each finding, in the columns `COLUMNS`."""
    data = judged.data

    def row(finding: Finding) -> Iterable[Cell]:
        item = finding.items[0]
        yield from (finding.kind, data.files[item], finding.label, finding.said)
        yield from (finding.probability, finding.distance)
        yield None if data.groups is None else data.group_names[data.groups[item]]
        yield "yes" if judged.trained_on[item] else None
        yield finding.why
        for other in finding.items[1:]:
            yield from (data.files[other], data.names[data.labels[other]])
        yield from [None] * 2 * (3 - len(finding.items))
        source = data.sources[item]
        if isinstance(source, Cut):
            yield from (source.start, source.end)

    write_table(file, COLUMNS, map(row, (*judged.suspects, *judged.mistakes, *judged.hardest)))


def write_manifest(
    file: Path, judged: Judged, whole: Dataset, place: IntArray, items: Path, progress: Progress | None
) -> None:
    """All items of `whole` with their present labels, those that are suspected first, with what they should perhaps be.

    `likewise.data.manifest` reads it back: the same items, labels, groups, parts and targets. Other columns of the
    table that they are listed in are kept, the label among them where targets are what is answered. Paths are absolute,
    so that the table may be moved. What has no file of its own, or one whose name no table can hold, is written into a
    folder.

    Args:
        file: where to.
        judged: with the suspects.
        whole: all items.
        place: (n,) where the items of `judged` are among them.
        items: the folder as it will be called.
        progress: told how many items were written.
    """
    suggested: dict[int, list[tuple[str, str]]] = {}
    for finding, (column, value) in zip(judged.suspects, judged.suggested, strict=True):
        said = value if column == "label" else f"{column}={value}"
        suggested.setdefault(int(place[finding.items[0]]), []).append((said, finding.why))
    reasons = dict(judged.skipped)
    targets = whole.target_names
    others = dict(whole.others)
    if all(name in others for name in OWN):  # of the table that this one replaces
        others = {name: cells for name, cells in others.items() if name not in OWN}
    read = {
        "label": whole.labels if whole.targets is None else None,  # with targets it only says which of them hold
        "split": whole.parts,
        "group": whole.groups,
    }
    optional = {name: v for name, v in read.items() if v is not None and name not in targets and name not in others}
    columns = ["path", *targets, *optional, *others]
    own = [_free(name, columns) for name in OWN]

    def row(i: int) -> Iterable[Cell]:
        yield _path_of(whole.sources[i], i, file.parent / ITEMS, items, judged.how)
        if whole.targets is not None:
            yield from (str(value).removesuffix(".0") for value in whole.targets[i])
        for name, number in optional.items():
            of = {"label": whole.names, "group": whole.group_names}.get(name)
            yield str(number[i]) if of is None else of[int(number[i])]
        for cells in others.values():
            cell: object = cells[i]
            yield None if cell is None or cell != cell else str(cell)  # what is not itself is no number
        found = suggested.get(i, [])
        yield " ".join(said for said, _ in found)
        yield "; ".join(why for _, why in found) or (
            f"cannot be used: {reasons[whole.files[i]]}" if whole.files[i] in reasons else None
        )

    def rows() -> Iterable[Iterable[Cell]]:
        for done, i in enumerate([*suggested, *np.setdiff1d(np.arange(len(whole)), list(suggested)).tolist()], start=1):
            yield row(i)
            if progress is not None and (done % 256 == 0 or done == len(whole)):
                progress(done, len(whole), "writing")

    write_table(file, [*columns, *own], rows())


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def carry_items(earlier: Path, folder: Path) -> None:
    """The items that an earlier call has written, so that a table of theirs that was saved elsewhere holds.

    Args:
        earlier: the folder of items that is about to be replaced; there need not be one.
        folder: where they are to be too, as links where the disk has any.
    """

    def linked(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    if earlier.is_dir():
        shutil.copytree(earlier, folder, copy_function=linked)


def _path_of(source: Source, number: int, folder: Path, named: Path, how: Preprocessing) -> str:
    """Where an item lies; it is written into `folder`, which will be called `named`, where it lies nowhere.

    It is called by its place and its content: no other item is ever given the name, whatever is written there later.
    """
    if isinstance(source, Path):
        path = str(source.absolute())
        try:
            path.encode()
        except UnicodeEncodeError:  # bytes that are no text
            return _kept(source.read_bytes(), number, source.suffix, folder, named)
        return path
    if isinstance(source, ZipMember):
        return _kept(source.read(), number, Path(source.member).suffix, folder, named)
    if not isinstance(how, Sounds):
        return _kept(png_bytes(source), number, ".png", folder, named)
    samples = source.astype(np.int16 if source.dtype == np.int16 else np.float32)
    stream = io.BytesIO()
    soundfile.write(stream, samples, how.rate, "PCM_16" if source.dtype == np.int16 else "FLOAT", format="WAV")
    # The bytes are no name for it: there is the time of writing among them.
    return _kept(stream.getvalue(), number, ".wav", folder, named, content_hash(np.append(samples, how.rate)))


def _kept(content: bytes, number: int, suffix: str, folder: Path, named: Path, key: str = "") -> str:
    folder.mkdir(exist_ok=True)
    name = f"{number:06}-{(key or content_hash(content))[:HASH_DIGITS]}{suffix}"
    if not (folder / name).exists():
        (folder / name).write_bytes(content)
    return str(named / name)
