"""The model folder: plain files, never pickle, checked when read (docs/formats.md)."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from likewise.encoder import PARTS, Encoding, Pictures, Seen, read_encoding, read_tensors
from likewise.errors import ModelError
from likewise.media.files import recover_folder, replacing_file, replacing_folder
from likewise.prepare import PARAMETERS as FOUND_BY
from likewise.prepare import check_kept

FORMAT = 1
EMBED = "embed"
TASKS = {
    EMBED: "encoding items",
    "classify": "classifying",
    "triggerword": "hearing a word",
    "detect": "finding things in pictures",
}  # what a model for it does
CONFIG, CALIBRATION = "config.json", "calibration.json"
GOLDEN, SEEN, CARD, REPORT = "golden.safetensors", "seen.safetensors", "README.md", "report"
SEEN_NAMES = tuple(field.name for field in fields(Seen))
GOLDEN_ITEMS = 4
GOLDEN_TOLERANCE = 1e-3  # of the length of an embedding; other library versions and processors round differently

WriteReport = Callable[[Path], dict[str, Any]]  # fills a folder, returns the figures for the card


def write_folder(
    folder: Path,
    encoder: Encoding,
    config: dict[str, Any],
    calibration: str | None,
    write_card: Callable[[dict[str, Any]], str],
    write_report: WriteReport | None = None,
) -> None:
    """Writes the folder of a model for any task; see `TaskModel.save`.

    Args:
        folder: where to; a model folder that is there is replaced as a whole.
        encoder: what is kept.
        config: of `described`.
        calibration: text of calibration.json, if there is one.
        write_card: the model card, given the figures of the report.
        write_report: fills the sub-folder ``report`` and returns figures for the model card.
    """
    if (finder := encoder.ready().prepare) is not None:
        check_kept(finder)
    with replacing_folder(folder, marker=CONFIG) as fresh:
        figures: dict[str, Any] = {}
        if write_report is not None:
            (fresh / REPORT).mkdir()
            figures = write_report(fresh / REPORT)
        encoder.write_parameters(fresh)
        if finder is not None and (found_by := finder.parameters()):
            save_file(found_by, fresh / FOUND_BY)
        save_file(_golden(encoder), fresh / GOLDEN)
        save_file({name: torch.from_numpy(getattr(encoder.seen, name)) for name in SEEN_NAMES}, fresh / SEEN)
        (fresh / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for tensors in fresh.glob("*.safetensors"):  # which nobody else may read as they are; the folder is one thing
            shutil.copymode(fresh / CONFIG, tensors)
        if calibration is not None:
            (fresh / CALIBRATION).write_text(calibration, encoding="utf-8")
        _write_card(fresh / CARD, write_card(figures))


def write_calibration(folder: Path, calibration: str, write_card: Callable[[dict[str, Any]], str]) -> None:
    """Puts the text of a new calibration.json, and a new card, into the folder of a model for any task."""
    metrics = folder / REPORT / "metrics.json"
    figures = _read_json(metrics) if metrics.exists() else {}
    with replacing_file(folder / CALIBRATION) as fresh:
        fresh.write_text(calibration, encoding="utf-8")
    with replacing_file(folder / CARD) as fresh:
        _write_card(fresh, write_card(figures))


def save_seen(seen: Seen, folder: Path) -> None:
    """Puts another memory into an existing model folder.

    Raises:
        DataError: it cannot be written; the old one is as it was.
    """
    with replacing_file(folder / SEEN) as fresh:
        save_file({name: torch.from_numpy(getattr(seen, name)) for name in SEEN_NAMES}, fresh)
        shutil.copymode(folder / CONFIG, fresh)  # which nobody else may read as it is


def described(encoder: Encoding, task: str) -> dict[str, Any]:
    """What config.json says of a model for any task."""
    return {
        "format": FORMAT,
        "task": task,
        "architecture": encoder.architecture(),
        "trained": encoder.trained,
        "versions": versions(encoder.libraries),
        "fingerprint": encoder.fingerprint(),
    }


def read_folder(folder: Path, task: str) -> tuple[Encoding, dict[str, Any]]:
    """The encoder in the folder of a model for `task`, checked, and its config.

    Raises:
        ModelError: see `read_model`.
    """
    config = read_config(folder)
    if config["task"] != task:
        raise ModelError(
            f"This takes a model for {TASKS.get(task, task)}",
            f"{str(folder)!r}, one for {TASKS.get(config['task'], config['task'])}",
            "`likewise models info` says what it is.",
        )
    encoder = read_encoding(config["architecture"], folder)
    how = encoder.ready()
    if isinstance(how, Pictures) and how.prepare is not None:
        found_by = read_tensors(folder / FOUND_BY) if (folder / FOUND_BY).exists() else {}
        encoder.preprocessing = replace(how, prepare=how.prepare.with_parameters(found_by))
    encoder.trained, encoder.seen = config["trained"], read_seen(folder)
    if encoder.fingerprint() != config["fingerprint"]:
        raise ModelError(
            "A model's parameters and description are those it was saved with",
            f"a different fingerprint in {str(folder)!r}",
            "The folder was altered or damaged; copy it again.",
        )
    _check_golden(encoder, read_tensors(folder / GOLDEN), folder)
    return encoder, config


def read_config(folder: Path) -> dict[str, Any]:
    """config.json, checked.

    Raises:
        ModelError: no model folder, damaged, or written by a newer version.
    """
    recover_folder(folder)
    try:
        found = (folder / CONFIG).is_file()
        what = f"a folder without {CONFIG}" if folder.is_dir() else "a file" if folder.exists() else "no such folder"
    except OSError as error:
        raise ModelError("A model folder can be read", f"{str(folder)!r}: {error}", "Check permissions.") from error
    if not found:
        raise ModelError(
            f"A model is a folder with {CONFIG}",
            f"{str(folder)!r}, {what}",
            "Make one with `likewise train DATA --out MODEL`, or see `likewise models list`.",
        )
    config = _read_json(folder / CONFIG)
    if not isinstance(config.get("format"), int) or config["format"] > FORMAT:
        raise ModelError(
            f"This version reads model folders up to format {FORMAT}",
            f"format {config.get('format')!r} in {str(folder)!r}",
            "Install a newer likewise.",
        )
    wanted = {"task": str, "architecture": dict, "trained": dict, "fingerprint": str}
    missing = [name for name, kind in wanted.items() if not isinstance(config.get(name), kind)]
    if missing:
        raise ModelError(f"{CONFIG} of a model is complete", f"no {', '.join(missing)} in {str(folder)!r}")
    return config


def read_seen(folder: Path) -> Seen:
    """What the model in `folder` was trained on; nothing where the file was left out, say before giving it away.

    Raises:
        ModelError: the file is damaged.
    """
    if not (folder / SEEN).exists():
        return Seen()
    held = {name: tensor.numpy() for name, tensor in read_tensors(folder / SEEN).items()}
    seen = Seen(**held) if set(held) == set(SEEN_NAMES) else None
    if (
        seen is None
        or any(column.dtype != np.int64 or column.shape != (len(seen),) for column in held.values())
        or not (seen.items[1:] > seen.items[:-1]).all()  # a difference of keys could pass 64 bits
        or not np.isin(seen.parts, np.arange(len(PARTS))).all()
    ):
        raise ModelError(f"{SEEN} lists items, parts and identities", f"others in {str(folder)!r}", "Copy it again.")
    return seen


def _write_card(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="backslashreplace")  # it may name files whose names are no UTF-8


def versions(more: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of what decides the result of training, and of `more` packages, for the record."""
    names = ("likewise", "torch", "numpy", "pillow", "kornia", *more)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _golden(encoder: Encoding) -> dict[str, Tensor]:
    """Drawn inputs, so that nobody's item travels with the model, and their embeddings."""
    items = encoder.ready().drawn(np.random.default_rng(0), GOLDEN_ITEMS)
    return {"items": items, "embeddings": encoder.encode(items).embeddings}


def _check_golden(encoder: Encoding, golden: dict[str, Tensor], folder: Path) -> None:
    how = encoder.ready()
    kinds = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in golden.items()}
    if kinds != {
        "items": ((GOLDEN_ITEMS, *how.layout), how.dtype),
        "embeddings": ((GOLDEN_ITEMS, *encoder.embedded), torch.float32),
    }:
        raise ModelError(f"{GOLDEN} holds items and embeddings", f"others in {str(folder)!r}", "Copy the folder again.")
    expected = golden["embeddings"]
    found = encoder.encode(golden["items"]).embeddings
    found, expected = found.flatten(1), expected.flatten(1)
    off = float(((found - expected).norm(dim=1) / expected.norm(dim=1).clamp_min(1e-12)).max())
    if not off <= GOLDEN_TOLERANCE:  # also when it is NaN
        raise ModelError(
            f"A loaded model repeats its golden embeddings within {GOLDEN_TOLERANCE:g}",
            f"{off:.2g} in {str(folder)!r}",
            f"Use the library versions in {CONFIG}, or train again with the ones installed here.",
        )


def read_calibration(folder: Path) -> str | None:
    """The text of calibration.json; None where there is none.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / CALIBRATION
    if not path.exists():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            "A calibration can be read", f"{str(path)!r}: {error}", "Calibrate the model again."
        ) from error


def check_owner(owner: str | None, fingerprint: str, folder: Path) -> None:
    """Refuses a calibration that is of another model than the one with this fingerprint.

    Raises:
        ModelError: it is.
    """
    if owner != fingerprint:
        raise ModelError(
            "A calibration belongs to its model", f"another model's for {str(folder)!r}", "Calibrate this model."
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            "A model's JSON files can be read", f"{str(path)!r}: {error}", "Copy the folder again."
        ) from error
    if not isinstance(values, dict):
        raise ModelError("A model's JSON files hold an object", f"{type(values).__name__} in {str(path)!r}")
    return values
