"""What the pictures of a report show: every pair, interval and threshold they promise, where it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from likewise.apps.learn import Learned
from likewise.calibration import Rates
from likewise.data import Dataset, arrays
from likewise.evaluation import Report, evaluate
from likewise.evaluation.pictures import SHOWN_PAIRS, draw_curves, draw_history
from likewise.evaluation.report import AtThreshold
from likewise.metrics import Estimate, HardestPairs, Verification
from likewise.training import Epoch, History


@pytest.fixture(scope="module")
def report(learned: Learned, digits: Dataset) -> Report:
    return evaluate(learned.model, digits.subset(np.arange(0, 1797, 12)))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that would be saved, laid out as on paper; painting them takes longer."""
    saved: list[Figure] = []

    def save(figure: Figure, file: Path, *, dpi: float | None = None) -> None:
        saved.append(figure)
        figure.set_dpi(dpi or figure.dpi)
        figure.draw_without_rendering()

    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield saved


def overlap(a: Bbox, b: Bbox) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


# ---- Curves ----


def perfect(found: Verification) -> Verification:
    """Without an error: every same pair is closer than every different one."""
    curve = replace(
        found.curve, thresholds=np.array([-np.inf, 0.1, 0.9], np.float32), different=np.array([0, 0, 50]),
        same=np.array([0, 20, 20]),
    )  # fmt: skip
    return replace(found, curve=curve, eer=Estimate(0, 0, 0.1), pairs_same=20, pairs_different=50)


def legend(figure: Figure, place: int) -> list[str]:
    return [text.get_text() for text in figure.axes[place].get_legend().get_texts()]


def test_everything_in_the_curves_is_named(report: Report, tmp_path: Path, figures: list[Figure]) -> None:
    v, own = report.verification, report.at_threshold
    draw_curves(v, own, tmp_path / "roc.png")
    known = [f"{point.fmr:g}" for point in v.fnmr_at_fmr if point.fnmr is not None]
    assert 0 < len(known) < 4
    shown = legend(figures[0], 0)
    assert f"95% interval of FNMR at FMR {', '.join(known)}" in shown
    assert any(text.startswith(f"EER {v.eer.value:.2%} (95%: {v.eer.low:.2%} to") for text in shown)
    assert any(text.startswith(f"threshold {own.threshold:.3g}, set for FMR {own.promised:g}") for text in shown)
    assert legend(figures[0], 1) == ["FMR", "FNMR", f"threshold {own.threshold:.3g}"]


def test_the_models_threshold_is_where_it_was_measured(report: Report, tmp_path: Path, figures: list[Figure]) -> None:
    own = AtThreshold(0.25, 1e-3, Rates(fmr=Estimate(2e-3, 1e-3, 4e-3), fnmr=Estimate(0.1, 0.05, 0.2)))
    draw_curves(report.verification, own, tmp_path / "roc.png")
    left, right = figures[0].axes
    (measured,) = left.containers
    marker, _, (across, along) = measured.lines
    assert (marker.get_xdata(), marker.get_ydata()) == ([2e-3], [0.1])
    np.testing.assert_allclose(across.get_segments()[0], [[1e-3, 0.1], [4e-3, 0.1]])
    np.testing.assert_allclose(along.get_segments()[0], [[2e-3, 0.05], [2e-3, 0.2]])
    assert [0.25, 0.25] in [list(line.get_xdata()) for line in right.lines]


def test_a_model_that_is_not_calibrated_has_none(report: Report, tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves(report.verification, None, tmp_path / "roc.png")
    assert not figures[0].axes[0].containers
    assert not any("threshold" in text for place in (0, 1) for text in legend(figures[0], place))


@pytest.mark.parametrize("without_errors", [False, True])
def test_no_error_is_drawn_as_0(report: Report, tmp_path: Path, figures: list[Figure], without_errors: bool) -> None:
    v = perfect(report.verification) if without_errors else report.verification
    draw_curves(v, None, tmp_path / "roc.png")
    axes = figures[0].axes[0]
    curve = axes.lines[0]
    np.testing.assert_array_equal(curve.get_xdata(), v.curve.fmr)
    np.testing.assert_array_equal(curve.get_ydata(), v.curve.fnmr)
    assert min(curve.get_ydata()) == 0
    for axis, pairs in ((axes.xaxis, v.pairs_different), (axes.yaxis, v.pairs_same)):
        ticks = dict(zip(axis.get_ticklocs(), [tick.get_text() for tick in axis.get_ticklabels()], strict=True))
        assert (ticks[0], ticks[1]) == ("0", "1")
        assert min(tick for tick in ticks if tick) >= 1 / pairs  # nothing below one pair is told from 0
    low, high = axes.get_xlim()
    corners = axes.transData.transform([(0, 0), (1, 1)])
    assert low < 0 < 1 < high
    assert all(axes.bbox.contains(*corner) for corner in corners)


def test_a_single_pair_of_each_kind_can_be_drawn(learned: Learned, digits: Dataset, tmp_path: Path) -> None:
    picked = [int(np.flatnonzero(digits.labels == label)[place]) for label, place in ((0, 0), (0, 1), (1, 0))]
    evaluate(learned.model, digits.subset(picked)).write(tmp_path)
    assert (tmp_path / "roc.png").stat().st_size > 1000


# ---- Hardest pairs ----


def shown(figure: Figure) -> list[list[tuple[str, str, str]]]:
    """(distance, name, name) of each pair, row by row."""
    return [
        [(axes.get_title(), *(text.get_text() for text in axes.texts)) for axes in row.axes if axes.images]
        for row in figure.subfigs
    ]


def test_both_rows_are_full_though_one_item_is_in_all_of_the_hardest(
    learned: Learned, digits: Dataset, tmp_path: Path, figures: list[Figure]
) -> None:
    """A mislabelled item is the farthest from all 220 others of its label."""
    ones = np.flatnonzero(digits.labels == 1)
    pictures = np.concatenate([digits.sources[digits.labels == 0], np.repeat(digits.sources[ones[:110]], 2, axis=0)])
    labels = np.repeat([0, 1], [178, 220])
    labels[0] = 1
    report = evaluate(learned.model, arrays(pictures, labels))
    assert all(0 in (pair.first, pair.second) for pair in report.hardest.same[:150])
    report.write(tmp_path)
    rows = shown(figures[1])
    assert [len(row) for row in rows] == [SHOWN_PAIRS, SHOWN_PAIRS]


def test_distances_and_names_are_those_of_the_pairs(report: Report, tmp_path: Path, figures: list[Figure]) -> None:
    report.write(tmp_path)
    same, different = shown(figures[1])
    first = report.hardest.same[0], report.hardest.different[0]
    names = report.labelled.data.names
    for row, pair in zip((same, different), first, strict=True):
        expected = [names[report.labelled.data.labels[item]] for item in (pair.first, pair.second)]
        assert row[0] == (f"distance {pair.distance:.3g}", *expected)
    assert all(left == right for _, left, right in same)
    assert all(left != right for _, left, right in different)


@pytest.mark.parametrize(
    "name", ["W" * 40, pytest.param("Early_Aramaic/character10 of person", marks=pytest.mark.slow)]
)
def test_names_of_pairs_do_not_run_into_each_other(
    report: Report, tmp_path: Path, figures: list[Figure], name: str
) -> None:
    data = replace(report.labelled.data, names=tuple(f"{name} {i}" for i in range(10)))
    replace(report, labelled=replace(report.labelled, data=data)).write(tmp_path)
    for row in figures[1].subfigs:
        boxes = [text.get_window_extent() for axes in row.axes for text in axes.texts]
        assert len(boxes) == 2 * SHOWN_PAIRS
        assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
        assert all(figures[1].bbox.containsx(box.x0) and figures[1].bbox.containsx(box.x1) for box in boxes)


def test_fewer_pairs_leave_the_other_places_empty(report: Report, tmp_path: Path, figures: list[Figure]) -> None:
    from likewise.evaluation.pictures import draw_hardest

    few = HardestPairs(different=report.hardest.different[:1], same=())
    draw_hardest(few, report.labelled.data, tmp_path / "hardest.png")
    assert [len(row) for row in shown(figures[0])] == [0, 1]
    assert sum(axes.axison for row in figures[0].subfigs for axes in row.axes) == 1


# ---- History ----


def history(epochs: int, *, active: float = 0.5, select: str | None = "eer", best: int = 1) -> History:
    return History(
        tuple(
            Epoch(n, 1 / n, active, 0.9, 0.0, 1e-3, 100.0, float(n), None if select is None else 0.1 * n)
            for n in range(1, epochs + 1)
        ),
        best, select, "finished", "float32",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "panels"),
    [
        ({}, ["loss", "share active", "spread", "validation EER"]),
        ({"select": "precision_at_1"}, ["loss", "share active", "spread", "validation P@1"]),
        ({"select": None}, ["loss", "share active", "spread"]),
        ({"active": 1.0}, ["loss", "spread", "validation EER"]),
        ({"active": 1.0, "select": None}, ["loss", "spread"]),
    ],
)
def test_panels_that_would_say_nothing_are_left_out(
    tmp_path: Path, figures: list[Figure], given: dict[str, object], panels: list[str]
) -> None:
    draw_history(history(5, **given), tmp_path / "history.png")
    assert [axes.get_title() for axes in figures[0].axes] == panels
    assert all(len(axes.lines[0].get_xdata()) == 5 for axes in figures[0].axes)


@pytest.mark.parametrize("epochs", [1, 2, 7, 40])
def test_epochs_are_whole_numbers_and_the_best_is_marked(tmp_path: Path, figures: list[Figure], epochs: int) -> None:
    draw_history(history(epochs, best=epochs), tmp_path / "history.png")
    for axes in figures[0].axes:
        ticks = axes.get_xticks()
        assert len(ticks)
        np.testing.assert_array_equal(ticks, np.round(ticks))
        assert epochs in axes.lines[1].get_xdata()
    assert [text.get_text() for text in figures[0].axes[0].get_legend().get_texts()] == [f"kept: epoch {epochs}"]
