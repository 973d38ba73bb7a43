"""What a token learns that may not list names: those it asks about, and those it is answered. No others.

So names that only came near are left out, and with them the distances by which somebody could feel the way to a name;
and what is refused does not say whose the pictures are, or how a name is spelt that was not found.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from likewise.errors import DataError, StoreError
from likewise.gallery import Enrolled, Identified
from likewise.gallery.decision import Decision

_TAKEN = "enrolled already, under another name"


def decided_only(found: Identified) -> Identified:
    """Without names and distances where no name was decided for, and without the runners-up where one was."""
    return replace(
        found, probes=tuple(replace(probe, decision=_decided_only(probe.decision)) for probe in found.probes)
    )


def unnamed(done: Enrolled) -> Enrolled:
    """Without the names under which pictures are enrolled already."""
    return replace(done, skipped=tuple((file, _unnamed(reason)) for file, reason in done.skipped))


@contextmanager
def hints_withheld(allowed: bool) -> Generator[None]:
    """Takes hints at other names out of what the block raises, unless they are `allowed`."""
    try:
        yield
    except StoreError:
        raise  # about the place, not about names
    except DataError as error:
        if allowed:
            raise
        raise DataError(error.rule, None if error.received is None else _unnamed(str(error.received))) from None


def _decided_only(decision: Decision) -> Decision:
    if decision.outcome != "known":
        return replace(decision, name=None, matches=())
    return replace(decision, matches=tuple(match for match in decision.matches if match.name == decision.name))


def _unnamed(reason: str) -> str:
    return _TAKEN if "enrolled" in reason else reason
