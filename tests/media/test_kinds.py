from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from likewise.media.kinds import kind_of
from likewise.media.pictures import PICTURE_SUFFIXES
from likewise.media.sounds import SOUND_SUFFIXES


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ("a/DSC_1.JPG", "picture"),
        (Path("a.b/c.WAV"), "sound"),
        (PurePosixPath("x.flac"), "sound"),
        ("words.zip:yes/1.opus", "sound"),
        ("notes.txt", None),
        ("wav", None),
        (".wav", None),
        ("", None),
        (np.zeros(800), "sound"),
        (np.zeros((8, 8)), "picture"),
        (np.zeros((8, 8, 3)), "picture"),
    ],
)
def test_kinds(item, kind):
    assert kind_of(item) == kind


def test_no_suffix_is_of_both():
    assert not PICTURE_SUFFIXES & SOUND_SUFFIXES
    assert {suffix.lower() for suffix in SOUND_SUFFIXES} == SOUND_SUFFIXES
