"""The model card: what a person should know before trusting a model."""

from __future__ import annotations

import re
from typing import Any

from likewise.calibration import Calibration
from likewise.encoder import begun_with, said
from likewise.errors import visible


def card(name: str, config: dict[str, Any], calibration: Calibration | None, figures: dict[str, Any]) -> str:
    """README.md of a model folder, in Markdown.

    Args:
        name: of the folder.
        config: as in config.json.
        calibration: if there is one.
        figures: of the report, empty without one.
    """
    return (
        "\n".join(
            [
                *_what(name, config),
                *_figures(figures, config["trained"].get("split", {})),
                *_promises(name, calibration),
                *_limits(config["architecture"]["preprocessing"]["kind"], calibration, figures),
            ]
        )
        + "\n"
    )


def in_markdown(text: str) -> str:
    """`text` on one line, such that Markdown shows it as it is: names are of whoever gave them, and may hold HTML."""
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", visible(text))


def opening(name: str, config: dict[str, Any], says: str, use: str, items: str = "items") -> list[str]:
    """How the card of a model for any task begins: what it is, how it is used, and how it was trained.

    Args:
        name: of the folder.
        config: as in config.json.
        says: what it is, in Markdown.
        use: the command line that uses it, without "likewise".
        items: what it was trained on, in words.
    """
    made, trained = config["architecture"], config["trained"]
    versions = ", ".join(f"{library} {number}" for library, number in config["versions"].items())
    return [
        f"# {in_markdown(name)}",
        "",
        says,
        "",
        f"    likewise {use}",
        "",
        "## How it was trained",
        "",
        f"- Network: `{made['backbone']}`, taps {', '.join(made['taps'])}.",
        *_training(trained, items),
        *(() if (others := begun_with(trained)) is None else [f"- It holds weights of others: {others}."]),
        f"- Made with {versions}.",
        f"- Fingerprint `{config['fingerprint']}`.",
        "",
    ]


def _training(trained: dict[str, Any], items: str) -> list[str]:
    if "data" not in trained:
        return []
    if "fit" not in trained:  # by others, who published it
        return [f"- Data: {in_markdown(trained['data'])}."]
    options = trained["fit"]
    return [
        f"- Data: {in_markdown(trained['data'])} ({trained['items']:,} {items}, fingerprint"
        f" `{trained['data_fingerprint'][:16]}`).",
        f"- Objective: {_plain(trained['objective'])}.",
        f"- {options['epochs']} epochs at most, best {trained['best_epoch']}, optimizer {options['optimizer']},"
        f" seed {options['seed']}, {trained['precision']}, {trained['seconds']:.1f} s.",
    ]


def _what(name: str, config: dict[str, Any]) -> list[str]:
    made, trained = config["architecture"], config["trained"]
    says = (
        f"An encoder made by Likewise: {said(made['preprocessing'])} become {made['dim']}"
        f" numbers{' of unit length' if made['unit'] else ''}; two items are compared by their"
        f" {made['distance']['name']} distance, and small means same."
    )
    of = f" of {trained['identities']:,} identities" if trained.get("identities") else ", in pairs"
    return opening(name, config, says, f"verify {visible(name)} A B", f"items{of}")


def _plain(options: dict[str, Any]) -> str:
    """An objective's options as a person says them: triplet, margin 0.2, miner semi-hard."""
    name = str(options.get("name", ""))
    rest = [f"{k} {_plain(v) if isinstance(v, dict) else v}" for k, v in options.items() if k != "name"]
    return ", ".join([name, *rest])


def _figures(figures: dict[str, Any], split: dict[str, Any]) -> list[str]:
    if not figures:
        return []
    known = split.get("test_trained_on", "")
    claim = f"of which {known} were trained on, which flatters it" if known else "which had no part in training"
    lines = ["## How good it is", "", f"Measured on {in_markdown(figures['data'])}, {claim}.", ""]
    lines += ["| figure | value |", "|---|---|"]
    for key, label in (
        ("items", "items"), ("identities", "identities"), ("precision_at_1", "P@1"), ("map_at_r", "MAP@R"),
        ("roc_auc", "ROC AUC"), ("eer", "EER"), ("nmi", "NMI of k-means"),
    ):  # fmt: skip
        if figures.get(key) is not None:
            value = figures[key]
            lines.append(f"| {label} | {value:,}" + " |" if isinstance(value, int) else f"| {label} | {value:.4f} |")
    for fmr, known in figures.get("fnmr_at_fmr", {}).items():
        text = known.get("reason") or f"{known['value']:.4f} ({known['low']:.4f} to {known['high']:.4f})"
        lines.append(f"| FNMR at FMR {fmr} (95%) | {text} |")
    if figures.get("fmr_at_threshold"):
        known = figures["fmr_at_threshold"]
        text = f"{known['value']:.4g} ({known['low']:.4g} to {known['high']:.4g})"
        lines.append(f"| FMR at the threshold set for {figures['promised_fmr']:g} (95%) | {text} |")
    if "precision_at_1" in figures:  # labelled items were measured, and drawn; of pairs there are figures only
        lines += ["", "![errors](report/roc.png)", "![hardest pairs](report/hardest.png)"]
    return [*lines, ""]


def _promises(name: str, calibration: Calibration | None) -> list[str]:
    lines = ["## What it promises", ""]
    if calibration is None:
        return [
            *lines,
            f"Nothing yet: it was not calibrated. Run `likewise calibrate {visible(name)} DATA --fmr 0.01`.",
            "",
        ]
    lines += ["| promised FMR | threshold | measured FMR (95%) | FNMR (95%) |", "|---|---|---|---|"]
    for line in calibration.thresholds:
        rates = [f"{r.value:.4g} ({r.low:.4g} to {r.high:.4g})" for r in (line.fmr, line.fnmr)]
        kept = "" if line.supported else " (too few data to support it)"
        lines.append(f"| {line.promised:g}{kept} | {line.threshold:.5g} | {rates[0]} | {rates[1]} |")
    sample = "the identities are a sample" if calibration.unit == "identity" else "the list of identities is fixed"
    if calibration.support_at_most:
        sample += ", counted as far as pairs tell: there may be fewer, the intervals wider and the support less"
    ece = "not measured" if calibration.ece is None else f"{calibration.ece:.4f}"
    return [
        *lines,
        "",
        f"Set on {in_markdown(str(calibration.data))}: {calibration.pairs_different:,} different and"
        f" {calibration.pairs_same:,} same pairs; for the intervals {sample}. Default: FMR {calibration.default:g}."
        f" Calibration error of the probability: {ece}.",
        "",
    ]


def _limits(kind: str, calibration: Calibration | None, figures: dict[str, Any]) -> list[str]:
    others = "microphones, rooms or voices" if kind == "sound" else "cameras, lights or people"
    lines = [
        "## Limits",
        "",
        f"- Figures and promises hold for data like those measured on: other {others} may differ."
        " Measure on your own with `likewise evaluate`, and calibrate on your own with `likewise calibrate`.",
        "- An FMR is per comparison. Against a gallery of n items a stranger is compared n times.",
    ]
    if calibration is not None and calibration.unit == "item":
        lines.append("- The identities were taken for a fixed list: nothing is promised for identities outside it.")
    if figures.get("skipped"):
        lines.append(f"- {len(figures['skipped'])} items of the report could not be read and were skipped.")
    return lines
