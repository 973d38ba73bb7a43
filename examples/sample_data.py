"""What the examples run on when they are given nothing: scikit-learn's digits, as a folder of folders.

One learns from it what Likewise takes: a sub-folder per identity, and pictures in it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits


def folder_from_arguments() -> Path:
    """The folder named on the command line, or a temporary one with 1,797 digits: `0/0000.png`, `1/0001.png`, ..."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    root = Path(tempfile.mkdtemp(prefix="digits-"))
    digits = load_digits()
    for number, (picture, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / str(digit)
        folder.mkdir(exist_ok=True)
        Image.fromarray((picture * (255 / 16)).round().astype("uint8")).save(folder / f"{number:04}.png")
    print(f"No folder given, so the digits of scikit-learn were written to {root}")
    return root
