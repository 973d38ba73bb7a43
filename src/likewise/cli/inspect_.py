"""likewise inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, progress, report_skipped, say
from likewise.cli.options import GroupFrom, Json, ModelArgument, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("inspect")(inspect_)


def inspect_(
    model: ModelArgument,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A picture or sound: what every stage makes of it.")
    ] = None,
    other: Annotated[
        Path | None, typer.Argument(metavar="FILE2", help="Another one: why both are similar, as heat on them.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures and index.html.")],
    optimise: Annotated[
        bool,
        typer.Option("--optimise", help="Also what channels look for, by optimising pixels, which takes a while."),
    ] = False,
    tap: Annotated[
        str | None, typer.Option(help="Channels of this stage; unless said, of a low, a middle and a high one.")
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="This one of them; unless said, the nine that FILE excites most.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Also the nine patches of DATA to which channels answer most."),
    ] = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Look into MODEL: the filters of its first layer, what its stages make of FILE, what its channels look for.

    With --tap or --channel alone, channels are looked into by optimising pixels.
    """
    from likewise.apps.inspect import FINDINGS, InspectOptions, inspect, open_encoder
    from likewise.media.files import check_replaceable

    check_replaceable(out, marker=FINDINGS)
    encoder = open_encoder(model)
    options = InspectOptions(optimise, tap, channel, seed)
    labelled = None
    if data is not None:
        from likewise.data import PairSet, clips, open_data

        opened = clips(Path(data)) if encoder.step_times is not None else open_data(data, group_from=group_from)
        labelled = opened.items if isinstance(opened, PairSet) else opened
    with progress("inspecting") as bar:
        found = inspect(encoder, out, file, other, options, data=labelled, name=model, progress=bar, say=say)
    report_skipped(found.skipped)
    lines = [f"{one.file}: {one.title}" for one in found.sections]
    answer(as_json, {"model": model, **found.as_dict()}, "\n".join([*lines, found.as_dict()["page"]]))
