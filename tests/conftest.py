"""What several tests draw on: small pictures, drawn here or taken from scikit-learn's digits, and a model of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

# What tests compute is so small that a second thread only waits for the first, and spins meanwhile. Libraries read this
# as they are loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from likewise.apps.detect import LearnedBoxes
from likewise.apps.learn import Learned, LearnOptions, learn
from likewise.apps.triggerword import LearnedTrigger
from likewise.data import Dataset, arrays
from likewise.training import FitOptions, Step

torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)  # how long an example takes is up to what else the machine does
settings.load_profile("untimed")


# A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C, which some are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Quiet:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.said: list[str] = []

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def watcher() -> Quiet:
    return Quiet()


@pytest.fixture(scope="session")
def digit_arrays() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits as (N, 8, 8) uint8 and (N,) labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target


@pytest.fixture(scope="session")
def digits(digit_arrays: tuple[np.ndarray, np.ndarray]) -> Dataset:
    return arrays(*digit_arrays, origin="digits")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of 4 identities with 6 pictures each; pixel values follow from identity and number."""
    for identity in range(4):
        folder = tmp_path / "tree" / f"person {identity}"
        folder.mkdir(parents=True)
        for number in range(6):
            rng = np.random.default_rng((identity, number))
            base = np.zeros((20, 16), np.uint8)
            base[identity * 4 : identity * 4 + 5, 3:13] = 200
            noisy = np.clip(base + rng.integers(0, 40, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number}.png")
    return tmp_path / "tree"


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory: pytest.TempPathFactory, digit_arrays: tuple[np.ndarray, np.ndarray]) -> Path:
    """A folder of folders with 30 PNG of each digit; to be read, not changed."""
    pictures, labels = digit_arrays
    root = tmp_path_factory.mktemp("pictures") / "digits"
    for digit in range(10):
        (root / str(digit)).mkdir(parents=True)
        for number, i in enumerate(np.flatnonzero(labels == digit)[:30]):
            Image.fromarray(pictures[i]).save(root / str(digit) / f"{number:02}.png")
    return root


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Learned:
    """A small model of the digits, trained, calibrated, measured and saved; to be read, not changed."""
    options = LearnOptions(backbone="mlp", dim=16, fit=FitOptions(epochs=6, precision="float32", seed=0))
    return learn(digits, tmp_path_factory.mktemp("learned") / "digits.model", options, watcher=Quiet())


@pytest.fixture(scope="session")
def model_folder(learned: Learned) -> Path:
    return learned.folder


@pytest.fixture(scope="session")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> LearnedTrigger:
    """A small model that hears a drawn word, trained, calibrated, measured and saved; to be read, not changed."""
    from drawn_trigger import learned_trigger

    return learned_trigger(tmp_path_factory.mktemp("trigger"), Quiet())


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> LearnedBoxes:
    """A small detector of drawn things, trained, calibrated, measured and saved; to be read, not changed."""
    from drawn_scenes import learned_scenes

    return learned_scenes(tmp_path_factory.mktemp("detector"), Quiet())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports get empty pictures: drawing takes nine tenths of a small run, and is looked at elsewhere."""
    monkeypatch.setattr("likewise.evaluation.report.draw_curves", lambda _, __, file: file.touch())
    monkeypatch.setattr("likewise.evaluation.report.draw_hardest", lambda _, __, file: file.touch())
    monkeypatch.setattr("likewise.apps.training.draw_history", lambda _, file: file.touch())
    monkeypatch.setattr("likewise.apps.learn.draw_labelled", lambda _, __, files, ___: [file.touch() for file in files])


@pytest.fixture(scope="session")
def crowd() -> Callable[..., Dataset]:
    """Draws people: a pattern of 8 x 8 pixels each, seen through noise; the same person from the same name."""

    def draw(names: Sequence[str], each: int = 8, *, seed: int = 0, parts: Sequence[str] | None = None) -> Dataset:
        patterns = [np.random.default_rng(list(name.encode())).random((8, 8)) for name in names]
        noise = np.random.default_rng(seed).normal(0, 0.15, (len(names), each, 8, 8))
        pictures = np.clip(255 * (np.stack(patterns)[:, None] + noise), 0, 255).astype(np.uint8)
        of_item = None if parts is None else np.repeat(parts, each).tolist()
        return arrays(pictures.reshape(-1, 8, 8), np.repeat(names, each), parts=of_item, origin="a crowd")

    return draw
