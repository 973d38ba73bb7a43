"""A question about data that is answered by trying: many small runs, each kept as soon as it is done.

A study that trains leaves the test part of its data alone: what is chosen by it is to be measured there afterwards.
`Split`, which trains nothing, cuts all of the data, and `Taps` judges all that it is given along with a trained
encoder.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast, final

from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.evaluation.names import printable
from likewise.media.files import append_line, replacing_file, write_json

SETTINGS, RUNS, FINDINGS, PICTURE = "study.json", "runs.jsonl", "findings.json", "study.png"
EACH, SKIPPED = "each", "skipped"  # keys of figures; those for every item stay in RUNS

LONGEST = 24  # letters of an option that is told

Settings = dict[str, Any]  # JSON-ready, what tells one run from the others
Say = Callable[[str], None]


@final
@dataclass(frozen=True)
class Run:
    """One try.

    Attributes:
        settings: what was tried.
        figures: what came of it, JSON-ready; what there is for every item is under `EACH`, and file and reason of
            items that could not be read under `SKIPPED`.
    """

    settings: Settings
    figures: dict[str, Any]


class Study(ABC):
    """What is tried, how, and what is to be concluded."""

    name: ClassVar[str]

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """JSON-ready: all that its runs depend on but their settings; runs made otherwise are of another study."""

    def opening(self) -> str:
        """What is to be known before the first run, such as how the data are used; nothing where there is nothing."""
        return ""

    @abstractmethod
    def trials(self, runs: Sequence[Run]) -> Iterable[Settings]:
        """What is to be tried, in order.

        Args:
            runs: those that are done, also by an earlier call. It grows as trials are taken: a generator may look at
                what came of the last one before it gives the next.
        """

    @abstractmethod
    def run(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """One try: its figures, JSON-ready.

        Raises:
            LikewiseError: it cannot be done.
            KeyboardInterrupt: it was stopped before it was done.
        """

    @abstractmethod
    def said(self, run: Run) -> str:
        """A run in one line."""

    @abstractmethod
    def advice(self, runs: Sequence[Run]) -> str:
        """What to do, in a sentence or two; runs are in the order in which they were done."""

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


def untold(done: int, total: int, text: str) -> None:
    """Progress that nobody is told of."""


def conduct(study: Study, folder: Path, *, resume: bool = False, say: Say, progress: Progress = untold) -> Findings:
    """Tries all there is to try, and concludes; what an earlier, stopped run of the same study left counts too.

    Args:
        study: the question.
        folder: where runs, picture and findings are written.
        resume: go on with what is there.
        say: told of each run.
        progress: told how far a run is.

    Raises:
        UsageError: there is a study in `folder` already, and it is another or not to be gone on with.
        DataError: the folder cannot be written, or holds a damaged study.
        KeyboardInterrupt: it was stopped; the runs done by then are kept.
    """
    runs = _begun(study, folder, resume=resume)
    if opening := study.opening():
        say(opening)
    done = {_key(run.settings): run for run in runs}
    trials = study.trials(runs)
    of = f" of {len(trials)}" if isinstance(trials, Sized) else ""
    before = 0 if of else len(runs)
    skipped: set[str] = set()
    try:
        for number, settings in enumerate(trials, start=before + 1):
            known = done.get(_key(settings))
            run = known or Run(settings, study.run(settings, progress))
            if known is None:
                _keep(folder / RUNS, run)
                runs.append(run)
            for file, reason in run.figures.get(SKIPPED, ()):
                if file not in skipped:
                    say(printable(f"skipped {file}: {reason}"))
                skipped.add(file)
            say(printable(f"{number}{of}: {study.said(run)}{' (done before)' if known else ''}"))
    except KeyboardInterrupt:
        kept = f"{len(runs)} run{'s are' if len(runs) != 1 else ' is'} kept in {folder}" if runs else "nothing was done"
        say(f"Stopped: {kept}; --resume goes on.")
        raise
    found = Findings(study.name, tuple(runs), printable(study.advice(runs)), folder)  # it may name classes and files
    with replacing_file(folder / PICTURE) as fresh:
        study.draw(runs, fresh)
    with replacing_file(folder / FINDINGS) as fresh:
        write_json(fresh, found.as_dict())
    return found


def runs_in(folder: Path) -> tuple[dict[str, Any], list[Run]]:
    """What a study in `folder` is, and the runs it has done.

    A last line without an end was never acknowledged: a kill or a full disk has cut it.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = folder / RUNS
    try:
        asked = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
        held = [json.loads(line) for line in lines]
        runs = [Run(dict(run["settings"]), dict(run["figures"])) for run in held]
        return dict(asked), list({_key(run.settings): run for run in runs}.values())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("A study has its settings and whole runs", f"{str(folder)!r}: {error}") from error


def _begun(study: Study, folder: Path, *, resume: bool) -> list[Run]:
    """The runs that are there; a new study writes down what it is."""
    asked = {"study": study.name, **study.options()}
    before, runs = runs_in(folder) if (folder / SETTINGS).exists() else ({}, [])
    if not runs:
        _begin(asked, folder)
        return []
    if not resume:
        raise UsageError(
            "A study is not written over", f"one in {str(folder)!r}", "Pass --resume to go on, or another --out."
        )
    differing = list(_differing(before, asked))
    if differing:
        raise UsageError(
            "A study is gone on with as it was begun", "; ".join(differing), "Take the same options, or another --out."
        )
    return runs


def _differing(before: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """What two studies differ in, options within options by themselves."""
    for name in sorted(before.keys() | asked.keys()):
        old, new = before.get(name), asked.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differing(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new))
        elif old != new:
            yield f"{name} {_told(old)}, now {_told(new)}"


def _told(value: object) -> str:
    text = "unsaid" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}..."  # as a digest of data


def _begin(asked: dict[str, Any], folder: Path) -> None:
    """Writes down what a study is, in a folder that holds no runs."""
    try:
        held = [file.name for file in folder.iterdir()] if folder.exists() else []
        # A kill before the first run leaves the settings, or the hidden file that was to become them.
        if any(not name.startswith(".") and name != SETTINGS for name in held):
            raise UsageError("A study has a folder of its own", f"{str(folder)!r}, which holds other things")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError("A study's folder can be written", f"{str(folder)!r}: {error}") from error
    with replacing_file(folder / SETTINGS) as fresh:
        fresh.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")


def _key(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True)


def _keep(file: Path, run: Run) -> None:
    """Adds a run to the end of the file."""
    try:
        append_line(file, {"settings": run.settings, "figures": run.figures})
    except OSError as error:
        raise DataError("A run is kept as soon as it is done", f"{file}: {error}", "Check the space there.") from error


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """Without what is there for every item."""
    return {name: value for name, value in figures.items() if name != EACH}
