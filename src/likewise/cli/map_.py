"""likewise map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from likewise.cli.console import answer, progress, report_skipped, say, table
from likewise.cli.options import DataArgument, GroupFrom, Json, ModelArgument, Part, Seed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("map")(map_)


def map_(
    model: ModelArgument,
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write: .png, or .html to hover and search.")],
    method: Annotated[Literal["umap", "pca"], typer.Option(help="umap or pca.")] = "umap",
    dimensions: Annotated[int, typer.Option(min=2, max=3, help="2 or 3.")] = 2,
    neighbours: Annotated[int, typer.Option(min=2, help="UMAP's n_neighbors.")] = 15,
    min_dist: Annotated[float, typer.Option(min=0, max=1, help="UMAP's min_dist.")] = 0.3,
    metric: Annotated[
        Literal["correlation", "cosine", "euclidean"], typer.Option(help="correlation, cosine or euclidean.")
    ] = "correlation",
    part: Part = None,
    group_from: GroupFrom = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw the embeddings of DATA: what lies together, what strays."""
    from likewise.apps.map import MapOptions, draw_map
    from likewise.apps.parts import part_of
    from likewise.data import PairSet, open_data
    from likewise.matching import load

    options = MapOptions(method, dimensions, neighbours, min_dist, metric, seed)
    loaded = load(model)
    opened = part_of(loaded, open_data(data, group_from=group_from), part, say)
    labelled = opened.items if isinstance(opened, PairSet) else opened
    with progress("mapping") as bar:
        drawn = draw_map(loaded, labelled, out, options, progress=bar, say=say)
    report_skipped(drawn.skipped)
    answer(as_json, drawn.as_dict(), table(list(drawn.as_dict().items())))
