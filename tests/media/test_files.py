from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from safetensors import SafetensorError

from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media import files
from likewise.media.files import check_replaceable, recover_folder, replacing_file, replacing_folder

MARKER = "config.json"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder like a model's, with something to lose."""
    folder = tmp_path / "people.model"
    (folder / "report").mkdir(parents=True)
    (folder / MARKER).write_text("old")
    (folder / "report" / "roc.png").write_bytes(b"old picture")
    return folder


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where folders cannot be swapped in one step."""
    monkeypatch.setattr(files, "_exchanged_in_one_step", lambda *_: False)


@pytest.fixture
def one_step(tmp_path: Path) -> None:
    for name in ("swap a", "swap b"):
        (tmp_path / name).mkdir()
    swapped = files._exchanged_in_one_step(tmp_path / "swap a", tmp_path / "swap b")
    for name in ("swap a", "swap b"):
        (tmp_path / name).rmdir()
    if not swapped:
        pytest.skip("folders cannot be swapped in one step here")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_untouched(model: Path) -> None:
    assert contents(model) == {MARKER: b"old", "report/roc.png": b"old picture"}
    assert [path.name for path in model.parent.iterdir()] == [model.name]


def save(target: Path, files: dict[str, bytes], error: BaseException | None = None) -> None:
    """Writes a folder, and may fail once all is written."""
    with replacing_folder(target, marker=MARKER) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        if error is not None:
            raise error


def save_file(target: Path, content: bytes, error: BaseException | None = None) -> None:
    with replacing_file(target) as path:
        path.write_bytes(content)
        if error is not None:
            raise error


def write_tensors(target: Path) -> None:
    with replacing_folder(target, marker=MARKER) as folder:
        safetensors.numpy.save_file({"weights": np.zeros(100_000)}, folder / "model.safetensors")


class TestReplacingFolder:
    def test_a_new_one_with_its_parents(self, tmp_path):
        target = tmp_path / "runs" / "new.model"
        with replacing_folder(target, marker=MARKER) as folder:
            assert not target.exists()
            (folder / MARKER).write_text("new")
            (folder / "report").mkdir()
            (folder / "report" / "map.png").write_bytes(b"map")
        assert contents(target) == {MARKER: b"new", "report/map.png": b"map"}
        assert [path.name for path in target.parent.iterdir()] == ["new.model"]

    def test_the_old_one_goes_as_a_whole(self, model):
        model.chmod(0o750)
        with replacing_folder(str(model), marker=MARKER) as folder:
            assert folder.parent == model.parent
            (folder / MARKER).write_text("new")
            assert contents(model)[MARKER] == b"old"
        assert contents(model) == {MARKER: b"new"}
        assert stat.S_IMODE(model.stat().st_mode) == 0o750
        assert [path.name for path in model.parent.iterdir()] == [model.name]

    def test_an_empty_folder_may_be_filled(self, tmp_path):
        (tmp_path / "out").mkdir()
        with replacing_folder(tmp_path / "out", marker=MARKER) as folder:
            (folder / MARKER).write_text("new")
        assert contents(tmp_path / "out") == {MARKER: b"new"}

    def test_a_link_keeps_pointing_at_it(self, model, tmp_path):
        link = tmp_path / "latest"
        link.symlink_to(model)
        with replacing_folder(link, marker=MARKER) as folder:
            (folder / MARKER).write_text("new")
        assert link.is_symlink()
        assert contents(model) == {MARKER: b"new"}

    def test_a_relative_name(self, model, monkeypatch):
        monkeypatch.chdir(model.parent)
        with replacing_folder(model.name, marker=MARKER) as folder:
            (folder / MARKER).write_text("new")
        assert contents(model) == {MARKER: b"new"}

    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1), LikewiseError("no")])
    def test_whatever_ends_the_block_passes_and_the_old_one_stays(self, model, error):
        with pytest.raises(type(error)) as caught:
            save(model, {MARKER: b"half"}, error)
        assert caught.value is error
        assert_untouched(model)

    def test_nothing_remains_of_a_new_one_that_failed(self, tmp_path):
        with pytest.raises(ValueError, match="no"):
            save(tmp_path / "new", {MARKER: b"half"}, ValueError("no"))
        assert not list(tmp_path.iterdir())

    def test_a_full_device(self, model):
        def write_to_a_full_device() -> None:
            with replacing_folder(model, marker=MARKER) as folder:
                (folder / "model.safetensors").symlink_to("/dev/full")  # every write there fails with ENOSPC
                (folder / "model.safetensors").write_bytes(b"parameters")

        with pytest.raises(DataError) as caught:
            write_to_a_full_device()
        assert str(model) in str(caught.value)
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert_untouched(model)

    def test_a_full_disk(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        if shutil.which("mount") is None or os.geteuid() != 0:
            pytest.skip("mounting a small disk takes root")
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
            check=False,
            capture_output=True,
            text=True,
        )
        if mounted.returncode != 0:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            save(disk / "m", {MARKER: b"old"})
            with pytest.raises(DataError, match="No space left"):
                save(disk / "m", {MARKER: b"new", "model.safetensors": bytes(100_000)})
            assert contents(disk / "m") == {MARKER: b"old"}
            assert [path.name for path in disk.iterdir()] == ["m"]
            with pytest.raises(DataError, match="No space left"):
                write_tensors(disk / "m")
            with pytest.raises(DataError, match="No space left"):
                save_file(disk / "m" / MARKER, bytes(100_000))
            assert contents(disk / "m") == {MARKER: b"old"}
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_a_flush_that_fails(self, model, monkeypatch):
        def fail(descriptor: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(DataError, match="Input/output"):
            save(model, {MARKER: b"new"})
        assert_untouched(model)

    def test_safetensors_fails_in_its_own_words(self, model):
        with pytest.raises(DataError, match="os error 28"):
            save(model, {MARKER: b"half"}, SafetensorError("Error while serializing: I/O error: (os error 28)"))
        assert_untouched(model)

    @pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
    @pytest.mark.usefixtures("two_steps")
    def test_failing_between_the_two_renames_puts_the_old_one_back(self, model, monkeypatch, error):
        rename = Path.rename

        def fail_for_the_new_one(self: Path, target: Path) -> Path:
            if self.suffix == ".new":
                assert not model.exists()  # the old one has stepped aside
                raise error
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
        expected = DataError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            save(model, {MARKER: b"new"})
        assert_untouched(model)

    @pytest.mark.usefixtures("two_steps")
    def test_a_reader_that_brings_the_old_one_back_between_the_two_renames(self, model, monkeypatch):
        rename = Path.rename
        back: list[bool] = []

        def read_first(self: Path, target: Path) -> Path:
            if self.suffix == ".new" and not back:
                recover_folder(model)
                back.append(model.exists())
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", read_first)
        save(model, {MARKER: b"new"})
        assert back == [True]
        assert contents(model) == {MARKER: b"new"}
        assert [path.name for path in model.parent.iterdir()] == [model.name]

    @pytest.mark.parametrize("write", [save, save_file])
    def test_a_rename_that_cannot_be_flushed_has_happened_all_the_same(self, tmp_path, monkeypatch, write):
        """Nothing that was there is untouched then, so it must not be said."""
        flush = files._flush

        def fail_for_folders_above(path: Path) -> None:
            if path == tmp_path:
                raise OSError(5, "Input/output error")
            flush(path)

        monkeypatch.setattr(files, "_flush", fail_for_folders_above)
        write(tmp_path / "new", {MARKER: b"new"} if write is save else b"new")
        assert (tmp_path / "new").exists()

    @pytest.mark.usefixtures("one_step")
    def test_in_one_step_there_is_always_a_folder(self, model, monkeypatch):
        def no_rename(self: Path, target: Path) -> Path:
            pytest.fail(f"{self} renamed to {target}")

        monkeypatch.setattr(Path, "rename", no_rename)
        over, missing = threading.Event(), []

        def look() -> None:
            while not over.is_set():
                if not (model / MARKER).exists():
                    missing.append(1)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for n in range(100):
                save(model, {MARKER: f"{n}".encode()})
        finally:
            over.set()
            looking.join()
        assert not missing
        assert contents(model) == {MARKER: b"99"}
        assert [path.name for path in model.parent.iterdir()] == [model.name]

    @pytest.mark.usefixtures("one_step")
    def test_a_failed_swap_changes_nothing(self, model):
        assert not files._exchanged_in_one_step(model, model.parent / "none")
        assert_untouched(model)

    @pytest.mark.parametrize("swaps", [True, False])
    def test_everything_is_flushed_before_the_first_rename(self, model, monkeypatch, swaps):
        events: list[str] = []
        fsync, rename, swap = os.fsync, Path.rename, files._exchanged_in_one_step

        def note_swap(one: Path, other: Path) -> bool:
            swapped = swaps and swap(one, other)
            events.extend(["rename"] * swapped)
            return swapped

        def note_fsync(descriptor: int) -> None:
            events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            fsync(descriptor)

        def note_rename(self: Path, target: Path) -> Path:
            events.append("rename")
            return rename(self, target)

        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(Path, "rename", note_rename)
        monkeypatch.setattr(files, "_exchanged_in_one_step", note_swap)
        with replacing_folder(model, marker=MARKER) as folder:
            (folder / MARKER).write_text("new")
            (folder / "report").mkdir()
            (folder / "report" / "map.png").write_bytes(b"map")
        first = events.index("rename")
        assert {MARKER, "report", "map.png", folder.name} == set(events[:first])
        assert events[first:] in (["rename", model.parent.name], ["rename", "rename", model.parent.name])

    def test_killed_while_writing(self, model):
        script = (
            "import os, signal, sys\n"
            "from likewise.media.files import replacing_folder\n"
            f"with replacing_folder(sys.argv[1], marker={MARKER!r}) as folder:\n"
            f"    (folder / {MARKER!r}).write_text('half')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script, str(model)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert contents(model) == {MARKER: b"old", "report/roc.png": b"old picture"}
        save(model, {MARKER: b"new"})  # what it left behind is in nobody's way
        assert contents(model) == {MARKER: b"new"}

    def kill_between_the_two_renames(self, model: Path) -> None:
        script = (
            "import os, pathlib, signal, sys\n"
            "from likewise.media import files\n"
            "files._exchanged_in_one_step = lambda *_: False\n"
            "rename = pathlib.Path.rename\n"
            "def dying(self, target):\n"
            "    rename(self, target)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "pathlib.Path.rename = dying\n"
            f"with files.replacing_folder(sys.argv[1], marker={MARKER!r}) as folder:\n"
            f"    (folder / {MARKER!r}).write_text('new')\n"
        )
        ended = subprocess.run([sys.executable, "-c", script, str(model)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert not model.exists()

    def test_killed_between_the_two_renames_and_read_again(self, model):
        self.kill_between_the_two_renames(model)
        recover_folder(model)
        assert contents(model) == {MARKER: b"old", "report/roc.png": b"old picture"}

    def test_killed_between_the_two_renames_and_written_again(self, model):
        self.kill_between_the_two_renames(model)
        with pytest.raises(ValueError, match="no"):
            save(model, {MARKER: b"half"}, ValueError("no"))
        assert contents(model) == {MARKER: b"old", "report/roc.png": b"old picture"}
        save(model, {MARKER: b"new"})
        assert contents(model) == {MARKER: b"new"}

    def test_a_folder_of_another_kind(self, tmp_path):
        (tmp_path / "holiday.jpg").write_bytes(b"dear")
        with pytest.raises(UsageError, match=MARKER), replacing_folder(tmp_path, marker=MARKER):
            pytest.fail("entered")
        assert contents(tmp_path) == {"holiday.jpg": b"dear"}

    def test_a_file_in_its_place(self, tmp_path):
        (tmp_path / "m").write_text("dear")
        with pytest.raises(UsageError, match=MARKER), replacing_folder(tmp_path / "m", marker=MARKER):
            pytest.fail("entered")
        assert (tmp_path / "m").read_text() == "dear"

    def test_a_file_in_place_of_a_parent(self, tmp_path):
        (tmp_path / "m").write_text("dear")
        with pytest.raises(DataError), replacing_folder(tmp_path / "m" / "n", marker=MARKER):
            pytest.fail("entered")

    def test_a_name_too_long(self, tmp_path):
        with (
            pytest.raises(DataError, match="too long"),
            replacing_folder(tmp_path / ("n" * 300), marker=MARKER),
        ):
            pytest.fail("entered")


class TestCheckReplaceable:
    def test_what_may_be_replaced(self, model, tmp_path):
        check_replaceable(model, marker=MARKER)
        check_replaceable(tmp_path / "nothing there", marker=MARKER)
        assert_untouched(model)

    def test_what_may_not(self, model):
        with pytest.raises(UsageError, match="report"):
            check_replaceable(model / "report", marker=MARKER)


class TestRecoverFolder:
    def test_what_is_there_stays(self, model, tmp_path):
        (tmp_path / f".{model.name}.0123456789ab.old").mkdir()
        recover_folder(model)
        assert contents(model) == {MARKER: b"old", "report/roc.png": b"old picture"}

    @pytest.mark.parametrize(
        "others",
        [
            [".m.0123456789ab.old", ".m.ba9876543210.old"],  # it is not plain which
            [".m.x.0123456789ab.old"],  # of a folder m.x
            [".m.0123456789ab.new"],  # never finished
            ["m.0123456789ab.old", ".m.old", ".mm.0123456789ab.old"],
            [],
        ],
    )
    def test_what_is_not_plain_stays(self, tmp_path, others):
        for name in others:
            (tmp_path / name).mkdir()
        recover_folder(tmp_path / "m")
        assert {path.name for path in tmp_path.iterdir()} == set(others)

    def test_names_are_taken_as_they_are(self, tmp_path):
        (tmp_path / ".m[1].*.0123456789ab.old").mkdir()
        recover_folder(tmp_path / "m[1].*")
        assert [path.name for path in tmp_path.iterdir()] == ["m[1].*"]

    def test_where_there_is_no_place_at_all(self, tmp_path):
        recover_folder(tmp_path / "nowhere" / "m")
        recover_folder(tmp_path / ("n" * 300))
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        recover_folder(tmp_path / "circle")


class TestReplacingFile:
    def test_a_new_one_with_its_parents(self, tmp_path):
        with replacing_file(tmp_path / "maps" / "digits.png") as path:
            assert path.suffix == ".png"
            path.write_bytes(b"map")
        assert contents(tmp_path) == {"maps/digits.png": b"map"}

    def test_the_old_one_is_replaced_and_its_permissions_kept(self, tmp_path):
        target = tmp_path / "tokens.json"
        target.write_text("old")
        target.chmod(0o600)
        with replacing_file(target) as path:
            path.write_text("new")
            assert target.read_text() == "old"
        assert contents(tmp_path) == {"tokens.json": b"new"}
        assert stat.S_IMODE(target.stat().st_mode) == 0o600

    def test_a_new_one_has_the_usual_permissions(self, tmp_path):
        (tmp_path / "usual").touch()
        with replacing_file(tmp_path / "new") as path:
            path.write_text("new")
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode

    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
    def test_failing_leaves_the_old_one(self, tmp_path, error):
        (tmp_path / "map.png").write_text("old")
        expected = DataError if isinstance(error, OSError) else type(error)
        with pytest.raises(expected):
            save_file(tmp_path / "map.png", b"half", error)
        assert contents(tmp_path) == {"map.png": b"old"}

    def test_a_link_keeps_pointing_at_it(self, tmp_path):
        (tmp_path / "real").write_text("old")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with replacing_file(tmp_path / "link") as path:
            path.write_text("new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "new"

    @pytest.mark.parametrize("target", ["/dev/null", "/tmp"])
    def test_devices_and_folders_are_refused(self, target):
        before = Path(target).stat().st_mode
        with pytest.raises(UsageError, match=target), replacing_file(target):
            pytest.fail("entered")
        assert Path(target).stat().st_mode == before


def test_numbers_that_json_does_not_know_are_null(tmp_path: Path) -> None:
    values = {"a": float("nan"), "b": [1.5, float("inf"), {"c": (-float("inf"), "NaN")}], "d": None, "e": True}
    files.write_json(tmp_path / "x.json", values)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [1.5, None, {"c": [None, "NaN"]}], "d": None, "e": True}


def test_a_folder_is_not_written_over_or_around_its_source(tmp_path: Path) -> None:
    (tmp_path / "data" / "in").mkdir(parents=True)
    for out in (tmp_path, tmp_path / "data", tmp_path / "data" / "out", tmp_path / "data" / "in" / ".." / "x"):
        with pytest.raises(UsageError, match="outside of what it is made from"):
            files.check_outside(out, [tmp_path / "else", tmp_path / "data"])
    files.check_outside(tmp_path / "data2", [tmp_path / "data"])


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert files.finite({"a": [float("nan"), (1.5, float("inf"))], 3: "x"}) == {"a": [None, [1.5, None]], "3": "x"}
