"""likewise train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from likewise.cli.alarms import check_given
from likewise.cli.console import INTERRUPTED, Bar, answer, say, table
from likewise.cli.options import DataArgument, GroupFrom, Json, Out, Seed

if TYPE_CHECKING:
    from likewise.apps.learn import Learned
    from likewise.apps.triggerword import LearnedTrigger
    from likewise.training import Step


LOSSES = "contrastive, bce, concatenated, triplet, soft-triplet, softmax-triplet, softmax, arcface, cosface, supcon"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(train)


# Options of one task; all others go with every task.
EMBED_ONLY = frozenset({
    "loss", "miner", "margin", "distance", "dim", "size", "resize", "prepare", "seconds", "balanced", "class_weights",
    "select", "split", "group_from",
})  # fmt: skip
TRIGGER_ONLY = frozenset({"labels", "positive_weight", "hold", "hits", "refractory", "tune"})


def train(
    context: typer.Context,
    data: DataArgument,
    out: Out,
    task: Annotated[
        Literal["embed", "triggerword"],
        typer.Option(help="embed: tell identities apart. triggerword: hear a word; DATA are clips of `synthesize`."),
    ] = "embed",
    loss: Annotated[
        str,
        typer.Option(help=f"Objective: {LOSSES} or pml:Name."),
    ] = "supcon",
    miner: Annotated[str | None, typer.Option(help="Triplets: random, all-valid, hardest or semi-hard.")] = None,
    margin: Annotated[float | None, typer.Option(help="Of the objective, above 0.")] = None,
    distance: Annotated[str | None, typer.Option(help="euclidean, cosine, l1, weighted-l1 or concatenated.")] = None,
    dim: Annotated[int | None, typer.Option(help="Length of an embedding; 128 unless said.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="tutorial, mlp, convnet-small, convnet or resnet-18; for a trigger word conv-gru or conv-lstm."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels pictures are brought to.")] = None,
    resize: Annotated[Literal["squash", "pad", "crop"] | None, typer.Option(help="How: squash unless said.")] = None,
    prepare: Annotated[
        str | None,
        typer.Option(help="Encode the part of each picture that this finds: faces, faces-cnn or faces-arcface."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length that sounds are brought to.")] = None,
    rate: Annotated[int | None, typer.Option(help="Hertz that sounds are brought to.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; 10, more on small sets.")] = None,
    batch: Annotated[str | None, typer.Option(help="PxK (8x16: identities x items) or a number of items.")] = None,
    balanced: Annotated[bool, typer.Option("--balanced", help="Draw every identity equally often.")] = False,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="With a class head: items of rare identities count more.")
    ] = False,
    optimizer: Annotated[str, typer.Option(help="adam, adamw, rmsprop or sgd.")] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    weight_decay: Annotated[float, typer.Option(help="Of weights, not of biases.")] = 1e-2,
    schedule: Annotated[str, typer.Option(help="one-cycle, cosine or constant.")] = "one-cycle",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    augment: Annotated[
        str,
        typer.Option(
            help="Pictures: jitter (drawn or scanned), mirror (as in catalogues), photo. Sounds: speech. Clips: stream."
        ),
    ] = "none",
    average: Annotated[
        float, typer.Option(help="Running mean of the weights: share of the old value, 0 for none.")
    ] = 0.0,
    select: Annotated[
        Literal["precision_at_1", "eer"],
        typer.Option(help="Best epoch by precision_at_1 or eer on the validation part."),
    ] = "precision_at_1",
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better figure.")] = None,
    split: Annotated[
        Literal["identity", "item", "group"] | None,
        typer.Option(help="identity, item or group; by identity from 20 identities on."),
    ] = None,
    group_from: GroupFrom = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Start from this model's weights.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run of the same OUT that was cut off.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    labels: Annotated[
        Literal["steps", "clip"],
        typer.Option(help="Trigger word: labels at every step, or one for a clip, which takes far more clips."),
    ] = "steps",
    positive_weight: Annotated[float, typer.Option(help="Trigger word: what a step after the word counts.")] = 5.0,
    hold: Annotated[float, typer.Option(help="Trigger word: seconds after the word that are labelled.")] = 0.3,
    hits: Annotated[int, typer.Option(help="Trigger word: steps in a row that make an event.")] = 2,
    refractory: Annotated[float, typer.Option(help="Trigger word: seconds between events.")] = 1.0,
    tune: Annotated[
        Path | None,
        typer.Option(metavar="CLIPS", help="Trigger word: clips with other voices, to set the threshold on."),
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Also log to this folder for TensorBoard.")] = None,
    as_json: Json = False,
) -> None:
    """Train an encoder on DATA, calibrate and measure it on parts of DATA kept aside, and save it as OUT."""
    from likewise.apps.learn import LearnOptions, learn
    from likewise.data import open_data
    from likewise.training import FitOptions

    check_given(context, TRIGGER_ONLY if task == "embed" else EMBED_ONLY, task)
    fit = FitOptions(
        epochs=epochs, batch=parse_batch(batch), balanced=balanced, optimizer=optimizer, lr=lr,
        weight_decay=weight_decay, schedule=schedule, precision=precision, augment=augment, average=average,
        select=select, patience=patience, seed=seed, device=device,
    )  # fmt: skip
    if task == "triggerword":
        from likewise.apps.triggerword import TriggerOptions
        from likewise.apps.triggerword import learn as learn_word
        from likewise.data import clips

        of_word = TriggerOptions(
            backbone=backbone, labels=labels, positive_weight=positive_weight, hold=hold, hits=hits,
            refractory=refractory, rate=rate, start=start, fit=fit,
        )  # fmt: skip
        with TrainingBar(tensorboard) as watcher:
            word = learn_word(
                clips(data), out, of_word, tune=None if tune is None else clips(tune), resume=resume, watcher=watcher
            )
        _tell(word, as_json)
        return
    options = LearnOptions(
        loss=loss, miner=miner, margin=margin, distance=distance, class_weights=class_weights,
        backbone=backbone, dim=dim, size=size, resize=resize, prepare=prepare,
        seconds=seconds, rate=rate, split=split, start=start,
        fit=fit,
    )  # fmt: skip
    labelled = open_data(data, group_from=group_from)
    with TrainingBar(tensorboard) as watcher:
        learned = learn(labelled, out, options, resume=resume, watcher=watcher)
    _tell(learned, as_json)


def _tell(learned: Learned | LearnedTrigger, as_json: bool) -> None:
    for note in learned.notes:
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


class TrainingBar:
    """Shows training as it goes, and hands the same to TensorBoard where asked."""

    def __init__(self, tensorboard: Path | None = None) -> None:
        self._bar = Bar("training")
        self._writer: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                from likewise.errors import UsageError

                raise UsageError(
                    "--tensorboard needs the package tensorboard", None, "pip install tensorboard."
                ) from error
            self._writer = SummaryWriter(str(tensorboard))

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def step(self, step: Step) -> None:
        """Moves the bar."""
        number = (step.epoch - 1) * step.steps + step.step
        note = (
            f"epoch {step.epoch}/{step.epochs} loss {step.loss:.4f} active {step.active:.0%}"
            f" spread {step.spread:.2f} {step.images_per_second:,.0f} images/s"
        )
        self._bar(number, step.epochs * step.steps, note)
        if self._writer is not None:
            for name in ("loss", "active", "spread", "images_per_second"):
                self._writer.add_scalar(name, getattr(step, name), number)

    def say(self, text: str) -> None:
        """One line."""
        say(text)
