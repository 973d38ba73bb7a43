"""Objectives on answers: against loops over the formula and scikit-learn's log_loss; targets that contradict them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import log_loss
from torch import Tensor

from likewise.errors import DataError, UsageError
from likewise.objective import AbsoluteError, AnswerObjective, Multiclass, Multilabel, SquaredError

ITEMS, CLASSES = 30, 4
WEIGHTS = (0.5, 1.0, 2.0, 4.0)  # which float32 holds exactly


def drawn(seed: int) -> Tensor:
    """(ITEMS, CLASSES) numbers."""
    return 2 * torch.randn(ITEMS, CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(seed: int) -> Tensor:
    labels = torch.randint(CLASSES, (ITEMS,), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(labels, CLASSES).double()


def shares(seed: int) -> Tensor:
    """Rows that sum to 1."""
    return drawn(seed).softmax(dim=1)


def holding(seed: int) -> Tensor:
    return (drawn(seed) > 0).double()


def naive_softmax(outputs: Tensor, targets: Tensor, weights: tuple[float, ...]) -> float:
    total = 0.0
    for row, wanted in zip(outputs.tolist(), targets.tolist(), strict=True):
        below = sum(math.exp(value) for value in row)
        for value, share, weight in zip(row, wanted, weights, strict=True):
            total -= weight * share * math.log(math.exp(value) / below)
    return total / len(outputs)


def naive_sigmoid(outputs: Tensor, targets: Tensor, weights: tuple[float, ...]) -> float:
    total = 0.0
    for row, wanted in zip(outputs.tolist(), targets.tolist(), strict=True):
        for value, holds, weight in zip(row, wanted, weights, strict=True):
            p = 1 / (1 + math.exp(-value))
            total -= weight * holds * math.log(p) + (1 - holds) * math.log(1 - p)
    return total / len(outputs)


class TestAgainstAnotherWay:
    def test_softmax_is_the_log_loss_of_scikit_learn(self) -> None:
        outputs, targets = drawn(0), one_hot(1)
        expected = log_loss(targets.argmax(dim=1), outputs.softmax(dim=1).numpy(), labels=range(CLASSES))
        assert Multiclass()(outputs, targets).item() == pytest.approx(expected, rel=1e-12)

    def test_a_sigmoid_is_the_log_loss_of_scikit_learn(self) -> None:
        outputs, targets = drawn(0)[:, :1], holding(1)[:, :1]
        expected = log_loss(targets[:, 0], outputs[:, 0].sigmoid().numpy())
        assert Multilabel()(outputs, targets).item() == pytest.approx(expected, rel=1e-12)

    def test_sigmoids_add_up(self) -> None:
        outputs, targets = drawn(0), holding(1)
        expected = sum(log_loss(targets[:, k], outputs[:, k].sigmoid().numpy()) for k in range(CLASSES))
        assert Multilabel()(outputs, targets).item() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
    @pytest.mark.parametrize("targets", [one_hot(1), shares(1)], ids=["one class", "shares"])
    def test_softmax_against_a_loop(self, targets: Tensor, weights: tuple[float, ...] | None) -> None:
        found = Multiclass(weights)(drawn(0), targets)
        assert found.item() == pytest.approx(naive_softmax(drawn(0), targets, weights or (1.0,) * CLASSES), rel=1e-12)

    @pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
    @pytest.mark.parametrize("targets", [holding(1), drawn(1).sigmoid()], ids=["yes or no", "probabilities"])
    def test_sigmoids_against_a_loop(self, targets: Tensor, weights: tuple[float, ...] | None) -> None:
        found = Multilabel(weights)(drawn(0), targets)
        assert found.item() == pytest.approx(naive_sigmoid(drawn(0), targets, weights or (1.0,) * CLASSES), rel=1e-12)

    def test_two_classes_by_softmax_are_one_sigmoid_of_the_difference(self) -> None:
        outputs, holds = drawn(0)[:, :2], holding(1)[:, :1]
        by_softmax = Multiclass()(outputs, torch.cat([1 - holds, holds], dim=1))
        by_sigmoid = Multilabel()(outputs[:, 1:] - outputs[:, :1], holds)
        torch.testing.assert_close(by_softmax, by_sigmoid)

    @pytest.mark.parametrize("objective", [AbsoluteError(), SquaredError()], ids=lambda o: o.name)
    def test_numbers_against_a_loop(self, objective: AnswerObjective) -> None:
        outputs, targets = drawn(0), drawn(1)
        power = 1 if objective.name == "l1" else 2
        expected = [
            sum(abs(a - b) ** power for a, b in zip(row, wanted, strict=True))
            for row, wanted in zip(outputs.tolist(), targets.tolist(), strict=True)
        ]
        assert objective.losses(outputs, targets).tolist() == pytest.approx(expected, rel=1e-12)
        assert objective(outputs, targets).item() == pytest.approx(sum(expected) / ITEMS, rel=1e-12)


EACH = pytest.mark.parametrize(
    ("objective", "targets"),
    [
        (Multiclass(WEIGHTS), shares), (Multilabel(WEIGHTS), holding), (AbsoluteError(), drawn), (SquaredError(), drawn)
    ],
    ids=["multiclass", "multilabel", "l1", "l2"],
)  # fmt: skip


class TestEach:
    @EACH
    def test_gradients(self, objective: AnswerObjective, targets: Callable[[int], Tensor]) -> None:
        outputs = drawn(0).requires_grad_()
        assert torch.autograd.gradcheck(lambda outputs: objective(outputs, targets(1)), outputs)
        assert (torch.autograd.grad(objective(outputs, targets(1)), outputs)[0] != 0).any(dim=1).all()

    @EACH
    def test_the_loss_is_the_mean_over_the_items(
        self, objective: AnswerObjective, targets: Callable[[int], Tensor]
    ) -> None:
        each = torch.stack([objective(drawn(0)[i : i + 1], targets(1)[i : i + 1]) for i in range(ITEMS)])
        outcome = objective.outcome(drawn(0), targets(1))
        torch.testing.assert_close(outcome.loss, each.mean())
        torch.testing.assert_close(objective.losses(drawn(0), targets(1)), each)
        assert outcome.terms == ITEMS

    @EACH
    def test_shapes_that_do_not_fit(self, objective: AnswerObjective, targets: Callable[[int], Tensor]) -> None:
        for wrong in (targets(1)[:-1], targets(1)[:, :2], targets(1).argmax(dim=1)):
            with pytest.raises(DataError, match=r"outputs \(N, K\) with targets \(N, K\)"):
                objective(drawn(0), wrong)

    @EACH
    def test_what_is_kept_makes_it_again(self, objective: AnswerObjective, targets: Callable[[int], Tensor]) -> None:
        options = objective.options()
        again = type(objective)(**{key: value for key, value in options.items() if key != "name"})
        assert options["name"] == objective.name
        torch.testing.assert_close(again(drawn(0), targets(1)), objective(drawn(0), targets(1)))

    def test_half_precision_outputs_lose_nothing_in_the_logarithm(self) -> None:
        outputs = torch.tensor([[30.0, -30.0]], dtype=torch.bfloat16)
        assert Multiclass()(outputs, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(60)
        assert Multilabel()(outputs, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(60)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(arrays(np.float64, (6, 3), elements=st.floats(-50, 50)), st.floats(-1e3, 1e3))
def test_softmax_does_not_see_what_is_added_to_a_row(values: np.ndarray, added: float) -> None:
    outputs, targets = torch.from_numpy(values), torch.eye(3, dtype=torch.float64).repeat(2, 1)
    expected = Multiclass()(outputs, targets).item()
    assert Multiclass()(outputs + added, targets).item() == pytest.approx(expected, abs=1e-9)


class TestMinimum:
    """Where a constant is all that can be said, the best one is known."""

    def best(self, objective: AnswerObjective, targets: Tensor) -> Tensor:
        said = torch.zeros(1, targets.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([said], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = objective(said.expand(len(targets), -1), targets)
            loss.backward()
            return loss

        optimizer.step(closure)
        return said.detach()[0]

    def test_softmax_finds_the_shares(self) -> None:
        targets = shares(2)
        torch.testing.assert_close(
            self.best(Multiclass(), targets).softmax(dim=0), targets.mean(dim=0), rtol=0, atol=1e-4
        )

    def test_positive_weights_count_as_so_many_items(self) -> None:
        targets = holding(2)
        found = self.best(Multilabel(WEIGHTS), targets).sigmoid()
        for k, weight in enumerate(WEIGHTS):
            holds = float(targets[:, k].sum())
            assert found[k].item() == pytest.approx(weight * holds / (weight * holds + ITEMS - holds), abs=1e-4)

    def test_squares_find_the_mean_and_absolutes_the_median(self) -> None:
        targets = drawn(3).exp()[:29]  # skewed, an odd number of them
        torch.testing.assert_close(self.best(SquaredError(), targets), targets.mean(dim=0))
        middle = targets.median(dim=0).values
        least = AbsoluteError()(middle.expand(29, -1), targets)
        for step in (-1e-3, 1e-3):
            assert AbsoluteError()((middle + step).expand(29, -1), targets) > least
        assert (targets.mean(dim=0) > middle).all()


class TestTargets:
    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ((1.0, 1.0, 0.0, 0.0), "1, 1, 0, 0 in row 7"),
            ((0.0, 0.0, 0.0, 0.0), "0, 0, 0, 0 in row 7"),
            ((1.5, -0.5, 0.0, 0.0), "1.5, -0.5, 0, 0 in row 7"),
            ((0.3, 0.3, 0.3, 0.0), "0.3, 0.3, 0.3, 0 in row 7"),
            ((math.nan, 0.0, 0.0, 1.0), "nan, 0, 0, 1 in row 7"),
        ],
    )
    def test_softmax_refuses_rows_that_are_no_distribution(self, row: tuple[float, ...], said: str) -> None:
        targets = one_hot(1)
        targets[7] = targets[9] = torch.tensor(row)
        with pytest.raises(DataError, match=f"sum to 1 in every row; got {said}. .*multilabel"):
            Multiclass()(drawn(0), targets)

    def test_softmax_takes_shares_that_were_rounded(self) -> None:
        targets = torch.full((2, 3), 0.33333)
        assert Multiclass()(torch.zeros(2, 3), targets).item() == pytest.approx(math.log(3), rel=1e-4)

    def test_softmax_of_one_class_says_nothing(self) -> None:
        with pytest.raises(DataError, match="2 classes or more apart; got 1"):
            Multiclass()(torch.zeros(2, 1), torch.ones(2, 1))

    @pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, math.inf])
    def test_sigmoids_refuse_what_is_no_probability(self, bad: float) -> None:
        targets = holding(1)
        targets[4, 2] = bad
        with pytest.raises(DataError, match=rf"from 0 to 1; got .*{bad:g}.* in row 4. .*regression"):
            Multilabel()(drawn(0), targets)

    @pytest.mark.parametrize("objective", [AbsoluteError(), SquaredError()], ids=lambda o: o.name)
    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_numbers_are_finite(self, objective: AnswerObjective, bad: float) -> None:
        targets = drawn(1)
        targets[4, 2] = bad
        with pytest.raises(DataError, match=rf"finite numbers; got .*{bad:g}.* in row 4\."):
            objective(drawn(0), targets)

    def test_what_holds_for_several_is_for_sigmoids(self) -> None:
        both = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
        Multilabel.check_targets(both)
        with pytest.raises(DataError):
            Multiclass.check_targets(both)

    def test_items_that_have_names_are_called_by_them(self) -> None:
        both = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        with pytest.raises(DataError, match=r"got 1, 1 for 'b\.png'\."):
            Multiclass.check_targets(both, ["a.png", "b.png"])


class TestWeights:
    @pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
    def test_which_are_no_weights(self, bad: float) -> None:
        for objective in (Multiclass, Multilabel):
            with pytest.raises(UsageError, match="A class counts 0 or more"):
                objective([1.0, bad])

    def test_nothing_is_a_weight_for_classes_only(self) -> None:
        outputs, targets = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.eye(2)
        expected = -float(outputs[0].log_softmax(dim=0)[0]) / 2  # the second row counts nothing
        assert Multiclass([1.0, 0.0])(outputs, targets).item() == pytest.approx(expected)
        with pytest.raises(UsageError, match="A positive weight is above 0; got 1, 0"):
            Multilabel([1.0, 0.0])
