"""Sort photos that show several things each: an album for each thing, and corrections of one of them at a time.

    python examples/albums.py [FOLDER]

One learns what a prepare step is, and that a photo lies in an album for each thing in it; here, three digits a sheet.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sample_data import folder_from_arguments

import likewise as lw
from likewise.apps.cluster import cluster_folder
from likewise.prepare import Finder, Part, register


@register  # so that a model with it can be saved
@dataclass(frozen=True)
class Squares(Finder):
    """Finds the squares a sheet is made of; one that is all of one grey is nothing."""

    kind, one, many = "squares", "a square", "squares"

    def find(self, picture: np.ndarray) -> list[Part]:
        side, wide = picture.shape[:2]
        found = [Part(picture[:, left : left + side], (left, 0, side, side)) for left in range(0, wide, side)]
        return [part for part in found if np.ptp(part.values) > 0]

    def sources(self) -> dict[str, str]:
        return {}  # no files of parameters


def main() -> None:
    train, tune, rest = lw.folder(folder_from_arguments()).split(0.5, 0.2, 0.3, by="item", seed=0)
    encoder = lw.Encoder("convnet-small", dim=64, prepare=Squares())
    lw.fit(encoder, train, lw.SupCon(), epochs=10, seed=0)
    model, root = lw.calibrate(encoder, tune), Path(tempfile.mkdtemp())
    (root / "photos").mkdir()
    side, order = Image.open(str(rest.sources[0])).height, np.random.default_rng(0).permutation(len(rest) // 3 * 3)
    for number, three in enumerate(order.reshape(-1, 3)):
        squares = [Image.open(str(rest.sources[i])).convert("L").resize((side, side)) for i in three]
        Image.fromarray(np.hstack([*squares, np.zeros((side, side), np.uint8)])).save(root / f"photos/{number}.png")
    albums = cluster_folder(model, root / "photos", root / "albums").clusters
    print(f"{len(albums)} albums: {', '.join(f'{album.name} ({len(album.items)})' for album in albums[:5])}, ...")
    one, other = (root / "albums" / album.name for album in albums[:2])
    moved = next(one.iterdir())  # one thing of one photo: what else it shows stays where it is
    moved.rename(other / moved.name)
    again = cluster_folder(model, root / "photos", root / "albums")
    print(f"{again.corrections} correction; {other.name} now has {len(again.clusters[1].items)}, copied {again.copied}")


if __name__ == "__main__":
    main()
