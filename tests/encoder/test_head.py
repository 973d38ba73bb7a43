"""Heads: what outputs mean, how they are kept; stages that stay as they are, and a new last layer above them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likewise.encoder import Encoder, Head, HeadKind, Pictures
from likewise.errors import ModelError, UsageError
from likewise.objective.distances import make_distance

HEADS = {
    "binary": Head("binary", ("day", "night")),
    "multiclass": Head("multiclass", ("a", "b", "c")),
    "multilabel": Head("multilabel", ("wet", "cold")),
    "regression": Head("regression", ("age", "weight"), (40.0, 70.0), (10.0, 5.0)),
}
EACH = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
SMALL = Pictures(1, 8, 8)


def drawn(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), np.uint8))


class TestAnswers:
    def test_of_two_classes(self) -> None:
        found = HEADS["binary"].answers(torch.tensor([[0.0], [math.log(3)], [-800.0]]))
        np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], atol=1e-7)

    def test_of_several_classes(self) -> None:
        outputs = [0.3, -1.2, 2.0]
        shares = [math.exp(value) / sum(map(math.exp, outputs)) for value in outputs]
        found = HEADS["multiclass"].answers(torch.tensor([outputs], dtype=torch.float64))
        np.testing.assert_allclose(found, [shares], rtol=1e-12)

    def test_of_several_at_once(self) -> None:
        found = HEADS["multilabel"].answers(torch.tensor([[0.0, math.log(3)], [40.0, 40.0]]))
        np.testing.assert_allclose(found, [[0.5, 0.75], [1.0, 1.0]], atol=1e-7)  # both may hold

    def test_of_numbers_and_back(self) -> None:
        head = HEADS["regression"]
        found = head.answers(torch.tensor([[0.0, 0.0], [1.0, -2.0]]))
        assert found.tolist() == [[40, 70], [50, 60]]
        assert head.scaled(found).tolist() == [[0, 0], [1, -2]]

    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_targets_of_classes_stay_as_they_are(self, kind: HeadKind) -> None:
        targets = torch.tensor([[0.25, 1.0, 0.0]])
        assert torch.equal(HEADS[kind].scaled(targets), targets)

    @EACH
    def test_as_many_as_there_are_names(self, head: Head) -> None:
        assert head.outputs == (1 if head.kind == "binary" else len(head.names))
        assert head.answers(torch.zeros(5, head.outputs)).shape == (5, len(head.names))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("ranking", ("a", "b")), "one of binary, multiclass, multilabel, regression, detect; got 'ranking'"),
        (("binary", ("a",)), "has 2 classes; got 1"),
        (("binary", ("a", "b", "c")), "has 2 classes; got 3"),
        (("multiclass", ("a",)), "has 2 classes or more; got 1"),
        (("multilabel", ()), "has a name or more; got 0"),
        (("multiclass", ("a", "b", "a")), "unlike each other; got a, b, a"),
        (("regression", ("a",)), "a mean and a spread above 0"),
        (("regression", ("a",), (0.0,), (0.0,)), "a mean and a spread above 0"),
        (("regression", ("a",), (0.0,), (math.nan,)), "a mean and a spread above 0"),
        (("regression", ("a", "b"), (0.0,), (1.0,)), "a mean and a spread above 0"),
        (("multiclass", ("a", "b"), (0.0, 0.0), (1.0, 1.0)), "and no other, has a mean"),
    ],
    ids=str,
)
def test_what_is_no_head(values: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Head(*values)


class TestKept:
    @EACH
    def test_as_json(self, head: Head) -> None:
        assert Head.from_dict(json.loads(json.dumps(head.as_dict()))) == head

    @EACH
    def test_in_the_architecture(self, head: Head, tmp_path: Path) -> None:
        encoder = Encoder("mlp", head=head, preprocessing=SMALL, seed=3).eval()
        assert encoder.dim == head.outputs
        encoder.write_parameters(tmp_path)
        again = Encoder.read(json.loads(json.dumps(encoder.architecture())), tmp_path)
        assert again.head == head
        assert again.fingerprint() == encoder.fingerprint()
        assert torch.equal(again.embed(drawn(4)), encoder.embed(drawn(4)))

    def test_other_names_make_another_model(self) -> None:
        first, second = (
            Encoder("mlp", head=Head("multiclass", names), preprocessing=SMALL) for names in (("a", "b"), ("b", "a"))
        )
        assert first.fingerprint() != second.fingerprint()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda head: head.pop("names"), lambda head: head.pop("kind"), lambda head: head.pop("std"),
            lambda head: head.update(kind="ranking"), lambda head: head.update(kind=["multiclass"]),
            lambda head: head.update(names=["a"]), lambda head: head.update(names=3),
            lambda head: head.update(names=["a", "a", "b"]), lambda head: head.update(mean=["much"]),
            lambda head: head.update(std=None), lambda head: head.update(mean=[1.0], std=[1.0]),
        ],
    )  # fmt: skip
    def test_a_damaged_one_is_refused(self, damage: Callable[[dict[str, Any]], object]) -> None:
        architecture = Encoder("mlp", head=HEADS["multiclass"], preprocessing=SMALL).architecture()
        damage(architecture["head"])
        with pytest.raises(ModelError, match="The head of a model is complete") as caught:
            Encoder.from_architecture(architecture)
        assert "\n" not in str(caught.value)

    def test_one_that_contradicts_the_rest_is_refused(self) -> None:
        architecture = Encoder("mlp", head=HEADS["multiclass"], preprocessing=SMALL).architecture()
        architecture["head"]["names"].append("d")
        with pytest.raises(ModelError, match="4 outputs"):
            Encoder.from_architecture(architecture)
        del architecture["head"]
        with pytest.raises(ModelError):
            Encoder.from_architecture(architecture)

    def test_as_many_dimensions_as_outputs(self) -> None:
        with pytest.raises(UsageError, match="has 3 outputs; got dim=5"):
            Encoder("mlp", 5, head=HEADS["multiclass"])
        assert Encoder("mlp", 3, head=HEADS["multiclass"]).dim == 3


def test_the_linear_backbone_is_one_matrix() -> None:
    encoder = Encoder("linear", head=HEADS["multiclass"], preprocessing=SMALL, seed=1).eval()
    assert encoder.taps == ("pixels", "embedding")
    assert encoder.parameters_count == 3 * 64 + 3
    (weight, bias), items = encoder.parameters(), drawn(5)
    seen = encoder.features(items).flatten(1)
    torch.testing.assert_close(encoder.embed(items), seen @ weight.detach().T + bias.detach())


class TestFixed:
    """Of a network with batch normalisation; a step of training moves all that may move."""

    def step(self, encoder: Encoder) -> dict[str, torch.Tensor]:
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        encoder.train()
        moving = [p for p in encoder.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(moving, lr=0.01, weight_decay=0.1)
        encoder(drawn(16)).square().mean().backward()
        optimizer.step()
        return before

    @pytest.mark.parametrize("through", ["conv1", "conv3", "pooled"])
    def test_stages_up_to_a_tap_stay_bit_for_bit(self, through: str) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=SMALL)
        encoder.fix(through)
        before = self.step(encoder)
        fixed = encoder.taps[: encoder.taps.index(through) + 1]
        for name, value in encoder.state_dict().items():
            stays = name.split(".")[1] in fixed
            assert torch.equal(value, before[name]) == stays, name

    def test_without_it_all_move(self) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=SMALL)
        before = self.step(encoder)
        assert not any(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())

    def test_the_mode_of_the_others_follows(self) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=SMALL)
        encoder.fix("conv2")
        for mode in (True, False, True):
            encoder.train(mode)
            assert {name: stage.training for name, stage in encoder.stages.items()} == {
                name: mode and name not in ("conv1", "conv2") for name in encoder.taps
            }

    @pytest.mark.parametrize("through", ["embedding", "nosuch"])
    def test_what_cannot_be_fixed(self, through: str) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=SMALL)
        with pytest.raises(UsageError, match=f"conv1, .*pooled; got '{through}'"):
            encoder.fix(through)
        assert encoder.fixed is None

    @pytest.mark.parametrize("after", ["conv1", "conv3", "pooled"])
    def test_from_a_tap_on_is_the_rest_of_the_way(self, after: str) -> None:
        encoder = Encoder("convnet-small", 4, preprocessing=SMALL, unit=True).eval()
        with torch.inference_mode():
            whole = encoder(drawn(6), [after, "pooled", "embedding"])
            rest = encoder.from_features(whole[after], after=after)
            torch.testing.assert_close(rest, whole["embedding"])  # another layout of memory rounds differently
            if after != "pooled":
                part = encoder.from_features(whole[after], ["pooled"], after=after)
                assert list(part) == ["pooled"]
                torch.testing.assert_close(part["pooled"], whole["pooled"])


class TestWithHead:
    def before(self, **options: Any) -> Encoder:
        return Encoder("convnet-small", 16, preprocessing=SMALL, seed=1, **options).eval()

    @EACH
    def test_stages_are_the_same_and_the_last_layer_is_new(self, head: Head) -> None:
        before = self.before()
        for stage in before.modules():
            if isinstance(stage, torch.nn.BatchNorm2d):  # running figures are kept too
                stage.running_mean.copy_(torch.randn(stage.running_mean.shape, generator=torch.manual_seed(0)))
        after = before.with_head(head, seed=5)
        assert (after.head, after.dim, after.backbone) == (head, head.outputs, before.backbone)
        with torch.inference_mode():
            ours, theirs = before(drawn(6), ["pooled", "embedding"]), after(drawn(6), ["pooled", "embedding"])
        assert torch.equal(ours["pooled"], theirs["pooled"])
        assert theirs["embedding"].shape == (6, head.outputs)
        fresh = Encoder("convnet-small", head=head, preprocessing=SMALL, seed=5).state_dict()
        for name in ("stages.embedding.weight", "stages.embedding.bias"):
            assert torch.equal(after.state_dict()[name], fresh[name])

    def test_the_first_encoder_is_not_changed(self) -> None:
        before = self.before()
        fingerprint = before.fingerprint()
        after = before.with_head(HEADS["multiclass"])
        with torch.no_grad():
            for parameter in after.parameters():
                parameter.zero_()
        assert before.fingerprint() == fingerprint

    def test_a_distance_with_weights_of_its_own_is_left_behind(self) -> None:
        after = self.before(distance=make_distance("weighted-l1", 16)).with_head(HEADS["binary"])
        assert after.distance.name == "euclidean"

    def test_of_an_encoder_that_has_no_shape_yet(self) -> None:
        with pytest.raises(UsageError, match="knows the shape"):
            Encoder("mlp").with_head(HEADS["binary"])
