"""What there is to say of a trigger word, with numbers and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from likewise.apps.triggerword.measure import Found, Heard
from likewise.apps.triggerword.model import TriggerWord
from likewise.data import Clips
from likewise.encoder import Progress
from likewise.media.files import write_json


@final
@dataclass(frozen=True)
class AlarmReport:
    """How well a word is heard.

    Attributes:
        data: what it was measured on, in words.
        at: at the threshold.
        curve: at others, rising.
        words: triggers that could be found.
        voices: how many voices, or files, they are of.
        left_out: triggers too close to the end of their clip.
        hours: of sound without the word.
        promised: false alarms per hour that were promised; None where a threshold was given.
        trained_on: how many of the clips the model was trained on.
        calibrated_on: on how many of them a threshold of it was set.
        skipped: file and reason of each that could not be read.
    """

    data: str
    at: Found
    curve: tuple[Found, ...]
    words: int
    voices: int
    left_out: int
    hours: float
    promised: float | None
    trained_on: int
    calibrated_on: int
    skipped: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise evaluate --json`. Latency is that of the middle word, and of 9 in 10."""
        middle, most = np.quantile(self.at.latency, (0.5, 0.9)) if len(self.at.latency) else (None, None)
        return {
            "data": self.data,
            "threshold": self.at.threshold,
            "promised_per_hour": self.promised,
            **self.at.rates(),
            "words": self.words,
            "misses": self.at.misses,
            "voices": self.voices,
            "left_out": self.left_out,
            "false_alarms": self.at.alarms,
            "hours": self.hours,
            "trained_on": self.trained_on,
            "calibrated_on": self.calibrated_on,
            "latency_s": middle,
            "latency_s_p90": most,
            "curve": [{"threshold": found.threshold, **found.rates()} for found in self.curve],
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }

    def rows(self) -> list[tuple[str, str]]:
        """The figures as text."""
        values = self.as_dict()
        missed = self.at.miss_rate
        alarms = self.at.alarms_per_hour
        rows = [
            ("threshold", f"{self.at.threshold:.6g}"),
            (
                "false alarms per hour",
                f"{alarms.value:.3g} (95%: {alarms.low:.3g} to {alarms.high:.3g}), {self.at.alarms} in"
                f" {self.hours:.3g} h",
            ),
        ]
        if missed is not None:
            rows.insert(
                1,
                (
                    "misses",
                    f"{missed.value:.2%} (95%: {missed.low:.2%} to {missed.high:.2%}), {self.at.misses} of"
                    f" {self.words} words of {self.voices} {'voice' if self.voices == 1 else 'voices'}",
                ),
            )
        if self.promised is not None:
            rows.append(("promised", f"at most {self.promised:g} false alarms per hour (95%, one-sided)"))
        if len(self.at.latency):
            rows.append(("known after", f"{values['latency_s']:.2f} s, 9 in 10 within {values['latency_s_p90']:.2f} s"))
        if self.left_out:
            rows.append(("left out", f"{self.left_out} words that end with their clip"))
        if self.trained_on:
            rows.append(("trained on", f"{self.trained_on} of these clips, which flatters the figures"))
        if self.calibrated_on:
            told = f"{self.calibrated_on} of these clips: whether a promise holds shows on others only"
            rows.append(("calibrated on", told))
        return rows

    def write(self, folder: Path) -> list[Path]:
        """Writes metrics.json and alarms.png."""
        metrics = folder / "metrics.json"
        write_json(metrics, self.as_dict())
        return [metrics, *([draw_curve(self, folder / "alarms.png")] if self.at.miss_rate is not None else [])]


def evaluate(
    model: TriggerWord,
    data: Clips,
    *,
    per_hour: float | None = None,
    threshold: float | None = None,
    progress: Progress | None = None,
) -> AlarmReport:
    """Measures how well `model` hears the trigger in clips; see `report_on`.

    Args:
        model: see `TriggerWord`.
        data: with the trigger for misses, and hours without it for false alarms.
        per_hour, threshold: see `TriggerWord.rule`.
        progress: told how many clips were heard.

    Raises:
        ModelError: never calibrated, and no threshold. DataError: no clip can be read.
    """
    rule = model.rule(per_hour, threshold)
    heard, skipped = model.hear(data, hits=rule.hits, refractory=rule.refractory, progress=progress)
    return report_on(model, heard, per_hour=per_hour, threshold=threshold, skipped=skipped)


def report_on(
    model: TriggerWord,
    heard: Heard,
    *,
    per_hour: float | None = None,
    threshold: float | None = None,
    skipped: tuple[tuple[str, str], ...] = (),
) -> AlarmReport:
    """What there is to say of clips that `model` has heard, with its own `EventRule`.

    Raises:
        ModelError: never calibrated, and no threshold.
    """
    promised = None if threshold is not None or model.calibration is None else model.calibration.line_for(per_hour)
    return AlarmReport(
        data=heard.data.origin,
        at=heard.at(model.rule(per_hour, threshold).threshold),
        curve=tuple(heard.curve()),
        words=heard.words,
        voices=len(np.unique(heard.voices)),
        left_out=heard.left_out,
        hours=heard.hours,
        promised=None if promised is None else promised.promised,
        trained_on=int(model.known(heard.data).sum()),
        calibrated_on=int(model.calibrated_on(heard.data).sum()),
        skipped=skipped,
    )


def draw_curve(report: AlarmReport, file: Path) -> Path:
    """Misses against false alarms per hour over all thresholds, with the one in use, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    least = 0.5 / report.hours  # where no alarm is drawn, on a logarithmic axis
    alarms = [max(found.alarms_per_hour.value, least) for found in report.curve]
    missed = [100 * found.miss_rate.value for found in report.curve if found.miss_rate is not None]
    axes.step(alarms, missed, where="post")
    here = report.at
    if here.miss_rate is not None:
        label = f"threshold {here.threshold:.4g}"
        axes.plot(max(here.alarms_per_hour.value, least), 100 * here.miss_rate.value, "o", label=label)
    axes.set(
        xscale="log",
        xlabel=f"false alarms per hour, in {report.hours:.2f} h",
        ylabel=f"misses in %, of {report.words} words",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file)
    return file
