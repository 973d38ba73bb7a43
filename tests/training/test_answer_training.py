"""Training heads: as good as scikit-learn where it fits the same model, and what contradicts a head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from small_runs import Killed, kill_at, same_weights

from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Head, Pictures
from likewise.errors import DataError, UsageError
from likewise.objective import AbsoluteError, AnswerObjective, Multiclass, Multilabel, SquaredError, SupCon
from likewise.training import FitOptions, fit
from likewise.training.batches import prepare
from likewise.training.targets import head_for, targets_for

OPTIONS = FitOptions(epochs=30, batch=64, lr=0.02, weight_decay=0.0, precision="float32", device="cpu", seed=0)


def trained(data: Dataset, head: Head, objective: AnswerObjective, **changes: object) -> Encoder:
    encoder = Encoder("linear", head=head, seed=0)
    fit(encoder, data, objective, options=replace(OPTIONS, **changes))
    return encoder


def outputs_of(encoder: Encoder, data: Dataset) -> torch.Tensor:
    return encoder.encode(data.sources).embeddings


@pytest.fixture(scope="module")
def flags() -> Dataset:
    """300 pictures of 8 x 8 whose left half is bright or dark, and the upper half too: either, both or none."""
    rng = np.random.default_rng(0)
    holds = rng.integers(0, 2, (300, 2))
    pictures = rng.normal(90, 20, (300, 8, 8))
    pictures[:, :, :4] += 70 * holds[:, 0, None, None]
    pictures[:, :4] += 70 * holds[:, 1, None, None]
    data = arrays(pictures.clip(0, 255).astype(np.uint8), ["item"] * 300)
    return replace(data, targets=holds.astype(np.float32), target_names=("left", "upper"))


class TestLogisticRegression:
    @pytest.fixture(scope="class")
    @staticmethod
    def both(digits: Dataset) -> tuple[Encoder, LogisticRegression, np.ndarray]:
        """On 600 digits; as classes can be parted by planes there, scikit-learn's weak penalty keeps it finite."""
        few = digits.subset(np.arange(600))
        encoder = trained(few, head_for(few), Multiclass(), epochs=150, optimizer="adam")
        seen = encoder.features(encoder.ready().decode(digits.sources).values).flatten(1).numpy()
        return encoder, LogisticRegression(C=100.0, max_iter=5_000).fit(seen[:600], few.labels), seen

    def test_the_loss_comes_near_the_least(
        self, both: tuple[Encoder, LogisticRegression, np.ndarray], digits: Dataset
    ) -> None:
        encoder, theirs, seen = both
        few = digits.subset(np.arange(600))
        targets = targets_for(head_for(few), few)
        ours = Multiclass()(outputs_of(encoder, few), targets).item()
        least = -np.log(theirs.predict_proba(seen[:600])[np.arange(600), few.labels]).mean()
        assert ours <= least + 0.02

    def test_decisions_are_mostly_the_same(
        self, both: tuple[Encoder, LogisticRegression, np.ndarray], digits: Dataset
    ) -> None:
        encoder, theirs, seen = both
        others = digits.subset(np.arange(600, 1797))
        said, expected = outputs_of(encoder, others).argmax(dim=1).numpy(), theirs.predict(seen[600:])
        assert (said == expected).mean() > 0.95
        assert (said == others.labels).mean() > (expected == others.labels).mean() - 0.01


def test_binary_is_multilabel_of_one_column(digits: Dataset) -> None:
    two = digits.subset(np.flatnonzero(np.isin(digits.labels, (3, 8))))
    column = replace(two, targets=(two.labels == 8)[:, None].astype(np.float32), target_names=("8",))
    by_label = trained(two, head_for(two, "binary"), Multilabel(), epochs=3)
    by_column = trained(column, head_for(column), Multilabel(), epochs=3)
    assert same_weights(by_label, by_column)
    assert by_label.head is not None
    assert by_label.head.names == ("3", "8")
    said = outputs_of(by_label, two)[:, 0] > 0
    assert (said.numpy() == (two.labels == 8)).mean() > 0.9


class TestSeveralAtOnce:
    def test_sigmoids_learn_them(self, flags: Dataset) -> None:
        encoder = trained(flags, head_for(flags), Multilabel())
        said = outputs_of(encoder, flags) > 0
        assert (said.numpy() == flags.targets.astype(bool)).all(axis=1).mean() > 0.98

    def test_softmax_cannot(self, flags: Dataset) -> None:
        with pytest.raises(DataError, match=r"sum to 1 in every row; got .* in row \d+\. .*multilabel"):
            trained(flags, head_for(flags, "multiclass"), Multiclass())
        one = flags.subset(np.flatnonzero(flags.targets.sum(axis=1) == 1))
        encoder = trained(one, head_for(one, "multiclass"), Multiclass())
        assert encoder.head is not None
        both = flags.subset(np.flatnonzero(flags.targets.sum(axis=1) == 2))
        said = encoder.head.answers(outputs_of(encoder, both))
        assert not (said > 0.5).all(dim=1).any()  # two that exclude each other never both hold

    def test_shares_are_learned_as_shares(self, flags: Dataset) -> None:
        constant = replace(flags, targets=np.tile(np.float32([0.2, 0.8]), (300, 1)))
        encoder = trained(constant, head_for(constant, "multiclass"), Multiclass())
        assert encoder.head is not None
        said = encoder.head.answers(outputs_of(encoder, constant)).mean(dim=0)
        assert said.tolist() == pytest.approx([0.2, 0.8], abs=0.02)


class TestNumbers:
    @pytest.fixture(scope="class")
    @staticmethod
    def skewed() -> Dataset:
        """400 pictures that say nothing of a skewed number around 1000: mean and median are all there is to learn."""
        numbers = 1000 + 50 * np.random.default_rng(0).exponential(size=(400, 1)).astype(np.float32) ** 2
        data = arrays(np.full((400, 8, 8), 128, np.uint8), ["item"] * 400)
        return replace(data, targets=numbers, target_names=("price",))

    @pytest.mark.filterwarnings("ignore::likewise.errors.CollapseWarning")  # all pictures are the same, on purpose
    def test_squares_find_the_mean_and_absolutes_the_median_in_units_of_the_data(self, skewed: Dataset) -> None:
        found = {}
        for objective in (SquaredError(), AbsoluteError()):
            encoder = trained(skewed, head_for(skewed), objective, batch=200, lr=0.05, epochs=100)
            assert encoder.head is not None
            found[objective.name] = float(encoder.head.answers(outputs_of(encoder, skewed.subset([0])))[0, 0])
        numbers = skewed.targets.astype(np.float64)
        assert found["l2"] == pytest.approx(numbers.mean(), abs=0.05 * numbers.std())
        assert found["l1"] == pytest.approx(np.median(numbers), abs=0.05 * numbers.std())
        assert numbers.mean() - np.median(numbers) > 0.2 * numbers.std()

    def test_what_a_picture_says(self) -> None:
        rng = np.random.default_rng(0)
        brightness = rng.uniform(30, 220, 300)
        pictures = rng.normal(brightness[:, None, None], 10, (300, 8, 8)).clip(0, 255).astype(np.uint8)
        degrees = np.float32(5 * brightness - 300)[:, None]
        data = replace(arrays(pictures, ["item"] * 300), targets=degrees, target_names=("degrees",))
        encoder = trained(data, head_for(data), SquaredError())
        assert encoder.head is not None
        off = encoder.head.answers(outputs_of(encoder, data)).numpy() - degrees
        assert np.abs(off).mean() < 0.1 * degrees.std()


class TestTheEpochThatIsKept:
    def test_is_that_of_the_least_loss_on_the_validation_set(self, parts: tuple[Dataset, Dataset]) -> None:
        train, valid = parts
        encoder = Encoder("mlp", head=head_for(train), seed=0)
        history = fit(encoder, train, Multiclass(), validation=valid, options=replace(OPTIONS, epochs=6, batch=32))
        figures = [epoch.validation for epoch in history.epochs]
        assert history.select == "loss"
        assert history.best == 1 + int(np.argmin(figures))
        kept = Multiclass()(outputs_of(encoder, valid), targets_for(head_for(train), valid)).item()
        assert kept == pytest.approx(min(figures), rel=1e-5)

    def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path
    ) -> None:
        train, valid = parts
        options = replace(OPTIONS, epochs=3)

        def run(**how: object) -> Encoder:
            encoder = Encoder("mlp", head=head_for(train), seed=0)
            fit(encoder, train, Multiclass(), validation=valid, options=options, **how)
            return encoder

        with pytest.raises(Killed):
            run(checkpoint=tmp_path / "c", watch=kill_at(2, 2))
        assert same_weights(run(checkpoint=tmp_path / "c", resume=True), run())


class TestRefused:
    def test_what_does_not_go_with_answers(self, digits: Dataset, flags: Dataset) -> None:
        few = digits.subset(np.arange(100))
        with pytest.raises(UsageError, match="an encoder with a head; got one without"):
            fit(Encoder("linear", 10), few, Multiclass(), options=OPTIONS)
        with pytest.raises(UsageError, match="a number of items"):
            trained(few, head_for(few), Multiclass(), batch=(2, 2))
        with pytest.raises(UsageError, match="labels, and no columns left, upper"):
            trained(few, head_for(flags), Multilabel())
        with pytest.raises(DataError, match="trained on: 0, 1; got 2"):
            trained(few, Head("multiclass", ("0", "1")), Multiclass())

    def test_validation_with_a_class_that_training_never_saw(self, digits: Dataset) -> None:
        few = digits.of_identities([0, 1]).subset(range(50))
        encoder = Encoder("linear", head=head_for(few))
        with pytest.raises(DataError, match="got 2"):
            fit(encoder, few, Multiclass(), validation=digits.of_identities([0, 2]), options=OPTIONS)

    def test_items_that_cannot_be_read_take_their_targets_with_them(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        files = [tmp_path / f"{i}.png" for i in range(8)]
        for file in files:
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(file)
        files[3].write_bytes(b"no picture")
        targets = np.arange(8, dtype=np.float32)[:, None]
        data = Dataset(
            tuple(files), tuple(map(str, files)), np.zeros(8, np.int64), ("item",), targets=targets, target_names=("n",)
        )
        encoder = Encoder("linear", head=head_for(data), preprocessing=Pictures(1, 8, 8))
        batches = prepare(encoder, data, SquaredError(), OPTIONS)
        assert [file for file, _ in batches.skipped] == [str(files[3])]
        assert encoder.head is not None
        expected = encoder.head.scaled(torch.tensor([[0.0], [1], [2], [4], [5], [6], [7]]))
        torch.testing.assert_close(batches.labels, expected)
        assert batches.identities is None


def test_an_embedding_may_still_be_learned_beside(parts: tuple[Dataset, Dataset]) -> None:
    """An objective on identities pays no heed to targets."""
    train, _ = parts
    with_columns = replace(train, targets=np.zeros((len(train), 1), np.float32), target_names=("n",))
    plain, same = Encoder("mlp", 8, seed=0), Encoder("mlp", 8, seed=0)
    for encoder, data in ((plain, train), (same, with_columns)):
        fit(encoder, data, SupCon(), options=replace(OPTIONS, epochs=1, batch=(10, 5)))
    assert same_weights(plain, same)
