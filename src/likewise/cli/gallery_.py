"""likewise gallery: info, list, rename, merge, calibrate, export, import, move, rebuild."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import GalleryArgument, Json, ModelArgument, Seed

if TYPE_CHECKING:
    from likewise.metrics.estimate import Estimate

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name that is enrolled.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Galleries as a whole.")
    group.command()(info)
    group.command("list")(list_)
    group.command()(rename)
    group.command()(merge)
    group.command()(calibrate)
    group.command()(export)
    group.command("import")(import_)
    group.command()(move)
    group.command()(rebuild)
    app.add_typer(group, name="gallery")


def info(gallery: GalleryArgument, as_json: Json = False) -> None:
    """How much is enrolled, for which model, and what its answers promise."""
    from likewise.errors import ModelError
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        known = opened.info()
        try:
            lines = opened.lines()
        except ModelError:
            lines = None
    rows = [
        ("names", f"{known['names']:,}"),
        ("records", f"{known['records']:,} of {known['dim']} numbers"),
        ("made", _moment(known["created"])),
        ("model", known["fingerprint"]),
        ("decides by", f"{known['rule']} of the {known['k']} nearest records"),
        ("strict line", "none: neither the gallery nor its model is calibrated" if lines is None else lines.strict),
        *([] if lines is None else [("loose line", lines.loose), ("promise", lines.in_words())]),
    ]
    answer(as_json, {**known, "lines": None if lines is None else lines.as_dict()}, table(rows))


def list_(
    gallery: GalleryArgument,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="List the records of one name.")] = None,
    as_json: Json = False,
) -> None:
    """All names and how many records each has, or the records of one."""
    from likewise.gallery import open_store

    if name is None:
        with closing(open_store(gallery)) as store:  # a `Gallery` would wait seconds for torch
            names = store.names()
        rows = [(one, f"{count:,}") for one, count in names.items()]
        answer(as_json, {"names": names}, table(rows) if rows else "Nobody is enrolled.")
        return
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        values = [one for block in opened.records(name) for one in block.as_dicts()]
    rows = [(str(one["id"]), f"{_moment(one['time'])}  {_noted(one['metadata'])}".rstrip()) for one in values]
    answer(as_json, {"name": name, "records": values}, table(rows))


def rename(
    gallery: GalleryArgument,
    name: NameArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="A name that nobody has.")],
    as_json: Json = False,
) -> None:
    """Give all records of NAME the name NEW; the old name leaves the file."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        count = opened.rename(name, new)
    answer(as_json, {"name": new, "records": count}, f"{counted(count)} of {name} now called {new}")


def merge(
    gallery: GalleryArgument,
    name: NameArgument,
    into: Annotated[str, typer.Argument(metavar="INTO", help="Another name that is enrolled.")],
    as_json: Json = False,
) -> None:
    """Give all records of NAME the name INTO: they are the same."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        count = opened.merge(name, into)
    answer(as_json, {"name": into, "records": count}, f"{counted(count)} of {name} now called {into}")


def calibrate(
    gallery: GalleryArgument,
    fpir: Annotated[float, typer.Option(help="Promised share of strangers that are given a name.")] = 0.01,
    loose: Annotated[
        float | None,
        typer.Option(help='Promised share that get a name or "unsure"; ten times --fpir, in bounds.'),
    ] = None,
    rule: Annotated[Literal["vote", "mean"] | None, typer.Option(help="How to decide from now on.")] = None,
    k: Annotated[int | None, typer.Option(help="How many of the nearest records decide from now on.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Set the lines of GALLERY for a promise, by leaving out each name in turn and letting it look."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened, progress("leaving out") as bar:
        found = opened.calibrate(fpir, loose_fpir=loose, rule=rule, k=k, seed=seed, progress=bar)
    rows = [
        ("rule", f"{found.rule}, k = {found.k}"),
        ("strict line", f"{found.strict.threshold:.5g}: a name if the distance is at most this"),
        ("FPIR at it", f"{_shown(found.strict.fpir)}, promised {found.strict.promised:g}"),
        ("FNIR at it", _shown(found.strict.fnir)),
        ("loose line", f"{found.loose.threshold:.5g}: unsure up to here, unknown beyond"),
        ("FPIR at it", f"{_shown(found.loose.fpir)}, promised {found.loose.promised:g}"),
        ("FNIR at it", _shown(found.loose.fnir)),
        ("from", f"{found.probes:,} records of {found.names:,} names, looking at {found.records:,}"),
    ]
    answer(as_json, found.as_dict(), table(rows))


def export(
    gallery: GalleryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .parquet to write.")],
    originals: Annotated[bool, typer.Option("--originals", help="With the pictures, as far as they are kept.")] = False,
    as_json: Json = False,
) -> None:
    """Write all records to a Parquet file; what is forgotten later stays in it."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened:
        count = opened.export(file, originals=originals)
    answer(as_json, {"file": str(file), "records": count}, f"{counted(count)} in {file}")


def import_(
    gallery: GalleryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .parquet that `gallery export` wrote.")],
    model: Annotated[str | None, typer.Option(help="A model folder, where the gallery is not there yet.")] = None,
    as_json: Json = False,
) -> None:
    """Enter the records of FILE; what is there already is not entered twice."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery, model) as opened:
        done = opened.import_(file)
    report_skipped(done.skipped)
    values = {
        "added": len(done.added),
        "already": len(done.already),
        "skipped": [{"id": id, "reason": reason} for id, reason in done.skipped],
    }
    answer(as_json, values, f"{counted(len(done.added))} entered, {len(done.already):,} there already")


def move(
    gallery: GalleryArgument,
    to: Annotated[str, typer.Argument(metavar="TO", help="A file, or http://host:port/name, where nothing is yet.")],
    as_json: Json = False,
) -> None:
    """Move GALLERY to another address; the one here is removed once all is there."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened, progress("moving") as bar, opened.move(to, progress=bar) as moved:
        count = sum(moved.names().values())
    answer(as_json, {"gallery": to, "records": count}, f"{counted(count)} moved to {to}")


def rebuild(gallery: GalleryArgument, model: ModelArgument, as_json: Json = False) -> None:
    """Exchange the model of GALLERY: kept originals are encoded anew, all or none."""
    from likewise.gallery import Gallery

    with Gallery.open(gallery) as opened, progress("rebuilding") as bar:
        calibrated, before = opened.calibration is not None, opened.fingerprint
        count = opened.rebuild(model, progress=bar)
        fingerprint = opened.fingerprint
    if fingerprint == before:
        say("the same embeddings; the calibration of the model is taken over")
    elif calibrated:
        say("the gallery's calibration was for the old embeddings and is dropped; run `likewise gallery calibrate`")
    values = {"records": count, "fingerprint": fingerprint, "model": model}
    answer(as_json, values, f"{counted(count)} of embeddings of {model}")


def counted(records: int) -> str:
    """So many records, in words."""
    return "1 record" if records == 1 else f"{records:,} records"


def _noted(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, ensure_ascii=False) if metadata else ""


def _shown(rate: Estimate | None) -> str:
    if rate is None:
        return "not known: no name has two records"
    return f"{rate.value:.3g} (95%: {rate.low:.3g} to {rate.high:.3g})"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
