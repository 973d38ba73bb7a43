"""Training on clips: what goes together, labels at the right steps, and one seed, one result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_runs import same_weights

from likewise.data import Clips, Dataset
from likewise.encoder import Encoder, Sounds
from likewise.errors import DataError, UsageError
from likewise.objective import ClipBCE, SequentialBCE, StepObjective, SupCon
from likewise.training import FitOptions, History, fit
from likewise.training.batches import prepare, step_labels

RATE = 8_000
OPTIONS = FitOptions(epochs=2, batch=4, precision="float32", device="cpu", seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """12 clips of 1 s of noise, in every other a tone that ends after 0.3 to 0.6 s."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    sounds = 0.02 * rng.standard_normal((12, RATE))
    ends = np.arange(6) * 0.06 + 0.3
    for i, end in enumerate(ends):
        stop = round(end * RATE)
        sounds[2 * i, stop - 1_600 : stop] += 0.3 * np.sin(np.arange(1_600))
    for i, sound in enumerate(sounds):
        soundfile.write(folder / f"{i}.wav", sound, RATE)
    return Clips(
        tuple(folder / f"{i}.wav" for i in range(12)), np.ones(12), np.arange(0, 12, 2), ends - 0.2, ends,
        np.ones(6, bool), np.array(["v"] * 6), "drawn",
    )  # fmt: skip


def trained(data: Clips, validation: Clips | None = None, **changes: object) -> tuple[Encoder, History]:
    encoder = Encoder("conv-gru", 1, seed=0)
    return encoder, fit(encoder, data, SequentialBCE(), validation=validation, options=OPTIONS, **changes)


def test_labels_are_at_the_steps_that_have_just_heard_the_word(data: Clips) -> None:
    objective = SequentialBCE(hold=0.2, grace=0.1)
    encoder = Encoder("conv-gru", 1)
    batches = prepare(encoder, data, objective, OPTIONS)
    times = encoder.step_times
    assert times is not None
    assert batches.identities is None
    for i, labels in enumerate(batches.labels.tolist()):
        end = data.end[i // 2] if i % 2 == 0 else np.inf
        for step, label in enumerate(labels):
            since = times.heard(step) / RATE - end  # of the word when this is known
            expected = 1 if 0 <= since < 0.2 else -1 if -0.08 <= since < 0 else 0  # steps are 40 ms
            assert label == expected, (i, step, since)


def test_labels_go_with_their_clips_where_others_cannot_be_read(data: Clips, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    sources = (data.sources[0], tmp_path / "bad.wav", *data.sources[2:])
    spoiled = Clips(sources, data.seconds, data.clip, data.start, data.end, data.positive, data.voices, "spoiled")
    batches = prepare(Encoder("conv-gru", 1), spoiled, SequentialBCE(), OPTIONS)
    whole = prepare(Encoder("conv-gru", 1), data, SequentialBCE(), OPTIONS)
    assert [file for file, _ in batches.skipped] == [str(tmp_path / "bad.wav")]
    kept = [0, *range(2, 12)]
    assert torch.equal(batches.labels, whole.labels[kept])
    assert torch.equal(batches.values, whole.values[kept])


def test_one_seed_gives_one_result_dropout_and_all(data: Clips) -> None:
    torch.manual_seed(1)
    first, _ = trained(data, augment="stream")
    torch.manual_seed(2)
    again, _ = trained(data, augment="stream")
    assert same_weights(first, again)
    other, _ = trained(data, augment="stream", seed=1)
    assert not same_weights(first, other)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    trained(data)
    assert torch.equal(torch.rand(1), expected)  # nobody else's generator is touched


def test_validation_is_the_loss_and_less_is_better(data: Clips) -> None:
    encoder, history = trained(data, data, epochs=4)
    figures = [epoch.validation for epoch in history.epochs]
    assert history.select == "loss"
    assert history.best == 1 + int(np.argmin(figures))
    objective = SequentialBCE()
    outputs = encoder.encode(encoder.ready().decode(data.sources).values).embeddings
    labels = step_labels(encoder.backbone, data, objective, encoder.ready())
    assert objective(outputs, labels).item() == pytest.approx(min(figures), rel=1e-5)
    parts = encoder.seen.parts.tolist()
    assert parts == [0] * 12  # of two uses the harder


def test_a_label_per_clip(data: Clips) -> None:
    history = fit(Encoder("conv-lstm", 1), data, ClipBCE(), options=OPTIONS)
    assert len(history.epochs) == 2
    assert all(np.isfinite(epoch.loss) for epoch in history.epochs)


class TestRefused:
    def test_what_does_not_go_with_clips(self, data: Clips, digits: Dataset) -> None:
        with pytest.raises(UsageError, match="by sequential-bce or clip-bce; got supcon"):
            fit(Encoder("conv-gru", 1), data, SupCon(), options=OPTIONS)
        with pytest.raises(UsageError, match="heard by one of conv-gru, conv-lstm, speech-gru; got mlp"):
            fit(Encoder("mlp", 1), data, SequentialBCE(), options=OPTIONS)
        with pytest.raises(UsageError, match="learns from clips; got labelled items"):
            fit(Encoder("mlp", 1), digits, SequentialBCE(), options=OPTIONS)
        with pytest.raises(UsageError, match="Batches of clips or scenes are a number of them"):
            trained(data, batch=(2, 2))
        with pytest.raises(UsageError, match="An augmentation of streams is one of none, stream; got 'speech'"):
            trained(data, augment="speech")
        with pytest.raises(UsageError, match="validated on data like those"):
            fit(Encoder("conv-gru", 1), data, SequentialBCE(), validation=digits, options=OPTIONS)
        with pytest.raises(UsageError, match="validated on data like those"):
            fit(Encoder("mlp", 4), digits, SupCon(), validation=data, options=OPTIONS)

    @pytest.mark.parametrize(
        ("objective", "indices"), [(SequentialBCE(), range(1, 12, 2)), (ClipBCE(), range(0, 12, 2))]
    )  # fmt: skip
    def test_labels_of_one_kind(self, data: Clips, objective: StepObjective, indices: range) -> None:
        with pytest.raises(DataError, match="with the trigger, and"):
            fit(Encoder("conv-gru", 1), data.subset(indices), objective, options=OPTIONS)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0])
def test_clips_may_be_longer_than_those_of_before(data: Clips, seconds: float) -> None:
    encoder = Encoder("conv-gru", 1, preprocessing=Sounds.at(RATE, seconds, streamed=True))
    batches = prepare(encoder, data, SequentialBCE(), OPTIONS)
    assert torch.equal(batches.labels, prepare(Encoder("conv-gru", 1), data, SequentialBCE(), OPTIONS).labels)
    assert batches.values.shape == (12, RATE)
    fit(encoder, data, SequentialBCE(), validation=data, options=OPTIONS)
    assert encoder.embedded == (batches.labels.shape[1], 1)
