"""A trained detector as the step before encoding: what it finds is cut out, and that is encoded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self, final

from likewise.apps.detect.boxes import cut_out
from likewise.apps.detect.model import Detector
from likewise.encoder import Encoder
from likewise.errors import ModelError
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
        found = self._known().boxes_in_picture(picture, self.threshold)
        return [cut_out(picture, box, self.margin) for box in found.boxes.tolist()]

    def sources(self) -> dict[str, str]:
        """See `Finder`."""
        return {"detector": self.fingerprint}

    def as_dict(self) -> dict[str, Any]:
        """See `Finder`."""
        of = asdict(replace(self, detector=None))
        del of["detector"]
        return {"kind": self.kind, **of, "sources": self.sources()}

    def parameters(self) -> dict[str, Any]:
        """See `Finder`.

        Raises:
            ModelError: its own were not read.
        """
        return self._known().encoder.parameters_for_use()

    def with_parameters(self, tensors: dict[str, Any]) -> Self:
        """See `Finder`."""
        encoder = Encoder.from_architecture(self.architecture)
        try:
            encoder.load_state_dict(tensors)
        except RuntimeError as error:
            reason = "\n".join(str(error).split("\n")[1:2]).strip()
            raise ModelError("A detector's parameters fit it", reason, "Copy the folder again.") from error
        if encoder.fingerprint() != self.fingerprint:
            raise ModelError(
                "A model's prepare step finds what it found when the model was made",
                f"another detector in {PARAMETERS}",
                "Copy the folder again.",
            )
        return replace(self, detector=Detector(encoder.eval()))

    def _known(self) -> Detector:
        if self.detector is None:
            raise ModelError("A detector that finds has its parameters", "its description alone", "Load its model.")
        return self.detector
