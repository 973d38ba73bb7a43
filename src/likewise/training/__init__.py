"""fit(): one visible loop."""

from likewise.training.alarms import spread
from likewise.training.batches import check_hears, check_trainable
from likewise.training.device import choose_device, choose_precision
from likewise.training.fit import fit, schedule, trainable
from likewise.training.history import Epoch, History, Observe, Step
from likewise.training.options import FitOptions

__all__ = [
    "Epoch",
    "FitOptions",
    "History",
    "Observe",
    "Step",
    "check_hears",
    "check_trainable",
    "choose_device",
    "choose_precision",
    "fit",
    "schedule",
    "spread",
    "trainable",
]
