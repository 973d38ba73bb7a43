"""What an encoder remembers of its data."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.encoder import PARTS, Encoder, Pictures, Seen
from likewise.encoder.seen import NOBODY


def seen(part: str, *pairs: tuple[int, int]) -> Seen:
    items, identities = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Seen.of(part, items, identities)


def table(found: Seen) -> list[tuple[int, str, int]]:
    return [(int(i), PARTS[p], int(w)) for i, p, w in zip(found.items, found.parts, found.identities, strict=True)]


def test_an_encoder_begins_with_nothing() -> None:
    encoder = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
    assert len(encoder.seen) == 0
    assert encoder.seen.rows(np.array([3, 4])).tolist() == [-1, -1]
    assert encoder.seen.trained_identities().tolist() == []


def test_items_stand_in_order_and_once() -> None:
    assert table(seen("tune", (7, 1), (-2, 2), (7, 1))) == [(-2, "tune", 2), (7, "tune", 1)]


def test_of_several_uses_the_hardest_stays() -> None:
    found = seen("test", (1, 10), (2, 20), (3, 30)).joined(
        seen("train", (2, 21), (4, 40)), seen("tune", (2, 22), (3, 31))
    )
    assert table(found) == [(1, "test", 10), (2, "train", 21), (3, "tune", 31), (4, "train", 40)]


def test_of_equal_uses_the_first_names_the_identity() -> None:
    assert table(seen("train", (1, 10)).joined(seen("train", (1, 11)))) == [(1, "train", 10)]


def test_identities_are_trained_if_an_item_is() -> None:
    found = seen("train", (1, 10), (2, 20)).joined(seen("test", (3, 20), (4, 30)))
    assert found.trained_identities().tolist() == [10, 20]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 3)), max_size=40),
    st.lists(st.integers(-25, 25), max_size=20),
)
def test_rows_are_where_an_item_stands(uses: list[tuple[int, int]], asked: list[int]) -> None:
    found = Seen().joined(*(seen(PARTS[part], (item, 5)) for item, part in uses))
    hardest = {item: min(p for i, p in uses if i == item) for item, _ in uses}
    for item, row in zip(asked, found.rows(np.array(asked, dtype=np.int64)).tolist(), strict=True):
        assert (row >= 0) == (item in hardest)
        if row >= 0:
            assert (found.items[row], found.parts[row]) == (item, hardest[item])


def test_what_was_met_of_nobody_tells_of_no_identity() -> None:
    found = seen("train", (1, 10)).joined(seen("train", (2, NOBODY)), seen("valid", (3, NOBODY)))
    assert found.trained_identities().tolist() == [10]
    assert found.uses(np.array([3, 2, 1, 0])).tolist() == [1, 0, 0, -1]
    assert table(found.told_apart()) == [(1, "train", 10)]
