"""The loss of YOLO (Redmon, Divvala, Girshick and Farhadi 2016, eq. 3): one network, one look, all boxes.

A picture is divided into a grid. Every cell predicts B boxes, each with how sure it is that there is something and
how well the box fits (the confidence), and once for the cell of which of C classes it is. The cell in which the centre
of an object lies is to find it, and of its B boxes the one that fits best already is responsible for it.

Outputs of a cell are B times (x, y, r, s, confidence) and then C numbers for the classes. x and y are the centre within
the cell, from its left upper corner, in cells. r and s are the square roots of width and height as shares of the whole
picture: the network gives the root itself, so that no root is ever taken of what it gives, and none of a negative
number. Of a negative output the width is 0, while the loss still pulls it up.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Generator, Tensor

from likewise.errors import DataError, UsageError
from likewise.objective.boxes import centred_to_corners, iou_rowwise
from likewise.objective.distances import Euclidean
from likewise.objective.objective import Objective, Outcome, positive

PER_BOX = 5  # numbers: x, y, the roots of width and height, confidence
BOX = 5  # numbers of a box that is to be found: centre x and y, width, height, class
NO_BOX = -1  # class of a row that fills up a picture with fewer boxes than others
IGNORED = -2  # class of a box that is not to be found, while to find something there is no mistake


class Grid(NamedTuple):
    """What a network says, as shares of the picture.

    Attributes:
        boxes: (N, R, S, B, 4) centre x and y, width and height.
        confidence: (N, R, S, B) how sure it is of each box.
        classes: (N, R, S, C) of which class, if there is something in the cell.
    """

    boxes: Tensor
    confidence: Tensor
    classes: Tensor

    @property
    def scores(self) -> Tensor:
        """(N, R, S, B, C) in [0, 1]: how sure it is that each box is of each class (eq. 1)."""
        return self.confidence.clamp(0, 1)[..., None] * self.classes.clamp(0, 1)[..., None, :]


class Terms(NamedTuple):
    """The five sums of eq. 3, weighted and divided by the number of pictures; each ()."""

    centre: Tensor
    size: Tensor
    object: Tensor
    no_object: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return torch.stack(self).sum()


def grid_of(outputs: Tensor, per_cell: int) -> Grid:
    """(N, R, S, B * 5 + C) outputs of a network on a grid of R rows and S columns -> what they say.

    Args:
        outputs: see the head of this file.
        per_cell: B.
    """
    rows, columns = outputs.shape[1:3]
    each = outputs[..., : per_cell * PER_BOX].unflatten(-1, (per_cell, PER_BOX))
    left = torch.arange(columns, dtype=outputs.dtype, device=outputs.device)[None, :, None]
    top = torch.arange(rows, dtype=outputs.dtype, device=outputs.device)[:, None, None]
    x, y = (left + each[..., 0]) / columns, (top + each[..., 1]) / rows
    width, height = each[..., 2].clamp_min(0).square(), each[..., 3].clamp_min(0).square()
    return Grid(torch.stack([x, y, width, height], dim=-1), each[..., 4], outputs[..., per_cell * PER_BOX :])


def yolo_terms(outputs: Tensor, boxes: Tensor, per_cell: int, *, coord: float = 5.0, no_object: float = 0.5) -> Terms:
    """Eq. 3. Where the centres of several objects lie in one cell, it is to find the largest: it has one class to give.

    Of boxes that fit alike, as at the beginning where none does, the one is responsible that the terms for centre and
    size find nearest. How well a box fits is a target like any other: no gradient flows through it.

    Args:
        outputs: (N, R, S, B * 5 + C), see the head of this file.
        boxes: (N, M, 5) centre x and y, width and height as shares of the picture, and class from 0, or -1 in rows that
            only fill up, or -2 of ignored boxes: boxes of the cells that these reach into are not to be unsure.
        per_cell: B.
        coord: lambda_coord, what centre and size count.
        no_object: lambda_noobj, what the confidence of every box counts that is not responsible, in a cell with an
            object or without.
    """
    count, rows, columns, _ = outputs.shape
    said = grid_of(outputs, per_cell)
    item, target, row, column = _objects(boxes, rows, columns)
    each = outputs[..., : per_cell * PER_BOX].unflatten(-1, (per_cell, PER_BOX))[item, row, column]  # (K, B, 5)

    x, y, root = target[:, 0] * columns - column, target[:, 1] * rows - row, target[:, 2:4].clamp_min(0).sqrt()
    off = torch.cat([each[..., 0:2] - torch.stack([x, y], -1)[:, None], each[..., 2:4] - root[:, None]], dim=-1)
    off = off.square()  # (K, B, 4)
    with torch.no_grad():
        here = centred_to_corners(said.boxes[item, row, column])
        fits = iou_rowwise(here, centred_to_corners(target[:, None, :4]))  # (K, B)
        nearest = off.sum(dim=-1)
        tied = fits == fits.amax(dim=1, keepdim=True)
        chosen = nearest.masked_fill(~tied, torch.inf).argmin(dim=1)
    found = torch.arange(len(item), device=outputs.device)
    off, fit, sure = off[found, chosen], fits[found, chosen], each[found, chosen, 4]

    idle = ~_ignored(boxes, rows, columns)[..., None].repeat(1, 1, 1, per_cell)
    idle[item, row, column, chosen] = False
    wanted = torch.zeros_like(said.classes[item, row, column])
    wanted[found, target[:, 4].long()] = 1.0
    terms = Terms(
        centre=coord * off[:, :2].sum(),
        size=coord * off[:, 2:].sum(),
        object=(sure - fit).square().sum(),
        no_object=no_object * said.confidence[idle].square().sum(),
        classes=(said.classes[item, row, column] - wanted).square().sum(),
    )
    return Terms(*(term / count for term in terms))


def _ignored(boxes: Tensor, rows: int, columns: int) -> Tensor:
    """(N, R, S) the cells that ignored boxes reach into: something is there, and what is found there is not counted."""
    corners = centred_to_corners(boxes[..., :4])
    edges = [torch.arange(count + 1, dtype=boxes.dtype, device=boxes.device) / count for count in (columns, rows)]
    across, down = (
        (corners[..., [axis]] < each[1:]) & (corners[..., [axis + 2]] > each[:-1]) for axis, each in enumerate(edges)
    )  # (N, M, S) and (N, M, R)
    inside = down[..., :, None] & across[..., None, :] & (boxes[..., 4] == IGNORED)[..., None, None]
    return inside.any(dim=1)


def _objects(boxes: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The K objects that some cell is to find: (K,) picture, (K, 5) box, (K,) row and (K,) column of the cell."""
    item, place = (boxes[..., 4] >= 0).nonzero(as_tuple=True)
    target = boxes[item, place]
    order = target[:, 2:4].prod(dim=-1).argsort(descending=True, stable=True)
    item, target = item[order], target[order]
    column = (target[:, 0] * columns).floor().long().clamp(0, columns - 1)
    row = (target[:, 1] * rows).floor().long().clamp(0, rows - 1)
    cell = (item * rows + row) * columns + column
    first = torch.full((int(cell.max()) + 1 if len(cell) else 0,), len(cell), device=boxes.device)
    first.scatter_reduce_(0, cell, torch.arange(len(cell), device=boxes.device), "amin")  # the largest of each cell
    kept = first[first < len(cell)]
    return item[kept], target[kept], row[kept], column[kept]


@final
class Yolo(Objective):
    """The loss of YOLO, on outputs (N, R, S, B * 5 + C) and boxes (N, M, 5); see `yolo_terms`.

    Args:
        per_cell: B, boxes that a cell predicts.
        coord: lambda_coord, > 0.
        no_object: lambda_noobj, > 0.

    Raises:
        UsageError: a number that cannot be.
    """

    name = "yolo"
    batches = "item"
    targets = True
    unit = False

    def __init__(self, per_cell: int = 2, coord: float = 5.0, no_object: float = 0.5) -> None:
        super().__init__()
        if per_cell < 1:
            raise UsageError("A cell predicts 1 box or more", per_cell, "2 are usual.")
        self.distance = Euclidean()
        self.per_cell = per_cell
        self.coord, self.no_object = positive("coord", coord), positive("no_object", no_object)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        given = f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
        if embeddings.ndim != 4 or labels.ndim != 3 or labels.shape[2] != BOX or len(labels) != len(embeddings):
            raise DataError("A batch is outputs (N, R, S, B * 5 + C) with boxes (N, M, 5)", given)
        classes = embeddings.shape[3] - self.per_cell * PER_BOX
        if classes < 1 or (labels.numel() and int(labels[..., 4].max()) >= classes):
            raise DataError(f"Outputs for {self.per_cell} boxes a cell have a number for every class", given)

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        terms = yolo_terms(
            embeddings, labels.to(embeddings.dtype), self.per_cell, coord=self.coord, no_object=self.no_object
        )
        return Outcome(terms.total, len(embeddings), len(embeddings))

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), **{name: getattr(self, name) for name in ("per_cell", "coord", "no_object")}}
