"""A database of embeddings that answers who or what something is, takes newcomers without training, and can forget."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.encoder import Item, Progress
from likewise.errors import DataError, ModelError, UsageError
from likewise.gallery.claim import Claim, Frame, Line, claimed
from likewise.gallery.decision import (
    Candidates,
    Decision,
    K,
    Lines,
    Rule,
    check_rule,
    decide,
    distances_to,
    lines_of_model,
    lines_published,
    robust_mean,
)
from likewise.gallery.exchange import import_records, other_model, write_parquet
from likewise.gallery.items import Encode, EncodedItem, EncodedItems, Unused, encode_items, nothing_read, sole, told
from likewise.gallery.leave_out import GalleryCalibration, leave_out, loose_for
from likewise.gallery.modelfiles import files_of, model_from
from likewise.gallery.names import check_name
from likewise.gallery.records import MOST_IDS, Records, new_ids
from likewise.gallery.results import Enrolled, Forgotten, Identified, Probe
from likewise.gallery.store import UNFINISHED, Description, Store, check_whole, exchanged, store_for
from likewise.matching import Model, is_registered, load
from likewise.matching.folder import CALIBRATION

_MOVED_AT_ONCE = 1000  # records, with their originals
_CALIBRATED_BY = "calibration of the model"  # among the settings: what stands for the model's thresholds


@final
class Gallery:
    """Records of one model's embeddings, and a copy of the model.

    What is written is on disk when a method returns, and a kill loses nothing of it. A gallery may be used by several
    threads and processes at once. `with` closes it.

    Args:
        store: where it is kept; `Gallery.open` finds it.
        model: the model it holds embeddings of; None to load the kept copy when it is needed.
        encode: what encodes items, if not the model itself: a service lets requests share it.

    Raises:
        ModelError: the gallery holds embeddings of another model, or decides with another calibration of this one.
    """

    def __init__(self, store: Store, model: Model | None = None, encode: Encode | None = None) -> None:
        self._store, self._encode = store, encode
        self._kept: tuple[object, Model] | None = None  # the model, and what says whether it is still the one
        if model is not None:
            about = store.describe()  # first: a rebuild from here on is noticed when the model is needed
            _check_same(model, about, store)
            self._kept = _which(about), model

    @classmethod
    def open(
        cls,
        uri: str | os.PathLike[str],
        model: Model | str | os.PathLike[str] | None = None,
        *,
        encode: Encode | None = None,
    ) -> Self:
        """The gallery at `uri`; if there is none, and `model` is given, a new one.

        Args:
            uri: a file, or `http://host:port/name` on a Milvus server.
            model: whose embeddings it holds: a model, its folder, or the name of a registered one. A new gallery keeps
                a copy, and so does one without records; another must be of this model.
            encode: see the class.

        Raises:
            DataError: there is no gallery and no model to make one, or it cannot be read.
            ModelError: the gallery holds embeddings of another model, or decides with another calibration of this one.
            UsageError: an address that cannot be.
        """
        uri = os.fspath(uri)
        kind = store_for(uri)
        given, folder = (None, None) if model is None else _loaded(model)
        if given is None or kind.exists(uri):
            store = kind.open(uri)
        else:
            settings = {"rule": "vote", "k": K, _CALIBRATED_BY: _thresholds(given)}
            description = Description(given.fingerprint, given.dim, time.time(), settings)
            store = kind.create(uri, description, files_of(given, folder))
        try:
            check_whole(store)
            try:
                return cls(store, given, encode)
            except ModelError:
                if given is None or store.count():
                    raise
                opened = cls(store, None, encode)
                opened._rebuild(given, folder)
                return opened
        except BaseException:
            store.close()
            raise

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._store.uri

    @property
    def fingerprint(self) -> str:
        """Of the model whose embeddings it holds."""
        return self._store.describe().fingerprint

    @property
    def model(self) -> Model:
        """The model, loaded from the kept copy when first needed, and again when somebody has exchanged it.

        Raises:
            ModelError: its files are damaged, or the libraries here give other embeddings.
        """
        return self._model_of(self._store.describe())

    def enrol(
        self,
        name: str,
        items: Item | Sequence[Item],
        *,
        metadata: Mapping[str, Any] | None = None,
        keep_originals: bool = False,
        progress: Progress | None = None,
    ) -> Enrolled:
        """Enters items under a name, new or known: all that can be read, in one step.

        Content that is enrolled under this name is not entered again; under another name it is refused.

        Args:
            name: one line of text, up to 200 characters of any alphabet, without slashes.
            items: one, or a list: paths, bytes or arrays.
            metadata: to remember with each, JSON-ready.
            keep_originals: whether to keep the items themselves, which `rebuild` needs to exchange the model.
            progress: told of encoding.

        Raises:
            UsageError: no name, or metadata that are no JSON. DataError: nothing could be entered; says why.
        """
        name, noted, about = check_name(name), _json_ready(metadata or {}), self._store.describe()
        encoded = self._encoded(about, items, progress, keep=keep_originals)
        found, skipped = sole(encoded, self._model_of(about).encoder.ready().prepare)
        if not found:
            raise nothing_read(skipped)
        added, already, taken = self._entered(about, name, found, noted)
        if not added and not already:
            raise DataError("Content is enrolled under one name", f"{taken[0].file}, {taken[0].reason}")
        return Enrolled(name, added, already, told(sorted([*skipped, *taken])))

    def enrol_all(
        self, items: Mapping[str, Sequence[Item]], *, progress: Progress | None = None
    ) -> tuple[Enrolled, ...]:
        """Enters the items of many names as `enrol` does those of one, but encodes all of them in one pass, which keeps
        all cores busy where there are few of each; then each name in one step.

        Args:
            items: of each name.
            progress: told of encoding.

        Returns:
            What was entered of each name, in their order; that nothing could be is no error here.

        Raises:
            UsageError: no name, or no items at all.
        """
        about = self._store.describe()
        names = {name: check_name(name) for name in items}
        whose = [names[name] for name, own in items.items() for _ in own]
        encoded = self._encoded(about, [item for own in items.values() for item in own], progress)
        good: dict[str, list[EncodedItem]] = {name: [] for name in names.values()}
        bad: dict[str, list[Unused]] = {name: [] for name in good}
        found, skipped = sole(encoded, self._model_of(about).encoder.ready().prepare)
        for one in found:
            good[whose[one.number]].append(one)
        for unused in skipped:
            bad[whose[unused.number]].append(unused)
        done: list[Enrolled] = []
        for name, own in good.items():
            added, already, taken = self._entered(about, name, own, {}) if own else ((), (), ())
            done.append(Enrolled(name, added, already, told(sorted([*bad[name], *taken]))))
        return tuple(done)

    def identify(
        self,
        items: Item | Sequence[Item],
        *,
        k: int | None = None,
        rule: Rule | None = None,
        progress: Progress | None = None,
    ) -> Identified:
        """Who or what items are: a name, "unsure" or "unknown" for each thing found in them.

        Args:
            items: one, or a list: paths, bytes or arrays.
            k: how many of the nearest records decide; None for the gallery's own number.
            rule: "vote" or "mean" (`likewise.gallery.decision`); None for the gallery's own.
            progress: told of encoding.

        Raises:
            DataError: nothing could be read. ModelError: neither the gallery nor its model is calibrated.
            UsageError: a rule or k that cannot be.
        """
        about = self._store.describe()
        rule, k = _asked(about, rule, k)
        encoded = self._encoded(about, items, progress)
        found = encoded.found
        if not found and not encoded.empty:
            raise nothing_read(encoded.skipped)
        records = self._store.count()
        lines = self._lines(about, rule, k, records)
        embeddings = np.stack([one.embedding for one in found]) if found else np.empty((0, about.dim), np.float32)
        decisions = self._decide(about, embeddings, lines, rule, k)
        self._check_still(about)
        probes = tuple(
            Probe(one.file, one.box, decision if one.flaw is None else decision.at_most_unsure(), one.flaw)
            for one, decision in zip(found, decisions, strict=True)
        )
        empty = tuple(file for _, file in encoded.empty)
        read = sorted([*((one.number, one.file) for one in found), *encoded.empty])
        files = tuple(dict.fromkeys(file for _, file in read))
        return Identified(probes, told(encoded.skipped), empty, files, lines, rule, k, records)

    def verify(self, items: Item | Sequence[Item], name: str, *, fmr: float | None = None) -> Claim:
        """Whether items are who they are said to be: the distances to the nearest record of that name, which vote.

        The threshold is the model's; if the model has none, the gallery's strict line. An item that cannot be read, or
        in which nothing, more than one thing, or nothing good enough is found, has no vote; if all are such, the answer
        is "unfit".

        Args:
            items: one, or several of the same, such as the frames of a camera: paths, bytes or arrays.
            name: who it is said to be.
            fmr: which of the model's promised false match rates to hold for each comparison; None for the smallest.

        Raises:
            DataError: an unknown name.
            ModelError: neither the gallery nor its model is calibrated.
            UsageError: the model is not calibrated for this rate, or there are no items.
        """
        name, about = check_name(name), self._store.describe()
        records = sum(len(block) for block in self._records_of(name))
        model = self._model_of(about)
        by_model = model.calibration is not None or fmr is not None
        if by_model:
            line = _line_of(model, fmr)
        else:
            lines = self.lines("vote")
            if lines.source == "published":  # no promise to anybody, and this is who lets people in
                raise _uncalibrated()
            line = Line.of_gallery(lines)
        encoded = self._encoded(about, items)
        good, unfit = sole(encoded, model.encoder.ready().prepare)
        frames = {one.number: Frame(one.file, "unfit", None, problem=one.reason) for one in unfit}
        if good:
            probes = np.stack([one.embedding for one in good])
            near = self._store.search(probes, 1, model.encoder.distance_on_cpu(), names=[name])
            if near.ids.size == 0:  # it was forgotten a moment ago
                raise self._unknown(name)
            for one, distance in zip(good, near.distances[:, 0].tolist(), strict=True):
                frames[one.number] = Frame(one.file, line.says(distance), distance, one.box)
        self._check_still(about)
        in_order = [frames[number] for number in sorted(frames)]
        return claimed(name, in_order, line, model.calibration if by_model else None, records)

    def forget(self, name: str | None = None, *, id: int | None = None) -> Forgotten:
        """Removes all records of a name, or one record by its id, with all that was kept of them.

        When it returns, no byte of the gallery's files or indexes says anything about them. Backups, exports and logs
        made before are other files.

        Raises:
            DataError: an unknown name or id; or another process reads an old state of the file, so that bytes are left
                although the records are gone; says what to do.
            UsageError: both or none of the two.
        """
        if (name is None) == (id is None):
            raise UsageError("A name or an id is forgotten", "both" if name else "neither", "Pass one of them.")
        if name is not None:
            name = check_name(name)
            ids = np.concatenate([block.ids for block in self._records_of(name)])
        else:
            ids = np.array([id] if 0 <= (id or 0) < MOST_IDS else [], np.int64)
            whose = next(self._store.records(ids=ids), None)
            if whose is None:
                hint = "`likewise gallery list GALLERY NAME` lists ids."
                raise DataError("An id that is forgotten is enrolled", id, hint)
            name = whose.names[0]
        return Forgotten(name, self._store.forget(ids))

    def rename(self, old: str, new: str) -> int:
        """Gives all records of a name another name, which nobody has; how many there were.

        Raises:
            DataError: an unknown name, or one that is taken; see `merge`. UsageError: no name, or twice the same.
        """
        old, new = check_name(old), check_name(new)
        if old == new:
            raise UsageError("A new name is another one", f"twice {new!r}")
        return self._named(old, new, free=True)

    def merge(self, name: str, into: str) -> int:
        """Gives all records of a name the name `into`, which somebody has; how many there were.

        Raises:
            DataError: an unknown name. UsageError: no name, or twice the same.
        """
        name, into = check_name(name), check_name(into)
        if name == into:
            raise UsageError("Two names are merged", f"twice {name!r}")
        next(self._records_of(into))
        return self._named(name, into)

    def names(self) -> dict[str, int]:
        """Every name and how many records it has, sorted by name."""
        return self._store.names()

    def records(self, name: str | None = None, *, originals: bool = False) -> Iterator[Records]:
        """All records, or those of a name, a block at a time; `originals` are left out unless asked for.

        Raises:
            DataError: an unknown name.
        """
        return (
            self._store.records(originals=originals) if name is None else self._records_of(check_name(name), originals)
        )

    def lines(self, rule: Rule | None = None, k: int | None = None) -> Lines:
        """Where "known" and "unsure" end, and what that promises for as many records as there are now.

        Those that `calibrate` found, if it was for this rule and k; else the model's.

        Raises:
            ModelError: neither is calibrated.
        """
        about = self._store.describe()
        return self._lines(about, *_asked(about, rule, k), self._store.count())

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What `calibrate` found; None if it was never called for this model."""
        return _calibration_of(self._store.describe())

    def calibrate(
        self,
        fpir: float = 0.01,
        *,
        loose_fpir: float | None = None,
        rule: Rule | None = None,
        k: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> GalleryCalibration:
        """Sets both lines for this gallery, by leaving out each name in turn (`likewise.gallery.leave_out`).

        Args:
            fpir: promised share of strangers' looks that end in a name.
            loose_fpir: promised share that end in a name or in "unsure"; None for ten times `fpir`, at most 0.5, or
                halfway from `fpir` to 1 where that is more.
            rule, k: how to decide from now on; None to leave it as it is.
            seed: of the names that are left out, in galleries of more than 20,000 records.
            progress: told of the work.

        Raises:
            SupportError: too few names for this promise; says how many are missing. UsageError: impossible options.
        """
        about = self._store.describe()
        rule, k = _asked(about, rule, k)
        model = self._model_of(about)
        blocks = list(self._store.records())
        if not blocks:
            raise DataError("A gallery is calibrated on what is enrolled", "nothing", "Enrol first.")
        embeddings = torch.from_numpy(np.concatenate([block.embeddings for block in blocks]))
        _, names = np.unique([name for block in blocks for name in block.names], return_inverse=True)
        found = leave_out(
            embeddings, names, model.encoder.distance_on_cpu(), fpir=fpir,
            loose_fpir=loose_for(fpir) if loose_fpir is None else loose_fpir,
            rule=rule, k=k, unit=model.encoder.unit, seed=seed, progress=progress,
        )  # fmt: skip
        with self._store.alone():
            self._check_still(about)
            kept = {"calibration": found.as_dict(), "calibrated": about.fingerprint}  # for no other model's embeddings
            self._store.configure({**self._store.describe().settings, "rule": rule, "k": k, **kept})
        return found

    def rebuild(self, model: Model | str | os.PathLike[str], *, progress: Progress | None = None) -> int:
        """Exchanges the model: all kept originals are encoded anew, in one step; how many records there are.

        For the same model with another calibration nothing is encoded, and the gallery's own calibration stays. For
        another model it is dropped, as its lines were for the old embeddings.

        Raises:
            DataError: a record has no original, or one that cannot be read now or could not be enrolled with this
                model; or the settings were changed meanwhile. Nothing has changed then.
        """
        return self._rebuild(*_loaded(model), progress)

    def export(self, file: str | os.PathLike[str], *, originals: bool = False) -> int:
        """Writes all records to a Parquet file (docs/formats.md); how many. What is forgotten later stays in it.

        Raises:
            DataError: it cannot be written. UsageError: a file that is called otherwise than .parquet, or is there and
                is no export.
        """
        about = self._store.describe()
        records = self._store.records(originals=originals, block=_MOVED_AT_ONCE if originals else 10_000)
        return write_parquet(Path(file), about.fingerprint, about.dim, records)

    def import_(self, file: str | os.PathLike[str]) -> Enrolled:
        """Enters the records of a file that `export` wrote; called again after an interruption it goes on.

        Content that is enrolled under the same name is not entered again, under another name it is left out. Ids stay,
        but for those that are taken.

        Raises:
            DataError: no such file. ModelError: embeddings of another model.
        """
        return import_records(self._store, Path(file))

    def move(self, uri: str | os.PathLike[str], *, progress: Progress | None = None) -> Gallery:
        """The gallery at another address, where nothing may be; the one here is removed once all is there.

        Nobody else can write meanwhile, and who still has the gallery open is refused from then on. What a move that
        was killed has left there is no gallery to anybody, and the next move to that address replaces it.

        Raises:
            DataError: something is there, or it could not be moved; the gallery here is then as it was.
        """
        uri = os.fspath(uri)
        kind = store_for(uri)
        _remove_unfinished(uri)
        with self._store.alone():
            about, total, done = self._store.describe(), self._store.count(), 0
            begun = replace(about, settings={**about.settings, UNFINISHED: self.uri})
            target = kind.create(uri, begun, self._store.model_files())
            try:
                for block in self._store.records(originals=True, block=_MOVED_AT_ONCE):
                    target.add(block)
                    done += len(block)
                    if progress:
                        progress(done, total, "moving")
                if not total == done == target.count():
                    raise DataError("A gallery is moved as a whole", f"{done:,} of {total:,} records", "Try again.")
                target.configure(about.settings)  # from here on there are two, until the one here is removed
            except BaseException:
                target.remove()
                raise
            self._store.remove()
        return Gallery(target, None, self._encode)

    def info(self) -> dict[str, Any]:
        """What the gallery is, JSON-ready."""
        about, names = self._store.describe(), self._store.names()
        found = _calibration_of(about)
        records = sum(names.values())
        return {
            "uri": self.uri,
            "fingerprint": about.fingerprint,
            "dim": about.dim,
            "created": about.created,
            "names": len(names),
            "records": records,
            "rule": about.settings["rule"],
            "k": about.settings["k"],
            "calibration": None if found is None else found.as_dict(),
            "grown": None if found is None else records / found.records,
        }

    def close(self) -> None:
        """Lets go of the file or the connection."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _model_of(self, about: Description) -> Model:
        kept = self._kept
        if kept is None or kept[0] != _which(about):
            kept = self._kept = _which(about), model_from(self._store.model_files())
        return kept[1]

    def _rebuild(self, given: Model, folder: Path | None, progress: Progress | None = None) -> int:
        before = self._store.describe()
        same, total, done = given.fingerprint == before.fingerprint, self._store.count(), 0

        def renewed() -> Iterator[Records]:
            nonlocal done
            if self._store.describe() != before:  # asked when nobody else can write any more
                raise DataError("A gallery is rebuilt as it was found", "one that was changed meanwhile", "Try again.")
            if not same:
                _check_originals(self._store)
            for block in self._store.records(originals=True, block=_MOVED_AT_ONCE):
                done += len(block)
                yield block if same else replace(block, embeddings=_encoded_anew(block, given))
                if progress:
                    progress(done, total, "rebuilding")

        settings = before.settings if same else {key: before.settings[key] for key in ("rule", "k")}
        description = replace(
            before, fingerprint=given.fingerprint, dim=given.dim,
            settings={**settings, _CALIBRATED_BY: _thresholds(given)},
        )  # fmt: skip
        self._store.rebuild(description, files_of(given, folder), renewed())
        self._kept = _which(description), given
        return done

    def _check_still(self, about: Description) -> None:
        """Another process may have exchanged the model since `about` was read, and distances would mean nothing."""
        if self._store.describe().fingerprint != about.fingerprint:
            raise exchanged()

    def _encoded(
        self,
        about: Description,
        items: Item | Sequence[Item],
        progress: Progress | None = None,
        *,
        keep: bool = False,
    ) -> EncodedItems:
        encode = self._encode or partial(self._model_of(about).encode_parts, progress=progress)
        return encode_items(items, encode, keep=keep)

    def _entered(
        self, about: Description, name: str, found: Sequence[EncodedItem], noted: dict[str, Any]
    ) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...], tuple[Unused, ...]]:
        """Writes what was found under a name: file and id of the new, files of those there already, and those taken."""
        first: dict[str, EncodedItem] = {}
        for one in found:
            first.setdefault(one.content_hash, one)
        ids = dict(zip(first, new_ids(len(first)).tolist(), strict=True))
        records = Records(
            ids=np.array(list(ids.values()), np.int64),
            names=[name] * len(first),
            embeddings=np.stack([one.embedding for one in first.values()]),
            hashes=list(first),
            times=np.full(len(first), time.time()),
            metadata=[noted] * len(first),
            originals=[one.original for one in first.values()],
        )
        held = self._store.add(records, model=about.fingerprint, once=True)
        added: list[tuple[str, int]] = []
        already: list[str] = []
        taken: list[Unused] = []
        for one in found:
            others = sorted(set(held.get(one.content_hash, [])) - {name})
            if others:
                taken.append(
                    Unused(one.number, one.file, f"enrolled already as {others[0]!r}: one of the two is wrong")
                )
            elif one.content_hash in held or one is not first[one.content_hash]:
                already.append(one.file)
            else:
                added.append((one.file, ids[one.content_hash]))
        return tuple(added), tuple(already), tuple(taken)

    def _lines(self, about: Description, rule: Rule, k: int, records: int) -> Lines:
        found = _calibration_of(about)
        if found is not None and (found.rule, found.k) == (rule, k):
            return found.lines(records)
        model = self._model_of(about)
        if model.calibration is not None:
            return lines_of_model(model.calibration, records, rule)
        if model.encoder.published is not None:
            return lines_published(model.encoder.published)
        raise _uncalibrated()

    def _decide(
        self, about: Description, embeddings: NDArray[np.float32], lines: Lines, rule: Rule, k: int
    ) -> list[Decision]:
        model = self._model_of(about)
        distance = model.encoder.distance_on_cpu()
        found = self._store.search(embeddings, k, distance)
        names = sorted({name for row in found.names for name in row})
        number = {name: i for i, name in enumerate(names)}
        numbers = np.array([[number[name] for name in row] for row in found.names], np.int64).reshape(found.ids.shape)
        near, to_means = Candidates(numbers, found.distances), None
        if rule == "mean" and names:
            rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
            for block in self._store.records(names=names):
                for name, row in zip(block.names, block.embeddings, strict=True):
                    rows[name].append(row)
            nobody = np.full(about.dim, np.inf, np.float32)  # forgotten a moment ago
            means = np.stack(
                [robust_mean(np.stack(r), distance, model.encoder.unit) if r else nobody for r in rows.values()]
            )
            to_means = distances_to(embeddings, means[numbers], distance)
        return decide(near, to_means, names, lines, model.calibration)

    def _records_of(self, name: str, originals: bool = False) -> Iterator[Records]:
        """The blocks of one name, of which there is at least one."""
        blocks = self._store.records(names=[name], originals=originals)
        first = next(blocks, None)
        if first is None:
            raise self._unknown(name)
        yield first
        yield from blocks

    def _unknown(self, name: str) -> DataError:
        names = list(self._store.names())
        alike = get_close_matches(name, names, 1) if len(names) <= 10_000 else []
        hint = f"Perhaps {alike[0]!r}?" if alike else "`likewise gallery list` shows who is."
        return DataError("A name that is asked for is enrolled", repr(name), hint)

    def _named(self, old: str, new: str, *, free: bool = False) -> int:
        changed = self._store.rename(old, new, free=free)
        if not changed:
            raise self._unknown(old)
        return changed


def _asked(about: Description, rule: Rule | None, k: int | None) -> tuple[Rule, int]:
    """What was asked for, or else what the gallery does."""
    return check_rule(rule or about.settings["rule"], about.settings["k"] if k is None else k)


def _calibration_of(about: Description) -> GalleryCalibration | None:
    found = about.settings.get("calibration")
    fits = about.settings.get("calibrated") == about.fingerprint
    return GalleryCalibration.from_dict(found) if found is not None and fits else None


def _line_of(model: Model, fmr: float | None) -> Line:
    try:
        return Line.of_model(model.calibrated(), fmr)
    except UsageError as error:
        remedy = "`likewise calibrate` a copy of the model for it, then `likewise gallery rebuild GALLERY MODEL`."
        raise UsageError(error.rule, error.received, remedy) from error


def _loaded(model: Model | str | os.PathLike[str]) -> tuple[Model, Path | None]:
    """A model, and the folder it is from where it is from one."""
    if isinstance(model, Model):
        return model, None
    return load(os.fspath(model)), None if is_registered(model) else Path(model)


def _uncalibrated() -> ModelError:
    return ModelError(
        "A gallery decides once it or its model is calibrated",
        "neither",
        "Run `likewise gallery calibrate GALLERY --fpir 0.1`, or rebuild it with a calibrated model.",
    )


def _remove_unfinished(uri: str) -> None:
    """Removes what is at `uri` if it is what a move has left that was cut short."""
    kind = store_for(uri)
    if not kind.exists(uri):
        return
    with suppress(DataError):  # something else: making a gallery there will say so
        store = kind.open(uri)
        if UNFINISHED in store.describe().settings:
            store.remove()
        store.close()


def _which(about: Description) -> tuple[str, object]:
    """Another one whenever the model is: its fingerprint covers what encodes, and not what it takes for the same."""
    return about.fingerprint, about.settings.get(_CALIBRATED_BY)


def _thresholds(model: Model) -> str:
    """What stands for a model's calibration."""
    return "" if model.calibration is None else hashlib.sha256(model.calibration.to_json().encode()).hexdigest()


def _check_same(given: Model, about: Description, store: Store) -> None:
    if given.fingerprint != about.fingerprint:
        raise other_model(given.fingerprint, about.fingerprint)
    calibration = store.model_files().get(CALIBRATION, b"").decode()
    if calibration != ("" if given.calibration is None else given.calibration.to_json()):
        raise ModelError(
            "A gallery keeps its model with its threshold",
            "the same model with another threshold, or with none",
            "Leave the model out to go on with the one kept, or exchange it: `likewise gallery rebuild GALLERY MODEL`.",
        )


def _check_originals(store: Store) -> None:
    """Before the work: every record has one."""
    lacking = Counter(
        name
        for block in store.records(originals=True, block=_MOVED_AT_ONCE)
        for name, original in zip(block.names, block.originals, strict=True)
        if original is None
    )
    if lacking:
        raise DataError(
            "A gallery gets another model by encoding its kept originals",
            f"{lacking.total():,} of {store.count():,} records without one, such as of {min(lacking)!r}",
            "Forget those and enrol their pictures anew with --keep-originals; or make a gallery of the other model.",
        )


def _encoded_anew(block: Records, model: Model) -> NDArray[np.float32]:
    encoded = model.encoder.encode_sole([original for original in block.originals if original is not None])
    if encoded.problems:
        place, reason = encoded.problems[0]
        raise DataError(
            "A kept original can be read, and the new model finds one good thing in it, as when it was enrolled",
            f"record {int(block.ids[place])} of {block.names[place]!r}: {reason.rstrip('.')}",
            "Forget it by its id, or take a model that finds the same.",
        )
    return encoded.embeddings.numpy()


def _json_ready(metadata: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError("Metadata are a JSON object", error, 'Pass for example {"door": 3}.') from error
