"""A model that looks for parts of pictures which it was not made to look for."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from likewise.encoder import Pictures
from likewise.errors import UsageError
from likewise.matching import Model
from likewise.prepare import finder_called


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
    encoder.preprocessing = replace(preprocessing, prepare=finder)
    if not finder.cuts_like(preprocessing.prepare):
        encoder.published = None
    return Model(encoder, model.calibration)
