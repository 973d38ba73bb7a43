"""The programs that speak, espeak-ng and flite: which voices they have, and a word said by one of them."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, final

from likewise.apps.making import Progress, in_order
from likewise.errors import DataError, UsageError

ESPEAK, FLITE = "espeak-ng", "flite"
SECONDS = 20  # a word takes some 20 ms; what has not ended by then never will
FLITE_LEFT_OUT = {"awb_time", "kal"}  # one tells the time and nothing else, the other is kal16 at half its bandwidth
NORMAL_SPEED = 175  # words a minute that both programs speak unasked

_VARIANT = re.compile(r"!v/(.+?)(?:\s{2,}|\s*\(|\s*$)", re.MULTILINE)
_ACCENT = re.compile(r"^\s*\d+\s+(\S+)\s+\S+\s+\S+\s+(?!mb/|!v/)\S+/\S+", re.MULTILINE)  # mb/ needs files of others


@final
@dataclass(frozen=True)
class Speaker:
    """One voice of one program.

    Attributes:
        program: espeak-ng or flite.
        name: as the program calls it; of espeak-ng the variant, which any accent goes with.
    """

    program: Literal["espeak-ng", "flite"]
    name: str


@final
@dataclass(frozen=True)
class Manner:
    """How something is said.

    Attributes:
        accent: a voice of espeak-ng, which has the language and where in the world it is spoken; empty for flite.
        pitch: 0 to 99, 50 being normal.
        speed: words a minute.
    """

    accent: str
    pitch: int
    speed: int


def installed() -> list[str]:
    """Which programs there are.

    Raises:
        UsageError: none.
    """
    found = [program for program in (ESPEAK, FLITE) if shutil.which(program)]
    if not found:
        raise UsageError("Words are spoken by espeak-ng or flite", "neither", "Run `apt install espeak-ng flite`.")
    return found


def accents(language: str) -> list[str]:
    """The voices espeak-ng has of a language ("en"), each in another accent.

    Raises:
        UsageError: none.
    """
    listed = _output([ESPEAK, f"--voices={language}"])
    found = sorted({accent for accent in _ACCENT.findall(listed) if accent.split("-")[0] == language})
    if not found:
        raise UsageError("A language is one that espeak-ng speaks", repr(language), "`espeak-ng --voices` lists them.")
    return found


def speakers(language: str, workers: int | None = None, progress: Progress | None = None) -> list[Speaker]:
    """All voices there are. Variants of espeak-ng that say a word alike to the last bit are one voice.

    Args:
        language: of the word that variants are compared by; flite speaks English only.
        workers: threads.
        progress: told how many variants are compared.

    Raises:
        UsageError: no program is installed, or it does not speak the language.
    """
    programs = installed()
    found: list[Speaker] = []
    if ESPEAK in programs:
        accent = accents(language)[0]
        names = sorted(set(_VARIANT.findall(_output([ESPEAK, "--voices=variant"]))))

        def sound(name: str) -> str:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "word.wav"
                problem = say("alphabet", Speaker(ESPEAK, name), Manner(accent, 50, NORMAL_SPEED), file)
                return name if problem else hashlib.sha256(file.read_bytes()).hexdigest()

        sounds = in_order(sound, names, workers=workers, progress=progress, text="comparing voices")
        first = dict(zip(reversed(sounds), reversed(names), strict=True))
        found += [Speaker(ESPEAK, name) for name in sorted(first.values())]
    if FLITE in programs and language == "en":
        listed = _output([FLITE, "-lv"]).partition(":")[2].split()
        found += [Speaker(FLITE, name) for name in sorted(set(listed) - FLITE_LEFT_OUT)]
    if not found:
        raise UsageError("flite speaks English", repr(language), "Run `apt install espeak-ng` for other languages.")
    return found


def say(text: str, speaker: Speaker, manner: Manner, file: Path) -> str | None:
    """Writes a WAV of what is said; None, or why there is none."""
    if speaker.program == ESPEAK:
        command = [
            ESPEAK, "-v", f"{manner.accent}+{speaker.name}", "-p", str(manner.pitch), "-s", str(manner.speed),
            "-w", str(file), "--", text,
        ]  # fmt: skip
    else:
        command = [
            FLITE, "-voice", speaker.name, "--setf", f"duration_stretch={NORMAL_SPEED / manner.speed:.3f}",
            "--setf", f"int_f0_target_mean={70 + 1.5 * manner.pitch:.1f}", "-t", text, "-o", str(file),
        ]  # fmt: skip
    try:
        done = _run(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{speaker.program} did not end well: {error}"
    if done.returncode:
        return f"{speaker.program} left with status {done.returncode}: {' '.join(done.stderr.split()) or 'no reason'}"
    return (
        None if file.is_file() else f"{speaker.program} wrote nothing: {' '.join(done.stderr.split()) or 'no reason'}"
    )


def phonemes(text: str, accent: str) -> str:
    """How espeak-ng would say it, without stress, length and pauses.

    Raises:
        DataError: the program fails.
    """
    return re.sub(r"[',%=:;_|\s]", "", _output([ESPEAK, "-q", "-x", "-v", accent, "--", text]))


def _output(command: Sequence[str]) -> str:
    try:
        done = _run(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{command[0]} answers", error, "Install it again.") from error
    if done.returncode:
        raise DataError(f"{command[0]} answers", done.stderr or f"status {done.returncode}", "Install it again.")
    return done.stdout


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
