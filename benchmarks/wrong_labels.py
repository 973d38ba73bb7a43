"""How many of the labels that somebody made wrong does `evaluate --errors` suspect, and how many good ones?

    python benchmarks/wrong_labels.py MODEL DATA [--part test] [--seeds 5]

A share of the labels of DATA is replaced: by any other label, or by the one whose items look most alike to the model,
as people mistake them. Precision is the share of suspects that were replaced, recall the share of those replaced that
are suspected; mean over the seeds, and in parentheses the least. With nothing replaced, every suspect is one too many,
unless DATA have wrong labels of their own. Figures do not depend on the machine.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from likewise.apps.classify import TASK, Classifier
from likewise.data import Dataset, open_data
from likewise.matching import load, task_of
from likewise.metrics import Claims, claims_of, doubts, neighbour_claims, retrieval
from likewise.objective.distances import Distance

SHARES = (0.01, 0.02, 0.05, 0.1)


class Compared:
    """What a model that compares makes of items."""

    def __init__(self, model: str, data: Dataset) -> None:
        labelled = load(model).encode_labelled(data)
        self._embeddings, self._distance = labelled.embeddings, load(model).encoder.distance_on_cpu()
        self.labels = np.unique(labelled.labels.numpy(), return_inverse=True)[1]
        self.right = retrieval(self._embeddings, self.labels, self._distance).precision_at_1
        means = torch.stack(
            [self._embeddings[self.labels == label].mean(dim=0) for label in range(self.labels.max() + 1)]
        )
        self.alike = _most_alike(means, self._distance)

    def claims(self, labels: np.ndarray) -> Claims:
        return neighbour_claims(self._embeddings, labels, self._distance)


class Answered:
    """What a model that answers makes of items."""

    def __init__(self, model: str, data: Dataset) -> None:
        classifier = Classifier.load(model)
        given = classifier.outputs_for(data)
        self._values = classifier.answers(given.outputs)
        one = classifier.head.kind == "binary"
        self.labels = given.targets[:, 0].long().numpy() if one else given.targets.argmax(dim=1).numpy()
        self.right = float((self._values.argmax(axis=1) == self.labels).mean())
        means = np.stack([self._values[self.labels == label].mean(axis=0) for label in range(self._values.shape[1])])
        np.fill_diagonal(means, -1)
        self.alike = means.argmax(axis=1)

    def claims(self, labels: np.ndarray) -> Claims:
        return claims_of(self._values, labels)


def _most_alike(means: torch.Tensor, distance: Distance) -> np.ndarray:
    with torch.no_grad():
        far = distance.between(means, means).fill_diagonal_(torch.inf)
    return far.argmin(dim=1).numpy()


def replaced(labels: np.ndarray, share: float, alike: np.ndarray | None, seed: int) -> np.ndarray:
    """A share of the labels replaced by others, or by those that are `alike`."""
    rng, found = np.random.default_rng(seed), labels.copy()
    who = rng.choice(len(labels), round(share * len(labels)), replace=False)
    others = (labels[who] + rng.integers(1, labels.max() + 1, len(who))) % (labels.max() + 1)
    found[who] = others if alike is None else alike[labels[who]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--part")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    data = open_data(options.data)
    data = data if options.part is None else data.part(options.part)
    made = (Answered if task_of(options.model) == TASK else Compared)(options.model, data)
    labels = made.labels
    none = len(doubts(made.claims(labels)).suspects)
    print(f"{options.model} on {data.origin}: {len(labels):,} items, {made.right:.2%} right; {none} suspected as it is")
    for name, alike in (("any other label", None), ("the most alike", made.alike)):
        for share in SHARES:
            precision, recall = [], []
            for seed in range(options.seeds):
                given = replaced(labels, share, alike, seed)
                suspected = np.zeros(len(labels), bool)
                suspected[[suspect.item for suspect in doubts(made.claims(given)).suspects]] = True
                both = (suspected & (given != labels)).sum()
                precision.append(both / max(1, suspected.sum()))
                recall.append(both / (given != labels).sum())
            print(
                f"{share:4.0%} replaced by {name:<16} precision {np.mean(precision):.2f} ({min(precision):.2f}),"
                f" recall {np.mean(recall):.2f} ({min(recall):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
