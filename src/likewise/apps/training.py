"""What every training has around it: where its state is kept, who is told, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likewise.errors import UsageError
from likewise.evaluation.pictures import draw_history
from likewise.matching import CONFIG, REPORT
from likewise.media.files import check_replaceable
from likewise.training import History, Step
from likewise.training.state import CHECKPOINT, check_fresh

SHOWN = (".png", ".webp", ".html")  # files of a report that a person would look at
# A report of such a part says less than it seems to; it is said before training and with the model.
FLATTERED = "Of the test part {} were trained on, which flatters the report."


class Watcher(Protocol):
    """Told what is going on."""

    def step(self, step: Step) -> None:
        """After each training step."""
        ...

    def say(self, text: str) -> None:
        """One line."""
        ...


@dataclass(frozen=True)
class Trained:
    """What came out of a training; each task adds its model and its report.

    Attributes:
        history: of training.
        folder: where the model was saved.
        notes: what the person should know.
    """

    history: History
    folder: Path
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything written that a person would look at."""
        shown = (file for file in (self.folder / REPORT).iterdir() if file.suffix in SHOWN)
        return (self.folder / "README.md", *sorted(shown))

    def rows_of_training(self, items: str) -> list[tuple[str, str]]:
        """How long it took and where to look, as text; `items` is what was learned from."""
        history = self.history
        epochs = f"{len(history.epochs)} epoch{'s' if len(history.epochs) > 1 else ''}"
        speed = f"{history.images_per_second:,.0f} {items}/s"
        return [
            ("trained in", f"{epochs}, {history.seconds:.1f} s, {speed}, {history.precision}"),
            ("model", str(self.folder)),
            *(("look at", str(file)) for file in self.files),
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; keys of `likewise train --json`."""
        history = self.history
        return {
            "model": str(self.folder),
            "epochs": len(history.epochs),
            "best_epoch": history.best,
            "train_seconds": history.seconds,
            "images_per_second": history.images_per_second,
            "loss": history.epochs[-1].loss,
            "stopped": history.stopped,
            "precision": history.precision,
            "files": [str(file) for file in self.files],
            "notes": list(self.notes),
        }


def begin(out: Path, *, resume: bool, say: Callable[[str], None], resumable: bool = True) -> Path | None:
    """Where the state of training is kept beside `out`; None where none is to be.

    Raises:
        UsageError: `out` is no model folder; or the state of an earlier run is there and not to be resumed; or a
            finished model is, and no state: it would be replaced by one that is trained from the beginning.
    """
    check_replaceable(out, marker=CONFIG)
    if not resumable:
        return None
    checkpoint = out.resolve().with_name(f"{out.resolve().name}.training")
    if not resume:
        check_fresh(checkpoint)
    elif not (checkpoint / CHECKPOINT).exists():
        if (out / CONFIG).exists():
            raise UsageError(
                "A run is resumed from the state that it left",
                f"none beside {str(out)!r}, which is a finished model",
                "Leave out --resume to train it anew.",
            )
        say(f"nothing to resume in {checkpoint}: training begins anew")
    return checkpoint


def stopped(when: str, checkpoint: Path | None) -> str:
    """That Ctrl-C came, and whether there is anything to go on with."""
    resumable = checkpoint is not None and (checkpoint / CHECKPOINT).exists()
    return f"Training was stopped {when}{'; --resume goes on' if resumable else ''}."


def write_history(history: History, folder: Path) -> None:
    """Writes history.jsonl and history.png."""
    (folder / "history.jsonl").write_text(history.lines(), encoding="utf-8")
    draw_history(history, folder / "history.png")
