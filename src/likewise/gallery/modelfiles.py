"""The copy of a model that a gallery keeps: its folder without the report, which shows pictures of other people."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from likewise.encoder.files import NETWORK, PARAMETERS
from likewise.errors import ModelError
from likewise.matching import Model, load
from likewise.matching.folder import CALIBRATION, CARD, CONFIG, GOLDEN
from likewise.prepare import PARAMETERS as FOUND_BY

KEPT = (CONFIG, PARAMETERS, NETWORK, FOUND_BY, GOLDEN, CALIBRATION, CARD)


def files_of(model: Model, folder: Path | None = None) -> dict[str, bytes]:
    """Name -> content of each file to keep.

    Args:
        model: loaded, or made here.
        folder: where it was loaded from; None if it was made here.
    """
    with tempfile.TemporaryDirectory(prefix="likewise-") as temporary:
        if folder is None:
            folder = Path(temporary, "likewise.model")
            model.save(folder)
        return {name: (folder / name).read_bytes() for name in KEPT if (folder / name).is_file()}


def model_from(files: Mapping[str, bytes]) -> Model:
    """The model in these files, checked as one in a folder is.

    Raises:
        ModelError: a file is missing or damaged, or this machine's libraries give other embeddings.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="likewise-") as temporary:
            for name in KEPT:  # no others: names from outside are no paths to write to
                if name in files:
                    Path(temporary, name).write_bytes(files[name])
            return load(temporary)
    except OSError as error:
        raise ModelError("A gallery's model is unpacked to be loaded", error, "Check the temporary folder.") from error
