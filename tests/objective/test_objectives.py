from __future__ import annotations

import json

import pytest
import torch

from likewise.errors import UsageError
from likewise.objective import DISTANCES, MINERS
from likewise.objective.objective import Objective
from likewise.objective.objectives import OBJECTIVES, make_objective

DIM, CLASSES = 6, 4
names = pytest.mark.parametrize("name", OBJECTIVES)


def made(name: str, seed: int = 0) -> Objective:
    return make_objective(name, dim=DIM, classes=CLASSES, seed=seed)


def test_the_names_the_command_line_takes() -> None:
    assert list(OBJECTIVES) == [
        "contrastive", "bce", "concatenated", "triplet", "soft-triplet", "softmax-triplet",
        "softmax", "arcface", "cosface", "supcon",
    ]  # fmt: skip
    assert all(made(name).options()["name"] == made(name).name == name for name in OBJECTIVES)


@names
def test_each_pulls_identities_apart(batch, name: str) -> None:
    # Embeddings trained directly: afterwards everyone's nearest, by the objective's own distance, is of one's identity.
    embeddings, labels = batch([0, 1, 2, 3] * 8, dim=DIM, seed=1)
    embeddings = torch.nn.Parameter(embeddings.float())
    objective = made(name)
    optimizer = torch.optim.Adam([embeddings, *objective.parameters()], lr=0.05)
    generator = torch.Generator().manual_seed(0)

    def right() -> float:
        shown = torch.nn.functional.normalize(embeddings) if objective.unit else embeddings
        with torch.no_grad():
            apart = objective.distance.between(shown, shown).fill_diagonal_(torch.inf)
        return float((labels[apart.argmin(dim=1)] == labels).float().mean())

    before = right()
    for _ in range(150):
        shown = torch.nn.functional.normalize(embeddings) if objective.unit else embeddings
        optimizer.zero_grad()
        objective.outcome(shown, labels, generator).loss.backward()
        optimizer.step()
    assert before < 0.9
    assert right() == 1.0


@names
def test_same_generator_same_outcome_and_no_global_state(batch, name: str) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 4, dim=DIM)
    state = torch.get_rng_state()
    losses = [
        made(name, seed).outcome(embeddings.float(), labels, torch.Generator().manual_seed(draws)).loss.item()
        for seed, draws in ((0, 0), (0, 0))
    ]
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), state)


@names
def test_bfloat16_and_autocast_do_not_coarsen_the_loss(batch, name: str) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 4, dim=DIM)
    low, objective = embeddings.bfloat16(), made(name)
    expected = objective.outcome(low.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = objective.outcome(low.requires_grad_(), labels)
    assert found.loss.dtype == torch.float32
    assert tuple(found) == tuple(expected)
    found.loss.backward()
    assert low.grad is not None
    assert low.grad.isfinite().all()


@pytest.mark.parametrize("labels", [[], [0, 0, 0], [0, 1, 2]])
@names
def test_a_batch_without_terms_is_not_silent(batch, name: str, labels: list[int]) -> None:
    objective = made(name)
    if objective.batches == "item" and labels:
        pytest.skip("a class head learns from any item")
    embeddings, drawn = batch(labels, dim=DIM)
    outcome = objective.outcome(embeddings.float().requires_grad_(), drawn)
    outcome.loss.backward()
    assert (outcome.loss.item(), outcome.terms, outcome.active) == (0.0, 0, 0)


@names
def test_equal_embeddings_give_finite_gradients(name: str) -> None:
    for value in (0.0, 0.3):
        embeddings = torch.full((8, DIM), value, requires_grad=True)
        made(name).outcome(embeddings, torch.arange(8) % CLASSES).loss.backward()
        assert embeddings.grad is not None
        assert embeddings.grad.isfinite().all()


@names
def test_options_are_json_and_the_distance_can_be_saved(name: str) -> None:
    objective = made(name)
    assert json.loads(json.dumps(objective.options())) == objective.options()
    again = DISTANCES[objective.distance.name](**objective.distance.options())
    again.load_state_dict(objective.distance.state_dict())


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("name", ["triplet", "soft-triplet", "softmax-triplet"])
def test_every_miner_goes_with_every_triplet_loss(batch, name: str, miner: str) -> None:
    objective = make_objective(name, dim=DIM, classes=CLASSES, miner=miner)
    assert objective.options()["miner"]["name"] == miner
    assert objective.outcome(*batch([0, 1, 2, 3] * 4, dim=DIM)).terms > 0


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", ["contrastive", "bce", "soft-triplet", "softmax-triplet"])
def test_every_distance_goes_with_the_losses_that_take_one(batch, name: str, distance: str) -> None:
    objective = make_objective(name, dim=DIM, classes=CLASSES, distance=distance)
    assert objective.distance.name == objective.options()["distance"] == distance
    embeddings, labels = batch([0, 1, 2, 3] * 4, dim=DIM)
    outcome = objective.outcome(embeddings.float().requires_grad_(), labels)
    outcome.loss.backward()
    assert outcome.terms > 0


def test_margins_reach_the_loss() -> None:
    for name in ("contrastive", "triplet", "arcface", "cosface"):
        assert make_objective(name, dim=DIM, classes=CLASSES, margin=0.125).options()["margin"] == 0.125


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tripletloss", {}, r"A loss is one of contrastive, .*supcon, pml:Name; got 'tripletloss'"),
        ("triplet", {"dim": 0}, "at least 1 dimension; got 0"),
        ("triplet", {"margin": 0.0}, r"A margin is greater than 0; got 0\.0"),
        ("triplet", {"miner": "semihard"}, "A miner is one of random, all-valid, hardest, semi-hard; got 'semihard'"),
        ("bce", {"distance": "l2"}, "A distance is one of euclidean, .*; got 'l2'"),
        (
            "softmax",
            {"margin": 0.2},
            "--margin goes with contrastive, triplet, arcface, cosface; got --margin with softmax",
        ),
        (
            "supcon",
            {"miner": "random"},
            "--miner goes with triplet, soft-triplet, softmax-triplet; got --miner with supcon",
        ),
        ("triplet", {"distance": "l1"}, "--distance goes with .*; got --distance with triplet"),
        ("arcface", {"classes": 1}, "at least 2 classes apart; got 1"),
        ("pml:NoSuchLoss", {}, "got 'NoSuchLoss'"),
        ("pml:NTXentLoss", {"miner": "random"}, "got --miner with pml:NTXentLoss"),
    ],
)
def test_impossible_options_are_refused_in_one_line(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        make_objective(name, **{"dim": DIM, "classes": CLASSES, **options})
    assert "\n" not in str(caught.value)
