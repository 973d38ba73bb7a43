"""Labelled sets, where they come from, how they are split and sampled."""

from likewise.data.annotations import FORMATS, box_format, open_boxes, write_boxes
from likewise.data.box_health import BoxesHealth, check_boxes
from likewise.data.boxes import BoxSet
from likewise.data.clips import Clips, clips
from likewise.data.dataset import Dataset, PairSet
from likewise.data.health import ClipsHealth, Health, Problem, check, check_clips
from likewise.data.loaders import (
    arrays,
    folder,
    idx,
    labels_of,
    manifest,
    named,
    npz,
    pairs_file,
    part_name,
    pile,
    with_groups,
    zip_folder,
)
from likewise.data.opening import are_clips, open_data
from likewise.data.samplers import IdentityBatches, PlainBatches, Sampler
from likewise.data.splits import By, default_split

__all__ = [
    "FORMATS",
    "BoxSet",
    "BoxesHealth",
    "By",
    "Clips",
    "ClipsHealth",
    "Dataset",
    "Health",
    "IdentityBatches",
    "PairSet",
    "PlainBatches",
    "Problem",
    "Sampler",
    "are_clips",
    "arrays",
    "box_format",
    "check",
    "check_boxes",
    "check_clips",
    "clips",
    "default_split",
    "folder",
    "idx",
    "labels_of",
    "manifest",
    "named",
    "npz",
    "open_boxes",
    "open_data",
    "pairs_file",
    "part_name",
    "pile",
    "with_groups",
    "write_boxes",
    "zip_folder",
]
