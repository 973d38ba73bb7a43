"""The card of a model that answers."""

from __future__ import annotations

from typing import Any

from likewise.apps.classify.calibration import COVERED, AnswerCalibration
from likewise.encoder import said
from likewise.errors import visible
from likewise.matching.card import in_markdown, opening

KINDS = {
    "binary": "Says which of two classes holds: {}.",
    "multiclass": "Says which of these classes holds: {}.",
    "multilabel": "Says which of these hold, any number of them: {}.",
    "regression": "Says how much: {}.",
}

_ONE_OF_THEM = "It answers with one of what it was trained on, whatever it is shown: it does not know strangers."
STRANGERS = {
    "binary": _ONE_OF_THEM,
    "multiclass": _ONE_OF_THEM,
    "multilabel": "It says of each class whether it holds, whatever it is shown: it does not know strangers.",
    "regression": "It says a number, whatever it is shown; beyond those it was trained on it guesses.",
}


def card(name: str, config: dict[str, Any], calibration: AnswerCalibration | None, figures: dict[str, Any]) -> str:
    """README.md of a model folder, in Markdown; see `likewise.matching.card`."""
    head, trained = config["architecture"]["head"], config["trained"]
    listed = ", ".join(map(in_markdown, head["names"][:20])) + (", ..." if len(head["names"]) > 20 else "")
    says = f"{KINDS[head['kind']].format(listed)} Made by Likewise, of {said(config['architecture']['preprocessing'])}."
    lines = [
        *opening(name, config, says, f"classify {visible(name)} FILE..."),
        *_figures(figures, trained.get("split", {}).get("test_trained_on", "")),
        "## How its answers are read",
        "",
        *_reading(head, calibration),
        "",
        "## Limits",
        "",
        f"- {STRANGERS[head['kind']]}",
        "- Probabilities and figures hold for items like those they were measured on, in which other cameras, places"
        " and times may not be.",
    ]
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any], known: str) -> list[str]:
    rows = figures.get("rows")
    if not rows:
        return []
    claim = f"{known} were trained on, which flatters it" if known else "which had no part in training"
    return [
        "## What was measured",
        "",
        f"On the test part, {'of which ' * bool(known)}{claim}.",
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {a} | {b} |" for a, b in rows),
        "",
    ]


def _reading(head: dict[str, Any], calibration: AnswerCalibration | None) -> list[str]:
    if calibration is None:
        return [
            "Not calibrated: its probabilities are as training left them. `likewise calibrate MODEL DATA` mends that."
        ]
    of = f"on {calibration.sample()} that training did not use"
    if head["kind"] == "regression":
        if not calibration.half_widths:
            return [calibration.lacking()]
        widths = zip(head["names"], calibration.half_widths, strict=True)
        return [
            f"- Of {in_markdown(name)}, {COVERED:.0%} lie within {width:.4g} of what is said, {of}."
            for name, width in widths
        ]
    lines = [f"- Outputs are divided by the temperature {calibration.temperature:.3g}, found {of}."]
    if calibration.shifts:
        lines.append(
            "- Rare classes counted more in training, so they are named before they are the most probable."
            " Probabilities are as if all had counted the same."
        )
    if calibration.thresholds:
        thresholds = zip(head["names"], calibration.thresholds, strict=True)
        lines.append(
            "- A class holds from " + ", ".join(f"{in_markdown(name)} {bar:.2f}" for name, bar in thresholds) + " on."
        )
    return lines
