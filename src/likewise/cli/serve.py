"""likewise serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import say
from likewise.cli.options import ModelArgument


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    model: ModelArgument,
    gallery: Annotated[
        str | None, typer.Option(metavar="GALLERY", help="A gallery's file or address; made where there is none.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; others than this computer reach 0.0.0.0.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8760,
    tokens: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tokens; by default GALLERY.tokens. See `likewise tokens`.")
    ] = None,
    no_tokens: Annotated[
        bool, typer.Option("--no-tokens", help="Let everybody on this computer do everything.")
    ] = False,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The log of who did what; by default GALLERY.audit.jsonl.")
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Pictures and requests taken on at a time.")] = 256,
    picture_bytes: Annotated[int, typer.Option(min=1, help="Largest picture, in bytes.")] = 10 << 20,
    pixels: Annotated[int, typer.Option(min=1, help="Largest picture, in pixels.")] = 24_000_000,
    decode_seconds: Annotated[float, typer.Option(help="Longest time to decode a picture.")] = 5.0,
) -> None:
    """Answer over HTTP: verify, identify, enrol, forget, encode, cluster.

    Tokens say who may do what. Where there are none yet, one for everything is made and printed, once.
    """
    from likewise.errors import UsageError
    from likewise.server.run import Address, beside, require_http, run

    require_http()
    address = Address(host, port)
    if no_tokens and not address.is_here:
        raise UsageError("Without tokens, only this computer is served", f"--host {host}", "Leave --no-tokens out.")

    from likewise.matching import load
    from likewise.server.app import make_app
    from likewise.server.audit import Audit
    from likewise.server.limits import Limits
    from likewise.server.service import Service
    from likewise.server.tokens import SCOPES, Tokens

    limits = Limits(
        picture_bytes=picture_bytes,
        request_bytes=max(picture_bytes + (1 << 20), Limits.request_bytes),
        pixels=pixels,
        decode_seconds=decode_seconds,
        queue=queue,
        files=min(Limits.files, queue),
    )
    known = None if no_tokens else Tokens(beside(gallery, tokens, ".tokens", "--tokens"))
    log = Audit(beside(gallery, audit, ".audit.jsonl", "--audit"))
    service = Service(load(model), gallery, limits)
    try:
        if known is not None and not known.all():
            text, made = known.make("first", SCOPES)
            say(f"token for everything until {made.until}, shown only now: {text}")
        if not address.is_here:
            say("what is sent can be read on the way: put a proxy that speaks TLS in front")
        run(
            make_app(service, known, log),
            address,
            lambda url: say(f"serving at {url}, described in {url}/openapi.json"),
        )
    finally:
        service.close()
