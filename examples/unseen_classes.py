"""Classes never seen in training: told one picture of each of them, which of them is a new picture?

    python examples/unseen_classes.py [DATA]

One learns to hold classes out (of the digits, 7, 8 and 9), to measure N-way K-shot accuracy, and to compare ways of
training by it, beside what the bare pixels already know. Seven digits are few to learn from: what the network drops
as unimportant to tell them apart may be what 7, 8 and 9 differ in, and the pixels win. With more classes that turns
round for most of them (docs/objectives.md). Measure on yours.
"""

from __future__ import annotations

import sys

import likewise as lw
from likewise.metrics import few_shot


def main() -> None:
    data = lw.open_data(sys.argv[1] if len(sys.argv) > 1 else "digits")
    seen = round(0.7 * data.identities)
    train = data.of_identities(range(seen))
    unseen = data.of_identities(range(seen, data.identities))
    ways = min(5, unseen.identities)
    print(f"trained on {seen} classes, {data.names[0]} to {data.names[seen - 1]}", end="; ")
    print(f"asked about {unseen.identities}, {data.names[seen]} to {data.names[-1]}")
    print(f"{ways}-way one-shot accuracy; guessing gives {1 / ways:.1%}")

    shape = lw.Pictures.of(unseen.sources)
    pixels = shape.decode(unseen.sources).values.flatten(1).float()
    show("pixels", few_shot(pixels, unseen.labels, lw.Euclidean(), ways=ways, shots=1).accuracy)

    dim = 64
    for name, loss in (
        ("concatenated twins", lw.ConcatenatedTwins(dim)),
        ("contrastive loss", lw.Contrastive()),
        ("class head, cut off", lw.Softmax(dim, classes=seen)),
        ("semi-hard triplets", lw.TripletLoss(margin=0.2)),
        ("SupCon", lw.SupCon()),
    ):
        encoder = lw.Encoder("convnet-small", dim=dim)
        lw.fit(encoder, train, loss, epochs=10, seed=0)
        report = lw.evaluate(encoder, unseen, ways=ways, shots=1)
        assert report.fewshot is not None
        show(name, report.fewshot.accuracy)


def show(name: str, accuracy: float) -> None:
    print(f"{name:<20} {accuracy:.1%}")


if __name__ == "__main__":
    main()
