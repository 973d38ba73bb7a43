"""Finding things in pictures: a network that looks once and says what is where."""

from likewise.apps.detect.boxes import Boxes, FoundBox, cut_out, relabelled
from likewise.apps.detect.learn import DetectOptions, LearnedBoxes, learn, prepare
from likewise.apps.detect.matches import found_in, matches_of
from likewise.apps.detect.model import OVERLAP, TASK, Detector, check_shares
from likewise.apps.detect.report import DetectReport, evaluate
from likewise.apps.detect.scores import Found, ScoreCalibration, calibrated

__all__ = [
    "OVERLAP",
    "TASK",
    "Boxes",
    "DetectOptions",
    "DetectReport",
    "Detector",
    "Found",
    "FoundBox",
    "LearnedBoxes",
    "ScoreCalibration",
    "calibrated",
    "check_shares",
    "cut_out",
    "evaluate",
    "found_in",
    "learn",
    "matches_of",
    "prepare",
    "relabelled",
]
