"""The folder of mistakes: a page that is closed to the outside, tables that are read back, nothing written over."""

from __future__ import annotations

import base64
import csv
import html.parser
import io
import json
import re
import wave
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from browser import CHROMIUM, visited
from classify_drawn import classifier, grey, halves
from PIL import Image

import likewise as lw
from likewise.apps.mistakes import Mistakes, mistakes_in
from likewise.apps.mistakes.tables import COLUMNS
from likewise.data import Dataset, arrays, folder, manifest, zip_folder
from likewise.encoder import Encoder, Pictures, Sounds
from likewise.errors import DataError, UsageError
from likewise.matching import Labelled
from likewise.media.pictures import read_picture

HOSTILE = [
    '</style><img src="https://evil.example/x" onerror="window.broken=1">', "<script>window.broken=1</script>",
    "'\"><svg onload=window.broken=1>", "=HYPERLINK(\"https://evil.example\")", "+1", 'comma, "quote"', "a\nb\rc",
    "日本語 & Ünïcode", "@import url(https://evil.example/x.css)", "-2", "'=quoted", " spaces ",
]  # fmt: skip


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def addresses(self) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags for name in ("src", "href") if name in attributes]


def page_of(found: Mistakes, folder: Path) -> tuple[str, Page]:
    text = found.write(folder)[0].read_text("utf-8")
    return text, Page(text)


def placed(data: Dataset, seed: int = 0, skipped: tuple[tuple[str, str], ...] = ()) -> Mistakes:
    """Items of `data` around a point for each label, so that labels that were exchanged are suspected."""
    rng = np.random.default_rng(seed)
    middles = 20 * rng.standard_normal((len(data.names), 4))
    points = middles[data.labels] + rng.standard_normal((len(data), 4))
    encoder = Encoder("linear", dim=4, preprocessing=Pictures(1, 8, 8))
    kept = data.subset([i for i, file in enumerate(data.files) if file not in dict(skipped)])
    points = points[[file not in dict(skipped) for file in data.files]]
    # The last item of the first label lies with the second, and that of the second with the first.
    first, second = (np.flatnonzero(kept.labels == label)[-1] for label in (0, 1))
    points[[first, second]] = points[[second, first]]
    given = Labelled(torch.from_numpy(points.astype(np.float32)), torch.from_numpy(kept.labels), kept, skipped)
    return mistakes_in(encoder, given, data)


def pictures_below(root: Path, names: list[str], each: int = 6) -> Path:
    """A folder of drawn pictures for each name."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(rng.integers(0, 255, (20, 16, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


def same_items(one: Dataset, other: Dataset) -> None:
    """Contents, labels, groups and parts are those of each other, in any order."""

    def rows(data: Dataset) -> list[tuple[object, ...]]:
        return sorted(
            (
                read_picture(data.sources[i].read() if hasattr(data.sources[i], "read") else data.sources[i]).tobytes(),
                data.names[data.labels[i]],
                "" if data.groups is None else data.group_names[data.groups[i]],
                "" if data.parts is None else str(data.parts[i]),
                () if data.targets is None else tuple(data.targets[i].tolist()),
            )
            for i in range(len(data))
        )

    assert rows(one) == rows(other)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    labels = np.repeat(HOSTILE, 8)
    pictures = np.random.default_rng(0).integers(0, 255, (len(labels), 8, 8), dtype=np.uint8)
    data = arrays(pictures, labels, groups=np.tile(HOSTILE, 8), origin=HOSTILE[0])
    data = replace(data, files=tuple(f"{label}/{i}.png" for i, label in enumerate(labels)))
    return page_of(placed(data), tmp_path_factory.mktemp("page") / "errors")


class TestPage:
    def test_it_loads_nothing_from_anywhere(self, written: tuple[str, Page]) -> None:
        text, page = written
        assert page.addresses()
        assert all(address.startswith(("data:image/", "#")) for address in page.addresses())
        assert "default-src 'none'" in text
        assert "url(" not in re.sub(r"@import url\(https://evil", "", html.unescape(text)).split("</style>")[0]

    def test_names_are_text_and_nothing_else(self, written: tuple[str, Page]) -> None:
        text, page = written
        assert {tag for tag, _ in page.tags} <= {
            "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "nav", "a", "section", "div",
            "figure", "figcaption", "img", "b", "small", "span", "br", "table", "tr", "th", "td", "ol", "li", "em",
        }  # fmt: skip
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert "window.broken=1</script>" in page.text
        assert 'comma, "quote"' in page.text
        assert "日本語 & Ünïcode" in page.text
        assert "<svg" not in text

    @pytest.mark.skipif(CHROMIUM is None, reason="no browser")
    def test_in_a_browser(self, written: tuple[str, Page], tmp_path: Path) -> None:
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", written[0])  # else no script can look
        script = """done({broken: window.broken || 0, pictures: document.images.length,
            shown: [...document.images].filter(i => i.complete && i.naturalWidth === 8).length,
            headings: [...document.querySelectorAll("h2")].map(h => h.textContent)});"""
        seen = visited(text, script, tmp_path)
        assert seen["broken"] == 0
        assert seen["pictures"] == seen["shown"] > 20
        assert seen["headings"][0] == "Suspected wrong labels"
        assert seen["headings"][-1] == "What to collect next"

    def test_without_any_mistake_it_says_so(self, digits: Dataset, tmp_path: Path) -> None:
        data = halves()
        data = arrays(data.sources, data.targets[:, 0].astype(int))
        found = lw.find_mistakes(classifier(data), data)
        assert found.judged.mistakes == ()
        _, page = page_of(found, tmp_path / "errors")
        assert "No mistake: none of 120 answers are wrong; the true rate is at most 3.10% (95%)." in page.text
        assert "There is no mistake that would say what to collect." in page.text

    def test_it_says_when_items_were_trained_on(self, tmp_path: Path) -> None:
        data = grey()
        model = classifier(data)
        _, page = page_of(lw.find_mistakes(model, data), tmp_path / "known")
        assert "The model was trained on 120 of these 120 items." in page.text
        _, page = page_of(lw.find_mistakes(model, grey(seed=1)), tmp_path / "new")
        assert "trained on" not in page.text

    def test_items_that_could_not_be_used_are_listed(self, tmp_path: Path) -> None:
        data = folder(pictures_below(tmp_path / "data", ["ada", "bob"]))
        text, page = page_of(placed(data, skipped=(("ada/2.png", "torn <b>apart</b>"),)), tmp_path / "errors")
        assert "What could not be used" in page.text
        assert "torn <b>apart</b>" in page.text
        assert "torn <b>" not in text


class TestSounds:
    @pytest.mark.parametrize("rate", [16_000, 4_000])
    @pytest.mark.parametrize("kind", ["files", "int16", "float32"])
    def test_they_are_played_at_the_speed_they_have(self, tmp_path: Path, kind: str, rate: int) -> None:
        """A tone of 500 Hz is one in the page too, and in what is written for the manifest."""
        t = np.arange(rate // 2) / rate
        tones = np.tile(0.4 * np.sin(2 * np.pi * 500 * t), (8, 1)) * np.linspace(0.5, 1, 8)[:, None]
        labels = ["a"] * 4 + ["b"] * 4
        if kind == "files":
            for i, tone in enumerate(tones):
                (tmp_path / "data" / labels[i]).mkdir(parents=True, exist_ok=True)
                soundfile.write(tmp_path / "data" / labels[i] / f"{i}.wav", tone, rate)
            data = folder(tmp_path / "data")
        else:
            data = arrays((tones * 32767).astype(np.int16) if kind == "int16" else tones.astype(np.float32), labels)
        encoder = Encoder("linear", dim=4, preprocessing=Sounds.at(rate, 0.5))
        points = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
        found = mistakes_in(encoder, Labelled(torch.from_numpy(points), torch.from_numpy(data.labels), data, ()), data)
        _, page = page_of(found, tmp_path / "errors")
        players = [attributes["src"] for tag, attributes in page.tags if tag == "audio"]
        assert players
        for player in players:
            assert player is not None
            head, content = player.split(",")
            assert head == "data:audio/wav;base64"
            with wave.open(io.BytesIO(base64.b64decode(content))) as wav:
                samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(float)
                assert wav.getframerate() == min(rate, 8_000)
                assert len(samples) / wav.getframerate() == pytest.approx(0.5, abs=0.01)
                assert np.abs(samples).max() >= 0.9 * 32767
                peak = np.abs(np.fft.rfft(samples)).argmax() * wav.getframerate() / len(samples)
                assert peak == pytest.approx(500, abs=5)
        back = manifest(tmp_path / "errors" / "relabel.csv")
        for source in back.sources:
            samples, at = soundfile.read(source)
            assert at == rate
            assert np.abs(np.fft.rfft(samples)).argmax() * at / len(samples) == pytest.approx(500, abs=5)

    def test_long_ones_are_cut_and_many_have_no_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("likewise.apps.mistakes.media.MOST_BYTES", 200_000)  # three of 4 s
        sounds = np.random.default_rng(0).normal(0, 0.1, (8, 8_000 * 6)).astype(np.float32)
        data = arrays(sounds, ["a"] * 4 + ["b"] * 4)
        encoder = Encoder("linear", dim=4, preprocessing=Sounds.at(8_000, 6.0))
        points = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
        found = mistakes_in(encoder, Labelled(torch.from_numpy(points), torch.from_numpy(data.labels), data, ()), data)
        text, page = page_of(found, tmp_path / "errors")
        assert sum(tag == "audio" for tag, _ in page.tags) == 3
        assert "the first 4 s are played" in page.text
        assert re.search(r"\d+ sounds had no room on this page", page.text)
        assert len(text) < 1_500_000


class TestFindings:
    def test_a_row_for_each(self, tmp_path: Path) -> None:
        data = folder(pictures_below(tmp_path / "data", ["ada", "bob", "=cyd"]))
        data = replace(data, groups=np.arange(18) % 2, group_names=("-north", "south"))
        found = placed(data)
        found.write(tmp_path / "errors")
        with (tmp_path / "errors" / "errors.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        judged = found.judged
        findings = (*judged.suspects, *judged.mistakes, *judged.hardest)
        assert len(rows) == len(findings) > 10
        assert tuple(rows[0]) == COLUMNS
        for row, finding in zip(rows, findings, strict=True):
            item = finding.items[0]
            assert row["kind"] == finding.kind
            assert row["file"] == data.files[item].replace("=cyd", "'=cyd")
            assert row["label"] == finding.label.replace("=cyd", "'=cyd")
            assert row["group"] == ("'-north", "south")[item % 2]
            assert row["probability"] == ("" if finding.probability is None else str(finding.probability))
            assert row["distance"] == ("" if finding.distance is None else str(finding.distance))
            others = [data.files[other].replace("=cyd", "'=cyd") for other in finding.items[1:]]
            assert [row[name] for name in ("second", "third") if row[name]] == others
            assert row["trained_on"] == ""
        assert {row["kind"] for row in rows[:2]} == {"suspected label"}


class TestRelabel:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Dataset:
        """People of difficult names in a folder, with groups and parts."""
        names = ["ada", "=bob", 'comma, "quote"', "-2", " cyd ", "007", "NA", "a\nb", "x\ry"]
        data = folder(pictures_below(tmp_path / "data", names))
        cameras = np.arange(len(data)) % 3
        parts = np.array(["train", "test"])[np.arange(len(data)) % 2]
        return replace(data, groups=cameras, group_names=("+1", "c, d", "e"), parts=parts)

    def test_it_is_read_back_as_it_was(self, data: Dataset, tmp_path: Path) -> None:
        found = placed(data)
        found.write(tmp_path / "errors")
        back = manifest(tmp_path / "errors" / "relabel.csv")
        same_items(data, back)
        assert sorted(back.sources) == sorted(data.sources)

    def test_the_suspected_come_first_with_what_they_should_be(self, data: Dataset, tmp_path: Path) -> None:
        found = placed(data)
        found.write(tmp_path / "errors")
        with (tmp_path / "errors" / "relabel.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        suspects = found.judged.suspects
        assert len(suspects) == 2
        assert [row["path"] for row in rows[:2]] == [str(data.sources[finding.items[0]]) for finding in suspects]
        assert [row["suggested"].removeprefix("'") for row in rows[:2]] == [finding.said for finding in suspects]
        assert all("probable" in row["why"] for row in rows[:2])
        assert {(row["suggested"], row["why"]) for row in rows[2:]} == {("", "")}
        assert [row["path"] for row in rows[2:]] == [
            str(source) for i, source in enumerate(data.sources) if i not in found.judged.suspected
        ]

    def test_an_edited_label_takes_effect_and_no_other(self, data: Dataset, tmp_path: Path) -> None:
        found = placed(data)
        found.write(tmp_path / "errors")
        table = tmp_path / "errors" / "relabel.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        rows[0]["label"] = rows[0]["suggested"]
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        first = found.judged.suspects[0]
        names = {str(source): data.names[label] for source, label in zip(data.sources, data.labels, strict=True)}
        expected = names | {str(data.sources[first.items[0]]): first.said}
        back = manifest(table)
        assert {str(s): back.names[label] for s, label in zip(back.sources, back.labels, strict=True)} == expected
        assert expected != names

    def test_items_that_cannot_be_used_are_there_too(self, data: Dataset, tmp_path: Path) -> None:
        placed(data, skipped=((data.files[4], "torn"),)).write(tmp_path / "errors")
        with (tmp_path / "errors" / "relabel.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(data)
        (row,) = (row for row in rows if row["path"] == str(data.sources[4]))
        assert (row["suggested"], row["why"]) == ("", "cannot be used: torn")

    def test_of_a_part_all_items_may_be_listed(self, data: Dataset, tmp_path: Path) -> None:
        part = data.part("test")
        found = placed(part)
        whole = replace(found, whole=data, place=np.flatnonzero(data.parts == "test"))
        whole.write(tmp_path / "errors")
        back = manifest(tmp_path / "errors" / "relabel.csv")
        same_items(data, back)
        first = found.judged.suspects[0].items[0]
        assert back.sources[0] == part.sources[first]

    def test_duplicate_lines_keep_their_own_labels(self, tmp_path: Path) -> None:
        root = pictures_below(tmp_path / "data", ["ada", "bob"])
        lines = [f"data/{name}/{i}.png,{name}" for name in ("ada", "bob") for i in range(6)]
        (tmp_path / "m.csv").write_text("\n".join(["path,label", *lines, "data/ada/0.png,bob"]) + "\n")
        data = manifest(tmp_path / "m.csv")
        placed(data).write(tmp_path / "errors")
        same_items(data, manifest(tmp_path / "errors" / "relabel.csv"))
        assert root.is_dir()

    @pytest.mark.parametrize("targets", [("much",), ("wide", "night"), ()])
    def test_other_columns_of_the_table_are_kept(self, targets: tuple[str, ...], tmp_path: Path) -> None:
        """Above all the label, where it is targets that are answered: to train by it afterwards."""
        pictures_below(tmp_path / "data", ["ada", "bob"])
        lines = [
            f"data/{name}/{i}.png,{name},{'=x' if i else ''},{i % 2},{i // 3},{i / 7},c{i % 3}"
            for name in ("ada", "bob")
            for i in range(6)
        ]
        (tmp_path / "m.csv").write_text("\n".join(["path,label,note,wide,night,much,group", *lines]) + "\n")
        data = manifest(tmp_path / "m.csv", targets=targets)
        replace(placed(manifest(tmp_path / "m.csv")), whole=data).write(tmp_path / "errors")
        table = tmp_path / "errors" / "relabel.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows = {tuple(Path(row["path"]).parts[-2:]): row for row in csv.DictReader(file)}
        assert len(rows) == 12
        for line in lines:
            path, label, note, wide, night, much, group = line.split(",")
            row = rows[tuple(Path(path).parts[-2:])]
            assert [row["label"], row["note"].removeprefix("'"), row["group"]] == [label, note, group]
            assert [float(row["wide"]), float(row["night"])] == [int(wide), int(night)]
            assert float(row["much"]) == pytest.approx(float(much))
        for again in ((), targets):
            same_items(manifest(tmp_path / "m.csv", targets=again), manifest(table, targets=again))
        replace(placed(manifest(table)), whole=manifest(table, targets=targets)).write(tmp_path / "later")
        with (tmp_path / "later" / "relabel.csv").open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        assert sorted(header) == sorted(next(iter(rows.values())))  # its own columns are not taken for the user's

    def test_pictures_in_memory_and_in_a_zip_become_files(self, tmp_path: Path) -> None:
        pictures = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
        in_memory = arrays(pictures, ["a"] * 6 + ["b"] * 6)
        placed(in_memory).write(tmp_path / "memory")
        same_items(in_memory, manifest(tmp_path / "memory" / "relabel.csv"))

        root = pictures_below(tmp_path / "data", ["ada", "bob"])
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for file in sorted(root.rglob("*.png")):
                archive.write(file, file.relative_to(root))
        zipped = zip_folder(tmp_path / "data.zip")
        placed(zipped).write(tmp_path / "zipped")
        back = manifest(tmp_path / "zipped" / "relabel.csv")
        same_items(zipped, back)
        assert sorted(back.contents.tolist()) == sorted(zipped.contents.tolist())  # byte for byte

    @pytest.mark.parametrize("kind", ["pictures", "sounds"])
    def test_a_table_saved_elsewhere_holds_when_the_folder_is_written_anew(self, kind: str, tmp_path: Path) -> None:
        """Two sets, one after the other into the same folder: corrections of the first stay on its own items."""
        rng = np.random.default_rng(0)
        sets: list[Dataset] = []
        for _ in range(2):
            if kind == "pictures":
                items = rng.integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
            else:
                items = rng.normal(0, 0.1, (12, 4000)).astype(np.float32)
            sets.append(arrays(items, ["a"] * 6 + ["b"] * 6))
        points = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
        how = Pictures(1, 8, 8) if kind == "pictures" else Sounds.at(8_000, 0.5)
        encoder = Encoder("linear", dim=4, preprocessing=how)

        def write(data: Dataset) -> None:
            labelled = Labelled(torch.from_numpy(points), torch.from_numpy(data.labels), data, ())
            mistakes_in(encoder, labelled, data).write(tmp_path / "errors")

        def held() -> dict[Path, bytes]:
            back = manifest(tmp_path / "mine.csv")
            return {Path(str(source)): Path(str(source)).read_bytes() for source in back.sources}

        write(sets[0])
        (tmp_path / "errors" / "relabel.csv").rename(tmp_path / "mine.csv")
        before = held()
        assert len(before) == 12
        write(sets[1])
        assert held() == before
        write(sets[0])  # and again: no item is written twice
        assert len(list((tmp_path / "errors" / "items").iterdir())) == 24

    def test_a_file_whose_name_is_no_text(self, tmp_path: Path) -> None:
        root = pictures_below(tmp_path / "data", ["ada", "bob"])
        odd = root / "ada" / "caf\udce9.png"
        try:
            (root / "ada" / "0.png").rename(odd)
        except OSError:
            pytest.skip("this disk has only names that are text")
        data = folder(root)
        text, _ = page_of(placed(data), tmp_path / "errors")
        assert "caf" in text
        same_items(data, manifest(tmp_path / "errors" / "relabel.csv"))

    @pytest.mark.parametrize("make", [halves, grey], ids=["several", "numbers"])
    def test_targets_are_columns(self, make: Callable[..., Dataset], tmp_path: Path) -> None:
        data = make()
        targets = data.targets
        assert targets is not None
        model, _ = classifier(data).calibrated_on(make(seed=1))
        targets = targets.copy()
        targets[3, 0] = 1 - targets[3, 0] if make is halves else targets[3, 0] + 2_000
        data = replace(data, targets=targets)
        found = lw.find_mistakes(model, data)
        assert 3 in found.judged.suspected
        found.write(tmp_path / "errors")
        back = manifest(tmp_path / "errors" / "relabel.csv", targets=data.target_names)
        assert back.target_names == data.target_names
        assert back.targets is not None
        order = [int(Path(source).stem.split("-")[0]) for source in back.sources]
        np.testing.assert_array_equal(back.targets, targets[order])
        with (tmp_path / "errors" / "relabel.csv").open(encoding="utf-8", newline="") as file:
            row = next(row for row in csv.DictReader(file) if Path(row["path"]).name.startswith("000003-"))
        name, _, value = row["suggested"].split()[0].partition("=")
        assert name == data.target_names[0]
        assert abs(float(value) - float(make().targets[3, 0])) < (0.5 if make is halves else 100)


class TestPlaces:
    @pytest.fixture
    def found(self, tmp_path: Path) -> Mistakes:
        return placed(folder(pictures_below(tmp_path / "data", ["ada", "bob"])))

    def test_what_was_written_is_written_again(self, found: Mistakes, tmp_path: Path) -> None:
        files = found.write(tmp_path / "errors")
        assert {file.name for file in files} == {file.name for file in (tmp_path / "errors").iterdir()}
        before = {file: file.read_bytes() for file in files}
        assert found.write(str(tmp_path / "errors")) == files
        assert {file: file.read_bytes() for file in files} == before
        summary = json.loads((tmp_path / "errors" / "errors.json").read_text())
        assert {name: value for name, value in summary.items() if name != "relabel_sha256"} == found.as_dict()

    def test_corrected_labels_are_not_written_over(self, found: Mistakes, tmp_path: Path) -> None:
        found.write(tmp_path / "errors")
        table = tmp_path / "errors" / "relabel.csv"
        edited = table.read_bytes().replace(b",ada,", b",bob,", 1)
        table.write_bytes(edited)
        with pytest.raises(UsageError, match="corrected are not written over"):
            found.write(tmp_path / "errors")
        assert table.read_bytes() == edited

    @pytest.mark.parametrize("begun", [False, True])
    def test_a_folder_that_holds_other_things(self, found: Mistakes, tmp_path: Path, begun: bool) -> None:
        if begun:
            found.write(tmp_path / "errors")
        else:
            (tmp_path / "errors").mkdir()
        (tmp_path / "errors" / "mine.txt").write_text("precious")
        with pytest.raises(UsageError):
            found.write(tmp_path / "errors")
        assert (tmp_path / "errors" / "mine.txt").read_text() == "precious"

    def test_a_file_and_a_damaged_folder(self, found: Mistakes, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(UsageError):
            found.write(tmp_path / "file")
        found.write(tmp_path / "errors")
        (tmp_path / "errors" / "errors.json").write_text("{")
        with pytest.raises(DataError, match="is whole"):
            found.write(tmp_path / "errors")

    def test_an_empty_folder_is_filled(self, found: Mistakes, tmp_path: Path) -> None:
        (tmp_path / "errors").mkdir()
        assert all(file.is_file() for file in found.write(tmp_path / "errors"))
