"""What looks for parts of a picture: chosen by name, and recorded in the config of a model with its options."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from likewise.errors import DataError, ModelError, UsageError
from likewise.media.pictures import Pixels, Resize, resize_picture
from likewise.prepare.part import Part

PARAMETERS = "prepare.safetensors"  # of a finder, in the folder of a model that uses it


class Finder(ABC):
    """Finds parts of pictures: a frozen dataclass, whose fields are all that decides what is found.

    Many threads may use one finder at a time.

    A model that uses one can be saved once its class is known to `register`.

    Attributes:
        kind: what its class is known by.
        one, many: words for what it finds: "face", "faces".
        searching: its options that decide what is found and what is taken for poor, but not how it is cut out.
    """

    kind: ClassVar[str]
    one: ClassVar[str]
    many: ClassVar[str]
    searching: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def find(self, picture: Pixels) -> list[Part]:
        """The parts of a picture (H, W, 1 or 3) uint8, the most prominent first; none where there is nothing."""

    @abstractmethod
    def sources(self) -> dict[str, str]:
        """SHA-256 of every file of parameters it goes by: part of the fingerprint of a model that uses it."""

    def parameters(self) -> dict[str, Any]:
        """Tensors that it goes by and that no package brings, by name: a model that uses it keeps them as its own."""
        return {}

    def with_parameters(self, tensors: dict[str, Any]) -> Self:
        """The same with those that a model has kept.

        Raises:
            ModelError: they are missing, damaged or others.
        """
        return self

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `finder_from` makes it again."""
        return {"kind": self.kind, **asdict(self), "sources": self.sources()}  # pyright: ignore[reportArgumentType]  # a dataclass

    def cuts_like(self, other: Finder | None) -> bool:
        """Whether both hand an encoder the same of a thing that both find, so that distances mean the same."""
        return other is not None and _cut(self) == _cut(other)


def _cut(finder: Finder) -> dict[str, Any]:
    return {name: value for name, value in finder.as_dict().items() if name not in {*finder.searching, "sources"}}


def parts_of(picture: Pixels, finder: Finder | None, height: int, width: int, resize: Resize) -> list[Part]:
    """All parts of a picture (H, W, C), the most prominent first, each at the size that an encoder takes.

    Without a finder that is the picture itself.
    """
    found = [Part(picture)] if finder is None else finder.find(picture)
    return [part_sized(part, height, width, resize) for part in found]


def part_sized(part: Part, height: int, width: int, resize: Resize) -> Part:
    """A part of a picture at the size that an encoder takes."""
    if part.values.shape[:2] == (height, width):
        return part
    return replace(part, values=resize_picture(part.values, height, width, resize))


def shown_part(parts: list[Part], finder: Finder | None, name: str) -> Part:
    """The part of a picture that was taken to show one thing: the most prominent.

    Raises:
        DataError: there is none.
    """
    if not parts:
        what = "thing" if finder is None else finder.one
        raise DataError(f"A picture to be encoded shows at least one {what}", f"{name}, in which none was found")
    return parts[0]


def sole_part(parts: list[Part], finder: Finder | None, name: str) -> Part:
    """The part of a picture that is labelled as one thing, or compared as one: the only one, and a good one.

    Raises:
        DataError: it does not show one thing, or does not show it well (`unfit`).
    """
    reason = unfit([part.flaw for part in parts], finder)
    if reason is not None:
        what = "thing" if finder is None else finder.one
        raise DataError(f"A labelled picture shows one {what}, and shows it well", f"{name}: {reason}")
    return parts[0]


def unfit(flaws: Sequence[str | None], finder: Finder | None) -> str | None:
    """Why a picture does not show one thing and show it well, given the flaws of its parts; None where it does."""
    if not flaws:
        return f"no {'thing' if finder is None else finder.one} was found"
    if len(flaws) > 1:
        return f"{len(flaws)} {'things' if finder is None else finder.many} were found, and one is needed"
    return flaws[0]


# What a person asks for -> kind and options.
FINDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "faces": ("faces", {"detector": "dlib-frontal"}),
    "faces-cnn": ("faces", {"detector": "dlib-cnn", "pixels": 500_000}),  # some 10 s a picture already
    "faces-arcface": ("faces", {"detector": "dlib-frontal", "frame": "arcface", "size": 112}),
}
DETECTOR = "detector"  # kind of finders that are models, called by their folder
KINDS = {
    "faces": ("likewise.prepare.faces", "Faces"),
    DETECTOR: ("likewise.apps.detect.finder", "Detected"),
}  # -> module and class, imported when needed
ENTRY_POINTS = "likewise.finders"  # the group in which installed packages name the classes of further kinds

_Class = TypeVar("_Class", bound=type[Finder])


def register(finder: _Class) -> _Class:
    """Makes a finder of your own known by its kind, so that models that use it can be saved and loaded; a decorator.

    It holds for the running process: whoever loads such a model imports the module of the class first. A package that
    names its class as an entry point, `squares = "its.module:Squares"` in the group "likewise.finders", needs neither:
    there commands and services find it too.

    Args:
        finder: a class at the top of a module.

    Returns:
        The same class.

    Raises:
        UsageError: another class has this kind.
    """
    place = finder.__module__, finder.__qualname__
    if KINDS.setdefault(finder.kind, place) != place:
        raise UsageError(
            "A kind of prepare step has one class", f"{finder.kind!r}, which is that of {KINDS[finder.kind]}"
        )
    return finder


def finder_called(name: str) -> Finder:
    """The finder called `name`, or the detector in the model folder of this name.

    Raises:
        UsageError: there is none, or what it needs is not installed. ModelError: a folder that holds no detector.
    """
    if name not in FINDERS and Path(name).is_dir():
        return _class(DETECTOR).called(name)
    if name not in FINDERS:
        raise UsageError(f"A prepare step is one of {', '.join(FINDERS)}, or the folder of a detector", repr(name))
    kind, options = FINDERS[name]
    return _class(kind)(**options)


def finder_from(values: dict[str, Any]) -> Finder:
    """Inverse of `Finder.as_dict`.

    Raises:
        ModelError: the description is not one this version understands, or the files here are others.
        UsageError: what it needs is not installed.
    """
    options = dict(values)
    try:
        sources = options.pop("sources")
        finder = _class(options.pop("kind"))(**options)
    except (KeyError, TypeError, AttributeError, ImportError) as error:
        raise ModelError(
            "A model's prepare step is one this version knows",
            repr(error),
            "Use the version that wrote it; where the step is your own, import the module that registers it first.",
        ) from error
    if finder.sources() != sources:
        raise ModelError(
            "A model's prepare step finds what it found when the model was made",
            f"other parameters of {', '.join(sorted(finder.sources()))}",
            "Install the version of its packages that wrote the model.",
        )
    return finder


def check_kept(finder: Finder) -> None:
    """Before a model that uses it is saved: what is written of it makes it again.

    Raises:
        UsageError: it does not.
    """
    try:
        written = json.dumps(finder.as_dict())
        if json.dumps(finder_from(json.loads(written)).as_dict()) == written:
            return
    except (ModelError, TypeError, ValueError):
        pass
    raise UsageError(
        "A prepare step that is saved can be loaded again",
        repr(finder),
        "Decorate its class, at the top of a module, with `likewise.prepare.register`.",
    )


def _class(kind: str) -> Any:
    if kind not in KINDS:
        return entry_points(group=ENTRY_POINTS)[kind].load()
    module, name = KINDS[kind]
    return getattr(import_module(module), name)
