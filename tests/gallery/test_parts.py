"""Galleries of models that look for parts of pictures: one is enrolled, all are identified, and frames vote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gallery_tiles import DARK, SIDE, Tiles

import likewise as lw
from likewise.calibration import Calibration, ProbabilityCurve, Threshold
from likewise.encoder import Encoder, Pictures
from likewise.metrics.estimate import Estimate
from likewise.prepare import finder

PEOPLE = ["ada", "bob", "eve"]
Look = Callable[..., np.ndarray]


@pytest.fixture
def look() -> Look:
    """A row of tiles: names of people, each with a little noise, "dark ada", or "" for nothing."""

    def draw(*names: str, seed: int = 0) -> np.ndarray:
        rng, tiles = np.random.default_rng(seed), list[np.ndarray]()
        for name in names:
            who = name.removeprefix("dark ")
            pattern = np.random.default_rng(list(who.encode())).integers(80, 240, (SIDE, SIDE)) if who else 0
            noisy = np.clip(pattern + rng.integers(-4, 5, (SIDE, SIDE)), 1, 255) if who else np.zeros((SIDE, SIDE))
            tiles.append(noisy // 4 if who != name else noisy)
        return np.concatenate(tiles, axis=1).astype(np.uint8)

    return draw


@pytest.fixture
def gallery(tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> Iterator[lw.Gallery]:
    """Nobody is in it; its model takes up to 0.5 for the same and up to 0.6 for unsure, where others are 0.9 away."""
    monkeypatch.setitem(finder.KINDS, "tiles", ("gallery_tiles", "Tiles"))
    pictures = [look(name, seed=seed) for name in PEOPLE for seed in range(5)]
    encoder = Encoder("mlp", 16, preprocessing=Pictures.of(pictures, prepare=Tiles()), seed=0)
    far = encoder.distance_on_cpu().between(*[lw.Model(encoder).encode([look(n) for n in PEOPLE]).embeddings] * 2)
    near = float(far[far > 0.01].min())  # between two people
    lines = tuple(
        Threshold(fmr, share * near, Estimate(fmr, 0, 1), Estimate(0.1, 0, 1), True)
        for fmr, share in ((0.01, 0.6), (0.001, 0.5))
    )
    calibration = Calibration(
        lines, 0.001, ProbabilityCurve((0.0, near), (4.0, -4.0)), None, "identity", 10, 5, 10, 40, 5, 0
    )
    owned = replace(calibration, model=lw.Model(encoder).fingerprint)
    with lw.Gallery.open(tmp_path / "a.gallery", lw.Model(encoder, owned)) as opened:
        yield opened


class TestEnrol:
    @pytest.mark.parametrize(
        ("tiles", "why"),
        [
            (["", ""], "no tile was found"),
            (["ada", "bob"], "2 tiles were found, and one is needed"),
            (["ada", "dark bob"], "2 tiles were found, and one is needed"),
            (["dark ada"], DARK),
        ],
    )
    def test_takes_one_good_part_and_nothing_else(
        self, gallery: lw.Gallery, look: Look, tiles: list[str], why: str
    ) -> None:
        with pytest.raises(lw.DataError, match=f"item 0: {why}"):
            gallery.enrol("ada", look(*tiles))
        assert gallery.names() == {}
        done = gallery.enrol("ada", [look("ada"), look(*tiles), look("", "ada", seed=1)])
        assert [file for file, _ in done.added] == ["item 0", "item 2"]
        assert done.skipped == (("item 1", why),)

    def test_what_is_skipped_comes_in_its_order(self, gallery: lw.Gallery, look: Look, tmp_path: Path) -> None:
        gallery.enrol("bob", look("bob"))
        (tmp_path / "broken.png").write_text("no picture")
        given = [look("", ""), look("bob"), tmp_path / "broken.png", look("ada", "bob"), look("ada"), look("dark ada")]
        done = gallery.enrol("ada", given)
        assert [file for file, _ in done.added] == ["item 4"]
        assert [file for file, _ in done.skipped] == [
            "item 0", "item 1", str(tmp_path / "broken.png"), "item 3", "item 5",
        ]  # fmt: skip

    def test_what_is_encoded_is_the_part(self, gallery: lw.Gallery, look: Look) -> None:
        gallery.enrol("ada", look("", "", "ada"))
        (probe,) = gallery.identify(look("ada"))
        assert probe.decision.matches[0].distance == pytest.approx(0, abs=1e-5)


class TestIdentify:
    def test_every_part_is_a_probe_with_its_box(self, gallery: lw.Gallery, look: Look) -> None:
        gallery.enrol("ada", [look("ada", seed=seed) for seed in range(3)])
        gallery.enrol("bob", [look("bob", seed=seed) for seed in range(3)])
        found = gallery.identify([look("ada", seed=9), look("bob", "", "ada", "eve", seed=8)])
        assert [probe.file for probe in found] == ["item 0"] + ["item 1"] * 3
        by_box = {(probe.file, probe.box): probe.decision for probe in found}
        assert {place: (one.outcome, one.name) for place, one in by_box.items()} == {
            ("item 0", (0, 0, 8, 8)): ("known", "ada"),
            ("item 1", (0, 0, 8, 8)): ("known", "bob"),
            ("item 1", (16, 0, 8, 8)): ("known", "ada"),
            ("item 1", (24, 0, 8, 8)): ("unknown", None),
        }
        assert found.empty == found.skipped == ()
        assert not found.all_known
        assert "item 1 at 16,0: ada" in str(found)

    def test_files_keep_their_order(self, gallery: lw.Gallery, look: Look, tmp_path: Path) -> None:
        gallery.enrol("ada", look("ada"))
        (tmp_path / "broken.png").write_text("no picture")
        found = gallery.identify([look(""), look("ada", "eve"), tmp_path / "broken.png", look("", ""), look("ada")])
        assert found.files == ("item 0", "item 1", "item 3", "item 4")
        assert {file: [probe.box[0] for probe in probes] for file, probes in found.by_file().items()} == {
            "item 0": [], "item 1": [probe.box[0] for probe in found if probe.file == "item 1"], "item 3": [],
            "item 4": [0],
        }  # fmt: skip
        assert [line.split(":")[0].split(" at ")[0] for line in str(found).splitlines()] == [
            "item 0", "item 1", "item 1", "item 3", "item 4",
        ]  # fmt: skip

    def test_pictures_of_nothing_are_told(self, gallery: lw.Gallery, look: Look, tmp_path: Path) -> None:
        gallery.enrol("ada", look("ada"))
        (tmp_path / "broken.png").write_text("no picture")
        found = gallery.identify([look("", ""), look("ada"), tmp_path / "broken.png", look("")])
        assert [probe.file for probe in found] == ["item 1"]
        assert found.empty == ("item 0", "item 3")
        assert [file for file, _ in found.skipped] == [str(tmp_path / "broken.png")]
        assert not found.all_known
        assert found.as_dict()["empty"] == ["item 0", "item 3"]
        nothing = gallery.identify(look("", ""))  # could be read, so it is an answer
        assert (nothing.probes, nothing.empty, nothing.all_known) == ((), ("item 0",), False)
        assert str(nothing) == "item 0: nothing was found"
        assert gallery.identify(look("ada")).all_known

    @pytest.mark.parametrize("rule", ["vote", "mean"])
    def test_a_poor_part_is_never_called_by_a_name(self, gallery: lw.Gallery, look: Look, rule: str) -> None:
        gallery.enrol("ada", [look("ada", seed=seed) for seed in range(3)])

        def poor(items: object) -> object:
            encoded = gallery.model.encode_parts(items)
            return replace(encoded, flaws=(DARK,) * len(encoded.kept))

        (good,) = gallery.identify(look("ada"), rule=rule)
        assert (good.decision.outcome, good.decision.name, good.flaw) == ("known", "ada", None)
        with lw.Gallery.open(gallery.uri, encode=poor) as other:  # to whom the same picture is a poor one
            (probe,) = other.identify(look("ada"), rule=rule)
            (stranger,) = other.identify(look("eve"), rule=rule)
        assert (probe.decision.outcome, probe.decision.name, probe.flaw) == ("unsure", "ada", DARK)
        assert probe.decision.matches == good.decision.matches
        assert f"unsure, perhaps ada ({DARK}; ada " in str(probe)
        assert (stranger.decision.outcome, stranger.decision.name, stranger.flaw) == ("unknown", None, DARK)
        (dark,) = gallery.identify(look("dark ada"), rule=rule)
        assert dark.flaw == DARK
        assert dark.decision.outcome != "known"


class TestVerify:
    @pytest.fixture(autouse=True)
    def enrolled(self, gallery: lw.Gallery, look: Look) -> None:
        for name in ("ada", "bob"):
            gallery.enrol(name, [look(name, seed=seed) for seed in range(3)])

    @pytest.mark.parametrize(
        ("frames", "said"),
        [
            (["ada"], ["same"]),
            (["eve"], ["different"]),
            (["ada", "ada"], ["same", "same"]),
            (["ada", "eve"], ["same", "different"]),
            (["ada", "eve", "ada"], ["same", "different", "same"]),
            (["eve", "ada", "eve"], ["different", "same", "different"]),
            (["eve", "dark ada", "ada", "ada"], ["different", "unfit", "same", "same"]),
            (["", "ada"], ["unfit", "same"]),
        ],
    )
    def test_frames_vote_in_their_order(
        self, gallery: lw.Gallery, look: Look, frames: list[str], said: list[str]
    ) -> None:
        claim = gallery.verify([look(name, seed=20 + i) for i, name in enumerate(frames)], "ada")
        assert [frame.said for frame in claim.frames] == said
        assert [frame.file for frame in claim.frames] == [f"item {i}" for i in range(len(frames))]
        good = sorted(frame.distance for frame in claim.frames if frame.distance is not None)
        assert claim.same == (2 * said.count("same") > len(good))
        assert claim.said == ("same" if claim.same else "different")
        assert claim.distance == good[len(good) // 2]
        assert claim.records == 3

    def test_unfit_frames_say_why_and_have_no_vote(self, gallery: lw.Gallery, look: Look, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_text("no picture")
        given = [look("ada", "bob"), tmp_path / "broken.png", look("ada", seed=9), look("", ""), look("dark ada")]
        claim = gallery.verify(given, "ada")
        assert claim.same
        assert [frame.said for frame in claim.frames] == ["unfit", "unfit", "same", "unfit", "unfit"]
        problems = [frame.problem for frame in claim.frames]
        assert problems[0] == "2 tiles were found, and one is needed"
        assert "broken.png" in str(problems[1])
        assert problems[2:] == [None, "no tile was found", DARK]
        assert claim.frames[2].box == (0, 0, 8, 8)
        assert claim == gallery.verify(given, "ada")
        alone = gallery.verify(given[2], "ada")
        assert alone.distance == pytest.approx(claim.distance, rel=1e-4)

    def test_nothing_but_unfit_frames_is_no_yes(self, gallery: lw.Gallery, look: Look) -> None:
        claim = gallery.verify([look("", ""), look("dark ada"), look("ada", "bob")], "ada")
        assert (claim.same, claim.said, claim.distance, claim.probability) == (False, "unfit", None, None)
        assert str(claim).startswith("ada: unfit, item 0: no tile was found; item 1: too dark; item 2: 2 tiles")
        with pytest.raises(lw.DataError, match="'nobody'"):  # an unknown name comes first
            gallery.verify(look("", ""), "nobody")


def test_originals_are_kept_whole_and_encoded_again(gallery: lw.Gallery, look: Look) -> None:
    gallery.enrol("ada", look("", "ada"), keep_originals=True)
    encoder = gallery.model.encoder
    other = lw.Model(Encoder("mlp", 12, preprocessing=encoder.ready(), seed=5))
    assert gallery.rebuild(other) == 1
    (block,) = gallery.records(originals=True)
    expected = other.encode([look("ada")]).embeddings.numpy()
    np.testing.assert_allclose(block.embeddings, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (["ada", "bob"], "2 tiles were found, and one is needed"),
        (["dark ada"], DARK),
        (["", ""], "no tile was found"),
    ],
)
def test_a_rebuild_enters_nothing_that_enrolling_refuses(
    gallery: lw.Gallery, look: Look, tmp_path: Path, shown: list[str], why: str
) -> None:
    whole = lw.Model(Encoder("mlp", 12, preprocessing=Pictures(1, SIDE, 2 * SIDE), seed=5))
    with lw.Gallery.open(tmp_path / "whole.gallery", whole) as other:
        other.enrol("bob", look("bob"), keep_originals=True)
        ((_, id),) = other.enrol("ada", look(*shown), keep_originals=True).added
        before = [block.embeddings for block in other.records()]
        with pytest.raises(lw.DataError, match=f"record {id} of 'ada'.*{why}"):
            other.rebuild(gallery.model)
        assert other.fingerprint == whole.fingerprint
        np.testing.assert_array_equal([block.embeddings for block in other.records()], before)
        other.forget(id=id)
        assert other.rebuild(gallery.model) == 1
        assert other.identify(look("bob", seed=1)).probes[0].decision.name == "bob"


def test_no_gallery_is_made_that_cannot_be_opened_again(
    gallery: lw.Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gallery.model
    monkeypatch.delitem(finder.KINDS, "tiles")
    with pytest.raises(lw.UsageError, match=r"can be loaded again; got Tiles.*`likewise\.prepare\.register`"):
        lw.Gallery.open(tmp_path / "b.gallery", model)
    assert not (tmp_path / "b.gallery").exists()
    finder.register(Tiles)
    lw.Gallery.open(tmp_path / "b.gallery", model).close()
    with lw.Gallery.open(tmp_path / "b.gallery") as again:
        assert again.model.encoder.ready().prepare == Tiles()
