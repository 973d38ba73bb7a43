"""A model that hears a word: encoder, and once calibrated its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.apps.triggerword.card import card
from likewise.apps.triggerword.events import HITS, REFRACTORY, EventRule, Floats
from likewise.apps.triggerword.listener import Listener, checked, heard_by, stream_probabilities
from likewise.apps.triggerword.measure import Heard
from likewise.apps.triggerword.promise import AlarmCalibration, promise
from likewise.data import Clips
from likewise.encoder import Encoder, Progress, Seen, evaluating
from likewise.encoder.seen import FITTING
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.matching import TaskModel, read_model
from likewise.media.sounds import Samples, read_sound, stream_sound

TASK = "triggerword"
AT_ONCE = 32  # clips that the network hears together
PIECE = 30.0  # seconds; longer sounds are heard as a stream,
AT_A_TIME = 5.0  # so many seconds at a time


@final
class TriggerWord(TaskModel[Encoder, AlarmCalibration]):
    """Hears whether a word has just been said.

    Args:
        encoder: with a sequence as backbone and one output per step, usually trained.
        calibration: the threshold; without it a threshold has to be given.

    Attributes:
        sounds: how it hears.
        times: when each output is known.

    Raises:
        UsageError: another encoder.
    """

    task: ClassVar[str] = TASK

    def __init__(self, encoder: Encoder, calibration: AlarmCalibration | None = None) -> None:
        self.sounds, self.times = heard_by(encoder)
        super().__init__(encoder, calibration)

    def __repr__(self) -> str:
        promised = self.calibration
        said = "not calibrated" if promised is None else f"at most {promised.default:g} false alarms per hour"
        return f"TriggerWord({self.encoder.backbone} at {self.sounds.rate:,} Hz, {said})"

    def probabilities(self, samples: NDArray[np.floating[Any]]) -> Floats:
        """(T,) in [-1, 1] at the rate of the model -> (S,): that the word has just ended, at every step.

        Raises:
            DataError: something else.
        """
        return self._probabilities([checked(samples)])[0]

    def over_time(self, samples: NDArray[np.floating[Any]]) -> Floats:
        """The same expanded back to the time of the input, (T,) -> (T,): what is known once each sample has come in.

        0 before there is a first output.

        Raises:
            DataError: see `probabilities`.
        """
        outputs = self.probabilities(samples)
        step = (np.arange(1, len(samples) + 1) - self.times.first) // self.times.every
        return np.where(step >= 0, outputs[np.maximum(step, 0)], 0.0) if len(outputs) else np.zeros(len(samples))

    def hear(
        self, data: Clips, *, hits: int = HITS, refractory: float = REFRACTORY, progress: Progress | None = None
    ) -> tuple[Heard, tuple[tuple[str, str], ...]]:
        """Listens to clips, and says which files could not be read, and why.

        Raises:
            DataError: none can be.
        """
        found: dict[int, Floats] = {}
        skipped: list[tuple[str, str]] = []
        for start in range(0, len(data), AT_ONCE):
            stop = min(start + AT_ONCE, len(data))
            block: dict[int, Samples] = {}
            for i in range(start, stop):
                try:
                    if data.seconds[i] > PIECE:
                        found[i] = self._streamed(data.sources[i])
                    else:
                        block[i] = read_sound(data.sources[i], rate=self.sounds.rate)
                except LikewiseError as error:
                    skipped.append((data.files[i], str(error)))
            found.update(zip(block, self._probabilities(list(block.values())), strict=True))
            if progress:
                progress(stop, len(data), "listening")
        kept = sorted(found)
        readable = data if len(kept) == len(data) else data.subset(kept)
        rows = [found[i] for i in kept]
        return Heard(rows, readable, self.times, self.sounds.rate, hits=hits, refractory=refractory), tuple(skipped)

    def known(self, data: Clips) -> NDArray[np.bool_]:
        """(N,) whether it was trained on each of the clips, or its epoch was chosen by it."""
        return self.encoder.seen.used_for(data.contents, *FITTING)

    def calibrated_on(self, data: Clips) -> NDArray[np.bool_]:
        """(N,) whether a threshold was set on each of the clips; see `remember`."""
        return self.encoder.seen.used_for(data.contents, "tune")

    def remember(self, data: Clips) -> None:
        """That a threshold was set on these clips: what is measured on them says nothing of a promise."""
        met = Seen.of("tune", data.contents, data.identity_keys())
        self.encoder.seen = self.encoder.seen.joined(met)

    def promising(self, heard: Heard, per_hour: float) -> TriggerWord:
        """With a threshold for at most `per_hour` false alarms, set on clips that it was not trained on.

        Earlier promises made with the same clips and rules stay.

        Raises:
            SupportError, UsageError: see `promise`.
        """
        line, before = promise(heard, per_hour), self.calibration
        data = heard.data
        fresh = AlarmCalibration(
            model=self.fingerprint, hits=heard.hits, refractory=heard.refractory, lines=(line,), default=line.promised,
            hours=heard.hours, words=heard.words, data=data.origin, contents=data.digest,
        )  # fmt: skip
        same = (
            before is not None and replace(before, lines=fresh.lines, default=fresh.default, data=fresh.data) == fresh
        )
        return TriggerWord(self.encoder, before.with_line(line) if before is not None and same else fresh)

    def rule(self, per_hour: float | None = None, threshold: float | None = None) -> EventRule:
        """What makes an event: a promise of so many false alarms per hour, by default that of the calibration.

        Args:
            per_hour: which promise.
            threshold: instead of a promise.

        Raises:
            UsageError: both, or a promise that was not calibrated. ModelError: never calibrated, and no threshold.
        """
        if threshold is not None:
            if per_hour is not None:
                raise UsageError("Events are made by a promise or by a threshold", "both", "Leave one out.")
            return EventRule(threshold, *self.event_shape())
        if self.calibration is None:
            raise ModelError(
                "A model decides once it knows its threshold",
                "a model that was never calibrated",
                "Run `likewise calibrate MODEL CLIPS --per-hour 0.5`, or pass a threshold.",
            )
        return self.calibration.rule(per_hour)

    def event_shape(self, hits: int | None = None, refractory: float | None = None) -> tuple[int, float]:
        """`hits` and `refractory` of events as given; else those of the calibration, of training, or the usual ones."""
        before, trained = self.calibration, self.encoder.trained.get("options", {})
        usual = (trained.get("hits", HITS), trained.get("refractory", REFRACTORY))
        usual = usual if before is None else (before.hits, before.refractory)
        return usual[0] if hits is None else hits, usual[1] if refractory is None else refractory

    def listener(self, per_hour: float | None = None, *, threshold: float | None = None) -> Listener:
        """Hears a stream as it comes in; see `rule` and `Listener`."""
        return Listener(self.encoder, self.rule(per_hour, threshold))

    def card(self, name: str, config: dict[str, Any], figures: dict[str, Any]) -> str:
        """See `TaskModel.card`."""
        return card(name, config, self.calibration, figures)

    @classmethod
    def load(cls, folder: str | Path) -> TriggerWord:
        """The model in `folder`.

        Raises:
            ModelError: it is damaged, or one for another task.
        """
        folder = Path(folder)
        encoder, calibration = read_model(folder, TASK, AlarmCalibration.from_json)
        if not isinstance(encoder, Encoder) or encoder.step_times is None or encoder.dim != 1:
            raise ModelError(
                "A model of a trigger word has one output at every step", f"another encoder in {str(folder)!r}"
            )
        return cls(encoder, calibration)

    def _probabilities(self, sounds: Sequence[Samples]) -> list[Floats]:
        """One (S,) per sound (T,), each heard from a fresh start; those of one length together."""
        found: list[Floats] = [np.empty(0)] * len(sounds)
        by_length: dict[int, list[int]] = {}
        for i, sound in enumerate(sounds):
            by_length.setdefault(len(sound), []).append(i)
        for length, of in by_length.items():
            if length > PIECE * self.sounds.rate:
                for i in of:
                    found[i] = self._streamed(sounds[i])
            elif self.times.count(length):
                batch = torch.from_numpy(np.stack([sounds[i] for i in of]))
                with evaluating(self.encoder), torch.inference_mode():
                    logits = self.encoder(batch)[..., 0].double()
                for i, row in zip(of, torch.sigmoid(logits).numpy(), strict=True):
                    found[i] = row
        return found

    def _streamed(self, sound: Samples | Path) -> Floats:
        """The same of a sound of any length, in memory that does not grow with it."""
        many = round(self.sounds.rate * AT_A_TIME)
        if isinstance(sound, Path):
            return stream_probabilities(self.encoder, stream_sound(sound, rate=self.sounds.rate, block=many))
        return stream_probabilities(self.encoder, (sound[i : i + many] for i in range(0, len(sound), many)))


def calibrate(
    model: TriggerWord,
    data: Clips,
    per_hour: float,
    *,
    hits: int = HITS,
    refractory: float = REFRACTORY,
    progress: Progress | None = None,
) -> tuple[TriggerWord, tuple[tuple[str, str], ...]]:
    """The model with a threshold for at most `per_hour` false alarms, and what could not be read; see `promising`.

    Args:
        model: is not changed.
        data: hours without the word, for the promise; with it, to know what the promise costs. Clips that the model was
            trained on are left out.
        per_hour: see `promise`.
        hits, refractory: see `EventRule`.
        progress: told how many clips were heard.

    Raises:
        SupportError: too few hours. DataError: no clip can be read, or is new.
    """
    known = model.known(data)
    if known.all():
        raise DataError(
            "A threshold comes from clips the model was not trained on", f"{len(data)} that it was", "Bring others."
        )
    if known.any():
        data = data.subset(np.flatnonzero(~known), f"{data.origin}, without {known.sum():,} clips trained on")
    heard, skipped = model.hear(data, hits=hits, refractory=refractory, progress=progress)
    return model.promising(heard, per_hour), skipped
