"""How a question is put in a terminal, and what is shown."""

from __future__ import annotations

import io
import os
import re
import stat
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.study.asking import PLAYED, Question, Terminal, enlarged, half_blocks, wav_bytes

CLASSES = ("day", "night", "dusk")


def picture(side: int = 8) -> Question:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return Question(3, 40, pixels, None, CLASSES)


def sound(rate: int = 2000) -> Question:
    tone = (9000 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)).astype(np.int16)
    return Question(1, 40, tone, rate, CLASSES)


class TestShown:
    def test_enlarged_pixels_are_squares_and_nothing_is_smoothed(self) -> None:
        found = enlarged(picture().item, 512)
        assert found.shape == (512, 512, 3)
        assert np.array_equal(found[::64, ::64], picture().item)
        assert np.array_equal(found[63::64, 63::64], picture().item)

    def test_nothing_is_made_smaller(self) -> None:
        wide = np.zeros((30, 700), np.uint8)
        assert enlarged(wide, 512).shape == (30, 700)

    def test_a_png_holds_what_the_machine_is_given(self) -> None:
        shown = np.asarray(Image.open(io.BytesIO(picture().shown())))
        assert np.array_equal(shown[::64, ::64], picture().item)

    def test_a_sound_of_a_low_rate_holds_nothing_above_it(self) -> None:
        with wave.open(io.BytesIO(sound().shown())) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(10**9), "<i2").astype(float)
        assert (rate, len(samples)) == (PLAYED, PLAYED)  # a second
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        assert abs(int(spectrum.argmax()) - 300) <= 1
        assert spectrum[1100:].max() < 1e-3 * spectrum.max()

    def test_a_sound_of_a_high_rate_is_as_it_was(self) -> None:
        values = np.random.default_rng(0).integers(-9000, 9000, 4410).astype(np.int16)
        with wave.open(io.BytesIO(wav_bytes(values, 44_100))) as file:
            assert file.getframerate() == 44_100
            assert np.array_equal(np.frombuffer(file.readframes(10**9), "<i2"), values)


class TestHalfBlocks:
    def test_two_pixels_a_character(self) -> None:
        pixels = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], np.uint8)
        assert half_blocks(pixels) == ("\x1b[38;2;1;2;3m\x1b[48;2;7;8;9m▀\x1b[38;2;4;5;6m\x1b[48;2;10;11;12m▀\x1b[0m")

    def test_grey_and_a_row_left_over(self) -> None:
        assert half_blocks(np.array([[9]], np.uint8)) == "\x1b[38;2;9;9;9m\x1b[49m▀\x1b[0m"


class TestThroughAPipe:
    def asked(self, typed: str, question: Question, folder: Path) -> tuple[int, str]:
        out = io.StringIO()
        return Terminal(out, io.StringIO(typed), folder).ask(question), out.getvalue()

    def test_names_of_classes_command_no_terminal(self, tmp_path: Path) -> None:
        hostile = ("day\x1b[2J\x1b]0;owned\x07", "night\n[3] dusk\r", "\u202edusk")
        question = Question(1, 1, picture().item, None, hostile)
        answer, said = self.asked("2\n", question, tmp_path)
        assert answer == 1
        assert not set(said) & set("\x1b\x07\r\u202e")
        assert said.count("\n") == 3  # the question, where to look, and which of how many
        assert said.splitlines()[0].startswith(r"What is it? [1] day\x1b[2J\x1b]0;owned\x07  [2] night\n[3] dusk\r  ")

    def test_a_key_answers_and_the_picture_is_in_a_file(self, tmp_path: Path) -> None:
        answer, said = self.asked("2\n", picture(), tmp_path)
        assert answer == 1
        assert "[1] day  [2] night  [3] dusk  [q] stop" in said
        assert f"look at {tmp_path / 'shown.png'}" in said
        assert "3 of 40" in said
        assert (tmp_path / "shown.png").read_bytes() == picture().shown()

    def test_a_name_that_a_terminal_would_obey_is_shown_as_it_is_written(self, tmp_path: Path) -> None:
        _, said = self.asked("1\n", replace(picture(), classes=("d\x1b[2Jay\nnight", "dusk")), tmp_path)
        assert r"[1] d\x1b[2Jay\nnight  [2] dusk" in said
        assert "\x1b" not in said

    def test_other_keys_are_asked_again(self, tmp_path: Path) -> None:
        answer, said = self.asked("4\nx\n\n3\n", picture(), tmp_path)
        assert answer == 2
        assert said.count("One of 1, 2, 3, or q to stop.") == 3

    @pytest.mark.parametrize("typed", ["q\n", ""])
    def test_q_and_the_end_stop(self, tmp_path: Path, typed: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.asked(typed, picture(), tmp_path)

    def test_the_last_file_is_taken_away_at_the_end(self, tmp_path: Path) -> None:
        terminal = Terminal(io.StringIO(), io.StringIO("1\n"), tmp_path)
        terminal.ask(picture())
        terminal.end()
        assert list(tmp_path.iterdir()) == []


class TestSounds:
    @pytest.fixture
    def player(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A program aplay that notes what it is given."""
        program = tmp_path / "bin" / "aplay"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/played\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent))
        return tmp_path / "played"

    @pytest.mark.skipif(os.name != "posix", reason="a shell script")
    def test_they_are_played_and_again_on_enter(self, tmp_path: Path, player: Path) -> None:
        out = io.StringIO()
        assert Terminal(out, io.StringIO("\n1\n"), tmp_path).ask(sound()) == 0
        assert player.read_text().splitlines() == [f"-q {tmp_path / 'shown.wav'}"] * 2
        assert "Enter to hear it again" in out.getvalue()
        assert "listen to" not in out.getvalue()

    def test_without_a_player_the_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        out = io.StringIO()
        Terminal(out, io.StringIO("1\n"), tmp_path).ask(sound())
        assert f"listen to {tmp_path / 'shown.wav'}" in out.getvalue()
        assert (tmp_path / "shown.wav").read_bytes() == sound().shown()


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
class TestInATerminal:
    @pytest.fixture
    def screen(self) -> Iterator[tuple[int, int]]:
        """Both ends of one of 80 x 24."""
        import fcntl
        import pty
        import struct
        import termios

        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        yield ours, theirs
        os.close(ours)
        os.close(theirs)

    def asked(self, screen: tuple[int, int], keys: bytes, question: Question, folder: Path) -> tuple[int, str]:
        """Types as soon as something is asked, without Enter."""
        import threading

        ours, theirs = screen
        found: list[int] = []
        with open(theirs, "w", closefd=False) as out, open(theirs, closefd=False) as given:
            thread = threading.Thread(target=lambda: found.append(Terminal(out, given, folder).ask(question)))
            thread.start()
            seen = b""
            for key in keys:
                while not re.search(rb"of 40[^:]*: $", seen):
                    seen += os.read(ours, 65536)
                import time

                time.sleep(0.2)  # until single keys are read
                os.write(ours, bytes([key]))
                seen += b"|"
            thread.join(timeout=10)
        return found[0], seen.decode()

    def test_a_small_picture_is_drawn_as_large_as_fits(self, screen: tuple[int, int], tmp_path: Path) -> None:
        answer, seen = self.asked(screen, b"1", picture(8), tmp_path)
        assert answer == 0
        assert seen.count("▀") == 40 * 20  # 8 pixels five times as large are 40, in 20 rows of two
        drawn = re.findall(r"\[38;2;(\d+);(\d+);(\d+)m\x1b\[48", seen)
        corner = tuple(map(str, picture(8).item[0, 0].tolist()))
        assert drawn[0] == corner
        assert not list(tmp_path.iterdir())

    def test_one_that_has_no_room_is_in_a_file(self, screen: tuple[int, int], tmp_path: Path) -> None:
        answer, seen = self.asked(screen, b"3", picture(64), tmp_path)
        assert answer == 2
        assert "▀" not in seen
        assert "shown.png" in seen
