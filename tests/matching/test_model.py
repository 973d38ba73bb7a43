"""The model: verdicts that follow from threshold and distance, scorers of pairs with weights of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likewise.apps.learn import Learned, LearnOptions, learn
from likewise.data import Dataset, PairSet
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, ModelError, SupportError, UsageError
from likewise.matching import Model, Verdict, calibrate, encode_labelled, encode_pairs, load
from likewise.training import FitOptions


class TestVerify:
    def test_an_item_is_the_same_as_itself(self, learned: Learned, digits: Dataset) -> None:
        for item in digits.sources[:20]:
            verdict = learned.model.verify(item, item.copy())
            assert verdict.same
            assert verdict.distance < 1e-3
            assert verdict.probability > 0.9

    def test_the_verdict_follows_from_distance_and_threshold(self, learned: Learned, digits: Dataset) -> None:
        model = learned.model
        encoded = model.encode(digits.sources[:40]).embeddings
        answers = set()
        for line in model.calibrated().thresholds:
            for i in range(0, 40, 2):
                verdict = model.verify(digits.sources[i], digits.sources[i + 1], fmr=line.promised)
                directions = [v.double() / v.double().norm() for v in (encoded[i], encoded[i + 1])]
                assert verdict.distance == pytest.approx(float(1 - directions[0] @ directions[1]), abs=1e-5)
                assert verdict.threshold == line.threshold
                assert verdict.fmr == line.promised
                assert verdict.same == (verdict.distance <= line.threshold)
                assert 0 < verdict.probability < 1
                answers.add(verdict.same)
        assert answers == {True, False}

    def test_a_smaller_rate_accepts_no_more(self, learned: Learned, digits: Dataset) -> None:
        lines = learned.model.calibrated().thresholds
        assert len(lines) >= 2
        for i in range(0, 40, 2):
            pair = digits.sources[i], digits.sources[i + 1]
            accepted = [learned.model.verify(*pair, fmr=line.promised).same for line in lines]
            assert accepted == sorted(accepted, reverse=True)

    def test_probability_falls_with_distance_and_order_does_not_matter(self, learned: Learned, digits: Dataset) -> None:
        verdicts = [learned.model.verify(digits.sources[0], other) for other in digits.sources[1:40]]
        turned = [learned.model.verify(other, digits.sources[0]) for other in digits.sources[1:40]]
        assert [v.distance for v in verdicts] == pytest.approx([v.distance for v in turned], abs=1e-6)
        ranked = sorted(verdicts, key=lambda v: v.distance)
        probabilities = [v.probability for v in ranked]
        assert probabilities == sorted(probabilities, reverse=True)
        assert probabilities[0] > 0.5 > probabilities[-1]

    def test_paths_bytes_and_arrays_are_alike(self, learned: Learned, digits: Dataset, tmp_path: Path) -> None:
        a, b = tmp_path / "ä.png", tmp_path / "b.png"
        Image.fromarray(digits.sources[0]).save(a)
        Image.fromarray(digits.sources[1]).save(b)
        expected = learned.model.verify(digits.sources[0], digits.sources[1])
        assert learned.model.verify(a, b) == expected
        assert learned.model.verify(str(a), b.read_bytes()) == expected

    def test_a_rate_that_was_not_calibrated_is_refused(self, learned: Learned, digits: Dataset) -> None:
        with pytest.raises(UsageError, match="Calibrate it for this rate first"):
            learned.model.verify(digits.sources[0], digits.sources[1], fmr=0.0314)

    def test_an_unreadable_item_is_refused_by_name(self, learned: Learned, digits: Dataset, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none\.png") as caught:
            learned.model.verify(digits.sources[0], tmp_path / "none.png")
        assert "\n" not in str(caught.value)

    def test_what_it_is_is_shown(self, learned: Learned) -> None:
        model = learned.model
        assert repr(model) == f"Model({model.fingerprint[:8]}, {model.dim}-d, FMR {model.calibrated().default:g})"
        assert repr(Model(model.encoder)).endswith("-d, not calibrated)")

    def test_an_uncalibrated_model_says_so(self, digits: Dataset) -> None:
        model = Model(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8)))
        with pytest.raises(ModelError, match="likewise calibrate") as caught:
            model.verify(digits.sources[0], digits.sources[1])
        assert caught.value.status == 3
        assert "makers" not in str(caught.value)

    def test_it_says_how_far_they_are_apart_and_what_its_makers_published(
        self, digits: Dataset, tmp_path: Path
    ) -> None:
        model = Model(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8), seed=0))
        model.encoder.published = 0.625
        first, second = digits.sources[:2]
        for fmr in (None, 0.01):
            with pytest.raises(ModelError, match=r"up to 0\.625, on their pictures") as caught:
                model.verify(first, second, fmr=fmr)
            assert f"a distance of {model.distance(first, second):.4g}" in str(caught.value)
        with pytest.raises(DataError, match=r"none\.png"):  # first, as nothing else can be said of it
            model.verify(first, tmp_path / "none.png")

    def test_embeddings_that_are_no_numbers_give_no_verdict(self, learned: Learned, digits: Dataset) -> None:
        encoder = Encoder.from_architecture(learned.model.encoder.architecture())
        with torch.no_grad():
            encoder.stages["embedding"].bias.fill_(torch.nan)
        with pytest.raises(ModelError, match="finite"):
            Model(encoder, learned.model.calibration).verify(digits.sources[0], digits.sources[1])


class TestCalibrate:
    def test_the_promise_is_kept_on_the_data_it_was_made_from(self, learned: Learned) -> None:
        tune = learned.parts.tune
        model = calibrate(learned.model.encoder, tune, 0.01)
        line = model.calibrated().threshold_for()
        embeddings = model.encode(tune.sources).embeddings
        between = model.encoder.distance.between(embeddings, embeddings).detach().numpy()
        i, j = np.triu_indices(len(tune), 1)
        different = tune.labels[i] != tune.labels[j]
        accepted = between[i, j] <= line.threshold
        assert accepted[different].mean() <= 0.01 + 1e-9
        assert line.fmr.value == pytest.approx(accepted[different].mean(), abs=2e-4)
        assert line.fnmr.value == pytest.approx(1 - accepted[~different].mean(), abs=2e-3)
        assert model.calibrated().model == model.fingerprint
        assert model.calibrated().data == tune.origin

    def test_too_little_for_the_promise_is_refused(self, learned: Learned) -> None:
        with pytest.raises(SupportError):
            calibrate(learned.model.encoder, learned.parts.tune.subset(np.arange(20)), 1e-4)

    def test_unreadable_items_are_told(self, learned: Learned, digits: Dataset) -> None:
        sources = [*digits.sources[:300]]
        sources[7] = b"text"
        data = Dataset(sources, digits.files[:300], digits.labels[:300], digits.names)
        told: list[tuple[str, str]] = []
        model = calibrate(learned.model.encoder, data, skipped=lambda file, reason: told.append((file, reason)))
        assert [file for file, _ in told] == ["item 7"]
        assert model.calibrated().items == 299

    def test_pairs_are_calibrated_on_too(self, learned: Learned, digits: Dataset) -> None:
        first, second = np.arange(0, 1400, 2), np.arange(1, 1400, 2)
        pairs = PairSet(digits, first, second, digits.labels[first] == digits.labels[second])
        model = calibrate(learned.model.encoder, pairs, 0.05)
        line = model.calibrated().threshold_for()
        distances, kept, _ = encode_pairs(model.encoder, pairs)
        wrong = (distances.numpy() <= line.threshold)[~kept.same]
        assert wrong.mean() == pytest.approx(line.fmr.value, abs=1e-9)
        assert wrong.mean() <= 0.05
        assert model.calibrated().unit == "item"  # the ten digits it was trained on
        assert model.calibrated().items == 1400


class TestEncodingSets:
    def test_labels_and_items_stay_in_step(self, learned: Learned, digits: Dataset) -> None:
        sources = [*digits.sources[:10]]
        sources[0] = sources[6] = b"text"
        data = Dataset(sources, digits.files[:10], digits.labels[:10], digits.names)
        found = encode_labelled(learned.model.encoder, data)
        kept = [1, 2, 3, 4, 5, 7, 8, 9]
        assert torch.equal(found.embeddings, learned.model.encode(digits.sources[kept]).embeddings)
        assert found.labels.tolist() == digits.labels[kept].tolist()
        assert found.data.files == tuple(digits.files[i] for i in kept)
        assert [file for file, _ in found.skipped] == ["item 0", "item 6"]

    def test_pairs_lose_what_cannot_be_read(self, learned: Learned, digits: Dataset) -> None:
        sources = [*digits.sources[:6]]
        sources[3] = b"text"
        items = Dataset(sources, digits.files[:6], digits.labels[:6], digits.names)
        pairs = PairSet(items, np.array([0, 3, 4, 5]), np.array([1, 2, 3, 0]), np.array([True, False, True, False]))
        distances, whole, skipped = encode_pairs(learned.model.encoder, pairs)
        named = [(whole.items.files[a], whole.items.files[b]) for a, b in zip(whole.first, whole.second, strict=True)]
        assert named == [("item 0", "item 1"), ("item 5", "item 0")]
        assert whole.same.tolist() == [True, False]
        expected = [learned.model.distance(sources[0], sources[1]), learned.model.distance(sources[5], sources[0])]
        assert distances.tolist() == pytest.approx(expected, abs=1e-6)
        assert [file for file, _ in skipped] == ["item 3"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("loss", "distance"), [("concatenated", "concatenated"), ("bce", "weighted-l1")])
def test_a_pair_scorer_is_saved_and_used(
    digits: Dataset, tmp_path: Path, watcher: object, loss: str, distance: str
) -> None:
    """What answers beyond a plain distance goes with the model: the network over both, the learned weights."""
    options = LearnOptions(loss=loss, backbone="mlp", dim=8, fit=FitOptions(epochs=3, precision="float32"))
    learned = learn(digits.subset(np.arange(0, 1797, 2)), tmp_path / "m", options, watcher=watcher)
    loaded = load(tmp_path / "m")
    assert loaded.encoder.distance.name == distance
    loaded.encoder.requires_grad_(False)
    before = dict(learned.model.encoder.distance.named_parameters())
    for name, weights in loaded.encoder.distance.named_parameters():
        assert torch.equal(weights, before[name])
    a, b = digits.sources[1], digits.sources[3]
    u, v = loaded.encode([a, b]).embeddings
    scorer = loaded.encoder.distance
    if distance == "weighted-l1":
        by_hand = float(((u - v).abs() * scorer.weights).sum())
    else:  # softplus(-logit) of the mean logit of both orders, through the two halves of the hidden layer
        logits = []
        for x, y in ((u, v), (v, u)):
            hidden = torch.relu(scorer.first[0] @ x + scorer.first[1] @ y + scorer.first_bias)
            logits.append(scorer.second @ hidden + scorer.second_bias)
        by_hand = float(torch.nn.functional.softplus(-(logits[0] + logits[1]) / 2))
    verdict = loaded.verify(a, b)
    assert verdict.distance == pytest.approx(by_hand, rel=1e-4)
    assert verdict == learned.model.verify(a, b)
    # evaluate measures by the scorer as well: its figure is that of the scorer's distances, not of Euclidean ones.
    test = learned.report.labelled
    with torch.inference_mode():
        between = scorer.between(test.embeddings, test.embeddings).fill_diagonal_(torch.inf)
    nearest = (test.labels[between.argmin(dim=1)] == test.labels).float().mean()
    assert learned.report.retrieval.precision_at_1 == pytest.approx(float(nearest), abs=0.02)


def test_models_of_other_weights_have_other_fingerprints() -> None:
    made = [Model(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8), seed=seed)) for seed in (0, 0, 1)]
    assert made[0].fingerprint == made[1].fingerprint != made[2].fingerprint


def test_what_a_notebook_shows(learned: Learned) -> None:
    assert "not the same" in Verdict(False, 1.0, 0.5, 0.1, 0.01, 0.02, True)._repr_html_()
    assert "probability 90.0%" in Verdict(True, 0.1, 0.5, 0.9, 0.01, 0.02, True)._repr_html_()
    assert learned.model.fingerprint[:12] in learned.model._repr_html_()
    assert "not calibrated" in Model(learned.model.encoder)._repr_html_()


def test_a_verdict_is_plain_json(learned: Learned, digits: Dataset) -> None:
    import json

    verdict = learned.model.verify(digits.sources[0], digits.sources[1])
    assert Verdict(**json.loads(json.dumps(verdict.as_dict()))) == verdict
