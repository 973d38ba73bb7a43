"""Clips from three piles: every label is recomputed from the samples that were written."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from likewise.apps.synthesize import SynthesisOptions, Synthesized, synthesize
from likewise.errors import DataError, UsageError

RATE = 16_000
STEP = 1 / 32768  # of 16 bits
QUICK = SynthesisOptions(count=6, seconds=2.0, most_positive=2, most_negative=2, background_db=(0.0, 0.0))


def tone(seconds: float, hertz: float, level: float = 0.5, rate: int = RATE) -> np.ndarray:
    """With an attack and a decay, so that halves differ."""
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * t) * (1 - t / seconds / 2)).astype(np.float32)


def in_silence(sound: np.ndarray, rate: int = RATE) -> np.ndarray:
    """0.3 s of digital zero before, 0.5 s behind."""
    return np.concatenate([np.zeros(round(0.3 * rate)), sound, np.zeros(round(0.5 * rate))]).astype(np.float32)


def write(file: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, rate, subtype=subtype)
    return file


class Piles(NamedTuple):
    positive: Path
    negative: Path
    background: Path


@pytest.fixture
def piles(tmp_path: Path) -> Piles:
    """Five beeps, six boops, and eight seconds of noise."""
    for i in range(5):
        write(tmp_path / "beep" / f"{i}.wav", in_silence(tone(0.2 + 0.02 * i, 900 + 10 * i)))
    for i in range(6):
        write(tmp_path / "others" / "boop" / f"{i}.wav", in_silence(tone(0.3, 300 + 10 * i)))
    noise = 0.05 * np.random.default_rng(0).standard_normal(8 * RATE)
    write(tmp_path / "noise" / "hiss.wav", noise)
    return Piles(tmp_path / "beep", tmp_path / "others", tmp_path / "noise")


@pytest.fixture
def zero(tmp_path: Path) -> Path:
    """A background of digital zero."""
    write(tmp_path / "zero" / "zero.wav", np.zeros(10 * RATE))
    return tmp_path / "zero"


def rows(made: Synthesized) -> list[dict[str, str]]:
    with made.manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def samples(made: Synthesized, row: dict[str, str]) -> np.ndarray:
    found, rate = soundfile.read(made.out / row["path"], dtype="float64")
    assert rate == RATE
    return found


def span(row: dict[str, str], rate: int = RATE) -> slice:
    return slice(round(float(row["start"]) * rate), round(float(row["end"]) * rate))


def contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def clips(made: Synthesized) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows(made):
        found.setdefault(row["path"], []).append(row)
    return found


def test_a_word_that_took_in_noise_is_found_anew_or_left_out(piles: Piles, zero: Path, tmp_path: Path) -> None:
    """Words of 0.4 s; before one of them 0.8 s of a hum that stands out of the floor, and one that hums for 2 s."""
    rng = np.random.default_rng(0)

    def room(*parts: np.ndarray) -> np.ndarray:
        sound = np.concatenate([np.zeros(RATE), *parts, np.zeros(RATE)])
        return sound + 1e-4 * rng.standard_normal(len(sound))

    hum = 0.0063 * np.sin(2 * np.pi * 150 * np.arange(round(0.8 * RATE)) / RATE)  # at -47 dBFS
    for i in range(6):
        write(tmp_path / "word" / f"{i}.wav", room(tone(0.4, 900)))
    write(tmp_path / "word" / "hum.wav", room(hum, tone(0.4, 900)))
    write(tmp_path / "word" / "long.wav", room(tone(2.0, 900)))
    made = synthesize(tmp_path / "word", None, zero, tmp_path / "clips", replace(QUICK, count=60, most_negative=0))
    ((file, reason),) = made.skipped
    assert file.endswith("long.wav")
    assert "cannot be told from the noise around it: 2.0" in reason
    lengths = {Path(row["source"]).name: float(row["end"]) - float(row["start"]) for row in rows(made) if row["start"]}
    assert {"hum.wav", "0.wav"} <= set(lengths)
    assert all(0.3 < length < 0.5 for length in lengths.values())


def test_a_word_of_which_next_to_nothing_was_found_is_left_out(zero: Path, tmp_path: Path) -> None:
    """Among eight of 0.6 s one of 0.38 s, which some people may say it in, and two that nobody can."""
    for i in range(8):
        write(tmp_path / "word" / f"{i}.wav", in_silence(tone(0.6, 900)))
    for seconds in (0.38, 0.34, 0.07):
        write(tmp_path / "word" / f"{seconds}.wav", in_silence(tone(seconds, 900)))
    made = synthesize(tmp_path / "word", None, zero, tmp_path / "clips", replace(QUICK, count=60, most_negative=0))
    told = {Path(file).name: reason for file, reason in made.skipped}
    assert set(told) == {"0.34.wav", "0.07.wav"}
    assert "a part of the word, or a click: 0.07 s, where 'word' lasts 0.60 s" in told["0.07.wav"]
    used = {Path(row["source"]).name for row in rows(made) if row["start"]}
    assert {"0.38.wav", "0.wav"} <= used
    assert not used & set(told)


def test_few_words_may_differ_in_length(zero: Path, tmp_path: Path) -> None:
    """Of four there is no saying which is the odd one."""
    for i, seconds in enumerate((0.6, 0.6, 0.07, 1.4)):
        write(tmp_path / "word" / f"{i}.wav", in_silence(tone(seconds, 900)))
    made = synthesize(tmp_path / "word", None, zero, tmp_path / "clips", replace(QUICK, most_negative=0))
    assert (made.files["positives"], made.skipped) == (4, ())


def test_backgrounds_are_as_quiet_as_drawn(piles: Piles, tmp_path: Path) -> None:
    """The same scenes with and without: what is not under a word is quieter by what the manifest says."""
    options = replace(QUICK, count=8, gain_db=(0.0, 0.0), most_negative=0, snr_db=(-10.0, -10.0))
    plain = synthesize(*piles, tmp_path / "plain", options)
    quiet = synthesize(*piles, tmp_path / "quiet", replace(options, background_db=(-20.0, -6.0)))
    drawn = []
    for (path, before), (same, after) in zip(clips(plain).items(), clips(quiet).items(), strict=True):
        assert path == same
        gain = float(after[0]["background_db"])
        assert float(before[0]["background_db"]) == 0
        loud, soft = samples(plain, before[0]), samples(quiet, after[0])
        alone = np.ones(len(loud), bool)
        for row in before:
            if row["start"]:
                alone[span(row)] = False
        np.testing.assert_allclose(soft[alone], loud[alone] * 10 ** (gain / 20), atol=2 / 32768)
        drawn.append(gain)
    assert -20 <= min(drawn) < -12 < max(drawn) <= -6


def test_over_digital_zero_a_clip_is_the_scaled_words_and_nothing_else(
    piles: Piles, zero: Path, tmp_path: Path
) -> None:
    options = replace(QUICK, count=20, snr_db=(6.0, 12.0), gain_db=(-3.0, -3.0))
    made = synthesize(*piles[:2], zero, tmp_path / "clips", options)
    seen = 0
    for listed in clips(made).values():
        clip = samples(made, listed[0])
        assert len(clip) == 2 * RATE
        for row in listed:
            if row["start"]:
                source, _ = soundfile.read(piles.positive.parent / row["source"])
                where = np.flatnonzero(source)
                # bounds are found to a frame of 10 ms, and these words begin and end on one
                word = source[where[0] // 160 * 160 : -(-where[-1] // 160) * 160]
                got = clip[span(row)]
                assert len(got) == len(word)
                level = 10 ** ((-40 + float(row["snr_db"]) + float(row["gain_db"])) / 20)  # over -40 dBFS
                np.testing.assert_allclose(got, word * level / np.sqrt((word**2).mean()), atol=0.6 * STEP)
                clip[span(row)] = 0
                seen += 1
        assert not clip.any()
    assert seen == made.positive + made.negative > 20


def test_the_snr_is_the_one_that_is_told(piles: Piles, tmp_path: Path) -> None:
    made = synthesize(*piles, tmp_path / "clips", replace(QUICK, count=20, snr_db=(-5.0, 25.0)))
    noise, _ = soundfile.read(piles.background / "hiss.wav")
    levels: list[float] = []
    for listed in clips(made).values():
        begin = round(float(listed[0]["background_start"]) * RATE)
        under = noise[begin : begin + 2 * RATE]
        words = samples(made, listed[0]) / 10 ** (float(listed[0]["gain_db"]) / 20) - under
        for row in listed:
            if row["start"]:
                ratio = (words[span(row)] ** 2).mean() / (under[span(row)] ** 2).mean()
                assert 10 * np.log10(ratio) == pytest.approx(float(row["snr_db"]), abs=0.1)
                levels.append(float(row["snr_db"]))
                words[span(row)] = 0
        assert np.abs(words).max() < 3 * STEP  # everywhere else it is the background
    assert min(levels) < 2 < 18 < max(levels)
    assert all(-5 <= level <= 25 for level in levels)


class TestSpeed:
    def test_a_word_is_so_many_times_as_short_and_as_high(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        options = replace(QUICK, count=30, seconds=3.0, most_negative=0, speed=(0.7, 1.4))
        made = synthesize(*piles[:2], zero, tmp_path / "clips", options)
        speeds: list[float] = []
        for listed in clips(made).values():
            clip = samples(made, listed[0])
            for row in listed:
                if not row["start"]:
                    continue
                number, speed = int(Path(row["source"]).stem), float(row["speed"])
                here = clip[span(row)]
                assert len(here) / RATE == pytest.approx((0.2 + 0.02 * number) / speed, abs=0.02 / speed)
                spectrum = np.abs(np.fft.rfft(here * np.hanning(len(here)), 1 << 16))
                assert spectrum.argmax() * RATE / (1 << 16) == pytest.approx((900 + 10 * number) * speed, rel=0.01)
                clip[span(row)] = 0
                speeds.append(speed)
            assert not clip.any()  # times are those of the changed word
        assert min(speeds) < 0.8 < 1.3 < max(speeds)
        assert all(0.7 <= speed <= 1.4 for speed in speeds)

    def test_its_snr_is_that_of_what_is_left_of_it(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        """A word of two tones, of which the higher one is lost when it is said faster."""
        both = tone(0.3, 1_000) + tone(0.3, 7_000)
        write(tmp_path / "high" / "high.wav", in_silence(both))
        options = replace(QUICK, count=6, most_negative=0, speed=(1.5, 1.5), snr_db=(10.0, 10.0), gain_db=(0.0, 0.0))
        made = synthesize(tmp_path / "high", None, zero, tmp_path / "clips", options)
        levels = [10 * np.log10((samples(made, row)[span(row)] ** 2).mean()) for row in rows(made) if row["start"]]
        assert levels
        assert levels == pytest.approx([-30.0] * len(levels), abs=0.1)  # 10 dB over -40 dBFS

    def test_the_same_seed_gives_the_same_clips(self, piles: Piles, tmp_path: Path) -> None:
        options = replace(QUICK, speed=(0.8, 1.2), hard=True)
        for out, workers in (("one", 1), ("two", 3)):
            synthesize(*piles, tmp_path / out, options, workers=workers)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_as_in_its_file_unless_asked(self, piles: Piles, tmp_path: Path) -> None:
        made = synthesize(*piles, tmp_path / "clips", QUICK)
        assert {row["speed"] for row in rows(made) if row["start"]} == {"1.000"}

    def test_a_slowed_word_that_finds_no_room_is_left_out(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        options = replace(QUICK, seconds=0.4, count=10, speed=(0.5, 0.5))
        made = synthesize(*piles[:2], zero, tmp_path / "clips", options)
        assert made.left_out > 0
        assert all(float(row["end"]) <= 0.4 for row in rows(made) if row["start"])

    @pytest.mark.parametrize("speed", [(1.2, 0.8), (0.4, 1.0), (1.0, 2.1), (0.9, float("nan"))])
    def test_speeds_that_cannot_be(self, speed: tuple[float, float]) -> None:
        with pytest.raises(UsageError, match="speed"):
            SynthesisOptions(speed=speed)


def test_a_clip_that_would_pass_full_scale_is_made_quieter_as_a_whole(piles: Piles, tmp_path: Path) -> None:
    loud = np.clip(0.4 * np.random.default_rng(1).standard_normal(5 * RATE), -1, 1)
    write(tmp_path / "loud" / "loud.wav", loud, subtype="FLOAT")
    options = replace(QUICK, count=10, snr_db=(20.0, 20.0), gain_db=(6.0, 6.0))
    made = synthesize(*piles[:2], tmp_path / "loud", tmp_path / "clips", options)
    for listed in clips(made).values():
        clip, gain = samples(made, listed[0]), float(listed[0]["gain_db"])
        assert np.abs(clip).max() == pytest.approx(1, abs=2 * STEP)
        assert gain < 6
        begin = round(float(listed[0]["background_start"]) * RATE)
        rest = clip - loud[begin : begin + 2 * RATE] * 10 ** (gain / 20)
        for row in listed:
            if row["start"]:
                rest[span(row)] = 0
        assert np.abs(rest).max() < 2 * STEP


def test_words_never_overlap_and_keep_their_gap(piles: Piles, tmp_path: Path) -> None:
    made = synthesize(*piles, tmp_path / "clips", replace(QUICK, count=60, gap=0.1, most_positive=4, most_negative=4))
    for listed in clips(made).values():
        words = [span(row) for row in listed if row["start"]]
        assert all(a.stop + 1600 <= b.start for a, b in itertools.pairwise(words))  # the manifest is in order of time
        assert all(0 <= word.start < word.stop <= 2 * RATE for word in words)
    assert made.left_out > 0  # eight words of 0.3 s and their gaps do not fit into 2 s
    drawn = made.positive + made.negative + made.left_out
    assert 60 * 4 * 0.8 < drawn < 60 * 4 * 1.2  # 0 to 4 of each


def test_every_number_of_words_up_to_the_most_occurs(piles: Piles, zero: Path, tmp_path: Path) -> None:
    made = synthesize(*piles[:2], zero, tmp_path / "clips", replace(QUICK, count=200, seconds=3.0, most_negative=1))
    numbers = Counter(
        tuple(sum(row["kind"] == kind for row in listed) for kind in ("positive", "negative"))
        for listed in clips(made).values()
    )
    assert set(numbers) == {(p, n) for p in range(3) for n in range(2)}
    assert min(numbers.values()) > 15  # of 33 expected


def test_a_clip_without_words_has_one_row(piles: Piles, tmp_path: Path) -> None:
    made = synthesize(None, None, piles.background, tmp_path / "c", replace(QUICK, most_positive=0, most_negative=0))
    found = rows(made)
    assert len(found) == 6 == made.clips
    for row in found:
        assert {row[name] for name in ("start", "end", "word", "kind", "source", "group", "snr_db")} == {""}
        assert float(row["seconds"]) == 2
    assert made.positive == made.negative == 0


def test_the_same_clips_whatever_the_threads_and_where(piles: Piles, tmp_path: Path) -> None:
    for out, workers in (("one", 1), ("four", 4)):
        synthesize(*piles, tmp_path / out, replace(QUICK, count=12, hard=True), workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "four")
    synthesize(*piles, tmp_path / "other", replace(QUICK, count=12, hard=True, seed=1))
    other, one = contents(tmp_path / "other"), contents(tmp_path / "one")
    assert other.keys() == one.keys()
    assert not set(other.values()) & set(one.values())


def test_more_clips_begin_with_the_same(piles: Piles, tmp_path: Path) -> None:
    synthesize(*piles, tmp_path / "few", QUICK)
    synthesize(*piles, tmp_path / "many", replace(QUICK, count=9))
    few, many = contents(tmp_path / "few" / "sounds"), contents(tmp_path / "many" / "sounds")
    assert few.items() <= many.items()


def test_the_piles_are_left_as_they_are(piles: Piles, tmp_path: Path) -> None:
    before = [contents(pile) for pile in piles]
    synthesize(*piles, tmp_path / "clips", replace(QUICK, hard=True))
    assert [contents(pile) for pile in piles] == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["beep", "clips", "noise", "others"]


def test_what_is_recorded(piles: Piles, tmp_path: Path) -> None:
    made = synthesize(*piles, tmp_path / "clips", QUICK)
    record = json.loads((tmp_path / "clips" / "clips.json").read_text())
    assert record["finished"] is True
    assert record["made_from"]["--seconds"] == 2.0
    assert set(record["made_from"]["versions"]) == {"likewise", "numpy", "soundfile", "soxr"}
    listed = [row for row in rows(made) if row["start"]]
    assert record["positive"] == made.positive == sum(row["kind"] == "positive" for row in listed)
    assert record["negative"] == made.negative == sum(row["kind"] == "negative" for row in listed)
    assert record["files"] == {"positives": 5, "negatives": 6, "backgrounds": 1}
    assert {(row["kind"], row["word"]) for row in listed} == {("positive", "beep"), ("negative", "boop")}


class TestFolders:
    def test_all_of_a_pile_are_used_and_told_apart(self, piles: Piles, tmp_path: Path) -> None:
        """Though their files have the same names, and two of the folders as well."""
        alarms = tmp_path / "alarms" / "boop"
        for i in range(6):
            write(alarms / f"{i}.wav", in_silence(tone(0.3, 500)))
        write(tmp_path / "rooms" / "hiss.wav", np.full(8 * RATE, 0.1))
        negative, background = [piles.negative / "boop", alarms], [piles.background, tmp_path / "rooms"]
        options = replace(QUICK, count=80, gain_db=(0.0, 0.0))
        made = synthesize([piles.positive], negative, background, tmp_path / "clips", options)
        assert made.files == {"positives": 5, "negatives": 12, "backgrounds": 2}
        listed = rows(made)
        negatives = {row["source"] for row in listed if row["kind"] == "negative"}
        assert negatives == {f"{folder}/boop/{i}.wav" for folder in ("others", "alarms") for i in range(6)}
        assert {row["word"] for row in listed if row["kind"] == "negative"} == {"boop"}
        assert {row["source"] for row in listed if row["kind"] == "positive"} == {f"beep/{i}.wav" for i in range(5)}
        assert {row["background"] for row in listed} == {"noise/hiss.wav", "rooms/hiss.wav"}
        for row in listed:  # what the name says is what is heard: a file of noise, and one of a constant
            if not row["start"]:
                steady = samples(made, row).std() < STEP
                assert steady == (row["background"] == "rooms/hiss.wav")

    def test_a_path_is_a_pile_of_one_folder(self, piles: Piles, tmp_path: Path) -> None:
        synthesize(*piles, tmp_path / "one", QUICK)
        synthesize(*([str(pile)] for pile in piles), tmp_path / "list", QUICK)
        assert contents(tmp_path / "one") == contents(tmp_path / "list")

    def test_each_gives_its_share(self, piles: Piles, tmp_path: Path) -> None:
        """Were it one of both together, tests would hear the second folder alone."""
        for i in range(4):
            write(tmp_path / "alarms" / f"{i}.wav", in_silence(tone(0.3, 500)))
            write(piles.background / f"{i}.wav", np.full(3 * RATE, 0.1))
        found: list[set[str]] = []
        for take in ((0.0, 0.5), (0.5, 1.0)):
            options = replace(QUICK, count=60, take=take)
            made = synthesize(
                piles.positive, [piles.negative / "boop", tmp_path / "alarms"], piles.background,
                tmp_path / str(take), options,
            )  # fmt: skip
            found.append({row["source"] for row in rows(made) if row["kind"] == "negative"})
        assert found == [
            {*(f"boop/{i}.wav" for i in (0, 1, 2)), "alarms/0.wav", "alarms/1.wav"},
            {*(f"boop/{i}.wav" for i in (3, 4, 5)), "alarms/2.wav", "alarms/3.wav"},
        ]

    @pytest.mark.parametrize("inside", ["", "boop"])
    def test_a_file_in_two_of_a_pile(self, piles: Piles, tmp_path: Path, inside: str) -> None:
        with pytest.raises(UsageError, match="among the negatives twice"):
            synthesize(
                piles.positive, [piles.negative, piles.negative / inside], piles.background, tmp_path / "c", QUICK
            )

    def test_one_that_is_empty(self, piles: Piles, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        with pytest.raises(DataError, match=r"pile of negatives holds sounds.*none"):
            synthesize(piles.positive, [piles.negative, tmp_path / "none"], piles.background, tmp_path / "c", QUICK)

    def test_clips_written_into_the_second(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="outside of what it is made from"):
            synthesize(piles.positive, [tmp_path / "more", piles.negative], piles.background, piles.negative / "c")

    def test_no_backgrounds(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="--background DIR"):
            synthesize(*piles[:2], [], tmp_path / "clips", QUICK)


class TestBandwidths:
    def notes(self, tmp_path: Path, rates: tuple[list[int], list[int], list[int]], rate: int) -> tuple[str, ...]:
        """Of piles whose files have these rates."""
        for pile, each in zip(("yes", "no", "noise"), rates, strict=True):
            for i, native in enumerate(each):
                sound = np.full(3 * native, 0.1) if pile == "noise" else in_silence(tone(0.3, 900, rate=native), native)
                write(tmp_path / pile / f"{i}.wav", sound, native)
        folders = (tmp_path / pile for pile in ("yes", "no", "noise"))
        return synthesize(*folders, tmp_path / "clips", replace(QUICK, count=1, rate=rate)).notes

    def test_of_piles_that_differ(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, ([16_000] * 3, [8_000] * 4 + [44_100], [16_000, 48_000]), 16_000)
        assert note == (
            "recorded at 8000 Hz or less: 0 of 3 positives, 4 of 5 negatives, 0 of 2 backgrounds;"
            " a model learns to hear that: pass --rate 8000"
        )

    def test_of_narrow_positives(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, ([8_000] * 3, [16_000] * 3, [16_000]), 16_000)
        assert "3 of 3 positives, 0 of 3 negatives, 0 of 1 backgrounds" in note

    @pytest.mark.parametrize(
        ("rates", "rate"),
        [
            (([16_000, 8_000], [8_000, 16_000], [8_000, 48_000]), 16_000),  # as often in each
            (([44_100] * 2, [16_000] * 2, [48_000]), 16_000),  # all have what clips have
            (([16_000] * 2, [8_000] * 2, [8_000]), 8_000),
            (([16_000] * 2, [16_000] * 19 + [8_000], [16_000]), 16_000),  # few
        ],
    )
    def test_where_it_tells_nothing(
        self, tmp_path: Path, rates: tuple[list[int], list[int], list[int]], rate: int
    ) -> None:
        assert self.notes(tmp_path, rates, rate) == ()

    def test_without_positives(self, piles: Piles, tmp_path: Path) -> None:
        write(tmp_path / "rooms" / "narrow.wav", np.full(30_000, 0.1), 8_000)
        options = replace(QUICK, most_positive=0)
        assert synthesize(None, piles.negative, tmp_path / "rooms", tmp_path / "clips", options).notes == ()


class TestStopped:
    def stopped(self, piles: Piles, out: Path, options: SynthesisOptions) -> int:
        """Stops it as Ctrl-C does once three clips are reported; returns how many there are."""

        def stop(done: int, total: int, text: str) -> None:
            if text == "clips" and done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            synthesize(*piles, out, options, workers=2, progress=stop)
        return len(list((out / "sounds").iterdir()))

    def test_it_goes_on_to_what_it_would_have_made(self, piles: Piles, tmp_path: Path) -> None:
        options = replace(QUICK, count=80)
        assert 3 <= self.stopped(piles, tmp_path / "clips", options) < 80
        assert not (tmp_path / "clips" / "manifest.csv").exists()
        assert json.loads((tmp_path / "clips" / "clips.json").read_text())["finished"] is False
        written = {file: file.stat().st_mtime_ns for file in (tmp_path / "clips" / "sounds").iterdir()}
        synthesize(*piles, tmp_path / "clips", options)
        assert all(file.stat().st_mtime_ns == time for file, time in written.items())
        synthesize(*piles, tmp_path / "whole", options)
        assert contents(tmp_path / "clips") == contents(tmp_path / "whole")

    def test_with_other_options_it_is_refused(self, piles: Piles, tmp_path: Path) -> None:
        self.stopped(piles, tmp_path / "clips", replace(QUICK, count=80))
        before = contents(tmp_path / "clips")
        with pytest.raises(UsageError, match="not as then: --seed"):
            synthesize(*piles, tmp_path / "clips", replace(QUICK, count=80, seed=1))
        write(piles.negative / "boop" / "new.wav", in_silence(tone(0.3, 500)))
        with pytest.raises(UsageError, match="not as then: negatives"):
            synthesize(*piles, tmp_path / "clips", replace(QUICK, count=80))
        assert contents(tmp_path / "clips") == before

    def test_a_finished_folder_is_made_good(self, piles: Piles, tmp_path: Path) -> None:
        synthesize(*piles, tmp_path / "clips", QUICK)
        before = contents(tmp_path / "clips")
        (tmp_path / "clips" / "sounds" / "00002.wav").unlink()
        synthesize(*piles, tmp_path / "clips", QUICK)
        assert contents(tmp_path / "clips") == before

    def test_a_folder_with_something_else_is_refused(self, piles: Piles, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter.txt").write_text("dear")
        with pytest.raises(UsageError, match="new or empty"):
            synthesize(*piles, tmp_path / "mine", QUICK)
        (tmp_path / "mine" / "clips.json").write_text("{")
        with pytest.raises(DataError, match=r"clips\.json"):
            synthesize(*piles, tmp_path / "mine", QUICK)
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="new or empty"):
            synthesize(*piles, tmp_path / "file", QUICK)


class TestHard:
    def test_halves_of_the_word_are_negatives(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        options = replace(QUICK, count=100, seconds=3.0, most_negative=4, hard=True, gain_db=(0.0, 0.0))
        made = synthesize(*piles[:2], zero, tmp_path / "clips", options)
        listed = [row for row in rows(made) if row["word"].startswith("beep: ")]
        assert len(listed) == made.hard
        assert 0.15 < made.hard / made.negative < 0.35
        assert {row["kind"] for row in listed} == {"negative"}
        assert {row["word"] for row in listed} == {
            "beep: first half", "beep: second half", "beep: first half twice", "beep: second half twice"
        }  # fmt: skip
        for row in listed:
            source, _ = soundfile.read(piles.positive.parent / row["source"])
            word = source[4800:-8000]
            assert len(word) % 320 == 0
            part, twice = row["word"].removeprefix("beep: ").removesuffix(" twice"), row["word"].endswith("twice")
            half = len(word) // 2
            expected = np.tile(word[:half] if part == "first half" else word[half:], 1 + twice)
            got = samples(made, row)[span(row)]
            assert len(got) == len(expected)
            inner = slice(80, half - 80)  # without the fade of 5 ms at the cut
            level = 10 ** ((-40 + float(row["snr_db"])) / 20)
            scale = got[inner] @ expected[inner] / (expected[inner] @ expected[inner])
            np.testing.assert_allclose(got[inner], scale * expected[inner], atol=STEP)
            assert np.sqrt((got**2).mean()) == pytest.approx(level, rel=0.01)
            if twice:
                np.testing.assert_array_equal(got[:half], got[half:])

    def test_the_whole_word_is_never_in_one(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        made = synthesize(piles.positive, piles.negative, zero, tmp_path / "c", replace(QUICK, count=50, hard=True))
        words = {file.name: len(soundfile.read(file)[0]) - 12_800 for file in piles.positive.iterdir()}
        for row in rows(made):
            length = span(row).stop - span(row).start if row["start"] else 0
            if row["word"].endswith("half"):
                assert length == words[Path(row["source"]).name] // 2

    def test_without_positives(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"--hard makes .*--positive DIR, or leave out --hard"):
            synthesize(None, *piles[1:], tmp_path / "clips", replace(QUICK, most_positive=0, hard=True))
        made = synthesize(*piles, tmp_path / "clips", replace(QUICK, count=20, most_positive=0, hard=True))
        assert made.positive == 0 < made.hard


class TestTake:
    def used(self, made: Synthesized, kind: str) -> set[str]:
        return {row["source"] for row in rows(made) if row["kind"] == kind}

    def test_shares_are_blocks_that_do_not_meet(self, piles: Piles, zero: Path, tmp_path: Path) -> None:
        for i in range(3):
            write(zero / f"more{i}.wav", np.zeros(3 * RATE))
        found: list[set[str]] = []
        for i, share in enumerate([(0.0, 0.6), (0.6, 0.8), (0.8, 1.0)]):
            options = replace(QUICK, count=40, take=share)
            found.append(self.used(synthesize(*piles[:2], zero, tmp_path / str(i), options), "positive"))
        assert found == [{"beep/0.wav", "beep/1.wav", "beep/2.wav"}, {"beep/3.wav"}, {"beep/4.wav"}]

    def test_files_of_a_group_stay_together(self, piles: Piles, tmp_path: Path) -> None:
        words = tmp_path / "spoken"
        for i, voice in enumerate(["ann", "bob", "cid", "ann", "bob", "ann"]):
            write(words / f"{i}-{voice}.wav", in_silence(tone(0.2, 800 + 10 * i)))
        write(piles.background / "b.wav", 0.1 * np.random.default_rng(2).standard_normal(3 * RATE))
        options = replace(QUICK, count=40, take=(0.0, 0.5), group_from=r"-([a-z]+)\.")
        made = synthesize(words, piles.negative, piles.background, tmp_path / "clips", options)
        voices = {row["group"] for row in rows(made) if row["kind"] == "positive"}
        assert voices == {"ann", "bob"}  # 1.5 of three groups is two
        assert made.files["positives"] == 5
        assert {row["group"] for row in rows(made) if row["kind"] == "negative"} == {""}  # files are told by themselves
        assert made.files["negatives"] == 3
        start = [note.partition(":")[0] for note in made.notes]
        assert start == ["6 of 6 negatives have no group", "2 of 2 backgrounds have no group"]

    def test_a_voice_is_in_one_share_of_all_piles(self, piles: Piles, tmp_path: Path) -> None:
        """Though one of the piles lacks a voice, and would by itself be cut elsewhere."""
        for pile, voices in (("yes", "abcdef"), ("no", "def")):
            for i, voice in enumerate(voices):
                write(tmp_path / pile / f"{i}-{voice}.wav", in_silence(tone(0.2, 800 + 10 * i)))
        heard: list[set[str]] = []
        for take in ((0.0, 0.7), (0.7, 1.0)):
            options = replace(QUICK, count=40, take=take, group_from=r"-([a-z])\.")
            write(piles.background / "more.wav", np.ones(5 * RATE) / 20)
            write(piles.background / "most.wav", np.ones(5 * RATE) / 30)
            made = synthesize(tmp_path / "yes", tmp_path / "no", piles.background, tmp_path / str(take), options)
            heard.append({row["group"] for row in rows(made) if row["start"]})
        assert heard == [set("abcd"), set("ef")]

    def test_a_share_without_files(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"0:0\.1 of 5 files"):
            synthesize(*piles, tmp_path / "clips", replace(QUICK, take=(0.0, 0.1)))

    def test_a_group_that_no_name_has(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="none of them"):
            synthesize(*piles, tmp_path / "clips", replace(QUICK, group_from="speaker(.)"))


class TestBadInput:
    def test_bad_files_are_told_and_the_rest_is_used(self, piles: Piles, tmp_path: Path) -> None:
        bad: dict[str, Callable[[Path], Any]] = {
            "empty.wav": lambda file: file.touch(),
            "letter.wav": lambda file: file.write_text("dear"),
            "silent.wav": lambda file: write(file, np.zeros(RATE)),
            "nan.wav": lambda file: write(file, np.full(RATE, np.nan, np.float32), subtype="FLOAT"),
            "long.wav": lambda file: write(file, in_silence(tone(2.5, 700))),
            "hour.wav": lambda file: write(file, np.zeros(61 * 1000, np.float32), 1000),
        }
        for name, make in bad.items():
            make(piles.positive / name)
        cut = write(piles.positive / "cut.wav", in_silence(tone(0.3, 900)))
        cut.write_bytes(cut.read_bytes()[:9000])
        (piles.background / "broken.flac").write_bytes(b"fLaC broken")
        made = synthesize(*piles, tmp_path / "clips", QUICK)
        told = {Path(file).name: reason for file, reason in made.skipped}
        assert set(told) == {*bad, "cut.wav", "broken.flac"}
        assert "longer than a clip: 2.50 s of 2 s" in told["long.wav"]
        assert "silent" in told["silent.wav"]
        assert "NaN" in told["nan.wav"]
        assert made.files == {"positives": 5, "negatives": 6, "backgrounds": 1}
        assert made.positive > 0
        assert all(Path(row["source"]).name not in told for row in rows(made))

    def test_a_pile_of_which_nothing_can_be_used(self, piles: Piles, tmp_path: Path) -> None:
        write(tmp_path / "silent" / "a.wav", np.zeros(RATE))
        with pytest.raises(DataError, match=r"positive words can be used.*a\.wav.*silent"):
            synthesize(tmp_path / "silent", *piles[1:], tmp_path / "clips", QUICK)
        assert not (tmp_path / "clips").exists()

    @pytest.mark.parametrize("pile", [0, 1])
    def test_it_is_told_before_hours_of_background_are_read(self, piles: Piles, tmp_path: Path, pile: int) -> None:
        (tmp_path / "letters").mkdir()
        (tmp_path / "letters" / "a.wav").write_text("dear")
        stages: set[str] = set()
        given = [*piles]
        given[pile] = tmp_path / "letters"
        with pytest.raises(DataError, match=r"can be used.*a\.wav"):
            synthesize(*given, tmp_path / "clips", QUICK, progress=lambda _, __, text: stages.add(text))
        assert "looking at backgrounds" in stages
        assert "reading backgrounds" not in stages

    @pytest.mark.parametrize("pile", [0, 1, 2])
    def test_an_empty_pile(self, piles: Piles, tmp_path: Path, pile: int) -> None:
        (tmp_path / "none").mkdir()
        given = [*piles]
        given[pile] = tmp_path / "none"
        with pytest.raises(DataError, match="holds sounds"):
            synthesize(*given, tmp_path / "clips", QUICK)
        given[pile] = tmp_path / "missing"
        with pytest.raises(DataError, match="missing"):
            synthesize(*given, tmp_path / "clips", QUICK)

    def test_a_background_pile_shorter_than_a_clip(self, piles: Piles, tmp_path: Path) -> None:
        for i in range(3):
            write(tmp_path / "short" / f"{i}.wav", 0.1 * np.ones(RATE // 2))
        with pytest.raises(DataError, match=r"1\.50 s in 3 files"):
            synthesize(*piles[:2], tmp_path / "short", tmp_path / "clips", QUICK)

    def test_short_backgrounds_are_joined(self, piles: Piles, tmp_path: Path) -> None:
        for i in range(9):
            write(tmp_path / "short" / f"{i}.wav", np.full(RATE // 2, (i + 1) / 20))
        options = replace(QUICK, count=30, most_positive=0, most_negative=0, gain_db=(0.0, 0.0))
        made = synthesize(None, None, tmp_path / "short", tmp_path / "clips", options)
        assert made.notes == ("9 backgrounds shorter than a clip were joined end to end",)
        whole = np.repeat((np.arange(9) + 1) / 20, RATE // 2)
        for row in rows(made):
            start = int(Path(row["background"]).stem) * RATE // 2 + round(float(row["background_start"]) * RATE)
            np.testing.assert_allclose(samples(made, row), whole[start : start + 2 * RATE], atol=STEP)

    def test_few_short_backgrounds_beside_a_long_one_are_skipped(self, piles: Piles, tmp_path: Path) -> None:
        write(piles.background / "short.wav", np.ones(RATE) / 10)
        made = synthesize(*piles, tmp_path / "clips", QUICK)
        assert [(Path(file).name, "1.00 s of 2 s" in why) for file, why in made.skipped] == [("short.wav", True)]

    def test_a_file_in_two_piles(self, piles: Piles, tmp_path: Path) -> None:
        (piles.negative / "link").symlink_to(piles.positive)
        with pytest.raises(UsageError, match="among the positives and the negatives"):
            synthesize(*piles, tmp_path / "clips", QUICK)

    def test_clips_written_into_a_pile(self, piles: Piles) -> None:
        with pytest.raises(UsageError, match="outside of what it is made from"):
            synthesize(*piles, piles.background / "clips", QUICK)

    def test_a_pile_that_is_missing_altogether(self, piles: Piles, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="--negative DIR, or --most-negative 0"):
            synthesize(piles.positive, None, piles.background, tmp_path / "clips", QUICK)

    def test_other_rates_and_channels(self, piles: Piles, tmp_path: Path) -> None:
        words = tmp_path / "beeps"
        stereo = np.stack([in_silence(tone(0.3, 900, rate=44_100), 44_100)] * 2, axis=1)
        write(words / "stereo.wav", stereo, 44_100, "PCM_24")
        write(words / "narrow.wav", in_silence(tone(0.3, 900, rate=8_000), 8_000), 8_000, "PCM_U8")
        made = synthesize(words, *piles[1:], tmp_path / "clips", replace(QUICK, count=20))
        lengths = {
            row["source"]: float(row["end"]) - float(row["start"]) for row in rows(made) if row["word"] == "beeps"
        }
        assert set(lengths) == {"beeps/stereo.wav", "beeps/narrow.wav"}
        assert all(length == pytest.approx(0.3, abs=0.021) for length in lengths.values())

    def test_at_another_rate_times_still_tell_the_sample(self, piles: Piles, tmp_path: Path) -> None:
        made = synthesize(*piles, tmp_path / "clips", replace(QUICK, rate=44_100))
        for row in rows(made):
            assert soundfile.info(made.out / row["path"]).frames == 88_200
            for name in ("start", "end"):
                if row[name]:
                    assert float(row[name]) * 44_100 == pytest.approx(round(float(row[name]) * 44_100), abs=0.03)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"count": 0}, "At least 1 is made"), ({"seconds": 0.0}, "lasts"), ({"seconds": float("nan")}, "lasts"),
            ({"rate": 800}, "samples per second"), ({"seed": -1}, "seed"), ({"most_positive": -1}, "0 or more"),
            ({"snr_db": (10.0, 0.0)}, "SNR"), ({"gain_db": (0.0, float("inf"))}, "gain"), ({"gap": -0.1}, "gap"),
            ({"background_db": (1.0, 0.0)}, "background gain"),
            ({"take": (0.6, 0.6)}, "share"), ({"take": (-0.1, 0.6)}, "share"), ({"group_from": "("}, "regular"),
            ({"group_from": "a"}, "one group"),
        ],
    )  # fmt: skip
    def test_options_that_cannot_be(self, change: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            replace(QUICK, **change)
