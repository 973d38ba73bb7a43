"""Encoders from ONNX files: the numbers of the same network in torch, and what cannot be one refused in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_drawn
import pytest
import torch
from onnx_drawn import embedder, node, onnx, tensor, write

from likewise.apps.import_model import ImportOptions, import_model, pixel_scale
from likewise.data import Dataset
from likewise.encoder import Pictures, read_encoding
from likewise.encoder.onnx import COMPUTED_AT_ONCE, OnnxEncoder
from likewise.encoder.onnx_file import contents_of
from likewise.encoder.onnx_network import Network
from likewise.errors import LikewiseError, ModelError, UsageError
from likewise.matching import load
from likewise.objective import SupCon
from likewise.objective.distances import DISTANCES, make_distance
from likewise.training import fit

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESSING = Pictures(3, 8, 8, mean=MEAN, std=STD)


def pictures(count: int, channels: int = 3, side: int = 8) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (count, channels, side, side), dtype=np.uint8))


def standardised(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def network(file: Path) -> Network:
    return Network(file.read_bytes(), str(file))


class TestNumbers:
    @pytest.mark.parametrize("batch", ["N", 1, 4])
    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    @pytest.mark.parametrize("color", ["rgb", "bgr"])
    def test_they_are_those_of_the_same_network_in_torch(
        self, tmp_path: Path, batch: int | str, layout: str, color: str
    ) -> None:
        file, same = embedder(tmp_path / "net.onnx", batch=batch, layout=layout)
        encoder = OnnxEncoder(network(file), "net", PREPROCESSING, color=color)
        pixels = pictures(7)  # no multiple of 4
        x = standardised(pixels)
        expected = same(x.flip(1) if color == "bgr" else x)
        torch.testing.assert_close(encoder.embed(pixels), expected, rtol=1e-4, atol=1e-5)
        assert (encoder.dim, encoder.layout) == (5, layout)
        assert encoder.batch == (None if batch == "N" else batch)

    def test_unit_length(self, tmp_path: Path) -> None:
        file, same = embedder(tmp_path / "net.onnx")
        encoder = OnnxEncoder(network(file), "net", PREPROCESSING, unit=True)
        expected = same(standardised(pictures(3)))
        torch.testing.assert_close(encoder.embed(pictures(3)), expected / expected.norm(dim=1, keepdim=True))

    def test_none_for_no_pictures(self, tmp_path: Path) -> None:
        encoder = OnnxEncoder(network(embedder(tmp_path / "net.onnx")[0]), "net", PREPROCESSING)
        assert encoder.embed(pictures(0)).shape == (0, 5)

    def test_large_pictures_go_through_in_several_passes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file, same = embedder(tmp_path / "net.onnx")
        encoder = OnnxEncoder(network(file), "net", PREPROCESSING)
        passes: list[int] = []
        run = encoder.network.run
        monkeypatch.setattr(encoder.network, "run", lambda a, x, b: passes.append(len(x)) or run(a, x, b))
        monkeypatch.setattr("likewise.encoder.onnx.COMPUTED_AT_ONCE", 64 * 3)
        torch.testing.assert_close(encoder.embed(pictures(7)), same(standardised(pictures(7))), rtol=1e-4, atol=1e-5)
        assert passes == [3, 3, 1]
        assert COMPUTED_AT_ONCE > 112 * 112

    def test_parameters_are_counted(self, tmp_path: Path) -> None:
        file, _ = embedder(tmp_path / "net.onnx")
        tensors = onnx.load(file).graph.initializer
        assert network(file).numbers == sum(int(np.prod(t.dims)) for t in tensors) == 6 * 3 * 9 + 5 * 24 + 5 + 2


class TestTheFile:
    @pytest.mark.parametrize("kept", [0, 1, 10, 100, 1000])
    def test_cut_short(self, tmp_path: Path, kept: int) -> None:
        whole = embedder(tmp_path / "net.onnx")[0].read_bytes()
        with pytest.raises(ModelError) as refused:
            OnnxEncoder(Network(whole[:kept], "net.onnx"), "net", PREPROCESSING)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04 a zip", bytes(64), b"\x80\x02}q\x00."])
    def test_no_onnx(self, content: bytes) -> None:
        with pytest.raises(ModelError, match="A network is a whole ONNX file; got 'x'"):
            Network(content, "x")

    def test_flipped_bytes_are_read_or_refused(self, tmp_path: Path) -> None:
        whole = embedder(tmp_path / "net.onnx")[0].read_bytes()
        rng = np.random.default_rng(0)
        refused = 0
        for at in rng.choice(len(whole), 60, replace=False):
            damaged = bytearray(whole)
            damaged[at] ^= int(rng.integers(1, 256))
            try:
                contents_of(bytes(damaged))
            except ValueError:
                refused += 1
        assert refused > 0

    @pytest.mark.parametrize("where", ["initializer", "constant"])
    def test_numbers_in_another_file_are_refused(self, tmp_path: Path, where: str) -> None:
        (tmp_path / "secret").write_bytes(bytes(4 * 5))
        elsewhere = tensor("bias", np.zeros(5, np.float32))
        elsewhere.ClearField("raw_data")
        elsewhere.data_location = onnx.TensorProto.EXTERNAL
        elsewhere.external_data.add(key="location", value="secret")
        model = onnx.load(embedder(tmp_path / "net.onnx")[0])
        if where == "initializer":
            model.graph.initializer[2].CopyFrom(elsewhere)
        else:
            del model.graph.initializer[2]
            model.graph.node.insert(0, node("Constant", [], ["bias"], value=elsewhere))
        with pytest.raises(ModelError, match="A network is one file"):
            Network(model.SerializeToString(), "net.onnx")

    def test_contents_of_a_branch_are_found(self) -> None:
        value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])
        constant = node("Constant", [], ["y"], value=tensor("v", np.ones((2, 2), np.float32)))
        branch = onnx.helper.make_graph([constant], "branch", [], [value])
        whole = onnx.helper.make_graph(
            [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)], "whole", [], [value]
        )
        found = contents_of(onnx.helper.make_model(whole).SerializeToString())
        assert (found.numbers, found.whole) == (8, True)

    def test_a_step_that_onnxruntime_lacks(self, tmp_path: Path) -> None:
        file = write(tmp_path / "n.onnx", [node("Nonesuch", ["x"], ["y"], domain="elsewhere")], [],
                     {"x": ["N", 3, 8, 8]}, {"y": ["N", 4]})  # fmt: skip
        with pytest.raises(ModelError, match=r"onnxruntime can compute a network.*Nonesuch"):
            network(file)


def mean_of(x: str, y: str) -> list[object]:
    """Nodes: (N, C, H, W) -> (N, C)."""
    return [node("ReduceMean", [x], [y], axes=[2, 3], keepdims=0)]


class TestShapes:
    def refusal(self, file: Path, **options: object) -> LikewiseError:
        with pytest.raises(LikewiseError) as refused:
            OnnxEncoder(network(file), "net", PREPROCESSING, **options)  # type: ignore[arg-type]
        assert "\n" not in str(refused.value)
        return refused.value

    def test_two_outputs_are_chosen_from_by_name(self, tmp_path: Path) -> None:
        nodes = [*mean_of("x", "a"), node("Neg", ["a"], ["b"])]
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8]}, {"a": ["N", 3], "b": ["N", 3]})
        refused = self.refusal(file)
        assert isinstance(refused, UsageError)
        assert "a float (?, 3), b float (?, 3)" in str(refused)
        assert "--output a" in str(refused)
        assert "output 'c'" in str(self.refusal(file, output="c"))
        a, b = (OnnxEncoder(network(file), "n", PREPROCESSING, output=name).embed(pictures(2)) for name in "ab")
        assert torch.equal(a, -b)

    def test_an_output_of_another_shape_needs_no_choice(self, tmp_path: Path) -> None:
        nodes = [*mean_of("x", "a"), node("Neg", ["x"], ["map"])]
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8]}, {"map": ["N", 3, 8, 8], "a": ["N", 3]})
        assert OnnxEncoder(network(file), "n", PREPROCESSING).output == "a"
        assert "(N, D)" in str(self.refusal(file, output="map"))

    def test_an_output_of_another_rank(self, tmp_path: Path) -> None:
        file = write(tmp_path / "n.onnx", [node("Neg", ["x"], ["y"])], [], {"x": ["N", 3, 8, 8]},
                     {"y": ["N", 3, 8, 8]})  # fmt: skip
        assert "which gives y float (?, 3, 8, 8)" in str(self.refusal(file))

    def test_an_output_of_unsaid_rank_is_run(self, tmp_path: Path) -> None:
        nodes = [node("Reshape", ["x", "to"], ["y"])]  # the shape is only known when it is computed
        file = write(tmp_path / "n.onnx", [node("Shape", ["x"], ["to"]), *nodes], [], {"x": ["N", 3, 8, 8]},
                     {"y": None})  # fmt: skip
        assert "(N, D)" in str(self.refusal(file))

    def test_two_inputs(self, tmp_path: Path) -> None:
        nodes = [node("Add", ["x", "z"], ["s"]), *mean_of("s", "y")]
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8], "z": ["N", 3, 8, 8]}, {"y": ["N", 3]})
        assert "which takes x float (?, 3, 8, 8), z float" in str(self.refusal(file))

    def test_an_input_that_is_no_picture(self, tmp_path: Path) -> None:
        file = write(tmp_path / "n.onnx", [node("Neg", ["x"], ["y"])], [], {"x": ["N", 3]}, {"y": ["N", 3]})
        assert "one input, pictures as float32" in str(self.refusal(file))
        file = write(tmp_path / "n.onnx", mean_of("x", "y"), [], {"x": ["N", 4, 8, 8]}, {"y": ["N", 4]})
        assert "Pictures have 1 or 3 channels" in str(self.refusal(file))

    def test_another_size(self, tmp_path: Path) -> None:
        file, _ = embedder(tmp_path / "n.onnx", side=10)
        assert "takes pictures of 3 x 10 x 10 (channels, height, width); got 3 x 8 x 8" in str(self.refusal(file))

    def test_pixels_of_another_shape(self, tmp_path: Path) -> None:
        encoder = OnnxEncoder(network(embedder(tmp_path / "n.onnx")[0]), "n", PREPROCESSING)
        for wrong in (pictures(2, side=9), pictures(2, channels=1), pictures(2).float()):
            with pytest.raises(UsageError, match=r"uint8 items of shape \(3, 8, 8\)"):
                encoder.embed(wrong)

    def test_numbers_that_are_not_finite(self, tmp_path: Path) -> None:
        nodes = [*mean_of("x", "m"), node("Log", ["m"], ["y"])]
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8]}, {"y": ["N", 3]})
        assert "Embeddings are finite" in str(self.refusal(file))

    @pytest.mark.parametrize("options", [
        {"color": "gbr"}, {"layout": "nhwc"}, {"layout": "chw"}, {"batch": 0}, {"batch": True}, {"published": 0.0},
        {"published": float("nan")}, {"distance": make_distance("weighted-l1", 5)}, {"distance": DISTANCES["l1"]()},
    ])  # fmt: skip
    def test_options_that_do_not_fit(self, tmp_path: Path, options: dict[str, object]) -> None:
        assert isinstance(self.refusal(embedder(tmp_path / "n.onnx")[0], **options), UsageError)


class TestFixed:
    def test_no_taps_and_no_training(self, tmp_path: Path, digits: Dataset) -> None:
        encoder = OnnxEncoder(network(embedder(tmp_path / "n.onnx")[0]), "n", PREPROCESSING)
        assert encoder.taps == ("embedding",)
        with pytest.raises(UsageError, match="taps and gradients"):
            encoder(pictures(1), taps=("early",))
        with pytest.raises(UsageError, match="one that onnx computes"):
            fit(encoder, digits, SupCon())  # type: ignore[arg-type]


def imported(tmp_path: Path, **options: object) -> tuple[Path, Callable[[torch.Tensor], torch.Tensor]]:
    """A saved model of the network `embedder` draws."""
    file, same = embedder(tmp_path / "net.onnx")
    values = {"mean": MEAN, "std": STD, **options}
    import_model(file, ImportOptions(**values)).save(tmp_path / "net.model")  # type: ignore[arg-type]
    return tmp_path / "net.model", same


class TestFolder:
    def test_what_is_saved_is_what_is_loaded(self, tmp_path: Path) -> None:
        folder, same = imported(tmp_path, published=0.4, unit=True, distance="euclidean")
        assert {p.name for p in folder.iterdir()} == {
            "config.json", "model.onnx", "golden.safetensors", "seen.safetensors", "README.md",
        }  # fmt: skip
        assert (folder / "model.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
        loaded = load(folder)
        assert isinstance(loaded.encoder, OnnxEncoder)
        assert (loaded.encoder.published, loaded.encoder.unit, loaded.encoder.backbone) == (0.4, True, "net")
        assert loaded.encoder.distance.name == "euclidean"
        expected = torch.nn.functional.normalize(same(standardised(pictures(3))))
        torch.testing.assert_close(loaded.encode(pictures(3)).embeddings, expected, rtol=1e-4, atol=1e-5)
        config = json.loads((folder / "config.json").read_text())
        assert config["architecture"]["engine"] == "onnx"
        assert config["fingerprint"] == loaded.fingerprint

    @pytest.mark.parametrize("change", [
        {"color": "bgr"}, {"unit": True}, {"distance": "euclidean"}, {"mean": (0.4,)}, {"published": 0.5},
    ])  # fmt: skip
    def test_each_choice_is_part_of_the_fingerprint(self, tmp_path: Path, change: dict[str, object]) -> None:
        file, _ = embedder(tmp_path / "net.onnx")
        options = {"mean": MEAN, "std": STD}
        assert import_model(file, **options).fingerprint != import_model(file, **{**options, **change}).fingerprint

    def test_so_is_every_byte_of_the_file(self, tmp_path: Path) -> None:
        file, _ = embedder(tmp_path / "net.onnx")
        before = import_model(file, mean=MEAN, std=STD).fingerprint
        model = onnx.load(file)
        model.doc_string = "another"
        file.write_bytes(model.SerializeToString())
        assert import_model(file, mean=MEAN, std=STD).fingerprint != before

    def test_an_altered_golden(self, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        folder, _ = imported(tmp_path)
        golden = load_file(folder / "golden.safetensors")
        golden["embeddings"][0] *= 1.01
        save_file(golden, folder / "golden.safetensors")
        with pytest.raises(ModelError, match="golden embeddings"):
            load(folder)

    def test_another_network_in_its_place(self, tmp_path: Path) -> None:
        folder, _ = imported(tmp_path)
        model = onnx.load(folder / "model.onnx")
        model.graph.initializer[0].CopyFrom(tensor("filters", np.ones((onnx_drawn.FILTERS, 3, 3, 3), np.float32)))
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="fingerprint"):
            load(folder)

    @pytest.mark.parametrize("damage", [
        {"color": "x"}, {"layout": 3}, {"batch": "2"}, {"output": "z"}, {"distance": {"name": "l1"}}, {"distance": 1},
        {"published": "x"}, {"preprocessing": None}, {"preprocessing": {}},
    ])  # fmt: skip
    def test_a_description_that_does_not_fit(self, tmp_path: Path, damage: dict[str, object]) -> None:
        folder, _ = imported(tmp_path)
        architecture = json.loads((folder / "config.json").read_text())["architecture"]
        with pytest.raises(ModelError):
            read_encoding({**architecture, **damage}, folder)
        for name in architecture:
            if name not in ("taps", "dim"):  # which the network tells
                with pytest.raises(ModelError):
                    read_encoding({k: v for k, v in architecture.items() if k != name}, folder)

    def test_no_network(self, tmp_path: Path) -> None:
        folder, _ = imported(tmp_path)
        (folder / "model.onnx").unlink()
        with pytest.raises(ModelError, match="A model's network can be read"):
            load(folder)


class TestTried:
    def test_what_says_any_number_but_is_made_for_one_is_given_one(self, tmp_path: Path) -> None:
        file, same = embedder(tmp_path / "net.onnx", flattened_for_one=True)
        encoder = import_model(file, mean=MEAN, std=STD).encoder
        assert isinstance(encoder, OnnxEncoder)
        assert encoder.batch == 1
        torch.testing.assert_close(encoder.embed(pictures(3)), same(standardised(pictures(3))), rtol=1e-4, atol=1e-5)

    def test_what_mixes_the_pictures_of_a_pass_is_given_one(self, tmp_path: Path) -> None:
        nodes = [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), node("Sub", ["x", "m"], ["d"]),
                 node("Add", ["x", "d"], ["s"]), *mean_of("s", "y")]  # fmt: skip
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8]}, {"y": ["N", 3]})
        encoder = import_model(file, mean=MEAN, std=STD).encoder
        assert encoder.architecture()["batch"] == 1

    def test_what_does_not_repeat_itself_is_refused(self, tmp_path: Path) -> None:
        nodes = [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["s"]), *mean_of("s", "y")]
        file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, 8, 8]}, {"y": ["N", 3]})
        with pytest.raises(ModelError, match="A picture has one embedding"):
            import_model(file, mean=MEAN, std=STD)

    def test_what_tells_nothing_apart_is_refused(self, tmp_path: Path) -> None:
        nodes = [node("Mul", ["x", "zero"], ["s"]), *mean_of("s", "y")]
        file = write(tmp_path / "n.onnx", nodes, [tensor("zero", np.float32(0))], {"x": ["N", 3, 8, 8]},
                     {"y": ["N", 3]})  # fmt: skip
        with pytest.raises(ModelError, match="Different pictures"):
            import_model(file, mean=MEAN, std=STD)


class TestUnits:
    @pytest.mark.parametrize(("mean", "std", "scale", "top"), [
        ((127.5,), (128.0,), None, 255), ((127.5,), (128.0,), 255, 255), (MEAN, STD, None, 1), (MEAN, STD, 1, 1),
        ((0.0,), (1.0,), 255, 255), ((0.0,), (1.0,), 1, 1), ((0.0,), (255.0,), None, 255), ((0.5,), (1.0,), None, 1),
        ((104.0, 117.0, 123.0), (1.0,), None, 255),
    ])  # fmt: skip
    def test_they_follow_from_the_numbers(
        self, mean: tuple[float, ...], std: tuple[float, ...], scale: int | None, top: int
    ) -> None:
        assert pixel_scale(mean, std, scale) == top

    @pytest.mark.parametrize(("mean", "std", "scale", "said"), [
        ((127.5,), (128.0,), 1, "pass --scale 255"), (MEAN, STD, 255, "pass --scale 1"),
        ((0.0,), (1.0,), None, "--scale"), ((0.0,), (1.0,), 2, "scale 2"),
        ((127.5,), (1 / 128,), None, "std divides"), ((127.5,), (0.5,), 255, "std divides"),
    ])  # fmt: skip
    def test_contradictions_are_refused(
        self, mean: tuple[float, ...], std: tuple[float, ...], scale: int | None, said: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            pixel_scale(mean, std, scale)

    def test_the_two_ways_of_saying_it_are_one(self, tmp_path: Path) -> None:
        file, _ = embedder(tmp_path / "net.onnx")
        one = import_model(file, mean=(0.5,), std=(0.5,))
        other = import_model(file, mean=(127.5,), std=(127.5,))
        assert one.fingerprint == other.fingerprint

    def test_means_are_in_the_order_of_the_network(self, tmp_path: Path) -> None:
        file, same = embedder(tmp_path / "net.onnx")
        blue, green, red = 104.0, 117.0, 123.0
        encoder = import_model(file, mean=(blue, green, red), std=(1.0,), color="bgr").encoder
        x = pictures(3).float().flip(1) - torch.tensor([blue, green, red]).reshape(1, 3, 1, 1)
        torch.testing.assert_close(encoder.embed(pictures(3)), same(x), rtol=1e-4, atol=1e-3)


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = embedder(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r'pip install "likewise\[onnx\]"'):
        network(file)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a home folder is not found by HOME alone")
def test_onnxruntime_does_not_report_home(tmp_path: Path) -> None:
    """Its builds keep an identifier and a database of reports below the home folder, unless they are told not to."""
    file, _ = embedder(tmp_path / "net.onnx")
    home = tmp_path / "home"
    home.mkdir()
    code = "import sys; from likewise.encoder.onnx_network import Network; Network(open(sys.argv[1], 'rb').read(), 'x')"
    environment = {"HOME": str(home), "TMPDIR": str(home), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, file], check=True, timeout=120, env=environment)
    assert list(home.rglob("*onnxruntime*")) == []
