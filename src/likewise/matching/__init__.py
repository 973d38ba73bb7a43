"""The model that is saved, verifies and is served: encoder + distance + calibration."""

from likewise.matching.calibrate import calibrate, support_at_most
from likewise.matching.folder import CONFIG, REPORT, describe, load, read_config, read_seen, save, save_calibration
from likewise.matching.labelled import Labelled, encode_labelled, encode_pairs
from likewise.matching.model import Model, Verdict
from likewise.matching.overlap import Overlap, default_unit, overlap, used_for
from likewise.matching.registered import REGISTERED, Registered, is_registered, registered

__all__ = [
    "CONFIG",
    "REGISTERED",
    "REPORT",
    "Labelled",
    "Model",
    "Overlap",
    "Registered",
    "Verdict",
    "calibrate",
    "default_unit",
    "describe",
    "encode_labelled",
    "encode_pairs",
    "is_registered",
    "load",
    "overlap",
    "read_config",
    "read_seen",
    "registered",
    "save",
    "save_calibration",
    "support_at_most",
    "used_for",
]
