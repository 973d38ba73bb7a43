"""The model that is saved, verifies and is served: encoder + distance + calibration."""

from likewise.matching.calibrate import calibrate, default_unit
from likewise.matching.folder import CONFIG, REPORT, load, read_config, save, save_calibration
from likewise.matching.labelled import Labelled, encode_labelled, encode_pairs
from likewise.matching.model import Model, Verdict

__all__ = [
    "CONFIG",
    "REPORT",
    "Labelled",
    "Model",
    "Verdict",
    "calibrate",
    "default_unit",
    "encode_labelled",
    "encode_pairs",
    "load",
    "read_config",
    "save",
    "save_calibration",
]
