"""What models for all tasks are: an encoder, how its outputs are read, and the folder that both are kept in."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from likewise.encoder import Encoding
from likewise.errors import ModelError
from likewise.matching.folder import (
    CONFIG,
    WriteReport,
    check_owner,
    described,
    read_calibration,
    read_config,
    read_folder,
    save_seen,
    write_calibration,
    write_folder,
)
from likewise.media.files import replacing_folder


class Reading(Protocol):
    """A calibration: how the outputs of one model are read."""

    @property
    def model(self) -> str | None:
        """Fingerprint of the model."""
        ...

    def to_json(self) -> str:
        """Text of calibration.json."""
        ...


E = TypeVar("E", bound=Encoding)
C = TypeVar("C", bound=Reading)


class TaskModel(ABC, Generic[E, C]):
    """A model for one task.

    Args:
        encoder: knows its preprocessing, usually trained.
        calibration: how its outputs are read; None before it was calibrated.

    Attributes:
        task: a key of `likewise.matching.TASKS`.
    """

    task: ClassVar[str]

    def __init__(self, encoder: E, calibration: C | None = None) -> None:
        encoder.ready()
        self.encoder = encoder
        self.calibration = calibration

    @abstractmethod
    def card(self, name: str, config: dict[str, Any], figures: dict[str, Any]) -> str:
        """README.md of its folder, in Markdown.

        Args:
            name: of the folder.
            config: as in config.json.
            figures: of the report, empty without one.
        """

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what its outputs are; those of different fingerprints cannot be compared."""
        return self.encoder.fingerprint()

    def describe(self) -> dict[str, Any]:
        """What config.json says of it."""
        return described(self.encoder, self.task)

    def save(self, folder: str | PathLike[str], write_report: WriteReport | None = None) -> None:
        """Writes the folder beside its place and renames it: an older model survives whatever goes wrong.

        Args:
            folder: where to; a model folder that is there is replaced as a whole.
            write_report: fills the sub-folder ``report`` and returns figures for the card.

        Raises:
            UsageError: `folder` is there and is no model folder; or the prepare step could not be loaded again.
            DataError: it cannot be written, for example because the disk is full.
        """
        folder, config = Path(folder), self.describe()
        calibration = None if self.calibration is None else self.calibration.to_json()
        write_folder(folder, self.encoder, config, calibration, partial(self.card, folder.name, config), write_report)

    def save_calibration(self, folder: Path, name: str | None = None) -> None:
        """Puts the calibration, and what it was made with, into the model's folder; nothing else but the card changes.

        Args:
            folder: of this model.
            name: what the card calls it; None for the name of the folder.

        Raises:
            ModelError: it is not calibrated, or `folder` holds another model.
            DataError: it cannot be written.
        """
        config = read_config(folder)
        if self.calibration is None:
            raise ModelError("A calibration is saved once there is one", "a model that was never calibrated")
        check_owner(self.calibration.model, config["fingerprint"], folder)
        write_calibration(folder, self.calibration.to_json(), partial(self.card, name or folder.name, config))
        save_seen(self.encoder.seen, folder)

    def save_calibrated(self, model: Path, out: Path | None) -> None:
        """The model in the folder `model` with this calibration: there, or as a copy, report and all.

        Args:
            model: folder of this model.
            out: of the copy; None, or `model` itself, to change `model`.

        Raises:
            UsageError: `out` is there and is no model folder.
            ModelError, DataError: see `save_calibration`; what was there before is untouched.
        """
        if out is None or out.resolve() == model.resolve():
            self.save_calibration(model)
            return
        with replacing_folder(out, marker=CONFIG) as fresh:
            shutil.copytree(model, fresh, dirs_exist_ok=True)
            self.save_calibration(fresh, name=out.resolve().name)


def read_model(folder: Path, task: str, calibration_from: Callable[[str], C]) -> tuple[Encoding, C | None]:
    """The encoder and the calibration in the folder of a model for `task`.

    Args:
        folder: where it is.
        task: a key of `likewise.matching.TASKS`.
        calibration_from: reads the text of calibration.json.

    Raises:
        ModelError: a file is missing, cut short, altered, or written by a newer version; this machine's libraries give
            other outputs than the ones the model was saved with; or it is a model for another task.
    """
    encoder, config = read_folder(folder, task)
    text = read_calibration(folder)
    calibration = None if text is None else calibration_from(text)
    if calibration is not None:
        check_owner(calibration.model, config["fingerprint"], folder)
    return encoder, calibration
