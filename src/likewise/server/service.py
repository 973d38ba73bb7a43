"""What the service can do, without HTTP: the library, with its encoder shared by all requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any, final

import numpy as np
import torch

from likewise.apps.classify import Answer, Classifier
from likewise.apps.cluster import ClusterOptions, cut_of, find_clusters, pair_cut_of
from likewise.apps.loading import load
from likewise.encoder import Encoded, Item, Progress
from likewise.errors import DataError, ModelError, UsageError
from likewise.gallery import Claim, Enrolled, Forgotten, Gallery, Identified
from likewise.gallery.claim import Line
from likewise.gallery.decision import Rule
from likewise.gallery.names import check_name
from likewise.matching import EMBED, TASKS, Model, Verdict, task_of
from likewise.server.batching import Lane, shown
from likewise.server.decoding import Decoders
from likewise.server.jobs import Job, Jobs
from likewise.server.limits import Limits
from likewise.server.pace import Shares, Tries
from likewise.server.refusals import Refusal

_ENCODED_AT_ONCE = 16  # pictures of a job: requests come between


@final
class Upload:
    """A picture as a client sent it.

    Args:
        name: what the client calls it; it opens nothing.
        content: its bytes.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self._name, self._content = name, content

    def read(self) -> bytes:
        """The bytes."""
        return self._content

    def __str__(self) -> str:
        return self._name


def load_served(model: str) -> Model | Classifier:
    """The model in a folder, or the registered one of this name.

    Raises:
        ModelError: it neither compares nor classifies; see also `likewise.apps.loading.load`.
    """
    task = task_of(model)
    if task not in (EMBED, Classifier.task):
        found = f"{model!r}, a model for {TASKS.get(task, task)}"
        raise ModelError("A service compares or classifies", found, "Ask it on the command line: `likewise --help`.")
    return load(model)


@final
class Service:
    """A model, perhaps a gallery, and what requests share.

    Args:
        model: compares or classifies; None for that of a gallery which is there. A gallery keeps its own copy, and that
            one is asked, so that the service follows when somebody exchanges it with `gallery rebuild`.
        gallery: its address; where there is none, it is made for `model`.
        limits: what clients may send.

    Raises:
        UsageError: neither a model nor a gallery, or a gallery for a model that does not compare; a model for another
            task. likewise.LikewiseError: see `Gallery.open`.
    """

    def __init__(
        self, model: Model | Classifier | None, gallery: str | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        if isinstance(model, Classifier) and gallery is not None:
            raise UsageError("A gallery holds what a model compares", "a model that classifies", "Leave --gallery out.")
        if model is None and gallery is None:
            raise UsageError(
                "A service has a model, or a gallery that keeps one", "neither", "Pass MODEL, or --gallery GALLERY."
            )
        self._own = model
        self._gallery = (
            None if gallery is None or isinstance(model, Classifier)
            else Gallery.open(gallery, model, encode=self._encode)
        )  # fmt: skip
        finder = self._asked.encoder.ready().prepare
        if finder is not None and finder.parameters():  # decoders start without torch, and hold no network
            raise UsageError(
                "A service cuts out what packages find", "a model that looks with a detector of its own",
                "Cut out first with `likewise detect --crop`.",
            )  # fmt: skip
        self._decoders = Decoders(self.limits)
        self._lane = Lane(self._decoders, self.limits.queue)
        self.jobs = Jobs()
        self.tries, self.shares = Tries(), Shares(self.limits.queue // 2)
        self._lock = Lock()
        self._known: tuple[Model | Classifier, str] | None = None
        self._began = time.monotonic()

    @property
    def model(self) -> Model:
        """What compares now.

        Raises:
            ModelError: the service classifies.
        """
        asked = self._asked
        if isinstance(asked, Classifier):
            raise ModelError("This is asked of a model that compares", "one that classifies", "Ask /v1/classify.")
        return asked

    @property
    def classifier(self) -> Classifier:
        """What classifies.

        Raises:
            ModelError: the service compares.
        """
        asked = self._asked
        if isinstance(asked, Model):
            rule, remedy = "This is asked of a model that classifies", "Serve one made by `train --task classify`."
            raise ModelError(rule, "one that compares", remedy)
        return asked

    @property
    def fingerprint(self) -> str:
        """The model's; found once for each, as it is a hash of all parameters."""
        model = self._asked
        with self._lock:
            if self._known is None or self._known[0] is not model:
                self._known = model, model.fingerprint
            return self._known[1]

    @property
    def gallery(self) -> Gallery:
        """The gallery.

        Raises:
            UsageError: the service has none. ModelError: it classifies.
        """
        if self._gallery is None:
            _ = self.model  # one that classifies can have none
            raise UsageError(
                "Names are asked for where a gallery is served", "a service without", "Start it with --gallery."
            )
        return self._gallery

    def verify(self, a: Upload, b: Upload, fmr: float | None) -> Verdict:
        """As `Model.verify`."""
        model = self.model
        model.calibrated().threshold_for(fmr)  # refused before the work
        distance = model.distance_of(self._lane.encode(model.encoder, [a, b]), [str(a), str(b)])
        return model.verdict(distance, fmr=fmr)

    def verify_name(self, uploads: Sequence[Upload], name: str, fmr: float | None) -> Claim:
        """As `Gallery.verify`, unless too many were refused: by the strictest line, whatever rate is asked for, so
        that a looser one gives no more guesses.

        Raises:
            Refusal: 429, it must wait.
        """
        gallery = self.gallery
        with self.tries.one(check_name(name)) as decided:
            claim = gallery.verify(list(uploads), name, fmr=fmr)
            own = None if fmr is None else Line.of_model(gallery.model.calibrated(), None)
            if claim.distance is not None:  # else nothing was found that could be compared
                decided(claim.same if own is None else own.says(claim.distance) == "same")
        return claim

    def identify(self, uploads: Sequence[Upload], k: int | None, rule: Rule | None) -> Identified:
        """As `Gallery.identify`."""
        return self.gallery.identify(list(uploads), k=k, rule=rule)

    def enrol(self, name: str, uploads: Sequence[Upload], metadata: dict[str, Any], keep: bool) -> Enrolled:
        """As `Gallery.enrol`."""
        return self.gallery.enrol(name, list(uploads), metadata=metadata, keep_originals=keep)

    def forget(self, name: str | None, id: int | None) -> Forgotten:
        """As `Gallery.forget`; once a name has no records left, its refused verifications are forgotten too."""
        done = self.gallery.forget(name, id=id)
        if done.name not in self.gallery.names():
            self.tries.forget(done.name)
        return done

    def encode(self, uploads: Sequence[Upload]) -> dict[str, Any]:
        """Embeddings, and what could not be read.

        Raises:
            DataError: nothing could be read.
        """
        found = self._lane.encode(self.model.encoder, uploads)
        if len(found.problems) == len(uploads):
            raise DataError("At least one item can be read", found.problems[0][1].rstrip("."))
        rows = zip(found.kept.tolist(), _boxes(found), found.embeddings.tolist(), strict=True)
        return {
            "fingerprint": self.fingerprint,
            "dim": self.model.dim,
            "items": [{"file": str(uploads[i]), "box": box, "embedding": row} for i, box, row in rows],
            "skipped": [{"file": str(uploads[i]), "reason": reason} for i, reason in found.problems],
        }

    def classify(self, uploads: Sequence[Upload], top: int) -> tuple[list[Answer], dict[str, Any]]:
        """What uploads show, and the same JSON-ready, with what could not be read; see `Classifier.classify`.

        Raises:
            DataError: nothing could be read. UsageError: `top` below 1.
        """
        if top < 1:
            raise UsageError("At least 1 class is shown", top)
        classifier = self.classifier
        names = [str(upload) for upload in uploads]
        answers = classifier.answered(self._lane.encode(classifier.encoder, uploads, shown), names)
        said = [one for one in answers if isinstance(one, Answer)]
        skipped = [
            {"file": name, "reason": one} for name, one in zip(names, answers, strict=True) if isinstance(one, str)
        ]
        if not said:
            raise DataError("At least one item can be read", skipped[0]["reason"].rstrip("."), "Send others.")
        return said, {
            "fingerprint": self.fingerprint,
            "head": classifier.head.kind,
            "files": [one.as_dict(top) for one in said],
            "skipped": skipped,
        }

    def cluster(self, uploads: Sequence[Upload], options: ClusterOptions, fmr: float | None) -> Job:
        """Takes on a job that groups pictures; what can be refused at once is.

        Raises:
            ModelError: agglomerative, and the model is not calibrated. UsageError: options that cannot work.
            Refusal: 503, too many jobs wait.
        """
        model = self.model
        if fmr is not None and options.method != "agglomerative":
            raise UsageError("A promised rate is for the method agglomerative", options.method, "Leave fmr out.")
        threshold = cut_of(model, fmr) if options.method == "agglomerative" else None
        return self.jobs.add(lambda progress: self._clustered(model, uploads, options, threshold, progress))

    def healthy(self) -> None:
        """Returns if questions can be answered.

        Raises:
            Refusal: 503, nothing encodes. DataError: the gallery cannot be read.
        """
        if not self._lane.alive:
            error = ModelError("A service encodes", "one that has stopped", "Start it again.")
            raise Refusal(503, error)
        _ = self._asked

    def figures(self) -> dict[str, tuple[str, float]]:
        """For a monitor: name -> kind and value."""
        return {
            "queue_pictures": ("gauge", self._lane.here),
            "queue_capacity_pictures": ("gauge", self.limits.queue),
            "queue_refused_pictures_total": ("counter", self._lane.refused),
            "encoded_pictures_total": ("counter", self._lane.encoded),
            "encoded_batches_total": ("counter", self._lane.batches),
            "decoders_killed_total": ("counter", self._decoders.killed),
            "up_seconds": ("gauge", time.monotonic() - self._began),
        }

    def close(self) -> None:
        """Finishes what is here, and ends threads and processes."""
        self.jobs.close()
        self._lane.close()
        self._decoders.close()
        if self._gallery is not None:
            self._gallery.close()

    @property
    def _asked(self) -> Model | Classifier:
        if self._gallery is not None:
            return self._gallery.model
        assert self._own is not None
        return self._own

    def _encode(self, items: Sequence[Item]) -> Encoded:
        return self._lane.encode(self.model.encoder, items)

    def _clustered(
        self, model: Model, uploads: Sequence[Upload], options: ClusterOptions, threshold: float | None,
        progress: Progress,
    ) -> dict[str, Any]:  # fmt: skip
        kept: list[dict[str, Any]] = []
        of: list[int] = []  # which upload
        skipped: list[dict[str, str]] = []
        rows = [torch.empty(0, model.dim)]
        for start in range(0, len(uploads), _ENCODED_AT_ONCE):
            progress(start, len(uploads), "encoding")
            part = uploads[start : start + _ENCODED_AT_ONCE]
            found = self._lane.encode(model.encoder, part, patient=True)
            rows_of = found.kept.tolist()
            flaws = found.flaws or (None,) * len(rows_of)
            kept += [
                {"file": str(part[i]), "box": box, "flaw": flaw}
                for i, box, flaw in zip(rows_of, _boxes(found), flaws, strict=True)
            ]
            of += [start + i for i in rows_of]
            skipped += [{"file": str(part[i]), "reason": reason} for i, reason in found.problems]
            rows.append(found.embeddings)
        if len(skipped) == len(uploads):
            raise DataError("At least one picture can be read", skipped[0]["reason"].rstrip("."))
        together = None if model.encoder.ready().prepare is None else np.array(of, np.int64)
        labels = find_clusters(
            torch.cat(rows), model.encoder.distance_on_cpu(), options, threshold=threshold, pair=pair_cut_of(model),
            together=together, flawed=np.array([one["flaw"] is not None for one in kept], bool), progress=progress,
        ).labels  # fmt: skip
        groups: dict[int, list[dict[str, Any]]] = {}
        for item, label in zip(kept, labels.tolist(), strict=True):
            groups.setdefault(label, []).append(item)
        unassigned = groups.pop(-1, [])
        return {
            "clusters": [{"id": id, "items": items} for id, items in sorted(groups.items())],
            "unassigned": unassigned,
            "skipped": skipped,
            "method": options.method,
            "threshold": threshold,
        }


def _boxes(found: Encoded) -> list[list[int] | None]:
    """Where each part is, JSON-ready."""
    return [None if box is None else list(box) for box in found.boxes or [None] * len(found.kept)]
