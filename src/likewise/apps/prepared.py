"""The step before encoding, for whoever trains or uses a model: another one for a model, and what it was trained on."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from likewise.encoder import Pictures, Seen
from likewise.encoder.seen import FITTING, NOBODY
from likewise.errors import UsageError
from likewise.matching import Model
from likewise.matching.folder import read_seen
from likewise.prepare import FINDERS, finder_called


def met_by(name: str | None) -> Seen:
    """What the detector in the folder `name` was fitted to; nothing of steps that have no such folder.

    It cuts these pictures out better than others, so that whoever uses it has met them too; but whose they are it was
    never told.

    Raises:
        ModelError: the folder is damaged.
    """
    if name is None or name in FINDERS:
        return Seen()
    found = read_seen(Path(name))
    items = found.items[found.used_for(found.items, *FITTING)]
    return Seen.of("train", items, np.full(len(items), NOBODY))


def prepared(model: Model, name: str) -> Model:
    """The model with the prepare step called `name`, and so with another fingerprint unless it has that one already.

    The distance its makers published is for what they cut out, and goes where that is cut out otherwise now.

    Raises:
        UsageError: the model is not of pictures, there is no such prepare step, or what it needs is not installed.
    """
    finder = finder_called(name)
    preprocessing = model.encoder.ready()
    if not isinstance(preprocessing, Pictures):
        raise UsageError(
            "A prepare step looks for parts of pictures", f"a model of {preprocessing.kind}s", "Leave it out."
        )
    if preprocessing.prepare == finder:
        return model
    encoder = copy(model.encoder)
    encoder.seen = encoder.seen.joined(met_by(name))
    encoder.preprocessing = replace(preprocessing, prepare=finder)
    if not finder.cuts_like(preprocessing.prepare):
        encoder.published = None
    return Model(encoder, model.calibration)
