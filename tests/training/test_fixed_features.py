"""Training above stages that stay as they are: nothing of them changes, and what they give is computed once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import same_weights

from likewise.data import Dataset
from likewise.encoder import Encoder, Pictures
from likewise.objective import Multiclass
from likewise.training import FitOptions, features, fit
from likewise.training.features import fixed_outputs
from likewise.training.targets import head_for

OPTIONS = FitOptions(epochs=3, batch=32, precision="float32", device="cpu", seed=0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items went through the fixed stages, each time they did."""
    found: list[int] = []
    real = Encoder.features

    def counted(self: Encoder, x: torch.Tensor) -> torch.Tensor:
        found.append(len(x))
        return real(self, x)

    monkeypatch.setattr(Encoder, "features", counted)
    return found


def encoder_of(data: Dataset, through: str = "pooled", seed: int = 0) -> Encoder:
    """With batch normalisation, and running figures that are not those of the beginning."""
    encoder = Encoder("convnet-small", head=head_for(data), preprocessing=Pictures(1, 8, 8), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
    encoder.fix(through)
    return encoder


def trained(encoder: Encoder, parts: tuple[Dataset, Dataset], **changes: object) -> Encoder:
    fit(encoder, parts[0], Multiclass(), validation=parts[1], options=replace(OPTIONS, **changes))
    return encoder


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8), np.uint8))


class TestTraining:
    @pytest.mark.parametrize("changes", [{}, {"average": 0.9}, {"augment": "jitter"}], ids=str)
    @pytest.mark.parametrize("through", ["conv2", "pooled"])
    def test_what_is_fixed_stays_bit_for_bit_and_the_rest_moves(
        self, parts: tuple[Dataset, Dataset], through: str, changes: dict[str, object]
    ) -> None:
        encoder = encoder_of(parts[0], through)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        trained(encoder, parts, **changes)
        fixed = encoder.taps[: encoder.taps.index(through) + 1]
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, before[name]) == (name.split(".")[1] in fixed), name

    def test_the_cache_changes_nothing(
        self, parts: tuple[Dataset, Dataset], cache: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = trained(encoder_of(parts[0]), parts)
        assert sorted(computed) == sorted(len(part) for part in parts)  # each item once, in three epochs
        assert len(list(cache.iterdir())) == 2
        computed.clear()
        again = trained(encoder_of(parts[0]), parts)
        assert computed == []  # read, and nothing else
        assert same_weights(first, again)
        monkeypatch.setenv("LIKEWISE_CACHE", str(next(cache.iterdir())))  # a file, in which nothing can be kept
        assert same_weights(first, trained(encoder_of(parts[0]), parts))

    def test_it_is_as_if_the_stages_were_computed_each_time(
        self, parts: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cached = trained(encoder_of(parts[0]), parts)
        plain = encoder_of(parts[0])
        plain.fixed = None  # `fit` then knows of nothing that could be computed once ...
        plain.requires_grad_(False)
        plain.stages["embedding"].requires_grad_(True)
        real = Encoder.train

        def train(self: Encoder, mode: bool = True) -> Encoder:
            real(self, mode)
            for name, stage in self.stages.items():
                stage.train(mode and name == "embedding")  # ... and running figures stay all the same
            return self

        monkeypatch.setattr(Encoder, "train", train)
        trained(plain, parts)
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(cached.state_dict()[name], value, rtol=1e-4, atol=1e-5)

    def test_items_that_change_each_time_are_computed_each_time(
        self, parts: tuple[Dataset, Dataset], computed: list[int]
    ) -> None:
        trained(encoder_of(parts[0]), parts, augment="jitter")
        assert sum(computed) == 3 * len(parts[0]) + len(parts[1])  # but for the validation set


class TestCache:
    def test_what_is_read_is_what_was_computed(self, digits: Dataset, computed: list[int]) -> None:
        encoder = encoder_of(digits)
        first = fixed_outputs(encoder, pixels(300))
        with torch.inference_mode():
            expected = encoder.eval()(pixels(300), ["pooled"])["pooled"]
        torch.testing.assert_close(first, expected)
        computed.clear()
        assert torch.equal(fixed_outputs(encoder, pixels(300)), first)
        assert computed == []

    def test_another_model_or_other_items_have_a_file_of_their_own(self, digits: Dataset, cache: Path) -> None:
        moved = pixels(10)
        moved[4, 0, 2, 2] ^= 1  # one pixel by one
        weights = encoder_of(digits)
        with torch.no_grad():
            weights.stages["conv1"][0].weight[0, 0, 0, 0] += 1e-3
        figures = encoder_of(digits)
        figures.stages["conv4"][1].running_var[0] += 1e-3
        brighter = Encoder(
            "convnet-small", head=head_for(digits), preprocessing=replace(Pictures(1, 8, 8), mean=(0.9,))
        )
        brighter.fix("pooled")
        for encoder, items in (
            (encoder_of(digits), pixels(10)), (encoder_of(digits, "conv4"), pixels(10)), (weights, pixels(10)),
            (figures, pixels(10)), (brighter, pixels(10)), (encoder_of(digits), moved),
            (encoder_of(digits), pixels(10).flip(0)), (encoder_of(digits), pixels(10)[:9]),
        ):  # fmt: skip
            before = len(list(cache.iterdir())) if cache.exists() else 0
            fixed_outputs(encoder, items)
            assert len(list(cache.iterdir())) == before + 1

    def test_the_last_layer_has_no_part_in_it(self, digits: Dataset, cache: Path) -> None:
        first = encoder_of(digits)
        fixed_outputs(first, pixels(10))
        second = first.with_head(head_for(digits.of_identities([0, 1])), seed=9)
        second.fix("pooled")
        fixed_outputs(second, pixels(10))
        assert len(list(cache.iterdir())) == 1

    @pytest.mark.parametrize("damage", [b"", b"no tensors", None], ids=["empty", "others", "half"])
    def test_a_damaged_file_is_computed_anew_and_mended(
        self, digits: Dataset, cache: Path, computed: list[int], damage: bytes | None
    ) -> None:
        encoder = encoder_of(digits)
        expected = fixed_outputs(encoder, pixels(10))
        (file,) = cache.iterdir()
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
        computed.clear()
        assert torch.equal(fixed_outputs(encoder, pixels(10)), expected)
        assert computed == [10]
        assert file.read_bytes() == whole

    def test_a_cache_that_cannot_be_written_costs_time_only(
        self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = fixed_outputs(encoder_of(digits), pixels(10))
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "file"))
        assert torch.equal(fixed_outputs(encoder_of(digits), pixels(10)), expected)
        monkeypatch.delenv("LIKEWISE_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
        assert torch.equal(fixed_outputs(encoder_of(digits), pixels(10)), expected)

    def test_the_oldest_make_room(self, digits: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = encoder_of(digits)
        for age, seed in ((300, 0), (200, 1), (100, 2)):
            before = set(cache.iterdir()) if cache.exists() else set()
            fixed_outputs(encoder, pixels(10, seed))
            (new,) = set(cache.iterdir()) - before
            stamp = new.stat().st_mtime - age
            os.utime(new, (stamp, stamp))
        oldest = min(cache.iterdir(), key=lambda file: file.stat().st_mtime)
        monkeypatch.setattr(features, "KEPT_BYTES", 3 * oldest.stat().st_size)
        kept = set(cache.iterdir()) - {oldest}
        fixed_outputs(encoder, pixels(10, 3))
        assert len(list(cache.iterdir())) == 3
        assert set(cache.iterdir()) > kept
        assert not oldest.exists()
        monkeypatch.setattr(features, "KEPT_BYTES", 10)
        fixed_outputs(encoder, pixels(10, 4))  # too large to be kept: the others stay
        assert len(list(cache.iterdir())) == 3
