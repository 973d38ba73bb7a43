"""Which class, with a probability that can be believed; and several classes at once, which a softmax refuses.

    python examples/classify.py [FOLDER]

One learns what a head is, why outputs are divided by a temperature, and that two things at once need sigmoids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sample_data import folder_from_arguments

import likewise as lw
from likewise.apps.classify import Classifier, evaluate
from likewise.data import Dataset
from likewise.encoder import Head
from likewise.media.pictures import read_picture
from likewise.objective import Multiclass, Multilabel
from likewise.training.targets import head_for


def which(data: Dataset) -> None:
    """One of the classes."""
    train, valid, tune, test = data.split(0.6, 0.1, 0.15, 0.15, seed=0)
    encoder = lw.Encoder("convnet-small", head=head_for(train))
    lw.fit(encoder, train, Multiclass(), validation=valid, epochs=8, seed=0)
    model, _ = Classifier(encoder).calibrated_on(tune)
    (answer,) = model.classify([test.sources[0]])
    print(f"{answer.file}: {answer.label}, probability {answer.probability:.1%}")
    figures = evaluate(model, test).figures
    print(f"one of {len(data.names)}: {figures['accuracy']:.1%} right, calibration error {figures['ece']:.1%}")


def two_at_once(data: Dataset) -> None:
    """Pairs of pictures side by side: both of their classes hold."""
    pictures = np.stack([read_picture(Path(str(source)), mode="L")[..., 0] for source in data.sources])
    first, second = np.random.default_rng(1).integers(0, len(data), (2, 1500))
    both = np.concatenate([pictures[first], pictures[second]], axis=2)
    targets = np.zeros((len(both), len(data.names)), np.float32)
    targets[np.arange(len(both)), data.labels[first]] = targets[np.arange(len(both)), data.labels[second]] = 1
    files = tuple(map(str, range(len(both))))
    pairs = Dataset(both, files, np.zeros(len(both), int), ("pair",), targets=targets, target_names=data.names)
    train, test = pairs.split(0.8, 0.2, seed=0)
    try:
        lw.fit(lw.Encoder(head=Head("multiclass", data.names)), train, Multiclass(), epochs=1)
    except lw.DataError as error:
        print(f"a softmax: {error}")
    encoder = lw.Encoder("convnet-small", head=head_for(train))
    lw.fit(encoder, train, Multilabel(), epochs=12, seed=0)
    print(f"two at once: {evaluate(Classifier(encoder), test).figures['accuracy']:.1%} of pairs wholly right")


if __name__ == "__main__":
    labelled = lw.folder(folder_from_arguments())
    which(labelled)
    two_at_once(labelled)
