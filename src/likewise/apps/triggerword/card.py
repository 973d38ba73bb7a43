"""The card of a model that hears a word."""

from __future__ import annotations

from typing import Any

from likewise.apps.triggerword.promise import AlarmCalibration
from likewise.encoder import said
from likewise.errors import visible
from likewise.matching.card import in_markdown, opening


def card(name: str, config: dict[str, Any], calibration: AlarmCalibration | None, figures: dict[str, Any]) -> str:
    """README.md of a model folder, in Markdown; see `likewise.matching.card`."""
    says = (
        "Hears whether a word has just been said, made by Likewise. It was trained on"
        f" {said(config['architecture']['preprocessing'])}, and hears streams of any length."
    )
    lines = [
        *opening(name, config, says, f"listen {visible(name)} FILE", "clips"),
        *_figures(figures, calibration),
        "## What it promises",
        "",
        *_promises(name, calibration),
        "",
        "## Limits",
        "",
        "- A promise holds for sounds like those it was calibrated on, in which other rooms, microphones and voices may"
        " not be. Calibrate on hours of your own with `likewise calibrate`.",
        "- Hours that were mixed from fewer hours say less than they count for.",
        "- Voices that no model was trained with are found less often; measure on some of your own.",
    ]
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any], calibration: AlarmCalibration | None) -> list[str]:
    if not figures:
        return []
    missed = figures["miss_rate"]
    lines = [
        "## How good it is",
        "",
        f"Measured at the threshold {figures['threshold']:.6g}{_in_use(figures['threshold'], calibration)} on"
        f" {in_markdown(figures['data'])}, which it was not trained on, but on which a threshold was set, and"
        " with which it may share voices and backgrounds: a first impression, no test.",
        "",
        "| figure | value (95%) |",
        "|---|---|",
    ]
    if missed is not None:
        interval = f"{figures['miss_rate_low']:.4f} to {figures['miss_rate_high']:.4f}"
        lines.append(f"| misses, of {figures['words']} words | {missed:.4f} ({interval}) |")
    lines += [
        f"| false alarms per hour, in {figures['hours']:.2f} h | {figures['false_alarms_per_hour']:.3g}"
        f" ({figures['false_alarms_per_hour_low']:.3g} to {figures['false_alarms_per_hour_high']:.3g}) |",
        "",
        "![misses and false alarms](report/alarms.png)",
        "",
    ]
    return lines


def _in_use(threshold: float, calibration: AlarmCalibration | None) -> str:
    """That a report is of an earlier calibration, where it is."""
    if calibration is None or any(line.threshold == threshold for line in calibration.lines):
        return ""
    return ", which is no longer in use (`likewise evaluate` measures the one that is),"


def _promises(name: str, calibration: AlarmCalibration | None) -> list[str]:
    if calibration is None:
        return [f"Nothing yet: it was not calibrated. Run `likewise calibrate {visible(name)} CLIPS --per-hour 0.5`."]
    lines = ["| at most, per hour | threshold | false alarms there were | misses (95%) |", "|---|---|---|---|"]
    for line in calibration.lines:
        missed = line.miss_rate
        text = "not known" if missed is None else f"{missed.value:.4f} ({missed.low:.4f} to {missed.high:.4f})"
        lines.append(f"| {line.promised:g} | {line.threshold:.6g} | {line.alarms} | {text} |")
    return [
        *lines,
        "",
        f"Set on {in_markdown(calibration.data)}: {calibration.hours:.2f} hours without the word and"
        f" {calibration.words} words. An event takes {calibration.hits} steps in a row;"
        f" {calibration.refractory:g} s after it there is no other. Default: {calibration.default:g} per hour.",
    ]
