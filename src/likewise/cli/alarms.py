"""`evaluate` and `calibrate` for a model that hears a word."""

from __future__ import annotations

from pathlib import Path

from likewise.cli.console import METRICS, answer, progress, report_skipped, say, table
from likewise.cli.mistakes import check_places, tell_mistakes


def evaluate_word(
    model: str,
    data: str,
    out: Path | None,
    errors: Path | None,
    per_hour: float | None,
    threshold: float | None,
    *,
    as_json: bool,
) -> None:
    """Misses and false alarms of a model on clips."""
    from likewise.apps.mistakes import mistakes_heard
    from likewise.apps.triggerword import TriggerWord
    from likewise.apps.triggerword.report import report_on
    from likewise.data import clips
    from likewise.media.files import replacing_folder

    check_places(out, errors)
    loaded, opened = TriggerWord.load(model), clips(data)
    rule = loaded.rule(per_hour, threshold)
    with progress("listening") as bar:
        heard, skipped = loaded.hear(opened, hits=rule.hits, refractory=rule.refractory, progress=bar)
    report = report_on(loaded, heard, per_hour=per_hour, threshold=threshold, skipped=skipped)
    report_skipped(report.skipped)
    values, rows = report.as_dict(), report.rows()
    if out is not None:
        with replacing_folder(out, marker=METRICS) as fresh:
            values["files"] = [str(out / file.name) for file in report.write(fresh)]
        rows.append(("files", ", ".join(values["files"])))
    if errors is not None:
        tell_mistakes(mistakes_heard(loaded, heard, rule.threshold, skipped), errors, values, rows)
    answer(as_json, values, table(rows))


def calibrate_word(
    model: str,
    data: str,
    out: Path | None,
    per_hour: float,
    hits: int | None,
    refractory: float | None,
    *,
    as_json: bool,
) -> None:
    """Sets the threshold of a model for a promised number of false alarms per hour."""
    from likewise.apps.triggerword import TriggerWord, calibrate
    from likewise.apps.triggerword.measure import rates
    from likewise.data import clips
    from likewise.matching import CONFIG
    from likewise.media.files import check_replaceable

    if out is not None:
        check_replaceable(out, marker=CONFIG)
    loaded, opened = TriggerWord.load(model), clips(data)
    rule = loaded.event_shape(hits, refractory)
    with progress("listening") as bar:
        calibrated, skipped = calibrate(loaded, opened, per_hour, hits=rule[0], refractory=rule[1], progress=bar)
    report_skipped(skipped)
    calibrated.remember(opened)
    calibrated.save_calibrated(Path(model), out)
    promised = calibrated.calibration
    assert promised is not None
    line = promised.line_for()
    missed = line.miss_rate
    if (warning := line.warning()) is not None:
        say(warning)
    values = {
        "per_hour": line.promised,
        "threshold": line.threshold,
        "false_alarms": line.alarms,
        **rates(missed, line.alarms_per_hour),
        "hours": promised.hours,
        "words": promised.words,
        "data": promised.data,
        "model": str(out or model),
    }
    rows = [
        ("promised", f"at most {line.promised:g} false alarms per hour"),
        ("threshold", f"{line.threshold:.6g}, {promised.hits} steps in a row"),
        ("false alarms", f"{line.alarms} in {promised.hours:.3g} h of {promised.data}"),
    ]
    if missed is not None:
        interval = f"95%: {missed.low:.2%} to {missed.high:.2%}"
        rows.append(("misses", f"{missed.value:.2%} of {promised.words} words ({interval})"))
    answer(as_json, values, table(rows))
