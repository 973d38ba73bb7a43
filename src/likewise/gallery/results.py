"""What a gallery answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

from likewise.gallery.decision import Decision, Lines, Match, Rule
from likewise.prepare import Box

Skipped = tuple[tuple[str, str], ...]  # file and reason


@final
@dataclass(frozen=True)
class Enrolled:
    """The answer of `Gallery.enrol` and `Gallery.import_`.

    Attributes:
        name: under which name, as it is kept; None for an import of many.
        added: file (or former id) and new id of every record that was made.
        already: what is enrolled under the same name already, and was not entered twice.
        skipped: what could not be entered, and why.
    """

    name: str | None
    added: tuple[tuple[str, int], ...]
    already: tuple[str, ...]
    skipped: Skipped

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "added": [{"file": file, "id": id} for file, id in self.added],
            "already": list(self.already),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }


@final
@dataclass(frozen=True)
class Probe:
    """One thing that was looked up.

    Attributes:
        file: where it is from.
        box: which part of it: left, top, width, height in pixels; None for all of it.
        decision: who it is.
        flaw: why it is too poor to be called by a name; None for a good one.
    """

    file: str
    box: Box | None
    decision: Decision
    flaw: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "file": self.file,
            "box": None if self.box is None else list(self.box),
            "decision": self.decision.outcome,
            "name": self.decision.name,
            "matches": [asdict(match) for match in self.decision.matches],
            "flaw": self.flaw,
        }

    def __str__(self) -> str:
        near = "; ".join(map(_in_words, self.decision.matches))
        who = self.decision.name if self.decision.outcome == "known" else self.decision.outcome
        if self.decision.outcome == "unsure":
            who = f"unsure, perhaps {self.decision.name}"
        where = self.file if self.box is None else f"{self.file} at {self.box[0]},{self.box[1]}"
        reasons = "; ".join(filter(None, [self.flaw, near]))
        return f"{where}: {who} ({reasons})" if reasons else f"{where}: {who}"


def _in_words(match: Match) -> str:
    votes = "1 vote" if match.votes == 1 else f"{match.votes} votes"
    same = "" if match.probability is None else f", {match.probability:.1%} the same"
    return f"{match.name} {match.distance:.4g}, {votes}{same}"


@final
@dataclass(frozen=True)
class Identified:
    """The answer of `Gallery.identify`; iterating gives its probes.

    Attributes:
        probes: one for each thing found in what was given, in its order.
        skipped: what could not be read, and why.
        empty: files in which nothing was found.
        files: those that could be read, in the order given.
        lines: where known and unsure end, and what that promises.
        rule, k: how was decided.
        records: how many there are in the gallery.
    """

    probes: tuple[Probe, ...]
    skipped: Skipped
    empty: tuple[str, ...]
    files: tuple[str, ...]
    lines: Lines
    rule: Rule
    k: int
    records: int

    def __iter__(self) -> Iterator[Probe]:
        return iter(self.probes)

    def __len__(self) -> int:
        return len(self.probes)

    @property
    def all_known(self) -> bool:
        """Whether everything given could be read, shows something, and has a name."""
        return not self.skipped and not self.empty and all(probe.decision.outcome == "known" for probe in self.probes)

    def by_file(self) -> dict[str, list[Probe]]:
        """The probes of each file that could be read, in the order given: none where nothing was found."""
        probes: dict[str, list[Probe]] = {file: [] for file in self.files}
        for probe in self.probes:
            probes[probe.file].append(probe)
        return probes

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "probes": [probe.as_dict() for probe in self.probes],
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "empty": list(self.empty),
            "lines": self.lines.as_dict(),
            "rule": self.rule,
            "k": self.k,
            "records": self.records,
        }

    def __str__(self) -> str:
        return "\n".join(
            line
            for file, probes in self.by_file().items()
            for line in (map(str, probes) if probes else [f"{file}: nothing was found"])
        )


@final
@dataclass(frozen=True)
class Forgotten:
    """The answer of `Gallery.forget`.

    Attributes:
        name: whose records these were.
        records: how many.
    """

    name: str
    records: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
