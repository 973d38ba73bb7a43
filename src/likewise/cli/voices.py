"""likewise voices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, table
from likewise.cli.options import Json, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(voices)


def voices(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words or phrases, each a folder in DIR.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; a run that was stopped goes on with it.")],
    count: Annotated[int, typer.Option(help="Clips of each word.")] = 500,
    seed: Seed = 0,
    rate: Annotated[int, typer.Option(help="Samples per second.")] = 16_000,
    near: Annotated[
        int,
        typer.Option(help="Speak this many near misses of each word too: cut off, or with another consonant."),
    ] = 0,
    language: Annotated[str, typer.Option(help="Of the words, as `espeak-ng --voices` calls it.")] = "en",
    as_json: Json = False,
) -> None:
    """Speak words with the voices of espeak-ng and flite: examples for a trigger word that nobody has recorded yet.

    Accent, pitch and speed are drawn for each clip. Files are named for their voice, so that voices can be kept apart.
    """
    from likewise.apps.voices import VoicesOptions, speak

    options = VoicesOptions(count=count, seed=seed, rate=rate, near=near, language=language)
    with progress("voices") as bar:
        spoken = speak(words, out, options, progress=bar)
    report_skipped(spoken.skipped)
    rows: list[tuple[str, object]] = [("clips", spoken.clips), ("voices", spoken.voices)]
    rows += [(f"  {word}", number) for word, number in spoken.words.items()]
    if spoken.near:
        rows.append(("  near misses", ", ".join(spoken.near)))
    rows += [("seconds", spoken.seconds), ("written to", str(spoken.manifest))]
    answer(as_json, spoken.as_dict(), table(rows))
