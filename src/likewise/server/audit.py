"""The audit log: a line of JSON for every request that came with a good token. It only grows, and holds no pictures.

What is forgotten in the gallery stays named here: the log says that it was forgotten, and by whom.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from likewise.errors import StoreError
from likewise.media.files import append_line
from likewise.server.tokens import Token


@final
class Audit:
    """Appends to a file.

    Args:
        file: None keeps no log.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def write(self, token: Token, what: str, status: int, values: dict[str, Any]) -> None:
        """Adds a line.

        Args:
            token: who.
            what: method and path.
            status: of HTTP, what was answered.
            values: more of what was asked and answered: name, distance, threshold, model.

        Raises:
            StoreError: it cannot be written; then nothing should be answered either.
        """
        if self.file is None:
            return
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        who = {"id": token.id, "name": token.name}
        try:
            append_line(self.file, {"when": when, "who": who, "what": what, "status": status, **values})
        except OSError as error:
            raise StoreError(
                "What is answered is in the audit log",
                f"{self.file} ({error})",
                "Make space; if this was to change the gallery, it may have changed.",
            ) from error
