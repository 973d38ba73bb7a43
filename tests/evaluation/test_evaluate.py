"""evaluate: its figures are those of the metrics on the model's embeddings, by the model's distance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from likewise.apps.learn import Learned
from likewise.data import Dataset, PairSet, arrays, folder
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, UsageError
from likewise.evaluation import PairReport, Report, evaluate
from likewise.evaluation.evaluate import HARDEST
from likewise.metrics import (
    clustering,
    confusions,
    few_shot,
    hardest_pairs,
    listed_verification,
    retrieval,
    verification,
)

KEYS = {
    "precision_at_1", "r_precision", "map_at_r", "knn_accuracy", "roc_auc", "eer", "fnmr_at_fmr", "nmi", "ami",
    "bcubed_f", "few_shot", "confusions", "items", "identities", "skipped", "data",
}  # fmt: skip


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Dataset:
    return digits.subset(np.arange(0, 1797, 6))


@pytest.fixture(scope="module")
def report(learned: Learned, some: Dataset) -> Report:
    return evaluate(learned.model, some, seed=0)


def test_every_figure_is_that_of_the_metric_itself(learned: Learned, some: Dataset, report: Report) -> None:
    embeddings = learned.model.encode(some.sources).embeddings
    given = embeddings, torch.from_numpy(some.labels), learned.model.encoder.distance
    values = report.as_dict()
    for found in (
        retrieval(*given),
        verification(*given, unit="item"),
        clustering(*given[:2], seed=0),
    ):
        for key, value in found.as_dict().items():
            assert values[key] == value, key
    assert few_shot(*given, ways=10, shots=1, seed=0).as_dict() == values["few_shot"]
    names = some.names
    assert [(names.index(c["identity"]), names.index(c["taken_for"])) for c in values["confusions"]] == [
        (c.identity, c.taken_for) for c in confusions(*given)
    ]
    assert report.hardest == hardest_pairs(*given, count=HARDEST)


def test_the_keys_are_those_of_the_command(report: Report) -> None:
    values = report.as_dict()
    assert set(values) >= KEYS
    assert json.loads(json.dumps(values)) == values
    assert list(values["fnmr_at_fmr"]) == ["0.1", "0.01", "0.001", "0.0001"]
    assert set(values["fnmr_at_fmr"]["0.1"]) >= {"value", "low", "high"}
    for key in ("precision_at_1", "r_precision", "map_at_r", "roc_auc", "eer", "nmi"):
        assert 0 <= values[key] <= 1
    assert (values["items"], values["identities"], values["skipped"]) == (300, 10, [])


def test_a_bare_encoder_is_measured_like_its_model(learned: Learned, some: Dataset, report: Report) -> None:
    bare = evaluate(learned.model.encoder, some, seed=0)
    different = {"encode_seconds", "measure_seconds"}
    different |= {"threshold", "promised_fmr", "fmr_at_threshold", "fnmr_at_threshold"}  # it has no threshold
    ours, theirs = bare.as_dict(), report.as_dict()
    assert {k: v for k, v in ours.items() if k not in different} == {
        k: v for k, v in theirs.items() if k not in different
    }


def test_the_seed_decides_what_is_random(learned: Learned, some: Dataset, report: Report) -> None:
    again, other = (evaluate(learned.model, some, seed=seed) for seed in (0, 1))
    assert again.verification.eer == report.verification.eer
    assert again.fewshot == report.fewshot
    assert other.fewshot != report.fewshot
    assert other.verification.eer.value == report.verification.eer.value


def test_a_trained_model_is_better_than_an_untrained_one(learned: Learned, some: Dataset, report: Report) -> None:
    fresh = evaluate(Encoder("mlp", 16, preprocessing=learned.model.encoder.preprocessing), some)
    assert report.retrieval.precision_at_1 > 0.9
    assert report.verification.eer.value < 0.6 * fresh.verification.eer.value


def test_broken_files_are_skipped_and_listed(learned: Learned, digit_folder: Path, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(digit_folder, tmp_path / "digits"))
    (root / "0" / "00.png").write_bytes(b"\x89PNG broken")
    (root / "9" / "05.png").write_bytes(b"")
    found = evaluate(learned.model, folder(root))
    assert [entry["file"] for entry in found.as_dict()["skipped"]] == ["0/00.png", "9/05.png"]
    assert all("\n" not in entry["reason"] for entry in found.as_dict()["skipped"])
    assert found.as_dict()["items"] == 298
    kept = evaluate(learned.model, folder(root).subset([i for i in range(300) if i not in (0, 275)]))
    assert kept.retrieval == found.retrieval


@pytest.mark.parametrize("labels", [[0] * 10, list(range(10)), []])
def test_nothing_to_compare_is_refused(learned: Learned, digits: Dataset, labels: list[int]) -> None:
    with pytest.raises(DataError, match="Measuring needs 2 identities"):
        evaluate(learned.model, arrays(digits.sources[: len(labels)], np.array(labels, dtype=int)))


def test_two_identities_of_two_items_are_enough(learned: Learned, digits: Dataset, tmp_path: Path) -> None:
    zeros, ones = (np.flatnonzero(digits.labels == d)[:2] for d in (0, 1))
    found = evaluate(learned.model, digits.subset(np.r_[zeros, ones]))
    values = found.as_dict()
    assert (values["items"], values["identities"]) == (4, 2)
    assert values["fnmr_at_fmr"]["0.0001"]["value"] is None
    assert "different pairs" in values["fnmr_at_fmr"]["0.0001"]["reason"]
    assert values["few_shot"]["ways"] == 2
    assert len(found.write(tmp_path)) == 3
    assert "not known" in str(found)


def test_few_shot_is_left_out_where_nobody_has_enough_items(learned: Learned, some: Dataset) -> None:
    found = evaluate(learned.model, some, shots=100)
    assert found.fewshot is None
    assert found.as_dict()["few_shot"] is None
    assert "shot" not in str(found)


@pytest.mark.parametrize("asked", [{"ways": 11}, {"ways": 2, "shots": 100}])
def test_more_ways_or_shots_than_there_are_are_refused(learned: Learned, some: Dataset, asked: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="draws identities with"):
        evaluate(learned.model, some, **asked)


@pytest.mark.parametrize("asked", [{"unit": "item"}, {"ways": 5}, {"shots": 1}])
def test_of_pairs_nothing_is_drawn(learned: Learned, pairs: PairSet, asked: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Pairs have no labels"):
        evaluate(learned.model, pairs, **asked)


def test_ways_and_shots(learned: Learned, some: Dataset) -> None:
    found = evaluate(learned.model, some, ways=5, shots=3)
    assert (found.fewshot.ways, found.fewshot.shots) == (5, 3)


def test_intervals_take_for_a_sample_what_training_showed(learned: Learned, some: Dataset, report: Report) -> None:
    assert report.verification.unit == "item"
    assert evaluate(learned.model, some, unit="identity").verification.unit == "identity"
    untrained = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
    assert evaluate(untrained, some).verification.unit == "identity"


def test_names_of_absent_identities_do_not_disturb(learned: Learned, digits: Dataset) -> None:
    """A part split off by identity keeps the names of all; figures are those of the ones that are there."""
    part = digits.of_identities([3, 7, 8]).subset(np.arange(0, 500, 3))
    renumbered = arrays(part.sources, [digits.names[i] for i in part.labels])
    found, expected = (evaluate(learned.model, data).as_dict() for data in (part, renumbered))
    for key in KEYS - {"data"}:
        assert found[key] == expected[key]


@pytest.fixture(scope="module")
def pairs(digits: Dataset) -> PairSet:
    rng = np.random.default_rng(0)
    first, second = rng.choice(len(digits), (2, 600))
    kept = first != second
    same = digits.labels[first[kept]] == digits.labels[second[kept]]
    return PairSet(digits, first[kept], second[kept], same, origin="pairs")


class TestPairs:
    def test_auc_and_eer_of_listed_pairs(self, learned: Learned, pairs: PairSet) -> None:
        found = evaluate(learned.model, pairs)
        distances = np.array([
            learned.model.distance(pairs.items.sources[a], pairs.items.sources[b])
            for a, b in zip(pairs.first, pairs.second, strict=True)
        ])  # fmt: skip
        assert found.verification.roc_auc.value == pytest.approx(roc_auc_score(pairs.same, -distances), abs=1e-4)
        # Naively: at every distance as threshold, where the two error rates come closest.
        rates = [((distances <= t)[~pairs.same].mean(), (distances > t)[pairs.same].mean()) for t in np.sort(distances)]
        nearest = min(rates, key=lambda r: abs(r[0] - r[1]))
        assert min(nearest) - 0.01 <= found.verification.eer.value <= max(nearest) + 0.01
        assert found.verification.pairs_same == pairs.same.sum()
        assert found.verification.pairs_different == (~pairs.same).sum()

    def test_it_is_plain_json_and_can_be_written(self, learned: Learned, pairs: PairSet, tmp_path: Path) -> None:
        found = evaluate(learned.model, pairs)
        (file,) = found.write(tmp_path)
        assert json.loads(file.read_text()) == found.as_dict()
        assert [name for name, _ in found.rows()] == [
            "pairs", "ROC AUC", "EER", "FNMR at FMR 0.1", "FNMR at FMR 0.01", "FNMR at FMR 0.001",
            "FNMR at FMR 0.0001", "FMR at threshold", "FNMR at threshold",
        ]  # fmt: skip

    def test_pairs_of_one_kind_are_refused(self, learned: Learned, pairs: PairSet) -> None:
        with pytest.raises(DataError, match="pairs of both kinds"):
            evaluate(learned.model, pairs.subset(np.flatnonzero(pairs.same)))

    def test_hostile_origins_are_escaped(self) -> None:
        found = listed_verification(np.arange(4, dtype=np.float32), np.arange(4) < 2, np.arange(4), np.arange(4) + 4)
        report = PairReport(found, None, (), "<script>alert(1)</script>")
        assert "<script>" not in report._repr_html_()


def test_progress_is_told(learned: Learned, some: Dataset) -> None:
    told: list[tuple[int, int, str]] = []
    evaluate(learned.model, some, progress=lambda done, total, text: told.append((done, total, text)))
    assert told[-1] == (300, 300, "encoding")


def test_another_shape_of_pictures_is_brought_to_the_models(learned: Learned, digits: Dataset) -> None:
    large = digits.sources[:200].repeat(3, axis=1).repeat(3, axis=2)
    found = evaluate(learned.model, arrays(large, digits.labels[:200]))
    assert found.retrieval.precision_at_1 > 0.85


def test_every_distance_can_be_measured_with(digits: Dataset) -> None:
    from likewise.objective import DISTANCES
    from likewise.objective.distances import make_distance

    for name in DISTANCES:
        encoder = Encoder("mlp", 6, preprocessing=Pictures(1, 8, 8), distance=make_distance(name, 6))
        found = evaluate(encoder, digits.subset(np.arange(120)))
        assert 0 <= found.verification.eer.value <= 1
