"""How good is a model? All figures on pictures it has not seen, and where it fails.

    python examples/evaluate_model.py [MODEL DATA]

One learns to read the report: neighbours (P@1, MAP@R), the two errors of a threshold (EER, FNMR at FMR) with their
intervals, what is taken for what, and the hardest pairs as pictures.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import likewise as lw


def main() -> None:
    encoder, test = (lw.load(sys.argv[1]), lw.open_data(sys.argv[2])) if len(sys.argv) > 2 else made_up()
    report = lw.evaluate(encoder, test)
    print(report)

    eer = report.verification.eer
    print(f"\nAt one threshold {eer.value:.1%} of the same pairs are refused and as many of the different accepted;")
    print(f"on other data of this kind it would be {eer.low:.1%} to {eer.high:.1%}.")

    names = report.labelled.data.names
    for confusion in report.confusions[:5]:
        print(f"{names[confusion.identity]} is taken for {names[confusion.taken_for]}:", end=" ")
        print(f"{confusion.items} of its items ({confusion.share:.0%})")

    for file in report.write(Path(tempfile.mkdtemp())):
        print(f"look at {file}")


def made_up() -> tuple[lw.Encoder, lw.Dataset]:
    train, valid, test = lw.open_data("digits").split(0.5, 0.1, 0.4, by="item", seed=0)
    encoder = lw.Encoder("convnet-small", dim=64)
    lw.fit(encoder, train, lw.ArcFace(dim=64, classes=10), validation=valid, epochs=10, seed=0)
    return encoder, test


if __name__ == "__main__":
    main()
