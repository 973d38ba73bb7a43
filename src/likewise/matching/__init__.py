"""The model that is saved, verifies and is served: encoder + distance + calibration."""

from likewise.matching.calibrate import calibrate
from likewise.matching.folder import CONFIG, EMBED, REPORT, TASKS, WriteReport, read_config, read_seen
from likewise.matching.labelled import Labelled, encode_labelled, encode_pairs
from likewise.matching.model import Model, Verdict
from likewise.matching.overlap import Overlap, default_unit, overlap, used_for
from likewise.matching.registered import REGISTERED, Registered, is_registered, load, registered, task_of
from likewise.matching.task_model import TaskModel, read_model

__all__ = [
    "CONFIG",
    "EMBED",
    "REGISTERED",
    "REPORT",
    "TASKS",
    "Labelled",
    "Model",
    "Overlap",
    "Registered",
    "TaskModel",
    "Verdict",
    "WriteReport",
    "calibrate",
    "default_unit",
    "encode_labelled",
    "encode_pairs",
    "is_registered",
    "load",
    "overlap",
    "read_config",
    "read_model",
    "read_seen",
    "registered",
    "task_of",
    "used_for",
]
