"""Who may ask for what: tokens, kept as hashes in a file that only grows.

A token is ``lw_ID_SECRET``. The secret is 256 random bits, so that a plain SHA-256 of it is enough: nobody can try all
of them, as they could with passwords. Every line of the file is a JSON object: a token that was made, or the id of one
that is revoked from then on. Lines are only added, so that two who write at once lose nothing, and a service that runs
sees the change with the next request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, final

from likewise.errors import DataError, StoreError, UsageError
from likewise.media.files import append_line

SCOPES = ("verify", "identify", "classify", "detect", "enrol", "forget", "admin")
DAYS, PER_MINUTE = 90, 600
_TOKEN = re.compile(r"lw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_REMEDY = "Make a token with `likewise tokens make FILE NAME`, and send it as `Authorization: Bearer TOKEN`."


@final
@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token.

    Attributes:
        id: the part of it that is no secret.
        name: whose it is, in the words of who made it; the audit log calls them so.
        scopes: of `SCOPES`; "admin" includes all others.
        expires: in seconds since 1970 (UTC).
        per_minute: requests it may make on average.
        digest: SHA-256 of the secret, in hexadecimal.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    expires: float
    per_minute: float
    digest: str

    def may(self, scope: str) -> bool:
        """Whether it is good for something of this scope."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def until(self) -> str:
        """When it expires, for people."""
        return datetime.fromtimestamp(self.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the hash."""
        return {key: value for key, value in asdict(self).items() if key != "digest"}


@final
class Tokens:
    """The tokens in a file; one that is not there has none.

    Args:
        file: made when the first token is.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = Lock()
        self._read: tuple[object, dict[str, Token]] = None, {}

    def make(
        self, name: str, scopes: Sequence[str] = SCOPES[:1], *, days: float = DAYS, per_minute: float = PER_MINUTE
    ) -> tuple[str, Token]:
        """A new token, which nobody can read again, and what the file knows of it.

        Raises:
            UsageError: a name, scope or number that cannot be. StoreError: the file cannot be written, or is none of
                tokens.
        """
        if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
            raise UsageError("A token's name is one line of up to 100 characters", ascii(name[:100]))
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise UsageError(f"A token's scopes are of {', '.join(SCOPES)}", ", ".join(unknown) or "none")
        if not 0 < days <= 3650:
            raise UsageError("A token is good for more than 0 and up to 3650 days", f"{days:g}")
        if not 0 < per_minute <= 1_000_000:
            raise UsageError(
                "A token is good for more than 0 and up to 1,000,000 requests per minute", f"{per_minute:g}"
            )
        secret = secrets.token_urlsafe(32)
        kept = tuple(scope for scope in SCOPES if scope in scopes)
        token = Token(secrets.token_hex(6), name.strip(), kept, time.time() + 86400 * days, per_minute, _hash(secret))
        self._current()  # nothing is written into a file of another kind
        self._append({"made": asdict(token)})
        return f"lw_{token.id}_{secret}", token

    def revoke(self, which: str) -> list[Token]:
        """Ends the token with this id, or all with this name; which they were.

        Raises:
            DataError: there is none.
        """
        found = [token for token in self.all() if which in (token.id, token.name)]
        if not found:
            raise DataError("A token that is revoked is there", repr(which), "`likewise tokens list` shows them.")
        for token in found:
            self._append({"revoked": token.id})
        return found

    def all(self) -> list[Token]:
        """Those that were not revoked, in the order they were made; also those that have expired.

        Raises:
            StoreError: the file is damaged, or cannot be read.
        """
        return list(self._current().values())

    def holder(self, presented: str | None) -> Token:
        """The token that a client sent, in the time that any other would take.

        Raises:
            DataError: none, a wrong one, or one that has expired. StoreError: as `all`.
        """
        if presented is None:
            raise DataError("A request carries a token", "none", _REMEDY)
        parts = _TOKEN.fullmatch(presented)
        token = self._current().get(parts[1]) if parts else None
        right = hmac.compare_digest(_hash(parts[2] if parts else ""), token.digest if token else "0" * 64)
        if token is None or not right:
            raise DataError("A request carries a token that was made here", "another one", _REMEDY)
        if token.expires <= time.time():
            raise DataError("A token has not expired", f"one that did on {token.until}", _REMEDY)
        return token

    def _current(self) -> dict[str, Token]:
        """As the file is now; it is read again when it has changed."""
        try:
            status = self.file.stat()
            state = status.st_mtime_ns, status.st_size, status.st_ino
            with self._lock:
                if self._read[0] != state:
                    self._read = state, _parsed(self.file)
                return self._read[1]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(
                "The file of tokens can be read", f"{self.file} ({error})", "Check permissions."
            ) from error

    def _append(self, line: dict[str, Any]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.file, line)
        except OSError as error:
            raise StoreError(
                "The file of tokens can be written", f"{self.file} ({error})", "Check permissions and space."
            ) from error


def _parsed(file: Path) -> dict[str, Token]:
    with file.open("rb") as stream:
        if stream.peek(1)[:1] not in (b"", b"{"):
            raise StoreError(
                "A file of tokens is one that `likewise tokens make` made",
                f"{file}, which is something else",
                "Name another file, such as GALLERY.tokens.",
            )
        *lines, torn = stream.read().split(b"\n")
    found: dict[str, Token] = {}
    for number, line in enumerate([*lines, torn] if _is_json(torn) else lines, 1):
        try:
            values: dict[str, Any] = json.loads(line)
            if "revoked" in values:
                found.pop(values["revoked"], None)
            else:
                made: dict[str, Any] = values["made"]
                found[made["id"]] = replace(Token(**made), scopes=tuple(made["scopes"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(
                "A file of tokens has a token, or one that is revoked, in each line",
                f"{file}, line {number}",
                "Name the right file; if it is this one, take the line out, and who held its token needs a new one.",
            ) from error
    return found


def _is_json(line: bytes) -> bool:
    """Whether a last line that does not end is whole; what a kill has left of one was never acknowledged."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
