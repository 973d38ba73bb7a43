"""Which files piles consist of: those of all their folders, or a share that no other share meets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from likewise.apps.making import Progress, in_order
from likewise.data.loaders import files_below
from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media.kinds import Kind, kind_of
from likewise.media.sounds import sound_info

LEAST_RATE = 4_000  # Hz; below it no consonant is left
FEW = 0.1  # of a pile; so few of another bandwidth give nothing away


@final
@dataclass(frozen=True)
class File:
    """One file of a pile.

    Attributes:
        path: where it is.
        name: where it is in its folder of the pile, behind what that folder is called; no other file has it.
        word: the folder it lies in, relative to that of the pile; loose in it, the own name of that.
        group: what --group-from finds in the file's name; empty without.
        rate: samples per second of a sound, by its header; 0 where it cannot be read.
        sha256: of its content, in hex; empty where it cannot be read.
    """

    path: Path
    name: str
    word: str
    group: str
    rate: int = 0
    sha256: str = ""


def list_piles(
    folders: Mapping[str, Sequence[Path]],
    take: tuple[float, float],
    expression: re.Pattern[str] | None,
    kind: Kind,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, list[File]], list[str]]:
    """The files of each pile that are used, and what the person should know of them.

    Used are the share `take` of all groups, the same in all piles: nobody speaks in one pile to train with and in
    another to test with. Of files without a group it is that share of each folder.

    Args:
        folders: by what a pile is called; one without folders is empty.
        take: from where to where.
        expression: with one group, which is that of a file; a name it is not found in has none.
        kind: of the files; others in the folders are passed over.
        workers: threads that read the files for their sums.
        progress: told of that.

    Raises:
        DataError: a folder, or the share of a pile, without such files.
        UsageError: a file in two folders; an expression that is found in no name.
    """
    called = _called([folder for given in folders.values() for folder in given])
    found = {
        pile: [_files_in(folder, called[folder], expression, pile, kind) for folder in given]
        for pile, given in folders.items()
    }
    _check_apart(found)
    whole = {pile: [file for files in given for file in files] for pile, given in found.items()}
    known = sorted({file.group for files in whole.values() for file in files if file.group})
    if expression is not None and not known:
        raise UsageError("--group-from is found in file names", f"{expression.pattern!r}, which is in none of them")
    taken = share(known, take)
    piles: dict[str, list[File]] = {}
    for pile, given in found.items():
        used = [file for files in given for file in _used(files, taken, take)]
        if given and not used:
            raise DataError(
                f"The share of the {pile} holds {kind}s",
                f"{take[0]:g}:{take[1]:g} of {len(whole[pile])} files in {_listed(folders[pile])}, and none of them",
                "Take a larger share.",
            )
        piles[pile] = in_order(_looked_at, used, workers=workers, progress=progress, text=f"looking at {pile}")
    return piles, [] if expression is None else _without_group(whole)


def share(ordered: Sequence[str], take: tuple[float, float]) -> set[str]:
    """A block of them; so 0:0.6 and 0.6:1 have none in common, and all together."""
    low, high = (round(part * len(ordered)) for part in take)
    return set(ordered[low:high])


def bandwidths(piles: Mapping[str, Sequence[File]], rate: int) -> str | None:
    """What to say where the rate of a file tells the positives from the rest; None where it does not.

    What was recorded at less than the `rate` of the clips lacks their highest tones, and a model learns to hear that.
    """
    rates = {
        pile: sorted(min(max(file.rate, LEAST_RATE), rate) for file in files if file.rate)
        for pile, files in piles.items()
    }
    rates = {pile: found for pile, found in rates.items() if found}
    if "positives" not in rates or len(rates) < 2:
        return None
    narrow = min(found[int(FEW * len(found))] for found in rates.values())
    counts = {pile: sum(each <= narrow for each in found) for pile, found in rates.items()}
    shares = {pile: counts[pile] / len(found) for pile, found in rates.items()}
    if all(abs(each - shares["positives"]) <= FEW for each in shares.values()):
        return None
    told = ", ".join(f"{counts[pile]} of {len(found)} {pile}" for pile, found in rates.items())
    return f"recorded at {narrow} Hz or less: {told}; a model learns to hear that: pass --rate {narrow}"


def _called(folders: Sequence[Path]) -> dict[Path, str]:
    """What to call each folder: its own name, after as many of those it lies in as tell it from the others."""
    parts = {folder: folder.resolve().parts for folder in folders}

    def name(own: tuple[str, ...]) -> str:
        ends = (own[-length:] for length in range(1, len(own) + 1))
        distinct = set(parts.values())
        alone = next(end for end in ends if sum(other[-len(end) :] == end for other in distinct) == 1)
        return Path(*alone).as_posix()

    return {folder: name(own) for folder, own in parts.items()}


def _files_in(folder: Path, called: str, expression: re.Pattern[str] | None, pile: str, kind: Kind) -> list[File]:
    """The sounds, or pictures, of a folder, sorted by their path in it."""
    names = sorted(str(inside) for inside in files_below(folder) if kind_of(inside) == kind)
    if not names:
        raise DataError(f"The pile of {pile} holds {kind}s", f"none in {str(folder)!r}", "Check the path.")

    def file(name: str) -> File:
        match = expression and expression.search(Path(name).name)
        parent = Path(name).parent.as_posix()
        word = folder.resolve().name if parent == "." else parent
        return File(folder / name, f"{called}/{Path(name).as_posix()}", word, str(match.group(1)) if match else "")

    return [file(name) for name in names]


def _check_apart(found: Mapping[str, Sequence[Sequence[File]]]) -> None:
    """Else shares would meet: in one folder a file may be among the first, in another among the last."""
    owner: dict[Path, tuple[str, int]] = {}
    for pile, given in found.items():
        for number, files in enumerate(given):
            for file in files:
                first = owner.setdefault(file.path.resolve(), (pile, number))
                if first != (pile, number):
                    other = "twice" if first[0] == pile else f"and the {pile}"
                    raise UsageError(
                        "A file is in one folder of one pile",
                        f"{file.path}, which is among the {first[0]} {other}",
                        "Sort them into folders that do not share any.",
                    )


def _used(files: Sequence[File], taken: set[str], take: tuple[float, float]) -> list[File]:
    alone = share([file.name for file in files if not file.group], take)
    return [file for file in files if (file.group in taken if file.group else file.name in alone)]


def _looked_at(file: File) -> File:
    """With what is inside; reading it as a sound will say why where nothing is."""
    try:
        with file.path.open("rb") as stream:
            file = replace(file, sha256=hashlib.file_digest(stream, "sha256").hexdigest())
        return replace(file, rate=sound_info(file.path).rate) if kind_of(file.path) == "sound" else file
    except (OSError, LikewiseError):
        return file


def _without_group(piles: Mapping[str, Sequence[File]]) -> list[str]:
    """A line for each pile in which files have no group."""
    counts = {pile: sum(not file.group for file in files) for pile, files in piles.items()}
    return [
        f"{count} of {len(piles[pile])} {pile} have no group: --group-from is not in their names, and --take cannot"
        " keep their voices apart"
        for pile, count in counts.items()
        if count
    ]


def _listed(folders: Sequence[Path]) -> str:
    return " and ".join(repr(str(folder)) for folder in folders)
