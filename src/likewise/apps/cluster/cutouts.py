"""Which items were cut out of one picture, by their file names: `party-1.png` and `party-2.png` are two people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likewise.errors import UsageError


def pictures_of(files: Sequence[Path], picture_from: str) -> NDArray[np.int64]:
    """(N,) the number of the picture each item was cut out of, -1 for items by themselves.

    Args:
        files: of the items.
        picture_from: a regular expression with one group; files of one folder in whose names it finds the same are of
            one picture. Two cameras may number alike, so those of two folders never are.

    Raises:
        UsageError: the expression is wrong.
    """
    try:
        expression = re.compile(picture_from)
    except re.error as error:
        raise UsageError("--picture-from is a regular expression", f"{picture_from!r}: {error}") from error
    if expression.groups != 1:
        received = f"{picture_from!r}, which has {expression.groups}"
        raise UsageError("--picture-from has one group in parentheses", received, r"Pass for example '(.+)-\d+'.")
    matches = [expression.search(file.name) for file in files]
    found = [
        None if match is None or match[1] is None else (file.parent, match[1])
        for file, match in zip(files, matches, strict=True)
    ]
    number = {picture: i for i, picture in enumerate(dict.fromkeys(found)) if picture is not None}
    return np.array([-1 if picture is None else number[picture] for picture in found], dtype=np.int64)
