"""A model somebody else trained, used on your own pictures: measure what its threshold does there, and set your own.

    python examples/calibrate_own_data.py [MODEL FOLDER]

One learns that a threshold belongs to the data it was set on, how to set one for a promised false match rate, and what
happens when there are too few data for the promise. Without arguments, the model is trained on scikit-learn's digits
and "your own pictures" are other digits taken by a worse camera: less contrast, and noise.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

import likewise as lw


def main() -> None:
    model, own = (lw.load(sys.argv[1]), lw.folder(sys.argv[2])) if len(sys.argv) > 2 else made_up()
    tune, test = own.split(0.5, 0.5, by="identity" if own.identities >= 40 else "item", seed=0)

    print(f"its own threshold: {said(model, test)}")
    mine = lw.calibrate(model.encoder, tune, max_fmr=0.1)
    print(f"calibrated here:   {said(mine, test)}")

    try:
        lw.calibrate(model.encoder, tune, max_fmr=1e-7)
    except lw.SupportError as error:
        print(f"one in ten million: {error}")


def said(model: lw.Model, data: lw.Dataset) -> str:
    """What the model promises, and what its threshold does to all pairs of `data`."""
    found = lw.evaluate(model, data).at_threshold
    assert found is not None  # the model is calibrated
    fmr, fnmr = found.rates.fmr, found.rates.fnmr
    return (
        f"promised {found.promised:g} false matches, found {fmr.value:.3f} ({fmr.low:.3f} to {fmr.high:.3f})"
        f" on new pictures, where {fnmr.value:.3f} of the same pairs are refused"
    )


def made_up() -> tuple[lw.Model, lw.Dataset]:
    train, valid, tune, new = lw.open_data("digits").split(0.4, 0.1, 0.2, 0.3, by="item", seed=0)
    encoder = lw.Encoder("convnet-small", dim=32)
    lw.fit(encoder, train, lw.TripletLoss(), validation=valid, epochs=10, seed=0)
    noise = np.random.default_rng(0).normal(0, 15, new.sources.shape)
    worse = (new.sources * 0.6 + 20 + noise).clip(0, 255).astype(np.uint8)
    return lw.calibrate(encoder, tune, max_fmr=0.1), replace(new, sources=worse, origin="a worse camera")


if __name__ == "__main__":
    main()
