"""The step that is written as ONNX gives, step by step, what the model gives for the whole stream."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sequence_sounds import sounds_of

from likewise.apps.triggerword import EventRule, TriggerWord
from likewise.apps.triggerword.onnx_step import export
from likewise.encoder import SEQUENCES, Encoder
from likewise.errors import ModelError, UsageError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def trigger(backbone: str, rate: int = 8_000) -> TriggerWord:
    """With weights that make outputs far apart, seed 0."""
    torch.manual_seed(0)
    how = sounds_of(backbone, rate, 3.0)
    rng = np.random.default_rng(0)
    values = {"mean": tuple(rng.normal(-5, 2, how.mels).tolist()), "std": tuple(rng.uniform(1, 3, how.mels).tolist())}
    encoder = Encoder(backbone, 1, preprocessing=replace(how, **values), seed=0)
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if "running" in name or "norm" in name:
                value.copy_(torch.rand(value.shape) + 0.5)
            elif value.ndim:
                value.mul_(10 if "embedding" in name else 3)
        middle = np.median(TriggerWord(encoder).probabilities(stream(rate)))
        encoder.stages["embedding"].bias += float(np.log(1 / middle - 1))
    return TriggerWord(encoder)


def stream(rate: int) -> np.ndarray:
    """4 s: noise and a glide, from digital silence to full scale."""
    t = np.arange(4 * rate) / rate
    sound = np.sin(2 * np.pi * (300 + 400 * t) * t) + 0.3 * np.random.default_rng(1).standard_normal(len(t))
    return np.clip(sound * np.maximum(0, np.sin(3 * t)), -1, 1).astype(np.float32)


def session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("backbone", list(SEQUENCES))
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_step_by_step_it_is_the_model(backbone: str, rate: int, tmp_path: Path) -> None:
    model, sound = trigger(backbone, rate), stream(rate)
    told = export(model, tmp_path / "step.onnx", EventRule(0.75, hits=3, refractory=2.0))
    network = session(tmp_path / "step.onnx")
    held = network.get_modelmeta().custom_metadata_map
    assert held == told
    assert (held["threshold"], held["hits"], held["refractory_seconds"]) == ("0.75", "3", "2.0")
    assert (held["rate"], held["fingerprint"]) == (str(rate), model.fingerprint)

    expected = model.probabilities(sound)
    assert np.ptp(expected) > 0.4
    first, every = int(held["first_samples"]), int(held["every_samples"])
    begin = {port.name: np.zeros(port.shape, np.float32) for port in network.get_inputs() if port.name != "samples"}
    assert list(begin) == (["state", "cell"] if backbone == "conv-lstm" else ["state"])
    states, found = begin, []
    for place in range(0, len(sound) - first + 1, every):
        probability, *after = network.run(None, {"samples": sound[None, place : place + first], **states})
        assert probability.shape == (1, 1)
        found.append(float(probability[0, 0]))
        states = dict(zip(begin, after, strict=True))
    assert len(found) == len(expected)
    assert np.abs(np.array(found) - expected).max() < 1e-4

    together, *_ = network.run(["probability"], {"samples": sound[None], **begin})  # and all steps at once
    assert together.shape == (1, len(expected))
    assert np.abs(together[0] - expected).max() < 1e-4


def test_what_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trigger("conv-gru")
    with pytest.raises(ModelError, match="never calibrated"):
        export(model, tmp_path / "step.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"likewise\[onnx\]"):
        export(model, tmp_path / "step.onnx", EventRule(0.5))
    assert list(tmp_path.iterdir()) == []
