"""Whether what is decoded before training fits into memory."""

from __future__ import annotations

from pathlib import Path

from likewise.encoder import Pictures, Preprocessing
from likewise.errors import DataError


def check_memory(count: int, how: Preprocessing, free: int | None = None) -> None:
    """Refuses more pictures than half of the free memory holds: all are decoded before the first step.

    Args:
        count: of pictures.
        how: what they are decoded to.
        free: bytes; None asks the system, and refuses nothing where that does not say.

    Raises:
        DataError: it would not hold them.
    """
    assert isinstance(how, Pictures)  # what has boxes is no sound
    free = _free_memory() if free is None else free
    needed = count * how.channels * how.height * how.width
    if free is not None and needed > free / 2:
        space = f"{needed / 2**30:,.1f} GiB for {count:,} of {how.width} x {how.height}"
        received = f"{space}, where {free / 2**30:,.1f} are free"
        raise DataError(
            "Pictures to train on fit into half of the free memory, decoded",
            received,
            "Pass a smaller --size, or train on fewer.",
        )


def _free_memory() -> int | None:
    """Bytes that programs may still take, on Linux; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None
