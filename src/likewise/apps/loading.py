"""Any model folder, as the model of the task it was trained for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from likewise.errors import ModelError
from likewise.matching import EMBED, TASKS, task_of
from likewise.matching import load as load_model

LOADERS = {
    "classify": ("likewise.apps.classify", "Classifier"),
    "triggerword": ("likewise.apps.triggerword", "TriggerWord"),
    "detect": ("likewise.apps.detect", "Detector"),
}  # -> module and class, imported when needed


def load(model: str | Path) -> Any:
    """The model in a folder, or the registered one of this name where no such folder is.

    Returns:
        A `Model`, `Classifier`, `TriggerWord` or `Detector`, as its `task` says.

    Raises:
        ModelError: a file is missing, cut short, altered, or written by a newer version; or this machine's libraries
            give other outputs than the ones the model was saved with.
        UsageError: a registered model needs packages that are not installed.
    """
    task = task_of(model)
    if task == EMBED:
        return load_model(model)
    if task not in LOADERS:
        raise ModelError(f"A model is for {', '.join(TASKS.values())}", repr(task), "Use the version that wrote it.")
    module, name = LOADERS[task]
    return getattr(import_module(module), name).load(model)
