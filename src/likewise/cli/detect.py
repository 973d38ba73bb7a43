"""likewise detect, and `evaluate` and `calibrate` for a model that finds things."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.answers import say_known
from likewise.cli.console import METRICS, answer, progress, report_skipped, say, table
from likewise.cli.options import FilesArgument, Json, TrainedArgument
from likewise.cli.tasks import check_trained

if TYPE_CHECKING:
    from likewise.apps.detect import FoundBox


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(detect)


def detect(
    model: TrainedArgument,
    files: FilesArgument,
    crop: Annotated[Path | None, typer.Option(help="Folder of its own to write a picture of each thing into.")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Folder of its own to write every picture into, with boxes drawn.")
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a box; unless said, the one MODEL has set.")
    ] = None,
    overlap: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of two boxes of one label above which the surer one alone is kept."),
    ] = 0.5,
    margin: Annotated[float, typer.Option(min=0, max=10, help="Share of a box left around what is cut out.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Say what is where in FILEs: a box, a label and a score for each thing; status 1 if some file shows none."""
    from likewise.apps.detect import Detector
    from likewise.apps.detect.writing import check_folders, write_found
    from likewise.data.loaders import files_below
    from likewise.errors import DataError

    check_trained(model, Detector.task)
    loaded = Detector.load(model)
    found = [file for path in files for file in ([path / f for f in files_below(path)] if path.is_dir() else [path])]
    if not found:
        raise DataError("There is something to look at", f"no files in {', '.join(map(str, files))}")
    check_folders(crop, draw)
    with progress("looking") as bar:
        answers = loaded.detect(found, threshold=score, overlap=overlap, progress=bar)
    skipped = [(str(file), said) for file, said in zip(found, answers, strict=True) if isinstance(said, str)]
    report_skipped(skipped)
    seen = [(file, said) for file, said in zip(found, answers, strict=True) if not isinstance(said, str)]
    if not seen:
        raise DataError("At least one file can be read", skipped[0][1])
    written = write_found(seen, crop, draw, margin)
    values: dict[str, Any] = {
        "model": model,
        "threshold": loaded.threshold if score is None else score,
        "files": [{"file": str(file), "boxes": [box.as_dict() for box in boxes]} for file, boxes in seen],
        "skipped": [{"file": file, "reason": reason} for file, reason in skipped],
        "written": {name: [str(file) for file in some] for name, some in written.items()},
    }
    lines = [line(file, boxes) for file, boxes in seen]
    lines += [f"{name}: {len(some):,} in {some[0].parent}" for name, some in written.items() if some]
    answer(as_json, values, "\n".join(lines))
    if skipped or not all(boxes for _, boxes in seen):
        raise typer.Exit(1)


def line(file: Path, boxes: list[FoundBox]) -> str:
    """What was found in a picture as text."""
    said = [
        f"{one.label} {one.score:.2f} at {one.x:.0f},{one.y:.0f} {one.width:.0f} x {one.height:.0f}" for one in boxes
    ]
    return f"{file}: {'; '.join(said) or 'nothing'}"


def evaluate_boxes(
    model: str, data: str, part: str | None, out: Path | None, group_from: str | None, *, as_json: bool
) -> None:
    """Mean average precision of a model, and what it finds at its threshold."""
    from likewise.apps.detect import Detector, evaluate
    from likewise.apps.parts import items_of_part
    from likewise.data.annotations import open_boxes
    from likewise.media.files import check_outside, check_replaceable, replacing_folder

    if out is not None:
        check_outside(out, [data])
        check_replaceable(out, marker=METRICS)
    loaded, whole = Detector.load(model), open_boxes(data, group_from=group_from)
    report_skipped(whole.problems)
    opened = items_of_part(loaded.encoder.seen, whole, part, say)
    say_known(loaded, opened, ("train", "valid"), "The model was trained on {} of these {} pictures: that flatters it.")
    say_known(loaded, opened, ("tune",), "{} of these {} pictures set its threshold: how good it is shows on others.")
    with progress("looking") as bar:
        report = evaluate(loaded, opened, progress=bar)
    report_skipped(report.skipped)
    values, rows = report.as_dict(), report.rows()
    if out is not None:
        with replacing_folder(out, marker=METRICS) as fresh:
            report.write(fresh, loaded)
            values["files"] = [str(out / file.name) for file in sorted(fresh.iterdir())]
        rows.append(("files", ", ".join(values["files"])))
    answer(as_json, values, table(rows))


def calibrate_boxes(
    model: str, data: str, part: str | None, out: Path | None, precision: float | None, group_from: str | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Sets the score from which on a box counts."""
    from likewise.apps.detect import Detector
    from likewise.apps.parts import items_of_part
    from likewise.data.annotations import open_boxes
    from likewise.encoder import Seen
    from likewise.matching import CONFIG
    from likewise.media.files import check_replaceable

    if out is not None:
        check_replaceable(out, marker=CONFIG)
    loaded, whole = Detector.load(model), open_boxes(data, group_from=group_from)
    report_skipped(whole.problems)
    opened = items_of_part(loaded.encoder.seen, whole, part, say)
    say_known(loaded, opened, ("train", "valid"), "{} of these {} pictures are left out: training used them.")
    with progress("looking") as bar:
        calibrated, skipped = loaded.calibrated_on(opened, precision, bar)
    report_skipped(skipped)
    seen = Seen.of("tune", opened.contents, opened.identity_keys())
    calibrated.encoder.seen = calibrated.encoder.seen.joined(seen)
    calibrated.save_calibrated(Path(model), out)
    found = calibrated.calibration
    assert found is not None
    rows = [("threshold", f"{found.threshold:.4g}, {found.said()}")]
    for name, share in (("precision", found.precision), ("recall", found.recall)):
        if share is not None:
            rows.append((name, f"{share.value:.2%} (95%: {share.low:.2%} to {share.high:.2%})"))
    answer(as_json, {**found.as_dict(), "model": str(out or model)}, table(rows))
