"""likewise models: list, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from likewise.cli.console import answer, table
from likewise.cli.options import Json, ModelArgument


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Model folders, and models known by name.")
    group.command("list")(list_)
    group.command()(info)
    app.add_typer(group, name="models")


def list_(
    where: Annotated[Path, typer.Argument(metavar="DIR", help="Where to look.")] = Path(),
    as_json: Json = False,
) -> None:
    """Model folders in DIR (here unless said), and the models that are known by name."""
    from likewise.encoder.files import NETWORK, PARAMETERS
    from likewise.errors import DataError, ModelError
    from likewise.matching import CONFIG, REGISTERED, read_config

    if not where.is_dir():
        raise DataError("Models are looked for in a folder", f"{str(where)!r}, which is not one")
    found: list[dict[str, object]] = []
    rows: list[tuple[str, str]] = []
    for config in sorted(where.glob(f"*/{CONFIG}")):
        folder = str(config.parent)
        try:
            values = read_config(config.parent)
        except ModelError as error:
            # Without them it is another program's config.json.
            if any((config.parent / name).exists() for name in (PARAMETERS, NETWORK)):
                found.append({"model": folder, "problem": str(error)})
                rows.append((folder, f"unreadable: {error}"))
            continue
        made = values["architecture"]
        found.append(
            {
                "model": folder,
                "task": values["task"],
                "backbone": made["backbone"],
                "dim": made["dim"],
            }
        )
        rows.append((folder, f"{values['task']}, {made['backbone']}, {made['dim']}-d"))
    known = [{"model": name, **model.as_dict()} for name, model in REGISTERED.items()]
    rows += [
        (name, f"embed, {model.backbone}, {model.dim}-d; known by name, needs likewise[{model.extra}]")
        for name, model in REGISTERED.items()
    ]
    answer(as_json, {"models": found, "registered": known}, table(rows))


def info(model: ModelArgument, as_json: Json = False) -> None:
    """What a model is, how it was trained, and what it promises; loading it checks every file."""
    from likewise.encoder import said
    from likewise.matching import EMBED, is_registered, load, read_config, task_of

    task = task_of(model)
    if task == "classify":
        _info_of_answers(model, as_json)
        return
    if task == "detect":
        _info_of_boxes(model, as_json)
        return
    if task != EMBED:
        _info_of_word(model, as_json)
        return
    loaded = load(model)
    config = loaded.describe() if is_registered(model) else read_config(Path(model))
    calibration = loaded.calibration
    values = {
        **config,
        "parameters": loaded.encoder.parameters_count,
        "calibration": None if calibration is None else calibration.as_dict(),
    }
    made = config["architecture"]
    prepare = made["preprocessing"].get("prepare")  # what looks for the parts that are encoded
    rows: list[tuple[str, object]] = [
        ("task", config["task"]),
        ("encoder", f"{made['backbone']}, {loaded.encoder.parameters_count:,} parameters"),
        ("takes", said(made["preprocessing"])),
        *((("looks for", prepare["kind"]),) if prepare else ()),
        ("gives", f"{made['dim']} numbers{', unit length' if made['unit'] else ''}"),
        ("distance", made["distance"]["name"]),
        ("taps", ", ".join(made["taps"])),
        ("trained on", config["trained"].get("data", "nothing")),
        ("fingerprint", config["fingerprint"]),
    ]
    for line in calibration.thresholds if calibration else ():
        kept = "" if line.supported else " (too few data to support it)"
        rows.append((f"at FMR {line.promised:g}", f"threshold {line.threshold:.4g}{kept}"))
    if calibration is None:
        rows.append(("calibrated", "no"))
    if loaded.encoder.published is not None:
        rows.append(("published", f"threshold {loaded.encoder.published:g}, which its makers give; no promise of ours"))
    answer(as_json, values, table(rows))


def _info_of_answers(model: str, as_json: bool) -> None:
    from dataclasses import asdict

    from likewise.apps.classify import Classifier
    from likewise.encoder import said
    from likewise.matching import read_config

    loaded, config = Classifier.load(model), read_config(Path(model))
    count, calibration = loaded.encoder.parameters_count, loaded.calibration
    values = {**config, "parameters": count, "calibration": None if calibration is None else asdict(calibration)}
    made = config["architecture"]
    rows: list[tuple[str, object]] = [
        ("task", f"classify: {loaded.head.kind}"),
        ("encoder", f"{made['backbone']}, {count:,} parameters"),
        ("takes", said(made["preprocessing"])),
        ("answers", ", ".join(loaded.head.names)),
        ("taps", ", ".join(made["taps"])),
        ("trained on", config["trained"].get("data", "nothing")),
        ("fingerprint", config["fingerprint"]),
        ("calibrated", "no" if calibration is None else f"on {calibration.items:,} items of {calibration.data}"),
    ]
    answer(as_json, values, table(rows))


def _info_of_boxes(model: str, as_json: bool) -> None:
    from likewise.apps.detect import Detector
    from likewise.encoder import begun_with, said
    from likewise.matching import read_config

    loaded, config = Detector.load(model), read_config(Path(model))
    count, calibration = loaded.encoder.parameters_count, loaded.calibration
    values = {**config, "parameters": count, "calibration": None if calibration is None else calibration.as_dict()}
    made, (rows_, columns, _) = config["architecture"], loaded.encoder.embedded
    rows: list[tuple[str, object]] = [
        ("task", "detect: says what is where"),
        ("encoder", f"{made['backbone']}, {count:,} parameters"),
        *((("holds weights of", others),) if (others := begun_with(config["trained"])) is not None else ()),
        ("takes", said(made["preprocessing"])),
        ("finds", ", ".join(loaded.head.names)),
        ("looks at", f"{rows_} x {columns} cells of {loaded.head.stride} pixels, {loaded.head.per_cell} boxes each"),
        ("taps", ", ".join(made["taps"])),
        ("trained on", config["trained"].get("data", "nothing")),
        ("fingerprint", config["fingerprint"]),
        ("threshold", f"{loaded.threshold:.4g}, {'not set' if calibration is None else calibration.said()}"),
    ]
    answer(as_json, values, table(rows))


def _info_of_word(model: str, as_json: bool) -> None:
    from likewise.apps.triggerword import TriggerWord
    from likewise.encoder import begun_with, said
    from likewise.matching import read_config

    loaded, config = TriggerWord.load(model), read_config(Path(model))
    count, promised = loaded.encoder.parameters_count, loaded.calibration
    values = {**config, "parameters": count, "calibration": None if promised is None else promised.as_dict()}
    made, step = config["architecture"], loaded.times.every / loaded.sounds.rate
    rows: list[tuple[str, object]] = [
        ("task", "triggerword: hears a word"),
        ("encoder", f"{made['backbone']}, {count:,} parameters"),
        *((("holds weights of", others),) if (others := begun_with(config["trained"])) is not None else ()),
        ("hears", f"streams at {loaded.sounds.rate:,} Hz; trained on {said(made['preprocessing'])}"),
        ("gives", f"a probability every {1000 * step:g} ms"),
        ("taps", ", ".join(made["taps"])),
        ("trained on", config["trained"].get("data", "nothing")),
        ("fingerprint", config["fingerprint"]),
    ]
    for line in () if promised is None else promised.lines:
        rows.append((f"at {line.promised:g} per hour", f"threshold {line.threshold:.6g}"))
    if promised is None:
        rows.append(("calibrated", "no"))
    answer(as_json, values, table(rows))
