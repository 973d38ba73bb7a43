"""The map: embeddings laid out in two or three dimensions, as a picture or as a page one can walk through."""

from __future__ import annotations

from likewise.apps.map.layouts import METHODS, Layout, layout
from likewise.apps.map.mapping import Drawn, MapOptions, draw_labelled, draw_map
from likewise.apps.map.metric import METRICS
from likewise.apps.map.picture import draw
from likewise.apps.map.trust import trustworthiness
from likewise.apps.map.webpage import page

__all__ = [
    "METHODS",
    "METRICS",
    "Drawn",
    "Layout",
    "MapOptions",
    "draw",
    "draw_labelled",
    "draw_map",
    "layout",
    "page",
    "trustworthiness",
]
