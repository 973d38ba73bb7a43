"""Architecture + parameters + preprocessing + named taps."""

from likewise.encoder.backbones import BACKBONES
from likewise.encoder.encoder import EMBEDDING, Encoder
from likewise.encoder.encoding import Encoded, Encoding, begun_with, evaluating
from likewise.encoder.engines import read_encoding
from likewise.encoder.files import PARAMETERS, read_tensors
from likewise.encoder.head import HEADS, Head, HeadKind
from likewise.encoder.kinds import Wanted, are_sounds, said
from likewise.encoder.letterbox import clipped, from_page, to_page
from likewise.encoder.pictures import Pictures
from likewise.encoder.preprocessing import Decoded, Item, Preprocessing, Progress
from likewise.encoder.seen import PARTS, Seen
from likewise.encoder.sequences import SEQUENCES, StepTimes, step_times
from likewise.encoder.sounds import Sounds

__all__ = [
    "BACKBONES",
    "EMBEDDING",
    "HEADS",
    "PARAMETERS",
    "PARTS",
    "SEQUENCES",
    "Decoded",
    "Encoded",
    "Encoder",
    "Encoding",
    "Head",
    "HeadKind",
    "Item",
    "Pictures",
    "Preprocessing",
    "Progress",
    "Seen",
    "Sounds",
    "StepTimes",
    "Wanted",
    "are_sounds",
    "begun_with",
    "clipped",
    "evaluating",
    "from_page",
    "read_encoding",
    "read_tensors",
    "said",
    "step_times",
    "to_page",
]
