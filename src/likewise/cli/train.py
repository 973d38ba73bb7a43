"""likewise train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.answers import labelled_items, names_in
from likewise.cli.console import INTERRUPTED, answer, say, table
from likewise.cli.options import DataArgument, GroupFrom, Json, Out, Seed, above_zero, at_least_zero, below_one
from likewise.cli.tasks import check_given, foreign_to
from likewise.cli.training_bar import TrainingBar

if TYPE_CHECKING:
    from likewise.apps.classify import ClassifyOptions, LearnedAnswers
    from likewise.apps.detect import DetectOptions, LearnedBoxes
    from likewise.apps.learn import Learned, LearnOptions
    from likewise.apps.triggerword import LearnedTrigger, TriggerOptions
    from likewise.data import Dataset, PairSet


# Names that are known here too, so that a wrong one is refused before torch is loaded, which takes seconds.
LOSSES = "contrastive, bce, concatenated, triplet, soft-triplet, softmax-triplet, softmax, arcface, cosface, supcon"
Miner = Literal["random", "all-valid", "hardest", "semi-hard"]
Comparison = Literal["euclidean", "cosine", "l1", "weighted-l1", "concatenated"]
Network = Literal[
    "linear", "tutorial", "mlp", "convnet-small", "darknet-tiny", "convnet", "resnet-18", "dlib-face", "vgg19",
    "vgg19-average", "efficientnet-lite0", "conv-gru", "conv-lstm", "speech-gru",
]  # fmt: skip
Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]
Schedule = Literal["one-cycle", "cosine", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
Change = Literal["none", "jitter", "mirror", "photo", "scene", "signs", "speech", "stream"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(train)


# Options of some tasks; all others go with every task.
OPTIONS_OF = {
    "embed": frozenset({
        "loss", "miner", "margin", "distance", "dim", "size", "resize", "grey", "prepare", "seconds",
        "balanced", "class_weights", "select", "split", "group_from", "snapshots",
    }),
    "classify": frozenset({
        "head", "targets", "norm", "frozen", "size", "resize", "grey", "prepare", "seconds", "balanced",
        "class_weights", "split", "group_from", "snapshots",
    }),
    "triggerword": frozenset({"labels", "positive_weight", "focus", "hold", "hits", "refractory", "tune"}),
    "detect": frozenset({
        "size", "grey", "frozen", "split", "group_from", "stride", "per_cell", "coord", "no_object", "score_precision",
    }),
}  # fmt: skip


def known_loss(value: str) -> str:
    """`value`, if it is the name of an objective."""
    if value in LOSSES.split(", ") or value.startswith("pml:"):
        return value
    from likewise.errors import UsageError

    raise UsageError(f"A loss is one of {LOSSES}, pml:Name", repr(value))


def train(
    context: typer.Context,
    data: DataArgument,
    out: Out,
    task: Annotated[
        Literal["embed", "classify", "triggerword", "detect"],
        typer.Option(
            help="embed: tell identities apart. classify: say which class, which several, or how much. triggerword:"
            " hear a word; DATA are clips of `synthesize`. detect: say what is where; DATA are pictures with boxes."
        ),
    ] = "embed",
    loss: Annotated[
        str,
        typer.Option(help=f"Objective: {LOSSES} or pml:Name.", callback=known_loss),
    ] = "supcon",
    miner: Annotated[Miner | None, typer.Option(help="Which triplets are learned from.")] = None,
    margin: Annotated[float | None, typer.Option(help="Of the objective, above 0.", callback=above_zero)] = None,
    distance: Annotated[Comparison | None, typer.Option(help="What compares embeddings.")] = None,
    dim: Annotated[int | None, typer.Option(help="Length of an embedding; 128 unless said.")] = None,
    backbone: Annotated[
        Network | None,
        typer.Option(
            help="convnet-small unless said. Trigger words: conv-gru, conv-lstm, or speech-gru (likewise[speech])."
            " Detect: darknet-tiny unless said."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels pictures are brought to.")] = None,
    resize: Annotated[Literal["squash", "pad", "crop"] | None, typer.Option(help="How: squash unless said.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Leave the colour of pictures out.")] = False,
    prepare: Annotated[
        str | None,
        typer.Option(
            help="Encode the part of each picture that this finds: faces, faces-cnn, faces-arcface or a detector's"
            " folder."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length that sounds are brought to.")] = None,
    rate: Annotated[int | None, typer.Option(help="Hertz that sounds are brought to.")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the data; unless said, as many as make 1,000 steps, but 10 to 60."),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="PxK (8x16: identities x items) or a number of items.")] = None,
    balanced: Annotated[bool, typer.Option("--balanced", help="Draw every identity equally often.")] = False,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Class heads and classify: what is rare counts more.")
    ] = False,
    optimizer: Annotated[Optimizer, typer.Option(help="How weights are moved.")] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.", callback=above_zero)] = None,
    weight_decay: Annotated[float, typer.Option(help="Of weights, not of biases.", callback=at_least_zero)] = 1e-2,
    schedule: Annotated[Schedule, typer.Option(help="Of the learning rate.")] = "one-cycle",
    precision: Annotated[Precision, typer.Option(help="What the network computes in.")] = "auto",
    augment: Annotated[
        Change | None,
        typer.Option(
            help="Pictures: jitter (drawn or scanned), mirror (as in catalogues), photo; scene, or signs where left and"
            " right matter, for detect. Sounds: speech. Clips: stream. Detect: scene unless said; others: none."
        ),
    ] = None,
    average: Annotated[
        float, typer.Option(help="Running mean of the weights: share of the old value, 0 for none.", callback=below_one)
    ] = 0.0,
    select: Annotated[
        Literal["precision_at_1", "eer"],
        typer.Option(help="Best epoch by precision_at_1 or eer on the validation part."),
    ] = "precision_at_1",
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better figure.")
    ] = None,
    split: Annotated[
        Literal["identity", "item", "group"] | None,
        typer.Option(
            help="What is never in two parts: identity (7 or more), item, or group (4 or more); by identity from 20"
            " identities on."
        ),
    ] = None,
    group_from: GroupFrom = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Start from this model's weights.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run of the same OUT that was cut off.")
    ] = False,
    snapshots: Annotated[
        bool,
        typer.Option("--snapshots", help="Also draw the path of training: predictions and the map after each epoch."),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    head: Annotated[
        Literal["binary", "multiclass", "multilabel", "regression"] | None,
        typer.Option(help="Classify: what is answered; unless said, what suits DATA."),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Classify: columns of a manifest to answer, of yes and no or of numbers."),
    ] = None,
    norm: Annotated[
        Literal["l1", "l2"], typer.Option(help="Classify, regression: l2 finds the mean, l1 the median.")
    ] = "l2",
    frozen: Annotated[
        bool,
        typer.Option(
            "--frozen", help="With --from: classify trains only a new last layer, in seconds; detect only its neck."
        ),
    ] = False,
    labels: Annotated[
        Literal["steps", "clip"],
        typer.Option(help="Trigger word: labels at every step, or one for a clip, which takes far more clips."),
    ] = "steps",
    positive_weight: Annotated[
        float, typer.Option(help="Trigger word: what a step after the word counts.", callback=above_zero)
    ] = 5.0,
    focus: Annotated[
        float,
        typer.Option(
            help="Trigger word: the higher, the more counts what is hard to tell; 0 is plain cross-entropy.",
            callback=at_least_zero,
        ),
    ] = 2.0,
    hold: Annotated[
        float, typer.Option(help="Trigger word: seconds after the word that are labelled.", callback=above_zero)
    ] = 0.3,
    hits: Annotated[int, typer.Option(min=1, help="Trigger word: steps in a row that make an event.")] = 2,
    refractory: Annotated[
        float, typer.Option(help="Trigger word: seconds between events.", callback=at_least_zero)
    ] = 1.0,
    tune: Annotated[
        Path | None,
        typer.Option(metavar="CLIPS", help="Trigger word: clips with other voices, to set the threshold on."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Detect: side of a cell in pixels, 8, 16 or 32; unless said, what suits the boxes."),
    ] = None,
    per_cell: Annotated[int, typer.Option(min=1, max=16, help="Detect: boxes that a cell predicts.")] = 2,
    coord: Annotated[
        float, typer.Option(help="Detect: what places and sizes of boxes count.", callback=above_zero)
    ] = 5.0,
    no_object: Annotated[
        float, typer.Option(help="Detect: what boxes count where nothing is.", callback=above_zero)
    ] = 0.5,
    score_precision: Annotated[
        float | None,
        typer.Option(
            help="Detect: set the threshold for this share of right boxes, at 95%; for the best F1 unless said."
        ),
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Also log to this folder for TensorBoard.")] = None,
    as_json: Json = False,
) -> None:
    """Train an encoder on DATA, calibrate and measure it on parts of DATA kept aside, and save it as OUT."""
    check_given(context, foreign_to(task, OPTIONS_OF), task)
    parsed = parse_batch(batch)
    if isinstance(parsed, tuple) and task != "embed":
        from likewise.errors import UsageError

        raise UsageError(f"--batch of --task {task} is a number of items", batch, "Pass for example --batch 64.")

    from likewise.apps.learn import LearnOptions
    from likewise.training import FitOptions

    fit = FitOptions(
        epochs=epochs, batch=parsed, balanced=balanced, optimizer=optimizer, lr=lr,
        weight_decay=weight_decay, schedule=schedule, precision=precision,
        augment=augment or ("scene" if task == "detect" else "none"), average=average,
        select=select, patience=patience, seed=seed, device=device,
    )  # fmt: skip
    if task == "triggerword":
        from likewise.apps.triggerword import TriggerOptions

        of_word = TriggerOptions(
            backbone=backbone, labels=labels, positive_weight=positive_weight, focus=focus, hold=hold,
            hits=hits, refractory=refractory, rate=rate, start=start, fit=fit,
        )  # fmt: skip
        _train_word(of_word, data, out, tune, resume=resume, tensorboard=tensorboard, as_json=as_json)
        return
    if task == "classify":
        from likewise.apps.classify import ClassifyOptions
        from likewise.errors import UsageError

        if split == "identity":
            raise UsageError("Classes are the same in all parts", "--split identity", "Pass --split item or group.")
        of_answers = ClassifyOptions(
            head=head, norm=norm, class_weights=class_weights, backbone=backbone, size=size, resize=resize,
            grey=grey, prepare=prepare, seconds=seconds, rate=rate, split=split, start=start, frozen=frozen, fit=fit,
        )  # fmt: skip
        _train_answers(
            of_answers, data, out, names_in(targets), group_from, resume=resume, snapshots=snapshots,
            tensorboard=tensorboard, as_json=as_json,
        )  # fmt: skip
        return
    if task == "detect":
        from likewise.apps.detect import DetectOptions
        from likewise.apps.detect.learn import SIDE
        from likewise.errors import UsageError

        if split == "identity":
            raise UsageError("Pictures with boxes have no identity", "--split identity", "Pass --split item or group.")
        of_boxes = DetectOptions(
            backbone=backbone, size=SIDE if size is None else size, stride=stride, per_cell=per_cell, coord=coord,
            no_object=no_object, grey=grey, precision=score_precision, split=split, start=start, frozen=frozen, fit=fit,
        )  # fmt: skip
        _train_boxes(of_boxes, data, out, group_from, resume=resume, tensorboard=tensorboard, as_json=as_json)
        return
    options = LearnOptions(
        loss=loss, miner=miner, margin=margin, distance=distance, class_weights=class_weights,
        backbone=backbone, dim=dim, size=size, resize=resize, grey=grey, prepare=prepare,
        seconds=seconds, rate=rate, split=split, start=start,
        fit=fit,
    )  # fmt: skip
    _train_embedding(
        options, data, out, group_from, resume=resume, snapshots=snapshots, tensorboard=tensorboard, as_json=as_json
    )


def _train_embedding(
    options: LearnOptions,
    data: str,
    out: Path,
    group_from: str | None,
    *,
    resume: bool,
    snapshots: bool,
    tensorboard: Path | None,
    as_json: bool,
) -> None:
    from likewise.apps.learn import learn, prepare
    from likewise.data import open_data

    prepare(None, options)  # what cannot work is said before data are read
    labelled = open_data(data, group_from=group_from)
    with TrainingBar(kind_in(labelled), tensorboard) as watcher:
        learned = learn(labelled, out, options, resume=resume, snapshots=snapshots, watcher=watcher)
    _tell(learned, watcher, as_json)


def _train_answers(
    options: ClassifyOptions,
    data: str,
    out: Path,
    targets: tuple[str, ...],
    group_from: str | None,
    *,
    resume: bool,
    snapshots: bool,
    tensorboard: Path | None,
    as_json: bool,
) -> None:
    from likewise.apps.classify import learn, prepare

    prepare(options)
    labelled = labelled_items(data, group_from=group_from, targets=targets)
    with TrainingBar(kind_in(labelled), tensorboard) as watcher:
        learned = learn(labelled, out, options, resume=resume, snapshots=snapshots, watcher=watcher)
    _tell(learned, watcher, as_json)


def _train_word(
    options: TriggerOptions,
    data: str,
    out: Path,
    tune: Path | None,
    *,
    resume: bool,
    tensorboard: Path | None,
    as_json: bool,
) -> None:
    from likewise.apps.triggerword import learn, prepare
    from likewise.data import clips

    prepare(options)
    with TrainingBar("clips", tensorboard) as watcher:
        held_out = None if tune is None else clips(tune)
        learned = learn(clips(data), out, options, tune=held_out, resume=resume, watcher=watcher)
    _tell(learned, watcher, as_json)


def _train_boxes(
    options: DetectOptions,
    data: str,
    out: Path,
    group_from: str | None,
    *,
    resume: bool,
    tensorboard: Path | None,
    as_json: bool,
) -> None:
    from likewise.apps.detect import learn, prepare
    from likewise.data.annotations import open_boxes

    prepare(options)
    annotated = open_boxes(data, group_from=group_from)
    with TrainingBar("pictures", tensorboard) as watcher:
        learned = learn(annotated, out, options, resume=resume, watcher=watcher)
    _tell(learned, watcher, as_json)


def kind_in(data: Dataset | PairSet) -> str:
    """What the items are called: pictures, sounds, or items where their names do not say."""
    from likewise.data import PairSet
    from likewise.media.kinds import kind_of

    sources = (data.items if isinstance(data, PairSet) else data).sources
    return f"{(kind_of(sources[0]) if len(sources) else None) or 'item'}s"


def _tell(
    learned: Learned | LearnedAnswers | LearnedTrigger | LearnedBoxes, watcher: TrainingBar, as_json: bool
) -> None:
    for note in learned.notes:
        if note not in watcher.told:  # before training
            say(note)
    answer(as_json, learned.as_dict(), table(learned.rows()))
    if learned.history.stopped == "interrupted":
        raise typer.Exit(INTERRUPTED)


def parse_batch(text: str | None) -> tuple[int, int] | int | None:
    """(8, 16) of "8x16", 256 of "256".

    Raises:
        UsageError: neither.
    """
    from likewise.errors import UsageError

    if text is None:
        return None
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(n.isdecimal() for n in numbers):
        raise UsageError("--batch is PxK or a number", repr(text), "Pass for example 8x16 or 256.")
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))
