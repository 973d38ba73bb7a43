"""The command line as a process of its own: what it imports, its streams and its status, and what a kill leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from likewise.cli import main
from likewise.cli.console import Bar
from likewise.matching import load

COMMANDS = [
    [], ["demo"], ["train"], ["evaluate"], ["calibrate"], ["verify"], ["encode"], ["map"], ["data"], ["models"],
    ["data", "list"], ["data", "get"], ["data", "check"], ["models", "list"], ["models", "info"],
]  # fmt: skip


def likewise(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "likewise", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


def test_help_imports_nothing_heavy() -> None:
    """Help is to be there at once; each of these libraries alone takes longer than the whole of it may."""
    script = """
import contextlib, io, json, sys
from likewise.cli import main
shown = {}
for command in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    shown[" ".join(command)] = out.getvalue()
heavy = {"torch", "numpy", "rich", "PIL", "pandas", "sklearn", "matplotlib", "scipy", "kornia", "umap", "pyarrow"}
print(json.dumps([sorted(heavy & set(sys.modules)), shown]))
"""
    found = subprocess.run(
        [sys.executable, "-c", script, json.dumps(COMMANDS)], capture_output=True, text=True, check=True
    )
    loaded, shown = json.loads(found.stdout)
    assert loaded == []
    assert len(shown) == len(COMMANDS)
    for command, text in shown.items():
        assert text.startswith(f"Usage: {' '.join(['likewise', *command.split()])}")
        assert "-h, --help" in text
    for name in ("demo", "train", "evaluate", "calibrate", "verify", "encode", "map", "data", "models"):
        assert f"\n  {name} " in shown[""]
        assert name in {"data", "models"} or "--json" in shown[name]


def test_importing_likewise_imports_nothing_heavy() -> None:
    script = "import likewise, sys; print(sorted({'torch', 'numpy', 'PIL', 'kornia'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_listing_names_does_not_wait_for_torch(model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    from likewise import Gallery

    with Gallery.open(tmp_path / "g.gallery", model_folder) as gallery:
        gallery.enrol("ada", digit_folder / "3/00.png")
    script = """
import sys
from likewise.cli import main
try:
    main(["gallery", "list", sys.argv[1], "--json"])
finally:
    print(sorted({"torch", "PIL", "pandas", "sklearn"} & set(sys.modules)))
"""
    said = subprocess.check_output([sys.executable, "-c", script, tmp_path / "g.gallery"], text=True)
    assert said.splitlines() == ['{"names": {"ada": 1}}', "[]"]


@pytest.mark.parametrize(
    ("a", "b", "status"),
    [
        pytest.param("3/00.png", "3/00.png", 0, marks=pytest.mark.slow),
        ("3/00.png", "8/00.png", 1),
        pytest.param("3/00.png", "none.png", 3, marks=pytest.mark.slow),
    ],
)
def test_status_and_streams(model_folder: Path, digit_folder: Path, a: str, b: str, status: int) -> None:
    found = likewise("verify", model_folder, digit_folder / a, digit_folder / b, "--json")
    assert found.returncode == status
    if status == 3:
        assert found.stdout == ""
        assert len(found.stderr.splitlines()) == 1
    else:
        assert json.loads(found.stdout)["same"] == (status == 0)
        assert found.stderr == ""


def test_wrong_use_is_status_2() -> None:
    found = likewise("verify", "only one")
    assert (found.returncode, found.stdout) == (2, "")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes that break are a thing of POSIX")
def test_a_reader_that_goes_away_changes_nothing() -> None:
    """As `likewise data list | true`: no traceback, and the status is still the answer's."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "likewise", "data", "list"]
    found = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (found.returncode, found.stderr) == (0, "")


def test_names_a_terminal_cannot_show(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_ascii(*arguments: object) -> tuple[int, str]:
        shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", shown)
            with pytest.raises(SystemExit) as left:
                main([str(argument) for argument in arguments])
        shown.flush()
        return int(left.value.code or 0), shown.buffer.getvalue().decode("ascii")

    (tree / "person 0").rename(tree / "Größe 顔 🙂")
    checked = json.loads(on_ascii("data", "check", tree, "--json")[1])
    assert "Größe 顔 🙂" in checked["counts"]
    status, text = on_ascii("data", "check", tree)
    assert status == 0
    assert r"\xf6" in text


class TestBar:
    def test_where_there_is_no_terminal_lines_are_written_now_and_then(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        bar = Bar("reading")
        for done in range(1, 101):
            now[0] += 0.25
            bar(done, 100, "note")
        bar.close()
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            f"reading: {done} of 100, about {(100 - done) / 4:.0f} s left, note" for done in (20, 40, 60, 80, 100)
        ]

    def test_on_a_terminal_it_is_a_bar_on_standard_error(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        bar = Bar("reading")
        bar(50, 100, "loss 0.5")
        bar.close()
        out, err = capsys.readouterr()
        assert out == ""
        assert "reading" in err
        assert "50/100" in err
        assert "loss 0.5" in err


@pytest.fixture
def training(digit_folder: Path, tmp_path: Path) -> list[object]:
    """A run of a few seconds, slowed by nothing but its epochs."""
    return [
        "train", digit_folder, "--backbone", "mlp", "--dim", 8, "--epochs", 60, "--precision", "float32", "--average",
        0.9, "--augment", "jitter", "--seed", 5, "--out", tmp_path / "m",
    ]  # fmt: skip


def epochs_done(state: Path) -> int:
    """How many a run has finished: whenever one looks, there is a whole checkpoint or none."""
    if not (state / "checkpoint.safetensors").exists():
        return 0
    with safe_open(state / "checkpoint.safetensors", framework="pt") as file:
        return len(json.loads(file.metadata()["state"])["epochs"])


def begun(arguments: list[object], state: Path, epochs: int) -> subprocess.Popen[str]:
    """A training process that has finished some epochs."""
    command = [sys.executable, "-m", "likewise", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while epochs_done(state) < epochs:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_parameters(training: list[object], tmp_path: Path) -> None:
    whole = likewise(*training[:-1], tmp_path / "whole")
    assert whole.returncode == 0
    state = tmp_path / "m.training"
    for epochs in (3, 20):  # killed twice, at moments that nobody chose
        process = begun([*training, *(["--resume"] if epochs > 3 else [])], state, epochs)
        process.kill()
        process.communicate()
        assert epochs_done(state) < 60
        assert not (tmp_path / "m").exists()
    resumed = likewise(*training, "--resume", "--json")
    assert resumed.returncode == 0
    assert json.loads(resumed.stdout)["epochs"] == 60
    for name in ("model.safetensors", "golden.safetensors", "calibration.json"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "whole"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent so on POSIX")
def test_ctrl_c_saves_what_there_is(training: list[object], tmp_path: Path) -> None:
    process = begun([*training, "--json"], tmp_path / "m.training", 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(out)["stopped"] == "interrupted"
    assert 3 <= json.loads(out)["epochs"] < 60
    assert load(tmp_path / "m").dim == 8
    assert (tmp_path / "m.training").is_dir()  # so that --resume can go on
