"""What a model hears in a sound, as a picture: the spectrogram, and under it the outputs over the same time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from likewise.apps.triggerword.events import EventRule
from likewise.apps.triggerword.listener import Listener
from likewise.errors import DataError, UsageError
from likewise.media.files import replacing_file
from likewise.media.sounds import Samples

if TYPE_CHECKING:
    from likewise.apps.triggerword.model import TriggerWord

LONGEST = 120.0  # seconds that a picture shows
KINDS = (".png", ".svg", ".pdf")
WIDTH = 0.8  # inches of a second


def check_picture(file: Path) -> None:
    """Refuses what no picture can be written to.

    Raises:
        UsageError: another ending.
    """
    if file.suffix not in KINDS:
        raise UsageError(f"A picture ends in {', '.join(KINDS)}", repr(file.name), "Rename it.")


def draw_heard(model: TriggerWord, samples: Samples, rule: EventRule, file: Path, title: str = "") -> Path:
    """Draws what `model` makes of a sound.

    Args:
        model: that hears.
        samples: (T,) in [-1, 1] at the rate of the model, up to `LONGEST`.
        rule: what makes an event.
        file: .png, .svg or .pdf; replaced if it is there.
        title: what it is called.

    Raises:
        UsageError: a file of another kind.
        DataError: too long, or too short to be heard; it cannot be written.
    """
    check_picture(file)
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    how, times = model.sounds, model.times
    seconds = len(samples) / how.rate
    if seconds > LONGEST or not times.count(len(samples)):
        least = times.first / how.rate
        raise DataError(f"A picture shows {least:.2g} to {LONGEST:g} s of sound", f"{seconds:.4g} s", "Cut it.")
    outputs = model.over_time(samples)
    listener = Listener(model.encoder, rule, gate=None)
    events = listener.feed(samples)
    figure = Figure(figsize=(max(6.0, min(24.0, WIDTH * seconds)), 4.5), dpi=120, layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    with torch.inference_mode():
        bands = how.front()(torch.from_numpy(samples)[None])[0, 0].numpy()
    dark, bright = np.quantile(bands, (0.1, 0.995))
    above.imshow(
        bands, origin="lower", aspect="auto", cmap="magma", vmin=dark, vmax=bright, extent=(0, seconds, 0, how.mels)
    )
    above.set(ylabel="mel band", title=title)
    below.plot(np.arange(0, len(outputs), how.hop) / how.rate, outputs[:: how.hop], lw=1.2)
    below.axhline(rule.threshold, color="grey", lw=0.8, ls="--", label=f"threshold {rule.threshold:.4g}")
    for i, event in enumerate(events):
        below.axvline(event.time_s, color="tab:red", lw=1.2, label="event" if not i else None)
    below.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02), xlim=(0, seconds))
    below.legend(loc="upper right")
    with replacing_file(file) as fresh:
        figure.savefig(fresh)
    return file
