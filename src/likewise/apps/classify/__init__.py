"""What something is, which of several things hold of it, or how much: probabilities that can be believed."""

from likewise.apps.classify.calibration import AnswerCalibration
from likewise.apps.classify.learn import ClassifyOptions, LearnedAnswers, learn, objective_for, prepare
from likewise.apps.classify.model import TASK, Answer, Classifier, Outputs
from likewise.apps.classify.report import AnswerReport, evaluate, report_on

__all__ = [
    "TASK",
    "Answer",
    "AnswerCalibration",
    "AnswerReport",
    "Classifier",
    "ClassifyOptions",
    "LearnedAnswers",
    "Outputs",
    "evaluate",
    "learn",
    "objective_for",
    "prepare",
    "report_on",
]
