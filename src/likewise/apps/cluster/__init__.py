"""Clustering: pictures that belong together, in a folder each, and corrections that are kept."""

from __future__ import annotations

from likewise.apps.cluster.agglomerative import agglomerate
from likewise.apps.cluster.curves import KCurve, draw_k_curve, k_curve
from likewise.apps.cluster.cut import cut_of, pair_cut_of
from likewise.apps.cluster.folder import Clustered, Group, cluster_folder
from likewise.apps.cluster.methods import ClusterOptions, Clusters, find_clusters
from likewise.apps.cluster.xmeans import XMeans

__all__ = [
    "ClusterOptions",
    "Clustered",
    "Clusters",
    "Group",
    "KCurve",
    "XMeans",
    "agglomerate",
    "cluster_folder",
    "cut_of",
    "draw_k_curve",
    "find_clusters",
    "k_curve",
    "pair_cut_of",
]
