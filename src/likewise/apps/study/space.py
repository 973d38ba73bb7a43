"""Options of `likewise train` that a search goes over, and the command that takes what it found."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from likewise.data.augmentation import AUGMENTATIONS, WITH_BOXES
from likewise.errors import UsageError
from likewise.objective import OBJECTIVES
from likewise.training.options import LEARNING_RATES, FitOptions

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

Task = Literal["embed", "classify"]

LOSSES = ("supcon", "triplet", "softmax", "arcface")
DIMS = (32, 64, 128, 256)
AVERAGES = (0.0, 0.9, 0.99)
MARGINS = {  # of the losses that have one: from, to, and their own
    "contrastive": (0.3, 3.0, 1.0),
    "triplet": (0.05, 1.0, 0.2),
    "arcface": (0.1, 0.8, 0.5),
    "cosface": (0.1, 0.6, 0.35),
}
DIGITS = 3  # of a number that is found: more would be pretended, and are a nuisance to type
FIT = FitOptions()


@final
@dataclass(frozen=True)
class Range:
    """A number between two, tried evenly on a logarithmic scale."""

    low: float
    high: float
    usual: float

    def suggested(self, trial: Trial, name: str) -> float:
        """What is to be tried next."""
        return rounded(trial.suggest_float(name, self.low, self.high, log=True))

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)


@final
@dataclass(frozen=True)
class Choice:
    """One of several values, the usual one first."""

    values: tuple[Any, ...]

    @property
    def usual(self) -> Any:
        """What is taken unless said."""
        return self.values[0]

    def suggested(self, trial: Trial, name: str) -> Any:
        """What is to be tried next."""
        return trial.suggest_categorical(name, self.values)

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@final
class Space:
    """What is searched, for a task and a kind of items.

    Args:
        task: "embed" or "classify".
        kind: of the items, "picture" or "sound".
        losses: of "embed"; the first is the default's.

    Attributes:
        changes: augmentations to be tried.

    Raises:
        UsageError: no such loss.
    """

    def __init__(self, task: Task, kind: str, losses: Sequence[str] = LOSSES) -> None:
        unknown = [loss for loss in losses if loss not in OBJECTIVES]
        if unknown or not losses:
            raise UsageError(f"A loss is one of {', '.join(OBJECTIVES)}", ", ".join(unknown) or "none")
        self.changes = tuple(
            name for name, (of, _) in AUGMENTATIONS.items() if of in ("any", kind) and name not in WITH_BOXES
        )
        self._common: dict[str, Range | Choice] = {
            "lr": Range(1e-4, 2e-2, LEARNING_RATES[FIT.optimizer]),
            "weight_decay": Range(1e-4, 1e-1, FIT.weight_decay),
            "augment": Choice(self.changes),
            "average": Choice(AVERAGES),
        }
        if task == "embed":
            self._common |= {"loss": Choice(tuple(losses)), "dim": Choice((128, *(d for d in DIMS if d != 128)))}

    def usual(self) -> dict[str, Any]:
        """The defaults of `likewise train`, but for the loss, of which it is the first."""
        return self._with_margin({name: of.usual for name, of in self._common.items()}, None)

    def suggested(self, trial: Trial) -> dict[str, Any]:
        """What is to be tried next."""
        return self._with_margin({name: of.suggested(trial, name) for name, of in self._common.items()}, trial)

    def as_asked(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Parameters and their distributions, as Optuna knows them, of what `usual` or `suggested` gave."""
        of = dict(self._common)
        given = {name: settings[name] for name in of}
        if "margin" in settings:
            name = _margin_of(settings["loss"])
            of[name], given[name] = Range(*MARGINS[settings["loss"]]), settings["margin"]
        return given, {name: one.distribution() for name, one in of.items()}

    def _with_margin(self, settings: dict[str, Any], trial: Trial | None) -> dict[str, Any]:
        """Margins of two losses are two parameters: they mean different things."""
        loss = settings.get("loss")
        if loss in MARGINS:
            margin = Range(*MARGINS[loss])
            settings["margin"] = margin.usual if trial is None else margin.suggested(trial, _margin_of(loss))
        return settings


def command(called: Sequence[str], task: Task, settings: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    """The `likewise train` that takes `settings`, with `fixed` options that every run had; usual ones are left out.

    Args:
        called: how the data are named, with options that belong to them.
        task: "embed" or "classify".
        settings: see `Space`.
        fixed: options by name; None is left out.
    """
    usual = {
        "lr": LEARNING_RATES[FIT.optimizer], "weight_decay": FIT.weight_decay, "augment": FIT.augment,
        "average": FIT.average, "loss": "supcon", "dim": 128, "select": FIT.select,
        "margin": MARGINS.get(settings.get("loss", ""), (0, 0, None))[2],
    }  # fmt: skip
    words = ["likewise", "train", *called, "--out", "MODEL", *(["--task", task] if task != "embed" else [])]
    for name, value in {**settings, **fixed}.items():
        if value is not None and usual.get(name) != value:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def rounded(value: float) -> float:
    """To `DIGITS` digits."""
    return round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))


def _margin_of(loss: str) -> str:
    return f"margin of {loss}"
