"""Decisions at an entrance, on record: who was claimed, what was seen, and what was answered. Never a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from likewise.errors import StoreError
from likewise.gallery import Claim
from likewise.media.files import append_line


def log_claim(file: Path, gallery: str, model: str, claim: Claim) -> None:
    """Adds a decision to a log that only its owner reads.

    Args:
        file: one JSON object per line; made where it is not there.
        gallery: where the name is enrolled.
        model: fingerprint of what encoded.
        claim: the decision.

    Raises:
        StoreError: it cannot be written; then the decision should not be acted on either.
    """
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        append_line(file, {"when": when, "gallery": gallery, "model": model, **claim.as_dict()})
    except OSError as error:
        raise StoreError(
            "A decision is logged before it is told", f"{file} ({error})", "Check permissions and space."
        ) from error
