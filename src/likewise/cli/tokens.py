"""likewise tokens: make, list, revoke."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, say, table
from likewise.cli.options import Json

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Where tokens are kept, as hashes: GALLERY.tokens for a gallery's file.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Who may ask `likewise serve` for what.")
    group.command()(make)
    group.command("list")(list_)
    group.command()(revoke)
    app.add_typer(group, name="tokens")


def make(
    file: FileArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; the audit log calls them so.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="verify, identify, classify, detect, enrol, forget or admin, which is all; give it several times for"
            " several. verify by default."
        ),
    ] = None,
    days: Annotated[float, typer.Option(help="How long it is good.")] = 90,
    per_minute: Annotated[float, typer.Option(help="Requests per minute.")] = 600,
    as_json: Json = False,
) -> None:
    """Make a token. It is printed now and never again: only a hash of it is kept."""
    from likewise.server.tokens import Tokens

    new = not file.exists()
    text, made = Tokens(file).make(name, scope or ("verify",), days=days, per_minute=per_minute)
    if new:
        say(f"{file} is a new file of tokens: a service that runs with another one does not know them")
    say(f"good for {', '.join(made.scopes)} until {made.until}")
    answer(as_json, {"token": text, **made.as_dict()}, text)


def list_(file: FileArgument, as_json: Json = False) -> None:
    """All tokens that were not revoked; none of them can be read here."""
    from likewise.server.tokens import Tokens

    found = Tokens(file).all()
    rows = [
        (token.id, f"{token.name}: {', '.join(token.scopes)}; {token.per_minute:g} a minute, until {token.until}")
        for token in found
    ]
    answer(as_json, {"tokens": [token.as_dict() for token in found]}, table(rows) if rows else "No tokens.")


def revoke(
    file: FileArgument,
    which: Annotated[str, typer.Argument(metavar="TOKEN", help="An id, or the name of one or several.")],
    as_json: Json = False,
) -> None:
    """End a token; a service that runs refuses it from the next request on."""
    from likewise.server.tokens import Tokens

    ended = Tokens(file).revoke(which)
    tokens = "1 token" if len(ended) == 1 else f"{len(ended)} tokens"
    answer(as_json, {"revoked": [token.id for token in ended]}, f"{tokens} of {ended[0].name} revoked")
