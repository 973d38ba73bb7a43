"""A question about data that is answered by trying: many small runs, each kept as soon as it is done.

A study never looks at the test part of its data: what is chosen by it is to be measured there afterwards.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file

SETTINGS, RUNS, FINDINGS, PICTURE = "study.json", "runs.jsonl", "findings.json", "study.png"

Settings = dict[str, Any]  # JSON-ready, what tells one run from the others
Say = Callable[[str], None]


@final
@dataclass(frozen=True)
class Run:
    """One try.

    Attributes:
        settings: what was tried.
        figures: what came of it, JSON-ready.
    """

    settings: Settings
    figures: dict[str, Any]


class Study(ABC):
    """What is tried, how, and what is to be concluded."""

    name: ClassVar[str]

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """JSON-ready: all that its runs depend on but their settings; runs made otherwise are of another study."""

    @abstractmethod
    def trials(self) -> list[Settings]:
        """What is to be tried, in order."""

    @abstractmethod
    def run(self, settings: Settings) -> dict[str, Any]:
        """One try: its figures, JSON-ready.

        Raises:
            LikewiseError: it cannot be done.
        """

    @abstractmethod
    def said(self, run: Run) -> str:
        """A run in one line."""

    @abstractmethod
    def advice(self, runs: Sequence[Run]) -> str:
        """What to do, in a sentence."""

    @abstractmethod
    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """All runs as a picture."""


@final
@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes:
        study: its name.
        runs: all of them.
        advice: what to do, in a sentence.
        folder: where all of it lies.
    """

    study: str
    runs: tuple[Run, ...]
    advice: str
    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that was written."""
        return tuple(self.folder / name for name in (PICTURE, FINDINGS, RUNS))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise study --json`."""
        return {
            "study": self.study,
            "advice": self.advice,
            "runs": [{"settings": run.settings, **_short(run.figures)} for run in self.runs],
            "files": [str(file) for file in self.files],
        }


def conduct(study: Study, folder: Path, *, resume: bool = False, say: Say) -> Findings:
    """Tries all there is to try, and concludes; what an earlier, stopped run of the same study left is kept.

    Args:
        study: the question.
        folder: where runs, picture and findings are written.
        resume: go on with what is there.
        say: told of each run.

    Raises:
        UsageError: there is a study in `folder` already, and it is another or not to be gone on with.
        DataError: the folder cannot be written, or holds a damaged study.
    """
    done = _begun(study, folder, resume=resume)
    runs: list[Run] = []
    trials = study.trials()
    for number, settings in enumerate(trials, start=1):
        key = json.dumps(settings, sort_keys=True)
        run = Run(settings, done[key]) if key in done else Run(settings, study.run(settings))
        if key not in done:
            _keep(folder / RUNS, run)
        say(f"{number} of {len(trials)}: {study.said(run)}{' (done before)' if key in done else ''}")
        runs.append(run)
    found = Findings(study.name, tuple(runs), study.advice(runs), folder)
    with replacing_file(folder / PICTURE) as fresh:
        study.draw(runs, fresh)
    with replacing_file(folder / FINDINGS) as fresh:
        fresh.write_text(json.dumps(found.as_dict(), indent=2) + "\n", encoding="utf-8")
    return found


def _begun(study: Study, folder: Path, *, resume: bool) -> dict[str, dict[str, Any]]:
    """Figures of the runs that are there, by their settings; a new study writes down what it is."""
    asked = {"study": study.name, **study.options()}
    file = folder / SETTINGS
    if not file.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError("A study has a folder of its own", f"{str(folder)!r}, which holds other things")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError("A study's folder can be written", f"{str(folder)!r}: {error}") from error
        with replacing_file(file) as fresh:
            fresh.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        return {}
    if not resume:
        raise UsageError(
            "A study is not written over", f"one in {str(folder)!r}", "Pass --resume to go on, or another --out."
        )
    try:
        before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        lines = (folder / RUNS).read_text(encoding="utf-8").splitlines() if (folder / RUNS).exists() else []
        held = [json.loads(line) for line in lines]
        done = {json.dumps(run["settings"], sort_keys=True): dict(run["figures"]) for run in held}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("A study can be gone on with", f"a damaged one in {str(folder)!r}: {error}") from error
    differing = [
        f"{name} {before.get(name)!r}, now {asked.get(name)!r}"
        for name in sorted(before.keys() | asked.keys())
        if before.get(name) != asked.get(name)
    ]
    if differing:
        raise UsageError(
            "A study is gone on with as it was begun", "; ".join(differing), "Take the same options, or another --out."
        )
    return done


def _keep(file: Path, run: Run) -> None:
    """Adds a run to the end of the file; a kill in between leaves all that were there."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    line = json.dumps({"settings": run.settings, "figures": run.figures})
    with replacing_file(file) as fresh:
        fresh.write_text(f"{before}{line}\n", encoding="utf-8")


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """Without what is there for every item."""
    return {name: value for name, value in figures.items() if not isinstance(value, list)}
