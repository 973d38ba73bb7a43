"""Paint a picture in the style of another, and look at the way there.

    python examples/style.py [CONTENT STYLE]

One learns to weigh content against style, to keep colours, and that any trained network can judge style, not VGG19
alone. The same from a shell: `likewise style CONTENT STYLE -o OUT.png`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import likewise as lw

# VGG19 is asked where pictures are given; here a network that knows nothing but digits shall do.
SIDE = 64
Picture = str | np.ndarray


def main() -> None:
    out = Path(tempfile.mkdtemp())
    if len(sys.argv) > 2:
        paint(sys.argv[1], sys.argv[2], out, judge=None, options=lw.StyleOptions(size=256, steps=150))
        return
    digits = lw.open_data("digits")
    assert isinstance(digits, lw.Dataset)
    judge = lw.Encoder("convnet-small", dim=16, size=16)
    lw.fit(judge, digits, lw.SupCon(), epochs=2, seed=0)
    rows = np.arange(SIDE)
    stripes = np.where((rows // 4) % 2, 230, 20).astype(np.uint8)
    content = np.repeat(np.linspace(0, 255, SIDE).astype(np.uint8)[:, None], SIDE, axis=1)
    paint(content, np.tile(stripes, (SIDE, 1)), out, judge, lw.StyleOptions(steps=40, smallest=32))


def paint(content: Picture, style: Picture, out: Path, judge: lw.Encoder | None, options: lw.StyleOptions) -> None:
    made = lw.stylise(content, style, options, judge=judge)
    for moment in (made.moments[0], made.moments[-1]):
        print(f"step {moment.step}, {moment.width} x {moment.height}: style loss {moment.style_loss:.4f}")
    made.save(out / "painted.png")
    print(f"content loss {made.content_loss:.3f}, style loss {made.style_loss:.4f}: {out / 'painted.png'}")


if __name__ == "__main__":
    main()
