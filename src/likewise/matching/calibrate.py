"""An encoder and data it has not seen -> a model that knows its threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from likewise import calibration
from likewise.calibration.rates import Unit
from likewise.data import Dataset, PairSet
from likewise.encoder import Encoding, Progress
from likewise.errors import DataError
from likewise.matching.labelled import encode_labelled, encode_pairs
from likewise.matching.model import Model
from likewise.matching.overlap import of_new_identities, overlap, taken_for


def calibrate(
    encoder: Encoding,
    data: Dataset | PairSet,
    max_fmr: float | None = None,
    *,
    unit: Unit | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    skipped: Callable[[str, str], object] | None = None,
) -> Model:
    """Sets the threshold for a promised false match rate from data of its own.

    Args:
        encoder: trained; `data` must have had no part in its training, nor in the choice of an epoch or option.
        data: labelled items, or pairs.
        max_fmr: the promise; None takes the smallest of 1e-1 to 1e-4 that the data support.
        unit: what the data are a sample of: "identity" (people or things; others will be met later) or "item" (a
            fixed list of classes). None takes "item" where nearly all identities of `data` were trained on, which
            their items tell, and never their names. Otherwise it takes "identity", and leaves out the few that were.
        seed: of the halves the calibration error is measured with.
        progress: told of encoding.
        skipped: told file and reason of each item that cannot be read.

    Raises:
        SupportError: the data cannot support `max_fmr`; says how many identities are missing.
        DataError: no pair of the same identity, or none of different ones.
    """
    if unit is None:
        met = overlap(encoder.seen, data)
        unit = taken_for(met)
        if unit == "identity" and met.identities:
            data = _enough(of_new_identities(met, data), f"{met.identities:,} of {len(met.known):,} were")
    if isinstance(data, PairSet):
        distances, pairs, unreadable = encode_pairs(encoder, data, progress)
        _tell(unreadable, skipped)
        vertex = pairs.items.labels if unit == "identity" else None
        found = calibration.calibrate_pairs(
            distances.numpy(), pairs.same,
            first=pairs.first if vertex is None else vertex[pairs.first],
            second=pairs.second if vertex is None else vertex[pairs.second],
            max_fmr=max_fmr, unit=unit, seed=seed,
        )  # fmt: skip
        found = replace(found, identities=found.identities if pairs.named else None)
    else:
        labelled = encode_labelled(encoder, data, progress)
        _tell(labelled.skipped, skipped)
        found = calibration.calibrate(
            labelled.embeddings, labelled.labels, encoder.distance_on_cpu(), max_fmr=max_fmr, unit=unit, seed=seed,
        )  # fmt: skip
    return Model(encoder, replace(found, model=encoder.fingerprint(), data=data.origin))


def _enough(data: Dataset | PairSet, known: str) -> Dataset | PairSet:
    """`data`, the new part of a set of which others were `known`.

    Raises:
        DataError: nothing can be compared.
    """
    if not data.comparable:
        raise DataError(
            "A promise for new identities is calibrated on some that were not trained on",
            known,
            "Bring others; or calibrate with unit item if later items are all of the identities trained on.",
        )
    return data


def _tell(unreadable: Iterable[tuple[str, str]], skipped: Callable[[str, str], object] | None) -> None:
    if skipped is not None:
        for file, reason in unreadable:
            skipped(file, reason)
