"""What the synthesis of sounds and of pictures have in common: what is asked, and how a folder of them comes to be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from likewise.apps.making import Progress, check_makable, in_order, write_record
from likewise.apps.synthesize.files import File
from likewise.apps.synthesize.store import Store
from likewise.errors import UsageError

Folders: TypeAlias = Path | str | Sequence[Path | str]


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """What is asked of every synthesis.

    Attributes:
        count: how many are made.
        seed: of everything random; the same seed and piles give the same.
        take: the share of each pile that is used, from and to, in the order of its files.
        group_from: regular expression with one group, which it finds in file names. Files of one group are used
            together or not at all, in all piles, and the share is one of groups.
    """

    count: int = 4_000
    seed: int = 0
    take: tuple[float, float] = (0.0, 1.0)
    group_from: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be made."""
        if self.count < 1:
            raise UsageError("At least 1 is made", self.count, "Pass for example --count 4000.")
        if self.seed < 0:
            raise UsageError("A seed is at least 0", self.seed)
        if not 0 <= self.take[0] < self.take[1] <= 1:
            raise UsageError(
                "A share of the piles is from a lower to a higher number, 0 to 1",
                f"{self.take[0]:g}:{self.take[1]:g}",
                "Take for example 0:0.6 to train and 0.8:1 to test.",
            )
        self.expression()

    def expression(self) -> re.Pattern[str] | None:
        """`group_from`, compiled."""
        if self.group_from is None:
            return None
        try:
            expression = re.compile(self.group_from)
        except re.error as error:
            raise UsageError("--group-from is a regular expression", f"{self.group_from!r}: {error}") from error
        if expression.groups != 1:
            received = f"{self.group_from!r}, which has {expression.groups}"
            raise UsageError("--group-from has one group in parentheses", received)
        return expression

    def made_from(self, digests: Mapping[str, str], *packages: str) -> dict[str, Any]:
        """All that decides what is made, to the last bit, as JSON gives it back. Options have the command's names.

        Args:
            digests: of the piles.
            packages: whose versions may change it.
        """
        values = {
            **{option(name): value for name, value in asdict(self).items()},
            **digests,
            "versions": {name: version(name) for name in ("likewise", "numpy", *packages)},
        }
        return json.loads(json.dumps(values))


class Made(Protocol):
    """What came of it."""

    @property
    def manifest(self) -> Path:
        """The table of all that was placed."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        ...


Number = TypeVar("Number", bound=np.generic)
Scene = TypeVar("Scene")
Result = TypeVar("Result", bound=Made, covariant=True)


class Kind(Protocol[Number, Scene, Result]):
    """Sounds or pictures: how their piles are read, how one is drawn and written, and what is told of all.

    Attributes:
        record: the file in the folder that says what it is made from.
        folder: where in it those that are made lie.
        dtype: of what the store holds.
        called: what many are called.
    """

    record: str
    folder: str
    dtype: type[Number]
    called: str

    def read(self, store: Store[Number], workers: int | None, progress: Progress | None) -> None:
        """Reads the piles into the store."""
        ...

    def make(self, number: int, out: Path) -> Scene:
        """Draws number `number` and writes it unless it is there."""
        ...

    def finish(self, out: Path, scenes: Sequence[Scene]) -> Result:
        """Writes the manifest."""
        ...


def conduct(
    kind: Kind[Number, Scene, Result],
    out: Path,
    count: int,
    made_from: Mapping[str, Any],
    workers: int | None,
    progress: Progress | None,
) -> Result:
    """Makes a folder. Stopped and called again it goes on where it was; one that has a manifest is whole.

    Raises:
        UsageError: `out` holds something else, or was made from something else. DataError: as `kind` does.
    """
    check_makable(out, kind.record, made_from)
    out.parent.mkdir(parents=True, exist_ok=True)
    with closing(Store(out.parent, kind.dtype)) as store:
        kind.read(store, workers, progress)
        (out / kind.folder).mkdir(parents=True, exist_ok=True)
        write_record(out, kind.record, made_from, None)
        scenes = in_order(
            lambda number: kind.make(number, out), range(count), workers=workers, progress=progress, text=kind.called
        )
    result = kind.finish(out, scenes)
    write_record(out, kind.record, made_from, result.as_dict() | {"manifest": result.manifest.name})
    return result


def listed(given: Folders | None) -> list[Path]:
    """The folders of a pile; none for None."""
    if given is None:
        return []
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(each) for each in given]


def option(name: str) -> str:
    """What the command calls an option."""
    if name == "background_db":
        return "--background-gain"
    return "--" + name.removesuffix("_db").replace("_", "-")


def digest(files: Sequence[File]) -> str:
    """SHA-256 of a pile: of names, words and contents."""
    lines = "\n".join(f"{file.name}\0{file.word}\0{file.sha256}" for file in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
