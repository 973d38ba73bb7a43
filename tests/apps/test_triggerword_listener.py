"""A stream in pieces of any size is heard as the whole at once, and silence costs nothing."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from drawn_trigger import RATE, chirp
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_sounds import sounds_of

from likewise.apps.triggerword import Event, EventRule, LearnedTrigger, Listener, TriggerWord
from likewise.apps.triggerword import listener as module
from likewise.apps.triggerword.events import events_at, scores
from likewise.apps.triggerword.listener import AWAKE, CHUNK, RUN_UP, gate_power, stream_probabilities
from likewise.encoder import SEQUENCES, Encoder, Sounds
from likewise.errors import DataError, UsageError

EVERY_STEP = EventRule(1e-12, hits=1, refractory=0.0)  # an event for each output, whose score it is


def drawn(backbone: str, rate: int = RATE) -> TriggerWord:
    """A network whose outputs differ from step to step and that is no new one."""
    encoder = Encoder(backbone, 1, preprocessing=sounds_of(backbone, rate, 1.0), seed=5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if name.endswith(("running_var", "norm.weight")):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(0.3 * torch.randn(value.shape, generator=generator))
    return TriggerWord(encoder.eval())


@pytest.fixture(scope="module", params=list(SEQUENCES))
def word(request: pytest.FixtureRequest) -> TriggerWord:
    return drawn(request.param)


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    loud = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return loud.astype(np.float32)


def in_pieces(sound: np.ndarray, seed: int, longest: int = 3_000) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    place = 0
    while place < len(sound):
        size = int(rng.integers(0, longest))
        yield sound[place : place + size]
        place += size


def fed(listener: Listener, sound: np.ndarray, seed: int = 0) -> list[Event]:
    return [event for piece in in_pieces(sound, seed) for event in listener.feed(piece)]


def outputs(events: list[Event]) -> np.ndarray:
    return np.array([event.score for event in events])


class TestAsAtOnce:
    @pytest.mark.parametrize("seed", range(3))
    def test_outputs_are_those_of_the_network(self, word: TriggerWord, seed: int) -> None:
        sound = noise(4.0, seed)
        expected = word.probabilities(sound)
        assert expected.std() > 0.02
        found = stream_probabilities(word.encoder, in_pieces(sound, seed))
        assert found == pytest.approx(expected, abs=1e-4)
        listener = Listener(word.encoder, EVERY_STEP, gate=None)
        events = fed(listener, sound, seed)
        assert outputs(events) == pytest.approx(expected[: len(events)], abs=1e-4)
        times = [word.times.heard(step) / RATE for step in range(len(events))]
        assert [event.time_s for event in events] == times
        assert len(events) == word.times.count(len(sound) // listener._chunk * listener._chunk)
        assert listener.seconds == 4.0

    @settings(max_examples=20, deadline=None)
    @given(data=st.data())
    def test_events_are_those_of_the_whole(self, data: st.DataObject) -> None:
        word = drawn("conv-gru")
        sound = noise(4.0, data.draw(st.integers(0, 99)))
        whole = word.probabilities(sound)
        levels = np.sort(whole)
        middle = data.draw(st.integers(5, len(levels) - 5))
        threshold = float((levels[middle] + levels[middle + 1]) / 2)
        if levels[middle + 1] - levels[middle] < 2e-5:
            return  # what rounding decides
        hits, refractory = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.0, 0.2, 1.0]))
        listener = Listener(word.encoder, EventRule(threshold, hits, refractory), gate=None)
        found = fed(listener, sound, data.draw(st.integers(0, 99)))
        steps = events_at(scores(whole, hits), threshold, max(1, round(refractory / 0.04)))
        assert [event.time_s for event in found] == [word.times.heard(int(step)) / RATE for step in steps]

    def test_reset_begins_another_stream(self, word: TriggerWord) -> None:
        listener = Listener(word.encoder, EVERY_STEP)
        first = fed(listener, noise(1.03))
        listener.reset()
        assert listener.seconds == 0
        assert fed(listener, noise(1.03), seed=1) == first

    def test_the_caller_may_use_its_array_again(self, word: TriggerWord) -> None:
        sound, buffer = noise(2.0), np.empty(100, np.float32)
        listener, expected = (Listener(word.encoder, EVERY_STEP) for _ in range(2))
        found: list[Event] = []
        for place in range(0, len(sound), 100):
            buffer[:] = sound[place : place + 100]
            found += listener.feed(buffer)
            buffer[:] = 7.0
        assert outputs(found) == pytest.approx(outputs(expected.feed(sound)), abs=1e-5)


class TestGate:
    def count(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Samples that the network is given, call by call."""
        given: list[int] = []
        real = module._Network.feed

        def feed(self: object, samples: np.ndarray) -> np.ndarray:
            given.append(len(samples))
            return real(self, samples)

        monkeypatch.setattr(module._Network, "feed", feed)
        return given

    def test_minutes_of_digital_silence_cost_nothing(self, word: TriggerWord, monkeypatch: pytest.MonkeyPatch) -> None:
        listener, given = Listener(word.encoder, EVERY_STEP), self.count(monkeypatch)
        listener.feed(np.zeros(180 * RATE, np.float32))
        assert sum(given) == pytest.approx(AWAKE * RATE, abs=CHUNK * RATE)
        listener.feed(noise(0.08))
        assert sum(given) == pytest.approx((AWAKE + RUN_UP) * RATE + word.times.first, abs=3 * CHUNK * RATE)

    def test_soft_noise_is_silence_and_louder_is_not(self, word: TriggerWord, monkeypatch: pytest.MonkeyPatch) -> None:
        hiss = noise(10.0) / 0.1  # root mean square of 1, 0 dBFS
        for level, gate, part in ((-65, -60.0, AWAKE / 10), (-55, -60.0, 1.0), (-65, -70.0, 1.0), (-65, None, 1.0)):
            with monkeypatch.context() as patch:
                given = self.count(patch)
                Listener(word.encoder, EVERY_STEP, gate=gate).feed(10 ** (level / 20) * hiss)
                assert sum(given) / len(hiss) == pytest.approx(part, abs=0.03)

    @pytest.mark.parametrize(("backbone", "rate"), [("conv-gru", RATE), ("conv-gru", 11_025), ("speech-gru", RATE)])
    @pytest.mark.parametrize("silence", [1.6, 1.75, 2.0, 7.3])
    def test_after_silence_it_hears_as_from_a_fresh_start_a_little_before(
        self, backbone: str, rate: int, silence: float
    ) -> None:
        word = drawn(backbone, rate)
        sound = np.concatenate([noise(1.0, rate=rate), np.zeros(round(silence * rate)), noise(1.5, 1, rate=rate)])
        events = fed(Listener(word.encoder, EVERY_STEP), sound.astype(np.float32))
        chunk = round(CHUNK * rate)
        loud = (rate + round(silence * rate)) // chunk * chunk  # the chunk in which sound begins again
        every = word.times.every
        origin = -(-(loud - round(RUN_UP * rate) - word.times.first) // every) * every
        expected = word.probabilities(sound[origin:].astype(np.float32))
        after = [e for e in events if e.time_s * rate > loud]
        first = round(after[0].time_s * rate - word.times.first) // every  # a step of the stream without a rest
        assert after[0].time_s * rate == pytest.approx(word.times.heard(first))
        skipped = first - origin // every
        assert outputs(after) == pytest.approx(expected[skipped : skipped + len(after)], abs=1e-4)
        assert after[0].time_s * rate < loud + every + chunk
        assert [e.time_s for e in after] == sorted(e.time_s for e in after)

    def test_a_pause_that_is_short_changes_nothing(self, word: TriggerWord) -> None:
        sound = np.concatenate([noise(1.0), np.zeros(round((AWAKE - 0.1) * RATE), np.float32), noise(1.0, 1)])
        gated, free = (fed(Listener(word.encoder, EVERY_STEP, gate=gate), sound) for gate in (-60.0, None))
        assert gated == free

    def test_it_stays_quiet_through_a_rest(self, word: TriggerWord) -> None:
        """A refractory time longer than the rest, which begins anew after it."""
        sound = np.concatenate([noise(1.0), np.zeros(3 * RATE, np.float32), noise(4.0, 1)])
        for refractory in (2.0, 6.0):
            times = [e.time_s for e in fed(Listener(word.encoder, EventRule(1e-12, 1, refractory)), sound)]
            assert len(times) > 1
            assert min(np.diff(times)) >= refractory - 0.02


class TestBadInput:
    @pytest.mark.parametrize(
        "samples",
        [
            np.array([0.0, math.nan]), np.array([math.inf]), np.zeros((100, 2)), np.zeros((1, 100)), np.array(0.5),
            np.full(9, 3000.0), np.zeros(9, np.int16), np.zeros(9, complex), np.array(["a"]),
        ],
        ids=lambda samples: f"{samples.dtype}{samples.shape}",
    )  # fmt: skip
    def test_what_is_no_row_of_samples_is_refused_and_nothing_is_lost(self, samples: np.ndarray) -> None:
        word = drawn("conv-gru")
        listener, untroubled = (Listener(word.encoder, EVERY_STEP) for _ in range(2))
        sound = noise(1.0)
        before = listener.feed(sound[:4_000])
        for hear in (listener.feed, word.probabilities):
            with pytest.raises(DataError, match="one row of floats"):
                hear(samples)
        assert before + listener.feed(sound[4_000:]) == untroubled.feed(sound[:4_000]) + untroubled.feed(sound[4_000:])

    def test_nothing_is_nothing(self, word: TriggerWord) -> None:
        listener = Listener(word.encoder, EVERY_STEP)
        assert listener.feed(np.empty(0, np.float32)) == []
        assert len(word.probabilities(np.empty(0, np.float32))) == 0
        assert len(word.probabilities(np.zeros(word.times.first - 1, np.float32))) == 0
        assert len(stream_probabilities(word.encoder, [])) == 0

    def test_floats_of_64_bits_do(self, word: TriggerWord) -> None:
        sound = noise(1.0)
        first, second = (Listener(word.encoder, EVERY_STEP).feed(s) for s in (sound, sound.astype(np.float64)))
        assert first == second

    def test_other_encoders_are_refused(self) -> None:
        for encoder in (
            Encoder("conv-gru", 2, preprocessing=Sounds.at(RATE, 1.0, streamed=True)),
            Encoder("convnet-small", 1, preprocessing=Sounds.at(RATE, 1.0)),
        ):
            for make in (TriggerWord, lambda e: Listener(e, EVERY_STEP)):
                with pytest.raises(UsageError, match="one output at every step"):
                    make(encoder)


def test_memory_does_not_grow(word: TriggerWord) -> None:
    listener = Listener(word.encoder, EventRule(0.999))
    sound = np.concatenate([noise(8.0), np.zeros(4 * RATE, np.float32)])
    tracemalloc.start()
    try:
        fed(listener, sound)
        before, _ = tracemalloc.get_traced_memory()
        for seed in range(3):
            fed(listener, sound, seed)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000  # a second of sound has 32,000 bytes


def test_a_word_is_heard_once_in_noise_and_after_silence(trigger: LearnedTrigger) -> None:
    rng = np.random.default_rng(9)
    sound = 0.02 * rng.standard_normal(20 * RATE).astype(np.float32)
    sound[8 * RATE : 12 * RATE] = 0  # digital silence
    said = (2.0, 5.0, 12.0, 16.0)
    for start in said:
        word = chirp(True, rng)
        sound[round(start * RATE) :][: len(word)] += word
    for start in (3.5, 14.0):
        other = chirp(False, rng)
        sound[round(start * RATE) :][: len(other)] += other
    model = trigger.model
    for gate in (-60.0, None):
        events = fed(Listener(model.encoder, EventRule(0.5), gate=gate), sound)
        assert len(events) == len(said)
        assert all(0.1 < e.time_s - start < 0.9 for e, start in zip(events, said, strict=True))
    assert all(set(event.as_dict()) == {"time_s", "score"} for event in model.listener(threshold=0.5).feed(sound))


@pytest.mark.parametrize("gate", [5.0, 0.0, -130.0, float("nan")])
def test_a_gate_that_lets_nothing_through_is_refused(gate: float) -> None:
    with pytest.raises(UsageError, match="A gate is from -120"):
        gate_power(gate)
    assert gate_power(-20.0) == pytest.approx(0.01)
