"""likewise serve."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.console import say

if TYPE_CHECKING:
    from likewise.server.tokens import Tokens


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="A model folder, or a name from `models list`; by default the gallery's own."
        ),
    ] = None,
    gallery: Annotated[
        str | None, typer.Option(metavar="GALLERY", help="A gallery's file or address; made where there is none.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; others than this computer reach 0.0.0.0.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8760,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tokens; by default GALLERY.tokens, or MODEL.tokens. See `likewise tokens`."),
    ] = None,
    no_tokens: Annotated[
        bool, typer.Option("--no-tokens", help="Let everybody on this computer do everything.")
    ] = False,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The log of who did what; by default GALLERY.audit.jsonl, or MODEL.audit.jsonl."
        ),
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Pictures and requests taken on at a time.")] = 256,
    picture_bytes: Annotated[int, typer.Option(min=1, help="Largest picture, in bytes.")] = 10 << 20,
    pixels: Annotated[int, typer.Option(min=1, help="Largest picture, in pixels.")] = 24_000_000,
    sound_seconds: Annotated[float, typer.Option(help="Longest sound, in seconds.")] = 600.0,
    decode_seconds: Annotated[float, typer.Option(help="Longest time to decode a picture.")] = 5.0,
    parts: Annotated[int, typer.Option(min=1, help="Most parts of a picture that are encoded, such as faces.")] = 128,
) -> None:
    """Answer over HTTP: verify, identify, enrol, forget, encode, cluster; or classify; or detect.

    MODEL makes a gallery that is not there yet. Without a gallery, pictures are compared, encoded and clustered; a
    model that classifies says what they show, a detector what is where in them.
    Tokens say who may do what. Where their file is not there yet, one for everything is made and printed, once.
    """
    from likewise.errors import UsageError
    from likewise.server.run import Address, beside, listen, require_http, run

    require_http()
    address = Address(host, port)
    if no_tokens and not address.is_here:
        raise UsageError("Without tokens, only this computer is served", f"--host {host}", "Leave --no-tokens out.")

    from likewise.matching import task_of
    from likewise.server.app import make_app
    from likewise.server.audit import Audit
    from likewise.server.kinds import load_served
    from likewise.server.limits import Limits
    from likewise.server.service import Service
    from likewise.server.tokens import Tokens

    if model is not None:
        task_of(model)  # a wrong name is said first
    limits = Limits(
        picture_bytes=picture_bytes,
        request_bytes=max(picture_bytes + (1 << 20), Limits.request_bytes),
        pixels=pixels,
        sound_seconds=sound_seconds,
        decode_seconds=decode_seconds,
        parts=parts,
        queue=queue,
        files=min(Limits.files, queue),
    )
    known = None if no_tokens else Tokens(beside(gallery, model, tokens, ".tokens", "--tokens"))
    log = Audit(beside(gallery, model, audit, ".audit.jsonl", "--audit"))
    with (
        listen(address) as listening,
        closing(Service(None if model is None else load_served(model), gallery, limits)) as service,
    ):
        if known is not None:
            _make_first(known)
        if not address.is_here:
            say("what is sent can be read on the way: put a proxy that speaks TLS in front")
        run(
            make_app(service, known, log),
            listening,
            lambda url: say(f"serving at {url}, described in {url}/openapi.json"),
        )


def _make_first(tokens: Tokens) -> None:
    """A token for everything where nobody has made any; whoever has revoked theirs gets no new one by a restart."""
    from likewise.server.tokens import SCOPES

    if not tokens.file.exists():
        text, made = tokens.make("first", SCOPES)
        say(f"token for everything until {made.until}, shown only now: {text}")
    elif not any(token.may("admin") and token.expires > time.time() for token in tokens.all()):
        say(f"no token may do everything; `likewise tokens make {tokens.file} NAME --scope admin` makes one")
