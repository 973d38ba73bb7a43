from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import numpy as np
import pytest

from likewise.errors import DataError, ModelError, UsageError
from likewise.media.pictures import Pixels
from likewise.prepare import FINDERS, Finder, Part, finder_called, finder_from, parts_of, shown_part
from likewise.prepare.finder import KINDS, unfit


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
    with pytest.raises(UsageError, match=r"faces, faces-cnn, faces-arcface, big tiles; got 'noses'"):
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


def test_parts_and_finders_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Part(np.zeros((1, 1, 1), np.uint8)).flaw = "none"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Tiles().side = 3  # type: ignore[misc]
