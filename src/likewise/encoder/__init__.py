"""Architecture + parameters + preprocessing + named taps."""

from likewise.encoder.backbones import BACKBONES
from likewise.encoder.encoder import EMBEDDING, Encoded, Encoder, evaluating
from likewise.encoder.preprocessing import Decoded, Item, Preprocessing, Progress
from likewise.encoder.seen import PARTS, Seen

__all__ = [
    "BACKBONES",
    "EMBEDDING",
    "PARTS",
    "Decoded",
    "Encoded",
    "Encoder",
    "Item",
    "Preprocessing",
    "Progress",
    "Seen",
    "evaluating",
]
