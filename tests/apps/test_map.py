from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.metrics import adjusted_mutual_info_score

from likewise.apps.map import METRICS, Layout, draw, layout, trust, trustworthiness
from likewise.apps.map.classes import PALETTE, classes_of
from likewise.apps.map.metric import prepared
from likewise.errors import DataError, UsageError


def clusters(count: int, each: int, *, dim: int = 16, spread: float = 0.2, seed: int = 0):
    """`count` groups of `each` points round random centres: far apart where the spread is small."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), each)
    centres = rng.normal(size=(count, dim))
    return (centres[labels] + spread * rng.normal(size=(len(labels), dim))).astype(np.float32), labels


def found(points: np.ndarray, labels: np.ndarray) -> float:
    """How well k-means on the map finds the classes again: 1 is perfectly, 0 is by chance."""
    groups = KMeans(labels.max() + 1, n_init=5, random_state=0).fit_predict(points)
    return adjusted_mutual_info_score(labels, groups)


def flat(points: np.ndarray, **fields: object) -> Layout:
    return Layout(np.asarray(points, np.float32), "pca", 0.9, {"metric": "cosine"}, **fields)


# ---- Metrics ----


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_the_euclidean_distance_of_prepared_rows(metric: str):
    rows, _ = clusters(4, 5)
    rows = rows * np.arange(1, 21)[:, None] + 3
    ours = cdist(prepared(rows, metric).double(), prepared(rows, metric).double())
    theirs = cdist(rows.astype(float), rows.astype(float), metric)
    np.testing.assert_allclose(ours if metric == "euclidean" else ours**2 / 2, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4), np.array([[1.0, np.nan]])])
def test_embeddings_that_are_none_are_refused(rows: np.ndarray):
    with pytest.raises(DataError):
        layout(rows, method="pca")


# ---- Layout ----


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_is_the_projection_on_the_directions_of_largest_variance(dimensions: int):
    rows, _ = clusters(5, 12, spread=1.0)
    points = layout(rows, method="pca", dimensions=dimensions, metric="euclidean").points
    left, scale, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(left * scale)[:, :dimensions], atol=1e-4)
    assert points.dtype == np.float32


def test_correlation_does_not_see_offset_and_scale_of_an_embedding():
    rows, _ = clusters(3, 10)
    factors = np.random.default_rng(1).uniform(0.5, 2, size=(2, len(rows), 1))
    moved = layout(rows * factors[0] + factors[1], method="pca").points
    np.testing.assert_allclose(moved, layout(rows, method="pca").points, atol=1e-4)


def test_tensors_and_arrays_give_the_same_map():
    rows, _ = clusters(3, 10)
    tensor = torch.from_numpy(rows).requires_grad_()
    np.testing.assert_array_equal(layout(tensor, method="pca").points, layout(rows, method="pca").points)


@pytest.mark.parametrize(("items", "dim"), [(1, 8), (2, 8), (3, 8), (9, 1)])
def test_directions_that_the_data_lack_are_zero(items: int, dim: int):
    rows = np.random.default_rng(0).normal(size=(items, dim))
    points = layout(rows, method="pca", dimensions=3, metric="euclidean").points
    assert points.shape == (items, 3)
    rank = min(items - 1, dim)
    np.testing.assert_allclose(points[:, rank:], 0, atol=1e-5)
    np.testing.assert_allclose(cdist(points, points), cdist(rows, rows), atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "said"), [(np.eye(3, 5), "at least 4 items"), (np.ones((50, 5)), "are alike"), (np.eye(1, 5), "4 items")]
)
def test_what_umap_cannot_lay_out_is_laid_out_by_pca_and_said(rows: np.ndarray, said: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = layout(rows, metric="euclidean")
    assert (result.method, len(result.points)) == ("pca", len(rows))
    assert said in result.note
    assert np.isfinite(result.points).all()


def test_no_trustworthiness_where_it_means_nothing():
    assert layout(np.ones((50, 5)), method="pca").trustworthiness is None
    assert layout(np.eye(2, 5), method="pca").trustworthiness is None
    assert layout(np.eye(5), method="pca").trustworthiness is not None


def test_a_layout_is_told_in_json():
    rows, _ = clusters(3, 10)
    result = layout(rows, method="pca", seed=3)
    told = json.loads(json.dumps(result.as_dict()))
    assert (told["points"], told["method"], told["dimensions"]) == (30, "pca", 2)
    assert told["trustworthiness"] == result.trustworthiness
    assert told["options"] == {"dimensions": 2, "metric": "correlation", "seed": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "tsne"},
        {"metric": "manhattan"},
        {"dimensions": 4},
        {"n_neighbors": 1},
        {"min_dist": -0.1},
        {"min_dist": 1.5},
        {"seed": -1},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, object]):
    with pytest.raises(UsageError):
        layout(np.eye(8), **wrong)


@pytest.mark.parametrize("metric", METRICS)
def test_umap_is_handed_the_exact_neighbours_each_item_itself_first(metric: str, monkeypatch: pytest.MonkeyPatch):
    rows, _ = clusters(6, 20, spread=0.6)
    rows[1] = rows[0]  # a duplicate is as near to an item as the item itself
    handed = {}

    class Recorder:
        def __init__(self, **options: object) -> None:
            handed.update(options)

        def fit_transform(self, rows: np.ndarray) -> np.ndarray:
            return np.zeros((len(rows), 2))

    monkeypatch.setattr("umap.UMAP", Recorder)
    layout(rows, n_neighbors=7, metric=metric)
    indices, distances, _ = handed["precomputed_knn"]
    true = cdist(rows.astype(float), rows.astype(float), metric)
    np.testing.assert_array_equal(indices[:, 0], np.arange(len(rows)))
    np.testing.assert_array_equal(distances[:, 0], 0)
    np.testing.assert_allclose(distances, np.sort(true, axis=1)[:, :7], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(true, indices, 1), distances, rtol=1e-4, atol=1e-6)
    assert all(len(set(row)) == 7 for row in indices)


def test_umap_keeps_clusters_apart_and_repeats(recwarn: pytest.WarningsRecorder):
    rows, labels = clusters(4, 25)
    stages: list[tuple[int, int, str]] = []
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = layout(rows, progress=lambda *stage: stages.append(stage), seed=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not recwarn.list
    assert found(first.points, labels) >= 0.9
    assert first.trustworthiness is not None
    assert first.trustworthiness > 0.9
    np.testing.assert_array_equal(first.points, layout(rows, seed=5).points)
    assert not np.array_equal(first.points, layout(rows, seed=6).points)
    assert list(dict.fromkeys(text for _, _, text in stages)) == ["PCA", "neighbours", "UMAP", "trustworthiness"]
    epochs = [(done, total) for done, total, text in stages if text == "UMAP" and total > 1]
    assert epochs == sorted(epochs)
    assert epochs[-1][0] == epochs[-1][1]


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_umap_finds_many_clusters_by_every_metric(metric: str, dimensions: int):
    rows, labels = clusters(30, 40, dim=64)
    result = layout(rows, metric=metric, dimensions=dimensions)
    assert result.points.shape == (len(rows), dimensions)
    assert found(result.points, labels) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("items", [4, 5, 16, 40])
@pytest.mark.parametrize("kind", ["different", "two places", "one line"])
def test_umap_lays_out_few_items_and_duplicates(items: int, kind: str):
    rows = np.random.default_rng(0).normal(size=(items, 6))
    if kind == "two places":
        rows = rows[np.arange(items) % 2]
    if kind == "one line":
        rows = np.outer(np.arange(items), rows[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = layout(rows, metric="euclidean")
    assert result.method == "umap"
    assert np.isfinite(result.points).all()
    assert result.options["n_neighbors"] == min(15, items - 1)
    assert ("n_neighbors" in result.note) == (items < 16)


@pytest.mark.slow
def test_umap_shows_handwritten_digits():
    images, labels = load_digits(return_X_y=True)
    result = layout(images)
    assert result.trustworthiness is not None
    assert result.trustworthiness > layout(images, method="pca").trustworthiness
    assert found(result.points, labels) >= 0.8


# ---- Trustworthiness ----


def trustworthiness_by_the_paper(rows: np.ndarray, points: np.ndarray, k: int, metric: str) -> float:
    """Venna and Kaski 2001, equation 1, item by item."""
    n = len(rows)
    data, on_map = cdist(rows, rows, metric), cdist(points, points)
    total = 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        rank = {j: place for place, j in enumerate(sorted(others, key=lambda j: data[i, j]), start=1)}
        near = sorted(others, key=lambda j: on_map[i, j])[:k]
        total += sum(rank[j] - k for j in near if rank[j] > k)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * total


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 5, 29])
def test_trustworthiness_is_that_of_the_paper_and_of_sklearn(metric: str, k: int):
    rows, _ = clusters(6, 10, spread=1.0)
    rows = rows.astype(float)
    points = rows[:, :2]
    ours = trustworthiness(rows, points, k, metric)
    assert ours == pytest.approx(trustworthiness_by_the_paper(rows, points, k, metric), abs=1e-12)
    assert ours == pytest.approx(sklearn_trustworthiness(rows, points, n_neighbors=k, metric=metric), abs=1e-12)
    assert 0 < ours < 1


def test_a_map_that_keeps_all_distances_is_fully_trustworthy():
    points = np.random.default_rng(0).normal(size=(80, 2))
    turned = points @ np.array([[0.6, -0.8], [0.8, 0.6]]) * 7 + 3
    assert trustworthiness(points, turned, 10, "euclidean") == 1


def test_blocks_do_not_change_trustworthiness(monkeypatch: pytest.MonkeyPatch):
    rows, _ = clusters(6, 20, spread=1.0)
    whole = trustworthiness(rows, rows[:, :2], 10)
    monkeypatch.setattr(trust, "BLOCK_ELEMENTS", 7 * len(rows))
    assert trustworthiness(rows, rows[:, :2], 10) == pytest.approx(whole, abs=1e-12)


def test_a_sample_of_many_items_estimates_the_trustworthiness_of_all(monkeypatch: pytest.MonkeyPatch):
    rows, _ = clusters(10, 50, spread=0.8)
    points = layout(rows, method="pca").points
    exact = trustworthiness(rows, points, 15)
    monkeypatch.setattr(trust, "QUERIES", 100)
    estimates = [trustworthiness(rows, points, 15, seed=seed) for seed in range(20)]
    assert trustworthiness(rows, points, 15, seed=0) == estimates[0]
    assert len(set(estimates)) > 1
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < 4 * error  # without bias: beyond 4 standard errors once in 16,000
    assert np.std(estimates) < 0.02


@pytest.mark.parametrize("k", [0, 10, 11])
def test_trustworthiness_refuses_impossible_neighbourhoods(k: int):
    rows = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(UsageError):
        trustworthiness(rows, rows[:, :2], k)
    with pytest.raises(UsageError):
        trustworthiness(rows, rows[:19, :2], 3)


# ---- Classes ----


def test_few_classes_keep_their_order_and_absent_ones_are_left_out():
    classes = classes_of(np.array([3, 0, 3, 2]), ["a", "b", "c", "d"], 4)
    assert classes.names == ["a", "c", "d"]
    assert classes.of_item.tolist() == [2, 0, 2, 1]
    assert classes.sizes.tolist() == [1, 1, 2]


def test_of_many_classes_the_largest_have_colours_of_their_own():
    labels = np.repeat(np.arange(50), np.random.default_rng(0).permutation(50) + 1)
    classes = classes_of(labels, [f"c{i}" for i in range(50)], len(labels))
    assert classes.sizes.tolist() == list(range(50, 0, -1))
    assert len(set(classes.colours[: len(PALETTE)])) == len(PALETTE) == 20
    assert [classes.names[place] for place in classes.of_item] == [f"c{label}" for label in labels]


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 5], [0, -1, 1]])
def test_labels_that_do_not_fit_are_refused(labels: list[int]):
    with pytest.raises(UsageError):
        classes_of(labels, ["a", "b"], 3)


# ---- Picture ----


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_picture_has_its_size_and_the_colour_of_each_class(dimensions: int, tmp_path: Path):
    points, labels = clusters(6, 40, dim=dimensions)
    draw(flat(points), labels, list("abcdef"), tmp_path / "map.png", title="Six letters")
    with Image.open(tmp_path / "map.png") as image:
        assert (image.format, image.size) == ("PNG", (1600, 1280))
        seen = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 24) or []}
    for colour in PALETTE[:6]:  # solid in the legend, at least
        assert seen.get(tuple(bytes.fromhex(colour[1:])), 0) > 50
    assert tuple(bytes.fromhex(PALETTE[6][1:])) not in seen


def texts_of(labels: np.ndarray, names: list[str], file: Path, monkeypatch: pytest.MonkeyPatch, **options: str):
    """(legend, names on the map) of the figure that `draw` makes."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw(flat(np.random.default_rng(0).normal(size=(len(labels), 2))), labels, names, file, **options)
    axes = figures[0].axes[0]
    return [text.get_text() for text in axes.get_legend().get_texts()], [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(("count", "last", "named"), [(20, "19", 20), (21, "and 1 more class", 21), (45, "more", 0)])
def test_a_legend_says_what_it_leaves_out(
    count: int, last: str, named: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    labels = np.arange(count).repeat(3)
    legend, on_map = texts_of(labels, [f"name {i}" for i in range(count)], tmp_path / "m.png", monkeypatch)
    assert last in legend[-1]
    assert len(legend) == min(count, 21)
    assert len(on_map) == named


def test_any_name_can_be_drawn(tmp_path: Path):
    names = ["$\\frac{", "_hidden", "", "a\nb\x00", "日本語", "x" * 300, "\udcff", "<b>"]
    points, labels = clusters(len(names), 5, dim=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(flat(points), labels, names, tmp_path / "map.png", title="$\\frac{ " + "t" * 300)
    assert Image.open(tmp_path / "map.png").size == (1600, 1280)


def test_a_hidden_or_mathematical_name_stays_in_the_legend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    legend, _ = texts_of(np.array([0, 1, 1]), ["_a", "$b$"], tmp_path / "m.png", monkeypatch)
    assert legend == ["_a  (1)", "$b$  (2)"]


def test_a_picture_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "map.png"
    file.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(DataError, match="No space left"):
        draw(flat(np.eye(2)), [0, 1], ["a", "b"], file)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_map_leaves_torchs_threads_as_they_were():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        layout(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
