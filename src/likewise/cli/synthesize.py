"""likewise synthesize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import Json, Seed

MOST_SHOWN = 10  # files that were skipped


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
    background: Annotated[
        list[Path], typer.Option(metavar="DIR", help="Sounds to place words over: noise, rooms, speech. Repeatable.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="CLIPS", help="Folder to write; a run that was stopped goes on with it.")
    ],
    positive: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Sounds of the word to be found, one in each file. Repeatable."),
    ] = None,
    negative: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Sounds of other words, one in each file. Repeatable.")
    ] = None,
    count: Annotated[int, typer.Option(help="Clips.")] = 4000,
    seconds: Annotated[float, typer.Option(help="Length of each.")] = 10.0,
    seed: Seed = 0,
    rate: Annotated[int, typer.Option(help="Samples per second.")] = 16_000,
    snr: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Power of a word over that of the background under it, in dB."),
    ] = (0.0, 20.0),
    gain: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Gain of a whole clip, in dB.")] = (
        -12.0,
        0.0,
    ),
    background_gain: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Gain of its background alone, in dB: rooms are quiet at times."),
    ] = (-20.0, 0.0),
    speed: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="How many times as fast, and as high, a word is said as in its file."),
    ] = (1.0, 1.0),
    most_positive: Annotated[int, typer.Option(help="A clip has 0 to this many words to be found.")] = 4,
    most_negative: Annotated[int, typer.Option(help="A clip has 0 to this many others.")] = 4,
    gap: Annotated[float, typer.Option(help="Least seconds between two words.")] = 0.0,
    hard: Annotated[
        bool, typer.Option("--hard", help="Make a quarter of the others of halves of the word, and of halves twice.")
    ] = False,
    take: Annotated[
        str, typer.Option(metavar="FROM:TO", help="Share of each folder to use, in the order of its files.")
    ] = "0:1",
    group_from: Annotated[
        str | None,
        typer.Option(
            help="Regular expression with one (group): files of all piles whose names have it in common stay together."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make clips to train a trigger word with: words over backgrounds, and a table of where each begins and ends.

    Voices of training and test are kept apart with --take, for example 0:0.6 and 0.8:1.
    """
    from likewise.apps.synthesize import RECORD, SynthesisOptions
    from likewise.apps.synthesize import synthesize as make

    options = SynthesisOptions(
        count=count, seconds=seconds, seed=seed, rate=rate, snr_db=snr, gain_db=gain, background_db=background_gain,
        speed=speed,
        most_positive=most_positive, most_negative=most_negative, gap=gap, hard=hard, take=_share(take),
        group_from=group_from,
    )  # fmt: skip
    with progress("synthesizing") as bar:
        made = make(positive, negative, background, out, options, progress=bar)
    report_skipped(made.skipped[:MOST_SHOWN])
    if len(made.skipped) > MOST_SHOWN:
        say(f"skipped {len(made.skipped) - MOST_SHOWN} more: all are in {made.out / RECORD}")
    for note in made.notes:
        say(note)
    rows: list[tuple[str, object]] = [
        ("clips", made.clips),
        ("hours", made.seconds / 3600),
        ("positive words", made.positive),
        ("negative words", f"{made.negative}, {made.hard} of them hard" if hard else made.negative),
    ]
    if made.left_out:
        rows.append(("left out", f"{made.left_out} words, for lack of room: see --seconds and --gap"))
    rows += [(f"{name} used", files) for name, files in made.files.items()]
    rows.append(("written to", str(made.manifest)))
    answer(as_json, made.as_dict(), table(rows))
