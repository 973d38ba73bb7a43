"""The path of one training: predictions and the map after each epoch, from the random start to the end."""

from likewise.apps.snapshots.layouts import AlignedLayout, aligned, movement
from likewise.apps.snapshots.path import TrainingPath, path_of, write_path
from likewise.apps.snapshots.recorder import Recorder, Snapshot, discard_snapshots

__all__ = [
    "AlignedLayout",
    "Recorder",
    "Snapshot",
    "TrainingPath",
    "aligned",
    "discard_snapshots",
    "movement",
    "path_of",
    "write_path",
]
