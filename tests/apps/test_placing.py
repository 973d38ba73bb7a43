"""Names on a map: inside the frame, apart from each other, near their dots, over few of them, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from likewise.apps.map import Layout, draw
from likewise.apps.map.picture import LONGEST_NAME
from likewise.apps.map.placing import CELL, Place, places

FRAME = (100.0, 50.0, 900.0, 650.0)
CLOUD = np.random.default_rng(0).normal(size=(1000, 2))


def box_of(place: Place, size: np.ndarray) -> Bbox:
    return Bbox.from_bounds(place.x, place.y, *size)


def inside(box: Bbox, frame: Bbox) -> bool:
    return box.x0 >= frame.x0 and box.y0 >= frame.y0 and box.x1 <= frame.x1 and box.y1 <= frame.y1


def overlap(a: Bbox, b: Bbox) -> bool:
    """Touching is no overlap."""
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([0.001, 0.03, 0.3]))
def test_names_are_in_the_frame_and_apart(seed: int, classes: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    low, high = np.array(FRAME[:2]), np.array(FRAME[2:])
    of_item = np.concatenate([np.arange(classes), rng.integers(classes, size=200)])
    middles = rng.random((classes, 2))
    dots = low + (high - low) * np.clip(middles[of_item] + spread * rng.normal(size=(len(of_item), 2)), 0, 1)
    sizes = rng.uniform((10, 12), (400, 30), (classes, 2))
    found = [
        box_of(place, size)
        for place, size in zip(places(dots, of_item, sizes, FRAME, 5), sizes, strict=True)
        if place is not None
    ]
    assert all(inside(box, Bbox.from_extents(*FRAME)) for box in found)
    assert not any(overlap(a, b) for a, b in combinations(found, 2))


def test_a_long_name_is_next_to_a_small_cluster_not_over_it() -> None:
    dots = 400 + 6 * CLOUD[:20]
    (place,) = places(dots, np.zeros(20, int), np.array([[250.0, 20.0]]), FRAME, 5)
    box = box_of(place, np.array([250.0, 20.0]))
    assert not any(box.padded(4).contains(*dot) for dot in dots)
    assert place.gap < 40


def test_a_short_name_stays_in_the_middle_of_a_cloud() -> None:
    dots = 400 + 60 * CLOUD
    (place,) = places(dots, np.zeros(len(dots), int), np.array([[16.0, 20.0]]), FRAME, 3)
    assert np.hypot(*(np.array([place.x + 8, place.y + 10]) - 400)) < 20


def test_a_few_classes_in_a_row_are_all_named_beside_their_own_dots() -> None:
    middles = np.array([[200.0 + 150 * i, 300.0] for i in range(5)])
    of_item = np.repeat(np.arange(5), 20)
    dots = middles[of_item] + 8 * CLOUD[:100]
    sizes = np.tile([90.0, 20.0], (5, 1))
    for number, (place, size) in enumerate(zip(places(dots, of_item, sizes, FRAME, 5), sizes, strict=True)):
        box = box_of(place, size)
        nearest = np.hypot(*(middles - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]).T).argmin()
        assert nearest == number


def test_a_class_in_two_places_is_named_at_one_of_its_dots() -> None:
    """Its median is between them, where nothing of it is."""
    ends = np.array([[150.0, 100.0], [800.0, 600.0]])
    dots = np.repeat(ends, 10, axis=0) + 3 * CLOUD[:20]
    (place,) = places(dots, np.zeros(20, int), np.array([[60.0, 20.0]]), FRAME, 5)
    assert (place.dot == dots).all(axis=1).any()
    assert np.hypot(*(ends - (place.x, place.y)).T).min() < 100


def test_names_without_room_are_left_out_and_those_before_stay() -> None:
    dots = np.tile([500.0, 350.0], (40, 1))
    sizes = np.tile([300.0, 100.0], (40, 1))
    found = places(dots, np.arange(40), sizes, FRAME, 5)
    assert found[0] is not None
    assert 0 < sum(place is not None for place in found) < 40
    assert places(dots, np.zeros(40, int), np.array([[900.0, 20.0]]), FRAME, 5) == [None]


def test_the_dots_a_name_covers_are_counted_as_one_by_one() -> None:
    """By brute force: of every place that there is, none costs less than the one that is found."""
    rng = np.random.default_rng(1)
    frame = (0.0, 0.0, 160.0, 120.0)
    of_item = rng.integers(2, size=60)
    dots = rng.integers(1, 30, size=(60, 2)) * CELL + CELL / 2  # in the middle of cells
    size, radius = np.array([40.0, 16.0]), float(CELL)
    (place,) = places(dots, of_item, size[None], frame, radius)[:1]

    def cost(x: float, y: float) -> float:
        low, high = np.array([x, y]), np.array([x, y]) + size
        covered = ((dots > low - radius) & (dots < high + radius)).all(axis=1)
        share = sum(covered[of_item == k].mean() for k in range(2))
        gap = np.maximum(np.maximum(low - place.dot, place.dot - high), 0)
        far = np.hypot(*gap) + 0.1 * np.hypot(*((low + high) / 2 - place.dot))
        return (share / 0.5) ** 2 + far / (0.25 * 160)

    every = [cost(x, y) for x in np.arange(0, 121, CELL) for y in np.arange(0, 105, CELL)]
    assert cost(place.x, place.y) == pytest.approx(min(every), abs=1e-9)


# ---- The picture ----

ALPHABETS = ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin")
CHARACTERS = [f"{alphabet}/character{number:02}" for alphabet in ALPHABETS for number in range(1, 7)]


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """The figure of a map, drawn as it is saved."""

    def figure_of(points: np.ndarray, labels: np.ndarray, names: list[str], title: str = "") -> Figure:
        figures: list[Figure] = []
        with monkeypatch.context() as patch:
            patch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
            layout = Layout(np.asarray(points, np.float32), "pca", 0.9, {"metric": "cosine"})
            draw(layout, labels, names, tmp_path / "map.png", title=title)
        figures[0].canvas.draw()
        return figures[0]

    return figure_of


def scattered(dimensions: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(len(CHARACTERS)), 20)
    return rng.normal(size=(len(CHARACTERS), dimensions))[labels] + spread * rng.normal(
        size=(len(labels), dimensions)
    ), labels


def written(figure: Figure) -> list[Text]:
    return list(figure.axes[0].texts)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("spread", "least"), [(0.02, 20), (0.3, 10), (2.0, 1)])  # tight clusters to one cloud
def test_long_names_lie_in_the_frame_and_apart(
    drawn: Callable[..., Figure], dimensions: int, spread: float, least: int
) -> None:
    points, labels = scattered(dimensions, spread)
    figure = drawn(points, labels, CHARACTERS)
    boxes = [text.get_window_extent() for text in written(figure)]
    assert least <= len(boxes) <= 30
    assert all(inside(box, figure.axes[0].bbox) for box in boxes)
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))


def test_names_of_tight_clusters_cover_none_of_their_dots(drawn: Callable[..., Figure]) -> None:
    labels = np.repeat(np.arange(6), 15)
    points = np.array([[i % 3, i // 3] for i in range(6)])[labels] + 0.02 * CLOUD[:90]
    figure = drawn(points, labels, CHARACTERS[:6])
    dots = figure.axes[0].transData.transform(points)
    assert len(written(figure)) == 6
    for text in written(figure):
        box = text.get_window_extent()
        assert not any(box.contains(*dot) for dot in dots)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["W" * 60, "顔" * 60, "x", "a rather long name of a person"], ids=range(4))
def test_legend_and_title_stay_in_the_picture(drawn: Callable[..., Figure], name: str) -> None:
    figure = drawn(CLOUD[:60], np.arange(60) % 20, [f"{name} {i}" for i in range(20)], title=name * 9)
    boxes = [text.get_window_extent() for text in (*figure.axes[0].get_legend().get_texts(), *figure.texts)]
    assert all(inside(box, figure.bbox) for box in boxes)
    assert not any(overlap(a, b) for a, b in combinations(boxes[:20], 2))


def test_names_that_end_differently_differ_in_the_legend_and_on_the_map(drawn: Callable[..., Figure]) -> None:
    points, labels = scattered(2, 0.02)
    points, labels = points[labels < 20], labels[labels < 20]
    figure = drawn(points, labels, CHARACTERS[:20])
    legend = [text.get_text().removesuffix("  (20)") for text in figure.axes[0].get_legend().get_texts()]
    assert len(set(legend)) == 20
    assert {text.get_text() for text in written(figure)} <= set(legend)
    assert all(len(name) <= LONGEST_NAME for name in legend)
