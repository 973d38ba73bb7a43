"""What a model was trained on decides what other data are a sample of, and what a calibration may promise."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from likewise.apps.learn import Learned
from likewise.data import Dataset, PairSet, arrays
from likewise.encoder import Encoder, Pictures, Seen
from likewise.errors import DataError, NamesakeWarning, SupportError
from likewise.matching import calibrate, default_unit, overlap, used_for
from likewise.objective import Contrastive, SupCon
from likewise.training import fit

Crowd = Callable[..., Dataset]

FIFTEEN = [f"p{i}" for i in range(15)]
OTHERS = [f"q{i}" for i in range(12)]


@pytest.fixture(scope="module")
def of_fifteen(crowd: Crowd) -> tuple[Encoder, tuple[Dataset, ...]]:
    """An encoder of fifteen people, all of them in every part, and the parts."""
    parts = crowd(FIFTEEN, 40).split(0.4, 0.2, 0.4, by="item")
    encoder = Encoder("mlp", 8)
    fit(encoder, parts[0], SupCon(), validation=parts[1], epochs=3, precision="float32")
    return encoder, parts


def together(*sets: Dataset) -> Dataset:
    """A set of its own, with the items of all."""
    names = [data.names[label] for data in sets for label in data.labels]
    return arrays(np.concatenate([data.sources for data in sets]), names, origin="a crowd")


class TestOverlap:
    def test_every_item_has_the_use_it_had(self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]]) -> None:
        encoder, (train, valid, rest) = of_fifteen
        for part, place in ((train, 0), (valid, 1), (rest, -1)):
            found = overlap(encoder.seen, part)
            assert (found.parts == place).all()
            assert found.known.all()  # all fifteen were trained on
        assert overlap(encoder.seen, train).said() == f"{len(train):,} of {len(train):,} items"
        assert overlap(encoder.seen, rest).said() == ""

    def test_strangers_are_new(self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]], crowd: Crowd) -> None:
        found = overlap(of_fifteen[0].seen, crowd(OTHERS))
        assert (found.items, found.identities, found.unit, found.said()) == (0, 0, "identity", "")

    def test_somebody_is_known_by_a_picture_whatever_the_name(
        self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]], crowd: Crowd
    ) -> None:
        encoder, (_, valid, _) = of_fifteen
        ada = valid.of_identities([3])  # validated on; the identity was trained on
        strangers = crowd(OTHERS)
        data = arrays(np.concatenate([strangers.sources, ada.sources[:1]]), [*np.repeat(OTHERS, 8), "someone"])
        found = overlap(encoder.seen, data)
        assert [data.names[label] for label in found.labels[found.known]] == ["someone"]
        assert found.said() == "1 of 13 identities"

    @pytest.mark.parametrize("numbered", [False, True])
    def test_nobody_is_known_by_name(
        self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]], crowd: Crowd, numbered: bool
    ) -> None:
        """As in Omniglot, whose alphabets all begin with character01."""
        encoder, (train, _, _) = of_fifteen
        others = crowd(OTHERS, 12)
        if numbered:
            encoder = Encoder("mlp", 8)
            fit(encoder, arrays(train.sources, train.labels), SupCon(), epochs=1, precision="float32")
        others = arrays(others.sources, others.labels if numbered else np.array(FIFTEEN)[others.labels])
        found = overlap(encoder.seen, others)
        assert (found.identities, found.namesakes, found.unit) == (0, 12, "identity")
        with pytest.warns(NamesakeWarning, match="12 of 12 identities have names of some that were trained on"):
            assert default_unit(encoder, others) == "identity"
        with pytest.warns(NamesakeWarning), pytest.raises(SupportError, match="66 pairs of 12 identities"):
            calibrate(encoder, others, 1e-3)  # which needs 3,000
        with pytest.warns(NamesakeWarning):
            assert calibrate(encoder, others).calibrated().identities == 12  # nobody is left out

    def test_who_says_what_names_mean_is_not_told(
        self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]], crowd: Crowd
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", NamesakeWarning)
            again = crowd(FIFTEEN, 10, seed=3)
            assert calibrate(of_fifteen[0], again, 1e-2, unit="item").calibrated().unit == "item"
            assert default_unit(of_fifteen[0], crowd(OTHERS)) == "identity"

    def test_parts_of_one_whole_are_of_the_same_people(self, crowd: Crowd) -> None:
        """Also those that the encoder never met, and of data opened anew."""
        encoder = Encoder("mlp", 4)
        fit(encoder, crowd(FIFTEEN, 20).split(0.5, 0.5, seed=2)[0], SupCon(), epochs=1, precision="float32")
        rest = crowd(FIFTEEN, 20).split(0.5, 0.5, seed=2)[1]
        found = overlap(encoder.seen, rest)
        assert (found.parts < 0).all()
        assert (found.identities, found.namesakes, found.unit) == (15, 0, "item")

    def test_training_that_goes_on_forgets_nobody(self, crowd: Crowd) -> None:
        encoder = Encoder("mlp", 4)
        for names in (["ada", "bob"], ["cem", "dan"]):
            fit(encoder, crowd(names), SupCon(), epochs=1, precision="float32")
        found = overlap(encoder.seen, together(crowd(["ada", "bob"]), crowd(["cem", "dan"]), crowd(["eve"])))
        assert found.known.tolist() == [True, True, True, True, False]

    def test_an_encoder_that_remembers_nothing_reads_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: object) -> None:
            raise AssertionError("read")

        monkeypatch.setattr("likewise.data.dataset.content_keys", refuse)
        data = arrays(np.zeros((3, 2, 2), np.uint8), [0, 1, 1])
        assert overlap(Seen(), data).unit == "identity"

    def test_parts_are_found_by_their_use(self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]]) -> None:
        encoder, (train, valid, _) = of_fifteen
        both = arrays(np.concatenate([valid.sources, train.sources]), np.r_[valid.labels, train.labels])
        found = used_for(encoder.seen, both, "valid")
        assert np.array_equal(found.sources, valid.sources)
        assert found.origin == "arrays, its valid part in training"


class TestUnit:
    """A list of identities is fixed where nearly all of them were trained on; otherwise they are a sample."""

    def test_ten_digits_in_every_part_are_a_fixed_list(self, learned: Learned) -> None:
        assert default_unit(learned.model.encoder, learned.parts.tune) == "item"
        assert calibrate(learned.model.encoder, learned.parts.tune).calibrated().unit == "item"

    def test_where_nothing_is_remembered_identities_are_a_sample(self, learned: Learned) -> None:
        fresh = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        assert default_unit(fresh, learned.parts.tune) == "identity"
        assert calibrate(fresh, learned.parts.tune).calibrated().unit == "identity"
        assert calibrate(fresh, learned.parts.tune, unit="item").calibrated().unit == "item"

    @pytest.mark.parametrize(("new", "unit"), [(0, "item"), (1, "item"), (2, "identity"), (19, "identity")])
    def test_nearly_all(self, crowd: Crowd, new: int, unit: str) -> None:
        known = [f"p{i}" for i in range(20)]
        encoder = Encoder("mlp", 4)
        fit(encoder, met := crowd(known, 2), SupCon(), epochs=1, precision="float32")
        data = met.of_identities(range(new, 20))
        data = together(data, crowd([f"q{i}" for i in range(new)], 2)) if new else data
        assert default_unit(encoder, data) == unit

    def test_other_people_are_no_list_because_the_model_was_trained_by_item(
        self, of_fifteen: tuple[Encoder, tuple[Dataset, ...]], crowd: Crowd
    ) -> None:
        """Twelve strangers with twelve pictures each: 66 pairs of people, where 1e-3 needs 3,000."""
        others = crowd(OTHERS, 12)
        with pytest.raises(SupportError, match="66 pairs of 12 identities"):
            calibrate(of_fifteen[0], others, 1e-3)
        assert calibrate(of_fifteen[0], others).calibrated().unit == "identity"

    def test_those_trained_on_are_left_out_of_a_sample(self, crowd: Crowd) -> None:
        encoder = Encoder("mlp", 8)
        fit(encoder, crowd(FIFTEEN), SupCon(), epochs=1, precision="float32")
        some = together(crowd(FIFTEEN).of_identities(range(3)), crowd(OTHERS))
        found = calibrate(encoder, some).calibrated()
        assert (found.unit, found.identities, found.items) == ("identity", 12, 96)
        assert found.data == "a crowd, without 3 of 15 identities, which were trained on"
        told = calibrate(encoder, some, unit="identity").calibrated()
        assert told.identities == 15  # who says it, knows it

    def test_where_too_few_are_new_it_says_so(self, crowd: Crowd) -> None:
        encoder = Encoder("mlp", 8)
        fit(encoder, crowd(FIFTEEN), SupCon(), epochs=1, precision="float32")
        with pytest.raises(DataError, match="not trained on; got 9 of 10 were"):
            calibrate(encoder, together(crowd(FIFTEEN).of_identities(range(9)), crowd(["new"])))


def pairs_of(data: Dataset, count: int, *, named: bool, seed: int = 0) -> PairSet:
    """Random pairs of items, half of them of one identity."""
    rng = np.random.default_rng(seed)
    first = rng.integers(len(data), size=8 * count)
    second = rng.integers(len(data), size=8 * count)
    same = data.labels[first] == data.labels[second]
    halves = [np.flatnonzero((same == kind) & (first != second))[: count // 2] for kind in (True, False)]
    chosen = np.concatenate(halves)
    items = data if named else arrays(data.sources, range(len(data)))
    return PairSet(items, first[chosen], second[chosen], same[chosen], named=named)


class TestPairs:
    def test_what_pairs_do_not_link_counts_for_as_many_people_as_there_may_be(self, crowd: Crowd) -> None:
        """Thirty people, each picture in one same pair and one different one: 435 pairs of people, not thousands."""
        data = crowd([f"p{i}" for i in range(30)], 20)
        place = np.arange(600).reshape(30, 20)
        first, second = place[:, ::2].reshape(-1), place[:, 1::2].reshape(-1)
        different = np.roll(second, -10)
        ends = np.r_[first, first], np.r_[second, different], np.arange(600) < 300
        fresh = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        unnamed = calibrate(fresh, PairSet(arrays(data.sources, range(600)), *ends)).calibrated()
        named = calibrate(fresh, PairSet(data, *ends, named=True)).calibrated()
        assert (unnamed.trials, unnamed.identities) == (300, None)
        assert (named.trials, named.identities) == (30, 30)
        assert unnamed.support_at_most
        assert not named.support_at_most

    @pytest.mark.parametrize("named", [False, True])
    def test_people_in_every_part_are_no_new_ones(self, crowd: Crowd, named: bool) -> None:
        """Ten people in nearly 3,000 random pairs hang all together, so that every part holds all of them."""
        pairs = pairs_of(crowd([f"p{i}" for i in range(10)], 30), 2942, named=named)
        train, _, tune, _ = pairs.split(0.6, 0.1, 0.15, 0.15, seed=0)
        assert tune.mixed
        assert len(np.unique(tune.items.labels)) == 10  # and not as many as there are chains within the part
        encoder = Encoder("mlp", 4)
        fit(encoder, train, Contrastive(), epochs=1, precision="float32")
        found = calibrate(encoder, tune).calibrated()
        assert found.unit == "item"
        assert found.items == len(tune.items)
        assert not found.support_at_most

    def test_items_of_a_mixed_split_are_no_sample_though_no_chain_links_them(self, crowd: Crowd) -> None:
        """Three people in chains, and a hundred pictures of nobody knows whom: they may be of these three."""
        data = crowd(["ada", "bob", "cem"], 100)
        rng = np.random.default_rng(1)
        first, second = rng.integers(300, size=(2, 6000))
        same, loose = data.labels[first] == data.labels[second], (first % 3 == 0) | (second % 3 == 0)
        chosen = (first != second) & ~(same & loose)  # a third of the pictures stand in different pairs only
        pairs = PairSet(arrays(data.sources, range(300)), first[chosen], second[chosen], same[chosen])
        train, _, tune, _ = pairs.split(0.6, 0.1, 0.15, 0.15, seed=0)
        assert tune.mixed
        assert np.isin(tune.items.labels, train.items.labels).mean() < 0.9
        encoder = Encoder("mlp", 4)
        fit(encoder, train, Contrastive(), epochs=1, precision="float32")
        encoder.seen = encoder.seen.joined(Seen.of("tune", tune.contents, tune.identity_keys()))
        assert calibrate(encoder, tune).calibrated().unit == "item"
        again = used_for(encoder.seen, pairs, "tune")
        assert calibrate(encoder, again).calibrated().unit == "item"

    def test_pairs_with_somebody_trained_on_are_left_out_of_a_sample(self, crowd: Crowd) -> None:
        encoder = Encoder("mlp", 8)
        fit(encoder, crowd(FIFTEEN), SupCon(), epochs=1, precision="float32")
        some = together(crowd(FIFTEEN).of_identities(range(3)), crowd(OTHERS))
        pairs = pairs_of(some, 400, named=True)
        found = calibrate(encoder, pairs).calibrated()
        assert found.identities == 12
        assert found.pairs_same + found.pairs_different < 400
        assert found.data.endswith("without 3 of 15 identities, which were trained on")
