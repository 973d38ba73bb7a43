"""A model in, pictures of what it looks for and a page that explains them out: what `likewise inspect` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Protocol, final

from PIL import Image

from likewise.apps.drawing import write_picture
from likewise.apps.inspect.channels import levels_of, sought
from likewise.apps.inspect.features import feature_maps
from likewise.apps.inspect.filters import first_filters
from likewise.apps.inspect.heat import Similarity, fine_tap, similarity
from likewise.apps.inspect.patches import strongest_patches
from likewise.apps.inspect.subject import Shown, read_shown
from likewise.data import Clips, Dataset
from likewise.encoder import Encoder, Item, Progress
from likewise.encoder.seen import TRAIN
from likewise.errors import UsageError
from likewise.matching import used_for
from likewise.media.files import replacing_folder, write_json

PAGE, FINDINGS = "index.html", "inspect.json"  # the latter marks a folder that `inspect` wrote
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#1d2329}"
    "img{max-width:100%}h2{margin-top:2em;font-size:18px}p{max-width:46em}"
)


@final
@dataclass(frozen=True)
class InspectOptions:
    """What to look at.

    Attributes:
        optimise: also find by optimising pixels what channels look for.
        tap, channel: whose channels, and which; None for those of a low, a middle and a high level.
        seed: of the noise that pixels begin as.
    """

    optimise: bool = False
    tap: str | None = None
    channel: int | None = None
    seed: int = 0


class Drawable(Protocol):
    """What a part of the page is about."""

    def said(self) -> str:
        """What there is to see, in a sentence or two."""
        ...

    def draw(self) -> Image.Image:
        """The picture."""
        ...


@final
@dataclass(frozen=True)
class Section:
    """One picture.

    Attributes:
        title: what it shows.
        said: what there is to see, in a sentence or two.
        file: where it is.
    """

    title: str
    said: str
    file: Path


@final
@dataclass(frozen=True)
class Inspected:
    """What was drawn.

    Attributes:
        folder: that all is in.
        sections: the pictures, in the order of the page.
        similarity: of two items; None of fewer.
        distance: of their embeddings; None of fewer, or where the model has a head.
        seed: of what was optimised.
        skipped: file and reason of items that could not be read.
    """

    folder: Path
    sections: tuple[Section, ...]
    similarity: float | None
    distance: float | None
    seed: int
    skipped: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise inspect --json`."""
        return {
            "page": str(self.folder / PAGE),
            "files": [str(section.file) for section in self.sections],
            "sections": [{"title": one.title, "said": one.said, "file": str(one.file)} for one in self.sections],
            "similarity": self.similarity,
            "distance": self.distance,
            "seed": self.seed,
        }


def inspect(
    encoder: Encoder,
    out: Path,
    first: Item | None = None,
    second: Item | None = None,
    options: InspectOptions = InspectOptions(),
    *,
    data: Dataset | Clips | None = None,
    name: str = "the model",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Inspected:
    """Draws what there is to see, as PNGs and a page in the folder `out`.

    Filters of the first layer always; of one item what every stage makes of it; of two why they are similar; where that
    is asked for what channels look for, by optimised pixels; with data, by patches of it.

    Args:
        encoder: of `open_encoder`.
        out: a folder that this wrote before is replaced as a whole.
        first, second: items.
        options: see `InspectOptions`.
        data: where strongest patches are looked for: among items that were trained on, if these are some of them.
        name: what the page calls the model.
        progress: called with what is done, how much there is and a word.
        say: told what the person should know.

    Raises:
        UsageError: a tap or channel that is not there, a folder that holds other things, a second item without a first.
        DataError: an item that cannot be read, or none of `data`.
    """
    if second is not None and first is None:
        raise UsageError("A second item is compared with a first", "a second alone")
    one, other = (None if item is None else read_shown(encoder, item) for item in (first, second))
    wanted = options.optimise or data is not None or options.tap is not None or options.channel is not None
    levels = levels_of(encoder, one, tap=options.tap, channel=options.channel) if wanted else []
    pairs = [] if one is None or other is None else _similar(encoder, one, other)
    skipped: tuple[tuple[str, str], ...] = ()
    with replacing_folder(out, marker=FINDINGS) as fresh:
        sections: list[Section] = []

        def add(file: str, title: str, found: Drawable) -> None:
            write_picture(found.draw(), fresh / file)
            sections.append(Section(title, found.said(), out / file))

        for file, title, pair in zip(
            ("similarity", "finer"), ("What makes for a similarity of {:.2f}", "The same, finer"), pairs, strict=False
        ):
            add(f"{file}.png", title.format(pair.similarity), pair)
        if one is not None:
            add("given.png", f"{one.name}, as the network is given it", one)
        add("filters.png", "Filters of the first layer", first_filters(encoder))
        for maps in [] if one is None else feature_maps(encoder, one):
            add(f"features-{maps.tap}.png", f"What {maps.tap} makes of it", maps)
        for level in levels if data is None or options.optimise else []:
            found = sought(encoder, level, seed=options.seed, progress=progress)
            add(f"sought-{level.tap}.png", f"What channels of {level.tap} look for", found)
        if data is not None:
            for best in strongest_patches(encoder, levels, _trained_on(encoder, data, say), progress=progress):
                add(f"patches-{best.level.tap}.png", f"What channels of {best.level.tap} find in the data", best)
                skipped = best.skipped
        similar = pairs[0] if pairs else None
        done = Inspected(
            out, tuple(sections), None if similar is None else similar.similarity,
            None if similar is None else similar.distance, options.seed, skipped,
        )  # fmt: skip
        (fresh / PAGE).write_text(_page(name, sections), encoding="utf-8", errors="backslashreplace")
        write_json(fresh / FINDINGS, done.as_dict())
    return done


def _similar(encoder: Encoder, one: Shown, other: Shown) -> list[Similarity]:
    """The similarity taken apart at the last places, and at finer ones where there are some."""
    whole = similarity(encoder, one, other)
    fine = fine_tap(encoder, one)
    return [whole] if fine in (whole.at, None) else [whole, similarity(encoder, one, other, tap=fine)]


def _trained_on(encoder: Encoder, data: Dataset | Clips, say: Callable[[str], None] | None) -> Dataset | Clips:
    """The items that the model was trained on; all where none was."""
    if isinstance(data, Clips):
        return data
    if not (encoder.seen.uses(data.contents) == TRAIN).any():
        if say is not None:
            say(f"The model was trained on none of these {len(data):,} items: patches are looked for in all of them.")
        return data
    return used_for(encoder.seen, data, "train")


def _page(name: str, sections: list[Section]) -> str:
    body = "".join(
        f'<h2>{_text(one.title)}</h2><p>{_text(one.said)}</p><img src="{one.file.name}" alt="{_text(one.title)}">'
        for one in sections
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content='
        f"\"default-src 'none'; img-src 'self' data: file:; style-src 'unsafe-inline'\"><title>{_text(name)}</title>"
        f"<style>{STYLE}</style></head><body><h1>What {_text(name)} looks for</h1>{body}</body></html>\n"
    )


def _text(text: str) -> str:
    """Text from outside, which may hold anything."""
    return escape(text, quote=True)
