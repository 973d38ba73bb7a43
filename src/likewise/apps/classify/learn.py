"""From labelled items to a saved model that answers: what `likewise train --task classify` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.classify.model import Classifier
from likewise.apps.classify.report import AnswerReport, report_on
from likewise.apps.parts import Parts, divide
from likewise.apps.prepared import met_by
from likewise.apps.snapshots import Recorder, discard_snapshots, write_path
from likewise.apps.training import FLATTERED, Trained, Watcher, begin, stopped, write_history
from likewise.data import Dataset
from likewise.encoder import Encoder, Head, HeadKind
from likewise.errors import DataError, UsageError
from likewise.matching import EMBED, load, overlap, task_of
from likewise.media.pictures import Resize
from likewise.objective import AbsoluteError, AnswerObjective, Multiclass, Multilabel, SquaredError
from likewise.prepare import finder_called
from likewise.training import FitOptions, choose_device, fit, trainable
from likewise.training.state import discard
from likewise.training.targets import classes_in, head_for, targets_for

BACKBONE = "convnet-small"
Norm = Literal["l1", "l2"]


@final
@dataclass(frozen=True)
class ClassifyOptions:
    """What to train.

    Attributes:
        head: "binary", "multiclass", "multilabel" or "regression"; None for what suits the data (`head_for`).
        norm: of a regression: "l2" finds the mean, "l1" the median.
        class_weights: rare classes count more, in inverse proportion.
        backbone: name of the network; None for "convnet-small", or the one of `start`. "linear" is logistic regression.
        size: side in pixels pictures are brought to; None for what suits the data.
        resize: "squash", "pad" or "crop"; None for "squash".
        grey: leave colour out; False keeps it where pictures have some, or as `start` does.
        prepare: name of what finds the part of a picture that counts, such as "faces"; None for all of it.
        seconds, rate: length and hertz sounds are brought to; None for what suits the data.
        split: "item" or "group"; None for group where there are groups.
        start: model folder, or registered name, whose stages are taken over, under a new last layer.
        frozen: only that layer is trained; what the stages give is computed once and kept.
        fit: how to train.
    """

    head: HeadKind | None = None
    norm: Norm = "l2"
    class_weights: bool = False
    backbone: str | None = None
    size: int | None = None
    resize: Resize | None = None
    grey: bool = False
    prepare: str | None = None
    seconds: float | None = None
    rate: int | None = None
    split: Literal["item", "group"] | None = None
    start: str | None = None
    frozen: bool = False
    fit: FitOptions = field(default_factory=FitOptions)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "fit": self.fit.as_dict()}


@final
@dataclass(frozen=True)
class LearnedAnswers(Trained):
    """What came out.

    Attributes:
        model: calibrated as far as the data support it.
        report: on the test part; None if too little of it could be read.
        parts: what was used for what.
    """

    model: Classifier
    report: AnswerReport | None
    parts: Parts

    def rows(self) -> list[tuple[str, str]]:
        """The figures and where to look, as text."""
        measured = () if self.report is None else (("measured on", "the test part"), *self.report.rows())
        return [*measured, *self.rows_of_training(f"{self.model.encoder.ready().kind}s")]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise train --json`."""
        return {**super().as_dict(), "task": self.model.task, "split": self.parts.by, "head": self.model.head.kind}


def learn(
    data: Dataset,
    out: Path,
    options: ClassifyOptions,
    *,
    resume: bool = False,
    snapshots: bool = False,
    watcher: Watcher,
) -> LearnedAnswers:
    """Splits, trains, calibrates, measures, draws and saves.

    Args:
        data: what to learn from: labels are classes, or there are targets.
        out: the model folder to write; an older model there is replaced at the very end.
        options: what to train.
        resume: go on with a run that was cut off.
        snapshots: keep what every epoch makes of some items, and draw the path of training in the report.
        watcher: told what is going on.

    Raises:
        UsageError, DataError, ModelError: before anything is written.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    before = prepare(options)
    checkpoint = begin(out, resume=resume, say=watcher.say)
    by = options.split or ("item" if data.groups is None else "group")
    whole = head_for(data, options.head)  # what cannot be learned is said before it is divided, with its place in it
    objective_for(whole, data, options).check_targets(targets_for(whole, data), data.files)
    met = met_by(options.prepare) if before is None else before.seen
    parts = divide(data, by, options.fit.seed, met, lambda part: classes_in(whole, part))
    watcher.say(parts.said())
    again = overlap(parts.seen().joined(met), parts.test).items
    known = f"{again:,} of {len(parts.test):,} items" if again else ""
    if known:
        watcher.say(FLATTERED.format(known))
    train, valid, tune, test = (_items(part) for part in parts.named().values())
    head = whole if data.targets is not None and whole.kind != "regression" else head_for(train, options.head)
    for name, part in parts.named().items():
        try:
            targets_for(head, _items(part))
        except DataError as error:  # the data's own part has a class that training never meets
            raise DataError(error.rule, f"{error.received} in the {name} part", error.remedy) from error
    encoder = _encoder(before, head, options)
    objective = objective_for(head, train, options)
    recorder = Recorder(encoder, valid, checkpoint, seed=options.fit.seed, resume=resume) if snapshots else None
    history = fit(
        encoder, train, objective, validation=valid, options=options.fit, checkpoint=checkpoint, resume=resume,
        watch=watcher.step, observe=recorder,
    )  # fmt: skip
    encoder.seen = parts.seen().joined(met)
    if options.fit.balanced and head.kind != "regression":
        encoder.trained["drawn"] = drawn_weights(head, targets_for(head, train), train.labels)
    skipped = dict(history.skipped)
    notes = list(history.warnings)
    if known:
        notes.append(FLATTERED.format(known))
    notes += [note for name in ("train", "test") if (note := _lacking(head, name, _items(parts.named()[name])))]
    if history.stopped == "interrupted":
        notes.append(stopped(f"in epoch {len(history.epochs) + 1}", checkpoint))
    model, report = Classifier(encoder), None
    try:
        model, given = model.calibrated_on(tune)
        skipped |= dict(given.skipped)
        if head.kind == "regression" and model.calibration is not None and not model.calibration.half_widths:
            notes.append(model.calibration.lacking())
    except DataError as error:
        notes.append(f"Not calibrated: {error}")
    try:
        report = report_on(model, model.outputs_for(test))
        skipped |= dict(report.skipped)
    except DataError as error:  # a trained model is worth keeping all the same
        notes.append(f"Not measured: {error}")
    for file, reason in skipped.items():
        watcher.say(f"skipped {file}: {reason}")

    def write_report(folder: Path) -> dict[str, Any]:
        write_history(history, folder)
        if recorder is not None:
            write_path(recorder, encoder, history, folder, watcher.say)
        if report is None:
            return {}
        report.write(folder)
        return report.as_dict()

    encoder.trained["options"] = options.as_dict()
    encoder.trained["columns"] = data.targets is not None
    encoder.trained["split"] = {
        "by": parts.by, "seed": options.fit.seed, "own": list(parts.own), "test_trained_on": known,
    }  # fmt: skip
    model.save(out, write_report)
    if checkpoint is not None and history.stopped != "interrupted":
        discard_snapshots(checkpoint)
        discard(checkpoint)
    return LearnedAnswers(history, out, tuple(notes), model, report, parts)


def drawn_weights(head: Head, targets: Tensor, labels: NDArray[np.int64]) -> list[float]:
    """What classes count where every label is drawn equally often: class weights that would shift outputs as far.

    Args:
        head: what the targets are of.
        targets: (N, K) as `targets_for` gives them, of all items.
        labels: (N,) by which they are drawn.

    Returns:
        (K,) the share of each class among items as drawn, over that among all; of sigmoids the same of its odds.
    """
    held = targets.double().numpy()
    drawn = 1 / np.bincount(labels)[labels]
    shares, as_drawn = held.mean(axis=0), drawn @ held / drawn.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        of_sigmoids = (1 - shares) / (1 - as_drawn) if head.kind != "multiclass" else 1.0
        found = as_drawn / shares * of_sigmoids
    return np.where(np.isfinite(found) & (found > 0), found, 1.0).tolist()


def prepare(options: ClassifyOptions) -> Encoder | None:
    """The encoder to start from, if there is one; nothing is read or trained yet.

    Raises:
        UsageError, ModelError: options that cannot work.
    """
    choose_device(options.fit.device)
    if options.start is None:
        if options.frozen:
            raise UsageError("What is frozen was trained before", "--frozen without --from", "Pass --from MODEL.")
        return None
    asked = {"backbone": options.backbone, "size": options.size, "resize": options.resize,
             "grey": options.grey or None, "prepare": options.prepare, "seconds": options.seconds,
             "rate": options.rate}  # fmt: skip
    if given := [f"{name} {value}" for name, value in asked.items() if value is not None]:
        raise UsageError(
            "Training that starts from a model keeps its backbone and preprocessing", ", ".join(given), "Leave it out."
        )
    embeds = task_of(options.start) == EMBED
    encoder = load(options.start).encoder if embeds else Classifier.load(options.start).encoder
    return trainable(encoder)


def objective_for(head: Head, train: Dataset, options: ClassifyOptions) -> AnswerObjective:
    """What to minimise for `head`."""
    if head.kind != "regression" and options.norm != "l2":
        raise UsageError("--norm goes with a regression", f"{options.norm} with {head.kind}", "Leave it out.")
    if head.kind == "regression":
        if options.class_weights:
            raise UsageError("--class-weights goes with classes", "a regression", "Leave it out.")
        return AbsoluteError() if options.norm == "l1" else SquaredError()
    share = targets_for(head, train).double().mean(dim=0)  # (K,) of the items that each class holds of
    constant = (share <= 0) | (share >= 1)
    if options.class_weights and bool(constant.any()):
        place = int(constant.int().argmax())
        which = f"{head.names[-1 if head.kind == 'binary' else place]!r}, which {'always' if share[place] else 'never'}"
        raise DataError(
            "Class weights need items of which a class holds, and others, in the train part", f"{which} does",
            "Bring more items, or leave out --class-weights.",
        )  # fmt: skip
    if head.kind == "multiclass":
        return Multiclass((1 / (len(share) * share)).tolist() if options.class_weights else None)
    return Multilabel(((1 - share) / share).tolist() if options.class_weights else None)


def _encoder(before: Encoder | None, head: Head, options: ClassifyOptions) -> Encoder:
    if before is None:
        return Encoder(
            options.backbone or BACKBONE, head=head, size=options.size, resize=options.resize, grey=options.grey,
            prepare=None if options.prepare is None else finder_called(options.prepare),
            seconds=options.seconds, rate=options.rate, seed=options.fit.seed,
        )  # fmt: skip
    encoder = before.with_head(head, options.fit.seed)
    if options.frozen:
        encoder.fix(encoder.taps[-2])
    return encoder


def _lacking(head: Head, name: str, part: Dataset) -> str:
    """Which classes a part has no item of, in words; empty if none is lacking."""
    if head.kind == "regression" or not len(part):
        return ""
    held = targets_for(head, part).sum(dim=0)
    if head.kind == "binary":
        held = torch.stack([len(part) - held[0], held[0]])
    none = [one for one, count in zip(head.names, held.tolist(), strict=True) if not count]
    shown = ", ".join(none[:10]) + (", ..." if len(none) > 10 else "")
    done = "learned" if name == "train" else "measured"
    return f"The {name} part has no item of {shown}, so nothing was {done} of that." if none else ""


def _items(part: Any) -> Dataset:
    assert isinstance(part, Dataset)  # as what was divided
    return part
