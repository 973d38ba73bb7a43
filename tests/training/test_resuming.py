"""The same seed gives the same weights bit for bit, whether the run was cut off or not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_runs import Killed, kill_at, same_weights, trained, without_times

from likewise.data import Dataset, arrays
from likewise.encoder import Encoder
from likewise.errors import CollapseWarning, LikewiseError, UsageError
from likewise.objective import (
    Contrastive,
    HardestInBatch,
    Objective,
    Softmax,
    TripletLoss,
    make_objective,
)
from likewise.training.state import discard


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

    @pytest.mark.parametrize("options", [{}, {"augment": "jitter"}, {"average": 0.9}], ids=str)
    def test_validation_does_not_touch_training(
        self, parts: tuple[Dataset, Dataset], options: dict[str, object]
    ) -> None:
        train, valid = parts
        losses: list[list[float]] = [[], []]
        for told, validation in zip(losses, (None, valid), strict=True):
            trained(
                train, validation, TripletLoss(), encoder=Encoder("convnet-small", 8),
                watch=lambda step, told=told: told.append(step.loss), **options,
            )  # fmt: skip
        assert losses[0] == losses[1]

    def test_every_step_draws_anew(self, parts: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
        from likewise.training import fit
        from likewise.training.batches import Batches

        drawn: list[int] = []
        real = sys.modules[fit.__module__].seeded

        def seeded(augment: object, pixels: torch.Tensor, seed: int) -> torch.Tensor:
            drawn.append(seed)
            return real(augment, pixels, seed)

        for module in (fit.__module__, Batches.__module__):  # the second changes items, the first calls the network
            monkeypatch.setattr(sys.modules[module], "seeded", seeded)
        for seed in (0, 1):
            trained(*parts, epochs=3, augment="jitter", seed=seed)
        assert drawn[::2] == drawn[1::2]  # one number for augmentation and network of a step
        assert len(drawn) == 2 * len(set(drawn)) >= 24


class TestResuming:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            pytest.param({"average": 0.9}, marks=pytest.mark.slow),
            pytest.param({"augment": "jitter"}, marks=pytest.mark.slow),
            {"average": 0.9, "augment": "photo", "precision": "bfloat16", "balanced": True},
            pytest.param({"optimizer": "sgd"}, marks=pytest.mark.slow),
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

    def test_the_warnings_so_far_are_resumed_too(self, tmp_path: Path) -> None:
        """Pictures that are all the same: a collapse is heard in epoch 1, a loss that is stuck in epoch 3."""
        flat = arrays(np.full((40, 8, 8), 100, np.uint8), np.repeat(np.arange(4), 10))
        hardest = lambda: TripletLoss(miner=HardestInBatch())  # noqa: E731
        with pytest.warns(CollapseWarning):
            _, expected = trained(flat, objective=hardest(), epochs=4)
        with pytest.raises(Killed):
            trained(flat, objective=hardest(), epochs=4, checkpoint=tmp_path / "state", watch=kill_at(3, 1))
        with pytest.warns(CollapseWarning):
            _, history = trained(flat, objective=hardest(), epochs=4, checkpoint=tmp_path / "state", resume=True)
        assert history.resumed_after == 2
        assert history.warnings == expected.warnings
        assert ["epoch 1" in text for text in history.warnings] == [True, False]

    @pytest.mark.parametrize("finished", [True, False])
    def test_without_resume_an_earlier_run_is_not_written_over(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, finished: bool
    ) -> None:
        state = tmp_path / "state"
        whole, _ = trained(*parts, epochs=4)
        trained(*parts, epochs=4, checkpoint=state, watch=None if finished else kill_at(4, 1, KeyboardInterrupt))
        before = {file.name: file.read_bytes() for file in state.iterdir()}
        with pytest.raises(
            UsageError, match=r"checkpoint of an earlier one; got .*state.*resume=True.*delete"
        ) as caught:
            trained(*parts, epochs=4, checkpoint=state, watch=kill_at(1, 1))
        assert "\n" not in str(caught.value)
        assert {file.name: file.read_bytes() for file in state.iterdir()} == before
        resumed, _ = trained(*parts, epochs=4, checkpoint=state, resume=True)
        assert same_weights(resumed, whole)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"epochs": 5}, "epochs 5 instead of 2"),
            ({"epochs": None}, "epochs unset instead of 2"),
            ({"seed": 1}, "seed 1 instead of 0"),
            ({"lr": 0.5, "weight_decay": 0.1}, "lr 0.5 instead of unset, weight decay 0.1 instead of 0.01"),
            ({"batch": (4, 3)}, "batch 4x3 instead of 10x5"),
            ({"augment": "jitter"}, "augment jitter instead of none"),
            ({"objective": TripletLoss(margin=0.3)}, "objective margin 0.3 instead of 0.2"),
            ({"objective": TripletLoss(miner=HardestInBatch())}, "objective miner hardest instead of "),
            ({"encoder": Encoder("mlp", 9)}, "encoder dim 9 instead of 8"),
            ({"encoder": Encoder("convnet-small", 8)}, "encoder backbone convnet-small instead of mlp"),
        ],
        ids=lambda change: change if isinstance(change, str) else "",
    )
    def test_another_run_is_refused(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, change: dict[str, object], named: str
    ) -> None:
        given: dict[str, object] = {"objective": TripletLoss(), "checkpoint": tmp_path / "state"}
        trained(*parts, **given)
        with pytest.raises(UsageError, match=rf"resumed with the data and options it was started with; got {named}"):
            trained(*parts, **given | change, resume=True)

    def test_other_data_are_refused(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        train, valid = parts
        trained(train, valid, checkpoint=tmp_path / "state")
        other_train, other_valid = train.subset(np.arange(199)), valid.subset(np.arange(140))
        for other, named in (((other_train, valid), "training"), ((train, other_valid), "validation")):
            with pytest.raises(UsageError, match=f"got .*other {named} data"):
                trained(*other, checkpoint=tmp_path / "state", resume=True)

    def test_other_class_weights_are_refused(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        weighted = Softmax(8, 10, class_weights=[2.0, *[1.0] * 9])
        trained(*parts, weighted, checkpoint=tmp_path / "state")
        with pytest.raises(UsageError, match=r"other objective class weights"):
            trained(*parts, Softmax(8, 10), checkpoint=tmp_path / "state", resume=True)

    @pytest.mark.parametrize(
        "metadata",
        [None, {}, {"state": "[]"}, {"state": "{"}, {"state": '{"run": []}'}, {"state": '{"run": {}}'}],
        ids=str,
    )
    def test_a_checkpoint_of_something_else_is_one_line(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, metadata: dict[str, str] | None
    ) -> None:
        (tmp_path / "state").mkdir()
        save_file({"x": torch.ones(1)}, tmp_path / "state" / "checkpoint.safetensors", metadata=metadata)
        with pytest.raises(LikewiseError, match=r"A checkpoint fits the run|A run is resumed with") as caught:
            trained(*parts, checkpoint=tmp_path / "state", resume=True)
        assert "\n" not in str(caught.value)

    def test_a_damaged_checkpoint_is_one_line(self, parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        trained(*parts, checkpoint=tmp_path / "state")
        file = tmp_path / "state" / "checkpoint.safetensors"
        whole = file.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:100], b"", whole.replace(b"epochs", b"epocs_")):
            file.write_bytes(damaged)
            with pytest.raises(LikewiseError) as caught:
                trained(*parts, checkpoint=tmp_path / "state", resume=True)
            assert "\n" not in str(caught.value)

    def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, _ = trained(*parts, epochs=4)
        written: list[Path] = []

        def dying(tensors: dict[str, torch.Tensor], file: Path, **options: object) -> None:
            written.append(file)
            save_file(tensors, file, **options)
            if len(written) == 3:
                file.write_bytes(file.read_bytes()[:1000])
                raise Killed

        monkeypatch.setattr("likewise.training.state.save_file", dying)
        with pytest.raises(Killed):
            trained(*parts, epochs=4, checkpoint=tmp_path / "state")
        monkeypatch.undo()
        resumed, history = trained(*parts, epochs=4, checkpoint=tmp_path / "state", resume=True)
        assert history.resumed_after == 2
        assert same_weights(resumed, whole)

    def test_a_checkpoint_holds_no_pickle_and_can_be_taken_away(
        self, parts: tuple[Dataset, Dataset], tmp_path: Path
    ) -> None:
        state = tmp_path / "state"
        trained(*parts, checkpoint=state)
        assert {file.name for file in state.iterdir()} == {"checkpoint.safetensors", "history.jsonl"}
        (state / ".checkpoint.safetensors.0123456789ab.safetensors").write_text("half written when killed")
        (state / "letter.txt").write_text("precious")
        discard(state)
        assert [file.name for file in state.iterdir()] == ["letter.txt"]
        (state / "letter.txt").unlink()
        discard(state)
        assert not state.exists()
        discard(state)
