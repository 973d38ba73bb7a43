"""Names that a token may not list are in no answer to it."""

from __future__ import annotations

import pytest

from likewise.errors import DataError, StoreError
from likewise.gallery import Enrolled
from likewise.server.discreet import hints_withheld, unnamed


def test_pictures_of_others_are_left_out_without_their_names() -> None:
    done = Enrolled(
        "ada", (("a.jpg", 1),), (), (("b.jpg", "the same content is enrolled as 'grace'"), ("c.jpg", "bad"))
    )
    shown = unnamed(done)
    assert "grace" not in str(shown.as_dict())
    assert shown.skipped[1] == ("c.jpg", "bad")
    assert (shown.name, shown.added) == (done.name, done.added)


def test_hints_are_withheld_and_what_is_about_the_place_is_not() -> None:
    with pytest.raises(DataError) as raised, hints_withheld(False):
        raise DataError("A name that is asked for is enrolled", "'eda'", "Perhaps 'ada'?")
    assert str(raised.value) == "A name that is asked for is enrolled; got 'eda'."
    with pytest.raises(DataError, match="Perhaps 'ada'"), hints_withheld(True):
        raise DataError("A name that is asked for is enrolled", "'eda'", "Perhaps 'ada'?")
    with pytest.raises(StoreError, match="Make space"), hints_withheld(False):
        raise StoreError("A gallery can be written", "a full disk", "Make space.")
