"""From what people have on disk (folders, zips, tables, arrays, IDX) to a `Dataset`; which it is, `opening` finds."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likewise import assets
from likewise.data.cells import plain_cell
from likewise.data.dataset import Dataset, IntArray, PairSet, Source, ZipMember
from likewise.errors import DataError, UsageError
from likewise.media.kinds import kind_of

PARTS = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "development": "valid",
    "tune": "tune", "tuning": "tune", "calibration": "tune",
    "test": "test", "testing": "test",
}  # fmt: skip
FEW_TOPS = 10  # of folders that are taken for parts by another name; people with a folder per eye are more
PAIRS_COLUMNS = frozenset({"a", "b", "same"})
IDENTITY_COLUMNS = ("id_a", "id_b")
YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
NOT_KNOWN = frozenset({"nan", "none", "null", "na", "n/a", "inf", "-inf", "+inf"})  # cells of no number
GROUP = "group"  # the column of groups where none is named


def folder(path: str | os.PathLike[str]) -> Dataset:
    """A folder of folders: the identity of a picture or sound is the folder it lies in, relative to `path`.

    Where the top folders are called train, test, valid or tune, or by another usual name of these (`PARTS`), they are
    parts, and identities start below them. Hidden files and files that are neither by their suffix are passed over. Of
    pictures and sounds together the kind with more files is taken, and `origin` says how many of the other were not.
    Links to folders are followed, but no folder is entered twice.

    Raises:
        DataError: missing, a folder that may not be listed, no pictures or sounds in sub-folders, as many of one as of
            the other, or top folders that look like parts by other names.
    """
    root = Path(path)
    found, origin = _of_one_kind(_media_below(root), str(root))
    return _from_tree(found, lambda inside: root / inside, origin)


def pile(path: str | os.PathLike[str]) -> Dataset | None:
    """A flat folder of sounds or pictures, all of one identity that is called as the folder is; None if it is none.

    Raises:
        DataError: a folder that may not be listed, or as many sounds as pictures in it.
    """
    root = Path(path)
    with readable("Data", root):
        found = _media_below(root) if root.is_dir() else []
    if not found or any(len(inside.parts) > 1 for inside in found):
        return None
    found, origin = _of_one_kind(found, str(root))
    files = [str(inside) for inside in found]
    return _labelled([root / file for file in files], files, [root.resolve().name] * len(files), origin=origin)


def files_below(root: Path) -> list[PurePosixPath]:
    """Pictures or sounds by their suffix, whichever are more, by their path in `root`; hidden ones are passed over.

    Raises:
        DataError: missing, a folder that may not be listed, or as many of one as of the other.
    """
    return _of_one_kind(_media_below(root), str(root))[0]


def pictures_below(root: Path) -> list[PurePosixPath]:
    """Files that are pictures by their suffix, by their path in `root`; hidden ones are passed over.

    Raises:
        DataError: missing, or a folder that may not be listed.
    """
    return [inside for inside in _media_below(root) if kind_of(inside) == "picture"]


def _media_below(root: Path) -> list[PurePosixPath]:
    return below(root, _is_media)


def below(root: Path, wanted: Callable[[str], bool]) -> list[PurePosixPath]:
    """Files whose names are `wanted`, sorted, by their path in `root`; links are followed, no folder entered twice.

    Raises:
        DataError: missing, or a folder that may not be listed.
    """
    found: list[PurePosixPath] = []
    entered: set[tuple[int, int]] = set()
    with readable("A folder", root):
        if not root.is_dir():
            raise DataError("Data are in a folder", f"{str(root)!r}, which is not one", "Check the path.")
        for directory, folders, files in os.walk(root, onerror=_raised, followlinks=True):
            status = Path(directory).stat()
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = PurePosixPath(Path(directory).relative_to(root).as_posix())
            found += [inside / name for name in sorted(files) if wanted(name)]
    return found


def _of_one_kind(found: Sequence[PurePosixPath], origin: str) -> tuple[list[PurePosixPath], str]:
    """The pictures or the sounds, whichever are more, and `origin` with a word on the others.

    Raises:
        DataError: as many of one as of the other.
    """
    pictures = [inside for inside in found if kind_of(inside) == "picture"]
    sounds = [inside for inside in found if kind_of(inside) == "sound"]
    if found and len(pictures) == len(sounds):
        raise DataError(
            "Data are pictures or sounds", f"{len(sounds)} of each in {origin!r}", "Put them into folders of their own."
        )
    if len(pictures) > len(sounds):
        return pictures, f"{origin} (sounds passed over: {len(sounds)})" if sounds else origin
    return sounds, f"{origin} (pictures passed over: {len(pictures)})" if pictures else origin


def _raised(error: OSError) -> None:
    raise error


def zip_folder(path: str | os.PathLike[str]) -> Dataset:
    """A zip of a folder of folders, read in place; a single folder that wraps everything is passed over.

    Raises:
        DataError: not a zip, no pictures or sounds in sub-folders, or as many of one as of the other.
    """
    with readable("A zip", path, "Make it again."):
        archive = zipfile.ZipFile(path)
    members = {  # by their path in plain form: a zip may hold ./ada/1.png
        PurePosixPath(info.filename): info.filename
        for info in archive.infolist()
        if not info.is_dir() and _is_media(info.filename) and "__MACOSX" not in info.filename
    }
    found, origin = _of_one_kind(sorted(members), str(path))
    members = {inside: members[inside] for inside in found}
    tops = {inside.parts[0] for inside in members}
    if len(tops) == 1 and not part_name(*tops) and all(len(inside.parts) > 2 for inside in members):
        members = {PurePosixPath(*inside.parts[1:]): name for inside, name in members.items()}
    return _from_tree(sorted(members), lambda inside: ZipMember(archive, members[inside]), origin)


def _is_media(name: str) -> bool:
    return kind_of(name) is not None and not Path(name).name.startswith(".")


def _from_tree(found: Sequence[PurePosixPath], source: Callable[[PurePosixPath], Source], origin: str) -> Dataset:
    has_parts = _has_parts(found, origin)
    identity = [inside.parent.relative_to(inside.parts[0]) if has_parts else inside.parent for inside in found]
    loose = [inside for inside, who in zip(found, identity, strict=True) if who == PurePosixPath()]
    if len(loose) == len(found):
        raise DataError(
            "Data are a folder with one sub-folder of pictures or sounds per identity",
            f"{len(loose)} {kind_of(loose[0])}s loose in {origin!r} and none in sub-folders"
            if loose
            else f"no pictures or sounds in {origin!r}",
            "Put each identity's pictures or sounds into a folder of its own.",
        )
    kept = [(inside, who) for inside, who in zip(found, identity, strict=True) if who != PurePosixPath()]
    return _labelled(
        sources=[source(inside) for inside, _ in kept],
        files=[str(inside) for inside, _ in kept],
        identity=[str(who) for _, who in kept],
        parts=[inside.parts[0] for inside, _ in kept] if has_parts else None,
        origin=origin,
    )


def _has_parts(found: Sequence[PurePosixPath], origin: str) -> bool:
    """Whether the folders at the top are parts.

    Raises:
        DataError: they look like parts, but their names do not say which.
    """
    below: dict[str, set[str]] = {inside.parts[0]: set() for inside in found if len(inside.parts) > 1}
    for inside in found:
        if len(inside.parts) > 2:
            below[inside.parts[0]].add(inside.parts[1])
    parts = {part_name(top) for top in below}
    if parts and None not in parts and all(below.values()):
        return True
    names = set[str]().union(*below.values())
    repeated = [name for name in sorted(names) if sum(name in inside for inside in below.values()) > 1]
    alike = 1 < len(below) <= min(FEW_TOPS, len(names)) and all(inside == names for inside in below.values())
    if alike or (repeated and parts != {None}):
        raise DataError(
            "The folders at the top are identities, or parts called train, valid, tune and test",
            f"{', '.join(sorted(below))} in {origin!r}, which all hold {repeated[0]!r}"
            if alike
            else f"{', '.join(sorted(below))} in {origin!r}, some of which hold {repeated[0]!r}",
            f"Rename those that are parts; if none are, list the {kind_of(found[0])}s in a manifest.",
        )
    return False


def part_name(name: str) -> str | None:
    """The part that `name` means: train, valid, tune or test, for these and other usual names, in any case; or None."""
    return PARTS.get(name.strip().casefold())


def _parts(names: Sequence[object], place: Callable[[int], str]) -> list[str]:
    """The part each name means.

    Raises:
        DataError: a name that means none; `place` says of its position where that is.
    """
    parts = [part_name(str(name)) for name in names]
    if None in parts:
        i = parts.index(None)
        raise DataError("A part is train, valid, tune or test", f"{str(names[i])!r} {place(i)}", "Rename it.")
    return [part for part in parts if part]


def _labelled(
    sources: Sequence[Source] | NDArray[np.generic],
    files: Sequence[str],
    identity: Sequence[object],
    *,
    origin: str,
    parts: Sequence[str] | None = None,
    groups: Sequence[object] | None = None,
    place: Callable[[int], str] = "of item {}".format,
) -> Dataset:
    """A dataset with names in natural order ("2" before "10"); `place` says of an item's position where it stands."""
    names = sorted({str(who) for who in identity}, key=natural)
    number = {name: i for i, name in enumerate(names)}
    group_names = sorted({str(group) for group in groups}, key=natural) if groups is not None else []
    group_number = {name: i for i, name in enumerate(group_names)}
    return Dataset(
        sources=sources if isinstance(sources, np.ndarray) else tuple(sources),
        files=tuple(files),
        labels=np.array([number[str(who)] for who in identity], dtype=np.int64),
        names=tuple(names),
        groups=None if groups is None else np.array([group_number[str(g)] for g in groups], dtype=np.int64),
        group_names=tuple(group_names),
        parts=None if parts is None else np.array(_parts(parts, place), dtype=np.str_),
        origin=origin,
    )


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: "2" before "10"; 1 and 01, equal as numbers, by their spelling."""
    runs = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(run), "") if run[0] in "0123456789" else (1, 0, run) for run in runs], name


def manifest(path: str | os.PathLike[str], *, group_by: str | None = None, targets: Sequence[str] = ()) -> Dataset:
    """A table (.csv, .tsv, .parquet) with the columns path and label, optionally split and group.

    Relative paths start at the table's own folder.

    Args:
        path: of the table.
        group_by: the column that says which group an item belongs to, such as sex or camera; None for the column group
            if there is one.
        targets: columns of numbers, or of yes and no, that are to be answered; with them no column label is needed. The
            label of an item is then which of them are yes, or nothing where they are other numbers.

    Raises:
        DataError: unreadable, a column missing, an empty cell, a split of another name, or a target that is no number;
            the row is named.
        UsageError: there is no column `group_by`, or of `targets`, or one is asked for twice.
    """
    table = readable_table(path)
    missing = {"path", *(() if targets else ("label",))} - set(table.columns)
    if missing:
        raise DataError(
            f"A manifest has the {'column path' if targets else 'columns path and label'}",
            f"{', '.join(map(str, table.columns)) or 'no columns'} in {str(path)!r}",
            f"Add {' and '.join(sorted(missing))}.",
        )
    for what, names in (("Groups", [group_by] if group_by is not None else []), ("Targets", targets)):
        for name in names:
            if name not in table.columns:
                raise UsageError(
                    f"{what} are {'a column' if what == 'Groups' else 'columns'} of the manifest",
                    f"{name!r}, where {str(path)!r} has {', '.join(map(str, table.columns))}",
                    "Name one of these.",
                )
    if len(set(targets)) < len(targets):
        raise UsageError("A column is one target", f"{', '.join(targets)}", "Name each once.")
    of_group = group_by or GROUP
    complete(table, [c for c in ("path", "label", "split", of_group, *targets) if c in table.columns], path)
    base = Path(path).parent
    files = [str(p) for p in table["path"]]
    values = np.stack([_numbers(table[name], name, _row_of(path)) for name in targets], axis=1) if targets else None
    data = _labelled(
        sources=[base / f for f in files],
        files=files,
        identity=table["label"].tolist() if values is None else _told_by(values, targets),
        parts=table["split"].tolist() if "split" in table.columns else None,
        groups=table[of_group].tolist() if of_group in table.columns else None,
        origin=str(path),
        place=_row_of(path),
    )
    known = {"path", "split", *(targets or ("label",))}
    others = {str(name): table[name].to_numpy() for name in table.columns if name not in known}
    return replace(data, targets=values, target_names=tuple(targets), others=others)


def _numbers(column: Any, name: str, row_of: Callable[[int], str]) -> NDArray[np.float32]:
    """A column of numbers, or of yes and no.

    Raises:
        DataError: a cell is neither, or not finite.
    """
    found = np.empty(len(column), np.float32)
    for i, cell in enumerate(column):
        text = str(cell).strip().lower()
        try:
            found[i] = 1.0 if text in YES else 0.0 if text in NO else float(text)
        except ValueError:
            found[i] = np.nan
        if not np.isfinite(found[i]):
            not_known = text in NOT_KNOWN
            raise DataError(
                f"Targets are {'finite ' * not_known}numbers, or yes and no; {name!r} is one",
                f"{str(cell)!r} {row_of(i)}",
                "Fill it in, or leave the row out."
                if not_known
                else f"Classes by name are the column label: leave {name} out of --targets.",
            )
    return found


def _told_by(targets: NDArray[np.float32], names: Sequence[str]) -> list[str]:
    """Which of the targets hold, of each row; the same of all where targets are not yes or no."""
    if not np.isin(targets, (0, 1)).all():
        return ["item"] * len(targets)
    return ["+".join(name for name, holds in zip(names, row, strict=True) if holds) or "none" for row in targets]


def _row_of(path: str | os.PathLike[str]) -> Callable[[int], str]:
    """Says of a position in a table which row it is, the header being row 1."""
    return lambda i: f"in row {i + 2} of {str(path)!r}"


def pairs_file(path: str | os.PathLike[str]) -> PairSet:
    """A table with the columns a, b (paths) and same (1 or 0, true or false, yes or no), optionally more.

    The column split gives the part of a pair; id_a and id_b give the identities of its items.

    Raises:
        DataError: unreadable, a column missing, an answer that is neither, only one kind of answer, a split of another
            name, or identities that contradict the answer or each other.
    """
    table = readable_table(path)
    if not set(table.columns) >= PAIRS_COLUMNS:
        raise DataError("A pairs file has the columns a, b and same", ", ".join(map(str, table.columns)))
    complete(table, [c for c in ("a", "b", "same", "split", *IDENTITY_COLUMNS) if c in table.columns], path)
    row_of = _row_of(path)
    yes, no = YES | {"same"}, NO | {"different"}
    answers = [str(v).strip().lower() for v in table["same"]]
    for row, answer in enumerate(answers):
        if answer not in yes | no:
            raise DataError("The column same holds 1 or 0", f"{answer!r} {row_of(row)}")
    same = np.array([answer in yes for answer in answers])
    if same.all() or not same.any():
        raise DataError(
            "Pairs are of both kinds, same and different",
            f"{same.sum()} same of {len(same)} in {str(path)!r}",
        )
    files, positions = np.unique(np.r_[table["a"].to_numpy(str), table["b"].to_numpy(str)], return_inverse=True)
    first, second = positions[: len(same)].astype(np.int64), positions[len(same) :].astype(np.int64)
    if (first == second).any():
        raise DataError(
            "A pair has two different items", f"the same file twice {row_of(int(np.argmax(first == second)))}"
        )
    named = set(table.columns) >= set(IDENTITY_COLUMNS)
    identity = _identities(table, positions, same, row_of) if named else files.tolist()
    base = Path(path).parent
    items = _labelled([base / f for f in files], [str(f) for f in files], identity, origin=str(path))
    parts = np.array(_parts(table["split"].tolist(), row_of)) if "split" in table.columns else None
    return PairSet(items, first, second, same, parts, origin=str(path), named=named)


def _identities(
    table: Any, positions: NDArray[np.integer], same: NDArray[np.bool_], row_of: Callable[[int], str]
) -> list[str]:
    """The identity of each file, as id_a and id_b give it; `positions` are those of the files in a, then in b."""
    given = np.concatenate([table[column].astype(str).to_numpy(str) for column in IDENTITY_COLUMNS])
    wrong = (given[: len(same)] == given[len(same) :]) != same
    if wrong.any():
        raise DataError("A pair is the same just where id_a and id_b are", f"otherwise {row_of(int(wrong.argmax()))}")
    of_file = given[np.unique(positions, return_index=True)[1]]
    wrong = given != of_file[positions]
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(
            "A file has one identity", f"'{of_file[positions[i]]}' and '{given[i]}' {row_of(i % len(same))}"
        )
    return of_file.tolist()


def arrays(
    items: NDArray[Any] | Sequence[Any],
    labels: Sequence[object] | NDArray[Any],
    *,
    groups: Sequence[object] | NDArray[Any] | None = None,
    parts: Sequence[str] | None = None,
    origin: str = "arrays",
) -> Dataset:
    """Pictures or sounds in memory, and a label (any value) for each.

    Pictures are (N, H, W) or (N, H, W, C), uint8 or float in [0, 1]. Sounds of one length and of the rate that whoever
    reads them wants are (N, T), int16 or float in [-1, 1].

    Raises:
        DataError: wrong shape or length, NaN, or rows that are no sounds as nothing in them is below 0 (pictures that
            somebody made flat).
    """
    x = np.asarray(items)
    shapes = "Arrays are pictures of the shape (N, H, W) or (N, H, W, C), or sounds of the shape (N, T)"
    if x.ndim not in (2, 3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3, 4)):
        raise DataError(shapes, x.shape)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise DataError(
            "Pictures and sounds hold finite numbers", f"NaN or infinity in item {bad}", "Remove or repair it."
        )
    if x.ndim == 2 and not (x < 0).any():
        raise DataError(shapes, f"{x.shape} of {x.dtype} with nothing below 0", "Bring pictures to (N, H, W).")
    values = np.asarray(labels)
    if values.ndim != 1 or len(values) != len(x):
        raise DataError("There is one label for each item", f"labels of shape {values.shape} for {len(x)} items")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("Labels are whole numbers or names", "NaN or infinity among the labels")
    return _labelled(
        x,
        [f"item {i}" for i in range(len(x))],
        values.tolist(),
        parts=parts,
        groups=None if groups is None else list(groups),
        origin=origin,
    )


def npz(path: str | os.PathLike[str]) -> Dataset:
    """An .npz file with the arrays items (or x) and labels (or y); read without pickle.

    Raises:
        DataError: damaged, or the arrays are not there.
    """
    with readable("An .npz file", path, "Make it again."), np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    items, labels = held.get("items", held.get("x")), held.get("labels", held.get("y"))
    if items is None or labels is None:
        raise DataError("An .npz data set holds the arrays items and labels", ", ".join(held) or "nothing")
    return arrays(items, labels, origin=str(path))


def idx(images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> Dataset:
    """Pictures and labels in the IDX format of MNIST, plain or gzipped.

    Raises:
        DataError: damaged, or the two do not fit together.
    """
    return arrays(_read_idx(images, 3), _read_idx(labels, 1), origin=str(images))


def idx_folder(path: str | os.PathLike[str]) -> Dataset:
    """A folder with {train,t10k,test}-images-idx3-ubyte[.gz] and their labels; t10k is the part called test.

    A file that is there both plain and gzipped is read once.
    """
    base = Path(path)
    images = idx_images(base)
    labels = [_plain_or_gzipped(base / name.replace("images-idx3", "labels-idx1")) for name in images]
    return _idx_parts(list(zip([_plain_or_gzipped(base / name) for name in images], labels, strict=True)), str(base))


def idx_images(base: Path) -> list[str]:
    """Names of the files of pictures in IDX format, without .gz."""
    return sorted({f.name.removesuffix(".gz") for end in ("", ".gz") for f in base.glob(f"*-images-idx3-ubyte{end}")})


def _plain_or_gzipped(file: Path) -> Path:
    return file if file.exists() else file.with_name(f"{file.name}.gz")


def _idx_parts(files: Sequence[tuple[Path, Path]], origin: str) -> Dataset:
    pictures = [_read_idx(images, 3) for images, _ in files]
    labels = [_read_idx(answers, 1) for _, answers in files]
    for (images, _), x, y in zip(files, pictures, labels, strict=True):
        if len(x) != len(y):
            raise DataError(
                "There is one label for each item", f"{len(y)} labels for {len(x)} items in {images.name!r}"
            )
    # MNIST's train and t10k, EMNIST's emnist-letters-train and -test.
    parts = [images.name.split("-images-idx3")[0].split("-")[-1].replace("t10k", "test") for images, _ in files]
    return arrays(
        np.concatenate(pictures),
        np.concatenate(labels),
        parts=[part for part, y in zip(parts, labels, strict=True) for _ in y] if len(files) > 1 else None,
        origin=origin,
    )


def _read_idx(path: str | os.PathLike[str], dimensions: int) -> NDArray[np.uint8]:
    with readable("An IDX file", path, "Get it again."):
        raw = Path(path).read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    header = 4 + 4 * dimensions
    if len(raw) < header or raw[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"An IDX file of bytes with {dimensions} dimensions starts 00 00 08 0{dimensions}",
            f"{raw[:4].hex()} in {str(path)!r}",
        )
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dimensions, 4))
    if len(raw) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            "An IDX file is as long as its header says",
            f"{len(raw) - header} bytes for {shape} in {str(path)!r}",
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def named(name: str) -> Dataset:
    """A data set known by name (`likewise data list`), fetched and checked if it is not here yet.

    Raises:
        DataError: unknown, or it cannot be had.
    """
    if name == "digits":
        from sklearn.datasets import load_digits

        bunch: Any = load_digits()
        return arrays((bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target, origin="digits")
    files = assets.fetch(name)
    if name == "omniglot":
        return zip_folder(files["background"])
    return _idx_parts(
        [(files[f"{part}_images"], files[f"{part}_labels"]) for part in ("train", "test")],
        name,
    )


def with_groups(data: Dataset, pattern: str) -> Dataset:
    """`data` with the group of each item found in its file name; see `groups_in`."""
    groups, names = groups_in(data.files, pattern)
    return replace(data, groups=groups, group_names=names)


def groups_in(files: Sequence[str], pattern: str) -> tuple[IntArray, tuple[str, ...]]:
    """The group of each item as found in its file name, (N,), and the name of each group.

    Args:
        files: (N,) file names.
        pattern: regular expression with one capturing group; one with a ``/`` is looked for in the whole path.

    Raises:
        UsageError: the expression is wrong. DataError: it is not found in some file's name.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError("--group-from is a regular expression", f"{pattern!r}: {error}") from error
    if expression.groups != 1:
        raise UsageError("--group-from has one group in parentheses", f"{pattern!r}, which has {expression.groups}")
    searched = [file if "/" in pattern else Path(file).name for file in files]
    found = [expression.search(name) for name in searched]
    if None in found:
        raise DataError(
            "Every file name tells its group",
            f"{searched[found.index(None)]!r}, which has no {pattern!r}",
            "An expression with a / is looked for in the path, folders and all, such as '^([^/]+)/'.",
        )
    groups = [str(match.group(1)) for match in found if match]
    names = sorted(set(groups), key=natural)
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[g] for g in groups], dtype=np.int64), tuple(names)


@contextmanager
def readable(what: str, path: str | os.PathLike[str], remedy: str = "Check its permissions.") -> Generator[None]:
    """Turns whatever files, gzip, zip and NumPy raise about `path` into a DataError."""
    try:
        yield
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{what} can be read", f"{str(path)!r}: {error}", remedy) from error


def readable_table(path: str | os.PathLike[str]) -> Any:
    """A pandas table of text, of CSV or TSV, or of what a Parquet file holds.

    The quote before what would be a formula in a spreadsheet (`safe_cell`) is taken off.

    Raises:
        DataError: it cannot be read.
    """
    import pandas as pd

    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        # Labels such as 007 or NA are names, not numbers or gaps.
        table = pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
        quoted = [name for name in table.columns if table[name].str.startswith("'").any()]
        table[quoted] = table[quoted].map(plain_cell)
        return table.rename(columns=plain_cell)
    except FileNotFoundError as error:
        raise DataError("A table exists", f"{str(path)!r}, which does not", "Check the path.") from error
    except Exception as error:  # pandas and pyarrow raise many kinds; to the user they are one
        raise DataError("A table can be read", f"{str(path)!r}: {error}", "Write it as CSV or Parquet.") from error


def columns_of(path: Path) -> set[str]:
    """Names of the columns of a table.

    Raises:
        DataError: it cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        return set(readable_table(path).columns)
    with readable("A table", path), path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline().lstrip("\ufeff")
    return {name.strip().strip('"') for name in first.split("\t" if path.suffix.lower() == ".tsv" else ",")}


def complete(table: Any, columns: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Refuses a table read from `path` without rows, or with an empty cell in one of `columns`.

    Raises:
        DataError: it is one.
    """
    if not len(table):
        raise DataError("A table has rows", f"none in {str(path)!r}")
    for column in columns:
        empty = (table[column].isna() | (table[column].astype(str).str.strip() == "")).to_numpy()
        if empty.any():
            raise DataError(
                f"Every row has a {column}",
                f"an empty one in row {int(np.argmax(empty)) + 2} of {str(path)!r}",
                "Fill it in, or leave the row out.",
            )


def labels_of(data: Dataset) -> IntArray:
    """(N,) int64 labels renumbered 0..C-1 over the identities present, for objectives with one weight row each."""
    return np.unique(data.labels, return_inverse=True)[1].astype(np.int64)
