"""Hearing words that were never trained on: those of a gallery, a few clips of each."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.triggerword.events import HITS, EventFinder, EventRule
from likewise.apps.triggerword.listener import CHUNK, GATE, Array, Event, checked, gate_power
from likewise.encoder import Sounds
from likewise.errors import ModelError
from likewise.gallery import Gallery

EVERY = 0.16  # seconds between two looks
AFTER = 0.5  # seconds; a word is in sight for as long as an item, and for its own length
AT_ONCE = 16  # looks that are encoded together, which costs half as much as one by one


@final
class GalleryListener:
    """Asks a gallery again and again what the last second of a stream is; a second, or as long as its items are.

    What it answers is `Gallery.identify`'s decision, by the gallery's own threshold. `hits` looks in a row that are
    known by the same name make an event. Stretches that are silent all through are not looked at.

    The score of an event is t / (t + d) of the farthest of these looks, where d is its distance and t the threshold:
    1 for the enrolled clip itself, 1/2 at the threshold.

    Args:
        gallery: of sounds, calibrated. It stays open as long as it is listened to.
        name: the only word to listen for; None for all.
        hits: see `EventRule`.
        refractory: seconds after an event in which the same word makes no other; None for the length of an item and
            half a second, in which one and the same word may still be in sight.
        gate: level of silence in dBFS, of 80 ms; None to look always.

    Raises:
        ModelError: a gallery of something else than sounds, or one that is not calibrated.
        DataError: `name` is not enrolled.
    """

    def __init__(
        self, gallery: Gallery, *, name: str | None = None, hits: int = HITS, refractory: float | None = None,
        gate: float | None = GATE,
    ) -> None:  # fmt: skip
        how = gallery.model.encoder.ready()
        if not isinstance(how, Sounds):
            raise ModelError("A stream is heard by a gallery of sounds", f"{gallery.uri}, one of {how.kind}s")
        if name is not None:
            next(gallery.records(name))
        self.rate = how.rate
        self._gallery, self._only, self._threshold = gallery, name, gallery.lines().strict
        self._window, self._every, self._chunk = how.samples, round(EVERY * how.rate), round(CHUNK * how.rate)
        self._gate = 0.0 if gate is None else gate_power(gate)
        self._rule = EventRule(0.5, hits, how.seconds + AFTER if refractory is None else refractory)
        self._finders: dict[str, EventFinder] = {}  # of each word that was ever heard
        self._looks = 0
        self._held: Array = np.zeros(max(0, self._window - self._every), np.float32)  # silence came before
        self._end = 0

    @property
    def seconds(self) -> float:
        """How long the stream has been."""
        return self._end / self.rate

    def feed(self, samples: NDArray[np.floating[Any]]) -> list[Event]:
        """(T,) in [-1, 1] at `rate`, the next piece of the stream -> the events that it completes.

        Raises:
            DataError: not one row of numbers in about [-1, 1].
        """
        samples = checked(samples)
        self._end += len(samples)
        self._held = np.concatenate([self._held, samples])
        found: list[Event] = []
        while len(self._held) >= self._window:
            count = min(AT_ONCE, 1 + (len(self._held) - self._window) // self._every)
            found += self._look([self._held[i * self._every :][: self._window] for i in range(count)])
            self._held = self._held[count * self._every :]
        return found

    def _look(self, windows: list[Array]) -> list[Event]:
        loud = [i for i, window in enumerate(windows) if self._loud(window)]
        known = dict(zip(loud, self._known([windows[i] for i in loud]), strict=True))
        found: list[Event] = []
        for i in range(len(windows)):
            name, score = known.get(i, (None, 0.0))
            self._looks += 1
            if name is not None and name not in self._finders:
                self._finders[name] = EventFinder(self._rule, EVERY)
            for word, finder in self._finders.items():
                events = finder.feed(np.array([score if word == name else 0.0]))
                found += [Event(self._looks * self._every / self.rate, least, word) for _, least in events]
        return found

    def _loud(self, window: Array) -> bool:
        """Whether some 80 ms of it are above the gate."""
        chunk = min(self._chunk, len(window))
        pieces = window[len(window) % chunk :].reshape(-1, chunk)
        return float(np.einsum("ij,ij->i", pieces, pieces).max()) >= self._gate * chunk

    def _known(self, windows: list[Array]) -> list[tuple[str | None, float]]:
        """Name and score of each; no name where it is unknown, or not the one listened for."""
        if not windows:
            return []
        decisions = [probe.decision for probe in self._gallery.identify(windows).probes]
        found: list[tuple[str | None, float]] = []
        for decision in decisions:
            far, name = decision.distance, decision.name
            if decision.outcome != "known" or far is None or self._only not in (None, name):
                found.append((None, 0.0))
            else:
                found.append((name, self._threshold / (self._threshold + far) if far else 1.0))
        return found
