"""The nearest records, by the server's index or by comparing with every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.gallery.milvus.connection import PAGE, REQUEST, Row
from likewise.gallery.milvus.rows import Head
from likewise.gallery.milvus.texts import Look, Texts
from likewise.gallery.records import Found
from likewise.objective.distances import Cosine, Distance, Euclidean

METRICS: dict[type[Distance], str] = {Euclidean: "L2", Cosine: "COSINE"}  # what an index ranks by

_COMPARED = 1 << 24  # distances computed at a time


@final
@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        head: of the gallery, as far as is known.
        sure: tells it surely.
        probes: (Q, D).
        k: how many records each is to have, at least 1.
        distance: what compares them.
        expressions: which records count; each holds for others.
        filtered: whether these leave some out.
    """

    head: Head
    sure: Callable[[], Look]
    probes: NDArray[np.float32]
    k: int
    distance: Distance
    expressions: Sequence[str]
    filtered: bool


def nearest(texts: Texts, asked: Question) -> Found:
    """The k nearest records that count, for every probe.

    Where the index ranks by the distance, it puts records forward whose distances are computed again. Where it does
    not, or loses neighbours when a filter leaves few, all records that count are compared.
    """
    found = None
    exact = asked.head.index == "FLAT"
    if METRICS.get(type(asked.distance)) == asked.head.metric and (exact or not asked.filtered):
        found = _by_index(texts, asked)
    return found or _by_comparing(texts, asked)


def _by_index(texts: Texts, asked: Question) -> Found | None:
    """None where the index puts forward too few."""
    head = asked.head
    limit = asked.k + asked.k // 4 + 8  # its distances are rounded otherwise than ours
    if limit > PAGE or not asked.expressions:
        return None
    effort = {option: max(number, limit) if option == "ef" else number for option, number in head.search.items()}
    at_once = max(1, REQUEST // (limit * (4 * head.dim + 64)))
    blocks: list[Found] = []
    for start in range(0, len(asked.probes), at_once):
        probes, hidden = asked.probes[start : start + at_once], list[int]()
        while True:  # until nothing is put forward that is not there yet, or any more
            but = [f"enrolment not in {hidden}"] if hidden else []
            answers = [
                texts.milvus.search(
                    texts.table(head.generation),
                    probes,
                    limit,
                    " and ".join(filter(None, [expression, *but])),
                    ["enrolment", "embedding"],
                    effort,
                )
                for expression in asked.expressions
            ]
            hits = [[hit for answer in row for hit in answer] for row in zip(*answers, strict=True)]
            met = {hit["enrolment"] for row in hits for hit in row}
            named = texts.named(asked.sure(), met)
            if len(named) == len(met):
                break
            hidden += met - named.keys()
        if min(map(len, hits)) < asked.k:
            return None
        blocks.append(_chosen(probes, hits, named, asked))
    return Found(
        np.concatenate([block.ids for block in blocks]),
        [row for block in blocks for row in block.names],
        np.concatenate([block.distances for block in blocks]),
    )


def _chosen(
    probes: NDArray[np.float32], hits: Sequence[Sequence[Row]], named: Mapping[int, str], asked: Question
) -> Found:
    """Of at least k hits for each probe, the k nearest."""
    counts = [len(row) for row in hits]
    rows = [hit for row in hits for hit in row]
    probe = np.repeat(np.arange(len(probes)), counts)
    ids = np.array([hit["id"] for hit in rows], np.int64)
    with torch.no_grad():
        embeddings = torch.from_numpy(np.array([hit["embedding"] for hit in rows], np.float32))
        far = asked.distance.rowwise(torch.from_numpy(probes[probe]), embeddings).float().numpy()
    first = np.cumsum([0, *counts[:-1]])
    chosen = np.lexsort((ids, far, probe))[first[:, None] + np.arange(asked.k)]
    names = [[named[rows[i]["enrolment"]] for i in row] for row in chosen.tolist()]
    return Found(ids[chosen], names, far[chosen])


def _by_comparing(texts: Texts, asked: Question) -> Found:
    """Page by page, keeping the k nearest."""
    head, probes = asked.head, torch.from_numpy(asked.probes)
    fields = ["id", "enrolment", "embedding"]
    page = max(1, min(REQUEST // (4 * head.dim + 32), _COMPARED // len(probes)))
    far, best = torch.empty(len(probes), 0), torch.empty(len(probes), 0, 2, dtype=torch.int64)
    called: dict[int, str] = {}
    for expression in asked.expressions:
        for rows in texts.milvus.pages(texts.table(head.generation), expression, fields, page):
            called |= texts.named(asked.sure(), {row["enrolment"] for row in rows})
            there = [row for row in rows if row["enrolment"] in called]
            if not there:
                continue
            with torch.no_grad():
                embeddings = torch.from_numpy(np.array([row["embedding"] for row in there], np.float32))
                here = asked.distance.between(probes, embeddings).float()
            who = torch.tensor([[row["id"], row["enrolment"]] for row in there]).expand(len(probes), -1, 2)
            far, best = torch.cat([far, here], dim=1), torch.cat([best, who], dim=1)
            far, order = far.topk(min(asked.k, far.shape[1]), dim=1, largest=False)
            best = best.gather(1, order.unsqueeze(-1).expand(-1, -1, 2))
    names = [[called[each] for each in row] for row in best[..., 1].tolist()]
    return Found(best[..., 0].numpy(), names, far.numpy())
