"""Learn what "the same" means from labelled examples, and get an answer with a number that can be trusted.

Names are looked up when first used, so that ``import likewise`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from likewise.apps.classify import Classifier as Classifier
    from likewise.apps.detect import Detector as Detector
    from likewise.apps.loading import load as load
    from likewise.apps.map import draw_map as draw_map
    from likewise.apps.mistakes import Mistakes as Mistakes
    from likewise.apps.mistakes import find_mistakes as find_mistakes
    from likewise.apps.style import Styled as Styled
    from likewise.apps.style import StyleOptions as StyleOptions
    from likewise.apps.style import stylise as stylise
    from likewise.apps.synthesize import PictureOptions as PictureOptions
    from likewise.apps.synthesize import draw_pictures as draw_pictures
    from likewise.apps.synthesize import synthesize_pictures as synthesize_pictures
    from likewise.apps.triggerword import Listener as Listener
    from likewise.apps.triggerword import TriggerWord as TriggerWord
    from likewise.calibration import Calibration as Calibration
    from likewise.calibration import Threshold as Threshold
    from likewise.data import BoxSet as BoxSet
    from likewise.data import Clips as Clips
    from likewise.data import Dataset as Dataset
    from likewise.data import Health as Health
    from likewise.data import PairSet as PairSet
    from likewise.data import arrays as arrays
    from likewise.data import check as check
    from likewise.data import clips as clips
    from likewise.data import folder as folder
    from likewise.data import idx as idx
    from likewise.data import manifest as manifest
    from likewise.data import open_boxes as open_boxes
    from likewise.data import open_data as open_data
    from likewise.data import pairs_file as pairs_file
    from likewise.data import write_boxes as write_boxes
    from likewise.data import zip_folder as zip_folder
    from likewise.encoder import Encoder as Encoder
    from likewise.encoder import Head as Head
    from likewise.encoder import Pictures as Pictures
    from likewise.encoder import Sounds as Sounds
    from likewise.encoder.speech import speech_encoder as speech_encoder
    from likewise.errors import CollapseWarning as CollapseWarning
    from likewise.errors import DataError as DataError
    from likewise.errors import LikewiseError as LikewiseError
    from likewise.errors import ModelError as ModelError
    from likewise.errors import NamesakeWarning as NamesakeWarning
    from likewise.errors import SupportError as SupportError
    from likewise.errors import UsageError as UsageError
    from likewise.evaluation import PairReport as PairReport
    from likewise.evaluation import Report as Report
    from likewise.evaluation import evaluate as evaluate
    from likewise.gallery import Gallery as Gallery
    from likewise.matching import Model as Model
    from likewise.matching import Verdict as Verdict
    from likewise.matching import calibrate as calibrate
    from likewise.objective import L1 as L1
    from likewise.objective import AbsoluteError as AbsoluteError
    from likewise.objective import AllValid as AllValid
    from likewise.objective import ArcFace as ArcFace
    from likewise.objective import BinaryCrossEntropy as BinaryCrossEntropy
    from likewise.objective import ClipBCE as ClipBCE
    from likewise.objective import ConcatenatedTwins as ConcatenatedTwins
    from likewise.objective import Contrastive as Contrastive
    from likewise.objective import CosFace as CosFace
    from likewise.objective import Cosine as Cosine
    from likewise.objective import Euclidean as Euclidean
    from likewise.objective import HardestInBatch as HardestInBatch
    from likewise.objective import Multiclass as Multiclass
    from likewise.objective import Multilabel as Multilabel
    from likewise.objective import RandomTriplets as RandomTriplets
    from likewise.objective import SemiHard as SemiHard
    from likewise.objective import SequentialBCE as SequentialBCE
    from likewise.objective import SoftMarginTripletLoss as SoftMarginTripletLoss
    from likewise.objective import Softmax as Softmax
    from likewise.objective import SoftmaxTripletLoss as SoftmaxTripletLoss
    from likewise.objective import SquaredError as SquaredError
    from likewise.objective import SupCon as SupCon
    from likewise.objective import TripletLoss as TripletLoss
    from likewise.objective import WeightedL1 as WeightedL1
    from likewise.objective import Yolo as Yolo
    from likewise.objective import make_objective as make_objective
    from likewise.training import FitOptions as FitOptions
    from likewise.training import History as History
    from likewise.training import fit as fit
    from likewise.training.targets import head_for as head_for

_NAMES_OF_MODULE = {
    "likewise.apps.classify": ("Classifier",),
    "likewise.apps.detect": ("Detector",),
    "likewise.apps.loading": ("load",),
    "likewise.apps.map": ("draw_map",),
    "likewise.apps.mistakes": (
        "Mistakes",
        "find_mistakes",
    ),
    "likewise.apps.style": ("StyleOptions", "Styled", "stylise"),
    "likewise.apps.synthesize": (
        "PictureOptions",
        "draw_pictures",
        "synthesize_pictures",
    ),
    "likewise.apps.triggerword": ("Listener", "TriggerWord"),
    "likewise.calibration": (
        "Calibration",
        "Threshold",
    ),
    "likewise.data": (
        "BoxSet",
        "Clips",
        "Dataset",
        "Health",
        "PairSet",
        "arrays",
        "check",
        "clips",
        "folder",
        "idx",
        "manifest",
        "open_boxes",
        "open_data",
        "pairs_file",
        "write_boxes",
        "zip_folder",
    ),
    "likewise.encoder": (
        "Encoder",
        "Head",
        "Pictures",
        "Sounds",
    ),
    "likewise.encoder.speech": ("speech_encoder",),
    "likewise.errors": (
        "CollapseWarning",
        "DataError",
        "LikewiseError",
        "ModelError",
        "NamesakeWarning",
        "SupportError",
        "UsageError",
    ),
    "likewise.evaluation": (
        "PairReport",
        "Report",
        "evaluate",
    ),
    "likewise.gallery": ("Gallery",),
    "likewise.matching": (
        "Model",
        "Verdict",
        "calibrate",
    ),
    "likewise.objective": (
        "AbsoluteError",
        "AllValid",
        "ArcFace",
        "BinaryCrossEntropy",
        "ClipBCE",
        "ConcatenatedTwins",
        "Contrastive",
        "CosFace",
        "Cosine",
        "Euclidean",
        "HardestInBatch",
        "L1",
        "Multiclass",
        "Multilabel",
        "RandomTriplets",
        "SemiHard",
        "SequentialBCE",
        "SoftMarginTripletLoss",
        "Softmax",
        "SoftmaxTripletLoss",
        "SquaredError",
        "SupCon",
        "TripletLoss",
        "WeightedL1",
        "Yolo",
        "make_objective",
    ),
    "likewise.training": (
        "FitOptions",
        "History",
        "fit",
    ),
    "likewise.training.targets": ("head_for",),
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULE.items() for name in names}

__all__ = [*_MODULE_OF_NAME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll] - one list is enough


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("likewise")
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'likewise' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF_NAME[name]), name)


def __dir__() -> list[str]:
    return sorted([*_MODULE_OF_NAME, "__version__"])
