"""fit: the same seed gives the same weights, interrupted or not; the best epoch is kept; trouble is said."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.distance import cdist

from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Preprocessing
from likewise.errors import CollapseWarning, DataError, UsageError
from likewise.metrics import verification
from likewise.objective import (
    Contrastive,
    HardestInBatch,
    Objective,
    Softmax,
    SoftmaxTripletLoss,
    SupCon,
    TripletLoss,
    make_objective,
)
from likewise.training import FitOptions, History, Step, fit, schedule, spread

Watch = Callable[[Step], None]


@pytest.fixture(scope="module")
def parts(digits: Dataset) -> tuple[Dataset, Dataset]:
    """200 items to fit, 150 to choose by."""
    train, valid, _ = digits.split(200 / 1797, 150 / 1797, 0.5, seed=0)
    return train, valid


SMALL = FitOptions(epochs=2, batch=(10, 5), precision="float32", device="cpu", seed=0)


def trained(
    train: Dataset,
    valid: Dataset | None = None,
    objective: Objective | None = None,
    *,
    encoder: Encoder | None = None,
    watch: Watch | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    **options: object,
) -> tuple[Encoder, History]:
    encoder = encoder or Encoder("mlp", 8, seed=0)
    history = fit(
        encoder, train, objective or SupCon(), validation=valid, options=replace(SMALL, **options),
        watch=watch, checkpoint=checkpoint, resume=resume,
    )  # fmt: skip
    return encoder, history


def same_weights(a: Encoder, b: Encoder) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def without_times(history: History) -> dict[str, object]:
    values = history.as_dict()
    for epoch in values["epochs"]:
        del epoch["seconds"], epoch["images_per_second"]
    return values


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


def kill_at(epoch: int, step: int, error: type[BaseException] = Killed) -> Watch:
    def watch(now: Step) -> None:
        if (now.epoch, now.step) == (epoch, step):
            raise error

    return watch


class TestRepeating:
    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    @pytest.mark.parametrize("backbone", ["mlp", "convnet-small"])
    def test_one_seed_gives_one_result_bit_for_bit(
        self, parts: tuple[Dataset, Dataset], backbone: str, precision: str
    ) -> None:
        options = {"precision": precision, "augment": "jitter", "average": 0.9}
        first, history = trained(*parts, encoder=Encoder(backbone, 8, seed=0), **options)
        again, repeated = trained(*parts, encoder=Encoder(backbone, 8, seed=0), **options)
        assert same_weights(first, again)
        assert without_times(history) == without_times(repeated)
        other, _ = trained(*parts, encoder=Encoder(backbone, 8, seed=0), seed=1, **options)
        assert not same_weights(first, other)

    @pytest.mark.parametrize("objective", [TripletLoss, Contrastive, lambda: Softmax(8, 10)])
    def test_random_pairs_and_triplets_come_from_the_seed(
        self, parts: tuple[Dataset, Dataset], objective: Callable[[], Objective]
    ) -> None:
        torch.manual_seed(1)
        first, _ = trained(*parts, objective())
        torch.manual_seed(2)
        again, _ = trained(*parts, objective())
        assert same_weights(first, again)

    def test_the_global_generators_are_left_alone(self, parts: tuple[Dataset, Dataset]) -> None:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002 - that it is left alone is what is tested
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        trained(*parts, TripletLoss(), augment="photo")
        assert torch.equal(torch.rand(3), expected)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002

    @pytest.mark.parametrize("augment", ["none", "jitter"])
    def test_validation_does_not_touch_training(self, parts: tuple[Dataset, Dataset], augment: str) -> None:
        train, valid = parts
        losses: list[list[float]] = [[], []]
        for told, validation in zip(losses, (None, valid), strict=True):
            trained(
                train, validation, TripletLoss(), encoder=Encoder("convnet-small", 8),
                augment=augment, watch=lambda step, told=told: told.append(step.loss),
            )  # fmt: skip
        assert losses[0] == losses[1]


class TestResuming:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"average": 0.9},
            {"augment": "jitter"},
            {"average": 0.9, "augment": "photo", "precision": "bfloat16", "balanced": True},
            {"optimizer": "sgd"},
            {"optimizer": "rmsprop", "select": "eer"},
            {"optimizer": "adam", "schedule": "cosine", "batch": 64},
        ],
        ids=lambda options: " ".join(f"{k}={v}" for k, v in options.items()) or "plain",
    )
    def test_a_killed_run_that_resumes_ends_as_if_nothing_had_been(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, options: dict[str, object]
    ) -> None:
        options = {"epochs": 4, **options}
        whole, expected = trained(*parts, TripletLoss(), encoder=Encoder("convnet-small", 8), **options)
        with pytest.raises(Killed):
            trained(
                *parts, TripletLoss(), encoder=Encoder("convnet-small", 8),
                checkpoint=tmp_path / "state", watch=kill_at(3, 2), **options,
            )  # fmt: skip
        began: list[int] = []
        resumed, history = trained(
            *parts, TripletLoss(), encoder=Encoder("convnet-small", 8), checkpoint=tmp_path / "state", resume=True,
            watch=lambda step: began.append(step.epoch), **options,
        )  # fmt: skip
        assert set(began) == {3, 4}  # and not once more from the beginning
        assert same_weights(resumed, whole)
        assert without_times(history) == without_times(expected)

    @pytest.mark.parametrize("loss", ["bce", "concatenated", "arcface", "softmax"])
    def test_weights_of_the_objective_are_resumed_too(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, loss: str
    ) -> None:
        whole, _ = trained(*parts, make_objective(loss, dim=8, classes=10), epochs=3)
        with pytest.raises(Killed):
            trained(
                *parts, make_objective(loss, dim=8, classes=10), epochs=3, checkpoint=tmp_path / "state",
                watch=kill_at(2, 1),
            )  # fmt: skip
        resumed, _ = trained(
            *parts, make_objective(loss, dim=8, classes=10), epochs=3, checkpoint=tmp_path / "state", resume=True
        )
        assert same_weights(resumed, whole)

    def test_a_finished_run_resumes_to_the_same_end(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        whole, expected = trained(*parts, checkpoint=tmp_path / "state")
        again, history = trained(*parts, checkpoint=tmp_path / "state", resume=True, watch=kill_at(1, 1))
        assert same_weights(again, whole)
        assert history.epochs == expected.epochs

    def test_a_run_that_had_lost_patience_does_not_find_it_again(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path
    ) -> None:
        options = {"epochs": 9, "patience": 2, "lr": 1e-12}
        _, expected = trained(*parts, checkpoint=tmp_path / "state", **options)
        assert expected.stopped == "early"
        _, history = trained(*parts, checkpoint=tmp_path / "state", resume=True, **options)
        assert history.stopped == "early"
        assert history.epochs == expected.epochs

    def test_resuming_from_nothing_is_a_beginning(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        fresh, _ = trained(*parts)
        resumed, _ = trained(*parts, checkpoint=tmp_path / "state", resume=True)
        assert same_weights(fresh, resumed)

    def test_without_resume_a_run_begins_anew(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        first, _ = trained(*parts, checkpoint=tmp_path / "state")
        again, history = trained(*parts, checkpoint=tmp_path / "state")
        assert same_weights(first, again)
        assert len(history.epochs) == 2

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"epochs": 5}, "epochs"),
            ({"seed": 1}, "seed"),
            ({"lr": 0.5}, "lr"),
            ({"augment": "jitter"}, "augment"),
            ({"objective": TripletLoss(margin=0.3)}, "objective"),
            ({"objective": TripletLoss(miner=HardestInBatch())}, "objective"),
            ({"encoder": Encoder("mlp", 9)}, "encoder"),
            ({"encoder": Encoder("convnet-small", 8)}, "encoder"),
        ],
        ids=lambda change: change if isinstance(change, str) else "",
    )
    def test_another_run_is_refused(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, change: dict[str, object], named: str
    ) -> None:
        given: dict[str, object] = {"objective": TripletLoss(), "checkpoint": tmp_path / "state"}
        trained(*parts, **given)
        with pytest.raises(UsageError, match=rf"resumed with the data and options.*another .*\b{named}\b"):
            trained(*parts, **given | change, resume=True)

    def test_other_data_are_refused(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        train, valid = parts
        trained(train, valid, checkpoint=tmp_path / "state")
        with pytest.raises(UsageError, match=r"another .*\bdata\b"):
            trained(train.subset(np.arange(199)), valid, checkpoint=tmp_path / "state", resume=True)

    def test_a_damaged_checkpoint_is_one_line(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        trained(*parts, checkpoint=tmp_path / "state")
        tensors, state = tmp_path / "state" / "checkpoint.safetensors", tmp_path / "state" / "state.json"
        whole, text = tensors.read_bytes(), state.read_text()
        for damage in (
            lambda: tensors.write_bytes(whole[: len(whole) // 2]),
            tensors.unlink,
            lambda: (tensors.write_bytes(whole), state.write_text(text[:-20])),
            lambda: state.write_text("[]"),
            lambda: state.write_text(json.dumps(json.loads(text) | {"epochs": [{}]})),
        ):
            damage()
            with pytest.raises(DataError, match="A checkpoint fits the run") as caught:
                trained(*parts, checkpoint=tmp_path / "state", resume=True)
            assert "\n" not in str(caught.value)

    def test_a_checkpoint_holds_no_pickle(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        trained(*parts, checkpoint=tmp_path / "state")
        assert {file.name for file in (tmp_path / "state").iterdir()} == {"checkpoint.safetensors", "state.json"}


class TestHistory:
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
        import shutil

        from likewise.data import folder

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
        encoder.build(Preprocessing.of(train.sources))
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

    def test_ctrl_c_in_the_first_epoch_keeps_what_there_is(self, parts: tuple[Dataset, Dataset]) -> None:
        seen: list[torch.Tensor] = []
        encoder = Encoder("mlp", 8)

        def watch(step: Step) -> None:
            seen.append(encoder.stages["embedding"].weight.detach().clone())
            if step.step == 3:
                raise KeyboardInterrupt

        _, history = trained(*parts, encoder=encoder, watch=watch)
        assert (history.epochs, history.best, history.stopped) == ((), 0, "interrupted")
        assert torch.equal(encoder.stages["embedding"].weight, seen[-1])
        assert encoder.encode(parts[1].sources).embeddings.isfinite().all()

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
        with pytest.raises(DataError, match=r"The loss stays finite; got (nan|inf) in epoch 1, step \d+") as caught:
            trained(*parts, SoftmaxTripletLoss(), optimizer=optimizer, lr=lr, schedule="constant")
        assert "learning rate" in str(caught.value)
        assert "\n" not in str(caught.value)


class TestAlarms:
    def test_identical_pictures_raise_the_alarm_and_name_a_remedy(self) -> None:
        flat = arrays(np.full((40, 8, 8), 100, np.uint8), np.repeat(np.arange(4), 10))
        with pytest.warns(CollapseWarning) as caught:
            _, history = trained(flat, objective=TripletLoss(miner=HardestInBatch()), epochs=3)
        assert [str(warning.message) for warning in caught] == list(history.warnings)
        collapsed, stuck = history.warnings
        assert collapsed.startswith("The embeddings collapsed: in epoch 1")
        assert stuck.startswith("The loss is stuck at 0.2 in epoch 2")
        assert all("Lower the learning rate" in text for text in history.warnings)

    def test_a_collapse_in_training_raises_the_alarm(self, parts: tuple[Dataset, Dataset]) -> None:
        """Hardest negatives at a learning rate far too high, without the unit sphere to hold embeddings apart."""
        with pytest.warns(CollapseWarning, match="The embeddings collapsed"):
            trained(
                *parts, TripletLoss(miner=HardestInBatch()), encoder=Encoder("mlp", 8, unit=False),
                epochs=6, optimizer="sgd", lr=0.3, weight_decay=0.5, schedule="constant",
            )  # fmt: skip

    @pytest.mark.parametrize("loss", ["contrastive", "triplet", "softmax-triplet", "supcon", "softmax", "bce"])
    def test_a_healthy_run_is_quiet(self, parts: tuple[Dataset, Dataset], loss: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, history = trained(*parts, make_objective(loss, dim=8, classes=10), epochs=3)
        assert history.warnings == ()


class TestOptions:
    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"epochs": 0}, "epochs is at least 1"),
            ({"lr": 0.0}, "lr is above 0"),
            ({"lr": -1.0}, "lr is above 0"),
            ({"lr": float("nan")}, "lr is above 0"),
            ({"weight_decay": -0.1}, "weight_decay is at least 0"),
            ({"momentum": 1.0}, "momentum is in"),
            ({"average": 1.0}, "average is in"),
            ({"average": -0.1}, "average is in"),
            ({"patience": 0}, "patience is at least 1"),
            ({"seed": -1}, "seed is at least 0"),
            ({"optimizer": "adagrad"}, "optimizer is one of adam, adamw, rmsprop, sgd"),
            ({"schedule": "step"}, "schedule is one of"),
            ({"precision": "float16"}, "precision is one of"),
            ({"select": "accuracy"}, "select is one of"),
        ],
    )
    def test_impossible_ones_are_refused_at_once(self, change: dict[str, object], rule: str) -> None:
        with pytest.raises(UsageError, match=rule):
            FitOptions(**change)

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ({"batch": 0}, "A batch has at least 2 items"),
            ({"batch": 1}, "A batch has at least 2 items"),
            ({"batch": (1, 4)}, "P >= 2 identities and K >= 2 items"),
            ({"batch": (4, 1)}, "P >= 2 identities and K >= 2 items"),
            ({"batch": (4, 10_000)}, "K is at most the number of items of the largest identity"),
            ({"augment": "nosuch"}, "An augmentation is one of"),
            ({"device": "toaster"}, "A device is one this machine has"),
            ({"device": "cuda:99"}, "A device is one this machine has"),
        ],
    )
    def test_those_that_depend_on_data_or_machine_are_refused_before_training(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, change: dict[str, object], rule: str
    ) -> None:
        with pytest.raises(UsageError, match=rule):
            trained(*parts, checkpoint=tmp_path / "state", watch=kill_at(1, 1), **change)
        assert not (tmp_path / "state").exists()

    def test_unknown_names_are_refused(self, parts: tuple[Dataset, Dataset]) -> None:
        with pytest.raises(UsageError, match=r"Options of fit are .*epochs.*; got epoch\."):
            fit(Encoder("mlp", 8), parts[0], SupCon(), epoch=3)

    def test_single_options_can_be_given_by_name(self, parts: tuple[Dataset, Dataset]) -> None:
        _, history = trained(parts[0], epochs=1)
        by_name = fit(Encoder("mlp", 8), parts[0], SupCon(), options=SMALL, epochs=1)
        assert without_times(history) == without_times(by_name)

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
    @pytest.mark.parametrize("loss", ["supcon", "softmax"])
    def test_every_optimizer_lowers_the_loss(self, parts: tuple[Dataset, Dataset], optimizer: str, loss: str) -> None:
        _, history = trained(*parts, make_objective(loss, dim=8, classes=10), optimizer=optimizer, epochs=6)
        assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
    def test_no_optimizer_collapses_at_its_usual_learning_rate(
        self, digits: Dataset, parts: tuple[Dataset, Dataset], optimizer: str
    ) -> None:
        train, _ = digits.split(0.4, 0.1, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, history = trained(
                train, parts[1], TripletLoss(), encoder=Encoder("convnet-small", 16), optimizer=optimizer, epochs=4
            )
        assert history.epochs[-1].validation > 0.93

    def test_weights_decay_and_biases_do_not(self, parts: tuple[Dataset, Dataset]) -> None:
        """Decoupled decay alone: a step of adamw with a gradient of zero scales weights by 1 - lr x decay."""
        flat = arrays(np.full((40, 8, 8), 100, np.uint8), np.repeat(np.arange(4), 10))
        encoder = Encoder("mlp", 8, seed=0)
        encoder.build(Preprocessing(1, 8, 8))
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        with pytest.warns(CollapseWarning):
            # Identical embeddings in a contrastive loss without different pairs to push: every gradient is zero.
            trained(
                flat, objective=Contrastive(margin=1e-9), encoder=encoder, epochs=1, batch=40, lr=0.1,
                weight_decay=0.5, schedule="constant", optimizer="adamw",
            )  # fmt: skip
        for name, value in encoder.state_dict().items():
            expected = before[name] * (1 - 0.1 * 0.5) if name.endswith("weight") else before[name]
            torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)

    @pytest.mark.parametrize("unit", [None, True, False])
    @pytest.mark.parametrize("shaped", [True, False])
    def test_unit_length_is_what_the_objective_asks_for_unless_said(
        self, parts: tuple[Dataset, Dataset], unit: bool | None, shaped: bool
    ) -> None:
        shape = Preprocessing(1, 8, 8) if shaped else None
        for objective in (SupCon(), SoftmaxTripletLoss()):
            encoder = Encoder("mlp", 8, unit=unit, preprocessing=shape)
            trained(*parts, objective, encoder=encoder, epochs=1)
            assert encoder.unit == (objective.unit if unit is None else unit)

    def test_the_distance_becomes_the_objectives(self, parts: tuple[Dataset, Dataset]) -> None:
        for loss in ("bce", "concatenated", "supcon"):
            objective = make_objective(loss, dim=8, classes=10)
            encoder, _ = trained(*parts, objective, epochs=1)
            assert encoder.distance is objective.distance

    def test_a_learned_distance_is_trained_along(self, parts: tuple[Dataset, Dataset]) -> None:
        for loss in ("bce", "concatenated"):
            objective = make_objective(loss, dim=8, classes=10)
            before = [p.detach().clone() for p in objective.distance.parameters()]
            encoder, _ = trained(*parts, objective, epochs=1)
            after = list(encoder.distance.parameters())
            assert len(after) == len(before) > 0
            assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True))


class TestData:
    def test_one_identity_is_refused(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="at least 2 identities"):
            trained(digits.of_identities([3]))

    def test_identities_of_one_item_each_are_refused(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="at least 2 items"):
            trained(digits.subset([int(np.flatnonzero(digits.labels == d)[0]) for d in range(10)]))

    def test_nothing_readable_is_refused_in_one_line(self, tmp_path: Path) -> None:
        from likewise.data import folder

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
