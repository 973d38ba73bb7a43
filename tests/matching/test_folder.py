"""The model folder: what is saved is what is loaded, damage is noticed, and what was there before survives."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from likewise.apps.learn import Learned
from likewise.data import Dataset
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.matching import Model, calibrate, default_unit, folder, load, read_config
from likewise.media.pictures import Pixels
from likewise.objective import DISTANCES, SupCon
from likewise.objective.distances import make_distance
from likewise.prepare import Finder, Part
from likewise.training import fit

FILES = (
    "model.safetensors", "config.json", "calibration.json", "golden.safetensors", "seen.safetensors", "README.md",
)  # fmt: skip


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    """A model folder of its own for each test."""
    return Path(shutil.copytree(model_folder, tmp_path / "copy.model"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


class TestRoundTrip:
    def test_a_loaded_model_gives_the_same_embeddings_bit_for_bit(
        self, learned: Learned, model_folder: Path, digits: Dataset
    ) -> None:
        loaded = load(model_folder)
        assert torch.equal(
            loaded.encode(digits.sources[:100]).embeddings, learned.model.encode(digits.sources[:100]).embeddings
        )
        assert loaded.fingerprint == learned.model.fingerprint
        assert loaded.calibration == learned.model.calibration
        assert loaded.encoder.trained == json.loads(json.dumps(learned.model.encoder.trained))
        assert not loaded.encoder.training

    def test_the_files_are_those_of_the_format_and_none_is_a_pickle(self, model_folder: Path) -> None:
        assert {path.name for path in model_folder.iterdir()} == {*FILES, "report"}
        assert {path.name for path in (model_folder / "report").iterdir()} == {
            "metrics.json", "history.jsonl", "history.png", "roc.png", "hardest.png", "pca.png",
        }  # fmt: skip
        for name, content in contents(model_folder).items():
            # A zip (torch.save) or a pickle stream of protocol 2 and up.
            assert not content.startswith((b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), name

    def test_whoever_may_read_one_file_may_read_them_all(self, model_folder: Path) -> None:
        assert len({path.stat().st_mode for path in model_folder.iterdir() if path.is_file()}) == 1

    def test_config_says_how_it_was_made(self, model_folder: Path) -> None:
        config = json.loads((model_folder / "config.json").read_text())
        assert config["format"] == 1
        assert config["task"] == "embed"
        assert config["architecture"]["backbone"] == "mlp"
        assert config["trained"]["fit"]["seed"] == 0
        assert len(config["trained"]["data_fingerprint"]) == 64
        assert set(config["versions"]) >= {"python", "likewise", "torch", "numpy", "pillow"}
        assert config["fingerprint"] == load(model_folder).fingerprint

    def test_golden_inputs_are_drawn_and_not_taken_from_the_data(self, model_folder: Path, digits: Dataset) -> None:
        golden = load_file(model_folder / "golden.safetensors")
        assert golden["items"].shape == (4, 1, 8, 8)
        own = {picture.tobytes() for picture in digits.sources}
        assert not own & {picture.numpy().tobytes() for picture in golden["items"]}
        assert len(golden["embeddings"].unique(dim=0)) == 4

    @pytest.mark.parametrize("distance", DISTANCES)
    def test_every_distance_comes_back_with_its_weights(self, distance: str, tmp_path: Path, digits: Dataset) -> None:
        made = make_distance(distance, 6)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.linspace(-0.5, 0.5, parameter.numel()).view_as(parameter))
        encoder = Encoder("mlp", 6, preprocessing=Pictures(1, 8, 8), distance=made)
        Model(encoder).save(tmp_path / "m")
        loaded = load(tmp_path / "m")
        a, b = digits.sources[0], digits.sources[1]
        assert loaded.distance(a, b) == Model(encoder).distance(a, b)
        assert loaded.calibration is None

    def test_saving_twice_writes_the_same_parameters(self, learned: Learned, tmp_path: Path) -> None:
        learned.model.save(tmp_path / "a")
        learned.model.save(tmp_path / "b")
        first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
        assert first.keys() == second.keys()
        for name in ("model.safetensors", "golden.safetensors", "config.json", "calibration.json"):
            assert first[name] == second[name]

    def test_the_card_says_what_to_know_before_trusting_it(self, model_folder: Path) -> None:
        text = (model_folder / "README.md").read_text()
        for part in (
            "# digits.model",
            "## How it was trained",
            "## How good it is",
            "## What it promises",
            "## Limits",
        ):
            assert part in text
        metrics = json.loads((model_folder / "report" / "metrics.json").read_text())
        assert f"| P@1 | {metrics['precision_at_1']:.4f} |" in text
        assert load(model_folder).fingerprint in text
        import re

        for picture in re.findall(r"\]\((.+?)\)", text):
            assert (model_folder / picture).is_file()

    def test_a_model_that_was_never_trained_can_be_saved(self, tmp_path: Path) -> None:
        Model(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))).save(tmp_path / "new")
        assert load(tmp_path / "new").encoder.trained == {}
        assert "never" not in (tmp_path / "new" / "README.md").read_text()

    def test_what_it_was_trained_on_is_remembered_but_not_told(
        self, learned: Learned, model_folder: Path, tmp_path: Path, crowd: Callable[..., Dataset]
    ) -> None:
        loaded = load(model_folder).encoder.seen
        for name in ("items", "parts", "identities"):
            assert np.array_equal(getattr(loaded, name), getattr(learned.model.encoder.seen, name))
        assert len(loaded) == sum(len(part) for part in learned.parts.named().values())
        encoder = Encoder("mlp", 4)
        fit(encoder, crowd(["Ada Lovelace", "Alan Turing"]), SupCon(), epochs=1, precision="float32")
        Model(encoder).save(tmp_path / "m")
        raw = b"".join(path.read_bytes() for path in (tmp_path / "m").rglob("*") if path.is_file())
        assert b"Lovelace" not in raw
        assert len(load(tmp_path / "m").encoder.seen) == 16

    def test_the_memory_may_be_left_out(self, copy: Path, digits: Dataset) -> None:
        (copy / "seen.safetensors").unlink()
        model = load(copy)
        assert len(model.encoder.seen) == 0
        assert default_unit(model.encoder, digits) == "identity"

    def test_an_encoder_without_a_shape_is_no_model(self) -> None:
        with pytest.raises(UsageError, match="shape of its items"):
            Model(Encoder("mlp", 4))


def flip(name: str, place: float) -> Callable[[Path], None]:
    """Changes one byte of a file, `place` of the way through it."""

    def damage(root: Path) -> None:
        raw = bytearray((root / name).read_bytes())
        raw[int(place * (len(raw) - 1))] ^= 0x10
        (root / name).write_bytes(raw)

    return damage


def cut(name: str, share: float) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        raw = (root / name).read_bytes()
        (root / name).write_bytes(raw[: int(share * len(raw))])

    return damage


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def edit(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        values = json.loads((root / name).read_text())
        change(values)
        (root / name).write_text(json.dumps(values))

    return damage


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        values = load_file(root / name)
        change(values)
        save_file({key: value.contiguous() for key, value in values.items()}, root / name)

    return damage


def other_models_calibration(root: Path) -> None:
    values = json.loads((root / "calibration.json").read_text())
    values["model"] = "0" * 64
    (root / "calibration.json").write_text(json.dumps(values))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (remove("config.json"), "a folder without config.json"),
    "no parameters": (remove("model.safetensors"), "missing"),
    "no golden": (remove("golden.safetensors"), "missing"),
    "empty config": (cut("config.json", 0), "can be read"),
    "half a config": (cut("config.json", 0.5), "can be read"),
    "config of something else": (lambda root: (root / "config.json").write_text("[1, 2]"), "an object"),
    "config too deep": (lambda root: (root / "config.json").write_text("[" * 100_000), "can be read"),
    "config not UTF-8": (lambda root: (root / "config.json").write_bytes(b'{"format": "\xff"}'), "can be read"),
    "newer format": (edit("config.json", lambda c: c.update(format=2)), "Install a newer likewise"),
    "no format": (edit("config.json", lambda c: c.pop("format")), "format None"),
    "format in words": (edit("config.json", lambda c: c.update(format="1")), "format '1'"),
    "no architecture": (edit("config.json", lambda c: c.pop("architecture")), "no architecture"),
    "architecture in words": (edit("config.json", lambda c: c.update(architecture="mlp")), "no architecture"),
    "trained in words": (edit("config.json", lambda c: c.update(trained="yes")), "no trained"),
    "other backbone": (edit("config.json", lambda c: c["architecture"].update(backbone="convnet")), "taps|size"),
    "unknown backbone": (edit("config.json", lambda c: c["architecture"].update(backbone="x")), "one this version"),
    "other dim": (edit("config.json", lambda c: c["architecture"].update(dim=17)), "fit its architecture"),
    "other unit": (edit("config.json", lambda c: c["architecture"].update(unit=False)), "saved with"),
    "other distance": (edit("config.json", lambda c: c["architecture"].update(distance={"name": "l1"})), "saved with"),
    "other mean": (edit("config.json", lambda c: c["architecture"]["preprocessing"].update(mean=[0.1])), "saved with"),
    "other size": (edit("config.json", lambda c: c["architecture"]["preprocessing"].update(height=9)), "fit its"),
    "other fingerprint": (edit("config.json", lambda c: c.update(fingerprint="0" * 64)), "saved with"),
    "truncated parameters": (cut("model.safetensors", 0.7), "can be read"),
    "truncated header": (cut("model.safetensors", 0.001), "can be read"),
    "empty parameters": (cut("model.safetensors", 0), "can be read"),
    "altered byte at the end": (flip("model.safetensors", 1), "saved with"),
    "altered byte in the middle": (flip("model.safetensors", 0.5), "saved with"),
    "parameters in words": (lambda root: (root / "model.safetensors").write_text("weights"), "can be read"),
    "one tensor less": (tensors("model.safetensors", lambda t: t.pop("stages.embedding.bias")), "fit its architecture"),
    "one tensor more": (tensors("model.safetensors", lambda t: t.update(x=torch.ones(1))), "fit its architecture"),
    "NaN": (tensors("model.safetensors", lambda t: t["stages.embedding.bias"].fill_(torch.nan)), "saved with"),
    "altered golden": (tensors("golden.safetensors", lambda t: t["embeddings"].add_(0.01)), "golden embeddings"),
    "golden NaN": (tensors("golden.safetensors", lambda t: t["embeddings"].fill_(torch.nan)), "golden embeddings"),
    "golden of other shape": (tensors("golden.safetensors", lambda t: t.update(items=t["items"][..., :5])), "others"),
    "golden of nothing": (tensors("golden.safetensors", lambda t: t.update(items=t["items"][:0])), "others"),
    "golden without items": (tensors("golden.safetensors", lambda t: t.pop("items")), "others"),
    "truncated golden": (cut("golden.safetensors", 0.5), "can be read"),
    "truncated memory": (cut("seen.safetensors", 0.5), "can be read"),
    "memory without parts": (tensors("seen.safetensors", lambda t: t.pop("parts")), "lists items, parts and"),
    "memory of more": (tensors("seen.safetensors", lambda t: t.update(names=t["items"] + 1)), "lists items, parts and"),
    "memory out of order": (tensors("seen.safetensors", lambda t: t.update(items=t["items"].flip(0))), "lists items"),
    "memory of other parts": (tensors("seen.safetensors", lambda t: t["parts"].add_(3)), "lists items, parts and"),
    "memory too short": (tensors("seen.safetensors", lambda t: t.update(parts=t["parts"][1:])), "lists items, parts"),
    "memory in words": (tensors("seen.safetensors", lambda t: t.update(items=t["items"].float())), "lists items"),
    "calibration of another model": (other_models_calibration, "belongs to its model"),
    "calibration of nobody": (edit("calibration.json", lambda c: c.update(model=None)), "belongs to its model"),
    "half a calibration": (cut("calibration.json", 0.5), "calibration.json"),
    "newer calibration": (edit("calibration.json", lambda c: c.update(format=2)), "calibration.json"),
    "calibration not UTF-8": (lambda root: (root / "calibration.json").write_bytes(b"\xff"), "can be read"),
}


class TestDamage:
    @pytest.mark.parametrize("what", DAMAGE)
    def test_it_is_noticed_and_said_in_one_line(self, copy: Path, what: str) -> None:
        damage, rule = DAMAGE[what]
        damage(copy)
        with pytest.raises(ModelError, match=rule) as caught:
            load(copy)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_whatever_byte_of_the_parameters_changes_it_is_noticed(self, copy: Path) -> None:
        raw = (copy / "model.safetensors").read_bytes()
        places = np.random.default_rng(0).integers(0, len(raw), 60)
        for place in [0, 7, 8, 9, *places.tolist()]:
            altered = bytearray(raw)
            altered[place] ^= 0x01
            (copy / "model.safetensors").write_bytes(altered)
            with pytest.raises(ModelError):
                load(copy)

    def test_a_golden_difference_within_the_tolerance_is_none(self, copy: Path) -> None:
        tensors("golden.safetensors", lambda t: t["embeddings"].mul_(1 + 5e-4))(copy)
        load(copy)
        tensors("golden.safetensors", lambda t: t["embeddings"].mul_(1 + 2e-3))(copy)
        with pytest.raises(ModelError, match="library versions"):
            load(copy)

    def test_a_model_without_calibration_loads_and_gives_no_verdict(self, copy: Path, digits: Dataset) -> None:
        (copy / "calibration.json").unlink()
        model = load(copy)
        with pytest.raises(ModelError, match="likewise calibrate"):
            model.verify(digits.sources[0], digits.sources[1])

    @pytest.mark.parametrize("what", ["missing", "a file", "empty folder"])
    def test_what_is_no_model_folder_is_refused(self, tmp_path: Path, what: str) -> None:
        place = tmp_path / "place"
        if what == "a file":
            place.write_text("model")
        elif what == "empty folder":
            place.mkdir()
        with pytest.raises(ModelError, match=r"A model is a folder with config\.json"):
            load(place)

    def test_an_unreadable_file_is_one_line(self, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", "model.safetensors")

        monkeypatch.setattr("likewise.encoder.files.load_file", refuse)
        with pytest.raises(ModelError, match="Permission denied"):
            load(copy)


class TestWriting:
    @pytest.mark.parametrize("failing", ["save_file", "_write_card"])
    def test_a_full_disk_leaves_the_old_folder_byte_for_byte(
        self, learned: Learned, copy: Path, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        before = contents(copy)

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(folder, failing, full)
        with pytest.raises(DataError, match="No space left on device") as caught:
            learned.model.save(copy)
        assert "\n" not in str(caught.value)
        assert contents(copy) == before
        assert [path.name for path in copy.parent.iterdir()] == [copy.name]
        assert load(copy).fingerprint == learned.model.fingerprint

    def test_a_disk_that_is_really_full(self, learned: Learned, tmp_path: Path) -> None:
        small = tmp_path / "small"
        small.mkdir()
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("mounting a small disk takes root")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False)
        if mounted.returncode:
            pytest.skip("this machine does not let a test mount")
        try:
            learned.model.save(small / "m")  # 800 kB: it fits once
            before = contents(small / "m")
            with pytest.raises(DataError, match="whole or not at all"):
                learned.model.save(small / "m")
            assert contents(small / "m") == before
            assert [path.name for path in small.iterdir()] == ["m"]
            assert load(small / "m").fingerprint == learned.model.fingerprint
        finally:
            subprocess.run(["umount", small], check=True)

    def test_an_error_while_the_report_is_drawn_leaves_the_old_folder(self, learned: Learned, copy: Path) -> None:
        before = contents(copy)

        def fail(_: Path) -> dict[str, object]:
            raise RuntimeError("drawing failed")

        with pytest.raises(RuntimeError):
            learned.model.save(copy, fail)
        assert contents(copy) == before

    def test_ctrl_c_while_saving_leaves_the_old_folder(self, learned: Learned, copy: Path) -> None:
        before = contents(copy)

        def interrupt(_: Path) -> dict[str, object]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            learned.model.save(copy, interrupt)
        assert contents(copy) == before
        assert [path.name for path in copy.parent.iterdir()] == [copy.name]

    def test_an_older_model_is_replaced_as_a_whole(self, learned: Learned, copy: Path) -> None:
        (copy / "report" / "of-old.txt").write_text("old")
        encoder = Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))
        Model(encoder).save(copy)
        assert load(copy).fingerprint == encoder.fingerprint()
        assert not (copy / "report").exists()
        assert not (copy / "calibration.json").exists()

    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_what_is_no_model_is_not_overwritten(self, learned: Learned, tmp_path: Path, what: str) -> None:
        place = tmp_path / "precious"
        if what == "file":
            place.write_text("precious")
        else:
            place.mkdir()
            (place / "letter.txt").write_text("precious")
        with pytest.raises(UsageError, match=r"Only a folder that holds config.json is overwritten"):
            learned.model.save(place)
        assert (place if what == "file" else place / "letter.txt").read_text() == "precious"

    def test_an_empty_folder_may_be_filled(self, learned: Learned, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        learned.model.save(tmp_path / "empty")
        assert load(tmp_path / "empty").fingerprint == learned.model.fingerprint

    def test_a_name_that_is_not_ascii(self, learned: Learned, tmp_path: Path) -> None:
        learned.model.save(tmp_path / "müde Gänse 顔" / "модель")
        loaded = load(tmp_path / "müde Gänse 顔" / "модель")
        assert loaded.fingerprint == learned.model.fingerprint


class TestCalibrationOnly:
    def test_nothing_else_changes(self, copy: Path, digits: Dataset) -> None:
        before = contents(copy)
        model = calibrate(load(copy).encoder, digits.subset(np.arange(300)), 0.02)
        model.save_calibration(copy)
        after = contents(copy)
        assert {name for name in after if after[name] != before.get(name)} == {"calibration.json", "README.md"}
        assert load(copy).calibration == model.calibration
        assert load(copy).calibrated().default == 0.02
        assert "| 0.02 |" in (copy / "README.md").read_text()
        assert "## How good it is" in (copy / "README.md").read_text()

    def test_a_full_disk_leaves_the_old_one(self, copy: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        before = contents(copy)
        model = calibrate(load(copy).encoder, digits.subset(np.arange(300)), 0.02)

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(DataError, match="No space left"):
            model.save_calibration(copy)
        monkeypatch.undo()
        assert contents(copy) == before

    def test_a_model_that_has_none_gives_none(self, copy: Path) -> None:
        with pytest.raises(ModelError, match="never calibrated"):
            Model(load(copy).encoder).save_calibration(copy)

    def test_one_of_another_model_is_refused(self, copy: Path, digits: Dataset) -> None:
        other = Encoder("mlp", 16, preprocessing=Pictures(1, 8, 8))
        before = contents(copy)
        with pytest.raises(ModelError):
            calibrate(other, digits.subset(np.arange(300)), 0.1).save_calibration(copy)
        assert contents(copy) == before


def test_a_model_that_could_not_be_loaded_again_is_not_saved(copy: Path) -> None:
    @dataclass(frozen=True)
    class Unknown(Finder):
        kind: ClassVar[str] = "unknown"
        one: ClassVar[str] = "thing"
        many: ClassVar[str] = "things"

        def find(self, picture: Pixels) -> list[Part]:
            return [Part(picture)]

        def sources(self) -> dict[str, str]:
            return {}

    before = contents(copy)
    model = Model(Encoder("mlp", 16, preprocessing=Pictures(1, 8, 8, prepare=Unknown())))
    with pytest.raises(UsageError, match=r"`likewise\.prepare\.register`"):
        model.save(copy)
    assert contents(copy) == before


def test_read_config_reads_what_save_wrote(learned: Learned, model_folder: Path) -> None:
    config = read_config(model_folder)
    assert config["architecture"] == learned.model.encoder.architecture()


def test_every_kind_of_damage_has_the_status_of_a_bad_model(copy: Path) -> None:
    (copy / "golden.safetensors").unlink()
    with pytest.raises(LikewiseError) as caught:
        load(copy)
    assert caught.value.status == 3


def test_a_calibration_of_the_same_weights_elsewhere_is_taken(copy: Path, learned: Learned) -> None:
    """Calibration belongs to the fingerprint, not to the place."""
    calibration = replace(learned.model.calibrated(), data="elsewhere")
    (copy / "calibration.json").write_text(calibration.to_json())
    assert load(copy).calibrated().data == "elsewhere"


def test_a_file_is_not_said_to_be_no_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label")
    with pytest.raises(ModelError, match=r"t\.csv', a file"):
        read_config(tmp_path / "t.csv")
