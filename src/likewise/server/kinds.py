"""The kinds of models that are served, and which questions each is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, final

from likewise.apps.classify import Classifier
from likewise.apps.detect import Detector
from likewise.apps.loading import load
from likewise.errors import ModelError
from likewise.matching import TASKS, Model, task_of

Served = Model | Classifier | Detector
Wanted = TypeVar("Wanted", Model, Classifier, Detector)


@final
@dataclass(frozen=True)
class _Kind:
    does: str  # "one that ..."
    asked: str  # a question that it answers


_KINDS = {
    Model.task: _Kind("compares", "/v1/verify"),
    Classifier.task: _Kind("classifies", "/v1/classify"),
    Detector.task: _Kind("finds things", "/v1/detect"),
}


def load_served(model: str) -> Served:
    """The model in a folder, or the registered one of this name.

    Raises:
        ModelError: it is for a task that is not served; see also `likewise.apps.loading.load`.
    """
    task = task_of(model)
    if task not in _KINDS:
        found = f"{model!r}, a model for {TASKS.get(task, task)}"
        remedy = "Ask it on the command line: `likewise --help`."
        raise ModelError("A service compares, classifies or finds things", found, remedy)
    return load(model)


def does(model: Served) -> str:
    """What a model does, in words: "classifies"."""
    return _KINDS[model.task].does


def as_kind(model: Served, wanted: type[Wanted]) -> Wanted:
    """The model, for a question that only those of one kind answer.

    Raises:
        ModelError: it is of another.
    """
    if isinstance(model, wanted):
        return model
    raise ModelError(
        f"This is asked of a model that {_KINDS[wanted.task].does}",
        f"one that {does(model)}",
        f"Ask {_KINDS[model.task].asked}, or serve one made by `train --task {wanted.task}`.",
    )
