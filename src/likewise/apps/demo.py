"""The whole way on data everybody can have: train, calibrate, measure, map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from likewise.apps.learn import Learned, LearnOptions, learn
from likewise.apps.map import Drawn, MapOptions, draw_labelled
from likewise.apps.training import Watcher
from likewise.data import Dataset, PairSet, open_data
from likewise.errors import DataError, UsageError
from likewise.evaluation import Report
from likewise.training import FitOptions

SMALL = 10_000  # items; fewer are gone through more often


@final
@dataclass(frozen=True)
class Shown:
    """What the demo made.

    Attributes:
        learned: model and figures.
        report: its figures on the test part.
        drawn: the map, as a picture and as a page.
    """

    learned: Learned
    report: Report
    drawn: Drawn

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise demo --json`."""
        learned = self.learned.as_dict()
        return {
            **self.report.as_dict(),
            **learned,
            "files": [*learned["files"], *map(str, self.drawn.files)],
            "trustworthiness": self.drawn.layout.trustworthiness,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The figures and where to look, as text."""
        return [*self.learned.rows(), *(("look at", str(file)) for file in self.drawn.files)]


def run(data: str, out: Path, *, seed: int = 0, watcher: Watcher) -> Shown:
    """Trains on `data` with a recipe that suits small pictures, and leaves model, report and map in `out`.

    Where MNIST cannot be had, scikit-learn's digits take its place, and that is said.

    Raises:
        UsageError, DataError: as `learn`.
        KeyboardInterrupt: Ctrl-C; in training, after which nothing is saved.
    """
    try:
        labelled = open_data(data)
    except DataError as error:
        if data != "mnist":
            raise
        watcher.say(f"MNIST cannot be had here, so scikit-learn's digits are used instead. {error}")
        labelled = open_data("digits")
    if isinstance(labelled, PairSet):
        raise UsageError("The demo draws a map of labelled items", "a pairs file", "Use `likewise train` for pairs.")
    learned = learn(labelled, out / "model", recipe(labelled, seed), resumable=False, watcher=watcher)
    if not isinstance(learned.report, Report):
        raise DataError(
            "The demo draws the test part", "too little of it could be read", "Look at likewise data check."
        )
    watcher.say("drawing the map")
    files = [out / "map.png", out / "map.html"]
    drawn = draw_labelled(learned.model.encoder, learned.report.labelled, files, MapOptions(seed=seed))
    return Shown(learned, learned.report, drawn)


def recipe(data: Dataset, seed: int) -> LearnOptions:
    """Options for small pictures: enough epochs for small sets, few for large ones."""
    epochs = 4 if len(data) > SMALL else 30
    return LearnOptions(loss="supcon", dim=64, fit=FitOptions(epochs=epochs, lr=3e-3, augment="jitter", seed=seed))
