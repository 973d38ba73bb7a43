"""Clips made of three piles of sounds, with the place of every word known to the sample."""

from likewise.apps.synthesize.synthesize import MANIFEST, RECORD, SynthesisOptions, Synthesized, synthesize

__all__ = ["MANIFEST", "RECORD", "SynthesisOptions", "Synthesized", "synthesize"]
