"""An encoder and data it has not seen -> a model that knows its threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from likewise import calibration
from likewise.calibration.rates import Unit
from likewise.data import Dataset, PairSet
from likewise.encoder import Encoder, Progress
from likewise.errors import UsageError
from likewise.matching.labelled import encode_labelled, encode_pairs
from likewise.matching.model import Model


def calibrate(
    encoder: Encoder,
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
            fixed list of classes). None takes what training showed, by whether its validation set had new identities,
            and "identity" where it showed nothing. Pairs are always taken as pairs of identities: items linked by
            pairs of the same are of one identity.
        seed: of the halves the calibration error is measured with.
        progress: told of encoding.
        skipped: told file and reason of each item that cannot be read.

    Raises:
        SupportError: the data cannot support `max_fmr`; says how many identities are missing.
        DataError: no pair of the same identity, or none of different ones.
        UsageError: `unit` "item" for pairs.
    """
    if isinstance(data, PairSet):
        if unit == "item":
            raise UsageError("Pairs are calibrated on as pairs of identities", "unit item", "Leave it out.")
        distances, pairs, unreadable = encode_pairs(encoder, data, progress)
        _tell(unreadable, skipped)
        identity = pairs.linked_identities()
        found = calibration.calibrate_pairs(
            distances.numpy(), pairs.same, first=identity[pairs.first], second=identity[pairs.second],
            max_fmr=max_fmr, unit="identity", seed=seed,
        )  # fmt: skip
    else:
        labelled = encode_labelled(encoder, data, progress)
        _tell(labelled.skipped, skipped)
        found = calibration.calibrate(
            labelled.embeddings, labelled.labels, encoder.distance_on_cpu(), max_fmr=max_fmr,
            unit=unit or default_unit(encoder), seed=seed,
        )  # fmt: skip
    return Model(encoder, replace(found, model=encoder.fingerprint(), data=data.origin))


def default_unit(encoder: Encoder) -> Unit:
    """What data are taken to be a sample of when nobody says: what training showed, and identities otherwise.

    "identity" is the careful choice: taken for a sample, few people support only modest promises; taken for a fixed
    list they would support strong ones that hold for nobody else.
    """
    return "item" if encoder.trained.get("unit") == "item" else "identity"


def _tell(unreadable: Iterable[tuple[str, str]], skipped: Callable[[str, str], object] | None) -> None:
    if skipped is not None:
        for file, reason in unreadable:
            skipped(file, reason)
