"""Decisions at an entrance, on record: who was claimed, what was seen, and what was answered. Never a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from likewise.errors import LikewiseError, StoreError
from likewise.gallery import Claim, Gallery
from likewise.gallery.names import LONGEST
from likewise.media.files import append_line


def verify_logged(
    gallery: Gallery, files: Sequence[str | Path], name: str, log: Path, *, fmr: float | None = None
) -> Claim:
    """As `Gallery.verify`, with a line in a log before anybody is told: the decision, or why there was none.

    Args:
        gallery: where the name is enrolled.
        files: the pictures.
        name: who they are said to be of.
        log: one JSON object per line, which only its owner reads; made where it is not there.
        fmr: see `Gallery.verify`.

    Raises:
        StoreError: the log cannot be written.
        LikewiseError: as `Gallery.verify`; the line then has "refused" for an answer, and the reason.
    """
    model = gallery.fingerprint
    try:
        claim = gallery.verify(files, name, fmr=fmr)
    except LikewiseError as error:
        shown = [str(file) for file in files]
        refused = {"same": False, "said": "refused", "name": name[:LONGEST], "problem": str(error), "files": shown}
        _log(log, gallery.uri, model, refused)
        raise
    _log(log, gallery.uri, model, claim.as_dict())
    return claim


def _log(file: Path, gallery: str, model: str, values: dict[str, Any]) -> None:
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        append_line(file, {"when": when, "gallery": gallery, "model": model, **values})
    except OSError as error:
        raise StoreError(
            "A decision is logged before it is told", f"{file} ({error.strerror or error})", "Check the path and space."
        ) from error
