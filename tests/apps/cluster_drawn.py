"""Pictures whose embeddings one can read: a 1 x 1 PNG at (x, y), and a model that encodes it as just that point."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from likewise.calibration import Calibration, calibrate
from likewise.encoder import Encoded
from likewise.objective.distances import Euclidean


def draw(file: Path, x: int, y: int, number: int = 0) -> str:
    """Writes a picture at (x, y), each 0 to 255, and returns its hash; `number` tells pictures at one place apart."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[[x, y, number]]], dtype=np.uint8)).save(file, format="PNG")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, str]:
    """Path below `folder` -> content hash, for every picture."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() == ".png" and not file.name.startswith(".")
    }


@cache
def calibration() -> Calibration:
    """Of people whose pictures are at most some 10 apart, and who are 100 from one another."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 4)
    points = 100 * np.stack([np.arange(40) % 7, np.arange(40) // 7], axis=1)[labels] + 4 * rng.normal(size=(160, 2))
    return calibrate(points.astype(np.float32), labels, Euclidean())


class PointModel:
    """What `cluster_folder` asks of a model."""

    def __init__(self, *, calibrated: bool = True, fingerprint: str = "f" * 64) -> None:
        self.fingerprint = fingerprint
        self.calibration = calibration() if calibrated else None
        self.encoder = SimpleNamespace(distance_on_cpu=Euclidean, published=None)
        self.encoded: list[str] = []

    def calibrated(self) -> Calibration | None:
        return self.calibration

    def encode_parts(self, items: Any, *, progress: Any = None) -> Encoded:
        rows, kept, problems = list[list[float]](), list[int](), list[tuple[int, str]]()
        for i, item in enumerate(items):
            self.encoded.append(str(item))
            try:
                with Image.open(item) as picture:
                    x, y, _ = picture.convert("RGB").getpixel((0, 0))
            except (OSError, SyntaxError) as error:
                problems.append((i, f"cannot be read: {error}"))
                continue
            rows.append([float(x), float(y)])
            kept.append(i)
        return Encoded(torch.tensor(rows).reshape(-1, 2), np.array(kept, dtype=np.int64), tuple(problems))


NOTHING = (0, 0)


def draw_row(file: Path, *points: tuple[int, int], number: int = 0, flawed: bool = False) -> str:
    """Writes a picture with a part of 1 x 1 pixel at each of `points`, from left to right; `NOTHING` is no part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    row = [[x, y, 255 if flawed else number] for x, y in points]
    Image.fromarray(np.array([row], dtype=np.uint8)).save(file, format="PNG")
    return hashlib.sha256(file.read_bytes()).hexdigest()


class RowModel(PointModel):
    """Finds every pixel of a picture that is not black: each is a part, and a flawed one where it is of full blue."""

    def encode_parts(self, items: Any, *, progress: Any = None) -> Encoded:
        rows, kept, problems = list[list[float]](), list[int](), list[tuple[int, str]]()
        boxes, flaws = list[Any](), list[str | None]()
        for i, item in enumerate(items):
            self.encoded.append(str(item))
            try:
                with Image.open(item) as picture:
                    pixels = np.asarray(picture.convert("RGB"))[0].tolist()
            except (OSError, SyntaxError) as error:
                problems.append((i, f"cannot be read: {error}"))
                continue
            for column, (x, y, number) in enumerate(pixels):
                if (x, y) != NOTHING:
                    rows.append([float(x), float(y)])
                    kept.append(i)
                    boxes.append((column, 0, 1, 1))
                    flaws.append("blurred" if number == 255 else None)
            if progress is not None:
                progress(i + 1, len(items), "encoding")
        embeddings = torch.tensor(rows).reshape(-1, 2)
        return Encoded(embeddings, np.array(kept, dtype=np.int64), tuple(problems), tuple(boxes), tuple(flaws))
