"""Figures from embeddings and labels, streamed in blocks.

Every function takes embeddings (N, D) and integer labels (N,), as tensors or arrays, and the distance that is
part of the model. Figures are computed on the processor.
"""

from likewise.metrics.box_matching import Detections
from likewise.metrics.boxes import AtScore, ClassPrecision, Detection, detection
from likewise.metrics.clustering import Clustering, agreement, clustering
from likewise.metrics.confusion import Confusion, HardestPairs, Pair, confusions, hardest_pairs
from likewise.metrics.curve import ErrorCurve
from likewise.metrics.estimate import Estimate
from likewise.metrics.fewshot import FewShot, few_shot
from likewise.metrics.labels import Claims, Doubts, Inseparable, Suspect, claims_of, doubts, neighbour_claims
from likewise.metrics.neighbours import Neighbours, neighbours
from likewise.metrics.origins import Origin, origins
from likewise.metrics.pairs import Block, cross_blocks, upper_blocks
from likewise.metrics.retrieval import Retrieval, hits_at_1, retrieval
from likewise.metrics.triplets import Triplet, hardest_triplets
from likewise.metrics.verification import FnmrAtFmr, Verification, listed_verification, verification

__all__ = [
    "AtScore",
    "Block",
    "Claims",
    "ClassPrecision",
    "Clustering",
    "Confusion",
    "Detection",
    "Detections",
    "Doubts",
    "ErrorCurve",
    "Estimate",
    "FewShot",
    "FnmrAtFmr",
    "HardestPairs",
    "Inseparable",
    "Neighbours",
    "Origin",
    "Pair",
    "Retrieval",
    "Suspect",
    "Triplet",
    "Verification",
    "agreement",
    "claims_of",
    "clustering",
    "confusions",
    "cross_blocks",
    "detection",
    "doubts",
    "few_shot",
    "hardest_pairs",
    "hardest_triplets",
    "hits_at_1",
    "listed_verification",
    "neighbour_claims",
    "neighbours",
    "origins",
    "retrieval",
    "upper_blocks",
    "verification",
]
