"""likewise cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import Json, ModelArgument, Seed

LISTED = 10  # clusters named in the table


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(cluster)


def cluster(
    model: ModelArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pictures, and of folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder with a folder per cluster; a second run goes on with it.")],
    method: Annotated[
        Literal["agglomerative", "hdbscan", "x-means", "k-means"],
        typer.Option(help="agglomerative (needs a calibration or a published distance), hdbscan, x-means or k-means."),
    ] = "agglomerative",
    prepare: Annotated[
        str | None,
        typer.Option(
            help="Group what this finds in the pictures, each part by itself: faces, faces-cnn, faces-arcface or a"
            " detector's folder."
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option(min=1, help="Clusters of k-means, by default found; most of x-means.")
    ] = None,
    fmr: Annotated[
        float | None, typer.Option(help="Agglomerative: stop at the threshold of exactly this promised rate.")
    ] = None,
    smallest: Annotated[
        int | None, typer.Option(min=1, help="Pictures a cluster has at least; by default 3 with hdbscan, else 2.")
    ] = None,
    picture_from: Annotated[
        str | None,
        typer.Option(
            help="Regular expression with one (group): files in whose names it finds the same were cut out of one"
            " picture, so no two of them are the same."
        ),
    ] = None,
    curves: Annotated[Path | None, typer.Option(help="Draw the elbow and silhouette curves over k: a .png.")] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Show which copy stands for which part of its picture: an .html to write."),
    ] = None,
    link: Annotated[
        Literal["hard", "symbolic"] | None,
        typer.Option(help="Link to the pictures instead of copying: hard or symbolic."),
    ] = None,
    afresh: Annotated[bool, typer.Option("--afresh", help="Make clusters anew that you did not touch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing to OUT.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Group the pictures of DIR and copy each group into a folder of its own.

    Rename a folder to name its cluster, move pictures that are wrong, delete those you do not want, and run it again.
    """
    from likewise.prepare import finder_called

    if prepare is not None:
        finder_called(prepare)  # a typing error is told before the seconds that loading takes

    from likewise.apps.cluster import ClusterOptions, cluster_folder
    from likewise.matching import load

    options = ClusterOptions(method, k, smallest, seed)
    loaded = load(model)
    with progress("clustering") as bar:
        done = cluster_folder(
            loaded, folder, out, options, prepare=prepare, fmr=fmr, picture_from=picture_from, link=link, afresh=afresh,
            dry_run=dry_run, curves=curves, page=page, progress=bar,
        )  # fmt: skip
    report_skipped(done.skipped)
    for note in done.notes:
        say(note)
    copies = {group.id: len(set(group.copies)) for group in done.clusters}  # what lies in its folder
    largest = sorted(done.clusters, key=lambda group: (-copies[group.id], group.id))
    rows: list[tuple[str, object]] = [("clusters", len(done.clusters))]
    rows += [(f"  {group.name}", copies[group.id]) for group in largest[:LISTED]]
    if len(largest) > LISTED:
        fewest, most = copies[largest[-1].id], copies[largest[LISTED].id]
        rows.append((f"  and {len(largest) - LISTED} more", f"{fewest} to {most}"))
    rows.append(("unassigned", len(set(done.unassigned_copies))))
    if done.flawed:
        rows.append(("  too poor to tell", len(done.flawed)))
    if done.empty:
        rows.append(("nothing found in", len(done.empty)))
    if done.removed:
        rows.append(("deleted by you", len(done.removed)))
    if done.curve is not None:
        rows += [("k by the elbow", done.curve.elbow), ("k by silhouettes", done.curve.best)]
    if done.agreement is not None:
        rows += [("BCubed F", done.agreement.bcubed_f), ("pairwise F", done.agreement.pairwise_f)]
    if done.page is not None:
        rows.append(("which is which", str(done.page)))
    rows.append(("dry run, not written to" if dry_run else "written to", str(out)))
    answer(as_json, done.as_dict(), table(rows))
    if done.empty and not (done.clusters or done.unassigned):
        raise typer.Exit(1)
