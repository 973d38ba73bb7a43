"""What a person did in OUT since the last run, read from where the pictures lie now.

- A folder with another name: that is the name of its cluster.
- A picture in another folder: it belongs there, and not where it was.
- A picture in a folder that is no cluster's: a new cluster. Folders inside a cluster's folder belong to it.
- A picture in `unassigned` or in OUT itself: it belongs nowhere.
- A picture that is gone: it is not to come back.

A folder that a person named, or moved pictures into or out of, is theirs: what lies in it then stays in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import final

from likewise.apps.cluster.keys import by_content
from likewise.apps.cluster.manifest import MANIFEST, UNASSIGNED, Entry, State
from likewise.errors import DataError

# What tells the copies of one picture apart, the surest first: the place, the name, the folder.
SIGNS: tuple[Callable[[str], object], ...] = (
    str,
    lambda place: PurePosixPath(place).name,
    lambda place: PurePosixPath(place).parent,
)


@final
@dataclass(frozen=True)
class Seen:
    """The state with what the person did.

    Attributes:
        state: with nothing left in `writing`; files are where they were found, None where they are still to be written.
        named: clusters that got another name.
        moved: how many pictures were moved.
        removed: how many were deleted.
    """

    state: State
    named: tuple[int, ...] = ()
    moved: int = 0
    removed: int = 0


def look(state: State, places: Mapping[str, str], known: Collection[str]) -> Seen:
    """Reads the person's work from where the pictures lie.

    Args:
        state: as the last run left it.
        places: content hash of every picture in OUT, by path; a picture with several parts is there as often.
        known: content hashes of the pictures to be clustered; others that `state` does not know are the person's own
            business.

    Raises:
        DataError: not one picture is where it should be, or anywhere else.
    """
    items, placed, removed = _found(state, places, known)
    had = any(entry.file is not None for entry in state.items.values())
    if had and not placed and not any(entry.file is not None for entry in items.values()) and not state.writing:
        raise DataError(
            f"OUT holds pictures that its {MANIFEST} knows",
            "none of them",
            f"Put the folders back; or delete {MANIFEST} to begin again, without names and corrections.",
        )
    folders, named, fresh, next_ = _folders(state, items, placed)
    number_of = {folder: number for number, folder in folders.items()}
    touched, moved = {*named, *fresh}, 0
    for key, place in placed.items():
        entry = items.get(key, Entry())
        to = _cluster_at(PurePosixPath(place).parent, number_of)
        was = None if entry.removed else entry.cluster
        nowhere = to is None and PurePosixPath(place).parent == PurePosixPath()  # it is to be left there
        if key in items and not entry.removed and to == was and not nowhere:
            items[key] = replace(entry, file=place)  # only the folder, or the file, has another name
            continue
        items[key] = replace(entry, cluster=to, file=place, sure=True, removed=False)
        touched |= {to, was}
        moved += 1
    for key, entry in items.items():
        at = None if entry.file is None else _cluster_at(PurePosixPath(entry.file).parent, number_of)
        if at is not None and at == entry.cluster and at in touched:
            items[key] = replace(entry, sure=True)
    yours = (state.yours | touched) - {None}
    after = replace(state, next=next_, folders=folders, yours=frozenset(yours), items=items, writing={})
    return Seen(after.without_empty(), tuple(sorted(named)), moved, removed)


def _found(
    state: State, places: Mapping[str, str], known: Collection[str]
) -> tuple[dict[str, Entry], dict[str, str], int]:
    """Entries with where they are, where a person put others, and how many a person deleted."""
    where: dict[str, list[str]] = {}
    for place in sorted(places):
        where.setdefault(places[place], []).append(place)
    items = dict(state.items)
    placed: dict[str, str] = {}
    removed = 0
    of_content = by_content(items)
    for content, keys in of_content.items():
        expected = {key: [p for p in (items[key].file, state.writing.get(key)) if p is not None] for key in keys}
        found = _matched(expected, where.get(content, []))
        for key in keys:
            place, entry = found.get(key), items[key]
            items[key] = replace(entry, file=place if place in expected[key] else None)
            if place is not None and place not in expected[key]:
                placed[key] = place
            elif place is None and entry.file is not None and key not in state.writing:
                items[key] = replace(items[key], cluster=None, removed=True)
                removed += 1
    placed |= {content: found[0] for content, found in where.items() if content not in of_content and content in known}
    return items, placed, removed


def _matched(expected: Mapping[str, Sequence[str]], found: Sequence[str]) -> dict[str, str]:
    """Which item each of several files with one content is.

    The parts of one picture are copies of it, told apart by where they are; once moved, by their names, which are
    unique in OUT; by their folders, if a person gave them other names there; and the last one by being the last.

    Args:
        expected: where each item should be.
        found: where the files are.

    Returns:
        The place of each item that there is one for.
    """
    free, matched = list(found), dict[str, str]()
    for alike in SIGNS:
        for key, places in expected.items():
            same = [place for wanted in places for place in free if alike(place) == alike(wanted)]
            if key not in matched and same:
                matched[key] = same[0]
                free.remove(same[0])
    if free and len(last := expected.keys() - matched.keys()) == 1:
        matched[last.pop()] = free[0]
    return matched


def _folders(
    state: State, items: Mapping[str, Entry], placed: Mapping[str, str]
) -> tuple[dict[int, str], set[int], set[int], int]:
    """Folders of the clusters, those among them that were renamed, those that are new, and the next number."""
    folders, next_ = dict(state.folders), state.next
    number_of = {folder: number for number, folder in folders.items()}
    settled = {entry.cluster for entry in items.values() if entry.file is not None}
    settled |= {_cluster_at(PurePosixPath(place).parent, number_of) for place in placed.values()}
    # Where a person put pictures, outermost folders first: those inside a folder of a cluster are part of it.
    standing = {folder for number, folder in folders.items() if number in settled}
    new: list[PurePosixPath] = []
    for folder in sorted({PurePosixPath(place).parent for place in placed.values()}, key=lambda f: (len(f.parts), f)):
        if not _is_nowhere(folder) and not {str(f) for f in (folder, *folder.parents)} & standing:
            new.append(folder)
            standing.add(str(folder))
    claims: Counter[tuple[str, int]] = Counter()
    for key, place in placed.items():
        cluster = items[key].cluster if key in items else None
        if cluster is not None and cluster not in settled:
            parent = PurePosixPath(place).parent
            claims.update((str(f), cluster) for f in (parent, *parent.parents) if f in new)
    named: set[int] = set()
    taken: set[str] = set()
    for (folder, number), _ in sorted(claims.items(), key=lambda claim: (-claim[1], claim[0])):
        if number not in named and folder not in taken:
            folders[number] = folder
            named.add(number)
            taken.add(folder)
    fresh: set[int] = set()
    for folder in map(str, new):
        if folder not in taken:
            folders[next_] = folder
            fresh.add(next_)
            next_ += 1
    return folders, named, fresh, next_


def _cluster_at(folder: PurePosixPath, number_of: Mapping[str, int]) -> int | None:
    """The cluster whose folder this is or is in; None for `unassigned` and OUT itself."""
    return next((number_of[str(f)] for f in (folder, *folder.parents) if str(f) in number_of), None)


def _is_nowhere(folder: PurePosixPath) -> bool:
    return folder in (PurePosixPath(), PurePosixPath(UNASSIGNED))
