"""From clips to a saved model that hears a word: what `likewise train --task triggerword` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from likewise.apps.training import Trained, Watcher, begin, stopped, write_history
from likewise.apps.triggerword.events import HITS, REFRACTORY, check_shape
from likewise.apps.triggerword.measure import Heard
from likewise.apps.triggerword.model import TriggerWord
from likewise.apps.triggerword.promise import smallest_supported
from likewise.apps.triggerword.report import AlarmReport, report_on
from likewise.data import Clips
from likewise.data.augmentation import augmentation
from likewise.encoder import Encoder, speech
from likewise.errors import DataError, SupportError, UsageError
from likewise.objective import ClipBCE, SequentialBCE, StepObjective
from likewise.training import FitOptions, check_hears, choose_device, fit
from likewise.training.state import discard

BACKBONE = "conv-gru"
PARTS = (0.8, 0.1, 0.1)  # to train on, to choose the epoch by, to set a first threshold and measure
Labels = Literal["steps", "clip"]


@final
@dataclass(frozen=True)
class TriggerOptions:
    """What to train.

    Attributes:
        backbone: "conv-gru", "conv-lstm", or "speech-gru", which begins with published weights and so needs far fewer
            recordings; None for the first, or the one of `start`.
        labels: "steps" (timed) or "clip" (one per clip, the plain way that takes far more clips).
        positive_weight, focus, hold, grace: of the objective; see `StepObjective`.
        hits, refractory: of events; see `EventRule`.
        rate: hertz; None for that of the clips, at most 16 kHz, or the one of `start`; see `speech_encoder`.
        start: model folder whose weights are trained on.
        fit: how to train.
    """

    backbone: str | None = None
    labels: Labels = "steps"
    positive_weight: float = 5.0
    focus: float = 2.0
    hold: float = 0.3
    grace: float = 0.12
    hits: int = HITS
    refractory: float = REFRACTORY
    rate: int | None = None
    start: str | None = None
    fit: FitOptions = field(default_factory=FitOptions)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "fit": self.fit.as_dict()}

    def objective(self) -> StepObjective:
        """What to minimise."""
        kinds: dict[str, type[StepObjective]] = {"steps": SequentialBCE, "clip": ClipBCE}
        if self.labels not in kinds:
            raise UsageError("Labels are of steps or of a clip", repr(self.labels))
        return kinds[self.labels](self.positive_weight, self.focus, self.hold, self.grace)

    def encoder(self) -> Encoder:
        """What to train."""
        if self.start is None:
            if self.backbone == speech.BACKBONE:
                return speech.speech_encoder(1, rate=self.rate or speech.RATE, seed=self.fit.seed)
            return Encoder(self.backbone or BACKBONE, 1, rate=self.rate, seed=self.fit.seed)
        asked = {"backbone": self.backbone, "rate": self.rate}
        if given := [f"{name} {value}" for name, value in asked.items() if value is not None]:
            raise UsageError(
                "Training that starts from a model keeps its backbone and rate", ", ".join(given), "Leave it out."
            )
        return TriggerWord.load(self.start).encoder


@final
@dataclass(frozen=True)
class LearnedTrigger(Trained):
    """What came out.

    Attributes:
        model: calibrated as far as the clips support it.
        report: on clips that set the threshold, with whose voices it was trained; None without a threshold.
    """

    model: TriggerWord
    report: AlarmReport | None

    def rows(self) -> list[tuple[str, str]]:
        """The figures and where to look, as text."""
        return [*(() if self.report is None else self.report.rows()), *self.rows_of_training("clips")]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise train --json`."""
        return {**super().as_dict(), "task": self.model.task}


def learn(
    data: Clips,
    out: Path,
    options: TriggerOptions,
    *,
    tune: Clips | None = None,
    resume: bool = False,
    watcher: Watcher,
) -> LearnedTrigger:
    """Trains, sets a first threshold, measures, draws and saves.

    Args:
        data: clips to learn from.
        out: the model folder to write; an older model there is replaced at the very end.
        options: what to train.
        tune: clips with other voices to set the threshold on; None for a tenth of `data`.
        resume: go on with a run that was cut off.
        watcher: told what is going on.

    Raises:
        UsageError, DataError, ModelError: before anything is written.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    encoder, objective = prepare(options)
    checkpoint = begin(out, resume=resume, say=watcher.say)
    shares = PARTS if tune is None else (1 - PARTS[1], PARTS[1])
    train, valid, *rest = data.split(*shares, seed=options.fit.seed)
    held = tune if tune is not None else rest[0]
    watcher.say(f"split by clip: {len(train)} train, {len(valid)} valid, {len(held)} to set the threshold on")
    history = fit(
        encoder, train, objective, validation=valid if len(valid) else None, options=options.fit,
        checkpoint=checkpoint, resume=resume, watch=watcher.step,
    )  # fmt: skip
    for file, reason in history.skipped:
        watcher.say(f"skipped {file}: {reason}")
    notes = list(history.warnings)
    if history.stopped == "interrupted":
        notes.append(stopped(f"in epoch {len(history.epochs) + 1}", checkpoint))
    model, report = TriggerWord(encoder), None
    offered = len(held)
    held = held.subset(np.flatnonzero(~model.known(held)), held.origin)  # a model to start from may have met some
    if len(held) < offered:
        notes.append(f"{offered - len(held)} of {offered} clips for the threshold were trained on, and are left out.")
    heard = _heard(model, held, options, watcher)
    supported = None if heard is None else smallest_supported(heard.hours)
    try:
        promising = None if heard is None or supported is None else model.promising(heard, supported)
    except SupportError as error:  # no threshold keeps it; the model is worth keeping all the same
        notes.append(f"Not calibrated: {error}")
        promising = None
    else:
        if promising is None:
            notes.append("Not calibrated: too few clips for a threshold. `likewise calibrate` with hours of others.")
    if promising is not None and heard is not None:
        model.remember(heard.data)
        model, report = promising, report_on(promising, heard)
        promised = promising.calibration
        if promised is not None and (warning := promised.line_for().warning()):
            notes.append(warning)
        notes.append(
            f"Calibrated for at most {supported:g} false alarms per hour, the smallest that {report.hours:.2g} h can"
            " show."
        )
        if tune is None:
            notes.append(
                "These hours share voices and backgrounds with those trained on, which flatters them: calibrate and"
                " measure with clips of others (`likewise synthesize --take`)."
            )

    def write_report(folder: Path) -> dict[str, Any]:
        write_history(history, folder)
        if report is None:
            return {}
        report.write(folder)
        return report.as_dict()

    encoder.trained["options"] = options.as_dict()
    model.save(out, write_report)
    if checkpoint is not None and history.stopped != "interrupted":
        discard(checkpoint)
    return LearnedTrigger(history, out, tuple(notes), model, report)


def prepare(options: TriggerOptions) -> tuple[Encoder, StepObjective]:
    """The encoder and the objective that `options` ask for; nothing is read or trained yet.

    Raises:
        UsageError, ModelError: options that cannot work.
    """
    check_shape(options.hits, options.refractory)
    augmentation(options.fit.augment, "stream")
    choose_device(options.fit.device)
    encoder = options.encoder()
    check_hears(encoder)
    return encoder, options.objective()


def _heard(model: TriggerWord, held: Clips, options: TriggerOptions, watcher: Watcher) -> Heard | None:
    """What the model makes of `held`; None where nothing of it can be read, which is no reason to lose the model."""
    try:
        heard, skipped = model.hear(held, hits=options.hits, refractory=options.refractory)
    except DataError:
        return None
    for file, reason in skipped:
        watcher.say(f"skipped {file}: {reason}")
    return heard
