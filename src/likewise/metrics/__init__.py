"""Figures from embeddings and labels, streamed in blocks.

Every function takes embeddings (N, D) and integer labels (N,), as tensors or arrays, and the distance that is
part of the model. Figures are computed on the processor.
"""

from likewise.metrics.clustering import Clustering, agreement, clustering
from likewise.metrics.confusion import Confusion, HardestPairs, Pair, confusions, hardest_pairs
from likewise.metrics.curve import ErrorCurve
from likewise.metrics.estimate import Estimate
from likewise.metrics.fewshot import FewShot, few_shot
from likewise.metrics.neighbours import Neighbours, neighbours
from likewise.metrics.pairs import Block, cross_blocks, upper_blocks
from likewise.metrics.retrieval import Retrieval, hits_at_1, retrieval
from likewise.metrics.verification import FnmrAtFmr, Verification, listed_verification, verification

__all__ = [
    "Block",
    "Clustering",
    "Confusion",
    "ErrorCurve",
    "Estimate",
    "FewShot",
    "FnmrAtFmr",
    "HardestPairs",
    "Neighbours",
    "Pair",
    "Retrieval",
    "Verification",
    "agreement",
    "clustering",
    "confusions",
    "cross_blocks",
    "few_shot",
    "hardest_pairs",
    "hits_at_1",
    "listed_verification",
    "neighbours",
    "retrieval",
    "upper_blocks",
    "verification",
]
