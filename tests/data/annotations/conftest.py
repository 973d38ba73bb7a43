import numpy as np
import pytest
from PIL import Image

ORIENTATION = 0x0112


@pytest.fixture
def picture(tmp_path):
    """Saves a picture of a colour of its own below `tmp_path`."""
    saved = iter(range(1, 256))

    def save(name, width=60, height=40, orientation=None):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if orientation:
            exif[ORIENTATION] = orientation
        colour = np.full((height, width, 3), next(saved), np.uint8)
        Image.fromarray(colour).save(file, exif=exif)
        return file

    return save


@pytest.fixture
def write(tmp_path):
    """Writes text, or bytes, below `tmp_path`."""

    def save(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return save
