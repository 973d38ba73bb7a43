"""Names in pictures: short, on one line, and told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from likewise.evaluation.names import elided, fit, printable, shortened


def test_what_fits_stays_whole() -> None:
    assert shortened(["ada", "x" * 20], 20) == ["ada", "x" * 20]


def test_names_in_folders_keep_their_ends() -> None:
    found = shortened(["Early_Aramaic/character06", "Early_Aramaic/character10", "Greek/character06"], 20)
    assert found == ["…Aramaic/character06", "…Aramaic/character10", "Greek/character06"]


def test_names_with_the_same_end_keep_as_much_of_the_beginning_as_it_takes() -> None:
    end = "/a-very-long-common-ending"
    assert shortened([f"ada{end}", f"bea{end}"], 10) == ["a…n-ending", "b…n-ending"]
    assert shortened([f"ada{end}", f"adb{end}"], 10) == ["ada…ending", "adb…ending"]


def test_names_without_a_beginning_or_end_of_their_own_are_shortened_all_the_same() -> None:
    assert shortened([f"{'x' * 30}{n}{'x' * 30}" for n in range(2)], 10) == ["…xxxxxxxxx"] * 2


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.integers(1, 25))
def test_all_are_short_and_as_different_as_their_ends(names: list[str], longest: int) -> None:
    found = shortened(names, longest)
    assert len(found) == len(names)
    assert all(len(name) <= longest and name.isprintable() for name in found)
    assert len(set(found)) >= len({elided(printable(name), 0, longest) for name in names})


@pytest.mark.parametrize("head", [0, 4, 9])
def test_an_elision_shows_beginning_and_end(head: int) -> None:
    found = elided("0123456789abcdef", head, 10)
    assert found == "0123456789abcdef"[:head] + "…" + "0123456789abcdef"[16 - (9 - head) :]
    assert len(found) == 10


@pytest.mark.parametrize("text", ["W" * 40, "i" * 10, ""])
def test_a_text_is_made_to_fit_its_room(text: str) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    drawn = figure.text(0, 0, text, size=12)
    before = drawn.get_window_extent().width
    fit(drawn, 100)
    assert drawn.get_window_extent().width <= 100
    assert (drawn.get_fontsize() == 12) == (before <= 100)
