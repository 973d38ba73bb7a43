"""Which copy is which part: a web page with a look at every part of a picture beside the name of its copy in OUT."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from PIL import Image

from likewise.apps.cluster.keys import box_of, by_content
from likewise.apps.cluster.manifest import UNASSIGNED, State
from likewise.errors import DataError
from likewise.media.files import replacing_file
from likewise.media.pictures import Pixels, read_picture
from likewise.prepare import Box

SIDE = 96  # pixels, the most a look is high or wide
AROUND = 0.25  # of a part's width and height is shown on each side, by which people are known
STYLE = (
    "body{font:14px sans-serif;margin:1em}h2{border-top:1px solid #ccc;padding-top:.5em}div{display:flex;"
    f"flex-wrap:wrap;gap:1em}}figure{{margin:0;width:{SIDE + 40}px;overflow-wrap:anywhere}}"
    "small{color:#666;display:block}"
)


def draw_page(
    file: Path, state: State, out: Path, sources: Mapping[str, Sequence[Path]], flaws: Mapping[str, str]
) -> None:
    """Writes a page that needs nothing else: for each folder of OUT its copies, each with what it stands for.

    Args:
        file: where to.
        state: which copy of which part lies where.
        out: the folder the copies are in.
        sources: by key, where else the picture may lie.
        flaws: by key, why a part is too poor to decide by.

    Raises:
        DataError: it cannot be written.
    """
    there = {key: entry.file for key, entry in state.items.items() if entry.file is not None and not entry.removed}
    folders: dict[str, list[tuple[str, str]]] = {}
    for keys in by_content(there).values():
        pixels = _read([*sources.get(keys[0], ()), *(out / there[key] for key in keys)])
        for key in keys:
            inside = str(PurePosixPath(there[key]).parent)
            folders.setdefault(inside, []).append((there[key], _figure(file, out / there[key], pixels, key, flaws)))
    body = [
        f"<h2>{_shown(inside)}</h2><div>{''.join(figure for _, figure in sorted(figures))}</div>"
        for inside, figures in sorted(folders.items(), key=lambda item: (item[0] == UNASSIGNED, item[0]))
    ]
    html = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content='
        f"\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><title>{_shown(out.name)}</title>"
        f"<style>{STYLE}</style></head><body><h1>{_shown(out.name)}</h1><p>What each copy stands for. To correct it,"
        f" move or delete the copy of that name, and run again.</p>{''.join(body)}</body></html>\n"
    )
    with replacing_file(file) as fresh:
        fresh.chmod(0o600)  # as the manifest: it says who is on which picture
        fresh.write_text(html, encoding="utf-8")


def _read(places: Sequence[Path]) -> Pixels | None:
    """The picture, from the first place where it can be read."""
    for place in places:
        try:
            return read_picture(place, mode="RGB")
        except DataError:
            pass
    return None


def _figure(page: Path, copy: Path, pixels: Pixels | None, key: str, flaws: Mapping[str, str]) -> str:
    address = quote(os.fsencode(os.path.relpath(copy.absolute(), page.absolute().parent)))
    look = "cannot be read"
    if pixels is not None:
        look = f'<img alt="" src="data:image/jpeg;base64,{_look(pixels, box_of(key))}">'
    flaw = f"<small>{_shown(flaws[key])}</small>" if key in flaws else ""
    caption = f'<figcaption><a href="{address}">{_shown(copy.name)}</a>{flaw}</figcaption>'
    return f"<figure>{look}{caption}</figure>"


def _look(pixels: Pixels, box: Box | None) -> str:
    """The part with a little around it as a small JPEG in base64."""
    picture = Image.fromarray(pixels)
    if box is not None:
        left, right = _within(box[0], box[2], picture.width)
        top, bottom = _within(box[1], box[3], picture.height)
        picture = picture.crop((left, top, right, bottom))
    picture.thumbnail((SIDE, SIDE))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85)
    return base64.b64encode(jpeg.getvalue()).decode("ascii")


def _within(start: int, length: int, end: int) -> tuple[int, int]:
    """From where to where a part is shown: with a little around it, and never beyond the picture's edges."""
    around = round(AROUND * length)
    first = min(max(start - around, 0), end - 1)
    return first, max(min(start + length + around, end), first + 1)


def _shown(text: str) -> str:
    """Text from outside, which may hold anything, even what is no UTF-8."""
    return escape(os.fsencode(text).decode("utf-8", "replace"))
