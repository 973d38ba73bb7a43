"""Words spoken by programs: a stand-in that fails in every way, and espeak-ng and flite where they are installed."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from likewise.apps.voices import Spoken, VoicesOptions, speak
from likewise.apps.voices.near import near_misses
from likewise.apps.voices.speakers import Manner, Speaker, accents, phonemes, say, speakers
from likewise.data import manifest
from likewise.errors import DataError, UsageError
from likewise.media.sounds import read_sound, word_bounds

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")

# Copies what is prepared for a variant, or fails as it is called; phonemes are the letters.
FAKE_ESPEAK = """#!/bin/sh
case "$1" in
    --voices=variant) /bin/cat "{folder}/variants"; exit;;
    --voices=en) /bin/cat "{folder}/accents"; exit;;
    --voices=*) echo "Pty Language"; exit;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
        -q) quiet=1;;
        -v) voice="${{2#*+}}"; shift;;
        -w) file="$2"; shift;;
        -p|-s) shift;;
        --) text="$2"; break;;
    esac
    shift
done
if [ -n "$quiet" ]; then echo " '$text"; exit; fi
case "$voice" in
    fails) echo "no such voice" >&2; exit 1;;
    "writes nothing") exit;;
esac
/bin/cp "{folder}/$voice.wav" "$file"
"""
ACCENTS = """Pty Language       Age/Gender VoiceName          File                 Other Languages
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  en-us           --/M      us-mbrola-2        mb/mb-us2            (en 7)
 5  variant         --/M      Storm              !v/Storm             (en-us 5)
"""
GOOD = ("ann", "bob", "cid the third")
BAD = ("fails", "writes nothing", "writes rubbish", "silent", "slow", "short")
QUICK = VoicesOptions(count=6)


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def fake_espeak(folder: Path, *variants: str) -> None:
    """espeak-ng in a folder, whose variants speak in tones of half a second."""
    prepared = folder.parent / "prepared"
    prepared.mkdir()
    program(folder, "espeak-ng", FAKE_ESPEAK.format(folder=prepared))
    listed = [f" 5  variant         --/M      {name:<18} !v/{name:<17} " for name in variants]
    (prepared / "variants").write_text("\n".join(["Pty Language ...", *listed]))
    (prepared / "accents").write_text(ACCENTS)
    for name in variants:
        t = np.arange(round(22_050 * {"slow": 3, "short": 0.03}.get(name, 0.5))) / 22_050
        hertz = 300 + sum(map(ord, name.removeprefix("twin of "))) % 500
        sound = 0.4 * np.sin(2 * np.pi * hertz * t) * (name != "silent")
        soundfile.write(prepared / f"{name}.wav", np.r_[sound, np.zeros(4000)], 22_050)
    (prepared / "writes rubbish.wav").write_text("sorry")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def fake(alone: Path) -> Path:
    fake_espeak(alone, *GOOD, "twin of ann")
    return alone


@pytest.fixture
def failing(alone: Path) -> Path:
    fake_espeak(alone, "ann", *BAD)
    return alone


def rows(spoken: Spoken) -> list[dict[str, str]]:
    with spoken.manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_every_voice_speaks_as_often_and_twins_are_one(fake: Path, tmp_path: Path) -> None:
    spoken = speak(["alexa", "hey you"], tmp_path / "out", QUICK)
    assert spoken.words == {"alexa": 6, "hey you": 6}
    assert spoken.voices == 3
    assert spoken.skipped == ()
    for word in spoken.words:
        voices = Counter(row["group"] for row in rows(spoken) if row["label"] == word)
        assert voices == {f"espeak-ng {name}": 2 for name in GOOD}
    assert {row["accent"] for row in rows(spoken)} == {"en-gb", "en-us"}
    assert len({(row["pitch"], row["speed"]) for row in rows(spoken)}) > 9


def test_a_file_is_named_for_its_voice(fake: Path, tmp_path: Path) -> None:
    spoken = speak(["alexa"], tmp_path / "out", QUICK)
    for number, row in enumerate(rows(spoken), 1):
        voice = row["group"].removeprefix("espeak-ng ").replace(" ", "_")
        assert row["path"] == f"alexa/espeak-{row['accent']}+{voice}-{number:04}.wav"
    found = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.wav")}
    assert found == {row["path"] for row in rows(spoken)}


def test_the_manifest_is_a_labelled_set(fake: Path, tmp_path: Path) -> None:
    data = manifest(speak(["alexa", "hey you"], tmp_path / "out", QUICK).manifest)
    assert data.names == ("alexa", "hey you")
    assert data.group_names == tuple(f"espeak-ng {name}" for name in GOOD)
    assert len(data.files) == 12


def test_a_clip_holds_the_word_between_two_quarters_of_a_second(fake: Path, tmp_path: Path) -> None:
    spoken = speak(["alexa"], tmp_path / "out", replace(QUICK, rate=8_000))
    for row in rows(spoken):
        samples, rate = soundfile.read(tmp_path / "out" / row["path"])
        assert rate == 8_000
        assert len(samples) / rate == pytest.approx(float(row["seconds"]), abs=1e-6) == pytest.approx(1.0, abs=0.01)
        start, end = word_bounds(samples.astype(np.float32), rate)
        assert start / rate == pytest.approx(0.25, abs=0.02)
        assert end / rate == pytest.approx(0.75, abs=0.02)
        room = np.r_[samples[: rate // 5], samples[-rate // 5 :]]
        assert 10 * np.log10((room**2).mean()) == pytest.approx(-70, abs=1)  # never digital zero
    assert spoken.seconds == pytest.approx(sum(float(row["seconds"]) for row in rows(spoken)), abs=1e-4)


def test_failures_are_told_and_not_written(failing: Path, tmp_path: Path) -> None:
    spoken = speak(["alexa"], tmp_path / "out", replace(QUICK, count=14))
    reasons = {file.split("+")[1][:-9].replace("_", " "): reason for file, reason in spoken.skipped}
    assert len(spoken.skipped) == 12  # each of the seven spoke twice
    assert set(reasons) == set(BAD)
    assert "status 1: no such voice" in reasons["fails"]
    assert "wrote nothing" in reasons["writes nothing"]
    assert "A sound is one of" in reasons["writes rubbish"]
    assert "no word" in reasons["silent"]
    assert all("0.1 to 2.25 s are plausible" in reasons[voice] for voice in ("slow", "short"))
    written = list((tmp_path / "out").rglob("*.wav"))
    assert len(written) == spoken.clips == 2
    assert all("+ann-" in file.name for file in written)
    record = json.loads((tmp_path / "out" / "voices.json").read_text())
    assert len(record["skipped"]) == 12


def test_nothing_but_failures(alone: Path, tmp_path: Path) -> None:
    fake_espeak(alone, "silent")
    with pytest.raises(DataError, match="no word"):
        speak(["alexa"], tmp_path / "out", QUICK)
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_the_same_clips_whatever_the_threads(fake: Path, tmp_path: Path) -> None:
    speak(["alexa"], tmp_path / "one", QUICK, workers=1)
    speak(["alexa"], tmp_path / "four", QUICK, workers=4)
    speak(["alexa"], tmp_path / "other", replace(QUICK, seed=1))
    assert contents(tmp_path / "one") == contents(tmp_path / "four")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_it_goes_on_where_it_was(fake: Path, tmp_path: Path) -> None:
    def stop(done: int, _: int, text: str) -> None:
        if text == "speaking" and done == 3:
            raise KeyboardInterrupt

    options = replace(QUICK, count=30)
    with pytest.raises(KeyboardInterrupt):
        speak(["alexa"], tmp_path / "out", options, workers=2, progress=stop)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*.wav")}
    assert 3 <= len(before) < 30
    assert not (tmp_path / "out" / "manifest.csv").exists()
    with pytest.raises(UsageError, match="not as then: --seed"):
        speak(["alexa"], tmp_path / "out", replace(options, seed=1))
    with pytest.raises(UsageError, match="not as then: --count, --near, near-misses"):
        speak(["alexa"], tmp_path / "out", replace(options, count=31, near=2))
    with pytest.raises(UsageError, match="not as then: words"):
        speak(["alexas"], tmp_path / "out", options)
    speak(["alexa"], tmp_path / "out", options)
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    speak(["alexa"], tmp_path / "whole", options)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_near_misses_lie_apart(fake: Path, tmp_path: Path) -> None:
    spoken = speak(["alexa"], tmp_path / "out", replace(QUICK, count=12, near=4))
    assert spoken.words == {"alexa": 12}
    assert len(spoken.near) == 4
    assert set(spoken.near.values()) == {3}
    assert spoken.clips == 24
    for row in rows(spoken):
        assert row["path"].startswith(f"near-misses/{row['label']}/" if row["kind"] == "near miss" else "alexa/")


class TestNearMisses:
    def near(self, word: str, number: int, words: tuple[str, ...] = ()) -> list[str]:
        return near_misses(word, [word, *words], number, "en-us", np.random.default_rng(0))

    def test_half_are_cut_and_half_have_another_consonant(self, fake: Path) -> None:
        found = self.near("alexa", 8)
        cuts = {"ale", "alex", "exa", "lexa"}
        assert cuts <= set(found)
        for other in set(found) - cuts:
            assert len(other) == 5
            (place,) = [i for i in range(5) if other[i] != "alexa"[i]]
            assert "alexa"[place] in "lx"

    def test_what_sounds_like_a_word_is_none(self, fake: Path) -> None:
        """The stand-in says what is written."""
        assert "lexa" in self.near("alexa", 1000)
        assert "lexa" not in self.near("alexa", 1000, ("lexa",))
        assert not any("lex" in each for each in self.near("alexa", 1000, ("lex",)))

    def test_there_may_be_fewer(self, fake: Path) -> None:
        assert set(self.near("ao", 5)) == {"a", "o"}

    def test_phrases_lose_words(self, fake: Path) -> None:
        assert "computer" in self.near("hey computer", 1000)
        assert all(each == each.strip() for each in self.near("hey computer", 1000))

    @needs_espeak
    def test_they_are_said_differently(self) -> None:
        found = self.near("cat", 1000)
        said = [phonemes(each, "en-us") for each in found]
        assert {"at", "bat"} < set(found)
        assert len(set(said)) == len(said) > 10
        assert "kat" not in found

    @needs_espeak
    def test_another_vowel_is_not_enough(self) -> None:
        """espeak-ng reads komputer otherwise than computer, but people say it alike."""
        assert phonemes("komputer", "en-us") != phonemes("computer", "en-us")
        assert "komputer" not in self.near("computer", 1000)


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([], "at least 1"), (["alexa", "alexa "], "different"), ([""], "letters"), (["?!"], "letters"),
            (["../up"], "folder"), ([".hidden"], "folder"), (["a\\b"], "folder"), (["x" * 200], "bytes"),
        ],
    )  # fmt: skip
    def test_words(self, fake: Path, tmp_path: Path, words: list[str], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            speak(words, tmp_path / "out", QUICK)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("change", [{"count": 0}, {"seed": -1}, {"near": -1}, {"rate": 100}])
    def test_options(self, change: dict[str, int]) -> None:
        with pytest.raises(UsageError):
            replace(QUICK, **change)

    def test_no_program(self, alone: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="apt install espeak-ng"):
            speak(["alexa"], tmp_path / "out", QUICK)

    def test_a_language_nobody_speaks(self, fake: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'xx'"):
            speak(["alexa"], tmp_path / "out", replace(QUICK, language="xx"))

    def test_flite_alone(self, alone: Path, tmp_path: Path) -> None:
        program(alone, "flite", "#!/bin/sh\necho 'Voices available: kal slt'\n")
        with pytest.raises(UsageError, match="flite speaks English"):
            speak(["alexa"], tmp_path / "out", replace(QUICK, language="de"))
        with pytest.raises(UsageError, match="told from a word by espeak-ng"):
            speak(["alexa"], tmp_path / "out", replace(QUICK, near=2))

    def test_a_program_that_fails_altogether(self, alone: Path, tmp_path: Path) -> None:
        program(alone, "espeak-ng", "#!/bin/sh\necho data are missing >&2\nexit 1\n")
        with pytest.raises(DataError, match="data are missing"):
            speak(["alexa"], tmp_path / "out", QUICK)

    def test_a_folder_with_something_else(self, fake: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").touch()
        with pytest.raises(UsageError, match="new or empty"):
            speak(["alexa"], tmp_path / "out", QUICK)


@needs_espeak
class TestEspeak:
    def test_a_word_that_looks_like_an_option_is_spoken(self, tmp_path: Path) -> None:
        assert say("-w stop", Speaker("espeak-ng", "m3"), Manner("en-us", 50, 170), tmp_path / "a.wav") is None
        assert len(soundfile.read(tmp_path / "a.wav")[0]) > 22_050

    def test_other_voices_say_it_otherwise_and_louder_than_the_room(self, tmp_path: Path) -> None:
        spoken = speak(["alexa"], tmp_path / "out", replace(QUICK, count=20))
        assert spoken.skipped == ()
        assert spoken.voices == 20
        assert len(set(contents(tmp_path / "out" / "alexa").values())) == 20
        for row in rows(spoken):
            samples = read_sound(tmp_path / "out" / row["path"], rate=16_000)
            start, end = word_bounds(samples, 16_000)
            assert 0.2 < (end - start) / 16_000 < 1.5
            assert np.abs(samples).max() > 0.05

    def test_there_are_some_85_voices_and_a_few_accents(self) -> None:
        assert len([each for each in speakers("en") if each.program == "espeak-ng"]) >= 60
        assert {"en-us", "en-gb-scotland"} <= set(accents("en"))
        assert accents("de") == ["de"]

    def test_speed_and_pitch_are_heard(self, tmp_path: Path) -> None:
        lengths, pitches = [], []
        for i, (pitch, speed) in enumerate([(50, 120), (50, 220), (25, 170), (75, 170)]):
            file = tmp_path / f"{i}.wav"
            assert say("alexa", Speaker("espeak-ng", "m3"), Manner("en-us", pitch, speed), file) is None
            samples, rate = soundfile.read(file)
            lengths.append(np.flatnonzero(samples)[-1])
            middle = int(np.square(samples).cumsum().searchsorted(np.square(samples).sum() / 2))  # of its energy
            vowel = samples[middle - rate // 20 : middle + rate // 20]
            alike = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :]
            lag = rate // 300 + int(alike[rate // 300 : rate // 60].argmax())
            pitches.append(rate / lag)
        assert lengths[0] > 1.4 * lengths[1]
        assert pitches[3] > 1.15 * pitches[2]


@needs_flite
def test_flite_speaks_too(tmp_path: Path, alone: Path) -> None:
    (alone / "flite").symlink_to(shutil.which("flite", path="/usr/bin:/usr/local/bin") or "flite")
    spoken = speak(["alexa"], tmp_path / "out", replace(QUICK, count=8))
    assert spoken.skipped == ()
    assert spoken.voices >= 3
    assert all(row["path"].startswith("alexa/flite-") for row in rows(spoken))
    speeds = {(row["group"], row["speed"]) for row in rows(spoken)}
    assert len(speeds) == 8
