from __future__ import annotations

import numpy as np
import pytest

from likewise.data import PairSet, arrays
from likewise.errors import DataError, UsageError


def pair_set(parts: list[str] | None = None) -> PairSet:
    items = arrays(np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2), range(6))
    return PairSet(
        items,
        np.array([5, 0, 3, 0]),
        np.array([3, 1, 0, 4]),
        np.array([True, False, False, True]),
        None if parts is None else np.array(parts),
    )


def test_a_subset_keeps_only_the_items_its_pairs_use() -> None:
    found = pair_set().subset(np.array([2, 0]))
    assert found.items.files == ("item 0", "item 3", "item 5")
    assert np.array_equal(np.asarray(found.items.sources), np.asarray(pair_set().items.sources)[[0, 3, 5]])
    assert (found.first.tolist(), found.second.tolist(), found.same.tolist()) == ([1, 2], [0, 1], [False, True])
    assert found.first.dtype == found.second.dtype == np.int64


def test_a_subset_of_no_pair_has_no_item() -> None:
    found = pair_set().subset(np.array([], dtype=np.int64))
    assert (len(found), len(found.items)) == (0, 0)


def test_parts_go_with_their_pairs() -> None:
    pairs = pair_set(["train", "test", "test", "train"])
    assert pairs.subset(np.array([3, 1])).parts.tolist() == ["train", "test"]
    test = pairs.part("test")
    assert test.items.files == ("item 0", "item 1", "item 3")
    assert (test.first.tolist(), test.second.tolist()) == ([0, 2], [1, 0])
    assert test.origin == "in memory, its own test part"
    with pytest.raises(UsageError, match="have a part called 'tune'; got test, train"):
        pairs.part("tune")
    with pytest.raises(UsageError, match="got none"):
        pair_set().part("test")
    with pytest.raises(DataError, match="one part for each pair"):
        pair_set(["train"])


def test_pairs_of_readable_items() -> None:
    whole, positions = pair_set().positions(np.array([0, 3, 4, 5]))
    assert whole.tolist() == [True, False, True, True]
    assert positions.tolist() == [[3, 1], [1, 0], [0, 2]]


def test_items_linked_by_same_pairs_are_one_identity() -> None:
    assert pair_set().items.labels.tolist() == [0, 1, 2, 3, 0, 3]  # 5 = 3, 0 = 4


def test_what_the_whole_set_links_stays_linked_in_a_part() -> None:
    """Of 0 = 1, 1 = 2 and 2 != 3 a part without the second pair still knows 0, 1 and 2 for one."""
    items = arrays(np.arange(4 * 4, dtype=np.uint8).reshape(4, 2, 2), range(4))
    pairs = PairSet(items, np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([True, True, False]))
    part = pairs.subset(np.array([0, 2]))
    assert part.items.files == ("item 0", "item 1", "item 2", "item 3")
    assert part.items.labels.tolist() == [0, 0, 0, 3]


def test_given_labels_are_identities_already() -> None:
    items = arrays(np.arange(4 * 4, dtype=np.uint8).reshape(4, 2, 2), ["ada", "ada", "bob", "cem"])
    pairs = PairSet(items, np.array([0, 1]), np.array([2, 3]), np.array([False, True]))
    assert pairs.items.labels.tolist() == [0, 0, 1, 0]  # ada and cem are one, says the second pair


def test_it_shows_itself_in_a_notebook() -> None:
    pairs = PairSet(pair_set().items, np.array([0]), np.array([1]), np.array([True]), origin="<b>.csv")
    assert "1 pairs of 6 items" in pairs._repr_html_()
    assert "&lt;b&gt;.csv" in pairs._repr_html_()
    assert "<tr><td>2</td><td>2</td></tr>" in pair_set()._repr_html_()


def test_it_prints_as_one_line_however_large() -> None:
    data = arrays(np.zeros((3000, 4, 4), np.uint8), np.arange(3000) % 7, origin="people/")
    assert repr(data) == str(data) == "<Dataset people/: 3,000 items of 7 identities>"
    assert repr(pair_set()) == f"<PairSet {pair_set().origin}: 2 same and 2 different pairs>"
