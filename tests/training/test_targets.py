"""From labels and columns to the head that can learn them, and to what it is to answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likewise.data import Dataset, arrays
from likewise.encoder import Head
from likewise.errors import DataError, UsageError
from likewise.training.targets import head_for, targets_for

LABELS = ["cat", "dog", "cat", "owl", "dog", "cat"]


def labelled(labels: list[str]) -> Dataset:
    return arrays(np.zeros((len(labels), 8, 8), np.uint8), labels)


def with_targets(columns: dict[str, list[float]]) -> Dataset:
    values = np.array(list(columns.values()), np.float32).T
    return replace(labelled(["item"] * len(values)), targets=values, target_names=tuple(columns))


class TestHeadFor:
    def test_labels_are_classes_of_which_one_holds(self) -> None:
        assert head_for(labelled(LABELS)) == Head("multiclass", ("cat", "dog", "owl"))

    def test_classes_that_are_in_another_part_only_are_none(self) -> None:
        assert head_for(labelled(LABELS).subset([0, 1, 4])).names == ("cat", "dog")

    def test_yes_and_no_are_several_at_once_and_other_numbers_how_much(self) -> None:
        assert head_for(with_targets({"wet": [0, 1, 1], "cold": [1, 1, 0]})) == Head("multilabel", ("wet", "cold"))
        found = head_for(with_targets({"age": [10, 20, 60], "size": [0, 1, 1]}))
        assert (found.kind, found.names) == ("regression", ("age", "size"))
        assert found.mean == pytest.approx((30, 2 / 3))
        assert found.std == pytest.approx((np.sqrt(1400 / 3), np.sqrt(2) / 3))

    def test_columns_of_shares_may_be_asked_to_be_classes(self) -> None:
        data = with_targets({"a": [0.25, 1], "b": [0.75, 0]})
        assert head_for(data, "multiclass") == Head("multiclass", ("a", "b"))

    def test_one_class_cannot_be_told_apart(self) -> None:
        with pytest.raises(DataError, match="at least 2 classes; got only cat"):
            head_for(labelled(["cat"] * 3))
        with pytest.raises(DataError, match="no items"):
            head_for(labelled(LABELS).subset([]))

    def test_a_number_that_never_changes_is_nothing_to_learn(self) -> None:
        with pytest.raises(DataError, match="'size', which is always the same"):
            head_for(with_targets({"age": [10, 20, 60], "size": [7, 7, 7]}))

    def test_a_kind_that_these_data_cannot_have(self) -> None:
        with pytest.raises(UsageError, match="learns columns of numbers; got labels"):
            head_for(labelled(LABELS), "regression")
        with pytest.raises(UsageError, match="2 classes apart; got 3"):
            head_for(labelled(LABELS), "binary")
        with pytest.raises(UsageError, match="columns of targets"):
            head_for(with_targets({"wet": [0, 1]}), "binary")


class TestTargetsFor:
    def test_one_hot(self) -> None:
        found = targets_for(Head("multiclass", ("cat", "dog", "owl")), labelled(LABELS))
        for row, label in zip(found.tolist(), LABELS, strict=True):
            assert row == [float(label == name) for name in ("cat", "dog", "owl")]

    def test_places_are_those_of_the_head_whatever_these_data_number(self) -> None:
        data = labelled(["dog", "bee", "dog"]).subset([0, 2])  # "bee" is known here and there is none of it
        found = targets_for(Head("multiclass", ("owl", "dog", "cat")), data)
        assert found.tolist() == [[0, 1, 0], [0, 1, 0]]

    def test_the_second_of_two_is_the_one_that_holds(self) -> None:
        found = targets_for(Head("binary", ("dog", "cat")), labelled(["cat", "dog", "cat"]))
        assert found.tolist() == [[1], [0], [1]]

    def test_columns_by_name_in_the_order_of_the_head(self) -> None:
        data = with_targets({"wet": [0, 1], "age": [7, 9], "cold": [1, 0]})
        assert targets_for(Head("multilabel", ("cold", "wet")), data).tolist() == [[1, 0], [0, 1]]
        assert targets_for(Head("regression", ("age",), (8.0,), (1.0,)), data).tolist() == [[7], [9]]  # not yet scaled

    def test_classes_that_were_not_trained_on_are_named(self) -> None:
        with pytest.raises(DataError, match="trained on: cat, dog; got owl") as caught:
            targets_for(Head("multiclass", ("cat", "dog")), labelled(LABELS))
        assert "\n" not in str(caught.value)
        targets_for(Head("multiclass", ("cat", "dog")), labelled(LABELS).subset([0, 1]))  # no item of it: no matter

    def test_columns_that_are_not_there(self) -> None:
        head = Head("multilabel", ("wet", "cold"))
        with pytest.raises(UsageError, match="no cold, but wet"):
            targets_for(head, with_targets({"wet": [0, 1]}))
        with pytest.raises(UsageError, match="labels, and no columns wet, cold"):
            targets_for(head, labelled(LABELS))
        with pytest.raises(UsageError, match="no labels day and night"):
            targets_for(Head("binary", ("day", "night")), with_targets({"wet": [0, 1]}))


def test_of_many_unknown_classes_it_says_how_many_more() -> None:
    with pytest.raises(DataError) as refused:
        targets_for(Head("multiclass", ("cat", "dog")), labelled([f"c{i}" for i in range(8)]))
    assert "got c0, c1, c2, c3, c4 and 3 more. Leave them out" in str(refused.value)
