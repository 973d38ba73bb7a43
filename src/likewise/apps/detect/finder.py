"""A trained detector as the step before encoding: what it finds is cut out, and that is encoded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self, final

from safetensors.torch import save_file

from likewise.apps.detect.boxes import cut_out
from likewise.apps.detect.model import Detector
from likewise.encoder import Encoder, read_tensors
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import Pixels
from likewise.prepare import PARAMETERS, Finder, Part

MARGIN = 0.05  # of the sides of a box, left around it


@final
@dataclass(frozen=True)
class Detected(Finder):
    """What a detector finds in a picture, the surest first, cut out along its boxes.

    A model that uses one keeps its parameters in its own folder, so that it goes on working where the detector is moved
    or trained anew.

    Attributes:
        architecture: of the detector's encoder.
        fingerprint: of the detector.
        threshold: score from which on something is cut out.
        margin: share of a box left around it on each side.
        detector: with its parameters; None as long as only the description is there.
    """

    kind: ClassVar[str] = "detector"
    one: ClassVar[str] = "thing that the detector knows"
    many: ClassVar[str] = "things that the detector knows"
    searching: ClassVar[frozenset[str]] = frozenset({"architecture", "fingerprint", "threshold"})

    architecture: dict[str, Any]
    fingerprint: str
    threshold: float
    margin: float = MARGIN
    detector: Detector | None = field(default=None, repr=False, compare=False)

    @classmethod
    def called(cls, folder: str) -> Self:
        """The detector in a model folder.

        Raises:
            ModelError: it is damaged, or one for another task.
        """
        found = Detector.load(folder)
        return cls(found.encoder.architecture(), found.fingerprint, found.threshold, detector=found)

    def find(self, picture: Pixels) -> list[Part]:
        """See `Finder`.

        Raises:
            ModelError: its parameters were not read.
        """
        if self.detector is None:
            raise ModelError("A detector that finds has its parameters", "its description alone", "Load its model.")
        found = self.detector.boxes_in_picture(picture, self.threshold)
        return [cut_out(picture, box, self.margin) for box in found.boxes.tolist()]

    def sources(self) -> dict[str, str]:
        """See `Finder`."""
        return {"detector": self.fingerprint}

    def as_dict(self) -> dict[str, Any]:
        """See `Finder`."""
        of = asdict(replace(self, detector=None))
        del of["detector"]
        return {"kind": self.kind, **of, "sources": self.sources()}

    def write_parameters(self, folder: Path) -> None:
        """See `Finder`."""
        if self.detector is None:
            raise UsageError("A detector is kept with its parameters", "its description alone")
        save_file(self.detector.encoder.parameters_for_use(), folder / PARAMETERS)

    def read_parameters(self, folder: Path) -> Self:
        """See `Finder`."""
        encoder = Encoder.from_architecture(self.architecture)
        try:
            encoder.load_state_dict(read_tensors(folder / PARAMETERS))
        except RuntimeError as error:
            raise ModelError("A detector's parameters fit it", str(error).split("\n")[1].strip()) from error
        if encoder.fingerprint() != self.fingerprint:
            raise ModelError(
                "A model's prepare step finds what it found when the model was made",
                f"another detector in {str(folder / PARAMETERS)!r}",
                "Copy the folder again.",
            )
        return replace(self, detector=Detector(encoder.eval()))
