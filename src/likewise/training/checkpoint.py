"""The state of a training run between two epochs, on disk without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from likewise.errors import DataError
from likewise.media.files import replacing_folder

STATE = "state.json"
TENSORS = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    kept: dict[str, Tensor],
    state: dict[str, Any],
) -> None:
    """Writes everything the next epoch needs; an earlier checkpoint survives a failure.

    Args:
        folder: where to.
        modules: what is being trained, by name.
        optimizer: its moments are kept.
        kept: tensors beside them (the best weights so far, the running mean).
        state: JSON-ready.
    """
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    tensors |= {f"kept/{key}": value for key, value in kept.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer/{number}/{key}": torch.as_tensor(value) for key, value in moments.items() if value is not None
        }
    with replacing_folder(folder, marker=STATE) as fresh:
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()},
            fresh / TENSORS,
        )
        (fresh / STATE).write_text(json.dumps(state))


def load_checkpoint(
    folder: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Puts modules and optimizer back where `save_checkpoint` found them; returns what it kept and its state.

    Raises:
        DataError: the checkpoint is damaged, or of another network or objective.
    """
    try:
        tensors = load_file(folder / TENSORS)
        state: dict[str, Any] = json.loads((folder / STATE).read_text())
        for name, module in modules.items():
            module.load_state_dict(_below(f"{name}/", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _below("optimizer/", tensors).items():
            number, moment = key.split("/", 1)
            moments.setdefault(int(number), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise DataError(
            "A checkpoint fits the run that resumes from it",
            f"{str(folder)!r}: {str(error).splitlines()[0]}",
            "Resume with the options it was started with, or start again without --resume.",
        ) from error
    return _below("kept/", tensors), state


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
