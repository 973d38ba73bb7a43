"""Boxes in pictures as others write them down: Pascal VOC, COCO and YOLO, read and written."""

from likewise.data.annotations.opening import box_format, open_boxes
from likewise.data.annotations.writing import FORMATS, write_boxes

__all__ = ["FORMATS", "box_format", "open_boxes", "write_boxes"]
