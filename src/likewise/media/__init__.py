"""Pictures in and files out: the one place that decodes, and the one that overwrites without losing."""

from likewise.media.files import check_replaceable, recover_folder, replacing_file, replacing_folder
from likewise.media.pictures import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    content_hash,
    png_bytes,
    read_picture,
    resize_picture,
)

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "check_replaceable",
    "content_hash",
    "png_bytes",
    "read_picture",
    "recover_folder",
    "replacing_file",
    "replacing_folder",
    "resize_picture",
]
