"""What a model gets wrong, which labels may be wrong themselves, and what to collect next."""

from likewise.apps.mistakes.find import find_mistakes, mistakes_heard, mistakes_in
from likewise.apps.mistakes.findings import Cell, Finding, Judged, Merged, Source
from likewise.apps.mistakes.mistakes import Mistakes, check_folder

__all__ = [
    "Cell",
    "Finding",
    "Judged",
    "Merged",
    "Mistakes",
    "Source",
    "check_folder",
    "find_mistakes",
    "mistakes_heard",
    "mistakes_in",
]
