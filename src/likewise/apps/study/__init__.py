"""The questions to ask of data before training for good."""

from likewise.apps.study.asking import Asker, Question, Terminal
from likewise.apps.study.embeddings import Dim, Objectives
from likewise.apps.study.human import Human
from likewise.apps.study.learning import Learning
from likewise.apps.study.page import Page
from likewise.apps.study.power_law import PowerLaw, fit_power_law
from likewise.apps.study.resolution import Resolution
from likewise.apps.study.split import Split
from likewise.apps.study.study import Findings, Run, Study, conduct, runs_in
from likewise.apps.study.taps import Taps
from likewise.apps.study.tune import Tune

__all__ = [
    "Asker",
    "Dim",
    "Findings",
    "Human",
    "Learning",
    "Objectives",
    "Page",
    "PowerLaw",
    "Question",
    "Resolution",
    "Run",
    "Split",
    "Study",
    "Taps",
    "Terminal",
    "Tune",
    "conduct",
    "fit_power_law",
    "runs_in",
]
