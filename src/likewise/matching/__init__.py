"""The model that is saved, verifies and is served: encoder + distance + calibration."""

from likewise.matching.calibrate import calibrate, support_at_most
from likewise.matching.folder import CONFIG, REPORT, load, read_config, read_seen, save, save_calibration
from likewise.matching.labelled import Labelled, encode_labelled, encode_pairs
from likewise.matching.model import Model, Verdict
from likewise.matching.overlap import Overlap, default_unit, overlap, used_for

__all__ = [
    "CONFIG",
    "REPORT",
    "Labelled",
    "Model",
    "Overlap",
    "Verdict",
    "calibrate",
    "default_unit",
    "encode_labelled",
    "encode_pairs",
    "load",
    "overlap",
    "read_config",
    "read_seen",
    "save",
    "save_calibration",
    "support_at_most",
    "used_for",
]
