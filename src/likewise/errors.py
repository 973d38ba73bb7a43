"""The errors a user can meet. Each is one line: the rule, what was received, what to do.

A traceback is a bug in Likewise; one of these is an answer.
"""

from __future__ import annotations

from typing import ClassVar, final


def visible(text: str) -> str:
    """`text` on one line: what a terminal would obey or not show, and what is no UTF-8, as Python writes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class LikewiseError(Exception):
    """Base of every error raised on purpose.

    Args:
        rule: what holds in general ("An embedding has at least 1 dimension").
        received: what came instead; left out when there is nothing to show.
        remedy: what the user can do about it, as one sentence.
    """

    status: ClassVar[int] = 3  # the exit status of the command line

    def __init__(self, rule: str, received: object = None, remedy: str = "") -> None:
        self.rule = rule
        self.received = received
        self.remedy = remedy
        text = rule if received is None else f"{rule}; got {received}"
        text = visible(" ".join(text.split())).rstrip(".")  # names of files and classes may hold anything
        super().__init__(f"{text}. {remedy}".strip() if remedy else f"{text}.")


@final
class UsageError(LikewiseError):
    """An option or argument that cannot work, whatever the data."""

    status = 2


class DataError(LikewiseError):
    """Data that are missing, unreadable or do not allow what was asked."""


@final
class StoreError(DataError):
    """What a gallery, a log or the tokens are kept in cannot be read or written now: trying again may help."""


@final
class SupportError(DataError):
    """Too few independent observations for the figure that was asked for."""


@final
class ModelError(LikewiseError):
    """A model folder or embedding that is missing, damaged, newer or another's."""


@final
class NamesakeWarning(UserWarning):
    """Identities have names of some that were trained on, and were taken for others; the text says how to say so."""


@final
class CollapseWarning(UserWarning):
    """Training put every item in the same place; the text says what to change."""
