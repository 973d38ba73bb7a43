"""From a model and labelled data to what is wrong with either."""

from __future__ import annotations

from typing import overload

import numpy as np

from likewise.apps.classify import Classifier, Outputs
from likewise.apps.mistakes.answers import judged_answers
from likewise.apps.mistakes.collect import advice, sources_of
from likewise.apps.mistakes.embeddings import judged_embeddings
from likewise.apps.mistakes.findings import IntArray, Judged
from likewise.apps.mistakes.mistakes import Mistakes
from likewise.apps.mistakes.words import judged_words
from likewise.apps.triggerword import Heard, TriggerWord
from likewise.data import Clips, Dataset
from likewise.encoder import PARTS, Encoding, Progress
from likewise.errors import UsageError
from likewise.matching import Labelled, Model, encode_labelled, overlap
from likewise.metrics import Estimate
from likewise.metrics.classification import share_right


@overload
def find_mistakes(
    model: Model | Encoding | Classifier,
    data: Dataset,
    *,
    whole: Dataset | None = None,
    progress: Progress | None = None,
) -> Mistakes: ...


@overload
def find_mistakes(model: TriggerWord, data: Clips, *, progress: Progress | None = None) -> Mistakes: ...


def find_mistakes(
    model: Model | Encoding | Classifier | TriggerWord,
    data: Dataset | Clips,
    *,
    whole: Dataset | None = None,
    progress: Progress | None = None,
) -> Mistakes:
    """What `model` gets wrong in labelled data, which labels are probably wrong themselves, and what to collect next.

    Args:
        model: one that compares, calibrated or not, one that answers, or one that hears a word.
        data: labelled items, or clips for a model that hears; best those that it was not trained on: a network agrees
            with what it has learned, wrong labels among it.
        whole: what `data` are a part of, if relabel.csv is to list all of that.
        progress: told of encoding.

    Raises:
        UsageError: data of another kind. DataError: no two labels, or none that can be compared; see
            `Classifier.outputs_for`. ModelError: a model that hears and was never calibrated.
    """
    if isinstance(model, TriggerWord) and isinstance(data, Clips):
        rule = model.rule()
        heard, skipped = model.hear(data, hits=rule.hits, refractory=rule.refractory, progress=progress)
        return mistakes_heard(model, heard, rule.threshold, skipped)
    if isinstance(model, TriggerWord) or not isinstance(data, Dataset):
        wanted = "clips" if isinstance(model, TriggerWord) else "labelled items"
        raise UsageError(f"Mistakes of this model are looked for in {wanted}", type(data).__name__)
    if isinstance(model, Classifier):
        return mistakes_in(model, model.outputs_for(data, progress), whole or data)
    encoder = model.encoder if isinstance(model, Model) else model
    return mistakes_in(model, encode_labelled(encoder, data, progress), whole or data)


def mistakes_in(model: Model | Encoding | Classifier, given: Labelled | Outputs, whole: Dataset) -> Mistakes:
    """The same of items that are encoded already.

    Args:
        model: what encoded them.
        given: what it made of them.
        whole: what relabel.csv is to list: these items, those that could not be used, and perhaps others.

    Raises:
        DataError: see `judged_embeddings`. UsageError: `given` is another model's, or not of `whole`.
    """
    encoder = model if isinstance(model, Encoding) else model.encoder
    met = overlap(encoder.seen, given.data)
    trained_on = met.parts == PARTS.index("train")
    if isinstance(given, Labelled) and not isinstance(model, Classifier):
        calibration = model.calibration if isinstance(model, Model) else None
        judged = judged_embeddings(encoder, given, calibration, trained_on, met.unit)
    elif isinstance(given, Outputs) and isinstance(model, Classifier):
        judged = judged_answers(model, given, trained_on)
    else:
        raise UsageError("Items are judged by the model that encoded them", type(model).__name__)
    return _found(judged, whole, _places(whole, given.data))


def mistakes_heard(
    model: TriggerWord, heard: Heard, threshold: float, skipped: tuple[tuple[str, str], ...] = ()
) -> Mistakes:
    """The same of clips that `model` has heard already; see `judged_words`."""
    return _found(judged_words(model, heard, threshold, skipped), None, np.empty(0, np.int64))


def _found(judged: Judged, whole: Dataset | None, place: IntArray) -> Mistakes:
    labels, groups = sources_of(judged)
    rate = None
    if judged.decided and len(judged.wrong):
        right = share_right(~judged.wrong, judged.sample)
        rate = Estimate(1 - right.value, 1 - right.high, 1 - right.low)
    return Mistakes(judged, rate, labels, groups, advice(judged, labels, groups), whole, place)


def _places(whole: Dataset, part: Dataset) -> IntArray:
    """(n,) where the items of `part` are in `whole`, by what they are called and labelled."""
    rows: dict[tuple[str, int], list[int]] = {}
    for i in reversed(range(len(whole))):
        rows.setdefault((whole.files[i], int(whole.labels[i])), []).append(i)
    try:
        return np.array([rows[key].pop() for key in zip(part.files, part.labels.tolist(), strict=True)], np.int64)
    except (KeyError, IndexError) as error:
        raise UsageError("The whole of some items holds all of them", f"{whole.origin}, which does not") from error
