"""likewise style."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.console import INTERRUPTED, answer, progress, say, table
from likewise.cli.options import Json, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(style)


def style(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE", help="What it is to look like: one or several.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT.png", help="PNG to write.")],
    size: Annotated[
        int | None, typer.Option(help="Pixels of the longer side; unless said those of CONTENT, 512 at most.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Passes through the network, over all sizes together.")] = 300,
    content_weight: Annotated[float, typer.Option(help="What content counts beside style.")] = 0.1,
    style_weight: Annotated[float, typer.Option(help="What style counts.")] = 1.0,
    smooth: Annotated[float, typer.Option(help="What roughness (total variation) counts.")] = 0.0,
    share: Annotated[
        list[float] | None, typer.Option(help="What each STYLE counts beside the others, once for each; else alike.")
    ] = None,
    style_scale: Annotated[
        float, typer.Option(help="Size of STYLE beside that of the picture: larger makes larger brushstrokes.")
    ] = 1.0,
    keep_colour: Annotated[
        bool, typer.Option("--keep-colour", help="Keep the colours of CONTENT; style changes brightness alone.")
    ] = False,
    start: Annotated[Literal["content", "noise", "style"], typer.Option(help="What pixels begin as.")] = "content",
    model: Annotated[
        str,
        typer.Option(
            help="What judges style: vgg19-average, vgg19 (maxima in pooling), or any model with a network of pictures."
        ),
    ] = "vgg19-average",
    content_tap: Annotated[
        list[str] | None, typer.Option(help="Tap of the model that tells content; unless said what suits it.")
    ] = None,
    style_tap: Annotated[
        list[str] | None, typer.Option(help="Tap that tells style, once for each; unless said what suits the model.")
    ] = None,
    optimiser: Annotated[
        Literal["lbfgs", "adam"], typer.Option(help="lbfgs comes further in as many steps, adam takes less memory.")
    ] = "lbfgs",
    rate: Annotated[float, typer.Option(help="Of adam: what a pixel moves at most, about, of 0 to 1.")] = 0.02,
    average: Annotated[
        float | None,
        typer.Option(help="How much of the mean of pictures is kept at each step; 0.95 with adam, else 0."),
    ] = None,
    smallest: Annotated[int, typer.Option(help="Pixels of the longer side that are begun with.")] = 128,
    preview: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Show what is there every N steps, in OUT.preview.png, until OUT is written."
        ),
    ] = 0,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Be done in so long, with what is there then.")
    ] = None,
    tile: Annotated[
        int, typer.Option(help="Pixels: what is larger is computed in tiles of this side, in bounded memory.")
    ] = 1024,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], typer.Option(help="Of the network.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Paint CONTENT in the style of others. Ctrl-C keeps the best so far."""
    from likewise.apps.inspect import open_encoder
    from likewise.apps.style import StyleOptions, stylise
    from likewise.errors import LikewiseError, UsageError
    from likewise.media.pictures import Pixels, png_bytes

    if out.suffix.lower() != ".png":
        raise UsageError("The picture is written as a PNG", f"{str(out)!r}", "Choose a name that ends in .png.")
    if out.is_dir() or any(out.resolve() == given.resolve() for given in (content, *styles)):
        raise UsageError("The picture is written to a file of its own", f"{str(out)!r}", "Choose another name.")
    options = StyleOptions(
        size=size, steps=steps, content_weight=content_weight, style_weight=style_weight, smooth_weight=smooth,
        style_weights=tuple(share) if share else None, style_scale=style_scale, keep_colour=keep_colour, start=start,
        content_taps=tuple(content_tap) if content_tap else None, style_taps=tuple(style_tap) if style_tap else None,
        optimiser=optimiser, rate=rate, average=average, smallest=smallest, tile=tile, time_limit=time_limit,
        precision=precision, device=device, seed=seed,
    )  # fmt: skip
    shown = out.with_suffix(".preview.png")
    if preview and shown.is_file():
        raise UsageError(
            "A preview is a file of its own, and goes once the picture is there",
            f"{str(shown)!r}, which is there already, perhaps from a run that was cut off",
            "Move it away, or choose another name for the picture.",
        )  # fmt: skip
    unseen: list[LikewiseError] = []
    seen: list[Path] = []

    def show(pixels: Pixels, _: int) -> None:
        """A preview that cannot be written is told of once, and is no reason to stop painting."""
        from likewise.media.files import replacing_file

        try:
            with replacing_file(shown) as fresh:
                fresh.write_bytes(png_bytes(pixels))
            seen[:] = [shown]
        except LikewiseError as error:
            if not unseen:
                say(f"no preview: {error}")
            unseen.append(error)

    with progress("style") as bar:
        made = stylise(
            content, [*styles], options, judge=open_encoder(model), progress=bar, preview=show, every=preview
        )
    made.save(out)
    for file in seen:  # until now it was all that there is
        file.unlink(missing_ok=True)
    for note in made.notes:
        say(note)
    if made.content_loss is None:
        say(f"{out} was not measured")
    if made.stopped is not None:
        say(f"stopped after {made.steps} of {steps} steps ({made.stopped}); {out} is the best so far")
    values = {"file": str(out), **made.as_dict()}
    answer(as_json, values, table([(name, value) for name, value in values.items() if value is not None]))
    if made.stopped == "interrupted":
        raise typer.Exit(INTERRUPTED)
