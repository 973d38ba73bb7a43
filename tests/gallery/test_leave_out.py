"""Lines by leaving out names: against plain loops, refused where names are few, and honest in simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.errors import DataError, SupportError, UsageError
from likewise.gallery import leave_out as module
from likewise.gallery.decision import Rule, robust_mean
from likewise.gallery.leave_out import GalleryCalibration, leave_out, mean_over_names
from likewise.metrics.intervals import wilson
from likewise.objective import Euclidean

DIM = 6


def crowd(seed: int, sizes: list[int], spread: float = 0.5) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(len(sizes)), sizes)
    points = rng.normal(size=(len(sizes), DIM))[names] + spread * rng.normal(size=(len(names), DIM))
    order = rng.permutation(len(names))
    return torch.from_numpy(points[order].astype(np.float32)), names[order]


def found(embeddings: torch.Tensor, names: np.ndarray, **options: object) -> GalleryCalibration:
    given = {"fpir": 0.1, "loose_fpir": 0.3, "rule": "vote", "k": 3, "unit": False}
    return leave_out(embeddings, names, Euclidean(), **{**given, **options})


def naive_rates(
    embeddings: torch.Tensor, names: np.ndarray, rule: Rule, k: int, threshold: float
) -> tuple[float, float]:
    """FPIR and FNIR as means over names, straight from their definitions."""
    threshold *= 1 + 1e-6  # one of the distances, which are rounded otherwise here
    x = embeddings.numpy()
    taken: dict[int, list[bool]] = {}
    missed: dict[int, list[bool]] = {}
    for i in range(len(x)):
        far = np.sqrt(((x[i] - x) ** 2).sum(axis=1))

        def answer(rows: np.ndarray, i: int = i, far: np.ndarray = far) -> int | None:
            nearest = rows[np.argsort(far[rows])][:k]
            if rule == "mean":
                means = {
                    n: np.linalg.norm(x[i] - robust_mean(x[rows[names[rows] == n]], Euclidean(), False))
                    for n in names[nearest]
                }
                best = min(means, key=lambda n: means[n], default=None)
                return best if best is not None and np.float32(means[best]) <= threshold else None
            votes: dict[int, int] = {}
            for j in nearest:
                if np.float32(far[j]) <= threshold:
                    votes[names[j]] = votes.get(names[j], 0) + 1
            order = [names[j] for j in nearest if names[j] in votes]
            return max(order, key=lambda n: votes[n], default=None)  # of equal ones the first, which is the nearest

        everyone = np.arange(len(x))
        taken.setdefault(names[i], []).append(answer(everyone[names != names[i]]) is not None)
        if (names == names[i]).sum() > 1:
            missed.setdefault(names[i], []).append(answer(everyone[everyone != i]) != names[i])
    return tuple(float(np.mean([np.mean(v) for v in d.values()])) for d in (taken, missed))


@pytest.mark.parametrize("rule", ["vote", "mean"])
@pytest.mark.parametrize("k", [1, 4])
def test_rates_are_those_of_a_plain_loop(rule: Rule, k: int) -> None:
    embeddings, names = crowd(1, [1, 2, 3, 4, 6] * 8)
    calibrated = found(embeddings, names, rule=rule, k=k)
    for line in (calibrated.strict, calibrated.loose):
        fpir, fnir = naive_rates(embeddings, names, rule, k, line.threshold)
        assert line.fpir.value == pytest.approx(fpir, abs=1e-9)
        assert line.fnir is not None
        assert line.fnir.value == pytest.approx(fnir, abs=1e-9)
        assert line.fpir.value <= line.promised
        assert line.fpir.low <= line.fpir.value <= line.fpir.high
    assert calibrated.strict.threshold < calibrated.loose.threshold
    assert (calibrated.names, calibrated.probes, calibrated.records) == (40, len(names), len(names))


def test_the_line_is_the_largest_that_keeps_the_promise() -> None:
    embeddings, names = crowd(2, [3] * 40)
    line = found(embeddings, names).strict
    far = torch.cdist(embeddings, embeddings).numpy()
    strangers = np.where(names[:, None] == names, np.inf, far).min(axis=1)
    above = strangers[strangers > line.threshold + 1e-6].min()
    assert (strangers <= line.threshold + 1e-6).mean() <= 0.1
    assert (strangers <= above).mean() > 0.1


def test_names_count_alike_however_many_records_they_have() -> None:
    """One person with 200 records whom everyone is taken for, and who is taken for everyone, is one name of 31."""
    rng = np.random.default_rng(0)
    others = rng.normal(size=(30, DIM)) * 30
    close = others[0] + 0.01 * rng.normal(size=(200, DIM))
    embeddings = torch.from_numpy(np.concatenate([others, close]).astype(np.float32))
    names = np.concatenate([np.arange(30), np.full(200, 30)])
    line = found(embeddings, names).strict
    assert line.fpir.value == pytest.approx(2 / 31)  # that one and its neighbour
    assert line.threshold == pytest.approx(np.linalg.norm(close - others[0], axis=1).max(), rel=1e-3)


def test_nobody_can_be_told_from_nobody() -> None:
    embeddings, names = torch.zeros(60, DIM), np.repeat(np.arange(30), 2)
    calibrated = found(embeddings, names)
    assert calibrated.strict.threshold == -1  # at 0 all strangers would pass
    assert calibrated.strict.fpir.value == 0
    assert calibrated.strict.fnir is not None
    assert calibrated.strict.fnir.value == 1


def test_one_record_each_shows_no_fnir() -> None:
    calibrated = found(*crowd(3, [1] * 40))
    assert calibrated.strict.fnir is None
    assert GalleryCalibration.from_dict(calibrated.as_dict()) == calibrated


@pytest.mark.parametrize(
    ("names", "fpir", "missing"),
    [
        (29, 0.1, "1 name is missing: .* promise 0.2"),
        (200, 0.01, "100 names are missing: .* promise 0.1"),
        (6, 0.01, r"294 names are missing: enrol them, or promise 0.5 \(--fpir 0.5 --loose 0.75\)"),
        (5, 0.01, r"295 names are missing: enrol them\."),
    ],
)
def test_too_few_names_are_refused_with_how_many_are_missing(names: int, fpir: float, missing: str) -> None:
    with pytest.raises(SupportError, match=missing):
        found(*crowd(0, [2] * names), fpir=fpir, loose_fpir=0.5)
    assert found(*crowd(0, [2] * 30)).names == 30


@pytest.mark.parametrize(
    ("fpir", "loose"), [(0, 0.1), (0.1, 0.1), (0.2, 0.1), (0.1, 1), (-1, 0.5), (float("nan"), 0.5)]
)
def test_impossible_promises(fpir: float, loose: float) -> None:
    with pytest.raises(UsageError):
        found(*crowd(0, [2] * 40), fpir=fpir, loose_fpir=loose)


def test_of_a_large_gallery_some_names_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBES", 150)
    embeddings, names = crowd(4, [3] * 200)
    calibrated = found(embeddings, names)
    assert (calibrated.names, calibrated.probes, calibrated.records) == (50, 150, 600)
    assert found(embeddings, names, seed=1).strict != calibrated.strict
    again = found(embeddings, names)
    assert (again.strict, again.loose) == (calibrated.strict, calibrated.loose)


def test_rates_grow_with_the_gallery() -> None:
    calibrated = found(*crowd(5, [3] * 40))
    assert calibrated.lines(120).fpir == pytest.approx(0.1)
    grown = calibrated.lines(240)
    assert grown.fpir == pytest.approx(1 - 0.9**2)
    assert grown.grown == 2
    assert (grown.strict, grown.loose) == (calibrated.strict.threshold, calibrated.loose.threshold)
    assert "grown 2-fold" in grown.in_words()
    assert "grown" not in calibrated.lines(130).in_words()


def test_settings_that_somebody_changed() -> None:
    values = found(*crowd(5, [3] * 40)).as_dict()
    strict = {**values["strict"], "fpir": 3}
    for broken in ({}, {**values, "strict": {}}, {**values, "more": 1}, {**values, "strict": strict}):
        with pytest.raises(DataError):
            GalleryCalibration.from_dict(broken)


class TestInterval:
    def test_one_record_per_name_is_wilson_with_students_quantile(self) -> None:
        shares = np.array([1.0] * 5 + [0.0] * 45)
        estimate = mean_over_names(shares, 50)
        assert estimate == wilson(0.1, 0.1 * 0.9 / (shares.var(ddof=1) / 50), freedom=49)

    def test_no_error_counts_names_only(self) -> None:
        assert mean_over_names(np.zeros(30), 3000) == wilson(0.0, 30)
        assert mean_over_names(np.zeros(1), 3000).high == 1

    def test_records_of_one_name_that_agree_are_one_trial(self) -> None:
        wide = mean_over_names(np.array([1.0, 0, 0, 0] * 10), 4000)
        narrow = mean_over_names(np.full(40, 0.25), 4000)
        assert wide.high - wide.low > 5 * (narrow.high - narrow.low)

    def test_pairs_taken_for_each_other_widen_it(self) -> None:
        shares = np.array([1.0] * 6 + [0.0] * 54)
        independent, paired = mean_over_names(shares, 60), mean_over_names(shares, 60, mutual=6.0)
        assert paired.high > independent.high
        of, who = np.arange(6), np.array([1, 0, 3, 2, 5, 4])
        assert module._mutual(of, who, np.ones(6, bool)) == 6
        assert module._mutual(of, np.array([1, 2, 3, 4, 5, 0]), np.ones(6, bool)) == 0


def population(rng: np.random.Generator, names: int, kind: str, dim: int) -> np.ndarray:
    """Centres of people. Alike: all drawn alike; wolves: one in ten lies near the middle; families: lookalikes."""
    centres = rng.normal(size=(names, dim))
    if kind == "wolves":
        centres[rng.random(names) < 0.1] *= 0.4
    if kind == "families":
        family = np.random.default_rng(99).normal(size=(40, dim))  # the same families in every gallery
        centres = family[rng.integers(0, 40, names)] + 0.6 * centres
    return centres


def coverage(kind: str, names: int, records: int, fpir: float, rounds: int) -> tuple[float, float]:
    """Share of galleries whose interval holds the FPIR that strangers of the same population have; share too low."""
    dim, spread, held, above = 8, 0.4, 0, 0
    for seed in range(rounds):
        rng = np.random.default_rng((seed, names, records))
        centres = np.repeat(population(rng, names, kind, dim), records, axis=0)
        gallery = (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)
        of = np.repeat(np.arange(names), records)
        line = found(torch.from_numpy(gallery), of, fpir=fpir, loose_fpir=min(0.9, 2 * fpir)).strict
        strangers = population(rng, 4000, kind, dim) + spread * rng.normal(size=(4000, dim))
        squares = (strangers**2).sum(1)[:, None] + (gallery**2).sum(1) - 2 * strangers @ gallery.T
        true = float((squares.min(axis=1) <= line.threshold**2).mean())
        held += line.fpir.low <= true <= line.fpir.high
        above += true > line.fpir.high
    return held / rounds, above / rounds


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["alike", "wolves", "families"])
@pytest.mark.parametrize(
    ("names", "records", "fpir"), [(30, 3, 0.1), (60, 1, 0.1), (100, 5, 0.1), (300, 2, 0.01), (150, 3, 0.02)]
)
def test_the_interval_holds_the_truth(kind: str, names: int, records: int, fpir: float) -> None:
    """A true 95% shows as 0.91 or more in 199 of 200 such rounds of 200; less than 0.90 would be no honest interval."""
    held, above = coverage(kind, names, records, fpir, 200)
    assert held >= 0.90, (held, above)
    assert above <= 0.08, (held, above)
