"""fit: its record is true, the best epoch is the one that is kept, and trouble is said in words."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.distance import cdist
from small_runs import SMALL, Watch, kill_at, same_weights, trained

from likewise.data import Dataset, PairSet, arrays, folder
from likewise.encoder import Encoder, Pictures
from likewise.errors import CollapseWarning, DataError
from likewise.metrics import verification
from likewise.objective import (
    Contrastive,
    HardestInBatch,
    Softmax,
    SoftmaxTripletLoss,
    SupCon,
    TripletLoss,
    make_objective,
)
from likewise.training import Epoch, History, Step, schedule, spread
from likewise.training.alarms import alarms
from likewise.training.state import TrainingState


class TestHistory:
    def test_who_observes_may_end_it(self, parts: tuple[Dataset, Dataset]) -> None:
        class Enough(Exception):  # noqa: N818
            pass

        encoder, seen = Encoder("mlp", 8, seed=0), list[torch.Tensor]()

        def observe(epoch: int, figure: float | None) -> None:
            if epoch == 2:
                raise Enough
            seen.append(encoder.encode(parts[1].sources).embeddings)

        with pytest.raises(Enough):
            trained(*parts, encoder=encoder, epochs=3, observe=observe)
        assert not encoder.training
        of_epoch_1 = seen[1]
        torch.testing.assert_close(encoder.encode(parts[1].sources).embeddings, of_epoch_1, rtol=0, atol=0)

    def test_it_says_what_happened(self, parts: tuple[Dataset, Dataset]) -> None:
        steps: list[Step] = []
        train, valid = parts
        encoder, history = trained(train, valid, TripletLoss(), epochs=3, batch=40, watch=steps.append)
        assert [step.epoch for step in steps] == [1] * 5 + [2] * 5 + [3] * 5
        assert [step.step for step in steps] == [1, 2, 3, 4, 5] * 3
        assert {(step.steps, step.epochs) for step in steps} == {(5, 3)}
        for entry in history.epochs:
            own = [step for step in steps if step.epoch == entry.epoch]
            assert entry.loss == pytest.approx(np.mean([step.loss for step in own]), rel=1e-12)
            assert entry.active == pytest.approx(np.mean([step.active for step in own]), rel=1e-12)
            assert entry.spread == pytest.approx(np.mean([step.spread for step in own]), rel=1e-12)
            assert 0 <= entry.active <= 1
            assert 0 < entry.spread <= 1
            assert entry.empty == 0
            peak = 2e-3 * schedule("one-cycle", (5 * entry.epoch - 0.5) / 15)
            assert entry.lr == pytest.approx(peak, rel=1e-12)
        seconds = [entry.seconds for entry in history.epochs]
        assert seconds == sorted(seconds)
        assert history.seconds == seconds[-1] > 0
        items = sum(e.images_per_second * s for e, s in zip(history.epochs, np.diff([0, *seconds]), strict=True))
        assert items == pytest.approx(3 * len(train), rel=1e-9)
        assert history.images_per_second == pytest.approx(3 * len(train) / history.seconds, rel=1e-9)
        assert (history.stopped, history.select, history.precision) == ("finished", "precision_at_1", "float32")
        assert json.loads(json.dumps(history.as_dict()))["best"] == history.best
        assert encoder.trained["best_epoch"] == history.best
        assert encoder.trained["objective"]["margin"] == 0.2
        assert encoder.trained["fit"] == replace(SMALL, epochs=3, batch=40).as_dict()
        assert (encoder.trained["items"], encoder.trained["identities"]) == (len(train), 10)
        assert json.loads(json.dumps(encoder.trained)) == encoder.trained

    def test_training_learns(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(*parts, epochs=8)
        assert history.epochs[-1].loss < 0.7 * history.epochs[0].loss
        assert history.epochs[-1].validation > 0.85

    def test_the_record_of_an_earlier_training_is_kept(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder, _ = trained(*parts)
        first = encoder.trained
        assert first["before"] is None
        trained(*parts, SupCon(0.2), encoder=encoder)
        assert encoder.trained["before"] == first

    def test_unreadable_items_are_skipped_and_listed(self, digit_folder: Path, tmp_path: Path) -> None:
        shutil.copytree(digit_folder, tmp_path / "digits")
        (tmp_path / "digits" / "3" / "00.png").write_bytes(b"\x89PNG broken")
        (tmp_path / "digits" / "7" / "29.png").write_text("text")
        _, history = trained(folder(tmp_path / "digits"), epochs=1)
        assert [file for file, _ in history.skipped] == ["3/00.png", "7/29.png"]

    def test_batches_without_a_triplet_are_counted_and_said(self, digits: Dataset) -> None:
        # 40 identities of 2 items, 2 items to a plain batch: hardly any batch holds a pair of the same.
        items = digits.subset(np.flatnonzero(digits.labels == 1)[:80])
        lonely = arrays(items.sources, np.repeat(np.arange(40), 2))
        with pytest.warns(CollapseWarning, match=r"Batches are empty: in \d+%"):
            _, history = trained(lonely, objective=TripletLoss(), batch=2, epochs=1)
        assert history.epochs[0].empty > 0.9
        assert math.isfinite(history.epochs[0].loss)


def spoil_from(epoch: int, encoder: Encoder) -> Watch:
    """Sets the last layer to zero after each epoch from `epoch` on: what is validated then is worthless."""

    def watch(step: Step) -> None:
        if step.epoch >= epoch and step.step == step.steps:
            with torch.no_grad():
                encoder.stages["embedding"].weight.zero_()

    return watch


@pytest.mark.filterwarnings("ignore::likewise.errors.CollapseWarning")
class TestTheBestEpoch:
    @staticmethod
    def precision_at_1(encoder: Encoder, data: Dataset) -> float:
        embeddings = encoder.encode(data.sources).embeddings.numpy().astype(np.float64)
        between = cdist(embeddings, embeddings, "cosine")
        np.fill_diagonal(between, np.inf)
        return float((data.labels[between.argmin(axis=1)] == data.labels).mean())

    def test_it_is_the_one_that_is_restored(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder = Encoder("mlp", 8)
        _, history = trained(*parts, encoder=encoder, epochs=5, watch=spoil_from(4, encoder))
        figures = [entry.validation for entry in history.epochs]
        assert figures[history.best - 1] == max(figures) > figures[-1]
        assert history.best <= 3
        assert self.precision_at_1(encoder, parts[1]) == pytest.approx(max(figures), abs=1e-9)

    def test_with_a_running_mean_it_is_the_mean_that_is_measured_and_kept(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder, history = trained(*parts, epochs=5, average=0.9)
        best = max(entry.validation for entry in history.epochs)
        assert self.precision_at_1(encoder, parts[1]) == pytest.approx(best, abs=1e-9)

    def test_by_eer_the_smallest_is_best(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder = Encoder("mlp", 8)
        _, history = trained(*parts, encoder=encoder, epochs=5, select="eer", watch=spoil_from(4, encoder))
        figures = [entry.validation for entry in history.epochs]
        assert figures[history.best - 1] == min(figures) < figures[-1]
        embeddings = encoder.encode(parts[1].sources).embeddings
        found = verification(embeddings, parts[1].labels, encoder.distance).eer.value
        assert found == pytest.approx(min(figures), abs=1e-9)

    def test_without_validation_the_last_is_kept(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(parts[0], None, epochs=3)
        assert history.best == 3
        assert history.select is None
        assert {entry.validation for entry in history.epochs} == {None}

    def test_of_equally_good_epochs_the_later_one_is_kept(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(*parts, epochs=3, lr=1e-12)
        assert len({entry.validation for entry in history.epochs}) == 1
        assert history.best == 3

    def test_patience_runs_out_when_nothing_gets_better(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(*parts, epochs=9, lr=1e-12, patience=2)
        assert history.stopped == "early"
        assert len(history.epochs) == 3  # good as ever in epoch 1, no better in 2 and 3

    def test_patience_counts_from_the_best_epoch(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder = Encoder("mlp", 8)
        _, history = trained(*parts, encoder=encoder, epochs=9, patience=2, watch=spoil_from(4, encoder))
        figures = [entry.validation for entry in history.epochs]
        assert figures[0] < figures[1]
        assert len(history.epochs) == 1 + int(np.argmax(figures)) + 2 < 9
        assert history.stopped == "early"

    def test_patience_without_validation_never_ends(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(parts[0], None, epochs=4, lr=1e-12, patience=1)
        assert (len(history.epochs), history.stopped) == (4, "finished")

    def test_a_running_mean_of_the_weights_lies_between_them(self, parts: tuple[Dataset, Dataset]) -> None:
        """One epoch of steps, averaged by hand from the weights after each of them."""
        encoder = Encoder("mlp", 8, seed=0)
        after: list[torch.Tensor] = []
        weight = lambda: encoder.stages["embedding"].weight.detach().clone()  # noqa: E731
        train, _ = parts
        encoder.build(Pictures.of(train.sources))
        start = weight()
        trained(train, None, encoder=encoder, epochs=1, average=0.6, watch=lambda _: after.append(weight()))
        mean = start
        for number, now in enumerate(after, start=1):
            keep = min(0.6, number / (number + 10))
            mean = keep * mean + (1 - keep) * now
        torch.testing.assert_close(encoder.stages["embedding"].weight.detach(), mean, rtol=1e-5, atol=1e-6)


class TestStopping:
    def test_ctrl_c_keeps_the_best_epoch_so_far(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        encoder, history = trained(
            *parts, epochs=5, checkpoint=tmp_path / "state", watch=kill_at(3, 2, KeyboardInterrupt)
        )
        assert history.stopped == "interrupted"
        assert len(history.epochs) == 2
        assert not encoder.training
        kept = load_file(tmp_path / "state" / "checkpoint.safetensors")
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, kept[f"best/{name}"])
        best = max(entry.validation for entry in history.epochs)
        assert TestTheBestEpoch.precision_at_1(encoder, parts[1]) == pytest.approx(best, abs=1e-9)

    def test_ctrl_c_in_the_first_epoch_leaves_the_encoder_as_it_was(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path
    ) -> None:
        encoder, untouched = (Encoder("mlp", 8, preprocessing=Pictures(1, 8, 8)) for _ in range(2))
        with pytest.raises(KeyboardInterrupt):
            trained(*parts, encoder=encoder, checkpoint=tmp_path / "state", watch=kill_at(1, 3, KeyboardInterrupt))
        assert same_weights(encoder, untouched)
        assert encoder.trained == {}
        assert not encoder.training
        assert list(tmp_path.iterdir()) == []

    def test_an_interrupted_run_can_be_resumed(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        whole, _ = trained(*parts, epochs=4)
        trained(*parts, epochs=4, checkpoint=tmp_path / "state", watch=kill_at(4, 1, KeyboardInterrupt))
        resumed, history = trained(*parts, epochs=4, checkpoint=tmp_path / "state", resume=True)
        assert history.stopped == "finished"
        assert same_weights(resumed, whole)

    @pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 1e30), ("adam", 1e35)])
    def test_a_loss_that_is_no_number_is_one_line(
        self, parts: tuple[Dataset, Dataset], optimizer: str, lr: float
    ) -> None:
        with pytest.raises(DataError, match=r"finite numbers; got .* in step \d+ of epoch 1\. Lower") as caught:
            trained(*parts, SoftmaxTripletLoss(), optimizer=optimizer, lr=lr, schedule="constant")
        assert "learning rate" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_loss_that_goes_astray_keeps_the_best_epoch_before(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder, kept = Encoder("mlp", 8), Encoder("mlp", 8)

        def spoil(step: Step) -> None:
            if (step.epoch, step.step) == (3, 2):
                with torch.no_grad():
                    encoder.stages["embedding"].weight.fill_(math.nan)

        with pytest.warns(CollapseWarning, match=r"a loss of nan in step 3 of epoch 3: the best epoch before is kept"):
            _, history = trained(*parts, encoder=encoder, epochs=5, watch=spoil)
        assert (history.stopped, len(history.epochs)) == ("diverged", 2)
        trained(*parts, encoder=kept, epochs=5, watch=kill_at(3, 3, KeyboardInterrupt))
        assert same_weights(encoder, kept)

    def test_a_loss_that_is_no_number_moves_nothing(self, parts: tuple[Dataset, Dataset]) -> None:
        objective = Softmax(8, 10)
        encoder, untouched = (Encoder("mlp", 8, preprocessing=Pictures(1, 8, 8)) for _ in range(2))
        with pytest.raises(DataError, match="Training stays within finite numbers"):
            trained(*parts, objective, encoder=encoder, optimizer="sgd", lr=1e30, schedule="constant")
        assert objective.weight.isfinite().all()
        assert same_weights(encoder, untouched)

    STEEP = {"batch": 200, "optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "weight_decay": 1e-2}  # noqa: RUF012

    @pytest.mark.parametrize("validated_by", ["precision_at_1", "eer", "pairs", None])
    def test_weights_that_overflow_between_two_steps_are_not_kept(
        self, parts: tuple[Dataset, Dataset], validated_by: str | None
    ) -> None:
        """One step an epoch: the loss of each is finite, and after the second the embeddings are not."""
        train, valid = parts
        first, second = np.arange(0, len(valid) - 1), np.arange(1, len(valid))
        pairs = PairSet(valid, first, second, valid.labels[first] == valid.labels[second])
        validation = {None: None, "pairs": pairs}.get(validated_by, valid)
        select = "eer" if validated_by == "eer" else "precision_at_1"
        encoder = Encoder("mlp", 8)
        seen: list[Step] = []
        with pytest.warns(CollapseWarning, match=r"embeddings that are not finite at the end of epoch 2: the best"):
            _, history = trained(
                train, validation, Softmax(8, 10), encoder=encoder, epochs=2, select=select, lr=1e6,
                watch=seen.append, **self.STEEP,
            )  # fmt: skip
        assert [math.isfinite(step.loss) for step in seen] == [True, True]
        assert (history.stopped, len(history.epochs), history.best) == ("diverged", 1, 1)
        assert encoder.encode(valid.sources).embeddings.isfinite().all()

    @pytest.mark.parametrize("validated", [True, False])
    def test_overflow_after_the_very_first_step_is_one_line(
        self, parts: tuple[Dataset, Dataset], validated: bool
    ) -> None:
        train, valid = parts
        with pytest.raises(DataError, match=r"not finite at the end of epoch 1\. Lower the learning rate"):
            trained(train, valid if validated else None, Softmax(8, 10), lr=1e18, **self.STEEP)

    def test_a_weight_that_is_no_number_is_not_kept_where_no_item_shows_it(
        self, parts: tuple[Dataset, Dataset]
    ) -> None:
        """A bias of minus infinity before a ReLU is a unit that is never active: embeddings stay finite."""
        encoder = Encoder("mlp", 8)

        def spoil(step: Step) -> None:
            if (step.epoch, step.step) == (2, step.steps):
                with torch.no_grad():
                    next(p for name, p in encoder.named_parameters() if name.endswith("bias"))[0] = -math.inf

        with pytest.warns(CollapseWarning, match=r"weights that are not finite at the end of epoch 2: the best"):
            _, history = trained(parts[0], None, encoder=encoder, epochs=3, watch=spoil)
        assert (history.stopped, history.best) == ("diverged", 1)
        assert all(value.isfinite().all() for value in encoder.state_dict().values())

    def test_a_checkpoint_that_cannot_be_written_leaves_the_best_epoch(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder = Encoder("mlp", 8)

        def full(self: TrainingState, folder: Path) -> None:
            if len(self.history.epochs) == 2:
                raise DataError("What is saved is written whole or not at all", "no space")

        monkeypatch.setattr(TrainingState, "save", full)
        with pytest.raises(DataError, match="no space"):
            trained(*parts, encoder=encoder, epochs=4, checkpoint=tmp_path, watch=spoil_from(2, encoder))
        assert not encoder.training
        assert encoder.stages["embedding"].weight.any()  # the epoch before it was spoilt


class TestShortRuns:
    """Few steps must not leave a network that answers otherwise in use than it did in training."""

    def test_running_figures_are_the_mean_of_the_first_steps(self, digits: Dataset) -> None:
        few, encoder = digits.subset(np.arange(300)), Encoder("convnet-small", 8)
        trained(few, encoder=encoder, epochs=1, batch=50, lr=1e-12, weight_decay=0.0)  # six steps that move no weight
        convolution, *pooling, norm, _ = encoder.stages["conv1"]
        pixels = encoder.ready().decode(few.sources).values
        with torch.no_grad():
            seen = torch.nn.Sequential(convolution, *pooling)(encoder.features(pixels))
        torch.testing.assert_close(norm.running_mean, seen.mean(dim=(0, 2, 3)))

    def test_after_four_steps_embeddings_are_as_far_apart_as_in_training(self, digits: Dataset) -> None:
        few = digits.subset(np.arange(150))
        encoder, history = trained(few, encoder=Encoder("convnet-small", 16), epochs=4, batch=150)
        assert len(history.epochs) == 4
        assert spread(encoder.encode(few.sources).embeddings) > 0.8 * history.epochs[-1].spread


class TestGoingOn:
    """Training that starts from a trained encoder."""

    def test_what_the_distance_learned_is_handed_on(self, parts: tuple[Dataset, Dataset]) -> None:
        encoder, _ = trained(*parts, make_objective("bce", dim=8, classes=10, seed=0), lr=0.05)
        learned = encoder.distance.raw.detach().clone()
        fresh = make_objective("bce", dim=8, classes=10, seed=0)
        assert not torch.equal(fresh.distance.raw, learned)
        trained(*parts, fresh, encoder=encoder, epochs=1, lr=1e-12, weight_decay=0.0)
        torch.testing.assert_close(encoder.distance.raw, learned)


class TestAlarms:
    def test_identical_pictures_raise_the_alarm_and_name_a_remedy(self) -> None:
        flat = arrays(np.full((40, 8, 8), 100, np.uint8), np.repeat(np.arange(4), 10))
        with pytest.warns(CollapseWarning) as caught:
            _, history = trained(flat, objective=TripletLoss(miner=HardestInBatch()), epochs=3)
        assert [str(warning.message) for warning in caught] == list(history.warnings)
        collapsed, stuck = history.warnings
        assert collapsed.startswith("The embeddings collapsed: in epoch 1")
        assert stuck.startswith("The loss is stuck at 0.2 in epoch 3")
        assert all("Lower the learning rate" in text for text in history.warnings)

    def test_a_collapse_in_training_raises_the_alarm(self, parts: tuple[Dataset, Dataset]) -> None:
        """Hardest negatives, a high learning rate and strong decay, and no unit sphere to hold embeddings apart."""
        with pytest.warns(CollapseWarning) as caught:
            _, history = trained(
                *parts, TripletLoss(miner=HardestInBatch()), encoder=Encoder("mlp", 8, unit=False),
                epochs=6, optimizer="sgd", lr=0.3, weight_decay=0.5, schedule="constant",
            )  # fmt: skip
        assert any(str(warning.message).startswith("The embeddings collapsed") for warning in caught)
        assert history.epochs[0].spread > 0.1  # they were apart at first

    def test_a_loss_that_only_passes_the_value_of_a_collapse_is_not_stuck(self) -> None:
        """What a network does that is slow to start, or whose loss starts above: log 2 is passed, not kept."""
        objective = make_objective("bce", dim=4, classes=2)
        falling = np.array([0.8, 0.72, 0.693, 0.66, 0.6])
        waiting = np.array([0.6931, 0.6930, 0.6928, 0.692, 0.65])
        stuck = np.array([0.70, 0.694, 0.6931, 0.6932, 0.6931])

        def heard(losses: np.ndarray, rates: list[float]) -> tuple[str, ...]:
            epochs = [
                Epoch(n, float(loss), 1.0, 0.5, 0.0, lr, 1.0, float(n), None)
                for n, (loss, lr) in enumerate(zip(losses, rates, strict=True), start=1)
            ]
            found: tuple[str, ...] = ()
            for n in range(1, len(epochs) + 1):
                found = alarms(epochs[:n], objective, found)
            return found

        rising, constant = [0.1, 0.2, 0.3, 0.4, 0.5], [0.1] * 5
        assert heard(falling, constant) == ()
        assert heard(waiting, rising) == ()
        (text,) = heard(stuck, constant)
        assert text.startswith("The loss is stuck at 0.6931 in epoch 3")

    @pytest.mark.parametrize("loss", ["contrastive", "triplet", "softmax-triplet", "supcon", "softmax", "bce"])
    def test_a_healthy_run_is_quiet(self, parts: tuple[Dataset, Dataset], loss: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, history = trained(*parts, make_objective(loss, dim=8, classes=10), epochs=3)
        assert history.warnings == ()


class TestData:
    def test_one_identity_is_refused(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="at least 2 identities"):
            trained(digits.of_identities([3]))

    def test_identities_of_one_item_each_are_refused(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="at least 2 items"):
            trained(digits.subset([int(np.flatnonzero(digits.labels == d)[0]) for d in range(10)]))

    def test_nothing_readable_is_refused_in_one_line(self, tmp_path: Path) -> None:
        for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("not a picture")
        with pytest.raises(DataError) as caught:
            trained(folder(tmp_path))
        assert "\n" not in str(caught.value)

    def test_a_validation_set_without_pairs_is_refused(self, parts: tuple[Dataset, Dataset]) -> None:
        train, valid = parts
        with pytest.raises(DataError, match="Validation needs 2 identities"):
            trained(train, valid.subset([0, 1]))

    def test_identities_of_a_part_are_renumbered_for_class_heads(self, digits: Dataset) -> None:
        some = digits.of_identities([2, 5, 9])
        _, history = trained(some.subset(np.arange(0, len(some), 5)), objective=Softmax(8, 3), epochs=1)
        assert history.epochs[0].loss < 2 * math.log(3)

    def test_a_pairs_objective_is_needed_for_nothing_but_pairs(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(*parts, Contrastive(), epochs=1)
        assert history.epochs[0].empty == 0


class TestSchedule:
    @pytest.mark.parametrize(("name", "warm"), [("one-cycle", 0.25), ("cosine", 0.05)])
    def test_it_rises_to_one_and_falls_to_zero(self, name: str, warm: float) -> None:
        assert schedule(name, 0.0) == 0
        assert schedule(name, warm) == pytest.approx(1)
        assert schedule(name, 1.0) == pytest.approx(0, abs=1e-12)
        rising = [schedule(name, p) for p in np.linspace(0, warm, 50)]
        falling = [schedule(name, p) for p in np.linspace(warm, 1, 200)]
        assert all(a < b for a, b in pairwise(rising))
        assert all(a > b for a, b in pairwise(falling))
        assert schedule(name, (1 + warm) / 2) == pytest.approx(0.5)  # half way down a cosine

    def test_constant_is_constant(self) -> None:
        assert {schedule("constant", p) for p in (0, 0.3, 1)} == {1.0}


class TestSpread:
    @pytest.mark.parametrize("shape", [(2, 1), (7, 3), (64, 32)])
    def test_it_is_what_its_words_say(self, shape: tuple[int, int]) -> None:
        x = np.random.default_rng(0).normal(1.0, 0.5, shape)
        mean = x.mean(axis=0)
        to_mean = math.sqrt(sum(float(((row - mean) ** 2).sum()) for row in x) / len(x))
        to_origin = math.sqrt(sum(float((row**2).sum()) for row in x) / len(x))
        assert spread(torch.from_numpy(x)) == pytest.approx(to_mean / to_origin, rel=1e-12)

    def test_its_ends(self) -> None:
        assert spread(torch.ones(5, 3)) == 0
        assert spread(torch.zeros(5, 3)) == 0
        assert spread(torch.tensor([[1.0, 0], [-1.0, 0]])) == pytest.approx(1)

    def test_it_does_not_depend_on_scale(self) -> None:
        x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert spread(x * 1e-6) == pytest.approx(spread(x), rel=1e-9)


def test_an_epoch_survives_json() -> None:
    history = History((), 0, None, "finished", "float32")
    assert asdict(history)["epochs"] == ()
    assert history.seconds == 0
    assert history.images_per_second == 0


def test_a_validation_set_of_which_too_little_can_be_read_is_done_without(digit_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(digit_folder, tmp_path / "all")
    data = folder(tmp_path / "all")
    few = data.subset([*np.flatnonzero(data.labels == 0)[:2], *np.flatnonzero(data.labels == 1)[:1]])
    Path(few.sources[0]).write_bytes(b"no picture")
    with pytest.warns(CollapseWarning, match="Too little to choose an epoch by could be read"):
        _, history = trained(data, few, batch=40)
    assert (history.select, history.best) == (None, 2)
    assert few.files[0] in [file for file, _ in history.skipped]
