"""What is known of the parts of a picture when they are found again, and that no two of them are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from likewise.apps.cluster.keys import box_of, by_content, content_of
from likewise.apps.cluster.manifest import Entry

ALIKE = 0.5  # share of their union that two boxes of one thing have in common


def handed_over(items: Mapping[str, Entry], found: Mapping[str, Collection[str]]) -> dict[str, Entry]:
    """The items under the keys of what was found now.

    Another prepare step finds the same face at another place: what is known of a part goes to the one that now is where
    it was, and what is known of a whole file to its only part. A part that is no longer found stays where a person put
    it, and otherwise belongs nowhere.

    Args:
        items: what is known.
        found: by content hash, the keys of what was found in the files that were encoded.
    """
    known = by_content(items)
    after = dict(items)
    for content, keys in found.items():
        lost = [key for key in known.get(content, []) if key not in keys]
        new = [key for key in keys if key not in items]
        sole = len(keys) == 1 and len(known.get(content, [])) == 1
        pairs = sorted((-_overlap(old, key, sole), old, key) for old in lost for key in new)
        for overlap, old, key in pairs:
            if -overlap >= ALIKE and old in after and key not in after:
                after[key] = after.pop(old)
        for old in lost:
            if old in after and not after[old].sure:
                after[old] = replace(after[old], cluster=None)
    return after


def _overlap(one: str, other: str, sole: bool) -> float:
    """Intersection over union of two parts of a picture; a whole is like the `sole` part."""
    a, b = box_of(one), box_of(other)
    if a is None or b is None:
        return float(sole)
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inner = max(width, 0) * max(height, 0)
    return inner / max(a[2] * a[3] + b[2] * b[3] - inner, 1)


def together_of(keys: Sequence[str], named: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """(N,) the number of the picture each item was found in, -1 for those found alone; None where all were.

    Args:
        keys: of the items.
        named: (N,) the picture each item's file was cut out of, -1 for files by themselves: goes before.
    """
    contents = [content_of(key) for key in keys]
    several = [content for content, count in Counter(contents).items() if count > 1]
    if named is None and not several:
        return None
    alone = np.full(len(keys), -1) if named is None else named
    number = {content: i for i, content in enumerate(several, int(alone.max(initial=-1)) + 1)}
    return np.where(alone >= 0, alone, [number.get(content, -1) for content in contents])
