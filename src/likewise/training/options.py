"""How to train: one frozen record shared by library, command line and model folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, final

from likewise.data.augmentation import check_augmentation
from likewise.errors import UsageError

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("one-cycle", "cosine", "constant")
PRECISIONS = ("auto", "float32", "bfloat16")
# Peak of the schedule, for batches of about 256. RMSprop's momentum of 0.9 adds up ten steps, Adam's is normalised.
LEARNING_RATES = {"adam": 2e-3, "adamw": 2e-3, "rmsprop": 2e-4, "sgd": 0.1}
SELECTORS = ("precision_at_1", "eer")
SEEDS = 2**32  # scikit-learn takes no larger ones
EPOCHS, MOST_EPOCHS = 10, 60  # unless said; the latter on sets so small that the former make fewer than `STEPS`
STEPS = 1000


@final
@dataclass(frozen=True)
class FitOptions:
    """Options of `fit`.

    Attributes:
        epochs: passes over the training items, at least 1; None for 10, and more on small sets (`epochs_for`).
        batch: (P, K) for P identities by K items, a number for plain batches, None for what suits objective and data.
        balanced: draw every identity equally often.
        optimizer: one of `OPTIMIZERS`; sgd has momentum.
        lr: peak learning rate; None for the optimizer's usual one.
        weight_decay: decoupled for adamw, L2 for the others.
        momentum: of sgd and rmsprop.
        schedule: one of `SCHEDULES`, per step.
        precision: "bfloat16" runs the network under autocast; "auto" does so where the processor gains from it.
        augment: a name from `likewise.data.augmentation.AUGMENTATIONS`.
        average: share of the old value in the running mean of the weights that is validated and kept; 0 for none.
        select: figure on the validation set by which the best epoch is kept.
        patience: stop after so many epochs without a better figure; None, or no validation set, never stops early.
        seed: of everything random.
        device: "auto", "cpu", "cuda", ...
    """

    epochs: int | None = None
    batch: tuple[int, int] | int | None = None
    balanced: bool = False
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float = 1e-2
    momentum: float = 0.9
    schedule: str = "one-cycle"
    precision: str = "auto"
    augment: str = "none"
    average: float = 0.0
    select: Literal["precision_at_1", "eer"] = "precision_at_1"
    patience: int | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
            ("select", self.select, SELECTORS),
        ):
            if value not in known:
                raise UsageError(f"{name} is one of {', '.join(known)}", repr(value))
        check_augmentation(self.augment)
        for name, value, rule, holds in (
            ("epochs", self.epochs, "at least 1", self.epochs is None or self.epochs >= 1),
            ("lr", self.lr, "above 0", self.lr is None or self.lr > 0),
            ("weight_decay", self.weight_decay, "at least 0", self.weight_decay >= 0),
            ("momentum", self.momentum, "in [0, 1)", 0 <= self.momentum < 1),
            ("average", self.average, "in [0, 1)", 0 <= self.average < 1),
            ("patience", self.patience, "at least 1", self.patience is None or self.patience >= 1),
            ("seed", self.seed, f"at least 0 and below {SEEDS:,}", 0 <= self.seed < SEEDS),
        ):
            if not holds:
                raise UsageError(f"{name} is {rule}", value)

    def epochs_for(self, steps: int) -> int:
        """Passes over the items when one takes `steps` steps: ten of a few steps each would hardly move the weights."""
        return self.epochs or min(max(EPOCHS, -(-STEPS // steps)), MOST_EPOCHS)

    @property
    def peak_lr(self) -> float:
        """The learning rate at the top of the schedule."""
        return self.lr or LEARNING_RATES[self.optimizer]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
