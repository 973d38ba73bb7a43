"""From an error to what HTTP says of it: a status, and the one line that the command line would print."""

from __future__ import annotations

from typing import Any, final

from likewise.errors import DataError, LikewiseError, ModelError, StoreError, UsageError


@final
class Refusal(Exception):  # noqa: N818 - an answer
    """A request that is not carried out.

    Args:
        status: of HTTP.
        error: the line for the client.
        retry_after: seconds after which it may be tried again; None where trying again will not help.
    """

    def __init__(self, status: int, error: LikewiseError, retry_after: int | None = None) -> None:
        super().__init__(str(error))
        self.status, self.error, self.retry_after = status, error, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**found, "WWW-Authenticate": "Bearer"} if self.status == 401 else found

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return described(self.error)


def described(error: LikewiseError) -> dict[str, Any]:
    """An error, JSON-ready: the line, and its three parts."""
    received = None if error.received is None else str(error.received)
    parts = {"error": str(error), "rule": error.rule, "received": received, "remedy": error.remedy}
    # Half characters, as file names may hold, have no UTF-8.
    return {key: text and text.encode("utf-8", "backslashreplace").decode() for key, text in parts.items()}


def refusal_of(error: LikewiseError) -> Refusal:
    """What a library's error means to a client."""
    if isinstance(error, UsageError):
        return Refusal(400, error)
    if isinstance(error, ModelError):
        return Refusal(409, error)
    if isinstance(error, StoreError):
        return Refusal(503, error, retry_after=5)
    return Refusal(422, error)


def busy(received: str, seconds: int = 1) -> Refusal:
    """Too much is asked at once."""
    rule = "The service takes on what it can answer soon"
    return Refusal(503, DataError(rule, received, f"Ask again in {seconds} s."), seconds)
