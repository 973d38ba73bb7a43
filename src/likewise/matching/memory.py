"""What a model met after it was saved: added to its folder, nothing else of which changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from likewise.encoder import Seen
from likewise.matching.folder import CONFIG, SEEN, SEEN_NAMES
from likewise.media.files import replacing_file


def save_seen(seen: Seen, folder: Path) -> None:
    """Puts another memory into an existing model folder.

    Raises:
        DataError: it cannot be written; the old one is as it was.
    """
    with replacing_file(folder / SEEN) as fresh:
        save_file({name: torch.from_numpy(getattr(seen, name)) for name in SEEN_NAMES}, fresh)
        shutil.copymode(folder / CONFIG, fresh)  # which nobody else may read as it is
