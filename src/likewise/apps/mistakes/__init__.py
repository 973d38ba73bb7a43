"""What a model gets wrong, which labels may be wrong themselves, and what to collect next."""

from likewise.apps.mistakes.findings import Finding, Judged, Merged, Source
from likewise.apps.mistakes.mistakes import Mistakes, check_folder, find_mistakes, mistakes_in

__all__ = [
    "Finding",
    "Judged",
    "Merged",
    "Mistakes",
    "Source",
    "check_folder",
    "find_mistakes",
    "mistakes_in",
]
