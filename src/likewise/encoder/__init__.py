"""Architecture + parameters + preprocessing + named taps."""

from likewise.encoder.backbones import BACKBONES
from likewise.encoder.encoder import EMBEDDING, Encoder
from likewise.encoder.encoding import Encoded, Encoding, evaluating
from likewise.encoder.engines import read_encoding
from likewise.encoder.files import PARAMETERS, read_tensors
from likewise.encoder.preprocessing import Decoded, Item, Preprocessing, Progress
from likewise.encoder.seen import PARTS, Seen

__all__ = [
    "BACKBONES",
    "EMBEDDING",
    "PARAMETERS",
    "PARTS",
    "Decoded",
    "Encoded",
    "Encoder",
    "Encoding",
    "Item",
    "Preprocessing",
    "Progress",
    "Seen",
    "evaluating",
    "read_encoding",
    "read_tensors",
]
