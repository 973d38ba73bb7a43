"""Models that come with installed packages: each is known by a name and taken wherever a model folder is.

They carry no threshold of ours; calibrating one writes a folder that has.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from likewise.calibration import Calibration
from likewise.encoder import Encoding
from likewise.errors import UsageError
from likewise.matching.folder import read_config
from likewise.matching.model import Model
from likewise.matching.task_model import read_model


@final
@dataclass(frozen=True)
class Registered:
    """What there is to know of a registered model without loading it.

    Attributes:
        build: makes its encoder, from files of installed packages.
        backbone, dim: of the encoder.
        extra: what of Likewise brings these packages.
    """

    build: Callable[[], Encoding]
    backbone: str
    dim: int
    extra: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"task": "embed", "backbone": self.backbone, "dim": self.dim, "extra": self.extra}


def _dlib_face() -> Encoding:
    from likewise.encoder.dlib_face import dlib_face

    return dlib_face()


def _vgg19() -> Encoding:
    from likewise.encoder.imagenet import vgg19_encoder

    return vgg19_encoder()


def _vgg19_average() -> Encoding:
    from likewise.encoder.imagenet import vgg19_encoder

    return vgg19_encoder("vgg19-average")


def _efficientnet_lite0() -> Encoding:
    from likewise.encoder.imagenet import efficientnet_lite0_encoder

    return efficientnet_lite0_encoder()


REGISTERED = {
    "dlib-face-128": Registered(_dlib_face, "dlib-face", 128, "faces"),
    "efficientnet-lite0": Registered(_efficientnet_lite0, "efficientnet-lite0", 1280, "imagenet"),
    "vgg19": Registered(_vgg19, "vgg19", 512, "style"),
    "vgg19-average": Registered(_vgg19_average, "vgg19-average", 512, "style"),
}


def is_registered(model: str | os.PathLike[str]) -> bool:
    """Whether a registered model is meant: a file or folder of that name comes first."""
    name = os.fspath(model)
    return name in REGISTERED and not os.path.lexists(name)


def registered(name: str) -> Model:
    """The registered model called `name`, not calibrated.

    Raises:
        UsageError: there is none, or what it needs is not installed.
        ModelError: its files are not those it was registered with.
    """
    if name not in REGISTERED:
        raise UsageError(f"A registered model is one of {', '.join(REGISTERED)}", repr(name))
    return Model(REGISTERED[name].build())


def task_of(model: str | Path) -> str:
    """What a model folder, or a registered model, is for: a key of `TASKS`.

    Raises:
        ModelError: no model.
    """
    return Model.task if is_registered(model) else str(read_config(Path(model))["task"])


def load(folder: str | Path) -> Model:
    """The model in `folder`, or the registered one of this name where no such folder is.

    Raises:
        ModelError: see `read_model`.
        UsageError: a registered model needs packages that are not installed.
    """
    if is_registered(folder):
        return registered(str(folder))
    return Model(*read_model(Path(folder), Model.task, Calibration.from_json))
