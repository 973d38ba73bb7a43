"""Find things in pictures: learn where they are, say what is where, and cut it out for an encoder.

    python examples/detect.py [FOLDER]

FOLDER holds pictures with boxes, else digits on noise are taken. One learns how a detector is made, measured and used.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import likewise as lw
from likewise.apps.detect import evaluate
from likewise.prepare import finder_called

SIDE, DIGIT = 96, 24  # pixels


def scenes(count: int, first: int, last: int) -> lw.BoxSet:
    """Pictures with one to three of some digits on noise, each in a tile of its own."""
    rng, (images, target) = np.random.default_rng(first), (each[first:last] for each in load_digits(return_X_y=True))
    pictures = rng.integers(0, 90, (count, SIDE, SIDE, 1)).astype(np.uint8)
    boxes, labels = list[np.ndarray](), list[np.ndarray]()
    for picture in pictures:
        tiles = rng.permutation(9)[: rng.integers(1, 4)]
        corners = np.stack([tiles % 3, tiles // 3], axis=1) * 32 + rng.integers(0, 9, (len(tiles), 2))
        chosen = rng.integers(0, len(target), len(tiles))
        for (x, y), digit in zip(corners, images[chosen], strict=True):
            place = picture[y : y + DIGIT, x : x + DIGIT, 0]
            place[:] = np.maximum(place, np.kron(digit.reshape(8, 8) * (255 / 16), np.ones((3, 3))))
        boxes.append(np.concatenate([corners, np.full((len(tiles), 2), DIGIT)], axis=1))
        labels.append(target[chosen])
    files, none = tuple(f"scene {i}" for i in range(count)), tuple(np.zeros(len(each), bool) for each in labels)
    return lw.BoxSet(pictures, files, tuple("0123456789"), tuple(boxes), tuple(labels), none, np.full((count, 2), SIDE))


def main() -> None:
    drawn = (scenes(*each) for each in ((640, 0, 1200), (80, 1200, 1500), (80, 1500, 1797)))  # no digit is in two
    train, tune, test = lw.open_boxes(sys.argv[1]).split(0.8, 0.1, 0.1, seed=0) if len(sys.argv) > 1 else drawn
    head = lw.Head("detect", train.names, per_cell=2, stride=16)
    encoder = lw.Encoder("darknet-tiny", head=head, size=SIDE, resize="pad")
    lw.fit(encoder, train, lw.Yolo(), epochs=12, seed=0)
    model, _ = lw.Detector(encoder).calibrated_on(tune)
    report = evaluate(model, test)
    print(f"mAP@0.5 {report.average.map_50.value:.2f} on {report.pictures} pictures")
    (found,) = model.detect([test.sources[0]])
    print("; ".join(f"{one.label} {one.score:.2f} at {one.x:.0f},{one.y:.0f}" for one in found))
    model.save(folder := Path(tempfile.mkdtemp(), "digits.model"))
    parts = finder_called(str(folder)).find(np.asarray(test.sources[0]))  # as `--prepare digits.model` cuts out
    print(f"{len(parts)} cut out: {', '.join(' x '.join(map(str, part.values.shape[:2])) for part in parts)} pixels")


if __name__ == "__main__":
    main()
