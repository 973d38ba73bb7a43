"""Hearing a stream as it comes in, at a cost of a few thousandths of its length and in constant memory.

The networks are small and their steps follow one another, so that plain NumPy is several times faster than a framework:
there are some twenty small products per step, and no graph, dispatch or thread pool around them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import nn

from likewise.apps.triggerword.events import EventFinder, EventRule, Floats
from likewise.encoder import EMBEDDING, Encoder, Sounds, StepTimes
from likewise.encoder.sequences import LEAK, LEAST, BandConvolution, Recurrent, SpeechBlock, SpeechTop
from likewise.encoder.sounds import FLOOR
from likewise.errors import DataError, UsageError
from likewise.media.sounds import LOUDEST

CHUNK = 0.08  # seconds that are looked at together
STREAM = "A stream is one row of floats in [-1, 1]"
LOWEST_GATE = -120.0  # dBFS
GATE = -60.0  # dBFS of a chunk, below which it is silence
AWAKE = 1.5  # seconds of silence after which nothing is computed until it ends
RUN_UP = 0.25  # seconds before its end that have been heard all the same when the network gives its first output: the
# beginning of a word is soft

Array = NDArray[np.float32]


@final
@dataclass(frozen=True)
class Event:
    """The word has been said.

    Attributes:
        time_s: seconds from the beginning of the stream at which that was known.
        score: least probability of the steps in a row that made the event; see `GalleryListener` for that of a gallery.
        name: which word, where several are listened for.
    """

    time_s: float
    score: float
    name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; a line of `likewise listen --json`."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@final
class Listener:
    """Hears a stream that comes in pieces of any size.

    Its outputs are those of the encoder for the whole stream at once. With a gate, silence costs next to nothing: after
    `AWAKE` seconds below it the network rests, and begins anew shortly before the next sound. What is less than `CHUNK`
    waits for the next piece.

    Args:
        encoder: that of a `TriggerWord`.
        rule: what makes an event.
        gate: level of silence in dBFS; None to compute always.

    Raises:
        UsageError: another encoder, or a gate that cannot be.
    """

    def __init__(self, encoder: Encoder, rule: EventRule, *, gate: float | None = GATE) -> None:
        how, self.times = heard_by(encoder)
        self.rate, self.rule = how.rate, rule
        self._chunk = round(CHUNK * how.rate)
        self._gate = None if gate is None else gate_power(gate)
        self._awake_for = round(AWAKE * how.rate)
        self._run_up = round(RUN_UP * how.rate) + self.times.first
        self._network = _Network(encoder, how)
        self.reset()

    def reset(self) -> None:
        """Forgets everything heard: another stream begins."""
        self._pending: Array = np.empty(0, np.float32)  # less than a chunk
        self._heard = 0  # samples in whole chunks
        self._quiet = 0  # of them, silent ones at the end
        self._recent: Array = np.empty(0, np.float32)  # the last `_run_up` of them
        self._network.reset()
        self._finder = EventFinder(self.rule, self.times.every / self.rate)

    @property
    def seconds(self) -> float:
        """How long the stream has been."""
        return (self._heard + len(self._pending)) / self.rate

    def feed(self, samples: NDArray[np.floating[Any]]) -> list[Event]:
        """(T,) in [-1, 1] at `rate`, the next piece of the stream -> the events that it completes.

        Raises:
            DataError: something else.
        """
        samples = checked(samples)
        self._pending = np.concatenate([self._pending, samples]) if len(self._pending) else samples
        events: list[Event] = []
        place = 0
        while place + self._chunk <= len(self._pending):
            events += self._hear(self._pending[place : place + self._chunk])
            place += self._chunk
        self._pending = self._pending[place:].copy()  # the caller may use its array again
        return events

    def _hear(self, chunk: Array) -> list[Event]:
        awake = self._gate is None or self._quiet < self._awake_for
        silent = self._gate is not None and float(np.dot(chunk, chunk)) < self._gate * len(chunk)
        given = chunk
        if not awake and not silent:
            given = self._wake(chunk)
        self._heard += len(chunk)
        self._quiet = self._quiet + len(chunk) if silent else 0
        if self._gate is not None:
            self._recent = np.concatenate([self._recent, chunk])[-self._run_up :]
        if silent and not awake:
            return []
        logits = self._network.feed(given)
        if not len(logits):
            return []
        found = self._finder.feed(_sigmoid(logits.astype(np.float64)))
        return [Event(self.times.heard(step) / self.rate, score) for step, score in found]

    def _wake(self, chunk: Array) -> Array:
        """`chunk` and what came right before it, from where on steps are those of the stream heard without a rest."""
        begin = self._heard - len(self._recent)
        step = -(-begin // self.times.every)
        self._network.reset()
        self._finder.go_on_at(step)
        return np.concatenate([self._recent, chunk])[step * self.times.every - begin :]


def heard_by(encoder: Encoder) -> tuple[Sounds, StepTimes]:
    """How an encoder hears a stream, and when its outputs are known.

    Raises:
        UsageError: it does not, or has not one output at every step.
    """
    how, times = encoder.ready(), encoder.step_times
    if times is None or encoder.dim != 1:
        raise UsageError(
            "A trigger word is heard by an encoder with one output at every step",
            f"{encoder.backbone}, {encoder.dim} of them",
            "Make it with lw.Encoder('conv-gru', dim=1).",
        )
    assert isinstance(how, Sounds)  # nothing else has steps
    return how, times


def stream_probabilities(encoder: Encoder, pieces: Iterable[Array]) -> Floats:
    """A whole stream in pieces (T,) -> (S,): every output, without gate and events; as `TriggerWord.probabilities`."""
    network = _Network(encoder, heard_by(encoder)[0])
    logits = np.concatenate([np.empty(0, np.float32), *map(network.feed, pieces)])
    return _sigmoid(logits.astype(np.float64))


def checked(samples: NDArray[np.floating[Any]]) -> Array:
    """A piece of a stream as float32.

    Raises:
        DataError: not one row of numbers in about [-1, 1].
    """
    samples = np.asarray(samples)
    received = f"{samples.dtype} of shape {samples.shape}"
    if samples.dtype.kind != "f" or samples.ndim != 1:
        raise DataError(STREAM, received, "Whole numbers of 16 bits are to be divided by 32,768.")
    peak = float(np.abs(samples).max(initial=0))
    if not peak <= LOUDEST:  # nor does NaN
        raise DataError(STREAM, f"{received}, up to {peak:g}")
    return samples.astype(np.float32, copy=False)


def gate_power(gate: float) -> float:
    """Mean square of samples at a level in dBFS.

    Raises:
        UsageError: full scale or more, where all would be silence; or next to nothing.
    """
    if not LOWEST_GATE <= gate < 0:
        raise UsageError(f"A gate is from {LOWEST_GATE:g} to below 0 dBFS", f"{gate:g}", "-60 is usual.")
    return 10 ** (gate / 10)


@final
class _Network:
    """The encoder in NumPy: samples in, logits of the steps they complete out."""

    def __init__(self, encoder: Encoder, how: Sounds) -> None:
        settings = encoder.parameters_for_use()
        self._frames = _Windows(how.window, how.hop, 1)
        self._hann, self._mel = how.hann().astype(np.float32), how.matrix().astype(np.float32)
        self._mean, self._scale = np.array(how.mean, np.float32), (1 / np.array(how.std)).astype(np.float32)
        self._stages = _before_recurrent(encoder, how.mels)
        (recurrent,) = (stage for stage in encoder.stages.values() if isinstance(stage, Recurrent))
        self._recurrent = _Gru(recurrent) if recurrent.kind == "gru" else _Lstm(recurrent)
        self._weight = settings[f"stages.{EMBEDDING}.weight"].numpy()[0]
        self._bias = float(settings[f"stages.{EMBEDDING}.bias"][0])

    def reset(self) -> None:
        """Forgets everything."""
        self._frames.reset()
        for stage in self._stages:
            stage.reset()
        self._recurrent.reset()

    def feed(self, samples: Array) -> Array:
        """(T,) -> (n,)."""
        frames = self._frames.feed(samples[:, None])
        if not len(frames):
            return np.empty(0, np.float32)
        spectrum = np.fft.rfft(frames * self._hann)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        x: Array = (np.log(power @ self._mel + np.float32(FLOOR)) - self._mean) * self._scale
        for stage in self._stages:
            x = stage(x)
        return self._recurrent(x) @ self._weight + self._bias


@final
class _Windows:
    """Overlapping windows of rows that come in piece by piece."""

    def __init__(self, length: int, stride: int, width: int) -> None:
        self._length, self._stride, self._width = length, stride, width
        self._within = np.arange(length)
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._rest: Array = np.empty((0, self._width), np.float32)

    def feed(self, rows: Array) -> Array:
        """(n, C) -> (windows, length * C), row by row."""
        rows = np.concatenate([self._rest, rows])
        count = max(0, 1 + (len(rows) - self._length) // self._stride)
        self._rest = rows[count * self._stride :]
        # Faster than NumPy's own windows, which check a lot.
        return rows[np.arange(count)[:, None] * self._stride + self._within].reshape(count, self._length * self._width)


@final
class _Convolution:
    """`BandConvolution`, with the normalisation folded into its weights."""

    def __init__(self, stage: BandConvolution) -> None:
        weight = stage.convolution.weight.detach().cpu().double().numpy()  # (after, before, kernel)
        held = stage.norm.state_dict()
        gamma, beta, mean, variance = (
            held[name].cpu().double().numpy() for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + stage.norm.eps)
        after, before, kernel = weight.shape
        self._weight = (weight * scale[:, None, None]).transpose(2, 1, 0).reshape(-1, after).astype(np.float32)
        self._bias = (beta - mean * scale).astype(np.float32)
        self.windows = _Windows(kernel, stage.convolution.stride[0], before)

    def reset(self) -> None:
        """Forgets everything."""
        self.windows.reset()

    def __call__(self, rows: Array) -> Array:
        return np.maximum(self.windows.feed(rows) @ self._weight + self._bias, 0)


@final
class _SpeechConvolution:
    """A convolution of `SpeechBlock`: (n, bands * before) -> (m, bands * after), rows of bands of channels."""

    def __init__(self, layer: nn.Conv2d, bands: int) -> None:
        weight = layer.weight.detach().cpu().numpy()  # (after, before, over bands, over frames)
        self._after, self._before, self._over_bands, self._over_frames = weight.shape
        self._bands = bands
        self._weight = np.ascontiguousarray(weight.transpose(3, 2, 1, 0).reshape(-1, self._after))
        assert layer.bias is not None  # only the last layer has none
        self._bias = layer.bias.detach().cpu().numpy()
        self.windows = _Windows(self._over_frames, 1, bands * self._before)

    def reset(self) -> None:
        """Forgets everything."""
        self.windows.reset()

    def __call__(self, rows: Array) -> Array:
        rows = self.windows.feed(rows) if self._over_frames > 1 else rows
        x = rows.reshape(-1, self._over_frames, self._bands, self._before).swapaxes(1, 2)
        count, bands = len(x), self._bands
        if self._over_bands == 3:  # what each output is made of, in the order of the weights; 0 beyond the outer bands
            near = np.empty((count, bands, self._over_frames, 3, self._before), np.float32)
            near[:, 0, :, 0] = near[:, -1, :, 2] = 0
            near[:, 1:, :, 0], near[:, :, :, 1], near[:, :-1, :, 2] = x[:, :-1], x, x[:, 1:]
            x = near
        found = x.reshape(count * bands, len(self._weight)) @ self._weight
        found += self._bias
        leaked = LEAK * found
        np.maximum(found, np.maximum(leaked, LEAST, out=leaked), out=found)
        return found.reshape(count, bands * self._after)


@final
class _SpeechPooling:
    """The pooling of `SpeechBlock`: (n, bands * C) -> (n // pool, bands // 2 * C)."""

    def __init__(self, pool: int, bands: int, channels: int) -> None:
        self._pool, self._bands, self._channels = pool, bands // 2, channels
        self.windows = _Windows(pool, pool, bands * channels)

    def reset(self) -> None:
        """Forgets everything."""
        self.windows.reset()

    def __call__(self, rows: Array) -> Array:
        x = self.windows.feed(rows).reshape(-1, self._pool, self._bands, 2, self._channels)
        return x.max(axis=(1, 3)).reshape(len(x), self._bands * self._channels)


@final
class _SpeechTop:
    """`SpeechTop`, with the normalisation folded into its weights."""

    def __init__(self, stage: SpeechTop) -> None:
        weight = stage.convolution.weight.detach().cpu().double().numpy()  # (after, before, frames)
        held = stage.norm.state_dict()
        scale = 1 / np.sqrt(held["running_var"].cpu().double().numpy() + stage.norm.eps)
        after, before, kernel = weight.shape
        self._weight = (weight * scale[:, None, None]).transpose(2, 1, 0).reshape(-1, after).astype(np.float32)
        self._bias = (-held["running_mean"].cpu().double().numpy() * scale).astype(np.float32)
        self.windows = _Windows(kernel, 1, before)

    def reset(self) -> None:
        """Forgets everything."""
        self.windows.reset()

    def __call__(self, rows: Array) -> Array:
        return self.windows.feed(rows) @ self._weight + self._bias


_Stage = _Convolution | _SpeechConvolution | _SpeechPooling | _SpeechTop


def _before_recurrent(encoder: Encoder, bands: int) -> list[_Stage]:
    """What turns a spectrogram of `bands` into what the recurrent layer is given."""
    found: list[_Stage] = []
    for module in encoder.stages.values():
        if isinstance(module, BandConvolution):
            found.append(_Convolution(module))
        elif isinstance(module, SpeechTop):
            found.append(_SpeechTop(module))
        elif isinstance(module, SpeechBlock):
            layers = module.layers()
            found += [_SpeechConvolution(layer, bands) for layer in layers]
            found.append(_SpeechPooling(module.pool, bands, layers[-1].out_channels))
            bands //= 2
    return found


class _Layer:
    """Weights and state of a recurrent layer."""

    def __init__(self, stage: Recurrent) -> None:
        held = stage.layer.state_dict()
        inputs, states, bias, bias_of_state = (
            held[f"{name}_l0"].cpu().numpy().astype(np.float32)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        self._inputs, self._bias = np.ascontiguousarray(inputs.T), bias
        self._states, self._bias_of_state = states, bias_of_state
        self.units = stage.layer.hidden_size
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._h: Array = np.zeros(self.units, np.float32)
        self._c: Array = np.zeros(self.units, np.float32)


@final
class _Gru(_Layer):
    """(n, C) -> (n, units), as torch.nn.GRU."""

    def __call__(self, rows: Array) -> Array:
        given, units, h = rows @ self._inputs + self._bias, self.units, self._h
        found = np.empty((len(rows), units), np.float32)
        for i, x in enumerate(given):
            s = self._states @ h + self._bias_of_state
            gates = _sigmoid(x[: 2 * units] + s[: 2 * units])
            new = np.tanh(x[2 * units :] + gates[:units] * s[2 * units :])
            found[i] = h = new + gates[units:] * (h - new)
        self._h = h
        return found


@final
class _Lstm(_Layer):
    """(n, C) -> (n, units), as torch.nn.LSTM."""

    def __call__(self, rows: Array) -> Array:
        given, units, h, c = rows @ self._inputs + self._bias, self.units, self._h, self._c
        found = np.empty((len(rows), units), np.float32)
        for i, x in enumerate(given):
            s = x + self._states @ h + self._bias_of_state
            into, forget = _sigmoid(s[:units]), _sigmoid(s[units : 2 * units])
            new, out = np.tanh(s[2 * units : 3 * units]), _sigmoid(s[3 * units :])
            c = forget * c + into * new
            found[i] = h = out * np.tanh(c)
        self._h, self._c = h, c
        return found


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return 0.5 + 0.5 * np.tanh(0.5 * x)
