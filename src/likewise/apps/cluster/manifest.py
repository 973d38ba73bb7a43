"""What OUT remembers between runs: clusters.json, by the content of the pictures and the place in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, final

from likewise.apps.cluster.keys import KEY
from likewise.errors import DataError
from likewise.media.files import replacing_file

MANIFEST = "clusters.json"
FORMAT = 2  # 1 knew whole pictures only
UNASSIGNED = "unassigned"  # the folder of items that are in no cluster


@final
@dataclass(frozen=True)
class Entry:
    """What is known of one item, whatever its file is called and wherever it lies.

    Attributes:
        cluster: the number of its cluster; None for unassigned.
        file: where in OUT it is, or is to be; None where it is not there.
        source: what it was copied or linked from.
        sure: whether a person said so: moved it there, or named or changed the folder it lay in.
        removed: whether a person deleted it from OUT.
    """

    cluster: int | None = None
    file: str | None = None
    source: str | None = None
    sure: bool = False
    removed: bool = False


@final
@dataclass(frozen=True)
class State:
    """All that OUT remembers.

    Attributes:
        model: fingerprint of the model that was last used.
        settings: the options it was used with; with other ones, clusters that nobody touched are made anew.
        next: the number the next new cluster gets; numbers are never used twice.
        folders: the folder of each cluster, relative to OUT.
        yours: clusters that a person named, or moved pictures into or out of.
        items: by their keys (see `keys`).
        empty: pictures in which nothing was found, by content hash: where they lay.
        writing: what was still to be moved (from where) or copied (None) when this was written. Not empty only while a
            run is writing, or where it was stopped in the middle.
    """

    model: str = ""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    next: int = 1
    folders: dict[int, str] = field(default_factory=dict[int, str])
    yours: frozenset[int] = frozenset()
    items: dict[str, Entry] = field(default_factory=dict[str, Entry])
    empty: dict[str, str] = field(default_factory=dict[str, str])
    writing: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def without_empty(self) -> State:
        """The same without clusters that no item is left of."""
        used = {entry.cluster for entry in self.items.values()}
        folders = {number: folder for number, folder in self.folders.items() if number in used}
        return replace(self, folders=folders, yours=self.yours & folders.keys())


def read_state(out: Path) -> State | None:
    """The state of OUT; None where there is none.

    Raises:
        DataError: it is damaged, newer, or names files outside OUT.
    """
    path = out / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    try:
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise DataError(
                f"This version reads {MANIFEST} up to format {FORMAT}", f"{values['format']} in {str(path)!r}",
                "Install a newer likewise.",
            )  # fmt: skip
        state = State(
            model=str(values["model"]),
            settings=dict(values["settings"]),
            next=int(values["next"]),
            folders={int(number): str(cluster["folder"]) for number, cluster in values["clusters"].items()},
            yours=frozenset(int(number) for number, cluster in values["clusters"].items() if cluster["yours"]),
            items={_key(key): _entry(entry) for key, entry in values["items"].items()},
            empty={_key(key): str(place) for key, place in values.get("empty", {}).items()},
            writing=dict(values["writing"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__} {error}") from error
    _check_inside(path, state)
    return state


def write_state(out: Path, state: State) -> None:
    """Replaces the manifest as a whole.

    Raises:
        DataError: it cannot be written; the old one is as it was.
    """
    values = {
        "format": FORMAT,
        "model": state.model,
        "settings": state.settings,
        "next": state.next,
        "clusters": {
            str(number): {"folder": folder, "yours": number in state.yours}
            for number, folder in sorted(state.folders.items())
        },
        "items": {key: asdict(entry) for key, entry in sorted(state.items.items())},
        "empty": dict(sorted(state.empty.items())),
        "writing": dict(sorted(state.writing.items())),
    }
    with replacing_file(out / MANIFEST) as fresh:
        fresh.chmod(0o600)  # as a gallery: it says who is on which picture
        fresh.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _key(text: str) -> str:
    if not KEY.fullmatch(text):
        raise ValueError(f"an item {text!r}")
    return text


def _entry(values: dict[str, Any]) -> Entry:
    entry = Entry(**values)
    numbers = () if entry.cluster is None else (entry.cluster,)
    texts = [text for text in (entry.file, entry.source) if text is not None]
    flags = (entry.sure, entry.removed)
    if not (_all(numbers, int) and _all(texts, str) and _all(flags, bool)):
        raise ValueError(f"of an item: {values}")
    return entry


def _all(values: Iterable[object], kind: type) -> bool:
    return all(type(value) is kind for value in values)


def _check_inside(path: Path, state: State) -> None:
    """Refuses a manifest that would have files moved outside OUT, whoever wrote it, or clusters without a folder."""
    files = [entry.file for entry in state.items.values()] + list(state.writing.values())
    for name in (*files, *state.folders.values()):
        if name is not None:
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts or place == PurePosixPath():
                raise _damaged(path, f"the place {name!r}")
    lacking = {entry.cluster for entry in state.items.values()} - {None, *state.folders}
    if lacking or state.next <= max(state.folders, default=0):
        raise _damaged(path, "clusters that are not listed")


def _damaged(path: Path, why: object) -> DataError:
    return DataError(
        f"{MANIFEST} can be read",
        f"{str(path)!r}: {why}",
        "Restore it from a backup; or delete it, and names and corrections with it, to begin again.",
    )
