"""Words that were never trained on: enrolled with three clips each, then recognised.

    python examples/words.py words/

`words/` has a sub-folder per word. One learns that sounds go the way of pictures, that half of the words are enough to
learn what "the same word" means, and that a new word is enrolled without training.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import likewise as lw


def main(words: lw.Dataset) -> None:
    known, new = words.split(0.5, 0.5, by="identity", seed=0)
    train, tune = known.split(0.7, 0.3, seed=0)
    print(f"trained on {known.identities} words: {', '.join(words.names[i] for i in np.unique(known.labels))}")
    encoder = lw.Encoder("convnet-small", dim=64)
    lw.fit(encoder, train, lw.SupCon(), augment="speech", epochs=12, seed=0)
    model = lw.calibrate(encoder, tune, max_fmr=0.1, unit="item")  # among these words; calibrate on others for more

    right = asked = 0
    with lw.Gallery.open(Path(tempfile.mkdtemp(), "words.gallery"), model) as gallery:
        rest: list[tuple[str, list[Path]]] = []
        for label in np.unique(new.labels):
            clips = [new.sources[i] for i in np.flatnonzero(new.labels == label)]
            clips = [clips[i] for i in np.random.default_rng(0).permutation(len(clips))]
            gallery.enrol(new.names[label], clips[:3])
            rest.append((new.names[label], clips[3:]))
        for name, probes in rest:
            found = [probe.decision.matches[0].name for probe in gallery.identify(probes, k=1).probes]
            right, asked = right + found.count(name), asked + len(found)
            print(f"{name}: {found.count(name)} of {len(found)} clips are nearest to it")
    print(f"{right / asked:.1%} of {asked} clips, of {new.identities} words never trained on")


if __name__ == "__main__":
    main(lw.folder(sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)))
