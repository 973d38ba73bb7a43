"""Tables of clips: what is read, what is refused and by which row, and labels at every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.data import Clips, clips
from likewise.errors import DataError, UsageError

HEAD = "path,seconds,start,end,word,kind,source,group\n"
GOOD = HEAD + (
    "a.wav,2.0,0.5,1.0,one,positive,x.wav,ann\n"
    "b.wav,3.0,,,,,,\n"
    "c.wav,2.5,1.0,1.5,two,negative,y.wav,\n"
    "a.wav,2.0,1.2,1.9,three,negative,z.wav,bob\n"
)


def table(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def drawn(seed: int, count: int = 12) -> Clips:
    """Clips of 4 s with 0 to 3 words each; the end of a word is a number of its own."""
    rng = np.random.default_rng(seed)
    clip = np.repeat(np.arange(count), rng.integers(0, 4, count))
    start = rng.uniform(0, 3, len(clip))
    return Clips(
        tuple(Path(f"{i}.wav") for i in range(count)), np.full(count, 4.0), clip, start,
        start + rng.uniform(0.1, 1, len(clip)), rng.random(len(clip)) < 0.5,
        np.array([f"voice {i}" for i in range(len(clip))], str), "drawn",
    )  # fmt: skip


class TestReading:
    @pytest.mark.parametrize("name", ["manifest.csv", "other.csv"])
    def test_rows_become_clips_and_words(self, tmp_path: Path, name: str) -> None:
        file = table(tmp_path, GOOD, name)
        found = clips(tmp_path if name == "manifest.csv" else file)
        assert found.sources == (tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav")
        assert found.seconds.tolist() == [2.0, 3.0, 2.5]
        assert found.clip.tolist() == [0, 0, 2]  # the second word of a.wav stands two rows below
        assert found.start.tolist() == [0.5, 1.2, 1.0]
        assert found.end.tolist() == [1.0, 1.9, 1.5]
        assert found.positive.tolist() == [True, False, False]
        assert found.voices.tolist() == ["ann", "bob", "y.wav"]  # a group, or else the file
        assert (len(found), found.triggers, found.hours) == (3, 1, 7.5 / 3600)
        assert repr(found).startswith("Clips(3 of 0.00 h, 1 triggers")

    def test_a_table_may_have_three_columns_only(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros(12_000), 8_000)
        found = clips(table(tmp_path, "path,start,end\na.wav,0.1,0.4\n"))
        assert found.seconds.tolist() == [1.5]  # of the header
        assert found.positive.tolist() == [True]
        assert found.voices.tolist() == [""]

    def test_a_row_per_word_and_tabs_and_spaces(self, tmp_path: Path) -> None:
        found = clips(table(tmp_path, "path\tseconds\tstart\tend\na.wav\t2\t 0.5\t1 \na.wav\t2\t1\t2\n", "m.tsv"))
        assert found.end.tolist() == [1.0, 2.0]

    def test_parquet_has_gaps_where_csv_has_empty_cells(self, tmp_path: Path) -> None:
        import pandas as pd

        columns = {"path": ["a.wav", "b.wav"], "seconds": [2, 3], "start": [0.5, None], "end": [1.0, None]}
        pd.DataFrame(columns | {"group": [None, "ann"]}).to_parquet(tmp_path / "m.parquet")
        found = clips(tmp_path / "m.parquet")
        assert (found.start.tolist(), found.end.tolist(), found.voices.tolist()) == ([0.5], [1.0], [""])
        assert len(found) == 2

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("a.wav,2.0,0.5,0.5,w,positive,x,", "0.5 to 0.5 s of 2 s in row 3"),
            ("a.wav,2.0,1.5,0.5,w,positive,x,", "row 3"),
            ("a.wav,2.0,-0.1,0.5,w,positive,x,", "row 3"),
            ("a.wav,2.0,1.5,2.5,w,positive,x,", "row 3"),
            ("a.wav,2.0,nan,0.5,w,positive,x,", "row 3"),
            ("a.wav,2.0,0.5,inf,w,positive,x,", "row 3"),
            ("a.wav,2.0,0.5,,w,positive,x,", "row 3"),
            ("a.wav,2.0,,0.5,w,positive,x,", "row 3"),
            ("a.wav,2.0,zero,0.5,w,positive,x,", "'zero' in row 3"),
            ("a.wav,2.0,0.1,0.5,w,trigger,x,", "'trigger' in row 3"),
            ("a.wav,0,0.1,0.5,w,positive,x,", "0 s in row 3"),
            ("a.wav,nan,0.1,0.5,w,positive,x,", "row 3"),
            ("a.wav,inf,0.1,0.5,w,positive,x,", "row 3"),
            ("a.wav,long,0.1,0.5,w,positive,x,", "'long' in row 3"),
            (",2.0,0.1,0.5,w,positive,x,", "row 3"),
            ("b.wav,2.0,0.1,0.5,w,positive,x,", "2 and 3 s in row 3"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path: Path, row: str, said: str) -> None:
        file = table(tmp_path, f"{HEAD}b.wav,3.0,,,,,,\n{row}\n")
        with pytest.raises(DataError) as refused:
            clips(file)
        assert said in str(refused.value)

    def test_what_is_no_table_of_clips(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="a folder without"):
            clips(tmp_path)
        with pytest.raises(DataError, match="which is not there"):
            clips(tmp_path / "none")
        with pytest.raises(DataError, match="none called start, end"):
            clips(table(tmp_path, "path,label\na.wav,1\n"))
        with pytest.raises(DataError, match="has rows"):
            clips(table(tmp_path, HEAD))

    def test_a_file_that_cannot_be_read_does_not_end_the_reading_of_others(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").touch()
        found = clips(table(tmp_path, "path,start,end\na.wav,0.2,1\nnot there.wav,,\n"))
        assert found.seconds[0] == 1  # as its words; it is skipped and told when it is listened to
        assert 0 < found.seconds[1] < 0.1


class TestParts:
    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 999), data=st.data())
    def test_a_subset_keeps_words_with_their_clips(self, seed: int, data: st.DataObject) -> None:
        whole = drawn(seed)
        chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), unique=True))
        part = whole.subset(chosen)
        assert part.sources == tuple(whole.sources[i] for i in chosen)
        assert (np.diff(part.clip) >= 0).all()
        for place, i in enumerate(chosen):
            for name in ("start", "end", "positive", "voices"):
                ours, theirs = getattr(part, name)[part.clip == place], getattr(whole, name)[whole.clip == i]
                assert ours.tolist() == theirs.tolist()

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 999), count=st.integers(1, 40))
    def test_parts_have_every_clip_once_and_repeat(self, seed: int, count: int) -> None:
        whole = drawn(seed, count)
        parts = whole.split(0.6, 0.3, 0.1, seed=seed)
        assert sorted(f for part in parts for f in part.files) == sorted(whole.files)
        assert sum(len(part.start) for part in parts) == len(whole.start)
        assert [part.files for part in parts] == [part.files for part in whole.split(0.6, 0.3, 0.1, seed=seed)]
        assert abs(len(parts[0]) - 0.6 * count) <= 1

    @pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.2, -0.2), (1.0, 0.0), (float("nan"),)])
    def test_shares_that_cannot_be(self, shares: tuple[float, ...]) -> None:
        with pytest.raises(UsageError, match="sum to 1"):
            drawn(0).split(*shares)

    def test_contents_are_of_the_files(self, tmp_path: Path) -> None:
        for name, level in (("a", 0.1), ("b", 0.2), ("c", 0.1)):
            soundfile.write(tmp_path / f"{name}.wav", np.full(800, level), 8_000)
        found = clips(table(tmp_path, "path,start,end\na.wav,,\nb.wav,,\nc.wav,,\n")).contents
        assert found[0] == found[2] != found[1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999), steps=st.integers(0, 40), hold=st.integers(1, 6), grace=st.integers(0, 6),
)  # fmt: skip
def test_step_labels_are_those_of_a_loop(seed: int, steps: int, hold: int, grace: int) -> None:
    data = drawn(seed)
    first = np.floor(data.end * 10).astype(np.int64) - seed % 7  # of the first words, some before there are steps
    lasting = np.random.default_rng(seed).integers(0, steps + 1, len(data))
    expected = np.zeros((len(data), steps), int)
    begins = [f - 1 if f == lasting[c] else f for c, f in zip(data.clip, first, strict=True)]
    ones = {(c, f + k) for c, f, p in zip(data.clip, begins, data.positive, strict=True) if p for k in range(hold)}
    for clip, begin, positive in zip(data.clip, begins, data.positive, strict=True):
        for step in range(steps):
            if (clip, step) in ones:
                expected[clip, step] = 1
            elif positive and begin - grace <= step < begin:
                expected[clip, step] = -1
    for clip in range(len(data)):
        expected[clip, lasting[clip] :] = -1
    assert (data.step_labels(first, lasting, steps, hold, grace) == expected).all()


def test_a_trigger_that_ends_with_its_clip_has_a_step(tmp_path: Path) -> None:
    data = clips(table(tmp_path, "path,seconds,start,end\na.wav,1.0,0.5,1.0\nb.wav,1.0,,\n"))
    found = data.step_labels(np.array([10]), np.array([10, 6]), 12, 3, 2)  # step 10 would be the first to hear it all
    assert found.tolist() == [[0] * 7 + [-1, -1, 1, -1, -1], [0] * 6 + [-1] * 6]
