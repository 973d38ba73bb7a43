"""`likewise cluster`: a folder of pictures into a folder per cluster, again and again as pictures come."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.cluster.contents import Tree, content_hashes, tree_of
from likewise.apps.cluster.corrections import Seen, look
from likewise.apps.cluster.curves import KCurve, draw_k_curve, k_curve
from likewise.apps.cluster.cut import cut_of, pair_cut_of, support_note
from likewise.apps.cluster.cutouts import pictures_of
from likewise.apps.cluster.keys import box_of, by_content, content_of
from likewise.apps.cluster.manifest import MANIFEST, Entry, State, read_state
from likewise.apps.cluster.methods import ClusterOptions, find_clusters
from likewise.apps.cluster.page import draw_page
from likewise.apps.cluster.parts import handed_over, together_of
from likewise.apps.cluster.placing import Plan, numbered_like_before, plan
from likewise.apps.cluster.space import space_of
from likewise.apps.cluster.store import Store, encode_into, read_store, write_store
from likewise.apps.cluster.writing import Link, alone, carry_out, remove_parts
from likewise.apps.prepared import prepared
from likewise.data import folder as labelled_folder
from likewise.data.loaders import files_below
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.matching import Model
from likewise.metrics import Clustering, agreement
from likewise.prepare import Box


@final
@dataclass(frozen=True)
class Group:
    """One cluster.

    Attributes:
        id: its number, never given to another.
        name: its folder in OUT.
        yours: whether a person named it or changed what is in it.
        items: its pictures, by where they were found; those no longer there by their place in OUT.
        boxes: where in each picture what belongs to this cluster is; None for all of it.
        copies: the path in OUT of each, or what it would be; pictures of one content have one copy.
    """

    id: int
    name: str
    yours: bool
    items: tuple[str, ...]
    boxes: tuple[Box | None, ...]
    copies: tuple[str, ...]


@final
@dataclass(frozen=True)
class Clustered:
    """What `cluster_folder` did, or would do.

    Attributes:
        clusters: by their numbers.
        unassigned: pictures in no cluster, or with a part that is in none.
        unassigned_copies: the path in OUT of each of them; see `Group.copies`.
        empty: pictures in which the model's prepare step finds nothing, and that so were left out.
        flawed: of each copy that is unassigned, file, box and flaw if it is too poor to decide by.
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
        page: the page that shows what each copy stands for, where one was asked for.
        skipped: file and reason of each picture that could not be used.
        notes: what the person should know.
    """

    clusters: tuple[Group, ...]
    unassigned: tuple[str, ...]
    unassigned_copies: tuple[str, ...]
    empty: tuple[str, ...]
    flawed: tuple[tuple[str, Box | None, str], ...]
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
    page: Path | None
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise cluster --json`."""
        return {
            "clusters": [
                {
                    "id": group.id,
                    "name": group.name,
                    "yours": group.yours,
                    "items": list(group.items),
                    "boxes": [box and list(box) for box in group.boxes],
                    "copies": list(group.copies),
                }
                for group in self.clusters
            ],
            "unassigned": list(self.unassigned),
            "unassigned_copies": list(self.unassigned_copies),
            "empty": list(self.empty),
            "flawed": [{"file": file, "box": box and list(box), "reason": why} for file, box, why in self.flawed],
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
            "page": None if self.page is None else str(self.page),
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "notes": list(self.notes),
        }


def cluster_folder(
    model: Model,
    folder: Path | str,
    out: Path | str,
    options: ClusterOptions | None = None,
    *,
    prepare: str | None = None,
    fmr: float | None = None,
    picture_from: str | None = None,
    link: Link | None = None,
    afresh: bool = False,
    dry_run: bool = False,
    curves: Path | None = None,
    page: Path | None = None,
    progress: Progress | None = None,
) -> Clustered:
    """Groups the pictures below `folder` and puts each group into a folder of its own in `out`.

    Run again, it first reads what a person changed in `out` (see `corrections`), keeps that for ever, and finds places
    for pictures that are new or unassigned; clusters that are there keep their pictures, numbers and names. With
    another model or other options, or `afresh`, clusters are made anew but for what a person said. Clusters that share
    pictures with earlier ones keep their numbers and names then too.

    The same picture twice is one item, whatever it is called. A picture in which the model's prepare step finds several
    things is as many items, each with a copy in the folder of its cluster, and no two of them in one cluster unless a
    person puts them there. Embeddings are kept in `out`, so that only new pictures are encoded.

    Args:
        model: encodes and compares; calibrated or with a published threshold, for the method agglomerative.
        folder: searched for pictures, with the folders in it but for `out`.
        out: what was not put there by this function stays as it is.
        options: method and its options; None for agglomerative.
        prepare: a name from `likewise.prepare.FINDERS`, to look for such things with a model that does not, or for
            others than it does.
        fmr: for agglomerative, stop at the threshold of exactly this promised rate; see `cut_of`.
        picture_from: where the items were cut out of pictures, a regular expression with one group: items in whose file
            names it finds the same are of one picture, and so never in one cluster, unless a person puts them there.
        link: "hard" or "symbolic" links in the place of copies.
        afresh: make clusters anew that no person touched.
        dry_run: write nothing.
        curves: where to draw, as a PNG, the elbow and silhouette curves over k.
        page: where to write, as HTML, which copy in `out` stands for which part of which picture.
        progress: told of reading, encoding, clustering and writing.

    Raises:
        DataError: no pictures that can be read, a damaged manifest, a full disk, no file name in
            which `picture_from` finds a picture.
        ModelError: agglomerative and no threshold.
        UsageError: options that cannot work, or `out` is `folder` or around it.
    """
    folder, out, options = Path(folder), Path(out), options or ClusterOptions()
    _check(folder, out, options, fmr, curves)
    _check_page(page, model)
    if picture_from is not None:
        pictures_of([], picture_from)  # raises before the work where it is wrong
    asked, model = model, model if prepare is None else prepared(model, prepare)
    threshold = cut_of(model, fmr) if options.method == "agglomerative" else None
    settings = {**options.as_dict(), "threshold": threshold, "picture_from": picture_from}
    with nullcontext() if dry_run else alone(out):
        state = read_state(out) or State()
        tree = tree_of(out, state) if out.is_dir() else Tree({}, frozenset(), ())
        files, skipped = _contents(folder, out, progress)
        if picture_from is not None:
            _check_found(files, picture_from)
        seen = look(state, tree.hashes, files.keys())
        store = read_store(out, model.fingerprint)
        changed = bool(state.items) and (state.model != store.model or state.settings != settings)
        known, encoded = _encode(
            model, store, state, seen.state, files, out, keep=not (afresh or changed), always=curves is not None,
            write=not dry_run, progress=progress,
        )  # fmt: skip
        named = None if picture_from is None else pictures_of(_places(encoded.keys, files, known), picture_from)
        together = together_of(encoded.keys, named)
        after, curve = _clustered(known, encoded, model, options, threshold, together, progress)
        unread = encoded.unreadable.keys()
        sources = {
            key: str(files[content][0].absolute())
            for key in after.items
            if (content := content_of(key)) in files and content not in unread
        }
        after = replace(after, model=store.model, settings=settings, empty=_empty(after, state, store, files))
        planned = plan(after, tree.names, sources)
        if curves is not None:
            curve = curve or _curve(encoded, model, options, progress)
            draw_k_curve(curve, curves)
        if not dry_run:
            remove_parts(tree.parts)
            if planned.writing or planned.state != state:
                skipped += carry_out(out, planned, sources, link, progress)
            _forget(store, planned.state, files, out)
        if page is not None:
            found = {key: files.get(content_of(key), []) for key in planned.state.items}
            draw_page(page, planned.state, out, found, store.flaws)
    skipped += encoded.unreadable.values()
    return _answer(
        planned, store, files, folder, out, seen, method=options.method, threshold=threshold, curve=curve,
        curves=curves, page=page, skipped=tuple(skipped),
        notes=_notes(
            model, asked, options, fmr, seen, twice=sum(len(found) - 1 for found in files.values()),
            first=not state.items, changed=changed and not afresh,
        ),
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


def _check_page(page: Path | None, model: Model) -> None:
    if page is None:
        return
    if page.suffix.lower() != ".html":
        raise UsageError("A page is written as .html", repr(str(page)), "Pass for example --page albums.html.")
    if (kind := model.encoder.ready().kind) != "picture":
        raise UsageError("A page shows pictures", f"a model of {kind}s", "Leave it out.")


Files = dict[str, list[Path]]  # by content hash, the files that have it


def _contents(folder: Path, out: Path, progress: Progress | None) -> tuple[Files, list[tuple[str, str]]]:
    """The pictures to be clustered, and file and reason of each that could not be read.

    What this or another run has made below `folder` is copies, and not looked at.

    Raises:
        DataError: there are none.
    """
    made = {out.resolve(), *(manifest.parent.resolve() for manifest in folder.glob(f"*/**/{MANIFEST}"))}
    below = [folder / inside for inside in files_below(folder)]
    below = [file for file in below if made.isdisjoint((file.parent.resolve(), *file.parent.resolve().parents))]
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
    places = [file for found in files.values() for file in found]
    if (pictures_of(places, picture_from) < 0).all():
        raise DataError(
            "--picture-from finds the picture in file names",
            f"none of {len(places)} has {picture_from!r}",
            "Correct it.",
        )


@final
@dataclass(frozen=True)
class _Encoded:
    """What is to be clustered.

    Attributes:
        keys: (N,) of the items, rising, so that names and places of the files decide nothing.
        embeddings: (N, D).
        anchors: (N,) numbers of the clusters that keep their items, -1 for items to find a place for.
        flawed: (N,) which are too poor to decide anything by.
        unreadable: by content hash, file and why it could not be encoded.
    """

    keys: list[str]
    embeddings: Tensor
    anchors: NDArray[np.int64]
    flawed: NDArray[np.bool_]
    unreadable: dict[str, tuple[str, str]]


def _encode(
    model: Model, store: Store, before: State, state: State, files: Files, out: Path, *, keep: bool, always: bool,
    write: bool, progress: Progress | None,
) -> tuple[State, _Encoded]:  # fmt: skip
    """The state with all items there are, and the embeddings of those that are in a cluster or to be put into one.

    They are of no item where all have a place and not `always`. What `store` has is not encoded again.

    Raises:
        DataError: none of the pictures can be read, and none ever was.
    """
    same = before.model == store.model
    new = files.keys() - {content_of(key) for key in state.items} - (before.empty.keys() if same else set())
    live = {key for key, entry in state.items.items() if _is_live(entry)}
    held = {key for key in live if state.items[key].cluster is not None and (keep or state.items[key].sure)}
    asked = new | {content_of(key) for key in live} if always or new or not same or live - held else set[str]()
    back = {content_of(key) for key in live if key in before.items and before.items[key].removed}
    places = {content_of(key): out / e.file for key, e in state.items.items() if e.file is not None}
    places |= {content: found[0] for content, found in files.items()}
    wanted = {content: places[content] for content in sorted(asked) if content in places}
    missing = {content: file for content, file in wanted.items() if content not in store.contents or content in back}
    problems = encode_into(store, missing, model, out if write else None, progress)
    unreadable = {content: (str(missing[content]), why) for content, why in problems.items()}
    rows = by_content(store.embeddings)
    found = {content: rows.get(content, []) for content in sorted(asked & store.contents)}
    if asked and not found and not live:
        raise DataError("At least one picture can be read", next(iter(problems.values())))
    items = handed_over(state.items, found)
    items |= {key: Entry() for keys in found.values() for key in keys if key not in items}
    keys = sorted(key for of_one in found.values() for key in of_one if _is_live(items[key]))
    anchors = [items[key].cluster if keep or items[key].sure else None for key in keys]
    return replace(state, items=items), _Encoded(
        keys,
        torch.from_numpy(np.stack([store.embeddings[key] for key in keys])) if keys else torch.empty(0, 1),
        np.array([-1 if number is None else number for number in anchors], dtype=np.int64),
        np.array([key in store.flaws for key in keys], dtype=bool),
        unreadable,
    )


def _is_live(entry: Entry) -> bool:
    """Whether an item is in a cluster or to be put into one: a person did not say that it belongs nowhere."""
    return not (entry.removed or (entry.sure and entry.cluster is None))


def _empty(state: State, before: State, store: Store, files: Files) -> dict[str, str]:
    """Where the pictures lie in which nothing is found, by content hash."""
    of_items = {content_of(key) for key in state.items}
    told = store.contents | (before.empty.keys() if before.model == store.model else set())
    return {content: str(found[0]) for content, found in files.items() if content in told and content not in of_items}


def _forget(store: Store, state: State, files: Files, out: Path) -> None:
    """Takes out of the store what a person deleted, and files that are neither in OUT nor where they came from."""
    removed = {key for key, entry in state.items.items() if entry.removed}
    contents = files.keys() | {content_of(key) for key in state.items.keys() - removed}
    if store.forget(contents, removed):
        write_store(out, store)


def _clustered(
    state: State, encoded: _Encoded, model: Model, options: ClusterOptions, threshold: float | None,
    together: NDArray[np.int64] | None, progress: Progress | None,
) -> tuple[State, KCurve | None]:  # fmt: skip
    """The state with every item in the cluster that was found for it."""
    anchored = set(encoded.anchors[encoded.anchors >= 0].tolist())
    found = find_clusters(
        encoded.embeddings, model.encoder.distance_on_cpu(), options, threshold=threshold, pair=pair_cut_of(model),
        anchors=encoded.anchors, together=together, flawed=encoded.flawed, progress=progress,
    )  # fmt: skip
    groups = {key: None if label < 0 else label for key, label in zip(encoded.keys, found.labels.tolist(), strict=True)}
    return numbered_like_before(groups, anchored, state), found.curve


def _places(keys: list[str], files: Files, state: State) -> list[Path]:
    """The items' files, where they were before `cluster_folder` made their names unlike."""
    known = state.items
    return [
        files[content][0].absolute()
        if (content := content_of(key)) in files
        else Path(known[key].source or str(known[key].file))
        for key in keys
    ]


def _curve(encoded: _Encoded, model: Model, options: ClusterOptions, progress: Progress | None) -> KCurve:
    space = space_of(encoded.embeddings, model.encoder.distance_on_cpu())
    return k_curve(space.points, seed=options.seed, progress=progress)


def _notes(
    model: Model, asked: Model, options: ClusterOptions, fmr: float | None, seen: Seen, *, twice: int, first: bool,
    changed: bool,
) -> tuple[str, ...]:  # fmt: skip
    notes: list[str] = []
    if model is not asked and model.calibration is not None:
        notes.append("the model was calibrated with another prepare step: look at the clusters before you trust them")
    if options.method == "agglomerative" and (note := support_note(model, fmr)):
        notes.append(note)
    if changed:
        notes.append("model or options are others than last time: clusters that nobody touched were made anew")
    if twice:
        which = "1 picture has the content of another" if twice == 1 else f"{twice} pictures have the content of others"
        notes.append(f"{which}: one copy of each content is put into OUT, and copies are counted")
    if first and seen.moved:
        notes.append(f"what was in OUT before the first run is taken for your examples: {seen.moved} of the pictures")
        return tuple(notes)
    done = (
        (len(seen.named), "folder", "renamed"),
        (seen.moved, "picture", "moved"),
        (seen.removed, "picture", "deleted"),
    )
    if said := ", ".join(f"{n} {what}{'s' * (n > 1)} {how}" for n, what, how in done if n):
        notes.append(f"since the last run, by you: {said}")
    return tuple(notes)


def _answer(
    planned: Plan, store: Store, files: Files, folder: Path, out: Path, seen: Seen, *, method: str,
    threshold: float | None, curve: KCurve | None, curves: Path | None, page: Path | None,
    skipped: tuple[tuple[str, str], ...], notes: tuple[str, ...],
) -> Clustered:  # fmt: skip
    state = planned.state
    inside: dict[int | None, list[tuple[str, str]]] = {}  # file and key
    removed: list[str] = []
    for key, entry in state.items.items():
        here = [] if entry.file is None else [out / entry.file]
        found = [str(file) for file in files.get(content_of(key), here)]
        if entry.removed:
            removed += found
        else:
            inside.setdefault(entry.cluster, []).extend((file, key) for file in found)
    copies = {key: entry.file for key, entry in state.items.items() if entry.file is not None}
    groups: list[Group] = []
    for number, name in sorted(state.folders.items()):
        items = sorted(inside.get(number, []))
        boxes = tuple(box_of(key) for _, key in items)
        of_group = tuple(copies[key] for _, key in items)
        groups.append(Group(number, name, number in state.yours, tuple(file for file, _ in items), boxes, of_group))
    unassigned = sorted(inside.get(None, []))
    poor: dict[str, str] = {}
    for file, key in unassigned:
        if key in store.flaws:
            poor.setdefault(key, file)  # the first of those that have one content
    return Clustered(
        clusters=tuple(groups),
        unassigned=tuple(file for file, _ in unassigned),
        unassigned_copies=tuple(copies[key] for _, key in unassigned),
        empty=tuple(sorted(str(file) for content in state.empty for file in files[content])),
        flawed=tuple((file, box_of(key), store.flaws[key]) for key, file in poor.items()),
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
        page=page,
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
    items = by_content(key for key, entry in state.items.items() if not entry.removed)
    labels: list[int] = []
    groups: list[int] = []
    for content, found in sorted(files.items()):
        label: int | None = identity.get(found[0].relative_to(folder).as_posix())
        if label is None:
            continue
        for key in items.get(content, []):
            cluster = state.items[key].cluster
            labels.append(label)
            groups.append(-1 - len(groups) if cluster is None else cluster)
    return agreement(np.array(labels), np.array(groups)) if labels else None
