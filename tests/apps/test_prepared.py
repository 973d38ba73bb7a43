"""What cuts pictures out before they are encoded was trained on pictures too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_scenes import scenes

import likewise as lw
from likewise.apps.detect import LearnedBoxes
from likewise.apps.learn import LearnOptions, learn
from likewise.apps.parts import divide
from likewise.apps.prepared import met_by, prepared
from likewise.encoder import PARTS
from likewise.matching import load, overlap


@pytest.fixture
def singles() -> lw.Dataset:
    """Those of the detector's own pictures that show one thing: rings and squares."""
    data = scenes(260)
    one = [i for i in range(len(data)) if len(data.boxes[i]) == 1]
    labels = np.array([int(data.labels[i][0]) for i in one])
    return lw.Dataset(tuple(data.sources[i] for i in one), tuple(data.files[i] for i in one), labels, data.names)


def test_a_prepared_model_has_met_what_its_detector_was_fitted_to(detector: LearnedBoxes, model_folder: Path) -> None:
    seen = detector.model.encoder.seen
    fitted = seen.items[seen.parts <= PARTS.index("valid")]
    found = met_by(str(detector.folder))
    assert 0 < len(fitted) < len(seen)
    assert found.items.tolist() == fitted.tolist()
    model = load(model_folder)
    before = len(model.encoder.seen)
    other = prepared(model, str(detector.folder))
    assert len(other.encoder.seen) == before + len(fitted)
    assert len(model.encoder.seen) == before  # it is a copy
    assert len(met_by(None)) == len(met_by("faces")) == 0


def test_whose_pictures_they_are_a_detector_was_never_told(detector: LearnedBoxes, tmp_path: Path) -> None:
    """Else a promise for people met later would turn into one for a fixed list of them."""
    data = scenes(260)
    people = lw.Dataset(data.sources, data.files, np.arange(260) // 5, tuple(f"person {i}" for i in range(52)))
    parts = divide(people, "identity", 0, met_by(str(detector.folder)))
    seen = parts.seen().joined(met_by(str(detector.folder)))
    alone = divide(people, "identity", 0).named()
    for name, part in parts.named().items():  # divided as without it
        assert part.contents.tolist() == alone[name].contents.tolist()
    for name in ("tune", "test"):
        met = overlap(seen if name == "test" else met_by(str(detector.folder)), parts.named()[name])
        assert met.items > 0  # pictures of these were, and it is told
        assert met.identities == 0
        assert met.unit == "identity"


def test_what_the_detector_was_trained_on_is_no_test_of_what_comes_after(
    detector: LearnedBoxes, singles: lw.Dataset, tmp_path: Path, watcher: Any
) -> None:
    options = LearnOptions(
        backbone="mlp", dim=4, size=16, grey=True, prepare=str(detector.folder), split="item",
        fit=lw.FitOptions(epochs=1, seed=0),
    )  # fmt: skip
    learn(singles, tmp_path / "m", options, watcher=watcher)
    theirs, mine = detector.model.encoder.seen, load(tmp_path / "m").encoder.seen
    trained = theirs.items[theirs.parts == PARTS.index("train")]
    uses = mine.uses(np.intersect1d(trained, singles.contents))
    assert len(uses) > 20
    assert (uses == PARTS.index("train")).all()
