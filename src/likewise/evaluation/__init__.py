"""A model on a labelled set -> a report with numbers and pictures."""

from likewise.evaluation.evaluate import evaluate
from likewise.evaluation.report import PairReport, Report

__all__ = ["PairReport", "Report", "evaluate"]
