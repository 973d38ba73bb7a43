"""A model and a labelled set in, a map in a file out: what `likewise map` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.map.clips import Clips, clips_of
from likewise.apps.map.layouts import Layout, layout
from likewise.apps.map.picture import draw
from likewise.apps.map.webpage import page
from likewise.data import Dataset
from likewise.encoder import Encoding, Progress, Sounds
from likewise.errors import UsageError
from likewise.matching import Labelled, Model

Thumbnails = np.ndarray[Any, np.dtype[np.uint8]]  # (N, h, w, C)

KINDS = {"umap": "Map", "pca": "Principal components"}
DECODED_AT_ONCE = 512  # pictures at the encoder's size, which may be large
THUMBNAIL_SIDE = 64  # pixels at most; the page shrinks them further where there are many


@final
@dataclass(frozen=True)
class MapOptions:
    """How to lay out; see `layout`."""

    method: str = "umap"
    dimensions: int = 2
    n_neighbors: int = 15
    min_dist: float = 0.3
    metric: str = "correlation"
    seed: int = 0


@final
@dataclass(frozen=True)
class Drawn:
    """A map, drawn.

    Attributes:
        files: PNG or HTML, all of the same layout.
        layout: the points.
        skipped: file and reason of each item that could not be read.
    """

    files: tuple[Path, ...]
    layout: Layout
    skipped: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise map --json`."""
        return {
            "points": len(self.layout.points),
            "method": self.layout.method,
            "trustworthiness": self.layout.trustworthiness,
            "file": str(self.files[0]),
            "note": self.layout.note,
        }


def draw_map(
    model: Model,
    data: Dataset,
    file: Path | str,
    options: MapOptions = MapOptions(),
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Drawn:
    """Encodes `data` and draws the map as `file`, .png or .html; see `draw_labelled`."""
    _check_kind(Path(file))
    labelled = model.encode_labelled(data, progress)
    return draw_labelled(model.encoder, labelled, [Path(file)], options, progress=progress, say=say)


def draw_labelled(
    encoder: Encoding,
    labelled: Labelled,
    files: Sequence[Path],
    options: MapOptions = MapOptions(),
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Drawn:
    """Draws one map of a set that is encoded already, as every one of `files`, .png or .html.

    UMAP takes a while, so the principal components are drawn first; the files are replaced when UMAP is done.

    Raises:
        UsageError: another kind of file, or options that cannot work.
    """
    for file in files:
        _check_kind(file)
    paged = any(file.suffix.lower() == ".html" for file in files)
    media = media_of(encoder, labelled.data) if paged else None
    if options.method == "umap":
        pca = replace(options, method="pca")
        _write(_layout(labelled, pca, None), labelled, media, files)
        if say is not None:
            say(f"{', '.join(map(str, files))}: the principal components; UMAP follows")
    found = _layout(labelled, options, progress)
    _write(found, labelled, media, files)
    return Drawn(tuple(files), found, labelled.skipped)


def _layout(labelled: Labelled, options: MapOptions, progress: Progress | None) -> Layout:
    return layout(
        labelled.embeddings,
        method=options.method,
        dimensions=options.dimensions,
        n_neighbors=options.n_neighbors,
        min_dist=options.min_dist,
        metric=options.metric,
        seed=options.seed,
        progress=progress,
    )


def _write(found: Layout, labelled: Labelled, media: Media | None, files: Sequence[Path]) -> None:
    data, title = labelled.data, f"{KINDS[found.method]} of {labelled.data.origin}"
    for file in files:
        if file.suffix.lower() == ".png":
            draw(found, data.labels, data.names, file, title=title)
        else:
            small, clips = (None, None) if media is None else (media.thumbnails, media.clips)
            page(found, data.labels, data.names, file, items=data.files, thumbnails=small, clips=clips, title=title)


def _check_kind(file: Path) -> None:
    if file.suffix.lower() not in (".png", ".html"):
        raise UsageError("A map is drawn as .png or .html", repr(str(file)), "Pass for example -o map.html.")


@final
@dataclass(frozen=True)
class Media:
    """What a page shows and plays of the items.

    Attributes:
        thumbnails: (N, h, w, C) uint8, thinned to at most 64 pixels a side.
        clips: of sounds; None of pictures.
    """

    thumbnails: Thumbnails
    clips: Clips | None


def media_of(encoder: Encoding, data: Dataset) -> Media:
    """The items as the encoder is given them."""
    how = encoder.ready()
    step = max(1, -(-max(how.shape[1:]) // THUMBNAIL_SIDE))
    small: list[Thumbnails] = []
    sounds: list[NDArray[np.int16]] = []
    for start in range(0, len(data), DECODED_AT_ONCE):
        values = how.decode(data.sources[start : start + DECODED_AT_ONCE]).values
        small.append(how.shown(values)[:, ::step, ::step])
        if isinstance(how, Sounds):
            sounds.append(values.numpy())
    clips = clips_of(np.concatenate(sounds), how.rate) if isinstance(how, Sounds) and sounds else None
    return Media(np.concatenate(small), clips)
