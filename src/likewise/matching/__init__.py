"""The model that is saved, verifies and is served: encoder + distance + calibration."""

from likewise.matching.calibrate import calibrate, support_at_most
from likewise.matching.folder import (
    CONFIG,
    EMBED,
    REPORT,
    TASKS,
    WriteReport,
    check_owner,
    describe,
    described,
    load,
    read_calibration,
    read_config,
    read_folder,
    read_seen,
    save,
    save_calibration,
    task_of,
    write_calibration,
    write_folder,
)
from likewise.matching.labelled import Labelled, encode_labelled, encode_pairs
from likewise.matching.memory import save_seen
from likewise.matching.model import Model, Verdict
from likewise.matching.overlap import Overlap, default_unit, overlap, used_for
from likewise.matching.registered import REGISTERED, Registered, is_registered, registered

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
    "Verdict",
    "WriteReport",
    "calibrate",
    "check_owner",
    "default_unit",
    "describe",
    "described",
    "encode_labelled",
    "encode_pairs",
    "is_registered",
    "load",
    "overlap",
    "read_calibration",
    "read_config",
    "read_folder",
    "read_seen",
    "registered",
    "save",
    "save_calibration",
    "save_seen",
    "support_at_most",
    "task_of",
    "used_for",
    "write_calibration",
    "write_folder",
]
