"""From a folder of pictures to a saved model that says "the same" or "not the same", and how sure it is.

    python examples/train_folder.py [FOLDER]

One learns the whole way in one page: split, train, calibrate, measure, save, load, verify. The same from a shell is
`likewise train FOLDER --out people.model` and `likewise verify people.model A B`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from sample_data import folder_from_arguments

import likewise as lw


def main() -> None:
    data = lw.folder(folder_from_arguments())
    print(f"{len(data)} pictures of {data.identities} identities")

    # A fixed list of classes is split by item. From 20 identities on, they are taken for people: the model will meet
    # others than these, so whole people are kept aside for measuring.
    by = "identity" if data.identities >= 20 else "item"
    train, valid, tune, test = data.split(0.6, 0.1, 0.15, 0.15, by=by, seed=0)

    encoder = lw.Encoder("convnet-small", dim=64)
    history = lw.fit(encoder, train, lw.SupCon(), validation=valid, epochs=20, seed=0)
    print(f"trained in {history.seconds:.1f} s; epoch {history.best} was the best")

    # Of the different pairs at most 1 in 100 may pass. For people None: the smallest rate, of 0.1 to 0.0001, that so
    # many people can support.
    model = lw.calibrate(encoder, tune, max_fmr=0.01 if by == "item" else None)
    print(lw.evaluate(model, test))

    folder = Path(tempfile.mkdtemp()) / "example.model"
    model.save(folder)
    print(f"saved as {folder}")

    model = lw.load(folder)
    identity = int(test.labels[0])
    same = test.of_identities([identity]).sources[1]
    other = next(source for source, label in zip(test.sources, test.labels, strict=True) if label != identity)
    for b in (same, other):
        verdict = model.verify(test.sources[0], b)
        answer = "the same" if verdict.same else "not the same"
        print(f"{test.sources[0]} and {b}: {answer}, distance {verdict.distance:.3f}", end=" ")
        print(f"(threshold {verdict.threshold:.3f}), probability {verdict.probability:.1%}")


if __name__ == "__main__":
    main()
