"""From labelled data to a saved, calibrated, measured model: what `likewise train` and `likewise demo` do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, final

from likewise.apps.map import MapOptions, draw_labelled
from likewise.data import By, Dataset, PairSet, default_split
from likewise.encoder import Encoder
from likewise.encoder.preprocessing import Resize
from likewise.errors import DataError, UsageError
from likewise.evaluation import PairReport, Report, evaluate, evaluate_pairs
from likewise.evaluation.pictures import draw_history
from likewise.matching import Model, calibrate, load, save
from likewise.matching.folder import CONFIG, REPORT
from likewise.media.files import check_replaceable
from likewise.objective import Objective, make_objective
from likewise.training import FitOptions, History, Step, check_trainable, fit
from likewise.training.state import discard

SHARES = (0.6, 0.1, 0.15, 0.15)  # to fit, to choose the epoch, to calibrate, to report
HELD_OUT_SHARE = 0.1  # of a training part that comes with a test part: each of valid and tune
HELD_OUT_ITEMS = 5000  # and no more than this many items each


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
        split: "identity", "item" or "group"; None for what suits the data (`divide`).
        start: model folder whose weights are trained on.
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
    split: By | None = None
    start: str | None = None
    fit: FitOptions = field(default_factory=FitOptions)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "fit": self.fit.as_dict()}


@final
@dataclass(frozen=True)
class Parts:
    """Four disjoint parts, each with one use.

    Attributes:
        train: to fit.
        valid: to choose the epoch.
        tune: to calibrate.
        test: to report.
        by: what was kept apart: "identity", "item" or "group".
        own_test: whether the test part is the data's own.
    """

    train: Dataset | PairSet
    valid: Dataset | PairSet
    tune: Dataset | PairSet
    test: Dataset | PairSet
    by: By
    own_test: bool = False

    @property
    def unit(self) -> Literal["identity", "item"]:
        """What tune and test are a sample of: of new identities, or of items of the identities trained on."""
        if not (isinstance(self.train, Dataset) and isinstance(self.test, Dataset)):
            return "identity"
        return "item" if set(self.train.labels.tolist()) & set(self.test.labels.tolist()) else "identity"

    def said(self) -> str:
        """The split in one line."""
        sizes = ", ".join(
            f"{name} {len(part):,}"
            for name, part in (
                ("train", self.train),
                ("valid", self.valid),
                ("tune", self.tune),
                ("test", self.test),
            )
        )
        own = " (the test part is the data's own)" if self.own_test else ""
        return f"split by {self.by}{own}: {sizes}"


@final
@dataclass(frozen=True)
class Learned:
    """What came out.

    Attributes:
        model: calibrated as far as the data support it.
        history: of training.
        report: on the test part; None if too little of it could be read.
        folder: where it was saved.
        files: everything written that a person would look at.
        notes: what the person should know.
    """

    model: Model
    history: History
    report: Report | PairReport | None
    folder: Path
    files: tuple[Path, ...]
    parts: Parts
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise train --json`."""
        last = self.history.epochs[-1] if self.history.epochs else None
        return {
            "model": str(self.folder),
            "epochs": len(self.history.epochs),
            "best_epoch": self.history.best,
            "train_seconds": self.history.seconds,
            "images_per_second": self.history.images_per_second,
            "loss": last.loss if last else None,
            "stopped": self.history.stopped,
            "precision": self.history.precision,
            "split": self.parts.by,
            "unit": self.parts.unit,
            "files": [str(file) for file in self.files],
            "notes": list(self.notes),
        }


class Watcher(Protocol):
    """Told what is going on."""

    def step(self, step: Step) -> None:
        """After each training step."""
        ...

    def say(self, text: str) -> None:
        """One line."""
        ...


def divide(data: Dataset | PairSet, by: By | None = None, seed: int = 0) -> Parts:
    """Four parts of `data`: its own where it has a train and a test part, and what it lacks taken from train.

    Args:
        data: what to divide.
        by: how to take parts off; None for by group where there are groups, else as the data's own test part shows (new
            identities, or the same), else by identity from 20 identities on.
        seed: same seed, same parts.

    Raises:
        DataError: too little for four parts.
    """
    names = set[str]() if data.parts is None else set(data.parts.tolist())
    if not names >= {"train", "test"}:
        if isinstance(data, PairSet):
            train, valid, tune, test = data.split(*SHARES, seed=seed)
            return Parts(train, valid, tune, test, "item")
        rule = by or ("group" if data.groups is not None else default_split(data))
        train, valid, tune, test = data.split(*SHARES, by=rule, seed=seed)
        return Parts(train, valid, tune, test, rule)
    rest, test = data.part("train"), data.part("test")
    own = {name: data.part(name) for name in ("valid", "tune") if name in names}
    share = min(HELD_OUT_SHARE, HELD_OUT_ITEMS / len(rest))
    taken = [share] * (2 - len(own))
    rule: By = "item"
    if isinstance(rest, PairSet):
        train, *held_out = rest.split(1 - sum(taken), *taken, seed=seed) if taken else (rest,)
    else:
        assert isinstance(test, Dataset)  # a part is of the kind of the whole
        new = not set(rest.labels.tolist()) & set(test.labels.tolist())
        rule = by or ("group" if rest.groups is not None else "identity" if new else "item")
        train, *held_out = rest.split(1 - sum(taken), *taken, by=rule, seed=seed) if taken else (rest,)
    valid, tune = (own[name] if name in own else held_out.pop(0) for name in ("valid", "tune"))
    return Parts(train, valid, tune, test, rule, own_test=True)


def part_of(model: Model, data: Dataset | PairSet, name: str | None, say: Callable[[str], None]) -> Dataset | PairSet:
    """The part of `data` that is called `name`: the data's own, or the one set aside when `model` was trained on them.

    Without a name all of `data`; if the model was trained on them, that is said.

    Raises:
        UsageError: there is no such part, or it is not known any more because items came or went since training.
    """
    split = model.encoder.trained.get("split", {})
    trained_on, changed = split.get("items") == data.listing(), split.get("of") == data.origin
    if name is None:
        if trained_on or changed:
            say("The model was trained on part of these data, which flatters it; --part test is what it never saw.")
        return data
    if trained_on:
        parts = divide(data, split["by"], split["seed"])
        known: dict[str, Dataset | PairSet] = {
            "train": parts.train, "valid": parts.valid, "tune": parts.tune, "test": parts.test,
        }  # fmt: skip
        if name in known:
            return known[name]
    elif changed and not split["own_test"]:  # divided again, items trained on would fall into other parts
        raise UsageError(
            "Parts set aside in training are known of the items there were then",
            f"other items in {data.origin}",
            "Train again, or name data of another place.",
        )
    return data.part(name)


def learn(
    data: Dataset | PairSet,
    out: Path,
    options: LearnOptions,
    *,
    resume: bool = False,
    watcher: Watcher,
) -> Learned:
    """Splits, trains, calibrates, measures, draws and saves.

    The state after each epoch is kept beside `out` until the model is saved, so that `resume` can go on after a kill.

    Args:
        data: what to learn from.
        out: the model folder to write; an older model there is replaced at the very end.
        options: what to train.
        resume: go on with a run that was cut off.
        watcher: told what is going on.

    Raises:
        UsageError, DataError, ModelError: before anything is written.
    """
    check_replaceable(out, marker=CONFIG)
    if isinstance(data, Dataset):
        check_trainable(data)
    parts = divide(data, options.split, options.fit.seed)
    watcher.say(parts.said())
    if not parts.test.comparable:
        raise DataError(
            "The part kept for the report has pairs of the same and of different identities",
            f"{parts.said()}",
            "Bring more items.",
        )
    encoder, objective = prepare(parts.train, options)
    checkpoint = out.resolve().with_name(f"{out.resolve().name}.training")
    history = fit(
        encoder, parts.train, objective, validation=parts.valid if parts.valid.comparable else None,
        options=options.fit, checkpoint=checkpoint, resume=resume, watch=watcher.step,
    )  # fmt: skip
    skipped = dict(history.skipped)
    notes = [*history.warnings]
    if not parts.valid.comparable:
        notes.append("Too few items to choose an epoch by were kept aside, so the last epoch is kept.")
    if history.stopped == "interrupted":
        notes.append(f"Training was stopped in epoch {len(history.epochs) + 1}; the best epoch so far is kept.")
    if resume and history.resumed_after == 0:
        notes.append(f"There was nothing to resume in {checkpoint}, so training began anew.")
    model = Model(encoder)
    try:
        model = calibrate(encoder, parts.tune, seed=options.fit.seed, skipped=skipped.setdefault, **_unit_of(parts))
        notes += _promise(model, parts)
    except DataError as error:
        notes.append(f"Not calibrated: {error}")
    report: Report | PairReport | None = None
    try:
        if isinstance(parts.test, PairSet):
            report = evaluate_pairs(model, parts.test)
            skipped |= dict(report.skipped)
        else:
            report = evaluate(model, parts.test, unit=parts.unit, seed=options.fit.seed)
            skipped |= dict(report.labelled.skipped)
    except DataError as error:  # a trained model is worth keeping all the same
        notes.append(f"Not measured: {error}")
    for file, reason in skipped.items():
        watcher.say(f"skipped {file}: {reason}")

    def write_report(folder: Path) -> dict[str, Any]:
        (folder / "history.jsonl").write_text(history.lines(), encoding="utf-8")
        draw_history(history, folder / "history.png")
        if report is None:
            return {}
        report.write(folder)
        if isinstance(report, Report):
            draw_labelled(model.encoder, report.labelled, [folder / "map.png"], MapOptions("pca"))
        return report.as_dict()

    encoder.trained["options"] = options.as_dict()
    encoder.trained["split"] = {
        "of": data.origin, "items": data.listing(), "by": parts.by, "seed": options.fit.seed,
        "own_test": parts.own_test,
    }  # fmt: skip
    save(model, out, write_report)
    if history.stopped != "interrupted":
        discard(checkpoint)
    pictures = tuple(sorted((out / REPORT).glob("*.png")))
    return Learned(model, history, report, out, (out / "README.md", *pictures), parts, tuple(notes))


def prepare(train: Dataset | PairSet, options: LearnOptions) -> tuple[Encoder, Objective]:
    """The encoder and the objective that `options` ask for; nothing is trained yet.

    Raises:
        UsageError: options that cannot work, alone or together.
    """
    seed = options.fit.seed
    if options.start is not None:
        encoder = load(options.start).encoder
        asked = {"backbone": options.backbone, "dim": options.dim, "size": options.size, "resize": options.resize}
        given = [f"{name} {value}" for name, value in asked.items() if value is not None]
        if given:
            raise UsageError(
                "Training that starts from a model keeps its backbone, dimension and size",
                ", ".join(given),
                "Leave it out.",
            )
    else:
        encoder = Encoder(
            options.backbone or "convnet-small",
            128 if options.dim is None else options.dim,
            size=options.size,
            resize=options.resize or "squash",
            seed=seed,
        )
    classes, weights = 2, None  # pairs do not say, and no objective on pairs asks
    if isinstance(train, Dataset):
        classes = train.identities
        weights = train.class_weights()[train.counts() > 0].tolist() if options.class_weights else None
    objective = make_objective(
        options.loss, dim=encoder.dim, classes=classes, margin=options.margin, miner=options.miner,
        distance=options.distance, class_weights=weights, seed=seed,
    )  # fmt: skip
    return encoder, objective


def _unit_of(parts: Parts) -> dict[str, Any]:
    """Pairs are of identities anyway, and take no word on it."""
    return {"unit": parts.unit} if isinstance(parts.tune, Dataset) else {}


def _promise(model: Model, parts: Parts) -> list[str]:
    """What the calibration after training promises, and to whom."""
    line = model.calibrated().threshold_for()
    held = "the smallest these data support" if line.supported else "though these data are too few to support even that"
    refused = f"{line.fnmr.value:.1%} of pairs of the same identity are refused at it"
    notes = [f"Calibrated for a false match rate of {line.promised:g}, {held}; {refused}."]
    if parts.unit == "item":
        notes.append(
            "The identities are taken for a fixed list: the promise holds among them, not for others. If others will be"
            " met, train with --split identity."
        )
    return notes
