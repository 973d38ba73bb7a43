"""What is to be found, placed over backgrounds: words over sounds, objects over photos; the place of each is known."""

from likewise.apps.synthesize.pictures import RECORD as PICTURES_RECORD
from likewise.apps.synthesize.pictures import (
    PictureOptions,
    SynthesizedPictures,
    draw_pictures,
    synthesize_pictures,
)
from likewise.apps.synthesize.sounds import MANIFEST, RECORD, SynthesisOptions, Synthesized, synthesize

__all__ = [
    "MANIFEST",
    "PICTURES_RECORD",
    "RECORD",
    "PictureOptions",
    "SynthesisOptions",
    "Synthesized",
    "SynthesizedPictures",
    "draw_pictures",
    "synthesize",
    "synthesize_pictures",
]
