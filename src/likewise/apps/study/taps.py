"""Where in the network the encoding is best taken from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from likewise.apps.study.study import Run, Settings, Study
from likewise.data import Dataset
from likewise.encoder import Encoder, evaluating
from likewise.errors import DataError, UsageError
from likewise.metrics import retrieval
from likewise.metrics.curve import error_curve
from likewise.objective import Cosine

AT_ONCE = 256  # items


@final
class Taps(Study):
    """P@1 and EER at every tap of a trained encoder, compared by the angle between mean outputs.

    What a task needs to tell apart decides where it is best told: early taps know colours and edges, late ones what
    the network was trained for. Of outputs over a picture or over time the mean is taken.

    Args:
        encoder: trained, not on these items.
        data: items to be told apart.

    Raises:
        UsageError: an encoder that hears a stream. DataError: nothing to compare.
    """

    name: ClassVar[str] = "tap"

    def __init__(self, encoder: Encoder, data: Dataset) -> None:
        if encoder.step_times is not None:
            raise UsageError("Taps are compared of an encoder of items", f"{encoder.backbone}, which hears a stream")
        if not data.comparable:
            raise DataError("Comparing takes two identities, one of them with two items", f"{data.identities}")
        self._encoder, self._data = encoder, data
        self._held: tuple[Tensor, Tensor] | None = None

    def options(self) -> dict[str, Any]:
        """See `Study`."""
        return {"model": self._encoder.fingerprint(), "items": len(self._data), "data": self._data.origin}

    def trials(self) -> list[Settings]:
        """See `Study`."""
        return [{"tap": tap} for tap in self._encoder.taps]

    def run(self, settings: Settings) -> dict[str, Any]:
        """See `Study`."""
        values, labels = self._read()
        tap, found = settings["tap"], list[Tensor]()
        with evaluating(self._encoder), torch.inference_mode():
            for block in values.split(AT_ONCE):
                outputs = self._encoder(block, [tap])[tap].float()
                found.append(outputs.flatten(2).mean(dim=2) if outputs.ndim > 2 else outputs)
        embeddings = torch.cat(found).clone()
        distance = Cosine()
        return {
            "precision_at_1": retrieval(embeddings, labels, distance).precision_at_1,
            "eer": error_curve(embeddings, labels, distance).eer(),
            "numbers": embeddings.shape[1],
        }

    def said(self, run: Run) -> str:
        """See `Study`."""
        f = run.figures
        return f"{run.settings['tap']}, {f['numbers']} numbers: P@1 {f['precision_at_1']:.3f}, EER {f['eer']:.2%}"

    def advice(self, runs: Sequence[Run]) -> str:
        """See `Study`."""
        best, last = max(runs, key=lambda run: run.figures["precision_at_1"]), runs[-1]
        if best is last:
            return f"Take the last one, {last.settings['tap']}: P@1 {last.figures['precision_at_1']:.3f}."
        return (
            f"{best.settings['tap']} tells these apart best: P@1 {best.figures['precision_at_1']:.3f}, where"
            f" {last.settings['tap']} has {last.figures['precision_at_1']:.3f}; what the network was trained for is"
            " something else, or it knows it too well."
        )

    def draw(self, runs: Sequence[Run], file: Path) -> None:
        """See `Study`."""
        from matplotlib.figure import Figure

        taps = [run.settings["tap"] for run in runs]
        figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(taps, [run.figures["precision_at_1"] for run in runs], "o-")
        right.plot(taps, [100 * run.figures["eer"] for run in runs], "o-", color="#d55e00")
        left.set(ylabel="P@1")
        right.set(ylabel="EER in %", ylim=(0, None))
        for axes in (left, right):
            axes.tick_params(axis="x", rotation=45)
            axes.grid(alpha=0.3)
        figure.savefig(file)

    def _read(self) -> tuple[Tensor, Tensor]:
        """The items as whole numbers, and their labels, sorted."""
        if self._held is None:
            decoded = self._encoder.ready().decode_sole(self._data.sources)
            labels, order = torch.from_numpy(self._data.labels[decoded.kept]).sort(stable=True)
            if len(labels.unique()) < 2:
                raise DataError("Comparing takes two identities", f"{len(labels)} readable items of fewer")
            self._held = decoded.values[order], labels
        return self._held
