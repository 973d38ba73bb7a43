"""What to collect next: sentences of cases drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from likewise.apps.mistakes import Finding, Judged
from likewise.apps.mistakes.collect import advice, sources_of
from likewise.data import arrays
from likewise.encoder import Pictures

Kind = tuple[str, str, str, int, int]  # label, what is said where it is wrong, camera, items, mistakes


def judged(kinds: list[Kind], suspected: int = 0, *, grouped: bool = False) -> Judged:
    """A classifier's answers; the first `suspected` mistakes are suspected labels."""
    rows = [(label, said, camera, i < wrong) for label, said, camera, items, wrong in kinds for i in range(items)]
    labels, said, cameras, wrong = (list(column) for column in zip(*rows, strict=True))
    data = arrays(np.zeros((len(rows), 4, 4), np.uint8), labels, groups=cameras if grouped else None, origin="drawn")
    mistakes = [
        Finding("mistake", (i,), labels[i], said[i], 0.9, None, "", (labels[i], said[i]))
        for i in np.flatnonzero(wrong).tolist()
    ]
    doubted = [
        Finding("suspected label", finding.items, finding.label, finding.said, 0.9, None, "")
        for finding in mistakes[:suspected]
    ]
    return Judged(
        task="answer", data=data, how=Pictures(1, 4, 4), trained_on=np.zeros(len(rows), bool), skipped=(),
        asked="answers are wrong", of=data.labels, names=data.names, item=np.arange(len(rows)),
        wrong=np.array(wrong, bool), mistakes=tuple(mistakes), suspects=tuple(doubted),
        suggested=tuple(("label", finding.said) for finding in doubted),
    )  # fmt: skip


# Of night 12 of 30 go wrong, 11 of them at the harbour; of day 1 of 60.
TOWN: list[Kind] = [
    ("night", "day", "harbour", 20, 11), ("night", "dusk", "market", 10, 1), ("day", "night", "harbour", 10, 0),
    ("day", "night", "market", 50, 1), ("dusk", "day", "market", 30, 0),
]  # fmt: skip


def advised(found: Judged) -> tuple[str, ...]:
    return advice(found, *sources_of(found))


def test_the_worst_comes_first_in_a_sentence_that_says_all() -> None:
    (only,) = advised(judged(TOWN))  # what goes wrong less than the others needs no more items
    assert only.startswith("night: 12 of 13 mistakes (92%), with 40.00% (95%: ")
    assert "of its 30 items wrong, 36.0 times the rate of all others." in only
    assert "Mostly taken for day (11), dusk (1)." in only
    assert "More than chance (p = " in only
    assert only.endswith("collect more items of night next, such as those that go wrong.")


def test_groups_are_ranked_beside_labels() -> None:
    first, second = advised(judged(TOWN, grouped=True))
    assert first.startswith("Group harbour: 11 of 13 mistakes (85%), with 36.67% (95%: ")
    assert "Mostly night as day (11)." in first
    assert first.endswith("collect more items of group harbour next, such as those that go wrong.")
    # Night is from two cameras, of which one has nearly all: with others it might be anything.
    assert second.startswith("night: 12 of 13 mistakes (92%), with 40.00% (95%: ")
    assert second.endswith(
        "but its items are of only 2 groups, and those of one go wrong together: it takes 5 to tell."
    )


@pytest.mark.parametrize(
    ("cameras", "end"),
    [
        (1, "but its items are of only 1 group, and those of one go wrong together: it takes 5 to tell."),
        (4, "but its items are of only 4 groups, and those of one go wrong together: it takes 5 to tell."),
        (5, "collect more items of night next, such as those that go wrong."),
    ],
)
def test_few_cameras_show_nothing_however_many_items(cameras: int, end: str) -> None:
    """Everything they take at night goes wrong, and nothing by day."""
    night: list[Kind] = [("night", "day", f"c{i}", 40 // cameras, 40 // cameras) for i in range(cameras)]
    day: list[Kind] = [("day", "night", f"c{i}", 40, 0) for i in range(cameras)]
    found = judged([*night, *day], grouped=True)
    (sentence,) = (s for s in advised(found) if s.startswith("night: "))
    assert sentence.endswith(end)
    (origin,) = (s.origin for s in sources_of(found)[0] if s.name == "night")
    assert origin.samples == cameras
    assert origin.chance < 1e-9


def test_five_cameras_of_which_one_has_nearly_all_need_not_be_more_than_chance() -> None:
    night: list[Kind] = [("night", "day", f"c{i}", 20, 20 if i == 0 else 0) for i in range(5)]
    found = judged([*night, ("day", "night", "c0", 300, 12)], grouped=True)
    (sentence,) = (s for s in advised(found) if s.startswith("night: "))
    assert sentence.endswith("but items that belong together go wrong together: it need not be.")


def test_chance_is_that_of_an_exact_test_over_all_labels() -> None:
    labels, groups = sources_of(judged(TOWN, grouped=True))
    assert labels[0].origin.chance == pytest.approx(3 * hypergeom.sf(11, 120, 13, 30))
    assert groups[0].origin.chance == pytest.approx(2 * hypergeom.sf(10, 120, 13, 30))
    assert (groups[0].taken, groups[1].taken) == (
        (("night as day", 11),), (("night as dusk", 1), ("day as night", 1))
    )  # fmt: skip


def test_mistakes_all_over_are_called_chance() -> None:
    first, *others = advised(judged([(name, "x", "c", 40, 4) for name in ("a", "b", "c")] + [("x", "a", "c", 40, 5)]))
    assert first.startswith("No label and no group goes wrong more often than chance would have it")
    assert len(others) == 1
    assert others[0].startswith("x: 5 of 17 mistakes (29%)")
    assert "No more than chance may give (p = 1)." in others[0]


def test_suspected_labels_come_first_and_are_counted_where_they_are() -> None:
    first, second = advised(judged(TOWN, suspected=9))
    assert first == (
        "Look at the 9 suspected labels first: 9 of 13 mistakes may be due to them and not to the model. Correct"
        " relabel.csv, train with it, and come back."
    )
    assert "9 of them may be wrong labels. More than chance (p = " in second
    assert second.endswith("but look at its labels before collecting more.")


def test_nothing_wrong() -> None:
    assert advised(judged([("a", "b", "c", 5, 0), ("b", "a", "c", 5, 0)])) == (
        "There is no mistake that would say what to collect.",
    )


def test_intervals_of_labels_take_cameras_for_the_sample() -> None:
    alone = judged(
        [(name, "b", f"{name}{i}", 10, 10 * (i == 0)) for name in ("a", "b") for i in range(6)], grouped=True
    )
    one = sources_of(alone)[0][0].origin.rate
    assert one.value == pytest.approx(1 / 6)
    assert one.high - one.low > 0.4  # of 60 items one by one it would be 0.19
