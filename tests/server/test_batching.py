"""Requests share the encoder, and get their own answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from service_client import png

from likewise.encoder import Pictures
from likewise.matching import Model, load
from likewise.server.batching import Lane
from likewise.server.decoding import Budget, Decoders, Opened
from likewise.server.limits import Limits
from likewise.server.refusals import Refusal
from likewise.server.service import Upload


class Instant:
    """Decodes here: what is looked at is the queue."""

    def budget(self) -> Budget:
        return Budget(Limits())

    def decode(self, content: bytes, name: str, how: Pictures, budget: Budget) -> Opened:
        return Opened(how.parts(content), ())


@pytest.fixture
def model(model_folder) -> Model:
    return load(model_folder)


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane(Instant(), 64)
    yield made
    made.close()


def upload(i: int) -> Upload:
    return Upload(f"{i}.png", png(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)))


class Held:
    """An encoder that waits until it is let go."""

    def __init__(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.go, self.began = threading.Event(), threading.Event()
        encode = model.encoder.encode

        def slow(items, **options):
            self.sizes.append(len(items))
            self.began.set()
            assert self.go.wait(20)
            return encode(items, **options)

        monkeypatch.setattr(model.encoder, "encode", slow)


def test_answers_do_not_cross(lane: Lane, model: Model) -> None:
    uploads = [upload(i) for i in range(200)]
    expected = model.encode([one.read() for one in uploads]).embeddings.numpy()

    def ask(i: int) -> np.ndarray:
        part = uploads[i : i + 1 + i % 3]
        found = lane.encode(model.encoder, part, patient=True)
        assert found.kept.tolist() == list(range(len(part)))
        return found.embeddings.numpy()

    with ThreadPoolExecutor(16) as pool:
        for i, found in enumerate(pool.map(ask, range(200))):
            np.testing.assert_allclose(found, expected[i : i + 1 + i % 3], rtol=1e-4, atol=1e-5)


def test_what_comes_while_one_is_encoded_is_the_next_batch(
    lane: Lane, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(model, monkeypatch)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(lane.encode, model.encoder, [upload(0)])]
        assert held.began.wait(20)
        asked += [pool.submit(lane.encode, model.encoder, [upload(i)]) for i in range(1, 11)]
        while len(lane._jobs) < 10:
            pass
        held.go.set()
        assert all(len(one.result().kept) == 1 for one in asked)
    assert held.sizes == [1, 10]


def test_past_the_queue_is_refused_at_once_and_there_is_room_again_later(
    lane: Lane, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(model, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        asked = pool.submit(lane.encode, model.encoder, [upload(i) for i in range(60)])
        assert held.began.wait(20)
        with pytest.raises(Refusal) as refused:
            lane.encode(model.encoder, [upload(i) for i in range(5)])
        assert refused.value.status == 503
        assert (refused.value.retry_after or 0) >= 1
        assert "60 of at most 64" in str(refused.value)
        more = pool.submit(lane.encode, model.encoder, [upload(i) for i in range(4)])  # just fits
        held.go.set()
        assert len(asked.result().kept) == 60
        assert len(more.result().kept) == 4
    assert lane.here == 0
    assert lane.refused == 5


def test_unreadable_ones_are_named_and_others_go_on(model: Model) -> None:
    decoders = Decoders(Limits(), 1)
    lane = Lane(decoders, 64)
    try:
        found = lane.encode(model.encoder, [upload(0), Upload("bad.png", b"bad"), upload(2)])
        assert found.kept.tolist() == [0, 2]
        assert found.problems[0][0] == 1
        assert "bad.png" in found.problems[0][1]
        nothing = lane.encode(model.encoder, [Upload("bad.png", b"")])
        assert nothing.embeddings.shape == (0, model.dim)
    finally:
        lane.close()
        decoders.close()


def test_a_failure_reaches_who_asked_and_nobody_after(
    lane: Lane, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(model.encoder, "encode", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lane.encode(model.encoder, [upload(0)])
    assert len(lane.encode(model.encoder, [upload(0)]).kept) == 1
    assert lane.here == 0
