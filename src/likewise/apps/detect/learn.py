"""From pictures with boxes to a saved detector: what `likewise train --task detect` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from likewise.apps.detect.boxes import relabelled
from likewise.apps.detect.model import Detector
from likewise.apps.detect.report import DetectReport, evaluate
from likewise.apps.detect.scores import check_promise
from likewise.apps.parts import HELD_OUT_ITEMS, HELD_OUT_SHARE, SHARES
from likewise.apps.training import FLATTERED, Trained, Watcher, begin, stopped, write_history
from likewise.data import BoxSet
from likewise.encoder import PARTS, Encoder, Head, Pictures, Seen, to_page
from likewise.encoder.seen import TRAIN
from likewise.errors import DataError, UsageError
from likewise.matching import EMBED, load, task_of
from likewise.objective import Yolo
from likewise.training import FitOptions, choose_device, fit, trainable
from likewise.training.state import discard

BACKBONE = "darknet-tiny"
SIDE = 320  # pixels
LEAST_SIDE, MOST_SIDE = 64, 1280
SMALL = 2.0  # cells along a side of the usual box, so that few centres share a cell; a finer grid sees less of each
STRIDES = (8, 16, 32)
MOST_TOLD = 20  # problems of the data
FINEST, COARSEST = STRIDES[0], STRIDES[-1]


@final
@dataclass(frozen=True)
class DetectOptions:
    """What to train.

    Attributes:
        backbone: name of the network; None for "darknet-tiny", or the one of `start`.
        size: side in pixels of the square that pictures are padded to; a multiple of the stride.
        stride: side of a cell in pixels; None for what suits the boxes.
        per_cell: B, boxes that a cell predicts.
        coord, no_object: what centre and size, and boxes that are not there, count in the loss (`Yolo`).
        grey: leave colour out.
        precision: that is promised of what is found, in (0, 1); None for the threshold where F1 is highest.
        split: "item" or "group"; None for group where there are groups.
        start: model folder, or registered name, whose stages are taken over, below a new neck and last layer.
        frozen: the stages that are taken over stay as they are.
        fit: how to train.
    """

    backbone: str | None = None
    size: int = SIDE
    stride: int | None = None
    per_cell: int = 2
    coord: float = 5.0
    no_object: float = 0.5
    grey: bool = False
    precision: float | None = None
    split: Literal["item", "group"] | None = None
    start: str | None = None
    frozen: bool = False
    fit: FitOptions = field(default_factory=lambda: FitOptions(augment="scene"))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "fit": self.fit.as_dict()}


@final
@dataclass(frozen=True)
class LearnedBoxes(Trained):
    """What came out.

    Attributes:
        model: calibrated as far as the data support it.
        report: on the test part; None if too little of it could be read.
        split: what was kept apart: "item" or "group".
    """

    model: Detector
    report: DetectReport | None
    split: str

    def rows(self) -> list[tuple[str, str]]:
        """The figures and where to look, as text."""
        measured = () if self.report is None else (("measured on", "the test part"), *self.report.rows())
        return [*measured, *self.rows_of_training("pictures")]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise train --json`."""
        report = {} if self.report is None else self.report.as_dict()
        measured = {name: report[name] for name in ("map_50", "map") if name in report}
        of = {"task": self.model.task, "split": self.split, "threshold": self.model.threshold}
        return {**super().as_dict(), **of, **measured}


def learn(data: BoxSet, out: Path, options: DetectOptions, *, resume: bool = False, watcher: Watcher) -> LearnedBoxes:
    """Splits, trains, sets the threshold, measures, draws and saves.

    Args:
        data: what to learn from.
        out: the model folder to write; an older model there is replaced at the very end.
        options: what to train.
        resume: go on with a run that was cut off.
        watcher: told what is going on.

    Raises:
        UsageError, DataError, ModelError: before anything is written.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    before = prepare(options)
    checkpoint = begin(out, resume=resume, say=watcher.say)
    by = options.split or ("item" if data.groups is None else "group")
    for file, reason in data.problems[:MOST_TOLD]:
        watcher.say(f"{file}: {reason}")
    if len(data.problems) > MOST_TOLD:
        watcher.say(f"{len(data.problems) - MOST_TOLD:,} more like these: `likewise data check` counts them")
    if not data.counts().any():
        raise DataError("A detector learns from boxes", f"none in {len(data)} pictures", "Bring annotated ones.")
    names = tuple(name for name, count in zip(data.names, data.counts().tolist(), strict=True) if count)
    data = relabelled(data, names)
    met = Seen() if before is None else before.seen
    parts = _divided(data, by, options.fit.seed, met)
    own = f" (the data's own: {', '.join(_own(data))})" if data.parts is not None else ""
    watcher.say(f"split by {by}{own}: {', '.join(f'{name} {len(part):,}' for name, part in parts.items())}")
    fitted = Seen.of("train", parts["train"].contents, parts["train"].identity_keys()).joined(met)
    again = int((fitted.uses(parts["test"].contents) == TRAIN).sum())
    notes = [FLATTERED.format(f"{again:,} of {len(parts['test']):,} pictures")] if again else []
    for note in notes:
        watcher.say(note)
    encoder = _encoder(before, parts["train"], options, watcher.say)
    objective = Yolo(options.per_cell, options.coord, options.no_object)
    history = fit(
        encoder, parts["train"], objective, validation=parts["valid"], options=options.fit, checkpoint=checkpoint,
        resume=resume, watch=watcher.step,
    )  # fmt: skip
    seen = (Seen.of(name, part.contents, part.identity_keys()) for name, part in parts.items())
    encoder.seen = Seen().joined(*seen).joined(encoder.seen)
    notes, skipped = [*notes, *history.warnings, *_untaught(parts["train"])], dict(history.skipped)
    if history.stopped == "interrupted":
        notes.append(stopped(f"in epoch {len(history.epochs) + 1}", checkpoint))
    model, report = Detector(encoder), None
    try:
        model, unread = model.calibrated_on(parts["tune"], options.precision)
        skipped |= dict(unread)
    except DataError as error:
        notes.append(f"No threshold was set: {error}")
    try:
        report = evaluate(model, parts["test"])
        skipped |= dict(report.skipped)
    except DataError as error:  # a trained model is worth keeping all the same
        notes.append(f"Not measured: {error}")
    for file, reason in skipped.items():
        watcher.say(f"skipped {file}: {reason}")

    def write_report(folder: Path) -> dict[str, Any]:
        write_history(history, folder)
        return {} if report is None else report.write(folder, model)

    encoder.trained["options"] = options.as_dict()
    encoder.trained["split"] = {"by": by, "seed": options.fit.seed, "own": _own(data)}
    model.save(out, write_report)
    if checkpoint is not None and history.stopped != "interrupted":
        discard(checkpoint)
    return LearnedBoxes(history, out, tuple(notes), model, report, by)


def prepare(options: DetectOptions) -> Encoder | None:
    """The encoder to start from, if there is one; nothing is read or trained yet.

    Raises:
        UsageError, ModelError: options that cannot work.
    """
    choose_device(options.fit.device)
    Yolo(options.per_cell, options.coord, options.no_object)
    if not LEAST_SIDE <= options.size <= MOST_SIDE or options.size % COARSEST:
        raise UsageError(
            f"A detector sees squares of {LEAST_SIDE} to {MOST_SIDE} pixels a side, a multiple of {COARSEST}",
            options.size, f"Pass for example --size {SIDE}.",
        )  # fmt: skip
    if options.stride is not None and options.stride not in STRIDES:
        raise UsageError(f"The side of a cell is one of {', '.join(map(str, STRIDES))} pixels", options.stride)
    if options.precision is not None:
        check_promise(options.precision)
    if options.start is None:
        if options.frozen:
            raise UsageError("What is frozen was trained before", "--frozen without --from", "Pass --from MODEL.")
        return None
    if options.backbone is not None or options.grey:
        raise UsageError("Training that starts from a model keeps its backbone and colours", "--backbone or --grey")
    task = task_of(options.start)
    encoder = trainable(load(options.start).encoder if task == EMBED else _of_task(task, options.start))
    if not isinstance(encoder.ready(), Pictures):
        raise UsageError("A detector starts from an encoder of pictures", f"one of {encoder.ready().kind}s")
    return encoder


def _of_task(task: str, start: str) -> Encoder:
    from likewise.apps.classify import Classifier

    return Detector.load(start).encoder if task == Detector.task else Classifier.load(start).encoder


def _encoder(before: Encoder | None, data: BoxSet, options: DetectOptions, say: Callable[[str], None]) -> Encoder:
    if before is None:
        found = Pictures.of(data.sources, options.size, "pad", grey=options.grey)
    else:
        how = before.ready()
        assert isinstance(how, Pictures)  # `prepare` saw to it
        found = replace(how, height=options.size, width=options.size, resize="pad", prepare=None)
    stride = options.stride or _stride(data, found)
    head = Head("detect", data.names, per_cell=options.per_cell, stride=stride)
    say(f"{options.size // stride} x {options.size // stride} cells of {stride} pixels")
    if before is None:
        return Encoder(
            options.backbone or BACKBONE, head=head, size=options.size, resize="pad", grey=options.grey,
            seed=options.fit.seed,
        )  # fmt: skip
    if before.head == head and before.ready() == found:
        return before  # a detector of the same, trained on
    encoder = before.with_head(head, options.fit.seed, found)
    if options.frozen:
        encoder.fix(encoder.taps[-3])
    return encoder


def _stride(data: BoxSet, how: Pictures) -> int:
    """Side of a cell of which the usual box that is learned from has at least `SMALL` along a side.

    Raises:
        DataError: there is none.
    """
    counted = ~data.every_ignored
    if not counted.any():
        raise DataError("Training needs boxes", f"none in {len(data)} pictures")
    sizes = data.sizes[data.picture_of[counted]].tolist()
    placed = [to_page(box[None], (h, w), how) for box, (h, w) in zip(data.every_box[counted], sizes, strict=True)]
    side = float(np.median(np.sqrt(np.concatenate(placed)[:, 2:].prod(axis=1)))) * how.width
    stride = COARSEST
    while stride > FINEST and side < SMALL * stride:
        stride //= 2
    return stride


def _own(data: BoxSet) -> list[str]:
    """The parts that the data themselves have."""
    return [] if data.parts is None else [name for name in PARTS if name in data.parts]


def _divided(data: BoxSet, by: str, seed: int, before: Seen) -> dict[str, BoxSet]:
    """The four parts: the data's own, and what they lack of these taken from train.

    Pictures that a model to start from has met keep the use they had, as far as the data do not say another.

    Raises:
        DataError: too little for four parts, or parts of the data's own and none of them train.
    """
    own = {name: data.part(name) for name in _own(data)}
    if own and "train" not in own:
        raise DataError("Data that come in parts have one to train on", ", ".join(own), "Call one of them train.")
    rest, lacking = own.get("train", data), [name for name in PARTS[1:] if name not in own]
    if not lacking:
        return own
    most = min(HELD_OUT_SHARE, HELD_OUT_ITEMS / max(len(rest), 1))
    shares = [most if "test" in own else SHARES[name] for name in lacking]
    open_ = ["train", *lacking]
    place = np.array([*(open_.index(name) if name in open_ else -1 for name in PARTS), -1])  # the last for new ones
    kept = place[before.uses(rest.contents)]
    taken = dict(zip(open_, rest.split(1 - sum(shares), *shares, by=by, seed=seed, kept=kept), strict=True))
    return {name: taken[name] if name in taken else own[name] for name in PARTS}


def _untaught(train: BoxSet) -> list[str]:
    counts = train.counts()
    rare = [f"{name} ({count})" for name, count in zip(train.names, counts.tolist(), strict=True) if count < 5]
    return [f"Hardly any boxes to learn from: {', '.join(rare[:20])}."] if rare else []
