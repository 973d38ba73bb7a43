"""What the service can do, without HTTP: the library, with its encoder shared by all requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any, final

from likewise.apps.classify import Classifier
from likewise.apps.cluster import ClusterOptions
from likewise.apps.detect import Detector
from likewise.encoder import Encoded, Item
from likewise.errors import ModelError, UsageError
from likewise.gallery import Claim, Enrolled, Forgotten, Gallery, Identified
from likewise.gallery.claim import Line
from likewise.gallery.decision import Rule
from likewise.gallery.names import check_name
from likewise.matching import Model, Verdict
from likewise.server.batching import Lane
from likewise.server.clustering import clustered, threshold_for
from likewise.server.decoding import Decoders
from likewise.server.jobs import Job, Jobs
from likewise.server.kinds import Served, Wanted, as_kind, does
from likewise.server.limits import Limits
from likewise.server.looking import classified, detected, encoded
from likewise.server.pace import Shares, Tries
from likewise.server.refusals import Refusal


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


@final
class Service:
    """A model, perhaps a gallery, and what requests share.

    Args:
        model: what is asked; None for that of a gallery which is there. A gallery keeps its own copy, and that one is
            asked, so that the service follows when somebody exchanges it with `gallery rebuild`.
        gallery: its address; where there is none, it is made for `model`.
        limits: what clients may send.

    Raises:
        UsageError: neither a model nor a gallery, or a gallery for a model that does not compare; a model for another
            task. likewise.LikewiseError: see `Gallery.open`.
    """

    def __init__(self, model: Served | None, gallery: str | None = None, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        if gallery is not None and not isinstance(model, Model | None):
            found = f"a model that {does(model)}"
            raise UsageError("A gallery holds what a model compares", found, "Leave --gallery out.")
        if model is None and gallery is None:
            raise UsageError(
                "A service has a model, or a gallery that keeps one", "neither", "Pass MODEL, or --gallery GALLERY."
            )
        self._own = model
        self._gallery = (
            None if gallery is None or not isinstance(model, Model | None)
            else Gallery.open(gallery, model, encode=self._encode)
        )  # fmt: skip
        self._decoders = Decoders(self.limits)
        self._lane = Lane(self._decoders, self.limits.queue, self.limits.parts)
        self.jobs = Jobs()
        self.tries, self.shares = Tries(), Shares(self.limits.queue // 2)
        self._lock = Lock()
        self._known: tuple[Served, str] | None = None
        self._began = time.monotonic()

    def asked(self, kind: type[Wanted]) -> Wanted:
        """The model that answers now, for a question to those of one kind.

        Raises:
            ModelError: it is of another.
        """
        return as_kind(self._asked, kind)

    @property
    def fingerprint(self) -> str:
        """The model's; found once for each, as it is a hash of all parameters."""
        return self._fingerprint_of(self._asked)

    @property
    def gallery(self) -> Gallery:
        """The gallery.

        Raises:
            UsageError: the service has none. ModelError: its model is one that can have none.
        """
        if self._gallery is None:
            self.asked(Model)  # others can have none
            raise UsageError(
                "Names are asked for where a gallery is served", "a service without", "Start it with --gallery."
            )
        return self._gallery

    def verify(self, a: Upload, b: Upload, fmr: float | None) -> Verdict:
        """As `Model.verify`."""
        model = self.asked(Model)
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
        """See `likewise.server.looking.encoded`."""
        model = self.asked(Model)
        return self._signed(model, encoded(self._lane, model, uploads))

    def classify(self, uploads: Sequence[Upload], top: int) -> dict[str, Any]:
        """See `likewise.server.looking.classified`."""
        model = self.asked(Classifier)
        return self._signed(model, classified(self._lane, model, uploads, top))

    def detect(self, uploads: Sequence[Upload], score: float | None, overlap: float) -> dict[str, Any]:
        """See `likewise.server.looking.detected`."""
        model = self.asked(Detector)
        return self._signed(model, detected(self._lane, model, uploads, score, overlap))

    def cluster(self, uploads: Sequence[Upload], options: ClusterOptions, fmr: float | None) -> Job:
        """Takes on a job that groups pictures; what can be refused at once is.

        Raises:
            ModelError: agglomerative, and the model is not calibrated. UsageError: options that cannot work.
            Refusal: 503, too many jobs wait.
        """
        model = self.asked(Model)
        threshold = threshold_for(model, options, fmr)
        return self.jobs.add(lambda progress: clustered(self._lane, model, uploads, options, threshold, progress))

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
    def _asked(self) -> Served:
        if self._gallery is not None:
            return self._gallery.model
        assert self._own is not None
        return self._own

    def _encode(self, items: Sequence[Item]) -> Encoded:
        return self._lane.encode(self.asked(Model).encoder, items)

    def _signed(self, model: Served, values: dict[str, Any]) -> dict[str, Any]:
        """With the fingerprint of the model that answered, though another may have taken its place by now."""
        return {"fingerprint": self._fingerprint_of(model), **values}

    def _fingerprint_of(self, model: Served) -> str:
        with self._lock:
            if self._known is None or self._known[0] is not model:
                self._known = model, model.fingerprint
            return self._known[1]
