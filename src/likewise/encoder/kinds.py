"""The kinds of items there are, and which one a set is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

from likewise.encoder.pictures import Pictures
from likewise.encoder.preprocessing import Item, Preprocessing
from likewise.encoder.sounds import Sounds
from likewise.errors import ModelError, UsageError
from likewise.media.kinds import kind_of
from likewise.media.pictures import Resize
from likewise.prepare import Finder

KINDS: dict[str, type[Preprocessing]] = {kind.kind: kind for kind in (Pictures, Sounds)}
_SOUND_BEGINNINGS = (b"fLaC", b"OggS", b"FORM", b"ID3", b".snd", b"caff")


def preprocessing_from(values: dict[str, Any]) -> Preprocessing:
    """Inverse of `Preprocessing.as_dict`.

    Raises:
        ModelError: it is of no kind that this version knows, or not whole.
    """
    kind = values.get("kind") if isinstance(values, dict) else values  # pyright: ignore[reportUnnecessaryIsInstance]
    if kind not in KINDS:
        raise ModelError(f"A model encodes {' or '.join(KINDS)}s", repr(kind), "Use the version that wrote it.")
    return KINDS[kind].from_dict(values)


def said(values: dict[str, Any]) -> str:
    """What items become, in words, of what `Preprocessing.as_dict` gave; needs nothing installed."""
    return KINDS[values["kind"]].said(values)


@final
@dataclass(frozen=True)
class Wanted:
    """What is asked of a preprocessing that is otherwise to suit the data.

    Attributes:
        size: side, or (height, width), in pixels that pictures are brought to; None for what suits them.
        resize: how: "squash", "pad" or "crop".
        grey: without colour, whether or not they have some.
        prepare: finds the parts of a picture that are encoded; None to encode all of it.
        seconds: that sounds are brought to; None for what suits them.
        rate: hertz of sounds; None for what suits them.
    """

    size: int | tuple[int, int] | None = None
    resize: Resize | None = None
    grey: bool = False
    prepare: Finder | None = None
    seconds: float | None = None
    rate: int | None = None

    def suiting(self, items: Sequence[Item] | NDArray[Any]) -> Preprocessing:
        """The preprocessing for `items`, of one kind; mean and std are still to be set (`standardised`).

        Raises:
            DataError: nothing can be read.
            UsageError: something is asked of pictures that is for sounds, or the other way round.
        """
        sounds = are_sounds(items)
        foreign = ("size", "resize", "grey", "prepare") if sounds else ("seconds", "rate")
        asked = [name for name in foreign if getattr(self, name) not in (None, False)]
        if asked:
            kinds = ("pictures", "sounds") if sounds else ("sounds", "pictures")
            raise UsageError(f"{', '.join(asked)} is for {kinds[0]}", kinds[1], "Leave it out.")
        if sounds:
            return Sounds.of(items, self.seconds, self.rate)
        return Pictures.of(items, self.size, self.resize or "squash", self.prepare, grey=self.grey)


def are_sounds(items: Sequence[Item] | NDArray[Any]) -> bool:
    """Whether a set is one of sounds, by its first item: its name, how its bytes begin, or its shape (T,).

    A set is of one kind; what is of the other cannot be read then, and is reported.
    """
    if not len(items):
        return False
    first = items[0]
    if isinstance(first, bytes):
        return first.startswith(_SOUND_BEGINNINGS) or (first[:4] == b"RIFF" and first[8:12] == b"WAVE")
    return kind_of(first) == "sound"
