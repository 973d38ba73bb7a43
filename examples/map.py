"""See what a model has learned: its embeddings on a map, before and after training.

    python examples/map.py [DATA]

One learns to draw maps as a picture and as a page to walk through, and what the trustworthiness beside them says. The
same from a shell: `likewise map MODEL DATA -o map.html`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import likewise as lw


def main() -> None:
    data = lw.open_data(sys.argv[1] if len(sys.argv) > 1 else "digits")
    train, valid, test = data.split(0.5, 0.1, 0.4, by="item", seed=0)
    out = Path(tempfile.mkdtemp())

    untrained = lw.Encoder("convnet-small", dim=64, preprocessing=lw.Pictures.of(train.sources))
    draw(untrained, test, out / "before.png")

    trained = lw.Encoder("convnet-small", dim=64)
    lw.fit(trained, train, lw.SupCon(), validation=valid, epochs=15, seed=0)
    draw(trained, test, out / "after.png")
    draw(trained, test, out / "after.html")


def draw(encoder: lw.Encoder, data: lw.Dataset, file: Path) -> None:
    drawn = lw.draw_map(lw.Model(encoder), data, file)
    print(f"{len(drawn.layout.points)} items, trustworthiness {drawn.layout.trustworthiness:.3f}: {file}")


if __name__ == "__main__":
    main()
