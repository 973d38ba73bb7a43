"""Keeping, after every epoch, what the weights make of the same few items."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from likewise.data import Dataset, PairSet
from likewise.encoder import EMBEDDING, Encoder, evaluating
from likewise.errors import DataError
from likewise.media.files import replacing_file
from likewise.metrics.neighbours import neighbours

MOST_ITEMS = 500
AT_ONCE = 64  # items
FOLDER = "snapshots"  # beside the checkpoint


@final
@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the weights of one epoch make of the items.

    Attributes:
        epoch: how many were done; 0 for the random start, or for the model that was started from.
        figure: on the validation part; None without one.
        embeddings: (N, D) what is laid out: embeddings, or with a head what its layer is given.
        said: of embeddings (N,) int64, the nearest other item; with a head (N, K) float32, its outputs.
    """

    epoch: int
    figure: float | None
    embeddings: Tensor
    said: Tensor


@final
class Recorder:
    """Observes a training (`fit(observe=)`), and keeps a snapshot of each epoch; in a folder too, to be resumed.

    Args:
        encoder: that is trained.
        data: at most 500 items of it are kept, chosen by `seed`.
        folder: of the checkpoint; None to keep nothing on disk.
        seed: of the choice of items.
        resume: go on with what an earlier run left in `folder`.

    Attributes:
        seed: of the choice.
        items: that snapshots are of; those that can be read, once training has begun.
        skipped: file and reason of those that cannot.
        taken: snapshots by epoch, as many as there are.

    Raises:
        DataError: what an earlier run left is damaged.
    """

    def __init__(
        self, encoder: Encoder, data: Dataset | PairSet, folder: Path | None, *, seed: int, resume: bool
    ) -> None:
        whole = data.items if isinstance(data, PairSet) else data
        chosen = np.random.default_rng(seed).permutation(len(whole))[:MOST_ITEMS]
        self.items = whole.subset(np.sort(chosen))
        self.skipped: tuple[tuple[str, str], ...] = ()
        self.seed = seed
        self._encoder, self._values = encoder, torch.empty(0)
        self._begun = False
        self._checkpoint, self._folder = folder, None if folder is None else folder / FOLDER
        held = sorted(self._folder.glob("*.safetensors")) if resume and self._folder is not None else []
        self.taken = {snapshot.epoch: snapshot for snapshot in map(_read, held)}

    def __call__(self, epoch: int, figure: float | None) -> None:
        """Takes a snapshot; see `fit`."""
        if epoch == 0:  # a new run, whatever an earlier one has left
            self.taken = {}
            if self._checkpoint is not None:
                discard_snapshots(self._checkpoint)
        found = self._seen_now(epoch, figure)
        if found is None:
            return
        self.taken[epoch] = found
        if self._folder is None or epoch == 0:  # before an epoch is done there is nothing to resume
            return
        for snapshot in self.taken.values():
            if not (file := self._folder / f"{snapshot.epoch:05}.safetensors").exists() or snapshot is found:
                _write(snapshot, file)

    def _seen_now(self, epoch: int, figure: float | None) -> Snapshot | None:
        encoder, values = self._encoder, self._read_once()
        if not len(values):
            return None
        laid_out = EMBEDDING if encoder.head is None else _features(encoder)
        found: dict[str, list[Tensor]] = {laid_out: [], EMBEDDING: []}
        device = next(encoder.parameters()).device
        with evaluating(encoder), torch.inference_mode():
            for block in values.split(AT_ONCE):
                outputs = encoder(block.to(device), list(found))
                for tap, kept in found.items():
                    kept.append(outputs[tap].float().cpu())
            embeddings, outputs = (torch.cat(found[tap]).clone() for tap in (laid_out, EMBEDDING))
            said = outputs if encoder.head is not None else _nearest(encoder, embeddings)
        return Snapshot(epoch, figure, embeddings, said.clone())

    def _read_once(self) -> Tensor:
        if not self._begun:  # only now, as training may have given the encoder its preprocessing
            self._begun = True
            decoded = self._encoder.ready().decode_sole(self.items.sources)
            self.skipped = tuple((self.items.files[i], reason) for i, reason in decoded.problems)
            self.items, self._values = self.items.subset(decoded.kept), decoded.values
        return self._values


def discard_snapshots(checkpoint: Path) -> None:
    """Takes away what any run has kept in the folder of its checkpoint."""
    shutil.rmtree(checkpoint / FOLDER, ignore_errors=True)


def _features(encoder: Encoder) -> str:
    """The tap before the last, unless nothing that leads there is trained, as of a linear model: its outputs."""
    before = list(encoder.stages.items())[:-1]
    return before[-1][0] if any(list(stage.parameters()) for _, stage in before) else EMBEDDING


def _nearest(encoder: Encoder, embeddings: Tensor) -> Tensor:
    """(N,) the nearest other item of each; itself where there is no other."""
    if len(embeddings) < 2:
        return torch.zeros(len(embeddings), dtype=torch.int64)
    return neighbours(embeddings, encoder.distance_on_cpu(), 1).indices[:, 0]


def _write(snapshot: Snapshot, file: Path) -> None:
    tensors = {"embeddings": snapshot.embeddings.contiguous(), "said": snapshot.said.contiguous()}
    state = json.dumps({"epoch": snapshot.epoch, "figure": snapshot.figure})
    with replacing_file(file) as fresh:
        save_file(tensors, fresh, metadata={"state": state})


def _read(file: Path) -> Snapshot:
    try:
        with safe_open(file, framework="pt") as opened:
            state = json.loads(opened.metadata()["state"])
            return Snapshot(state["epoch"], state["figure"], opened.get_tensor("embeddings"), opened.get_tensor("said"))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "Snapshots of a run that is resumed can be read",
            f"{str(file)!r}: {str(error).splitlines()[0]}",
            "Delete the file: that epoch is then left out.",
        ) from error
