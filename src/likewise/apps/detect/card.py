"""The card of a detector."""

from __future__ import annotations

from typing import Any

from likewise.apps.detect.scores import ScoreCalibration
from likewise.encoder import said
from likewise.errors import visible
from likewise.matching.card import in_markdown, opening


def card(name: str, config: dict[str, Any], calibration: ScoreCalibration | None, figures: dict[str, Any]) -> str:
    """README.md of a model folder, in Markdown; see `likewise.matching.card`."""
    head, how = config["architecture"]["head"], config["architecture"]["preprocessing"]
    listed = ", ".join(map(in_markdown, head["names"][:20])) + (", ..." if len(head["names"]) > 20 else "")
    cells = f"{how['height'] // head['stride']} x {how['width'] // head['stride']} cells of {head['per_cell']} boxes"
    says = (
        f"Says where in a picture these are: {listed}. Made by Likewise; it looks once, at {said(how)}, in {cells}"
        " (YOLO, Redmon et al. 2016)."
    )
    lines = [
        *opening(name, config, says, f"detect {visible(name)} FILE... --draw DIR", "pictures"),
        *_figures(figures),
        "## From which score on a box counts",
        "",
        *_threshold(calibration),
        "",
        "## Limits",
        "",
        "- A score says how sure the network is; it is no probability.",
        "- Each cell gives one class: of things whose centres lie in one cell, one is found.",
        "- Figures hold for pictures like those they were measured on, in which other cameras and places may not be.",
    ]
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any]) -> list[str]:
    rows = figures.get("rows")
    if not rows:
        return []
    shown = [f"![{text}](report/{file})" for file, text in figures.get("shown", ())]
    return [
        "## What was measured", "", "| figure | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), "",
        *shown, "",
    ]  # fmt: skip


def _threshold(calibration: ScoreCalibration | None) -> list[str]:
    if calibration is None:
        return ["Not set: 0.25 is taken. `likewise calibrate MODEL DATA` sets it."]
    lines = [f"{calibration.threshold:.3f}, {calibration.said()}."]
    for what, share in (("of what it says there is", calibration.precision), ("of what is there", calibration.recall)):
        if share is not None:
            verb = "was right" if what.endswith("there is") else "was found"
            lines.append(f"- {share.value:.1%} {what} {verb} there (95%: {share.low:.1%} to {share.high:.1%}).")
    lines.append("- These pictures chose the score, so both figures flatter it: how good it is shows on others.")
    return lines
