"""A model whose makers published a distance and that nobody calibrated: names by that line, and no door opens by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import likewise as lw
from likewise.encoder import Encoder, Pictures

NEAR, FAR = 0.9, 1.1  # of the published distance, from what is enrolled


def flat(grey: int) -> np.ndarray:
    return np.full((4, 4), grey, np.uint8)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[lw.Gallery]:
    """Ada is of grey 100; grey 120 is as far from her as is published."""
    encoder = Encoder("mlp", 8, preprocessing=Pictures(1, 4, 4), seed=0)
    plain = lw.Model(encoder)
    encoder.published = plain.distance(flat(100), flat(120))
    with lw.Gallery.open(tmp_path / "a.gallery", plain) as opened:
        opened.enrol("ada", flat(100))
        yield opened


def test_both_lines_are_the_published_distance_and_it_is_said(gallery: lw.Gallery) -> None:
    published = gallery.model.encoder.published
    assert published is not None
    for lines in (gallery.lines(), gallery.lines("mean"), gallery.identify(flat(100)).lines):
        assert (lines.strict, lines.loose, lines.source) == (published, published, "published")
        assert (lines.fpir, lines.fpir_loose) == (None, None)
        assert f"the {published:g} that the makers of the model published" in lines.in_words()
        assert "is not known" in lines.in_words()


@pytest.mark.parametrize("rule", ["vote", "mean"])
def test_names_end_where_it_ends(gallery: lw.Gallery, rule: str) -> None:
    published = gallery.model.encoder.published
    seen = {"known": list[float](), "unknown": list[float]()}
    for probe, grey in zip(
        gallery.identify([flat(grey) for grey in range(60, 181)], rule=rule), range(60, 181), strict=True
    ):
        assert probe.decision.name == ("ada" if probe.decision.outcome == "known" else None)
        seen[probe.decision.outcome].append(gallery.model.distance(flat(100), flat(grey)))
    assert NEAR * published < max(seen["known"]) <= published * 1.0001
    assert published * 0.9999 <= min(seen["unknown"]) < FAR * published


def test_it_lets_nobody_in(gallery: lw.Gallery) -> None:
    with pytest.raises(lw.ModelError, match="once it or its model is calibrated"):
        gallery.verify(flat(100), "ada")
    with pytest.raises(lw.ModelError, match="never calibrated"):
        gallery.verify(flat(100), "ada", fmr=0.01)
