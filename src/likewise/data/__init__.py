"""Labelled sets, where they come from, how they are split and sampled."""

from likewise.data.clips import Clips, clips
from likewise.data.dataset import Dataset, PairSet
from likewise.data.health import Health, Problem, check
from likewise.data.loaders import (
    arrays,
    folder,
    idx,
    labels_of,
    manifest,
    named,
    npz,
    open_data,
    pairs_file,
    part_name,
    with_groups,
    zip_folder,
)
from likewise.data.samplers import IdentityBatches, PlainBatches, Sampler
from likewise.data.splits import By, default_split

__all__ = [
    "By",
    "Clips",
    "Dataset",
    "Health",
    "IdentityBatches",
    "PairSet",
    "PlainBatches",
    "Problem",
    "Sampler",
    "arrays",
    "check",
    "clips",
    "default_split",
    "folder",
    "idx",
    "labels_of",
    "manifest",
    "named",
    "npz",
    "open_data",
    "pairs_file",
    "part_name",
    "with_groups",
    "zip_folder",
]
