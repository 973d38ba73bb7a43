"""The path of a training: the same few items after every epoch, laid out and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.map import Layout
from likewise.apps.map.mapping import Media, media_of
from likewise.apps.map.webpage import Times, page
from likewise.apps.snapshots.animation import Frames, animate
from likewise.apps.snapshots.layouts import METRIC, MIN_DIST, NEIGHBOURS, AlignedLayout, aligned
from likewise.apps.snapshots.recorder import Recorder, Snapshot
from likewise.data import Dataset
from likewise.encoder import Encoder, Head
from likewise.training import History
from likewise.training.targets import targets_for

ANIMATION, PAGE = "path.webp", "path.html"
FEWEST = 2  # items, and snapshots, of which there is a path
BINS = 5  # of equally many items, by which numbers are told apart in colour
HALF = 0.5  # from which a class is said to hold while there are no thresholds, which calibration finds at the end
UNCALIBRATED = f"a class holds from {HALF:.0%} on, as before calibration"
FIGURES = {"precision_at_1": "P@1", "eer": "EER", "loss": "loss"}  # what validation figures are called


@final
@dataclass(frozen=True, eq=False)
class TrainingPath:
    """What the weights of each epoch made of the same items.

    Attributes:
        epochs: (T) how many were done each time, rising; 0 is the start.
        figures: (T) on the validation part; None without one.
        select: name of that figure.
        layout: where the items are each time.
        items: (N) what they are.
        labels: (N,) the class of each, by which it has its colour.
        names: of the classes.
        said: (T, N) place in `texts` of what was said of each.
        texts: what was said of any.
        wrong: (T, N) bool, where that is not so; never of numbers.
        media: what a page shows of the items.
        rule: how what is said was decided, where that is not how the finished model decides; else empty.
    """

    epochs: tuple[int, ...]
    figures: tuple[float | None, ...]
    select: str | None
    layout: AlignedLayout
    items: Dataset
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    said: NDArray[np.int32]
    texts: tuple[str, ...]
    wrong: NDArray[np.bool_]
    media: Media
    rule: str = ""

    def write(self, folder: Path) -> list[Path]:
        """Writes path.webp and path.html; returns both."""
        found = [folder / ANIMATION, folder / PAGE]
        title = f"Path of training: {self.items.origin}"
        times = [self.named(place) for place in range(len(self.epochs))]
        frames = Frames(
            self.layout.points, self.labels, self.names, self.wrong, times, self.figures,
            FIGURES.get(self.select or "", "figure"),
        )  # fmt: skip
        if self.select is None:
            shares = [float(share) for share in self.wrong.mean(axis=1)]
            frames = replace(frames, figures=shares, figure="taken for others", measured="of those shown")
        animate(frames, found[0])
        last = Layout(
            self.layout.points[-1], self.layout.method, self.layout.trustworthiness[-1],
            {"metric": METRIC, "n_neighbors": NEIGHBOURS, "min_dist": MIN_DIST},
        )  # fmt: skip
        moments = Times(
            self.layout.points, times, [self.caption(place) for place in range(len(times))], self.said, self.texts,
            self.wrong,
        )  # fmt: skip
        page(
            last, self.labels, self.names, found[1], items=self.items.files, thumbnails=self.media.thumbnails,
            clips=self.media.clips, title=title, times=moments,
        )  # fmt: skip
        return found

    def named(self, place: int) -> str:
        """What the time at `place` is called: "start", "epoch 3 of 8"."""
        return f"epoch {self.epochs[place]} of {self.epochs[-1]}" if self.epochs[place] else "start"

    def caption(self, place: int) -> str:
        """What there is to know of the time at `place`, in one line."""
        figure, trust = self.figures[place], self.layout.trustworthiness[place]
        wrong, items = int(self.wrong[place].sum()), len(self.labels)
        words = [f"{items:,} items of the validation part", f"{wrong} taken for others, ringed" if wrong else ""]
        if figure is not None and self.select is not None:
            words.append(f"{said_figure(self.select, figure)} on all of it")
        words.append("" if trust is None else f"trustworthiness {trust:.3f}")
        words.append(self.rule)
        return " · ".join(word for word in words if word)


def said_figure(select: str, figure: float) -> str:
    """A validation figure in words: "P@1 98.3%"."""
    return f"{FIGURES.get(select, select)} {figure:.4g}" if select == "loss" else f"{FIGURES[select]} {figure:.1%}"


def path_of(recorder: Recorder, encoder: Encoder, history: History, *, seed: int = 0) -> TrainingPath | None:
    """The path of a training that is over; None where there is nothing to see, of one item or one snapshot."""
    taken = [recorder.taken[epoch] for epoch in sorted(recorder.taken) if epoch <= len(history.epochs)]
    if len(taken) < FEWEST or len(recorder.items) < FEWEST:
        return None
    items = recorder.items
    layout = aligned([snapshot.embeddings for snapshot in taken], seed=seed)
    labels, names = _classes(encoder.head, items)
    told = [_told(encoder.head, items, snapshot) for snapshot in taken]
    texts, said = np.unique(np.array([text for words, _ in told for text in words]), return_inverse=True)
    return TrainingPath(
        tuple(snapshot.epoch for snapshot in taken),
        tuple(snapshot.figure for snapshot in taken),
        history.select,
        layout,
        items,
        labels,
        names,
        said.reshape(len(taken), len(items)).astype(np.int32),
        tuple(texts.tolist()),
        np.stack([wrong for _, wrong in told]),
        media_of(encoder, items),
        UNCALIBRATED if encoder.head is not None and encoder.head.kind == "multilabel" else "",
    )


def write_path(
    recorder: Recorder, encoder: Encoder, history: History, folder: Path, say: Callable[[str], None]
) -> None:
    """Lays out and draws the path of a training that is over; says so where there is nothing to draw."""
    say(f"drawing the path of training: {len(recorder.items):,} items, {len(recorder.taken)} times")
    path = path_of(recorder, encoder, history, seed=recorder.seed)
    if path is None:
        say("no path of the training is drawn: it takes 2 items of the validation part, and 2 snapshots")
    else:
        path.write(folder)


def _classes(head: Head | None, items: Dataset) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """By which items are coloured: labels; of several labels those that hold together; of a number some ranges."""
    if head is None or items.targets is None:
        return items.labels, items.names
    targets = targets_for(head, items).numpy()
    if head.kind == "multilabel":
        texts = [_holding(head, row > 0) for row in targets]
        names, labels = np.unique(np.array(texts), return_inverse=True)
        return labels.astype(np.int64), tuple(names.tolist())
    first = targets[:, 0]
    edges = np.unique(np.quantile(first, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 2:
        return np.zeros(len(items), np.int64), (f"{head.names[0]} {first[0]:.4g}",)
    bins = np.clip(np.searchsorted(edges, first, side="right") - 1, 0, len(edges) - 2)
    return bins, tuple(f"{head.names[0]} {a:.4g} to {b:.4g}" for a, b in pairwise(edges))


def _told(head: Head | None, items: Dataset, snapshot: Snapshot) -> tuple[list[str], NDArray[np.bool_]]:
    """What was said of each item, and whether that is wrong."""
    if head is None:
        labels = items.labels[snapshot.said.numpy()]
        return [f"nearest to {items.names[label]}" for label in labels.tolist()], labels != items.labels
    values, targets = head.answers(snapshot.said).numpy(), targets_for(head, items).numpy()
    if head.kind == "regression":
        return [_numbers(head, row) for row in values], np.zeros(len(items), bool)
    if head.kind == "multilabel":
        holds = values >= HALF
        return [_holding(head, row) for row in holds], (holds != (targets > 0)).any(axis=1)
    best, true = values.argmax(axis=1), targets[:, 0].astype(int) if head.kind == "binary" else targets.argmax(axis=1)
    return [f"{head.names[k]}, {row[k]:.0%}" for k, row in zip(best.tolist(), values, strict=True)], best != true


def _holding(head: Head, holds: NDArray[Any]) -> str:
    return " + ".join(name for name, one in zip(head.names, holds.tolist(), strict=True) if one) or "none"


def _numbers(head: Head, row: NDArray[Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(head.names, row.tolist(), strict=True))
