"""likewise import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.console import answer, say, table
from likewise.cli.options import Json, Out


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(name="import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ONNX file with all its numbers inside.")],
    out: Out,
    size: Annotated[
        str | None, typer.Option(help="Side of the pictures it takes, or HEIGHTxWIDTH, where the file leaves it open.")
    ] = None,
    mean: Annotated[
        str, typer.Option(help="Taken off pixels, as published: 127.5, or 0.485,0.456,0.406 in the order of --color.")
    ] = "0",
    std: Annotated[str, typer.Option(help="What they are then divided by, likewise.")] = "1",
    scale: Annotated[
        int | None, typer.Option(help="255 or 1: where pixels end for --mean and --std, if these do not tell.")
    ] = None,
    color: Annotated[
        Literal["rgb", "bgr"] | None, typer.Option(help="Order in which it takes the channels; rgb unless said.")
    ] = None,
    layout: Annotated[
        Literal["nchw", "nhwc"] | None, typer.Option(help="Channels first or last, if its shape does not tell.")
    ] = None,
    resize: Annotated[
        Literal["squash", "pad", "crop"], typer.Option(help="How pictures are brought to their size.")
    ] = "squash",
    prepare: Annotated[
        str | None,
        typer.Option(
            help="Encode the part of each picture that this finds: faces, faces-cnn, faces-arcface or a detector's"
            " folder."
        ),
    ] = None,
    align: Annotated[
        Literal["5-point"] | None,
        typer.Option(help="Encode faces cut as for ArcFace: the same as --prepare faces-arcface."),
    ] = None,
    distance: Annotated[
        Literal["cosine", "euclidean"], typer.Option(help="What its embeddings are compared with.")
    ] = "cosine",
    unit: Annotated[bool, typer.Option("--unit", help="Scale its embeddings to length 1.")] = False,
    output: Annotated[str | None, typer.Option(help="Which of its outputs is the embedding.")] = None,
    published: Annotated[
        float | None, typer.Option(help="The distance up to which its makers take two for the same.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a model of an embedding network from elsewhere, an ONNX file, and save it as OUT."""
    from likewise.apps.import_model import ImportOptions, import_model
    from likewise.errors import UsageError
    from likewise.matching import CONFIG
    from likewise.media.files import check_replaceable

    if align is not None and prepare not in (None, "faces-arcface"):
        raise UsageError("--align 5-point is --prepare faces-arcface", f"--prepare {prepare}", "Pass one of them.")
    options = ImportOptions(
        size=_size(size), mean=_numbers("--mean", mean), std=_numbers("--std", std), scale=scale, color=color,
        layout=layout, resize=resize, prepare="faces-arcface" if align else prepare, distance=distance, unit=unit,
        output=output, published=published,
    )  # fmt: skip
    check_replaceable(out, marker=CONFIG)
    model = import_model(file, options)
    model.save(out)
    encoder, fingerprint = model.encoder, model.fingerprint
    made = encoder.architecture()
    channels, height, width = encoder.ready().shape
    say(f"It has no threshold yet: `likewise calibrate {out} DATA` sets one.")
    answer(
        as_json,
        {
            "model": str(out),
            "backbone": encoder.backbone,
            "dim": encoder.dim,
            "parameters": encoder.parameters_count,
            "takes": [channels, height, width],
            "fingerprint": fingerprint,
            **{name: made[name] for name in ("output", "color", "layout", "batch")},
        },
        table(
            [
                ("model", str(out)),
                ("encoder", f"{encoder.backbone}, {encoder.parameters_count:,} parameters"),
                ("takes", f"{channels} x {height} x {width}, {made['color']}, {made['layout']}"),
                ("at a time", made["batch"] or "any number"),
                ("gives", f"{encoder.dim} numbers, compared by {encoder.distance.name} distance"),
                ("fingerprint", fingerprint),
            ]
        ),
    )


def _size(text: str | None) -> int | tuple[int, int] | None:
    """112 of "112", (256, 128) of "256x128".

    Raises:
        UsageError: neither.
    """
    from likewise.errors import UsageError

    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise UsageError("--size is a side or HEIGHTxWIDTH", repr(text), "Pass for example 112 or 256x128.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """(0.485, 0.456, 0.406) of "0.485,0.456,0.406".

    Raises:
        UsageError: something else.
    """
    from likewise.errors import UsageError

    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} is a number, or one per channel", repr(text), "Pass for example 127.5.") from error
