"""likewise synthesize."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import Json, Seed

if TYPE_CHECKING:
    from likewise.apps.synthesize import PictureOptions, SynthesisOptions, Synthesized, SynthesizedPictures

MOST_SHOWN = 10  # files that were skipped
SOUND_OPTIONS = (
    "positive", "negative", "seconds", "rate", "snr", "gain", "background_gain", "speed", "most_positive",
    "most_negative", "hard",
)  # fmt: skip
PICTURE_OPTIONS = ("size", "objects", "extent", "brightness", "contrast")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(synthesize)


def _share(text: str) -> tuple[float, float]:
    """From "0:0.6" to (0.0, 0.6)."""
    from likewise.errors import UsageError

    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise UsageError("--take is a share of the piles, FROM:TO", repr(text), "Pass for example --take 0:0.6.")


def synthesize(
    context: typer.Context,
    background: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Sounds to place words over: noise, rooms, speech; or photos. Repeatable."),
    ],
    out: Annotated[Path, typer.Option(metavar="OUT", help="Folder to write; a run that was stopped goes on with it.")],
    object_: Annotated[
        str | None,
        typer.Option(
            "--object",
            metavar="DATA",
            help="Pictures: the objects, a folder of folders or a known name such as mnist.",
        ),
    ] = None,
    positive: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Sounds: of the word to be found, one in each file. Repeatable."),
    ] = None,
    negative: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Sounds: of other words, one in each file. Repeatable.")
    ] = None,
    count: Annotated[int, typer.Option(help="Clips, or pictures.")] = 4000,
    seed: Seed = 0,
    gap: Annotated[float, typer.Option(help="Least seconds between two words, or pixels between two objects.")] = 0.0,
    take: Annotated[
        str, typer.Option(metavar="FROM:TO", help="Share of each folder, or class, to use, in the order of its files.")
    ] = "0:1",
    group_from: Annotated[
        str | None,
        typer.Option(
            help="Regular expression with one (group): files of all piles, or objects, whose names have it in common"
            " stay together."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Sounds: length of each clip.")] = 10.0,
    rate: Annotated[int, typer.Option(help="Sounds: samples per second.")] = 16_000,
    snr: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Sounds: power of a word over that of the background under it, in dB."),
    ] = (0.0, 20.0),
    gain: Annotated[
        tuple[float, float], typer.Option(metavar="LOW HIGH", help="Sounds: gain of a whole clip, in dB.")
    ] = (-12.0, 0.0),
    background_gain: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Sounds: gain of its background alone, in dB: rooms are quiet at times."),
    ] = (-20.0, 0.0),
    speed: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Sounds: how many times as fast, and as high, a word is said."),
    ] = (1.0, 1.0),
    most_positive: Annotated[int, typer.Option(help="Sounds: a clip has 0 to this many words to be found.")] = 4,
    most_negative: Annotated[int, typer.Option(help="Sounds: a clip has 0 to this many others.")] = 4,
    hard: Annotated[
        bool,
        typer.Option("--hard", help="Sounds: make a quarter of the others of halves of the word, and of halves twice."),
    ] = False,
    size: Annotated[int, typer.Option(help="Pictures: rows and columns of each.")] = 224,
    objects: Annotated[
        tuple[int, int], typer.Option(metavar="LOW HIGH", help="Pictures: how many objects are drawn for each.")
    ] = (1, 5),
    extent: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Pictures: longer side of an object, in parts of the picture."),
    ] = (0.125, 0.5),
    brightness: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Pictures: how many times as bright as in its file an object is."),
    ] = (0.6, 1.0),
    contrast: Annotated[
        float,
        typer.Option(help="Pictures: least difference in brightness from the photo under it, in parts of white."),
    ] = 0.2,
    as_json: Json = False,
) -> None:
    """Make data to train with, in which it is known what is where: words over sounds, or objects over photos.

    Of sounds, clips for a trigger word and a table of where each word begins and ends; of pictures, photos with objects
    and their boxes in COCO's format. Voices, objects and backgrounds of training and test are kept apart with --take,
    for example 0:0.6 and 0.8:1.
    """
    from likewise.apps.synthesize import PictureOptions, SynthesisOptions

    share = _share(take)
    if object_ is not None:
        _check_kind(context, SOUND_OPTIONS, "sounds, not with --object")
        asked = PictureOptions(
            count=count, seed=seed, size=size, objects=objects, extent=extent, brightness=brightness,
            contrast=contrast, gap=gap, take=share, group_from=group_from,
        )  # fmt: skip
        _make_pictures(object_, background, out, asked, as_json)
        return
    _check_kind(context, PICTURE_OPTIONS, "pictures, which need --object")
    options = SynthesisOptions(
        count=count, seconds=seconds, seed=seed, rate=rate, snr_db=snr, gain_db=gain, background_db=background_gain,
        speed=speed, most_positive=most_positive, most_negative=most_negative, gap=gap, hard=hard, take=share,
        group_from=group_from,
    )  # fmt: skip
    _make_clips(positive, negative, background, out, options, as_json)


def _make_clips(
    positive: list[Path] | None, negative: list[Path] | None, background: list[Path], out: Path,
    options: SynthesisOptions, as_json: bool,
) -> None:  # fmt: skip
    from likewise.apps.synthesize import RECORD, synthesize

    with progress("synthesizing") as bar:
        made = synthesize(positive, negative, background, out, options, progress=bar)
    _tell(made.skipped, made.notes, out / RECORD)
    rows: list[tuple[str, object]] = [
        ("clips", made.clips),
        ("hours", made.seconds / 3600),
        ("positive words", made.positive),
        ("negative words", f"{made.negative}, {made.hard} of them hard" if options.hard else made.negative),
    ]
    if made.left_out:
        rows.append(("left out", f"{made.left_out} words, for lack of room: see --seconds and --gap"))
    _answer(made, rows, as_json)


def _make_pictures(objects: str, background: list[Path], out: Path, options: PictureOptions, as_json: bool) -> None:
    from likewise.apps.synthesize import PICTURES_RECORD, synthesize_pictures

    with progress("synthesizing") as bar:
        made = synthesize_pictures(objects, background, out, options, progress=bar)
    _tell(made.skipped, made.notes, out / PICTURES_RECORD)
    rows: list[tuple[str, object]] = [
        ("pictures", made.pictures),
        ("boxes", f"{made.boxes} of {len(made.classes)} classes"),
    ]
    if made.left_out:
        rows.append(("left out", f"{made.left_out} objects, for lack of room: see --objects, --extent and --gap"))
    if made.unseen:
        rows.append(
            ("unseen", f"{made.unseen} objects, left out as nobody could see them: see --extent and --contrast")
        )
    _answer(made, rows, as_json)


def _answer(made: Synthesized | SynthesizedPictures, rows: list[tuple[str, object]], as_json: bool) -> None:
    rows += [(f"{name} used", files) for name, files in made.files.items()]
    rows.append(("written to", str(made.manifest)))
    answer(as_json, made.as_dict(), table(rows))


def _check_kind(context: typer.Context, names: Sequence[str], belong: str) -> None:
    """Refuses options that belong to the other kind.

    Raises:
        UsageError: one of them was given.
    """
    from likewise.errors import UsageError

    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise UsageError(f"--{name.replace('_', '-')} is an option of {belong}", "it", "Leave it out.")


def _tell(skipped: Sequence[tuple[str, str]], notes: Sequence[str], record: Path) -> None:
    report_skipped(skipped[:MOST_SHOWN])
    if len(skipped) > MOST_SHOWN:
        say(f"skipped {len(skipped) - MOST_SHOWN} more: all are in {record}")
    for note in notes:
        say(note)
