"""The questions to ask of data before training for good."""

from likewise.apps.study.embeddings import Dim, Objectives
from likewise.apps.study.learning import Learning
from likewise.apps.study.power_law import PowerLaw, fit_power_law
from likewise.apps.study.resolution import Resolution
from likewise.apps.study.split import Split
from likewise.apps.study.study import Findings, Run, Study, conduct, runs_in
from likewise.apps.study.taps import Taps

__all__ = [
    "Dim",
    "Findings",
    "Learning",
    "Objectives",
    "PowerLaw",
    "Resolution",
    "Run",
    "Split",
    "Study",
    "Taps",
    "conduct",
    "fit_power_law",
    "runs_in",
]
