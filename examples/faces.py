"""Find, recognise and verify faces with a pretrained network, and know what the answer is worth.

    python examples/faces.py FOLDER

FOLDER has a sub-folder of photos per person: at least eight people. It takes `pip install "likewise[faces]"`.
One learns how a threshold is set on some people and kept with others, what a door says, and what is said of no face.
With ten people to calibrate on, one wrong match in ten is all that can be promised, and a door that lets in
somebody with another's card says so: bring more people. From a shell: `likewise calibrate`, `enrol`, `identify`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import likewise as lw


def main() -> None:
    people = lw.folder(sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__))
    tune, members = people.split(0.5, 0.5, by="identity", seed=0)
    model = lw.calibrate(lw.load("dlib-face-128").encoder, tune, seed=0)
    line = model.calibrated().threshold_for()
    print(f"threshold {line.threshold:.3f} for FMR {line.promised:g}, from {tune.identities} people")

    photos = {
        members.names[label]: [members.sources[i] for i in np.flatnonzero(members.labels == label)]
        for label in np.unique(members.labels)
    }
    ada, bob, *_ = photos
    with lw.Gallery.open(Path(tempfile.mkdtemp(), "door.gallery"), model) as gallery:
        for name, files in photos.items():
            gallery.enrol(name, files[: len(files) // 2])
        print("at the door:", gallery.verify(photos[ada][-3:], ada))
        print("with another's card:", gallery.verify(photos[bob][-3:], ada))
        print("nobody there:", gallery.verify(np.full((200, 200, 3), 90, np.uint8), ada))
        rest = [(name, file) for name, files in photos.items() for file in files[len(files) // 2 :]]
        found = gallery.identify([file for _, file in rest])
        told = {probe.file: probe.decision for probe in found}
        right = sum(told[str(file)].name == name for name, file in rest if str(file) in told)
        print(f"of {len(rest)} photos that were not enrolled, {right} have the right name; {found.lines.in_words()}")


if __name__ == "__main__":
    main()
