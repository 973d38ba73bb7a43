"""Whoever observes a training sees the weights that each epoch offers, and changes nothing of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import SMALL, Killed, kill_at, same_weights, without_times

from likewise.data import Dataset
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError
from likewise.objective import Multiclass, SupCon
from likewise.training import History, fit
from likewise.training.targets import head_for


class Observer:
    """Keeps what it is told, and what the weights of that moment make of some items."""

    def __init__(self, encoder: Encoder, items: np.ndarray) -> None:
        self.encoder, self.items = encoder, items
        self.told: list[tuple[int, float | None]] = []
        self.embeddings: list[torch.Tensor] = []

    def __call__(self, epoch: int, figure: float | None) -> None:
        torch.manual_seed(1234)  # whatever it does to the global generators is nothing to training
        self.told.append((epoch, figure))
        self.embeddings.append(self.encoder.encode(self.items).embeddings)


def observed(
    parts: tuple[Dataset, Dataset], *, observing: bool = True, validated: bool = True, **changes: object
) -> tuple[Encoder, History, Observer]:
    train, valid = parts
    encoder = Encoder("convnet-small", 8, seed=0)
    observer = Observer(encoder, valid.sources[:40])
    history = fit(
        encoder, train, SupCon(), validation=valid if validated else None, options=replace(SMALL, epochs=3, **changes),
        observe=observer if observing else None,
    )  # fmt: skip
    return encoder, history, observer


@pytest.mark.parametrize("changes", [{}, {"average": 0.9, "augment": "jitter"}, {"precision": "bfloat16"}], ids=str)
def test_weights_are_the_same_bit_for_bit_with_and_without(
    parts: tuple[Dataset, Dataset], changes: dict[str, object]
) -> None:
    with_it, history, _ = observed(parts, **changes)
    without, unobserved, _ = observed(parts, observing=False, **changes)
    assert same_weights(with_it, without)
    assert without_times(history) == without_times(unobserved)


def test_epochs_and_figures_are_those_of_the_history(parts: tuple[Dataset, Dataset]) -> None:
    _, history, observer = observed(parts)
    assert [epoch for epoch, _ in observer.told] == [0, 1, 2, 3]
    assert [figure for _, figure in observer.told[1:]] == [epoch.validation for epoch in history.epochs]
    start = observer.told[0][1]
    assert start is not None
    assert 0.1 < start < 1  # a random network tells digits apart better than chance


def test_a_figure_of_which_less_is_better_is_told_as_people_know_it(parts: tuple[Dataset, Dataset]) -> None:
    _, history, observer = observed(parts, select="eer")
    assert [figure for _, figure in observer.told[1:]] == [epoch.validation for epoch in history.epochs]
    assert all(figure is not None and 0 <= figure <= 1 for _, figure in observer.told)


def test_without_validation_there_is_no_figure(parts: tuple[Dataset, Dataset]) -> None:
    _, _, observer = observed(parts, validated=False)
    assert observer.told == [(0, None), (1, None), (2, None), (3, None)]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_weights_in_place_are_those_that_the_epoch_offers(parts: tuple[Dataset, Dataset], average: float) -> None:
    """The last epoch is kept without validation: what is observed of it is what the encoder ends with."""
    encoder, _, observer = observed(parts, validated=False, average=average)
    assert torch.equal(encoder.encode(observer.items).embeddings, observer.embeddings[-1])
    assert not torch.equal(observer.embeddings[1], observer.embeddings[2])


def test_the_first_observed_are_the_initial_weights(parts: tuple[Dataset, Dataset]) -> None:
    _, _, observer = observed(parts)
    fresh = Encoder("convnet-small", 8, seed=0)
    fresh.unit = True  # as supcon asks for
    fresh.build(observer.encoder.ready())
    # Up to rounding: in training, pixels lie in memory in another order.
    torch.testing.assert_close(fresh.eval().encode(observer.items).embeddings, observer.embeddings[0])


def test_a_resumed_run_is_observed_from_where_it_goes_on(parts: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    def run(*, resume: bool, kill: bool) -> Observer:
        encoder = Encoder("mlp", 8, seed=0)
        observer = Observer(encoder, parts[1].sources[:40])
        fit(
            encoder, parts[0], SupCon(), validation=parts[1], options=replace(SMALL, epochs=4), resume=resume,
            checkpoint=tmp_path / "c", watch=kill_at(3, 2) if kill else None, observe=observer,
        )  # fmt: skip
        return observer

    with pytest.raises(Killed):
        run(resume=False, kill=True)
    resumed = run(resume=True, kill=False)
    assert [epoch for epoch, _ in resumed.told] == [3, 4]


def test_what_goes_wrong_while_observing_is_an_error_and_the_best_epoch_stays(parts: tuple[Dataset, Dataset]) -> None:
    encoder = Encoder("mlp", 8, seed=0)

    def full(epoch: int, _: float | None) -> None:
        if epoch == 2:
            raise DataError("What is saved is written whole or not at all", "a full disk")

    options = replace(SMALL, epochs=3, schedule="constant")
    with pytest.raises(DataError, match="full disk"):
        fit(encoder, parts[0], SupCon(), validation=parts[1], options=options, observe=full)
    one = Encoder("mlp", 8, seed=0)
    fit(one, parts[0], SupCon(), validation=parts[1], options=replace(options, epochs=1))
    assert same_weights(encoder, one)


def test_fixed_stages_are_no_hindrance(
    parts: tuple[Dataset, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path))
    train, valid = parts
    encoder = Encoder("convnet-small", head=head_for(train), preprocessing=Pictures(1, 8, 8), seed=0)
    encoder.fix("pooled")
    observer = Observer(encoder, valid.sources[:40])
    history = fit(encoder, train, Multiclass(), validation=valid, options=replace(SMALL, batch=32), observe=observer)
    assert [figure for _, figure in observer.told[1:]] == [epoch.validation for epoch in history.epochs]
