"""`likewise cluster`: a folder of pictures into a folder per cluster, again and again as pictures come."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.cluster.contents import Tree, content_hashes, tree_of
from likewise.apps.cluster.corrections import Seen, look
from likewise.apps.cluster.curves import KCurve, draw_k_curve, k_curve
from likewise.apps.cluster.cut import cut_of, support_note
from likewise.apps.cluster.cutouts import pictures_of
from likewise.apps.cluster.manifest import Entry, State, read_state
from likewise.apps.cluster.methods import ClusterOptions, find_clusters
from likewise.apps.cluster.placing import Plan, numbered_like_before, plan
from likewise.apps.cluster.space import space_of
from likewise.apps.cluster.writing import Link, alone, carry_out, remove_parts
from likewise.data import folder as labelled_folder
from likewise.data.loaders import pictures_below
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.matching import Model
from likewise.metrics import Clustering, agreement


@final
@dataclass(frozen=True)
class Group:
    """One cluster.

    Attributes:
        id: its number, never given to another.
        name: its folder in OUT.
        yours: whether a person named it or changed what is in it.
        items: its pictures, by where they were found; those no longer there by their place in OUT.
    """

    id: int
    name: str
    yours: bool
    items: tuple[str, ...]


@final
@dataclass(frozen=True)
class Clustered:
    """What `cluster_folder` did, or would do.

    Attributes:
        clusters: by their numbers.
        unassigned: pictures in no cluster.
        removed: pictures that a person deleted from OUT, and that so were left out.
        method: which one.
        threshold: where agglomerative clustering stopped.
        agreement: with the folders the pictures came from, where they came from folders; an unassigned picture counts
            as a cluster of its own.
        out: where to.
        copied, moved: files made and renamed in OUT.
        corrections: pictures and folders that a person moved, deleted or renamed since the last run.
        curve: what k-means gave for each k, where it had to find k or curves were asked for.
        curves: the picture of the curves over k, where one was asked for.
        skipped: file and reason of each picture that could not be used.
        notes: what the person should know.
    """

    clusters: tuple[Group, ...]
    unassigned: tuple[str, ...]
    removed: tuple[str, ...]
    method: str
    threshold: float | None
    agreement: Clustering | None
    out: Path
    copied: int
    moved: int
    corrections: int
    curve: KCurve | None
    curves: Path | None
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise cluster --json`."""
        return {
            "clusters": [
                {"id": group.id, "name": group.name, "yours": group.yours, "items": list(group.items)}
                for group in self.clusters
            ],
            "unassigned": list(self.unassigned),
            "removed": list(self.removed),
            "method": self.method,
            "threshold": self.threshold,
            "agreement": None if self.agreement is None else self.agreement.as_dict(),
            "out": str(self.out),
            "copied": self.copied,
            "moved": self.moved,
            "corrections": self.corrections,
            "k_curve": None if self.curve is None else self.curve.as_dict(),
            "curves": None if self.curves is None else str(self.curves),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "notes": list(self.notes),
        }


def cluster_folder(
    model: Model,
    folder: Path | str,
    out: Path | str,
    options: ClusterOptions | None = None,
    *,
    fmr: float | None = None,
    picture_from: str | None = None,
    link: Link | None = None,
    afresh: bool = False,
    dry_run: bool = False,
    curves: Path | None = None,
    progress: Progress | None = None,
) -> Clustered:
    """Groups the pictures below `folder` and puts each group into a folder of its own in `out`.

    Run again, it first reads what a person changed in `out` (see `corrections`), keeps that for ever, and finds places
    for pictures that are new or unassigned; clusters that are there keep their pictures, numbers and names. With
    another model or other options, or `afresh`, clusters are made anew but for what a person said. Clusters that share
    pictures with earlier ones keep their numbers and names then too.

    The same picture twice is one item, whatever it is called.

    Args:
        model: encodes and compares; calibrated, for the method agglomerative.
        folder: searched for pictures, with the folders in it but for `out`.
        out: what was not put there by this function stays as it is.
        options: method and its options; None for agglomerative.
        fmr: for agglomerative, stop at the threshold of exactly this promised rate; see `cut_of`.
        picture_from: where the items were cut out of pictures, a regular expression with one group: items in whose file
            names it finds the same are of one picture, and so never in one cluster, unless a person puts them there.
        link: "hard" or "symbolic" links in the place of copies.
        afresh: make clusters anew that no person touched.
        dry_run: write nothing.
        curves: where to draw, as a PNG, the elbow and silhouette curves over k.
        progress: told of reading, encoding, clustering and writing.

    Raises:
        DataError: no pictures that can be read, a damaged manifest, a full disk, no file name in
            which `picture_from` finds a picture.
        ModelError: agglomerative and no threshold.
        UsageError: options that cannot work, or `out` is `folder` or around it.
    """
    folder, out, options = Path(folder), Path(out), options or ClusterOptions()
    _check(folder, out, options, fmr, curves)
    if picture_from is not None:
        pictures_of([], picture_from)  # raises before the work where it is wrong
    threshold = cut_of(model, fmr) if options.method == "agglomerative" else None
    settings = {**options.as_dict(), "threshold": threshold, "picture_from": picture_from}
    with nullcontext() if dry_run else alone(out):
        state = read_state(out) or State()
        tree = tree_of(out, state) if out.is_dir() else Tree({}, frozenset(), ())
        files, skipped = _contents(folder, out, progress)
        if picture_from is not None:
            _check_found(files, picture_from)
        seen = look(state, tree.hashes, files.keys())
        changed = bool(state.items) and (state.model != model.fingerprint or state.settings != settings)
        encoded = _encode(model, seen.state, files, out, keep=not (afresh or changed), always=curves is not None,
                          progress=progress)  # fmt: skip
        together = None if picture_from is None else pictures_of(_names(encoded.keys, files, seen.state), picture_from)
        after, curve = _clustered(seen.state, encoded, model, options, threshold, together, progress)
        sources = {key: str(found[0].absolute()) for key, found in files.items() if key not in encoded.unreadable}
        planned = plan(replace(after, model=model.fingerprint, settings=settings), tree.names, sources)
        if curves is not None:
            curve = curve or _curve(encoded, model, options, progress)
            draw_k_curve(curve, curves)
        if not dry_run:
            remove_parts(tree.parts)
            if planned.writing or planned.state != state:
                skipped += carry_out(out, planned, sources, link, progress)
    skipped += [(_called(files, key, out, seen.state), why) for key, why in encoded.unreadable.items()]
    return _answer(
        planned, files, folder, out, seen, method=options.method, threshold=threshold, curve=curve,
        curves=curves, skipped=tuple(skipped), notes=_notes(model, options, fmr, seen, changed=changed and not afresh),
    )  # fmt: skip


def _check(folder: Path, out: Path, options: ClusterOptions, fmr: float | None, curves: Path | None) -> None:
    if fmr is not None and options.method != "agglomerative":
        raise UsageError("A promised rate is for the method agglomerative", options.method, "Leave fmr out.")
    if curves is not None and curves.suffix.lower() != ".png":
        raise UsageError("Curves are drawn as .png", repr(str(curves)), "Pass for example --curves k.png.")
    if out.exists() and not out.is_dir():
        raise UsageError("Clusters are put into a folder", f"the file {str(out)!r}", "Choose another place.")
    if out.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise UsageError(
            "OUT is a folder beside the pictures or inside their folder", repr(str(out)), "Choose another place."
        )


Files = dict[str, list[Path]]  # by content hash, the files that have it


def _contents(folder: Path, out: Path, progress: Progress | None) -> tuple[Files, list[tuple[str, str]]]:
    """The pictures to be clustered, and file and reason of each that could not be read.

    Raises:
        DataError: there are none.
    """
    own = out.resolve()
    below = [folder / inside for inside in pictures_below(folder)]
    if own.is_relative_to(folder.resolve()):
        below = [file for file in below if not file.parent.resolve().is_relative_to(own)]
    if not below:
        raise DataError("There is something to cluster", f"no pictures in {str(folder)!r}", "Check the path.")
    files: Files = {}
    skipped: list[tuple[str, str]] = []
    for file, found in zip(below, content_hashes(below, progress), strict=True):
        if isinstance(found, str):
            files.setdefault(found, []).append(file)
        else:
            skipped.append((str(file), str(found)))
    return files, skipped


def _check_found(files: Files, picture_from: str) -> None:
    names = [file.name for found in files.values() for file in found]
    if (pictures_of(names, picture_from) < 0).all():
        raise DataError(
            "--picture-from finds the picture in file names",
            f"none of {len(names)} has {picture_from!r}",
            "Correct it.",
        )


@final
@dataclass(frozen=True)
class _Encoded:
    """What is to be clustered.

    Attributes:
        keys: (N,) content hashes, rising, so that names and places of the files decide nothing.
        embeddings: (N, D).
        anchors: (N,) numbers of the clusters that keep their items, -1 for items to find a place for.
        new: hashes that the state does not know.
        unreadable: by hash, why it could not be encoded.
    """

    keys: list[str]
    embeddings: Tensor
    anchors: NDArray[np.int64]
    new: list[str]
    unreadable: dict[str, str]


def _encode(
    model: Model, state: State, files: Files, out: Path, *, keep: bool, always: bool, progress: Progress | None
) -> _Encoded:
    """Embeddings of all that is in a cluster or to be put into one; of nothing where all have a place and not `always`.

    Raises:
        DataError: none of the pictures can be read, and none ever was.
    """
    items = state.items
    new = sorted(files.keys() - items.keys())
    settled = [key for key, e in items.items() if not e.removed and not (e.sure and e.cluster is None)]
    keys = sorted([*new, *settled])
    held = {key: items[key].cluster for key in settled if keep or items[key].sure}
    if not always and all(held.get(key) is not None for key in keys):
        keys = []
    paths = [files[key][0] if key in files else out / str(items[key].file) for key in keys]
    encoded = model.encode(paths, progress=progress)
    unreadable = {keys[i]: reason for i, reason in encoded.problems}
    kept = [keys[i] for i in encoded.kept]
    if keys and not kept and not settled:
        raise DataError("At least one picture can be read", next(iter(unreadable.values())))
    anchors = [-1 if (number := held.get(key)) is None else number for key in kept]
    return _Encoded(
        kept, encoded.embeddings, np.array(anchors, dtype=np.int64), [key for key in new if key not in unreadable],
        unreadable,
    )  # fmt: skip


def _clustered(
    state: State, encoded: _Encoded, model: Model, options: ClusterOptions, threshold: float | None,
    together: NDArray[np.int64] | None, progress: Progress | None,
) -> tuple[State, KCurve | None]:  # fmt: skip
    """The state with every item in the cluster that was found for it."""
    anchored = set(encoded.anchors[encoded.anchors >= 0].tolist())
    found = find_clusters(
        encoded.embeddings, model.encoder.distance_on_cpu(), options, threshold=threshold, anchors=encoded.anchors,
        together=together, progress=progress,
    )  # fmt: skip
    groups = {key: None if label < 0 else label for key, label in zip(encoded.keys, found.labels.tolist(), strict=True)}
    state = replace(state, items={**state.items, **{key: Entry() for key in encoded.new}})
    return numbered_like_before(groups, anchored, state), found.curve


def _names(keys: list[str], files: Files, state: State) -> list[str]:
    """Names of the items' files, as they were before `cluster_folder` made them unlike."""
    known = state.items
    return [
        files[key][0].name if key in files else Path(known[key].source or str(known[key].file)).name for key in keys
    ]


def _curve(encoded: _Encoded, model: Model, options: ClusterOptions, progress: Progress | None) -> KCurve:
    space = space_of(encoded.embeddings, model.encoder.distance_on_cpu())
    return k_curve(space.points, seed=options.seed, progress=progress)


def _notes(model: Model, options: ClusterOptions, fmr: float | None, seen: Seen, *, changed: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if options.method == "agglomerative" and (note := support_note(model, fmr)):
        notes.append(note)
    if changed:
        notes.append("model or options are others than last time: clusters that nobody touched were made anew")
    done = (
        (len(seen.named), "folder", "renamed"),
        (seen.moved, "picture", "moved"),
        (seen.removed, "picture", "deleted"),
    )
    if said := ", ".join(f"{n} {what}{'s' * (n > 1)} {how}" for n, what, how in done if n):
        notes.append(f"since the last run, by you: {said}")
    return tuple(notes)


def _answer(
    planned: Plan, files: Files, folder: Path, out: Path, seen: Seen, *, method: str, threshold: float | None,
    curve: KCurve | None, curves: Path | None, skipped: tuple[tuple[str, str], ...], notes: tuple[str, ...],
) -> Clustered:  # fmt: skip
    state = planned.state
    inside: dict[int | None, list[str]] = {}
    removed: list[str] = []
    for key, entry in state.items.items():
        where = removed if entry.removed else inside.setdefault(entry.cluster, [])
        where += [str(file) for file in files.get(key, [] if entry.file is None else [out / entry.file])]
    groups = [
        Group(number, name, number in state.yours, tuple(sorted(inside.get(number, []))))
        for number, name in sorted(state.folders.items())
    ]
    return Clustered(
        clusters=tuple(groups),
        unassigned=tuple(sorted(inside.get(None, []))),
        removed=tuple(sorted(removed)),
        method=method,
        threshold=threshold,
        agreement=_agreement(folder, files, state),
        out=out,
        copied=sum(old is None for old in planned.writing.values()),
        moved=sum(old is not None for old in planned.writing.values()),
        corrections=seen.moved + seen.removed + len(seen.named),
        curve=curve,
        curves=curves,
        skipped=skipped,
        notes=notes,
    )


def _agreement(folder: Path, files: Files, state: State) -> Clustering | None:
    """With the folders the pictures lie in; None where they lie in none."""
    try:
        labelled = labelled_folder(folder)
    except DataError:  # all lie loose in it
        return None
    identity = dict(zip(labelled.files, labelled.labels.tolist(), strict=True))
    labels: list[int] = []
    groups: list[int] = []
    for key, found in sorted(files.items()):
        label = identity.get(found[0].relative_to(folder).as_posix())
        if label is not None and key in state.items and not state.items[key].removed:
            cluster = state.items[key].cluster
            labels.append(label)
            groups.append(-1 - len(groups) if cluster is None else cluster)
    return agreement(np.array(labels), np.array(groups)) if labels else None


def _called(files: Files, key: str, out: Path, state: State) -> str:
    """What to call an item when speaking to a person."""
    return str(files[key][0] if key in files else out / str(state.items[key].file))
