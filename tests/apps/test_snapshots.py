"""The path of a training: layouts that stay, snapshots that survive, pictures and a page of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.apps.map.layouts import _neighbours, layout
from likewise.apps.map.metric import prepared
from likewise.apps.snapshots import Recorder, aligned, movement, path_of
from likewise.apps.snapshots.layouts import pulls
from likewise.data import Dataset, arrays, folder
from likewise.encoder import Encoder, Head, Pictures
from likewise.errors import DataError
from likewise.objective import Multiclass, Multilabel, SquaredError, SupCon
from likewise.training import FitOptions, History, fit
from likewise.training.targets import head_for

QUICK = FitOptions(epochs=3, batch=64, precision="float32", device="cpu", seed=0)


@pytest.fixture(scope="module")
def few(digit_arrays: tuple[np.ndarray, np.ndarray]) -> Dataset:
    return arrays(digit_arrays[0][:160], digit_arrays[1][:160], origin="few digits")


def clouds(seed: int = 0, items: int = 90, apart: float = 6.0) -> torch.Tensor:
    """(items, 16) in three clouds."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(items, 16)) + apart * np.eye(16)[np.arange(items) % 3]).float()


class TestLayout:
    @pytest.mark.parametrize("items", [20, 90])
    def test_pulls_are_those_of_umap(self, items: int) -> None:
        from umap.umap_ import fuzzy_simplicial_set

        rows = prepared(clouds(items=items), "correlation")
        indices, distances = _neighbours(rows, 15)
        expected = fuzzy_simplicial_set(
            rows.numpy(), 15, np.random.RandomState(0), "euclidean",
            knn_indices=indices, knn_dists=distances**2 / 2,
        )[0].toarray()  # fmt: skip
        found, made = np.zeros_like(expected), pulls(rows)
        found[made.heads, made.tails] = made.weights
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_the_curve_is_that_of_umap(self) -> None:
        from umap.umap_ import find_ab_params

        from likewise.apps.snapshots import layouts

        assert pytest.approx(find_ab_params(1.0, layouts.MIN_DIST), abs=1e-6) == (layouts.A, layouts.B)

    def test_movement_is_the_way_as_a_share_of_the_spread(self) -> None:
        square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
        moved = square + np.array([3, 4], np.float32)
        times = np.stack([square, moved, moved])
        assert movement(times) == pytest.approx((5 / np.sqrt(2) + 0) / 2)
        assert movement(10 * times) == pytest.approx(movement(times))
        assert movement(times[:1]) == 0

    def test_what_stays_the_same_stays_where_it_is(self) -> None:
        found = aligned([clouds()] * 5)
        assert found.movement < 0.03
        apart = np.stack([layout(clouds(), seed=seed).points for seed in range(3)])
        assert movement(apart) > 0.1  # as UMAP by itself would have it

    def test_an_order_of_numbers_that_changes_is_no_change(self) -> None:
        """Correlation does not ask in which order the numbers of all embeddings come."""
        rng = np.random.default_rng(0)
        found = aligned([clouds()[:, rng.permutation(16)] for _ in range(5)])
        assert found.movement < 0.2
        assert min(found.trustworthiness) > 0.8

    def test_every_time_is_laid_out_as_truly_as_alone(self) -> None:
        """Three clouds that come apart in six steps."""
        embeddings = [clouds(apart=apart) for apart in (0, 1, 2, 3, 5, 8)]
        found = aligned(embeddings)
        alone = [layout(one).trustworthiness for one in embeddings]
        for together, own in zip(found.trustworthiness, alone, strict=True):
            assert together > own - 0.04
        points, of = found.points[-1], np.arange(90) % 3
        middles = np.stack([points[of == k].mean(axis=0) for k in range(3)])
        nearest = np.linalg.norm(points[:, None] - middles, axis=2).argmin(axis=1)
        assert (nearest == of).all()

    def test_a_seed_repeats(self) -> None:
        first, again, other = (aligned([clouds(), clouds(1)], seed=seed).points for seed in (3, 3, 4))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize(
        "embeddings",
        [
            [torch.zeros(20, 4)] * 3, [torch.ones(4, 3), clouds(items=4)[:, :3]], [clouds(items=2)] * 2,
            [clouds(items=30)[:, :1]] * 2, [clouds(items=30)], [clouds(items=40)[torch.arange(40) // 2]] * 2,
        ],
        ids=["alike", "four", "two", "one number", "one time", "doubles"],
    )  # fmt: skip
    def test_odd_cases_are_finite(self, embeddings: list[torch.Tensor]) -> None:
        found = aligned(embeddings)
        assert found.points.shape == (len(embeddings), len(embeddings[0]), 2)
        assert np.isfinite(found.points).all()
        assert np.isfinite(found.movement)


def recorded(
    data: Dataset, kept: Path | None = None, *, head: Head | None = None, epochs: int = 3, resume: bool = False
) -> tuple[Recorder, Encoder, History]:
    how = Pictures(1, 8, 8)
    encoder = Encoder("convnet-small", None if head else 8, head=head, preprocessing=how, seed=0)
    of_kind = {"multiclass": Multiclass, "binary": Multilabel, "multilabel": Multilabel, "regression": SquaredError}
    objective = SupCon() if head is None else of_kind[head.kind]()
    recorder = Recorder(encoder, data, kept, seed=0, resume=resume)
    history = fit(
        encoder, data, objective, validation=data, options=replace(QUICK, epochs=epochs), observe=recorder,
        checkpoint=kept, resume=resume,
    )  # fmt: skip
    return recorder, encoder, history


class TestRecorder:
    def test_a_snapshot_is_what_the_weights_say(self, few: Dataset) -> None:
        recorder, encoder, _ = recorded(few)
        assert sorted(recorder.taken) == [0, 1, 2, 3]
        last = recorder.taken[3]
        found = encoder.encode(recorder.items.sources).embeddings
        torch.testing.assert_close(last.embeddings, found, atol=1e-5, rtol=1e-4)
        distances = torch.cdist(found, found).fill_diagonal_(torch.inf)
        chosen = distances.gather(1, last.said[:, None])[:, 0]
        torch.testing.assert_close(chosen, distances.min(dim=1).values, atol=1e-4, rtol=1e-3)

    def test_at_most_so_many_items_chosen_by_the_seed(self, digits: Dataset) -> None:
        encoder = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        one, same, other = (Recorder(encoder, digits, None, seed=seed, resume=False).items for seed in (0, 0, 1))
        assert len(one) == 500
        np.testing.assert_array_equal(one.sources, same.sources)
        assert not np.array_equal(one.sources, other.sources)

    def test_they_are_kept_on_disk_once_an_epoch_is_done(self, few: Dataset, tmp_path: Path) -> None:
        encoder = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        recorder = Recorder(encoder, few, tmp_path, seed=0, resume=False)
        recorder(0, 0.25)
        assert not (tmp_path / "snapshots").exists()
        recorder(1, None)
        again = Recorder(encoder, few, tmp_path, seed=0, resume=True)
        assert sorted(again.taken) == [0, 1]
        assert (again.taken[0].figure, again.taken[1].figure) == (0.25, None)
        for epoch in (0, 1):
            assert torch.equal(again.taken[epoch].embeddings, recorder.taken[epoch].embeddings)
            assert torch.equal(again.taken[epoch].said, recorder.taken[epoch].said)
        Recorder(encoder, few, tmp_path, seed=0, resume=False)(0, None)  # a new run begins with none
        assert not (tmp_path / "snapshots").exists()

    def test_damaged_ones_are_told_before_training(self, few: Dataset, tmp_path: Path) -> None:
        (tmp_path / "snapshots").mkdir()
        (tmp_path / "snapshots" / "00001.safetensors").write_bytes(b"nothing")
        encoder = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        with pytest.raises(DataError, match=r"00001\.safetensors.*Delete the file"):
            Recorder(encoder, few, tmp_path, seed=0, resume=True)

    def test_unreadable_items_are_left_out(self, digit_folder: Path, tmp_path: Path) -> None:
        data = folder(digit_folder).subset(np.arange(20))
        (tmp_path / "broken.png").write_bytes(b"no picture")
        broken = Dataset((*data.sources, tmp_path / "broken.png"), (*data.files, "broken.png"),
                         np.append(data.labels, 0), data.names)  # fmt: skip
        recorder = Recorder(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8)), broken, None, seed=0, resume=False)
        recorder(0, None)
        assert len(recorder.items) == len(recorder.taken[0].embeddings) == 20
        assert [file for file, _ in recorder.skipped] == ["broken.png"]


class TestPath:
    def test_of_embeddings(self, few: Dataset, tmp_path: Path) -> None:
        recorder, encoder, history = recorded(few)
        path = path_of(recorder, encoder, history)
        assert path is not None
        assert path.epochs == (0, 1, 2, 3)
        assert path.figures[1:] == tuple(epoch.validation for epoch in history.epochs)
        assert path.layout.points.shape == (4, 160, 2)
        for place, epoch in enumerate(path.epochs):
            near = few.labels[recorder.taken[epoch].said.numpy()]
            assert [path.texts[k] for k in path.said[place]] == [f"nearest to {few.names[k]}" for k in near]
            np.testing.assert_array_equal(path.wrong[place], near != few.labels)
        assert path.wrong[-1].sum() < path.wrong[0].sum()
        assert path.named(0) == "start"
        assert path.named(3) == "epoch 3 of 3"
        assert f"{path.wrong[0].sum()} taken for others" in path.caption(0)
        assert f"P@1 {history.epochs[-1].validation:.1%} on all of it" in path.caption(3)

    @pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel", "regression"])
    def test_of_answers(self, few: Dataset, kind: str) -> None:
        rng = np.random.default_rng(0)
        data = few.subset(np.arange(120))
        if kind == "binary":
            data = arrays(data.sources, np.where(data.labels < 5, "low", "high"))
        elif kind != "multiclass":
            two = np.stack([data.labels > 4, data.labels % 2], axis=1)
            columns = two if kind == "multilabel" else rng.random((120, 1))
            data = replace(data, targets=columns.astype(np.float32), target_names=("large", "odd")[: columns.shape[1]])
        recorder, encoder, history = recorded(data, head=head_for(data, kind if kind == "binary" else None))
        path = path_of(recorder, encoder, history)
        assert path is not None
        assert path.layout.points.shape == (4, 120, 2)
        assert ("calibration" in path.caption(3)) == (kind == "multilabel")
        last = encoder.encode(data.sources).embeddings
        values = encoder.head.answers(last).numpy()
        text = [path.texts[k] for k in path.said[-1]]
        if kind == "regression":
            assert not path.wrong.any()
            assert text[7].startswith("large ")
            assert float(text[7].split()[1]) == pytest.approx(values[7, 0], abs=1e-3)
            assert len(path.names) == 5
            assert np.bincount(path.labels).min() >= 20
        elif kind == "multilabel":
            holds = values >= 0.5
            np.testing.assert_array_equal(path.wrong[-1], (holds != (data.targets > 0)).any(axis=1))
            assert set(path.names) <= {"large", "odd", "large + odd", "none"}
            assert "a class holds from 50% on, as before calibration" in path.caption(3)
        else:
            said = [encoder.head.names[k] for k in values.argmax(axis=1)]
            assert [one.split(",")[0] for one in text] == said
            np.testing.assert_array_equal(
                path.wrong[-1], [a != data.names[b] for a, b in zip(said, data.labels, strict=True)]
            )

    def test_of_a_linear_model_the_outputs_are_laid_out(self, few: Dataset) -> None:
        encoder = Encoder("linear", head=head_for(few), preprocessing=Pictures(1, 8, 8))
        recorder = Recorder(encoder, few, None, seed=0, resume=False)
        recorder(0, None)
        assert recorder.taken[0].embeddings.shape == (160, 10)
        assert torch.equal(recorder.taken[0].embeddings, recorder.taken[0].said)

    def test_it_is_written(self, few: Dataset, tmp_path: Path) -> None:
        recorder, encoder, history = recorded(few)
        path = path_of(recorder, encoder, history)
        assert path is not None
        files = path.write(tmp_path)
        assert [file.name for file in files] == ["path.webp", "path.html"]
        with Image.open(files[0]) as moving:
            assert moving.is_animated
            assert moving.size == (720, 500)
            assert moving.n_frames >= 4
            frames = []
            for place in range(moving.n_frames):
                moving.seek(place)
                frames.append(np.asarray(moving.convert("RGB")).astype(int))
        assert np.abs(frames[0] - frames[-1]).mean() > 1  # something moved
        assert "start" in files[1].read_text()

    def test_too_little_for_a_path(self, few: Dataset) -> None:
        recorder, encoder, history = recorded(few, epochs=1)
        assert path_of(recorder, encoder, history) is not None
        recorder.taken.pop(0)
        assert path_of(recorder, encoder, history) is None

    def test_of_an_epoch_that_was_not_finished_there_is_nothing(self, few: Dataset) -> None:
        recorder, encoder, history = recorded(few)
        shorter = replace(history, epochs=history.epochs[:2])
        path = path_of(recorder, encoder, shorter)
        assert path is not None
        assert path.epochs == (0, 1, 2)
