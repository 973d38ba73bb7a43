"""What a model met, kept beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from likewise.encoder import Seen
from likewise.matching.folder import read_seen, save_seen


def test_keys_that_lie_as_far_apart_as_can_be(model_folder: Path, tmp_path: Path) -> None:
    """The difference of two 64-bit numbers may need 65."""
    copy = tmp_path / "model"
    shutil.copytree(model_folder, copy)
    items = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
    save_seen(Seen.of("train", items, items), copy)
    assert (read_seen(copy).items == items).all()
