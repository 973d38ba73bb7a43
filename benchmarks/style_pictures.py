"""Draws the pictures of docs/style.md anew.

LIKEWISE_DATA=... python benchmarks/style_pictures.py [docs/images]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import likewise as lw

PICTURES = Path(os.environ["LIKEWISE_DATA"]) / "pictures"
SIDE, STEPS = 320, 300  # of the pictures that are shown beside content and style
SMALL, FEW = 192, 100  # of those that are compared
WEIGHTS = {0.02: "#0072b2", 0.1: "#d55e00", 0.5: "#009e73"}
GAP, HEIGHT = 6, 240  # pixels


def row(*pictures: Image.Image, height: int = HEIGHT) -> Image.Image:
    """Pictures of one height side by side."""
    scaled = [
        one.resize((round(one.width * height / one.height), height), Image.Resampling.LANCZOS) for one in pictures
    ]
    page = Image.new("RGB", (sum(one.width + GAP for one in scaled) - GAP, height), "white")
    x = 0
    for one in scaled:
        page.paste(one, (x, 0))
        x += one.width + GAP
    return page


def of(name: str) -> Image.Image:
    return Image.open(PICTURES / f"{name}.jpg").convert("RGB")


def painted(content: str, style: str, options: lw.StyleOptions) -> lw.Styled:
    made = lw.stylise(PICTURES / f"{content}.jpg", PICTURES / f"{style}.jpg", options)
    print(
        f"{content} x {style}: content {made.content_loss:.3f}, style {made.style_loss:.4f}, {made.seconds:.0f} s",
        flush=True,
    )
    return made


def shown(made: lw.Styled) -> Image.Image:
    return Image.fromarray(made.pixels)


def compared(out: Path) -> None:
    """Content weights as pictures, and both losses by steps."""
    figure = Figure(figsize=(7.2, 2.7), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    pictures = []
    for weight, colour in WEIGHTS.items():
        options = lw.StyleOptions(size=SMALL, smallest=SMALL, steps=FEW, content_weight=weight)
        made = painted("tubingen", "starry_night_google", options)
        pictures.append(shown(made))
        steps = np.arange(1, len(made.moments) + 1)
        left.plot(steps, [each.content_loss for each in made.moments], color=colour)
        right.plot(steps, [each.style_loss for each in made.moments], color=colour, label=f"content weight {weight}")
    left.set(xlabel="step", ylabel="content loss")
    right.set(xlabel="step", ylabel="style loss", yscale="log")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out / "style-losses.png")
    row(*pictures, height=200).save(out / "style-weights.jpg", quality=88)


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    whole = lw.StyleOptions(size=SIDE, steps=STEPS)
    for file, content, style in (
        ("style-starry.jpg", "tubingen", "starry_night_google"),
        ("style-scream.jpg", "golden_gate", "the_scream"),
    ):
        made = painted(content, style, whole)
        row(of(content), of(style), shown(made)).save(out / file, quality=88)
    kept = painted("tubingen", "shipwreck", lw.StyleOptions(size=SIDE, steps=STEPS, keep_colour=True))
    row(of("shipwreck"), shown(kept)).save(out / "style-keep.jpg", quality=88)
    compared(out)
