"""`evaluate` and `calibrate` for a model that classifies, and what they and `train` read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.console import METRICS, answer, progress, report_skipped, say, table
from likewise.cli.mistakes import check_places, tell_mistakes

if TYPE_CHECKING:
    from likewise.apps.classify import Classifier
    from likewise.apps.detect import Detector
    from likewise.data import BoxSet, Dataset


def names_in(text: str | None) -> tuple[str, ...]:
    """("a", "b") of "a,b"."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def labelled_items(data: str, *, group_from: str | None, targets: tuple[str, ...]) -> Dataset:
    """DATA, which are no pairs.

    Raises:
        UsageError: they are.
    """
    from likewise.data import PairSet, open_data
    from likewise.errors import UsageError

    opened = open_data(data, group_from=group_from, targets=targets)
    if isinstance(opened, PairSet):
        raise UsageError("Items to classify have labels or targets", "a pairs file", "List the items in a manifest.")
    return opened


def items_for(model: Classifier, data: str, group_from: str | None) -> Dataset:
    """DATA with what `model` answers: columns of its names, or else labels.

    Raises:
        DataError: a manifest without one of these columns.
    """
    from likewise.data.opening import MANIFEST_SUFFIXES, columns_of
    from likewise.errors import DataError

    columns = model.encoder.trained.get("columns", model.head.kind in ("multilabel", "regression"))
    if columns and Path(data).suffix.lower() in MANIFEST_SUFFIXES and Path(data).is_file():
        held = columns_of(Path(data))
        if missing := [name for name in model.head.names if name not in held]:
            raise DataError(
                f"Data to measure a model by have what it answers: {', '.join(model.head.names)}",
                f"no column {', '.join(missing)} in {data!r}",
                "Add it, or take a model that answers what there is.",
            )
    return labelled_items(data, group_from=group_from, targets=model.head.names if columns else ())


def evaluate_answers(
    model: str,
    data: str,
    part: str | None,
    out: Path | None,
    errors: Path | None,
    group_from: str | None,
    *,
    as_json: bool,
) -> None:
    """How often a model is right, whether its probabilities are what they say, and where it is wrong."""
    from likewise.apps.classify import Classifier, report_on
    from likewise.apps.mistakes import mistakes_in
    from likewise.apps.parts import part_of
    from likewise.data import Dataset
    from likewise.media.files import replacing_folder

    check_places(out, errors)
    loaded = Classifier.load(model)
    whole = items_for(loaded, data, group_from)
    opened = part_of(loaded, whole, part, say)
    assert isinstance(opened, Dataset)  # as the whole is
    say_known(
        loaded, opened, ("valid",), "{} of these {} items chose the epoch that was kept, which flatters it a little."
    )
    say_known(loaded, opened, ("tune",), "{} of these {} items calibrated the model: whether it is, shows on others.")
    with progress("encoding") as bar:
        given = loaded.outputs_for(opened, bar)
    report = report_on(loaded, given)
    report_skipped(report.skipped)
    values, rows = report.as_dict(), report.rows()
    if out is not None:
        with replacing_folder(out, marker=METRICS) as fresh:
            values["files"] = [str(out / file.name) for file in report.write(fresh)]
        rows.append(("files", ", ".join(values["files"])))
    if errors is not None:
        tell_mistakes(mistakes_in(loaded, given, whole), errors, values, rows)
    answer(as_json, values, table(rows))


def calibrate_answers(model: str, data: str, out: Path | None, group_from: str | None, *, as_json: bool) -> None:
    """Learns how the outputs of a model are to be read, from items that training did not use."""
    from likewise.apps.classify import Classifier
    from likewise.encoder import Seen
    from likewise.matching import CONFIG
    from likewise.media.files import check_replaceable

    if out is not None:
        check_replaceable(out, marker=CONFIG)
    loaded = Classifier.load(model)
    opened = items_for(loaded, data, group_from)
    with progress("encoding") as bar:
        calibrated, given = loaded.calibrated_on(opened, bar)
    say_known(loaded, opened, ("train", "valid"), "{} of these {} items were used in training, and are left out.")
    report_skipped(given.skipped)
    seen = Seen.of("tune", given.data.contents, given.data.identity_keys())
    calibrated.encoder.seen = calibrated.encoder.seen.joined(seen)
    calibrated.save_calibrated(Path(model), out)
    found = calibrated.calibration
    assert found is not None
    names = calibrated.head.names
    values: dict[str, Any] = {
        "temperature": found.temperature,
        "thresholds": dict(zip(names, found.thresholds, strict=False)),
        "half_widths": dict(zip(names, found.half_widths, strict=False)),
        "items": found.items,
        "groups": found.groups,
        "data": found.data,
        "model": str(out or model),
    }
    # No figures: of the items that set it, a calibration is always right.
    rows: list[tuple[str, object]] = [("from", f"{found.sample()} of {found.data}")]
    if calibrated.head.kind != "regression":
        rows.insert(0, ("temperature", f"{found.temperature:.4g}"))
    rows += [(f"{name} holds from", f"{bar:.3g}") for name, bar in values["thresholds"].items()]
    rows += [(f"90% of {name}", f"within {width:.4g}") for name, width in values["half_widths"].items()]
    if calibrated.head.kind == "regression" and not found.half_widths:
        rows.append(("intervals", found.lacking()))
    answer(as_json, values, table(rows))


def say_known(model: Classifier | Detector, data: Dataset | BoxSet, uses: tuple[str, ...], text: str) -> None:
    """How many of `data` the model had for `uses`, in `text`, if any."""
    known = int(model.encoder.seen.used_for(data.contents, *uses).sum())
    if known:
        say(text.format(f"{known:,}", f"{len(data):,}"))
