"""What the outputs of an encoder say, where they are answers and no embedding."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from likewise.errors import ModelError, UsageError
from likewise.objective.yolo import PER_BOX

HeadKind = Literal["binary", "multiclass", "multilabel", "regression", "detect"]
HEADS: tuple[HeadKind, ...] = get_args(HeadKind)
MOST_NAMES = 65_536
STRIDES = (4, 8, 16, 32, 64)
ANSWERING, CELLS = ("kind", "names", "mean", "std"), ("per_cell", "stride")  # fields of all heads, and of a grid's


@final
@dataclass(frozen=True)
class Head:
    """The last layer of an encoder that answers: how many outputs it has, and what they mean.

    Attributes:
        kind: "binary", one sigmoid for the second of two classes; "multiclass", a softmax over classes of which one
            holds; "multilabel", a sigmoid for each class, of which any may hold; "regression", numbers; "detect", boxes
            and their class at every cell of a grid (`likewise.objective.grid_of`).
        names: of the classes, or of the numbers.
        mean, std: of the numbers in training, one per name: outputs are in units of their spread. Empty for classes.
        per_cell: boxes that a cell of "detect" predicts; 0 for others.
        stride: side of a cell in pixels of what the network sees; 0 for others.

    Raises:
        UsageError: another kind, names that are too few, too many or alike, spreads that are not above 0, or cells that
            cannot be.
    """

    kind: HeadKind
    names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    per_cell: int = 0
    stride: int = 0

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise UsageError(f"A head is one of {', '.join(HEADS)}", repr(self.kind))
        least, most = {"binary": (2, 2), "multiclass": (2, MOST_NAMES)}.get(self.kind, (1, MOST_NAMES))
        if not least <= len(self.names) <= most:
            count = "2 classes" if most == 2 else "a name or more" if least == 1 else f"{least} classes or more"
            raise UsageError(f"A head {self.kind} has {count}", len(self.names))
        if len(set(self.names)) < len(self.names):
            raise UsageError("Names of a head are unlike each other", ", ".join(self.names))
        wanted = len(self.names) if self.kind == "regression" else 0
        if not len(self.mean) == len(self.std) == wanted or not all(spread > 0 for spread in self.std):
            raise UsageError("A head regression, and no other, has a mean and a spread above 0 for each name", self)
        if self.kind == "detect" and not (1 <= self.per_cell <= 16 and self.stride in STRIDES):
            strides = ", ".join(map(str, STRIDES))
            raise UsageError(f"A cell has 1 to 16 boxes and a side of {strides}", f"{self.per_cell}, {self.stride}")

    @property
    def outputs(self) -> int:
        """K, how many numbers the encoder gives, here or for every cell."""
        return 1 if self.kind == "binary" else len(self.names) + self.per_cell * PER_BOX

    def answers(self, outputs: Tensor) -> Tensor:
        """(N, K) outputs -> (N, number of names): probabilities of the classes, or the numbers.

        Raises:
            UsageError: a grid, which has no one answer for a picture.
        """
        if self.kind == "detect":
            raise UsageError("A head that answers has one answer for an item", "a grid", "Use lw.Detector.")
        outputs = outputs.double()
        if self.kind == "regression":
            return outputs * outputs.new_tensor(self.std) + outputs.new_tensor(self.mean)
        if self.kind == "multiclass":
            return outputs.softmax(dim=1)
        holds = outputs.sigmoid()
        return torch.cat([1 - holds, holds], dim=1) if self.kind == "binary" else holds

    def scaled(self, targets: Tensor) -> Tensor:
        """(N, K) targets -> in the units of the outputs."""
        if self.kind != "regression":
            return targets
        return (targets - targets.new_tensor(self.mean)) / targets.new_tensor(self.std)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        of = asdict(self) if self.kind == "detect" else {name: getattr(self, name) for name in ANSWERING}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in of.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Head:
        """Inverse of `as_dict`.

        Raises:
            ModelError: a key is missing, unknown or of the wrong kind.
        """
        try:
            names = [str(name) for name in values["names"]]
            mean, std = ([float(number) for number in values[key]] for key in ("mean", "std"))
            cells = {name: int(values[name]) for name in CELLS} if values["kind"] == "detect" else {}
            return cls(values["kind"], tuple(names), tuple(mean), tuple(std), **cells)
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelError("The head of a model is complete", str(error), "Copy the folder again.") from error
