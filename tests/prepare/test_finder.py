from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from likewise.errors import DataError, ModelError, UsageError
from likewise.media.pictures import Pixels
from likewise.prepare import (
    FINDERS,
    Finder,
    Part,
    check_kept,
    finder_called,
    finder_from,
    parts_of,
    register,
    shown_part,
    sole_part,
    unfit,
)
from likewise.prepare.finder import KINDS


@dataclass(frozen=True)
class Tiles(Finder):
    """The tiles of a picture, from left to right."""

    kind: ClassVar[str] = "tiles"
    one: ClassVar[str] = "tile"
    many: ClassVar[str] = "tiles"

    side: int = 4
    digest: str = "1234"

    def find(self, picture: Pixels) -> list[Part]:
        return [
            Part(picture[: self.side, left : left + self.side], (left, 0, self.side, self.side))
            for left in range(0, picture.shape[1] - self.side + 1, self.side)
        ]

    def sources(self) -> dict[str, str]:
        return {"tiles.dat": self.digest}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "tiles", (__name__, "Tiles"))
    monkeypatch.setitem(FINDERS, "big tiles", ("tiles", {"side": 8}))


def test_a_finder_is_called_by_name_with_its_options():
    assert finder_called("big tiles") == Tiles(side=8)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"faces-arcface, big tiles, or the folder of a detector; got 'noses'"):
        finder_called("noses")


def test_a_finder_comes_back_from_json():
    finder = Tiles(side=5)
    assert finder_from(json.loads(json.dumps(finder.as_dict()))) == finder


def test_what_describes_a_finder_is_left_as_it_was():
    described = Tiles().as_dict()
    before = dict(described)
    finder_from(described)
    assert described == before


@pytest.mark.parametrize(
    "change",
    [{"kind": "noses"}, {"kind": None}, {"corners": 3}, {"sources": ...}],
    ids=["kind", "none", "option", "sources"],
)
def test_a_description_of_another_version_is_a_model_error(change: dict[str, object]):
    described = {k: v for k, v in {**Tiles().as_dict(), **change}.items() if v is not ...}
    with pytest.raises(ModelError, match="one this version knows"):
        finder_from(described)


def test_other_parameters_than_the_model_was_made_with_are_refused():
    with pytest.raises(ModelError, match=r"other parameters of tiles\.dat"):
        finder_from({**Tiles().as_dict(), "sources": {"tiles.dat": "5678"}})


def test_without_a_finder_the_picture_is_its_own_part():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 12, 1)
    (part,) = parts_of(picture, None, 4, 12, "squash")
    assert (part.values == picture).all()
    assert (part.box, part.flaw) == (None, None)


def test_parts_come_in_order_at_the_size_asked_for():
    picture = np.repeat(np.array([10, 20, 30], np.uint8), 4)[None, :, None].repeat(4, axis=0)
    parts = parts_of(picture, Tiles(), 6, 2, "squash")
    assert [part.values.shape for part in parts] == [(6, 2, 1)] * 3
    assert [int(part.values.max()) for part in parts] == [10, 20, 30]
    assert [part.box for part in parts] == [(0, 0, 4, 4), (4, 0, 4, 4), (8, 0, 4, 4)]


def test_parts_of_the_right_size_are_not_touched():
    part = Part(np.zeros((4, 4, 3), np.uint8), (1, 2, 4, 4), "too green")

    class One(Tiles):
        def find(self, picture: Pixels) -> list[Part]:
            return [part]

    assert parts_of(np.zeros((9, 9, 3), np.uint8), One(), 4, 4, "pad")[0] is part
    (resized,) = parts_of(np.zeros((9, 9, 3), np.uint8), One(), 2, 2, "pad")
    assert (resized.box, resized.flaw) == (part.box, part.flaw)


def test_the_most_prominent_part_is_shown_and_none_is_an_error():
    parts = parts_of(np.zeros((4, 8, 1), np.uint8), Tiles(), 4, 4, "squash")
    assert shown_part(parts, Tiles(), "a.png") is parts[0]
    with pytest.raises(DataError, match=r"at least one tile; got a\.png, in which none was found"):
        shown_part([], Tiles(), "a.png")


def test_only_one_part_without_a_flaw_is_fit():
    assert unfit([None], Tiles()) is None
    assert unfit(["too green"], Tiles()) == "too green"
    assert unfit([], Tiles()) == "no tile was found"
    assert unfit([None, None], Tiles()) == "2 tiles were found, and one is needed"


def test_a_labelled_picture_has_one_part_and_a_good_one():
    good, poor = Part(np.zeros((4, 4, 1), np.uint8)), Part(np.zeros((4, 4, 1), np.uint8), flaw="too green")
    assert sole_part([good], Tiles(), "a.png") is good
    for parts, why in (([poor], "too green"), ([good, poor], "2 tiles were found"), ([], "no tile was found")):
        with pytest.raises(DataError, match=rf"shows one tile, and shows it well; got a\.png: {why}"):
            sole_part(parts, Tiles(), "a.png")


def test_a_finder_of_ones_own_is_registered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(KINDS, "tiles")
    described = Tiles().as_dict()
    with pytest.raises(ModelError, match="import the module that registers it"):
        finder_from(described)
    with pytest.raises(UsageError, match=r"can be loaded again; got Tiles\(.*`likewise\.prepare\.register`"):
        check_kept(Tiles())
    assert register(Tiles) is Tiles
    register(Tiles)  # as a module that is loaded again does
    check_kept(Tiles())
    assert finder_from(described) == Tiles()

    class Others(Tiles):
        pass

    with pytest.raises(UsageError, match="'tiles', which is that of"):
        register(Others)
    assert finder_from(described) == Tiles()


def test_what_does_not_come_back_as_it_was_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    @dataclass(frozen=True)
    class Inner(Tiles):
        kind: ClassVar[str] = "inner"

    monkeypatch.setattr("likewise.prepare.finder.KINDS", dict(KINDS))
    register(Inner)  # inside a function, where nobody can import it from
    with pytest.raises(UsageError, match="can be loaded again"):
        check_kept(Inner())
    with pytest.raises(UsageError, match="can be loaded again"):
        check_kept(Tiles(digest=b"1234"))  # type: ignore[arg-type]
    check_kept(Tiles(side=7))


def test_an_installed_package_names_its_finders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own-1.0.dist-info").mkdir()
    (tmp_path / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (tmp_path / "own-1.0.dist-info" / "entry_points.txt").write_text(f"[likewise.finders]\ntiles = {__name__}:Tiles\n")
    monkeypatch.delitem(KINDS, "tiles")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert finder_from(Tiles(side=6).as_dict()) == Tiles(side=6)
    check_kept(Tiles())


def test_what_only_searches_leaves_what_is_cut_as_it_is():
    @dataclass(frozen=True)
    class Searching(Tiles):
        kind: ClassVar[str] = "searching"
        searching: ClassVar[frozenset[str]] = frozenset(["digest"])

    assert Searching().cuts_like(Searching(digest="5"))
    assert not Searching().cuts_like(Searching(side=5))
    assert not Searching().cuts_like(Tiles())
    assert not Searching().cuts_like(None)


def test_parts_and_finders_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Part(np.zeros((1, 1, 1), np.uint8)).flaw = "none"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Tiles().side = 3  # type: ignore[misc]
