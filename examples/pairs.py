"""Learning from pairs: no names, only "these two are the same" and "these two are not".

    python examples/pairs.py [PAIRS.csv]

One learns the pairs file (columns a, b and same), and the three Siamese networks on it: contrastive loss, a distance
layer with one sigmoid unit, and concatenated twins. The last learn so few pairs by heart, and are no better than
guessing on new ones; they need the many pairs that can be made where labels are known.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from sample_data import folder_from_arguments

import likewise as lw


def main() -> None:
    pairs = lw.pairs_file(sys.argv[1] if len(sys.argv) > 1 else write_pairs(folder_from_arguments()))
    print(f"{len(pairs)} pairs of {len(pairs.items)} pictures, {pairs.same.mean():.0%} of them the same")

    # Pairs that share a picture stay in one part, so that no picture of the test pairs was seen in training.
    train, valid, tune, test = pairs.split(0.6, 0.1, 0.15, 0.15, seed=0)
    dim = 32
    for name, loss in (
        ("contrastive loss", lw.Contrastive(margin=1.0)),
        ("weighted distance and a sigmoid", lw.BinaryCrossEntropy(lw.WeightedL1(dim))),
        ("concatenated twins", lw.ConcatenatedTwins(dim)),
    ):
        encoder = lw.Encoder("convnet-small", dim=dim)
        lw.fit(encoder, train, loss, validation=valid, epochs=20, seed=0)
        model = lw.calibrate(encoder, tune)
        report = lw.evaluate(model, test)
        line = model.calibrated().threshold_for()
        print(f"{name}: EER {report.verification.eer.value:.2%} on pairs of pictures never seen,", end=" ")
        print(f"{line.fnmr.value:.2%} of the same pairs refused at a false match rate of {line.promised:g}")


def write_pairs(folder: Path) -> Path:
    """A pairs file in `folder`: every picture in one pair, half of the pairs the same."""
    rng = np.random.default_rng(0)
    files = {who: rng.permutation(sorted(who.glob("*.png"))).tolist() for who in sorted(folder.iterdir())}
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["a", "b", "same"])
        while len(left := [who for who in files if len(files[who]) >= 3]) > 1:
            one, other = (left[i] for i in rng.choice(len(left), 2, replace=False))
            table.writerow([files[one].pop().relative_to(folder), files[one].pop().relative_to(folder), 1])
            table.writerow([files[one].pop().relative_to(folder), files[other].pop().relative_to(folder), 0])
    return folder / "pairs.csv"


if __name__ == "__main__":
    main()
