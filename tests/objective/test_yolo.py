"""The loss of YOLO, against loops that follow eq. 3 of the paper term by term, and on cells one can draw."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from likewise.errors import DataError, UsageError
from likewise.objective import Yolo, grid_of, yolo_terms


def naive(outputs, boxes, per_cell, coord=5.0, no_object=0.5):
    """Eq. 3 with its five sums, in plain Python; `boxes` as (picture, x, y, w, h, class)."""
    pictures, rows, columns, _ = outputs.shape
    out = outputs.tolist()
    centre = size = obj = noobj = classes = 0.0
    for n in range(pictures):
        for i in range(rows):
            for j in range(columns):
                cell = out[n][i][j]
                said = cell[per_cell * 5 :]
                ignored = any(
                    box[0] == n and box[5] == -2
                    and abs(box[1] - (j + 0.5) / columns) < box[3] / 2 + 0.5 / columns
                    and abs(box[2] - (i + 0.5) / rows) < box[4] / 2 + 0.5 / rows
                    for box in boxes
                )  # fmt: skip
                inside = [
                    box for box in boxes
                    if box[0] == n and box[5] >= 0
                    and math.floor(box[1] * columns) == j and math.floor(box[2] * rows) == i
                ]  # fmt: skip
                truth = max(inside, key=lambda box: box[3] * box[4], default=None)
                responsible = None
                if truth is not None:
                    ious, far = [], []
                    for b in range(per_cell):
                        x, y, r, s, _ = cell[b * 5 : b * 5 + 5]
                        width, height = max(r, 0) ** 2, max(s, 0) ** 2
                        ious.append(iou(((j + x) / columns, (i + y) / rows, width, height), truth[1:5]))
                        tx, ty = truth[1] * columns - j, truth[2] * rows - i
                        far.append(
                            (x - tx) ** 2 + (y - ty) ** 2
                            + (r - math.sqrt(truth[3])) ** 2 + (s - math.sqrt(truth[4])) ** 2
                        )  # fmt: skip
                    responsible = min(range(per_cell), key=lambda b: (-ious[b], far[b]))
                for b in range(per_cell):
                    x, y, r, s, confidence = cell[b * 5 : b * 5 + 5]
                    if b == responsible:
                        tx, ty = truth[1] * columns - j, truth[2] * rows - i
                        centre += coord * ((x - tx) ** 2 + (y - ty) ** 2)
                        size += coord * ((r - math.sqrt(truth[3])) ** 2 + (s - math.sqrt(truth[4])) ** 2)
                        obj += (confidence - ious[b]) ** 2
                    elif not ignored:
                        noobj += no_object * confidence**2
                if truth is not None:
                    classes += sum((p - (c == truth[5])) ** 2 for c, p in enumerate(said))
    return [value / pictures for value in (centre, size, obj, noobj, classes)]


def iou(a, b):
    across = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    down = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    shared = max(across, 0) * max(down, 0)
    both = a[2] * a[3] + b[2] * b[3] - shared
    return shared / both if both else 0.0


def padded(boxes, pictures):
    """(N, M, 5) of a list of (picture, x, y, w, h, class)."""
    most = max(1, *(sum(box[0] == n for box in boxes) for n in range(pictures))) if boxes else 1
    found = torch.zeros(pictures, most, 5, dtype=torch.float64)
    found[..., 4] = -1
    for n in range(pictures):
        for place, box in enumerate(box for box in boxes if box[0] == n):
            found[n, place] = torch.tensor(box[1:], dtype=torch.float64)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 7),
)
def test_it_is_the_paper_s_sums(seed, pictures, grid, per_cell, classes, objects):
    random = torch.Generator().manual_seed(seed)
    outputs = torch.rand(pictures, *grid, per_cell * 5 + classes, generator=random, dtype=torch.float64) * 1.6 - 0.3
    drawn = torch.rand(objects, 4, generator=random, dtype=torch.float64)
    boxes = [
        (int(seed + k) % pictures, *(0.02 + 0.96 * drawn[k, :2]).tolist(), *(0.01 + 0.9 * drawn[k, 2:]).tolist(),
         -2 if (seed + k) % 3 == 0 else (seed + 3 * k) % classes)
        for k in range(objects)
    ]  # fmt: skip
    found = yolo_terms(outputs, padded(boxes, pictures), per_cell, coord=5.0, no_object=0.5)
    assert [float(term) for term in found] == pytest.approx(naive(outputs, boxes, per_cell), rel=1e-9, abs=1e-12)


def one_cell(*numbers):
    return torch.tensor(numbers, dtype=torch.float64).view(1, 1, 1, -1)


def test_the_confidence_of_a_responsible_box_is_to_be_its_iou():
    # Said: the left half of the picture; true: all of it. IoU 1/2, and a confidence of 1/2 costs nothing.
    left_half = (0.25, 0.5, math.sqrt(0.5), 1.0)
    truth = padded([(0, 0.5, 0.5, 1.0, 1.0, 0)], 1)
    assert yolo_terms(one_cell(*left_half, 0.5, 1.0), truth, 1).object.item() == pytest.approx(0, abs=1e-20)
    assert yolo_terms(one_cell(*left_half, 1.0, 1.0), truth, 1).object.item() == pytest.approx(0.25)


def test_every_box_that_is_not_responsible_is_to_be_unsure_also_beside_one_that_is():
    fits, other = (0.5, 0.5, 1.0, 1.0, 1.0), (0.5, 0.5, 0.2, 0.2, 0.6)
    terms = yolo_terms(one_cell(*other, *fits, 1.0), padded([(0, 0.5, 0.5, 1, 1, 0)], 1), 2)
    assert [float(term) for term in terms] == pytest.approx([0, 0, 0, 0.5 * 0.36, 0], abs=1e-20)
    empty = yolo_terms(one_cell(*other, *fits, 1.0), padded([], 1), 2)
    assert [float(term) for term in empty] == pytest.approx([0, 0, 0, 0.5 * (0.36 + 1), 0])


def test_two_pixels_cost_more_on_a_small_box():
    def cost(side):  # of a box of `side` pixels, in a picture of 100, that is said to be 2 pixels wider
        said = one_cell(0.5, 0.5, math.sqrt((side + 2) / 100), math.sqrt(side / 100), 0.0, 1.0)
        return yolo_terms(said, padded([(0, 0.5, 0.5, side / 100, side / 100, 0)], 1), 1).size.item()

    assert cost(10) == pytest.approx(5 * (math.sqrt(0.12) - math.sqrt(0.10)) ** 2)
    assert cost(10) > 5 * cost(60)


def test_what_is_said_with_negative_roots_has_no_width_and_is_pulled_up():
    outputs = one_cell(0.5, 0.5, -0.4, -0.1, 0.3, 0.2).requires_grad_()
    terms = yolo_terms(outputs, padded([(0, 0.5, 0.5, 0.25, 0.25, 0)], 1), 1)
    terms.total.backward()
    assert grid_of(outputs.detach(), 1).boxes[0, 0, 0, 0].tolist() == [0.5, 0.5, 0, 0]
    assert outputs.grad.isfinite().all()
    assert outputs.grad[0, 0, 0, 2] == pytest.approx(2 * 5 * (-0.4 - 0.5))


def test_no_gradient_flows_through_the_iou():
    outputs = one_cell(0.4, 0.5, 0.8, 0.9, 0.1, 1.0).requires_grad_()
    yolo_terms(outputs, padded([(0, 0.5, 0.5, 1, 1, 0)], 1), 1).object.backward()
    assert outputs.grad.flatten().nonzero().flatten().tolist() == [4]  # the confidence, and nothing else


def test_what_is_said_where_an_ignored_box_lies_has_no_gradient():
    random = torch.Generator().manual_seed(1)
    outputs = torch.rand(1, 4, 4, 2 * 5 + 3, generator=random, dtype=torch.float64).requires_grad_()
    boxes = padded([(0, 0.5, 0.5, 0.4, 0.2, -2)], 1)  # reaches into the four cells in the middle
    yolo_terms(outputs, boxes, 2).total.backward()
    moved = (outputs.grad != 0).any(dim=-1)[0]
    expected = torch.ones(4, 4, dtype=torch.bool)
    expected[1:3, 1:3] = False
    assert torch.equal(moved, expected)


def test_an_object_beside_an_ignored_one_in_its_cell_is_learned_all_the_same():
    outputs = one_cell(0.4, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.9, 0.9, 0.6, 1.0)
    thing = (0, 0.4, 0.5, 0.25, 0.25, 0)
    alone, both = (yolo_terms(outputs, padded(some, 1), 2) for some in ([thing], [thing, (0, 0.8, 0.8, 0.2, 0.2, -2)]))
    assert both._replace(no_object=alone.no_object) == alone
    assert (alone.no_object, both.no_object) == (pytest.approx(0.5 * 0.36), 0)


def test_the_sum_is_divided_by_the_pictures():
    random = torch.Generator().manual_seed(0)
    outputs = torch.rand(1, 3, 3, 11, generator=random, dtype=torch.float64)
    boxes = padded([(0, 0.3, 0.4, 0.2, 0.3, 0)], 1)
    once, twice = (Yolo(2)(outputs.repeat(n, 1, 1, 1), boxes.repeat(n, 1, 1)) for n in (1, 2))
    assert float(once) == pytest.approx(float(twice), rel=1e-12)


def test_gradients_are_those_of_differences():
    random = torch.Generator().manual_seed(3)
    outputs = torch.rand(2, 2, 3, 12, generator=random, dtype=torch.float64).requires_grad_()
    boxes = padded([(0, 0.3, 0.4, 0.2, 0.3, 0), (0, 0.9, 0.9, 0.2, 0.2, 1), (1, 0.5, 0.1, 0.5, 0.1, 1)], 2)

    def without_the_iou(out):  # which is no path of the gradient, but of a difference
        terms = yolo_terms(out, boxes, 2)
        return terms.centre + terms.size + terms.no_object + terms.classes

    assert torch.autograd.gradcheck(without_the_iou, (outputs,))


def test_of_two_objects_in_a_cell_the_larger_is_to_be_found():
    boxes = padded([(0, 0.2, 0.2, 0.1, 0.1, 0), (0, 0.6, 0.6, 0.5, 0.5, 1)], 1)
    exact = one_cell(0.6, 0.6, math.sqrt(0.5), math.sqrt(0.5), 1.0, 0.0, 1.0)
    assert yolo_terms(exact, boxes, 1).total.item() == pytest.approx(0, abs=1e-20)


def test_boxes_of_a_grid_are_shares_of_the_picture():
    outputs = torch.zeros(1, 2, 4, 7)
    outputs[0, 1, 2] = torch.tensor([0.5, 0.25, 0.5, 0.2, 0.8, 0.5, 1.5])
    said = grid_of(outputs, 1)
    assert said.boxes[0, 1, 2, 0].tolist() == pytest.approx([2.5 / 4, 1.25 / 2, 0.25, 0.04])
    assert said.scores[0, 1, 2, 0].tolist() == pytest.approx([0.4, 0.8])  # no probability is above 1


@pytest.mark.parametrize(
    ("outputs", "boxes"),
    [((1, 2, 2, 11), (2, 1, 5)), ((1, 2, 11), (1, 1, 5)), ((1, 2, 2, 11), (1, 1, 4)), ((1, 2, 2, 10), (1, 1, 5))],
)
def test_other_shapes_are_refused(outputs, boxes):
    with pytest.raises(DataError):
        Yolo(2)(torch.zeros(outputs), torch.zeros(boxes))


def test_classes_beyond_the_outputs_are_refused():
    with pytest.raises(DataError, match="every class"):
        Yolo(2)(torch.zeros(1, 2, 2, 11), torch.tensor([[[0.5, 0.5, 0.1, 0.1, 1.0]]]))


@pytest.mark.parametrize("options", [{"per_cell": 0}, {"coord": 0}, {"no_object": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError):
        Yolo(**options)
