"""Distances, losses and miners: tensors in, a scalar out."""

from likewise.objective.answers import AbsoluteError, AnswerObjective, Multiclass, Multilabel, SquaredError
from likewise.objective.distances import (
    DISTANCES,
    L1,
    Concatenated,
    Cosine,
    Distance,
    Euclidean,
    WeightedL1,
    make_distance,
    squared_between,
    squared_rowwise,
)
from likewise.objective.heads import ArcFace, ClassHead, CosFace, Softmax
from likewise.objective.miners import (
    MINERS,
    AllValid,
    HardestInBatch,
    Miner,
    RandomTriplets,
    SemiHard,
    Triplets,
    make_miner,
)
from likewise.objective.objective import Objective, Outcome
from likewise.objective.objectives import OBJECTIVES, make_objective
from likewise.objective.pairs import (
    BinaryCrossEntropy,
    ConcatenatedTwins,
    Contrastive,
    PairObjective,
    Pairs,
    balanced_pairs,
)
from likewise.objective.pml import PML
from likewise.objective.sequential import ClipBCE, SequentialBCE, StepObjective
from likewise.objective.supcon import SupCon
from likewise.objective.triplets import (
    SoftMarginTripletLoss,
    SoftmaxTripletLoss,
    TripletLoss,
    TripletObjective,
)
from likewise.objective.yolo import Grid, Yolo, grid_of, yolo_terms

__all__ = [
    "DISTANCES",
    "L1",
    "MINERS",
    "OBJECTIVES",
    "PML",
    "AbsoluteError",
    "AllValid",
    "AnswerObjective",
    "ArcFace",
    "BinaryCrossEntropy",
    "ClassHead",
    "ClipBCE",
    "Concatenated",
    "ConcatenatedTwins",
    "Contrastive",
    "CosFace",
    "Cosine",
    "Distance",
    "Euclidean",
    "Grid",
    "HardestInBatch",
    "Miner",
    "Multiclass",
    "Multilabel",
    "Objective",
    "Outcome",
    "PairObjective",
    "Pairs",
    "RandomTriplets",
    "SemiHard",
    "SequentialBCE",
    "SoftMarginTripletLoss",
    "Softmax",
    "SoftmaxTripletLoss",
    "SquaredError",
    "StepObjective",
    "SupCon",
    "TripletLoss",
    "TripletObjective",
    "Triplets",
    "WeightedL1",
    "Yolo",
    "balanced_pairs",
    "grid_of",
    "make_distance",
    "make_miner",
    "make_objective",
    "squared_between",
    "squared_rowwise",
    "yolo_terms",
]
