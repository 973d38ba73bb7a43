"""likewise data: list, get, check."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.console import answer, progress, shown, table
from likewise.cli.options import DataArgument, GroupFrom, Json


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Named data sets, and the health of your own."
    )
    group.command("list")(list_)
    group.command()(get)
    group.command()(check)
    app.add_typer(group, name="data")


def list_(as_json: Json = False) -> None:
    """Data sets known by name, and where their files are."""
    from likewise import assets

    found = [assets.status(name) for name in assets.ASSETS]
    places = [", ".join(map(str, s.where)) or ("in a package" if s.found else "to be fetched") for s in found]
    width = max(map(len, places))
    rows = [(s.asset.name, f"{place:<{width}}  {s.asset.description}") for s, place in zip(found, places, strict=True)]
    answer(as_json, {"sets": [status.as_dict() for status in found]}, table(rows))


def get(name: Annotated[str, typer.Argument(metavar="NAME")], as_json: Json = False) -> None:
    """Fetch a data set by name and check it against its known checksums."""
    from likewise import assets

    with progress(f"getting {name}") as bar:
        files = assets.fetch(name, progress=bar)
    values = {role: str(path) for role, path in files.items()}
    rows = [(role.replace("_", " "), path) for role, path in values.items()]
    answer(as_json, {"name": name, "files": values}, table(rows or [("files", "none to fetch: a package has them")]))


def check(data: DataArgument, group_from: GroupFrom = None, as_json: Json = False) -> None:
    """The health of data: counts, imbalance, unreadable files, the same content twice, pairs that contradict."""
    from likewise.data import check as examine
    from likewise.data import open_data

    opened = open_data(data, group_from=group_from)
    with progress("checking") as bar:
        health = examine(opened, bar)
    counts = list(health.counts.items())
    identities = "not known, only pairs" if health.identities is None else f"{health.identities:,}"
    rows = [("items", f"{health.items:,}"), ("identities", identities)]
    rows += [(f"  {name}", f"{count:,}") for name, count in counts[:10]]
    if len(counts) > 10:
        rows.append((f"  and {len(counts) - 10:,} more", f"{counts[-1][1]} to {counts[10][1]} items each"))
    rows += [(problem.kind, shown(problem.text)) for problem in health.problems] or [("problems", "none")]
    answer(as_json, health.as_dict(), table(rows))
