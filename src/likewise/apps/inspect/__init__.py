"""What a network looks for, and why it takes two things for similar."""

from likewise.apps.inspect.channels import Level, Sought, levels_of, sought
from likewise.apps.inspect.features import FeatureMaps, feature_maps
from likewise.apps.inspect.filters import Filters, first_filters
from likewise.apps.inspect.heat import Similarity, similarity
from likewise.apps.inspect.inspecting import FINDINGS, Inspected, InspectOptions, Section, inspect
from likewise.apps.inspect.patches import Patch, StrongestPatches, strongest_patches
from likewise.apps.inspect.receptive import ReceptiveField, reach, receptive_field
from likewise.apps.inspect.subject import Shown, open_encoder, read_shown

__all__ = [
    "FINDINGS",
    "FeatureMaps",
    "Filters",
    "InspectOptions",
    "Inspected",
    "Level",
    "Patch",
    "ReceptiveField",
    "Section",
    "Shown",
    "Similarity",
    "Sought",
    "StrongestPatches",
    "feature_maps",
    "first_filters",
    "inspect",
    "levels_of",
    "open_encoder",
    "reach",
    "read_shown",
    "receptive_field",
    "similarity",
    "sought",
    "strongest_patches",
]
