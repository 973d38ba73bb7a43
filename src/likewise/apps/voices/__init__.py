"""Words spoken by the speech synthesizers that are installed: examples of a word nobody has recorded yet."""

from likewise.apps.voices.voices import MANIFEST, Spoken, VoicesOptions, speak

__all__ = ["MANIFEST", "Spoken", "VoicesOptions", "speak"]
