"""From labelled data to a saved, calibrated, measured model: what `likewise train` and `likewise demo` do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from likewise.apps.map import MapOptions, draw_labelled
from likewise.apps.parts import Parts, divide
from likewise.apps.prepared import met_by
from likewise.apps.snapshots import Recorder, discard_snapshots, write_path
from likewise.apps.training import FLATTERED, Trained, Watcher, begin, stopped, write_history
from likewise.data import By, Dataset, PairSet
from likewise.encoder import Encoder, Seen, Wanted
from likewise.errors import DataError, UsageError
from likewise.evaluation import PairReport, Report, evaluate
from likewise.matching import Model, calibrate, default_unit, load, overlap, read_seen
from likewise.matching.folder import CONFIG, read_config
from likewise.matching.registered import is_registered
from likewise.media.pictures import Resize
from likewise.objective import Objective, make_objective
from likewise.prepare import finder_called
from likewise.training import FitOptions, check_trainable, choose_device, fit, trainable
from likewise.training.state import discard

TOO_MANY_REFUSED = 0.5  # of the pairs of the same identity: such a threshold is of little use
USUAL_FMR = 0.05  # that is advised then


@final
@dataclass(frozen=True)
class LearnOptions:
    """What to train.

    Attributes:
        loss: name of an objective (`likewise.objective.OBJECTIVES`) or ``pml:Name``.
        miner, margin, distance: of the objective; None for its own.
        class_weights: with a class head, items of rare identities count more, in inverse proportion.
        backbone: name of the network; None for "convnet-small", or the one of `start`.
        dim: length of an embedding; None for 128, or the one of `start`.
        size: side in pixels pictures are brought to; None for what suits the data.
        resize: "squash", "pad" or "crop"; None for "squash", or the one of `start`.
        grey: leave colour out; False keeps it where pictures have some, or as `start` does.
        prepare: name of what finds the part of a picture to be encoded, such as "faces"; None to encode all of it.
        seconds, rate: length and hertz sounds are brought to; None for what suits the data.
        split: "identity", "item" or "group"; None for what suits the data (`divide`).
        start: model folder, or registered name, whose weights are trained on.
        fit: how to train.
    """

    loss: str = "supcon"
    miner: str | None = None
    margin: float | None = None
    distance: str | None = None
    class_weights: bool = False
    backbone: str | None = None
    dim: int | None = None
    size: int | None = None
    resize: Resize | None = None
    grey: bool = False
    prepare: str | None = None
    seconds: float | None = None
    rate: int | None = None
    split: By | None = None
    start: str | None = None
    fit: FitOptions = field(default_factory=FitOptions)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "fit": self.fit.as_dict()}


@final
@dataclass(frozen=True)
class Learned(Trained):
    """What came out.

    Attributes:
        model: calibrated as far as the data support it.
        report: on the test part; None if too little of it could be read.
        parts: what was used for what.
    """

    model: Model
    report: Report | PairReport | None
    parts: Parts

    def rows(self) -> list[tuple[str, str]]:
        """The figures and where to look, as text."""
        measured = () if self.report is None else (("measured on", "the test part"), *self.report.rows())
        return [*measured, *self.rows_of_training(f"{self.model.encoder.ready().kind}s")]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise train --json`."""
        unit = default_unit(self.model.encoder, self.parts.test)
        return {**super().as_dict(), "split": self.parts.by, "unit": unit}


def learn(
    data: Dataset | PairSet,
    out: Path,
    options: LearnOptions,
    *,
    resume: bool = False,
    resumable: bool = True,
    snapshots: bool = False,
    watcher: Watcher,
) -> Learned:
    """Splits, trains, calibrates, measures, draws and saves.

    The state after each epoch is kept beside `out` until the model is saved, so that `resume` can go on after a kill.
    Ctrl-C in training saves the best epoch so far, unless none is done or `out` is a model already.

    Args:
        data: what to learn from.
        out: the model folder to write; an older model there is replaced at the very end.
        options: what to train.
        resume: go on with a run that was cut off.
        resumable: False keeps no state while training, and Ctrl-C saves nothing.
        snapshots: keep what every epoch makes of some items, and draw the path of training in the report.
        watcher: told what is going on.

    Raises:
        UsageError, DataError, ModelError: before anything is written; so where the state of an earlier run is there and
            not resumed.
        KeyboardInterrupt: Ctrl-C in training, after which nothing is saved.
    """
    checkpoint = begin(out, resume=resume, say=watcher.say, resumable=resumable)
    if isinstance(data, Dataset):
        check_trainable(data)
    before = met_by(options.prepare) if options.start is None else _seen_by(options.start)
    try:
        parts = divide(data, options.split, options.fit.seed, before)
    except DataError:
        Wanted().suiting((data.items if isinstance(data, PairSet) else data).sources)  # can anything be read at all?
        raise
    watcher.say(parts.said())
    if not parts.test.comparable:
        raise DataError(
            "The part kept for the report has pairs of the same and of different identities",
            f"{parts.said()}",
            "Bring more items.",
        )
    seen = parts.seen().joined(before)
    known = overlap(seen, parts.test).said()
    if known:
        watcher.say(FLATTERED.format(known))
    encoder, objective = prepare(parts.train, options)
    recorder = Recorder(encoder, parts.valid, checkpoint, seed=options.fit.seed, resume=resume) if snapshots else None
    unchanged = f"{out} is the model it was before." if (out / CONFIG).exists() else "Nothing was saved."
    try:
        history = fit(
            encoder, parts.train, objective, validation=parts.valid if parts.valid.comparable else None,
            options=options.fit, checkpoint=checkpoint, resume=resume, watch=watcher.step, observe=recorder,
        )  # fmt: skip
    except KeyboardInterrupt:
        watcher.say(f"{stopped('before an epoch was done', checkpoint)} {unchanged}")
        raise
    encoder.seen = seen
    skipped = dict(history.skipped)
    notes = [*history.warnings]
    if known:
        notes.append(FLATTERED.format(known))
    if not parts.valid.comparable:
        notes.append("Too few items to choose an epoch by were kept aside, so the last epoch is kept.")
    if history.stopped == "interrupted":
        told = stopped(f"in epoch {len(history.epochs) + 1}", checkpoint)
        if (out / CONFIG).exists() or not resumable:
            watcher.say(f"{told} {unchanged}")
            raise KeyboardInterrupt
        notes.append(f"{told} {out} is the best epoch so far.")
    model = Model(encoder)
    try:
        model = calibrate(encoder, parts.tune, seed=options.fit.seed, skipped=skipped.setdefault)
        notes += _promise(model, out)
    except DataError as error:
        notes.append(f"Not calibrated: {error}")
    report: Report | PairReport | None = None
    try:
        report = evaluate(model, parts.test, seed=options.fit.seed)
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
        if isinstance(report, Report):
            draw_labelled(model.encoder, report.labelled, [folder / "pca.png"], MapOptions("pca"))
        return report.as_dict()

    encoder.trained["options"] = options.as_dict()
    encoder.trained["split"] = {
        "by": parts.by, "seed": options.fit.seed, "own": list(parts.own), "test_trained_on": known,
    }  # fmt: skip
    model.save(out, write_report)
    if checkpoint is not None and history.stopped != "interrupted":
        discard_snapshots(checkpoint)
        discard(checkpoint)
    return Learned(history, out, tuple(notes), model, report, parts)


def prepare(train: Dataset | PairSet | None, options: LearnOptions) -> tuple[Encoder, Objective]:
    """The encoder and the objective that `options` ask for; nothing is trained yet.

    Args:
        train: what is to be learned from; None, before it is read, to find options that cannot work.
        options: see `LearnOptions`.

    Raises:
        UsageError: options that cannot work, alone or together.
    """
    seed = options.fit.seed
    choose_device(options.fit.device)
    if options.start is not None:
        encoder = trainable(load(options.start).encoder)
        asked = {"backbone": options.backbone, "dim": options.dim, "size": options.size, "resize": options.resize,
                 "grey": options.grey or None, "prepare": options.prepare, "seconds": options.seconds,
                 "rate": options.rate}  # fmt: skip
        given = [f"{name} {value}" for name, value in asked.items() if value is not None]
        if given:
            raise UsageError(
                "Training that starts from a model keeps its backbone, dimension and preprocessing",
                ", ".join(given),
                "Leave it out.",
            )
    else:
        encoder = Encoder(
            options.backbone or "convnet-small",
            128 if options.dim is None else options.dim,
            size=options.size,
            resize=options.resize,
            grey=options.grey,
            prepare=None if options.prepare is None else finder_called(options.prepare),
            seconds=options.seconds,
            rate=options.rate,
            seed=seed,
        )
    # Pairs do not say, and no objective on pairs asks.
    classes, weights = 2, [1.0, 1.0] if train is None and options.class_weights else None
    if isinstance(train, Dataset):
        classes = train.identities
        weights = train.class_weights()[train.counts() > 0].tolist() if options.class_weights else None
    objective = make_objective(
        options.loss, dim=encoder.dim, classes=classes, margin=options.margin, miner=options.miner,
        distance=options.distance, class_weights=weights, seed=seed,
    )  # fmt: skip
    return encoder, objective


def _seen_by(start: str) -> Seen:
    """What the model to start from was trained on, as far as it is known."""
    if is_registered(start):
        return Seen()
    read_config(Path(start))  # else a folder that is no model would only be one that remembers nothing
    return read_seen(Path(start))


def _promise(model: Model, out: Path) -> list[str]:
    """What the calibration after training promises, and to whom."""
    found = model.calibrated()
    line = found.threshold_for()
    held = "the smallest these data support" if line.supported else "though these data are too few to support even that"
    refused = f"{line.fnmr.value:.1%} of that part's pairs of the same identity are refused at it"
    notes = [f"Calibrated for a false match rate of {line.promised:g} on the tune part, {held}; {refused}."]
    if line.fnmr.value > TOO_MANY_REFUSED and line.promised < USUAL_FMR:
        notes.append(
            "At so strict a rate it hardly ever says yes. For one that lets more pass: `likewise calibrate"
            f" {out} DATA --part tune --fmr {USUAL_FMR:g}`; training longer, or on more, serves both."
        )
    if found.unit == "item":
        notes.append(
            "The identities are taken for a fixed list: the promise holds among them, not for others. If others will be"
            " met, train with --split identity."
        )
    if found.support_at_most:
        notes.append(
            "Who is who is known only as far as pairs link items, so the data may support less than this. The columns"
            " id_a and id_b of a pairs file tell it."
        )
    return notes
