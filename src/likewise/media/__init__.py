"""Pictures and sounds in and files out: the one place that decodes, and the one that overwrites without losing."""

from likewise.media.files import check_replaceable, recover_folder, replacing_file, replacing_folder
from likewise.media.kinds import Kind, kind_of
from likewise.media.pictures import (
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    content_hash,
    jpeg_bytes,
    picture_shape,
    png_bytes,
    read_cutout,
    read_picture,
    resize_picture,
)
from likewise.media.sounds import (
    MAX_SECONDS,
    SOUND_SUFFIXES,
    SoundInfo,
    read_sound,
    sound_info,
    stream_sound,
    word_bounds,
    write_sound,
)

__all__ = [
    "MAX_PIXELS",
    "MAX_SECONDS",
    "PICTURE_SUFFIXES",
    "SOUND_SUFFIXES",
    "Kind",
    "SoundInfo",
    "check_replaceable",
    "content_hash",
    "jpeg_bytes",
    "kind_of",
    "picture_shape",
    "png_bytes",
    "read_cutout",
    "read_picture",
    "read_sound",
    "recover_folder",
    "replacing_file",
    "replacing_folder",
    "resize_picture",
    "sound_info",
    "stream_sound",
    "word_bounds",
    "write_sound",
]
