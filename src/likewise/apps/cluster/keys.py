"""What an item is known by between runs: the content of its file, and where in the picture it was found.

A file that is encoded as a whole is one item, and its key the SHA-256 of its bytes in hexadecimal. Of a picture in
which a prepare step finds parts each part is an item; its key has the part's box behind the hash.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from likewise.prepare import Box

KEY = re.compile(r"[0-9a-f]{64}(:-?\d{1,9},-?\d{1,9},\d{1,9},\d{1,9})?")


def key_of(content: str, box: Box | None) -> str:
    """The key of the part at `box` of the file with this hash."""
    return content if box is None else f"{content}:{','.join(map(str, box))}"


def content_of(key: str) -> str:
    """The hash of the file an item is of."""
    return key.partition(":")[0]


def box_of(key: str) -> Box | None:
    """Where in its picture an item is; None for all of it."""
    numbers = key.partition(":")[2]
    if not numbers:
        return None
    left, top, width, height = map(int, numbers.split(","))
    return left, top, width, height


def by_content(keys: Iterable[str]) -> dict[str, list[str]]:
    """Keys of each file, rising."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        found[content_of(key)].append(key)
    return dict(found)
