"""How large a picture is on its way, and how many steps are made of each size."""

from __future__ import annotations

import math
from itertools import pairwise

from likewise.apps.style.options import LEAST_SIDE, USUAL_SIZE
from likewise.errors import UsageError

LAST_SHARE = 0.48  # of the steps are of the last size; of the others each has more the smaller it is, as it is cheaper

Size = tuple[int, int]  # height and width in pixels


def size_of(content: Size, longer: int | None) -> Size:
    """Height and width of what is made of a content of such, with so many pixels on the longer side.

    Raises:
        UsageError: too small on the other.
    """
    longest = max(content)
    scale = (min(USUAL_SIZE, longest) if longer is None else longer) / longest
    height, width = (round(length * scale) for length in content)
    if min(height, width) < LEAST_SIDE:
        raise UsageError(
            f"A picture with style has at least {LEAST_SIDE} pixels a side",
            f"{width} x {height}",
            "Pass a larger size, or another content.",
        )
    return height, width


def sizes_of(size: Size, smallest: int) -> list[Size]:
    """Heights and widths from about `smallest` pixels on the longer side to `size`, by the square root of 2."""
    height, width = size
    count = max(0, round(2 * math.log2(max(size) / smallest)))
    found = [(round(height * shrunk), round(width * shrunk)) for i in range(count, 0, -1) for shrunk in [2 ** (-i / 2)]]
    return [one for one in found if min(one) >= LEAST_SIDE] + [size]


def steps_of(steps: int, sizes: int) -> list[int]:
    """How many of all steps are of each size, the smallest first; where there are few, some sizes have none."""
    if sizes == 1:
        return [steps]
    last = max(1, math.ceil(LAST_SHARE * steps))
    total = sizes * (sizes - 1) // 2  # of shares of sizes - 1, ..., 2, 1
    ends = [(steps - last) * (total - left * (left + 1) // 2) // total for left in range(sizes - 1, -1, -1)]
    return [*(after - before for before, after in pairwise(ends)), last]
