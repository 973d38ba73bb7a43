"""Options of fit: each does what it says, and impossible ones are refused before anything is trained."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import SMALL, kill_at, trained, without_times

from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Pictures
from likewise.errors import CollapseWarning, UsageError
from likewise.objective import (
    Contrastive,
    SoftmaxTripletLoss,
    SupCon,
    TripletLoss,
    make_objective,
)
from likewise.training import FitOptions, choose_device, choose_precision, fit


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
            ({"seed": 2**32}, "seed is at least 0 and below 4,294,967,296"),
            ({"optimizer": "adagrad"}, "optimizer is one of adam, adamw, rmsprop, sgd"),
            ({"schedule": "step"}, "schedule is one of"),
            ({"precision": "float16"}, "precision is one of"),
            ({"select": "accuracy"}, "select is one of"),
            ({"augment": "nosuch"}, "An augmentation is one of none, jitter"),
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

    @pytest.mark.parametrize(
        "optimizer",
        [pytest.param("adam", marks=pytest.mark.slow), "adamw", pytest.param("rmsprop", marks=pytest.mark.slow), "sgd"],
    )
    def test_no_optimizer_collapses_at_its_usual_learning_rate(self, digits: Dataset, optimizer: str) -> None:
        train, valid = digits.split(0.6, 0.2, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, history = trained(
                train, valid, TripletLoss(), encoder=Encoder("convnet-small", 32), optimizer=optimizer, epochs=6,
                batch=None,
            )  # fmt: skip
        assert history.epochs[-1].validation > 0.95
        assert history.epochs[-1].loss < 0.1 * history.epochs[0].loss

    def test_weights_decay_and_biases_do_not(self, parts: tuple[Dataset, Dataset]) -> None:
        """Decoupled decay alone: a step of adamw with a gradient of zero scales weights by 1 - lr x decay."""
        flat = arrays(np.full((40, 8, 8), 100, np.uint8), np.repeat(np.arange(4), 10))
        encoder = Encoder("mlp", 8, seed=0)
        encoder.build(Pictures(1, 8, 8))
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
        shape = Pictures(1, 8, 8) if shaped else None
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


class TestPrecision:
    def test_bfloat16_learns_too_and_its_loss_is_computed_in_float32(self, parts: tuple[Dataset, Dataset]) -> None:
        seen: list[tuple[torch.dtype, float]] = []
        objective = SupCon()
        inner = objective._outcome

        def watched(embeddings: torch.Tensor, *rest: object) -> object:
            lengths = embeddings.detach().norm(dim=1)
            seen.append((embeddings.dtype, float((lengths - 1).abs().max())))
            return inner(embeddings, *rest)

        objective._outcome = watched
        encoder, history = trained(*parts, objective, precision="bfloat16", epochs=6)
        assert history.precision == encoder.trained["precision"] == "bfloat16"
        assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss
        assert {dtype for dtype, _ in seen} == {torch.float32}
        assert max(off for _, off in seen) < 1e-5  # and lengths are 1, not 1 +- 0.004
        assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())
        assert encoder.encode(parts[1].sources).embeddings.dtype == torch.float32

    def test_the_network_does_run_in_bfloat16(self, parts: tuple[Dataset, Dataset]) -> None:
        for precision, expected in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
            encoder = Encoder("mlp", 8, preprocessing=Pictures(1, 8, 8))
            seen: set[torch.dtype] = set()
            encoder.stages["embedding"].register_forward_hook(
                lambda module, _, out, seen=seen: seen.add(out.dtype) if module.training else None
            )
            trained(*parts, encoder=encoder, precision=precision, epochs=1)
            assert seen == {expected}

    def test_what_is_asked_for_is_what_is_used(self) -> None:
        cpu = choose_device("cpu")
        assert choose_precision("float32", cpu) == "float32"
        assert choose_precision("bfloat16", cpu) == "bfloat16"
        assert choose_precision("auto", cpu) in ("float32", "bfloat16")
        assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("steps", "epochs"), [(1, 60), (20, 50), (30, 34), (100, 10), (5000, 10)])
def test_small_sets_get_more_epochs_unless_told(steps: int, epochs: int) -> None:
    assert FitOptions().epochs_for(steps) == epochs
    assert FitOptions(epochs=3).epochs_for(steps) == 3


def test_a_small_set_is_trained_for_many_steps(parts: tuple[Dataset, Dataset]) -> None:
    seen: list[int] = []
    _, history = trained(parts[0], epochs=None, batch=None, watch=lambda step: seen.append(step.epochs))
    assert set(seen) == {len(history.epochs)} == {60}  # 200 items in batches of 32
    assert len(seen) == 60 * 6
