"""What a training run carries from one epoch to the next, and how it survives a kill: on disk, without pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from likewise.encoder import Encoder
from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file
from likewise.objective import Objective
from likewise.training.alarms import Diverged
from likewise.training.history import Epoch, History
from likewise.training.options import FitOptions

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"
SHORT, MOST_TOLD = 20, 6  # characters of a value, and values, that are worth telling where a run is another one
AVERAGE_WARM_UP = 10  # steps; before them a running mean of the weights would be mostly the random start

Weights = dict[str, Tensor]


@final
class TrainingState:
    """Encoder, objective, optimizer, the running mean of the weights, the best weights so far, and the history."""

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        options: FitOptions,
        history: History,
        data: Mapping[str, str | None],
    ) -> None:
        self.encoder, self.objective, self.optimizer, self.options = encoder, objective, optimizer, options
        self.data = data  # what is trained and validated on
        self.history = history
        self.average = snapshot(encoder) if options.average else None
        self.best = snapshot(encoder)
        self.best_figure = -math.inf

    def move_average(self, step: int) -> None:
        """Takes the weights after `step`, counted from 1 over the whole run, into their running mean."""
        if self.average is None:
            return
        keep = min(self.options.average, step / (step + AVERAGE_WARM_UP))
        with torch.no_grad():
            for name, value in self.encoder.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)

    def candidate(self) -> Weights:
        """The weights that this epoch offers: the running mean if there is one, else the ones just trained."""
        return snapshot(self.encoder) if self.average is None else {k: v.clone() for k, v in self.average.items()}

    def close_epoch(self, epoch: Epoch, offered: Weights, figure: float | None, warnings: tuple[str, ...]) -> None:
        """Enters an epoch into the history, and keeps `offered` if its figure (larger is better) is the best so far.

        Of equally good epochs the later one is kept: it has the lower loss. Without a figure the last one is.
        """
        improved = figure is None or figure >= self.best_figure
        if improved:
            self.best, self.best_figure = offered, -math.inf if figure is None else figure
        self.history = replace(
            self.history,
            epochs=(*self.history.epochs, epoch),
            best=epoch.epoch if improved else self.history.best,
            warnings=warnings,
        )

    def save(self, folder: Path) -> None:
        """Writes everything the next epoch needs, as one file: there is always a whole one, whenever a kill comes."""
        tensors: Weights = {}
        for prefix, weights in (
            ("encoder", self.encoder.state_dict()),
            ("objective", self.objective.state_dict()),
            ("best", self.best),
            ("average", self.average or {}),
        ):
            tensors |= {f"{prefix}/{key}": value for key, value in weights.items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                if value is not None:
                    tensors[f"optimizer/{number}/{key}"] = torch.as_tensor(value)
        state = {
            "run": self._run(),
            "epochs": [asdict(epoch) for epoch in self.history.epochs],
            "best": self.history.best,
            "best_figure": None if math.isinf(self.best_figure) else self.best_figure,
            "warnings": self.history.warnings,
        }
        contiguous = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        with replacing_file(folder / CHECKPOINT) as fresh:
            save_file(contiguous, fresh, metadata={"state": json.dumps(state)})
        with replacing_file(folder / HISTORY) as fresh:
            fresh.write_text(self.history.lines())

    def restore(self, folder: Path) -> None:
        """Goes back to where `save` was called.

        Raises:
            DataError: the checkpoint is damaged.
            UsageError: it is of a run with another encoder or objective, other options or other data.
        """
        try:
            with safe_open(folder / CHECKPOINT, framework="pt") as file:
                tensors: Weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
                state: dict[str, Any] = json.loads(file.metadata()["state"])
            changed = differences(state["run"], self._run())
            if changed:
                more = f", and {len(changed) - MOST_TOLD} more" if len(changed) > MOST_TOLD else ""
                raise UsageError(
                    "A run is resumed with the data and options it was started with",
                    ", ".join(changed[:MOST_TOLD]) + more,
                    f"Use the same, or delete {str(folder)!r} to start again.",
                )
            self.encoder.load_state_dict(_below("encoder/", tensors))
            self.objective.load_state_dict(_below("objective/", tensors))
            moments: dict[int, Weights] = {}
            for key, value in _below("optimizer/", tensors).items():
                number, moment = key.split("/", 1)
                moments.setdefault(int(number), {})[moment] = value
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            # Fused optimizers go through memory as it lies: moments have to lie there like their parameter.
            for parameter, own in self.optimizer.state.items():
                for moment, value in own.items():
                    if value.shape == parameter.shape:
                        own[moment] = torch.empty_like(parameter).copy_(value)
            device = next(self.encoder.parameters()).device
            self.best = {k: v.to(device) for k, v in _below("best/", tensors).items()}
            self.average = {k: v.to(device) for k, v in _below("average/", tensors).items()} or None
            self.best_figure = -math.inf if state["best_figure"] is None else state["best_figure"]
            self.history = replace(
                self.history,
                epochs=tuple(Epoch(**epoch) for epoch in state["epochs"]),
                best=state["best"],
                warnings=tuple(state["warnings"]),
                resumed_after=len(state["epochs"]),
            )
        except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                "A checkpoint fits the run that resumes from it",
                f"{str(folder)!r}: {str(error).splitlines()[0]}",
                "Resume with the data and options it was started with, or delete the folder to start again.",
            ) from error

    def _run(self) -> dict[str, Any]:
        """All that decides the result, JSON-ready; a run that is resumed has it in common with its beginning."""
        return {
            **self.options.as_dict(),
            "objective": self.objective.options(),
            "encoder": self.encoder.architecture(),
            **self.data,
            "computed in": self.history.precision,
        }


def differences(before: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> list[str]:
    """What is not as `before`, with both values where they can be read: "epochs 3 instead of 2"."""
    found: list[str] = []
    for key in dict.fromkeys((*now, *before)):
        new, old = now.get(key), before.get(key)
        name = f"{of}{key.replace('_', ' ')}"
        if new == old:
            continue
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            kind = "name" if new.get("name") != old.get("name") else None  # of another one the options differ anyway
            found += [f"{name} {new[kind]} instead of {old[kind]}"] if kind else differences(old, new, f"{name} ")
        else:
            told = [_short(value) for value in (new, old)]
            found.append(f"other {name}" if None in told else f"{name} {told[0]} instead of {told[1]}")
    return found


def _short(value: Any) -> str | None:
    """A value as a person reads it; None of one that nobody reads, such as a sum or the means of many bands."""
    if value is None:
        return "unset"
    text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= SHORT else None


def check_fresh(folder: Path) -> None:
    """Refuses a folder with the checkpoint of an earlier run: a new run would write over what took hours.

    Raises:
        UsageError: there is one.
    """
    if (folder / CHECKPOINT).exists():
        raise UsageError(
            "A new run does not write over the checkpoint of an earlier one",
            f"{str(folder)!r}",
            "Go on with that run (--resume, resume=True), or delete the folder.",
        )


def discard(folder: Path) -> None:
    """Takes away what `TrainingState.save` wrote to `folder`, and the folder if it holds nothing else."""
    for name in (CHECKPOINT, HISTORY):
        for file in (folder / name, *folder.glob(f".{name}.*")):  # a kill leaves what was half written
            file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def snapshot(module: nn.Module) -> Weights:
    """A copy of a module's parameters and running figures."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@contextmanager
def in_place(weights: Weights, encoder: Encoder) -> Generator[None]:
    """Within it, `encoder` has these weights; afterwards it is as it was, training.

    Raises:
        Diverged: they are not finite.
    """
    if not all(value.isfinite().all() for value in weights.values()):
        raise Diverged("weights that are not finite at the end")
    live = snapshot(encoder)
    encoder.load_state_dict(weights)
    yield
    encoder.load_state_dict(live)
    encoder.train()


def _below(prefix: str, tensors: Weights) -> Weights:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
