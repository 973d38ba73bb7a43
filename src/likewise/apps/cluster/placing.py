"""From clusters to folders and file names: which number, which folder, which name, and so what is to be moved."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import PurePosixPath
from typing import final

from likewise.apps.cluster.keys import box_of, content_of
from likewise.apps.cluster.manifest import UNASSIGNED, State

LONGEST_NAME = 255  # bytes, on all usual disks


@final
@dataclass(frozen=True)
class Plan:
    """What OUT is to be.

    Attributes:
        state: with every file where it is to be.
        writing: by key, where a file that is to be moved lies now; None for one that is to be copied.
    """

    state: State
    writing: dict[str, str | None]


def numbered_like_before(groups: Mapping[str, int | None], anchored: Set[int], state: State) -> State:
    """The state with the items in the clusters that were found; clusters keep their numbers, names and folders.

    Args:
        groups: by key, the cluster that was found; None for unassigned. Those in `anchored` are numbers of
            clusters there were; each other one gets the number of the cluster, not anchored, with which it shares most
            items, or a new number, the largest first.
        anchored: clusters that keep their numbers.
        state: before. Items that are not in `groups` stay as they are.
    """
    shared = Counter(
        (group, was)
        for key, group in groups.items()
        if group is not None
        and group not in anchored
        and key in state.items
        and (was := state.items[key].cluster) is not None
        and was not in anchored
    )
    number = {group: group for group in anchored}
    for (group, was), _ in sorted(shared.items(), key=lambda both: (-both[1], both[0][1], both[0][0])):
        if group not in number and was not in number.values():
            number[group] = was
    next_ = state.next
    sizes = Counter(group for group in groups.values() if group is not None and group not in number)
    for group, _ in sorted(sizes.items(), key=lambda both: (-both[1], both[0])):
        number[group] = next_
        next_ += 1
    items = {
        key: replace(entry, cluster=entry.cluster if key not in groups else _of(groups[key], number))
        for key, entry in state.items.items()
    }
    return replace(state, items=items, next=next_)


def _of(group: int | None, number: Mapping[int, int]) -> int | None:
    return None if group is None else number[group]


def plan(state: State, names: Set[str], sources: Mapping[str, str]) -> Plan:
    """Gives every cluster a folder and every item a place in it.

    Items a person placed stay exactly where they are, and what lies in the right folder keeps its name.

    Args:
        state: clusters of the items, and where their files are; None where there is none yet.
        names: paths of all files in OUT.
        sources: by key, the file to copy from. An item with neither file nor source is forgotten.
    """
    items = {key: e for key, e in state.items.items() if e.removed or e.file is not None or key in sources}
    state = _with_folders(replace(state, items=items).without_empty(), names)
    taken = {_folded(PurePosixPath(name).name) for name in names}
    places = {_folded(name) for name in names}
    writing: dict[str, str | None] = {}
    placed = dict(items)
    for key, entry in sorted(items.items(), key=lambda item: (sources.get(item[0], ""), item[0])):
        folder = UNASSIGNED if entry.cluster is None else state.folders[entry.cluster]
        if entry.removed or (entry.file is not None and (entry.sure or _inside(entry.file, folder))):
            continue
        name = PurePosixPath(entry.file or sources[key].replace(os.sep, "/")).name
        if entry.file is None or _folded(f"{folder}/{name}") in places:
            name = _free(name, key, taken)
        taken.add(_folded(name))
        places.add(_folded(f"{folder}/{name}"))
        writing[key] = entry.file
        placed[key] = replace(entry, file=f"{folder}/{name}", source=sources.get(key, entry.source))
    return Plan(replace(state, items=placed), writing)


def _with_folders(state: State, names: Set[str]) -> State:
    """A folder `cluster-001` for every cluster that has none."""
    folders = dict(state.folders)
    taken = {_folded(folder) for folder in folders.values()} | {_folded(name) for name in names}
    for number in sorted({e.cluster for e in state.items.values() if e.cluster is not None} - folders.keys()):
        folder, again = f"cluster-{number:03}", 1
        while _folded(folder) in taken:  # a person's folder, or a file
            again += 1
            folder = f"cluster-{number:03}-{again}"
        folders[number] = folder
        taken.add(_folded(folder))
    return replace(state, folders=folders)


def _inside(file: str, folder: str) -> bool:
    return str(PurePosixPath(file).parent) == folder


def _free(name: str, key: str, taken: Set[str]) -> str:
    """`name`, or if OUT has another file of that name, with a part of the content hash in it.

    Names are unique in all of OUT, so that a person can move files between folders and never overwrites one. The parts
    of a picture, which are copies of one file, are told apart by a number.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    content = content_of(key)
    if box_of(key) is None:
        tags = iter(("", content[:8], content[:16], content))
    else:
        tags = chain(("",), map(str, range(2, 100)), (f"{content[:16]}-{n}" for n in count(1)))
    for tag in tags:
        ending = (f"-{tag}" if tag else "") + dot + suffix
        room = LONGEST_NAME - len(os.fsencode(ending))
        candidate = os.fsdecode(os.fsencode(stem)[:room]) + ending if len(os.fsencode(stem)) > room else stem + ending
        if _folded(candidate) not in taken:
            return candidate
    raise AssertionError("a content hash names one file")


def _folded(name: str) -> str:
    """What some disks take for the same name: letters in either case, accents in either spelling."""
    return unicodedata.normalize("NFC", name).casefold()
