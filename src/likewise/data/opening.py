"""Whatever a path or a name stands for, opened as what it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from likewise import assets
from likewise.data.clips import MANIFEST
from likewise.data.dataset import Dataset, PairSet
from likewise.data.loaders import (
    GROUP,
    PAIRS_COLUMNS,
    columns_of,
    folder,
    idx_folder,
    idx_images,
    manifest,
    named,
    npz,
    pairs_file,
    readable,
    with_groups,
    zip_folder,
)
from likewise.errors import DataError, UsageError

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
CLIPS_COLUMNS = frozenset({"path", "start", "end"})


def open_data(
    where: str | os.PathLike[str],
    *,
    group_from: str | None = None,
    group_by: str | None = None,
    targets: Sequence[str] = (),
) -> Dataset | PairSet:
    """Whatever `where` names: a folder of folders, a zip of one, a manifest, a pairs file, IDX files, a named set.

    Args:
        where: a path, or the name of a data set (`likewise data list`).
        group_from: a regular expression with one group; what it finds in a file's name is the item's group.
        group_by: the column of a manifest that has the groups, or "group" for what `group_from` finds.
        targets: columns of a manifest that are to be answered; see `manifest`.

    Raises:
        DataError: it does not exist, or holds nothing that can be used.
        UsageError: groups or targets that these data cannot have.
    """
    path = Path(where)
    if group_from is not None and group_by not in (None, GROUP):
        raise UsageError(
            f"Groups are in a column, or in file names and then called {GROUP}",
            f"--group-by {group_by} and --group-from",
            "Leave one of them out.",
        )
    if are_clips(path):
        raise DataError(
            "Items to compare have labels",
            f"{str(where)!r}: clips, in which it is known where words are",
            "They make a trigger word: pass --task triggerword to train, and measure what comes of it with such clips.",
        )
    with readable("Data", path):  # below a locked folder it cannot even be asked what there is
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder:
        data: Dataset | PairSet = idx_folder(path) if idx_images(path) else folder(path)
    elif path.suffix.lower() == ".zip" and is_file:
        data = zip_folder(path)
    elif path.suffix.lower() in MANIFEST_SUFFIXES and is_file:
        column = group_by if group_from is None else None
        pairs = columns_of(path) >= PAIRS_COLUMNS
        data = pairs_file(path) if pairs else manifest(path, group_by=column, targets=targets)
    elif path.suffix.lower() == ".npz" and is_file:
        data = npz(path)
    elif str(where) in assets.ASSETS:
        data = named(str(where))
    else:
        raise DataError(
            "Data are a folder of folders, a .zip of one, a .csv or .parquet manifest, an .npz file or a known name",
            f"{str(where)!r}, which is {'none of these' if path.exists() else 'not there'}",
            f"Known names: {', '.join(sorted(assets.ASSETS))}.",
        )
    if targets and (isinstance(data, PairSet) or data.targets is None):
        raise UsageError(
            "Targets are columns of a manifest", f"{', '.join(targets)} for {str(where)!r}, which is none",
            "List the items in a .csv or .parquet.",
        )  # fmt: skip
    if group_from is None and group_by is None:
        return data
    if isinstance(data, PairSet):
        option = "--group-by" if group_from is None else "--group-from"
        raise UsageError("Groups belong to labelled items", "a pairs file", f"Leave out {option}.")
    if group_from is not None:
        return with_groups(data, group_from)
    if data.groups is None:
        raise UsageError(
            "--group-by names a column of a manifest",
            f"{group_by} for {str(where)!r}, which is none",
            "List the items in a manifest, or find groups in their names by --group-from.",
        )
    return data


def are_clips(path: str | os.PathLike[str]) -> bool:
    """Whether this is a folder of clips, or the table of one: words with times, and no labels.

    Raises:
        DataError: it cannot be looked at.
    """
    with readable("Data", path):
        table = Path(path) / MANIFEST if Path(path).is_dir() else Path(path)
        if table.suffix.lower() not in MANIFEST_SUFFIXES or not table.is_file():
            return False
    columns = columns_of(table)
    return columns >= CLIPS_COLUMNS and "label" not in columns
