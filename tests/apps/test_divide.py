"""How `divide` sets parts aside: the data's own test part is never trained on, and what it shows decides the rest."""

import numpy as np
import pytest

from likewise.apps.learn import divide
from likewise.data import Dataset, arrays
from likewise.data.dataset import PairSet


def data(labels, parts=None, groups=None):
    labels = np.asarray(labels)
    return arrays(np.zeros((len(labels), 2, 2), np.uint8), labels, parts=parts, groups=groups)


def identities(part):
    return set(part.labels.tolist())


@pytest.mark.parametrize("by", [None, "item", "identity"])
def test_own_test_part_is_kept_whatever_is_asked(by):
    whole = data(np.tile(np.arange(10), 20), parts=["train"] * 100 + ["test"] * 100)
    parts = divide(whole, by)
    assert sorted(parts.test.files) == sorted(whole.part("test").files)
    trained_on = {f for part in (parts.train, parts.valid, parts.tune) for f in part.files}
    assert not trained_on & set(parts.test.files)
    assert parts.own_test


def test_shared_identities_make_a_fixed_list_and_new_ones_a_sample():
    shared = divide(data(np.tile(np.arange(30), 10), parts=["train"] * 150 + ["test"] * 150))
    assert (shared.by, shared.unit) == ("item", "item")  # 30 identities, and all of them trained on
    new = divide(data(np.repeat(np.arange(40), 5), parts=["train"] * 100 + ["test"] * 100))
    assert (new.by, new.unit) == ("identity", "identity")
    assert not identities(new.train) & identities(new.tune)


def test_groups_are_kept_apart_without_being_asked():
    parts = divide(data(np.tile(np.arange(5), 40), groups=np.repeat(np.arange(20), 10)))
    assert parts.by == "group"
    assert not set(parts.train.groups) & set(parts.test.groups)


def test_pairs_bring_their_own_parts():
    rng = np.random.default_rng(0)
    items = data(np.arange(400))
    names = np.array(["train"] * 100 + ["test"] * 100)
    pairs = PairSet(items, np.arange(0, 400, 2), np.arange(1, 400, 2), rng.random(200) < 0.5, parts=names)
    parts = divide(pairs)
    assert isinstance(parts.test, PairSet)
    assert len(parts.test) == 100
    assert len(parts.train) + len(parts.valid) + len(parts.tune) == 100
    assert parts.unit == "identity"


def test_every_part_of_a_plain_set_is_disjoint():
    whole = data(np.repeat(np.arange(30), 6))
    parts = divide(whole, seed=3)
    assert parts.by == "identity"
    files = [f for part in (parts.train, parts.valid, parts.tune, parts.test) for f in part.files]
    assert sorted(files) == sorted(whole.files)
    assert isinstance(parts.train, Dataset)
