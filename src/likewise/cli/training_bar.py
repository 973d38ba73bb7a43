"""What a person sees of a training while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.console import Bar, say

if TYPE_CHECKING:
    from likewise.training import Step


class TrainingBar:
    """Shows training as it goes, and hands the same to TensorBoard where asked.

    Args:
        items: what is trained on: "pictures", "sounds", "clips".
        tensorboard: a folder; None for no log.

    Attributes:
        told: lines that were said.
    """

    def __init__(self, items: str, tensorboard: Path | None = None) -> None:
        self._items = items
        self._begun = False
        self.told: list[str] = []
        self._bar = Bar("training")
        self._writer: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                from likewise.errors import UsageError

                raise UsageError(
                    "--tensorboard needs the package tensorboard", None, "pip install tensorboard."
                ) from error
            self._writer = SummaryWriter(str(tensorboard))

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def step(self, step: Step) -> None:
        """Moves the bar; before the first, says how long the way is."""
        if not self._begun:
            self._begun = True
            already = f", {step.epoch - 1} of them done" if step.epoch > 1 else ""
            self.say(f"training for {step.epochs} epoch{'s' * (step.epochs > 1)} of {step.steps} steps{already}")
        number = (step.epoch - 1) * step.steps + step.step
        note = (
            f"epoch {step.epoch}/{step.epochs} loss {step.loss:.4f} active {step.active:.0%}"
            f" spread {step.spread:.2f} {step.images_per_second:,.0f} {self._items}/s"
        )
        self._bar(number, step.epochs * step.steps, note)
        if self._writer is not None:
            for name in ("loss", "active", "spread", "images_per_second"):
                self._writer.add_scalar(name, getattr(step, name), number)

    def say(self, text: str) -> None:
        """One line."""
        self.told.append(text)
        say(text)
