"""Day or night, from webcam photos: a simple rule first, then a network, both tried on cameras they never saw.

    python examples/day_night.py FOLDER    # day-night of the real data, or any folder of two classes

One learns to ask for a baseline before training, and to keep all pictures of one camera on one side of the split.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import likewise as lw
from likewise.media.pictures import read_picture
from likewise.metrics.classification import share_right


def looked_at(data: lw.Dataset) -> tuple[lw.Dataset, dict[str, np.ndarray]]:
    """The data with the size of a picture as its camera, as nothing else tells; and two brightnesses of each."""
    pictures = [read_picture(Path(str(source)), mode="L")[..., 0] / 255 for source in data.sources]
    sizes, cameras = np.unique(["{1} x {0}".format(*picture.shape) for picture in pictures], return_inverse=True)
    upper = np.array([picture[: len(picture) // 2].mean() for picture in pictures])
    brightness = {"whole picture": np.array([picture.mean() for picture in pictures]), "upper half": upper}
    return replace(data, groups=cameras, group_names=tuple(map(str, sizes))), brightness


def threshold(values: np.ndarray, bright: np.ndarray) -> float:
    """The middle of all thresholds that are right most often."""
    cuts = np.convolve(np.sort(values), [0.5, 0.5], "valid")
    right = ((values[:, None] > cuts) == bright[:, None]).sum(axis=0)
    return float(cuts[right == right.max()].mean())


def main() -> None:
    """Leaves out one camera after the other."""
    data, brightness = looked_at(lw.folder(sys.argv[1]))
    bright = data.labels == np.argmax([brightness["upper half"][data.labels == k].mean() for k in (0, 1)])
    right = {name: np.zeros(len(data), bool) for name in [*brightness, "network"]}
    for camera in range(len(data.group_names)):
        held = data.groups == camera
        for name, values in brightness.items():
            right[name][held] = (values[held] > threshold(values[~held], bright[~held])) == bright[held]
        train, test = data.subset(np.flatnonzero(~held)), data.subset(np.flatnonzero(held))
        encoder = lw.Encoder("convnet-small", head=lw.head_for(train), size=64)
        history = lw.fit(encoder, train, lw.Multiclass(), augment="photo", epochs=20, seed=0)
        said = [answer.label for answer in lw.Classifier(encoder).classify(test.sources)]
        right["network"][held] = np.array(said) == np.array(data.names)[test.labels]
        print(f"{data.group_names[camera]}: of {len(test)}", {name: int(n[held].sum()) for name, n in right.items()})
    for name, each in right.items():
        share = share_right(each, data.groups)  # the sample are cameras, not pictures
        print(f"{name}: {share.value:.1%} of {len(data)} right ({share.low:.1%} to {share.high:.1%})")
    print(f"one network took {history.seconds:.0f} s to train")


if __name__ == "__main__":
    main()
