"""Architecture + parameters + preprocessing + named taps."""

from likewise.encoder.backbones import BACKBONES
from likewise.encoder.encoder import EMBEDDING, Encoded, Encoder, evaluating
from likewise.encoder.preprocessing import Decoded, Item, Preprocessing, Progress

__all__ = [
    "BACKBONES",
    "EMBEDDING",
    "Decoded",
    "Encoded",
    "Encoder",
    "Item",
    "Preprocessing",
    "Progress",
    "evaluating",
]
