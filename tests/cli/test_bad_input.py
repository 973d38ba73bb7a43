"""Bad input: one line, status 2 or 3, and nothing that was there is lost. A test for each kind."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.learn import Learned
from likewise.encoder import Encoder, Pictures
from likewise.matching import Model

Run = Callable[..., object]

pytestmark = pytest.mark.usefixtures("undrawn")


def fill(root: Path, **identities: list[bytes]) -> Path:
    """A folder of folders with these files."""
    for name, contents in identities.items():
        (root / name).mkdir(parents=True)
        for number, content in enumerate(contents):
            (root / name / f"{number}.jpg").write_bytes(content)
    return root


def picture(seed: int = 0, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class TestData:
    def test_a_missing_folder(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        assert "not there" in run("train", tmp_path / "none", *quick).refused(3)
        assert not (tmp_path / "m").exists()

    def test_an_empty_folder(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        (tmp_path / "empty").mkdir()
        assert "no pictures" in run("train", tmp_path / "empty", *quick).refused(3)

    def test_pictures_without_sub_folders(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        (tmp_path / "loose").mkdir()
        (tmp_path / "loose" / "a.png").write_bytes(picture())
        assert "Put each identity's pictures" in run("train", tmp_path / "loose", *quick).refused(3)

    def test_one_class(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        root = fill(tmp_path / "one", a=[picture(seed) for seed in range(20)])
        assert "at least 2 identities" in run("train", root, *quick).refused(3)
        assert not (tmp_path / "m").exists()

    def test_classes_of_one_item(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        root = fill(tmp_path / "lone", **{f"p{seed}": [picture(seed)] for seed in range(30)})
        assert "at least 2 items" in run("train", root, *quick).refused(3)

    def test_too_few_items_to_measure(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        root = fill(tmp_path / "few", a=[picture(1)] * 3, b=[picture(2)] * 3)
        assert "Bring more" in run("train", root, *quick).refused(3)
        assert list(tmp_path.iterdir()) == [root]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"this is not a picture", "A picture is one of"),
            (b"", "0 bytes"),
            (picture(side=64)[:200], "last pixel"),
            (bomb(), "at most"),
        ],
        ids=["text named .jpg", "zero bytes", "truncated", "decompression bomb"],
    )
    def test_no_readable_picture(
        self, run: Run, tmp_path: Path, quick: list[object], content: bytes, said: str
    ) -> None:
        root = fill(tmp_path / "bad", a=[content] * 20, b=[content] * 20)
        assert said in run("train", root, *quick).refused(3)
        assert not (tmp_path / "m").exists()
        assert not (tmp_path / "m.training").exists()

    def test_some_unreadable_pictures_among_good_ones(
        self, run: Run, digit_folder: Path, tmp_path: Path, quick: list[object]
    ) -> None:
        root = Path(shutil.copytree(digit_folder, tmp_path / "mixed"))
        contents = (b"text", b"", picture(side=64)[:200], bomb())
        for digit in range(10):
            (root / str(digit) / "bad.jpg").write_bytes(contents[digit % 4])
        found = run("train", root, *quick)
        assert found.status == 0
        told = [line for line in found.err.splitlines() if "bad.jpg" in line]
        assert len(told) == 10
        assert all(len(line) < 400 for line in told)

    def test_a_picture_without_permission(
        self, run: Run, model_folder: Path, digit_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = Path.stat

        def refuse(path: Path, **options: bool) -> object:
            if path.suffix == ".png":
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, **options)

        monkeypatch.setattr(Path, "stat", refuse)
        line = run("verify", model_folder, digit_folder / "0/00.png", digit_folder / "0/01.png").refused(3)
        assert "Permission denied" in line

    def test_a_missing_picture(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        line = run("verify", model_folder, digit_folder / "0/00.png", tmp_path / "none.png").refused(3)
        assert "none.png" in line

    def test_a_folder_in_place_of_a_picture(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        assert "a folder or a device" in run("verify", model_folder, digit_folder / "0", digit_folder / "1").refused(3)

    def test_a_zip_that_is_none(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        (tmp_path / "data.zip").write_bytes(b"PK\x03\x04 and nothing more")
        assert "zip" in run("train", tmp_path / "data.zip", *quick).refused(3)

    def test_nan_in_an_array(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        items = np.random.default_rng(0).random((40, 8, 8))
        items[17, 3, 3] = np.nan
        np.savez(tmp_path / "d.npz", items=items, labels=np.arange(40) % 2)
        assert "NaN or infinity in item 17" in run("train", tmp_path / "d.npz", *quick).refused(3)

    def test_labels_of_the_wrong_length(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        np.savez(tmp_path / "d.npz", items=np.zeros((40, 8, 8), np.uint8), labels=np.arange(39) % 2)
        assert "one label for each item" in run("train", tmp_path / "d.npz", *quick).refused(3)

    def test_arrays_that_need_pickle(self, run: Run, tmp_path: Path, quick: list[object]) -> None:
        np.savez(tmp_path / "d.npz", items=np.array([None, {}], dtype=object), labels=np.arange(2))
        assert "allow_pickle=False" in run("train", tmp_path / "d.npz", *quick).refused(3)

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ("", "read"),
            ("path,who\na.png,x\n", "path and label"),
            ("path,label\na.png,\n", "row 2"),
            ("path,label\n", "rows"),
            ("a,b,same\nx.png,y.png,maybe\n", "1 or 0"),
            ("a,b,same\nx.png,y.png,1\n", "both kinds"),
            ("a,b,same\nx.png,x.png,1\nx.png,y.png,0\n", "two different items"),
        ],
    )
    def test_tables(self, run: Run, tmp_path: Path, quick: list[object], table: str, said: str) -> None:
        (tmp_path / "t.csv").write_text(table)
        assert said in run("train", tmp_path / "t.csv", *quick, "--loss", "contrastive").refused(3)

    def test_a_part_that_is_not_there(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        assert "test" in run("evaluate", model_folder, digit_folder, "--part", "test").refused(2)

    def test_a_measurement_of_one_class(self, run: Run, model_folder: Path, tmp_path: Path) -> None:
        root = fill(tmp_path / "one", a=[picture(seed) for seed in range(5)])
        assert "Measuring needs 2 identities" in run("evaluate", model_folder, root).refused(3)

    def test_a_promise_the_data_cannot_support(
        self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path
    ) -> None:
        copy = shutil.copytree(model_folder, tmp_path / "copy")
        before = (copy / "calibration.json").read_bytes()
        assert "3,000,000 pairs" in run("calibrate", copy, digit_folder, "--unit", "item", "--fmr", 1e-6).refused(3)
        assert (copy / "calibration.json").read_bytes() == before

    def test_nothing_to_encode(self, run: Run, model_folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "no pictures" in run("encode", model_folder, tmp_path / "empty", "-o", tmp_path / "e.npz").refused(3)


OPTIONS: dict[str, tuple[list[object], str]] = {
    "K larger than any class": (["--batch", "4x5000"], "K is at most"),
    "a batch of nothing": (["--batch", "0"], "at least 2 items"),
    "a batch in words": (["--batch", "many"], "--batch is PxK"),
    "one identity to a batch": (["--batch", "1x4"], "P >= 2"),
    "margin 0": (["--loss", "triplet", "--margin", 0], "--margin is above 0"),
    "margin below 0": (["--loss", "contrastive", "--margin", -0.2], "--margin is above 0"),
    "a margin for nothing": (["--margin", 0.2], "margin"),
    "dim 0": (["--dim", 0], "dimension"),
    "dim below 0": (["--dim", -5], "dimension"),
    "dim in words": (["--dim", "many"], "--dim"),
    "no epochs": (["--epochs", 0], "--epochs"),
    "lr 0": (["--lr", 0], "--lr is above 0"),
    "an unknown loss": (["--loss", "nosuch"], "A loss is one of"),
    "an unknown miner": (["--loss", "triplet", "--miner", "nosuch"], "--miner"),
    "an unknown distance": (["--loss", "contrastive", "--distance", "nosuch"], "--distance"),
    "an unknown backbone": (["--backbone", "nosuch"], "--backbone"),
    "an unknown optimizer": (["--optimizer", "nosuch"], "--optimizer"),
    "an unknown schedule": (["--schedule", "nosuch"], "--schedule"),
    "an unknown precision": (["--precision", "nosuch"], "--precision"),
    "an unknown augmentation": (["--augment", "nosuch"], "--augment"),
    "an unknown device": (["--device", "toaster"], "A device is one this machine has"),
    "an unknown split": (["--split", "nosuch"], "--split"),
    "an unknown selector": (["--select", "nosuch"], "--select"),
    "a seed below 0": (["--seed", -1], "--seed"),
    "an average of 1": (["--average", 1], "--average is in"),
    "patience 0": (["--patience", 0], "--patience"),
    "size 0": (["--size", 0], "1 to 4096 pixels"),
    "pictures too small": (["--backbone", "tutorial"], "at least 16 pixels"),
    "groups of nothing": (["--group-from", "no group"], "one group in parentheses"),
    "a group that is no expression": (["--group-from", "("], "regular expression"),
    "an unknown option": (["--nosuch", 1], "No such option"),
    "an unknown loss of the long tail": (["--loss", "pml:NoSuchLoss"], "NoSuchLoss"),
}


class TestOptions:
    @pytest.mark.parametrize("what", OPTIONS)
    def test_impossible_ones(
        self, run: Run, digit_folder: Path, tmp_path: Path, quick: list[object], what: str
    ) -> None:
        options, said = OPTIONS[what]
        assert said in run("train", digit_folder, *quick, *options).refused(2)
        assert list(tmp_path.iterdir()) == []

    def test_groups_that_are_not_in_every_name(self, run: Run, digit_folder: Path, quick: list[object]) -> None:
        line = run("train", digit_folder, *quick, "--group-from", r"camera(\d)").refused(3)
        assert "Every file name tells its group" in line

    def test_a_command_that_is_not_there(self, run: Run) -> None:
        assert "No such command 'nosuch'" in run("nosuch").refused(2)
        assert "likewise data --help" in run("data", "nosuch").refused(2)

    def test_arguments_that_are_missing(self, run: Run) -> None:
        for command in ("train", "evaluate", "calibrate", "verify", "encode", "map"):
            line = run(command).refused(2)
            assert "Missing" in line
            assert f"likewise {command} --help" in line

    def test_an_unknown_data_set(self, run: Run) -> None:
        assert "mnist" in run("data", "get", "nosuch").refused(2)

    def test_a_rate_that_is_none(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        for fmr in (0, 1, -1, 2):
            line = run("calibrate", model_folder, digit_folder, "--unit", "item", "--fmr", fmr).refused(2)
            assert "between 0 and 1" in line

    def test_a_rate_that_was_not_calibrated(self, run: Run, model_folder: Path, digit_folder: Path) -> None:
        a = digit_folder / "0/00.png"
        assert "Calibrate it for this rate" in run("verify", model_folder, a, a, "--fmr", 0.037).refused(2)

    def test_another_kind_of_file(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        assert ".npz" in run("encode", model_folder, digit_folder, "-o", tmp_path / "e.csv").refused(2)
        assert ".png" in run("map", model_folder, digit_folder, "-o", tmp_path / "m.pdf").refused(2)
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_map(self, run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
        for options in (["--method", "tsne"], ["--dimensions", 4], ["--neighbours", 0], ["--metric", "nosuch"]):
            line = run("map", model_folder, digit_folder, "-o", tmp_path / "m.png", *options).refused(2)
            assert options[0] in line

    def test_pairs_for_an_objective_on_labels(
        self, run: Run, digit_folder: Path, tmp_path: Path, quick: list[object]
    ) -> None:
        lines = ["a,b,same"]
        for number in range(0, 30, 2):
            one, two = f"{number:02}.png", f"{number + 1:02}.png"
            lines += [f"{digit_folder}/0/{one},{digit_folder}/0/{two},1"]
            lines += [f"{digit_folder}/1/{one},{digit_folder}/2/{two},0"]
        (tmp_path / "p.csv").write_text("\n".join(lines))
        assert "contrastive, bce or concatenated" in run("train", tmp_path / "p.csv", *quick).refused(2)


class TestModels:
    @pytest.fixture
    def copy(self, model_folder: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(model_folder, tmp_path / "copy"))

    @pytest.fixture
    def pictures(self, digit_folder: Path) -> tuple[Path, Path]:
        return digit_folder / "0/00.png", digit_folder / "0/01.png"

    def test_a_missing_model(self, run: Run, tmp_path: Path, pictures: tuple[Path, Path]) -> None:
        assert "no such folder" in run("verify", tmp_path / "none", *pictures).refused(3)

    def test_a_folder_that_is_no_model(self, run: Run, tmp_path: Path, digit_folder: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "without config.json" in run("evaluate", tmp_path / "empty", digit_folder).refused(3)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "golden.safetensors"])
    def test_a_missing_file(self, run: Run, copy: Path, pictures: tuple[Path, Path], name: str) -> None:
        (copy / name).unlink()
        assert name in run("verify", copy, *pictures).refused(3)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "golden.safetensors", "calibration.json"])
    def test_a_truncated_file(self, run: Run, copy: Path, pictures: tuple[Path, Path], name: str) -> None:
        raw = (copy / name).read_bytes()
        for length in (0, len(raw) // 3, len(raw) - 5):
            (copy / name).write_bytes(raw[:length])
            assert name in run("verify", copy, *pictures).refused(3)

    def test_altered_parameters(self, run: Run, copy: Path, pictures: tuple[Path, Path]) -> None:
        raw = bytearray((copy / "model.safetensors").read_bytes())
        raw[len(raw) // 2] ^= 1
        (copy / "model.safetensors").write_bytes(raw)
        assert "altered or damaged" in run("verify", copy, *pictures).refused(3)

    def test_a_newer_format(self, run: Run, copy: Path, pictures: tuple[Path, Path]) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"format": 99}))
        assert "Install a newer likewise" in run("verify", copy, *pictures).refused(3)

    def test_an_uncalibrated_model_gives_no_verdict(self, run: Run, copy: Path, pictures: tuple[Path, Path]) -> None:
        (copy / "calibration.json").unlink()
        assert "likewise calibrate" in run("verify", copy, *pictures).refused(3)

    def test_a_calibration_of_another_model(self, run: Run, copy: Path, pictures: tuple[Path, Path]) -> None:
        values = json.loads((copy / "calibration.json").read_text())
        (copy / "calibration.json").write_text(json.dumps(values | {"model": "f" * 64}))
        assert "belongs to its model" in run("verify", copy, *pictures).refused(3)

    @pytest.mark.parametrize("command", ["evaluate", "calibrate", "map", "encode", "info", "from"])
    def test_every_command_refuses_a_damaged_model(
        self, run: Run, copy: Path, digit_folder: Path, tmp_path: Path, quick: list[object], command: str
    ) -> None:
        (copy / "golden.safetensors").write_bytes(b"")
        out = tmp_path / "out.npz"
        arguments: dict[str, list[object]] = {
            "evaluate": ["evaluate", copy, digit_folder],
            "calibrate": ["calibrate", copy, digit_folder],
            "map": ["map", copy, digit_folder, "-o", tmp_path / "out.png"],
            "encode": ["encode", copy, digit_folder, "-o", out],
            "info": ["models", "info", copy],
            "from": ["train", digit_folder, "--from", copy, *quick[4:]],
        }
        assert "golden.safetensors" in run(*arguments[command]).refused(3)
        assert [path.name for path in tmp_path.iterdir()] == ["copy"]

    def test_a_precious_folder_is_not_overwritten(
        self, run: Run, digit_folder: Path, tmp_path: Path, quick: list[object], model_folder: Path
    ) -> None:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "letter.txt").write_text("precious")
        assert "overwritten" in run("train", digit_folder, *quick).refused(2)
        assert "overwritten" in run("calibrate", model_folder, digit_folder, "--out", tmp_path / "m").refused(2)
        assert "overwritten" in run("evaluate", model_folder, digit_folder, "--out", tmp_path / "m").refused(2)
        assert (tmp_path / "m" / "letter.txt").read_text() == "precious"

    def test_a_full_disk_while_saving(
        self, run: Run, digit_folder: Path, quick: list[object], tmp_path: Path, learned: Learned,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        learned.model.save(tmp_path / "m")
        before = {path: path.read_bytes() for path in sorted((tmp_path / "m").rglob("*"))}

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("likewise.matching.folder.save_file", full)
        assert "No space left" in run("train", digit_folder, *quick).refused(3)
        assert {path: path.read_bytes() for path in sorted((tmp_path / "m").rglob("*"))} == before

    def test_a_model_saved_by_the_library_works_here(
        self, run: Run, tmp_path: Path, pictures: tuple[Path, Path]
    ) -> None:
        Model(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8))).save(tmp_path / "new")
        assert run("models", "info", tmp_path / "new").status == 0
        assert "never calibrated" in run("verify", tmp_path / "new", *pictures).refused(3)

    def test_a_model_folder_without_permission(
        self, run: Run, copy: Path, pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = Path.stat

        def refuse(path: Path, **options: bool) -> object:
            if copy in path.parents:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, **options)

        monkeypatch.setattr(Path, "stat", refuse)
        line = run("verify", copy, *pictures).refused(3)
        assert "Permission denied" in line
        assert "config.json" in line


class TestFaults:
    def test_a_fault_is_one_line_that_asks_for_debug(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("of all things\nin two lines")

        monkeypatch.setattr("likewise.data.open_data", broken)
        found = run("data", "check", tmp_path)
        assert found.status == 3
        (line,) = found.err.splitlines()
        assert "ZeroDivisionError" in line
        assert "--debug" in line

    @pytest.mark.parametrize("before", [True, False])
    def test_debug_shows_the_traceback_wherever_it_is_written(self, run: Run, tmp_path: Path, before: bool) -> None:
        command = ["data", "check", tmp_path / "none"]
        found = run("--debug", *command) if before else run(*command, "--debug")
        assert found.status == 3
        assert found.err.startswith("Traceback")
        assert "DataError" in found.err
        assert found.err.splitlines()[-1].startswith("likewise: ")

    def test_ctrl_c_is_status_130(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("likewise.data.open_data", interrupt)
        assert run("data", "check", tmp_path) == (130, "", "likewise: stopped\n")
