"""`Gallery` from end to end, on scikit-learn's digits and a small model of them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import likewise as lw
from likewise.apps.learn import Learned
from likewise.encoder import Encoder, Pictures
from likewise.errors import StoreError
from likewise.gallery import gallery as gallery_module
from likewise.gallery import sqlite
from likewise.gallery.exchange import FINGERPRINT
from likewise.gallery.sqlite import SqliteStore
from likewise.media.pictures import content_hash

Files = Callable[[int, slice], list[Path]]


@pytest.fixture
def files(digit_folder: Path) -> Files:
    """Pictures of a digit."""
    return lambda digit, part: sorted((digit_folder / str(digit)).iterdir())[part]


@pytest.fixture
def model(model_folder: Path) -> lw.Model:
    return lw.load(model_folder)


@pytest.fixture
def gallery(tmp_path: Path, model: lw.Model) -> Iterator[lw.Gallery]:
    """One that nobody is in yet."""
    with lw.Gallery.open(tmp_path / "a.gallery", model) as opened:
        yield opened


@pytest.fixture
def other_model(digit_arrays: tuple[np.ndarray, np.ndarray]) -> lw.Model:
    """The same kind of model with other parameters."""
    encoder = Encoder("mlp", 12, preprocessing=Pictures.of(digit_arrays[0][:50]), seed=5)
    return lw.Model(encoder)


def plain(gallery: lw.Gallery) -> list[tuple[int, str, str, list[float]]]:
    """Id, name, hash and embedding of every record."""
    return sorted(
        (int(id), name, content, row.tolist())
        for block in gallery.records()
        for id, name, content, row in zip(block.ids, block.names, block.hashes, block.embeddings, strict=True)
    )


def plain_by_hash(gallery: lw.Gallery) -> list[tuple[str, str, list[float]]]:
    """The same without ids."""
    return sorted((content, name, row) for _, name, content, row in plain(gallery))


class TestEnrol:
    def test_one_picture_is_enough_and_trains_nothing(self, gallery: lw.Gallery, files: Files) -> None:
        before = gallery.model.fingerprint
        done = gallery.enrol("three", files(3, slice(1))[0])
        assert (done.name, len(done.added), done.already, done.skipped) == ("three", 1, (), ())
        assert gallery.identify(files(3, slice(1))).probes[0].decision.matches[0].distance < 1e-5
        assert gallery.model.fingerprint == before

    def test_a_record_says_what_was_enrolled(self, gallery: lw.Gallery, model: lw.Model, files: Files) -> None:
        given = files(3, slice(2))
        done = gallery.enrol("three", given, metadata={"door": 3, "by": ["ada"]}, keep_originals=True)
        (block,) = gallery.records(originals=True)
        order = [block.ids.tolist().index(id) for _, id in done.added]
        found = block.take(order)
        assert [file for file, _ in done.added] == list(map(str, given))
        assert list(found.names) == ["three"] * 2
        assert list(found.hashes) == [content_hash(file.read_bytes()) for file in given]
        assert list(found.metadata) == [{"door": 3, "by": ["ada"]}] * 2
        assert list(found.originals) == [file.read_bytes() for file in given]
        np.testing.assert_array_equal(found.embeddings, model.encode(given).embeddings.numpy())

    def test_originals_are_not_kept_unless_asked_for(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("three", files(3, slice(2)))
        assert [o for block in gallery.records(originals=True) for o in block.originals] == [None, None]
        assert files(3, slice(1))[0].read_bytes() not in Path(gallery.uri).read_bytes()

    def test_paths_bytes_and_arrays(self, gallery: lw.Gallery, files: Files, digit_arrays: tuple) -> None:
        path = files(3, slice(1))[0]
        done = gallery.enrol("three", [path, path.read_bytes(), digit_arrays[0][0]])
        assert (len(done.added), len(done.already)) == (2, 1)  # the bytes are the path's

    def test_the_same_content_is_one_record(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        copy = tmp_path / "copy.png"
        copy.write_bytes(files(3, slice(1))[0].read_bytes())
        assert len(gallery.enrol("three", files(3, slice(2))).added) == 2
        again = gallery.enrol("three", [copy, *files(3, slice(3))])
        assert (len(again.added), len(again.already)) == (1, 3)
        assert gallery.names() == {"three": 3}

    def test_the_same_content_under_another_name_is_refused(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("three", files(3, slice(1)))
        done = gallery.enrol("four", [*files(3, slice(1)), *files(4, slice(1))])
        assert len(done.added) == 1
        assert done.skipped == ((str(files(3, slice(1))[0]), "enrolled already as 'three': one of the two is wrong"),)
        with pytest.raises(lw.DataError, match=r"one name; got .*00\.png, enrolled already as 'three': one of the two"):
            gallery.enrol("five", files(3, slice(1)))
        assert gallery.names() == {"four": 1, "three": 1}

    def test_what_cannot_be_read_is_told_and_the_rest_entered(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.png").touch()
        (tmp_path / "text.png").write_text("no picture")
        given = [tmp_path / "empty.png", *files(3, slice(2)), tmp_path / "text.png", tmp_path / "none.png"]
        done = gallery.enrol("three", given)
        assert len(done.added) == 2
        assert [Path(file).name for file, _ in done.skipped] == ["empty.png", "text.png", "none.png"]
        assert all(reason for _, reason in done.skipped)

    @pytest.mark.parametrize("content", [b"", b"no picture", None])
    def test_nothing_that_can_be_read_leaves_the_gallery_as_it_was(
        self, gallery: lw.Gallery, tmp_path: Path, content: bytes | None
    ) -> None:
        if content is not None:
            (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(lw.DataError, match=r"bad\.png"):
            gallery.enrol("three", tmp_path / "bad.png")
        assert gallery.names() == {}

    def test_an_empty_list(self, gallery: lw.Gallery) -> None:
        with pytest.raises(lw.UsageError, match="an empty list"):
            gallery.enrol("three", [])


class TestEnrolAll:
    def test_is_enrol_for_each_name_in_one_pass(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        passes: list[int] = []

        def counted(items: object) -> object:
            passes.append(len(items))
            return model.encode_parts(items)

        (tmp_path / "bad.png").write_text("no picture")
        given = {
            "three": [*files(3, slice(2)), tmp_path / "bad.png", files(3, slice(1))[0]],
            "nobody": [tmp_path / "bad.png"],
            " four ": [*files(4, slice(2)), files(3, slice(1))[0]],  # one of them is enrolled as three by then
            "four": files(4, slice(1, 3)),
        }
        with lw.Gallery.open(gallery.uri, encode=counted) as opened:
            done = opened.enrol_all(given)
        assert passes == [10]
        assert [one.name for one in done] == ["three", "nobody", "four"]
        assert [[Path(file).name for file, _ in one.added] for one in done] == [
            ["00.png", "01.png"], [], ["00.png", "01.png", "02.png"],
        ]  # fmt: skip
        assert [[Path(file).name for file in one.already] for one in done] == [["00.png"], [], ["01.png"]]
        assert [[Path(file).name for file, _ in one.skipped] for one in done] == [["bad.png"], ["bad.png"], ["00.png"]]
        assert done[2].skipped[0][1] == "enrolled already as 'three': one of the two is wrong"
        assert gallery.names() == {"four": 3, "three": 2}
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            other.enrol("three", files(3, slice(2)))
            other.enrol("four", files(4, slice(3)))
            for one, two in zip(plain_by_hash(gallery), plain_by_hash(other), strict=True):
                assert one[:2] == two[:2]
                np.testing.assert_allclose(one[2], two[2], rtol=1e-4, atol=1e-5)

    def test_what_cannot_be(self, gallery: lw.Gallery, files: Files) -> None:
        with pytest.raises(lw.UsageError, match="200 characters"):
            gallery.enrol_all({"three": files(3, slice(1)), "x" * 201: files(4, slice(1))})
        for nothing in ({}, {"three": []}):
            with pytest.raises(lw.UsageError, match="an empty list"):
                gallery.enrol_all(nothing)
        assert gallery.names() == {}

    @pytest.mark.parametrize("metadata", [{"a": float("nan")}, {"a": object()}, {"a": b"bytes"}])
    def test_metadata_that_are_no_json(self, gallery: lw.Gallery, files: Files, metadata: dict) -> None:
        with pytest.raises(lw.UsageError, match="Metadata are a JSON object"):
            gallery.enrol("three", files(3, slice(1)), metadata=metadata)

    def test_names_of_other_alphabets_and_bad_ones(self, gallery: lw.Gallery, files: Files) -> None:
        for number, name in enumerate(["Jürgen", "李小龙", "עדה", "أدا", "🙂"]):
            gallery.enrol(name, files(number, slice(1)))
        assert gallery.enrol("Ju\u0308rgen", files(0, slice(1, 2))).name == "Jürgen"  # composed or not, it is one name
        assert gallery.names()["Jürgen"] == 2
        for name in ["a/b", "a\\b", "a\nb", "a\x00b", "x" * 10_000, "", "  ", ".."]:
            for ask in (
                lambda name: gallery.enrol(name, files(9, slice(1))),
                lambda name: gallery.verify(files(9, slice(1))[0], name),
                gallery.forget,
                lambda name: gallery.rename("🙂", name),
            ):
                with pytest.raises(lw.UsageError) as refused:
                    ask(name)
                assert len(str(refused.value)) < 300
        assert len(gallery.names()) == 5

    def test_embeddings_that_are_no_numbers_are_refused(self, tmp_path: Path, model: lw.Model, files: Files) -> None:
        def broken(items: object) -> object:
            encoded = model.encode(items)
            return replace(encoded, embeddings=encoded.embeddings * float("nan"))

        with lw.Gallery.open(tmp_path / "b.gallery", model, encode=broken) as gallery:
            with pytest.raises(lw.ModelError, match="finite numbers"):
                gallery.enrol("three", files(3, slice(1)))
            assert gallery.names() == {}


class TestIdentify:
    @pytest.mark.parametrize("rule", ["vote", "mean"])
    def test_known_digits_get_their_names(self, gallery: lw.Gallery, files: Files, rule: str) -> None:
        for digit in range(5):
            gallery.enrol(f"digit {digit}", files(digit, slice(8)))
        probes = [file for digit in range(5) for file in files(digit, slice(20, 30))]
        found = gallery.identify(probes, rule=rule)
        first = [probe.decision.matches[0].name for probe in found]
        assert sum(name == f"digit {i // 10}" for i, name in enumerate(first)) >= 45
        for probe in found:
            line = probe.decision.matches[0].distance
            limits = found.lines
            if probe.decision.outcome == "unknown":
                assert probe.decision.name is None
                assert line > limits.loose
            elif rule == "mean":
                assert (line <= limits.strict) == (probe.decision.outcome == "known")
            assert [m.distance for m in probe.decision.matches] == sorted(m.distance for m in probe.decision.matches)

    def test_nobody_is_known_to_an_empty_gallery(self, gallery: lw.Gallery, files: Files) -> None:
        (probe,) = gallery.identify(files(3, slice(1)))
        assert (probe.decision.outcome, probe.decision.name, probe.decision.matches) == ("unknown", None, ())

    def test_what_cannot_be_read_is_skipped_and_is_no_yes(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path
    ) -> None:
        gallery.enrol("three", files(3, slice(1)))
        (tmp_path / "empty.png").touch()
        found = gallery.identify([tmp_path / "empty.png", *files(3, slice(1))])
        assert [probe.file for probe in found] == [str(files(3, slice(1))[0])]
        assert found.skipped[0][0] == str(tmp_path / "empty.png")
        assert found.probes[0].decision.outcome == "known"
        assert not found.all_known
        for ask in (gallery.identify, lambda item: gallery.enrol("x", item)):
            with pytest.raises(lw.DataError, match=r"^A picture has content; got .*empty\.png") as refused:
                ask(tmp_path / "empty.png")  # the reason itself, and not another message around it
            assert str(refused.value).count("got") == 1
            with pytest.raises(lw.DataError, match=r"None of 2 items can be used, the first because: .*empty\.png"):
                ask([tmp_path / "empty.png", tmp_path / "none.png"])

    def test_an_uncalibrated_model_needs_a_calibrated_gallery(
        self, tmp_path: Path, crowd: Callable[..., lw.Dataset]
    ) -> None:
        people = crowd([f"person {i}" for i in range(40)], each=4)
        encoder = Encoder("mlp", 16, preprocessing=Pictures.of(people.sources), seed=0)
        with lw.Gallery.open(tmp_path / "b.gallery", lw.Model(encoder)) as gallery:
            for person in range(40):
                gallery.enrol(people.names[person], [people.sources[4 * person + i] for i in range(4)])
            for ask in (gallery.identify, lambda item: gallery.verify(item, "person 0")):
                with pytest.raises(lw.ModelError, match=r"gallery calibrate GALLERY --fpir"):
                    ask(people.sources[0])
            found = gallery.calibrate(0.1)
            assert gallery.identify(people.sources[0]).probes[0].decision.name == "person 0"
            claim = gallery.verify(people.sources[0], "person 0")
            assert (claim.same, claim.threshold, claim.probability, claim.fmr) == (
                True, found.strict.threshold, None, None,
            )  # fmt: skip
            with pytest.raises(lw.LikewiseError):
                gallery.verify(people.sources[0], "person 0", fmr=0.01)  # a promise only a model can give

    def test_impossible_rules(self, gallery: lw.Gallery, files: Files) -> None:
        with pytest.raises(lw.UsageError):
            gallery.identify(files(3, slice(1)), k=0)
        with pytest.raises(lw.UsageError):
            gallery.identify(files(3, slice(1)), rule="median")


class TestVerify:
    def test_is_the_distance_to_the_nearest_record_of_that_name(
        self, gallery: lw.Gallery, model: lw.Model, files: Files
    ) -> None:
        for digit in (3, 4):
            gallery.enrol(f"digit {digit}", files(digit, slice(4)))
        probe = files(3, slice(10, 11))[0]
        claim = gallery.verify(probe, "digit 4")
        expected = min(model.verify(probe, other).distance for other in files(4, slice(4)))
        assert claim.distance == pytest.approx(expected, rel=1e-4)
        assert claim.same == (claim.distance <= claim.threshold)
        assert claim.threshold == model.calibrated().threshold_for().threshold

    def test_four_records_are_four_chances(self, gallery: lw.Gallery, model: lw.Model, files: Files) -> None:
        gallery.enrol("three", files(3, slice(4)))
        promised = model.calibrated().threshold_for().promised
        assert gallery.verify(files(3, slice(1))[0], "three").fmr == pytest.approx(1 - (1 - promised) ** 4)

    def test_what_cannot_be_read_is_unfit(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(4)))
        (tmp_path / "empty.png").touch()
        claim = gallery.verify([tmp_path / "empty.png", tmp_path / "none.png"], "three")
        assert (claim.same, claim.said, claim.distance) == (False, "unfit", None)
        assert [frame.said for frame in claim.frames] == ["unfit", "unfit"]
        assert str(claim.frames[0].problem).startswith("A picture has content; got ")
        assert str(claim).count("empty.png") == str(claim).count("none.png") == 1
        with pytest.raises(lw.UsageError):
            gallery.verify([], "three")

    def test_an_unknown_name_gets_a_hint(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("Margaret", files(3, slice(1)))
        with pytest.raises(lw.DataError, match=r"'Margret'.*Perhaps 'Margaret'"):
            gallery.verify(files(3, slice(1))[0], "Margret")
        with pytest.raises(lw.DataError, match=r"'nobody'.*gallery list"):
            gallery.verify(files(3, slice(1))[0], "nobody")


class TestForget:
    def test_a_name(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("three", files(3, slice(4)), keep_originals=True, metadata={"note": "likes triangles"})
        gallery.enrol("four", files(4, slice(4)), keep_originals=True)
        (block,) = gallery.records("three")
        gallery.identify(files(3, slice(10)))
        done = gallery.forget("three")
        assert (done.name, done.records) == ("three", 4)
        assert gallery.names() == {"four": 4}
        folder = Path(gallery.uri).parent
        held = b"".join(file.read_bytes() for file in folder.glob("a.gallery*"))
        for secret in (
            b"three", b"triangles", *(row.tobytes() for row in block.embeddings), *map(bytes.fromhex, block.hashes),
            *(h.encode() for h in block.hashes), *(file.read_bytes() for file in files(3, slice(4))),
        ):  # fmt: skip
            assert secret not in held
        assert files(4, slice(1))[0].read_bytes() in held  # so that the search would have found it
        names = {match.name for probe in gallery.identify(files(3, slice(4))) for match in probe.decision.matches}
        assert names == {"four"}

    def test_one_record(self, gallery: lw.Gallery, files: Files) -> None:
        done = gallery.enrol("three", files(3, slice(2)))
        assert gallery.forget(id=done.added[0][1]).records == 1
        assert gallery.names() == {"three": 1}
        gallery.forget(id=done.added[1][1])
        assert gallery.names() == {}
        assert b"three" not in Path(gallery.uri).read_bytes()

    @pytest.mark.parametrize("id", [5, -1, 2**53, 2**70])
    def test_unknown_names_and_ids(self, gallery: lw.Gallery, files: Files, id: int) -> None:
        gallery.enrol("three", files(3, slice(2)))
        with pytest.raises(lw.DataError, match="'nobody'"):
            gallery.forget("nobody")
        with pytest.raises(lw.DataError, match="gallery list GALLERY NAME"):
            gallery.forget(id=id)
        assert gallery.names() == {"three": 2}

    def test_of_what(self, gallery: lw.Gallery) -> None:
        with pytest.raises(lw.UsageError):
            gallery.forget()
        with pytest.raises(lw.UsageError):
            gallery.forget("three", id=3)


class TestNames:
    def test_rename(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("tree", files(3, slice(3)))
        gallery.enrol("four", files(4, slice(3)))
        before = plain(gallery)
        assert gallery.rename("tree", "three") == 3
        assert plain(gallery) == sorted((i, n.replace("tree", "three"), h, e) for i, n, h, e in before)
        assert b"tree\x00" not in Path(gallery.uri).read_bytes()
        with pytest.raises(lw.DataError, match="`merge`"):
            gallery.rename("three", "four")
        with pytest.raises(lw.DataError, match="'tree'"):
            gallery.rename("tree", "five")
        with pytest.raises(lw.UsageError, match="twice 'four'"):
            gallery.rename("four", " four")

    def test_merge(self, gallery: lw.Gallery, files: Files) -> None:
        gallery.enrol("three", files(3, slice(3)))
        gallery.enrol("also three", files(3, slice(3, 5)))
        with pytest.raises(lw.DataError):
            gallery.merge("also three", "nobody")
        with pytest.raises(lw.UsageError):
            gallery.merge("three", "three")
        assert gallery.merge("also three", "three") == 2
        assert gallery.names() == {"three": 5}
        with pytest.raises(lw.DataError):
            gallery.merge("also three", "three")


class TestModel:
    def test_the_copy_that_is_kept_encodes_alike(self, gallery: lw.Gallery, model: lw.Model, files: Files) -> None:
        gallery.enrol("three", files(3, slice(4)))
        with lw.Gallery.open(gallery.uri) as again:
            assert again.model.fingerprint == model.fingerprint
            assert again.identify(files(5, slice(9))) == gallery.identify(files(5, slice(9)))

    def test_another_model_is_refused(self, gallery: lw.Gallery, other_model: lw.Model, files: Files) -> None:
        gallery.enrol("three", files(3, slice(1)))
        with pytest.raises(lw.ModelError, match="holds embeddings of one model"):
            lw.Gallery.open(gallery.uri, other_model)

    def test_a_gallery_without_records_takes_another_model(
        self, gallery: lw.Gallery, other_model: lw.Model, files: Files
    ) -> None:
        """The first enrolment failed, with the wrong model."""
        with lw.Gallery.open(gallery.uri, other_model) as other:
            other.enrol("three", files(3, slice(1)))
            assert other.info()["dim"] == 12
        assert gallery.model.fingerprint == gallery.fingerprint == other_model.fingerprint
        with pytest.raises(lw.ModelError, match="holds embeddings of one model"):
            lw.Gallery.open(gallery.uri, lw.Model(Encoder("mlp", 12, preprocessing=other_model.encoder.preprocessing)))

    def test_who_enrols_just_then_loses_nothing(
        self, gallery: lw.Gallery, other_model: lw.Model, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between looking whether there are records and taking another model."""
        count = SqliteStore.count

        def late(store: SqliteStore) -> int:
            found = count(store)
            monkeypatch.setattr(SqliteStore, "count", count)
            gallery.enrol("three", files(3, slice(2)))
            return found

        monkeypatch.setattr(SqliteStore, "count", late)
        with pytest.raises(lw.DataError, match="2 of 2 records without one"):
            lw.Gallery.open(gallery.uri, other_model)
        assert gallery.names() == {"three": 2}
        assert gallery.identify(files(3, slice(1))).probes[0].decision.name == "three"

    def test_a_registered_model_is_known_by_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("dlib", reason="the extra `faces` is not installed")
        monkeypatch.chdir(tmp_path)  # there is no folder of that name
        with lw.Gallery.open("a.gallery", "dlib-face-128") as gallery:
            fingerprint = gallery.fingerprint
        with lw.Gallery.open("a.gallery", "dlib-face-128") as again:
            assert again.fingerprint == fingerprint
            assert again.info()["dim"] == 128
        with lw.Gallery.open("a.gallery") as alone:  # from the copy it keeps
            assert alone.model.fingerprint == fingerprint

    def test_another_calibration_is_taken_over_by_rebuilding(
        self, gallery: lw.Gallery, model: lw.Model, files: Files
    ) -> None:
        gallery.enrol("three", files(3, slice(4)))
        calibration = model.calibrated()
        stricter = tuple(replace(line, threshold=line.threshold / 2) for line in calibration.thresholds)
        other = lw.Model(model.encoder, replace(calibration, thresholds=stricter))
        with pytest.raises(lw.ModelError, match="gallery rebuild"):
            lw.Gallery.open(gallery.uri, other)
        before, line = plain(gallery), gallery.lines().strict
        assert gallery.rebuild(other) == 4  # although no originals are kept
        assert plain(gallery) == before
        assert gallery.lines().strict == line / 2

    def test_who_has_it_open_follows_another_calibration_of_the_same_model(
        self, gallery: lw.Gallery, model: lw.Model, files: Files
    ) -> None:
        gallery.enrol("three", files(3, slice(4)))
        calibration = model.calibrated()
        with lw.Gallery.open(gallery.uri) as reader, lw.Gallery.open(gallery.uri) as rebuilder:
            line = reader.lines().strict
            for factor in (2, 4, 1):
                changed = tuple(replace(one, threshold=one.threshold / factor) for one in calibration.thresholds)
                rebuilder.rebuild(lw.Model(model.encoder, replace(calibration, thresholds=changed)))
                assert reader.lines().strict == gallery.lines().strict == line / factor
                assert reader.verify(files(3, slice(1)), "three").threshold == changed[-1].threshold

    def test_what_is_set_while_it_is_rebuilt_is_not_undone(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery.enrol("three", files(3, slice(4)))
        written = gallery_module.files_of

        def late(*given: object) -> dict[str, bytes]:
            with closing(SqliteStore.open(gallery.uri)) as other:
                other.configure({**other.describe().settings, "k": 3})
            return written(*given)

        monkeypatch.setattr(gallery_module, "files_of", late)
        with pytest.raises(lw.DataError, match=r"changed meanwhile\. Try again"):
            gallery.rebuild(model)
        assert gallery.info()["k"] == 3

    def test_rebuild_from_kept_originals(
        self, gallery: lw.Gallery, other_model: lw.Model, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gallery_module, "_MOVED_AT_ONCE", 3)
        for digit in (3, 4):
            gallery.enrol(f"digit {digit}", files(digit, slice(4)), keep_originals=True, metadata={"digit": digit})
        with lw.Gallery.open(gallery.uri) as reader:
            reader.identify(files(3, slice(1)))
            told: list[tuple[int, int]] = []
            assert gallery.rebuild(other_model, progress=lambda done, total, _: told.append((done, total))) == 8
            assert told[-1] == (8, 8)
            for opened in (gallery, reader):
                assert opened.model.fingerprint == other_model.fingerprint
                assert opened.info()["dim"] == 12
                expected = {content_hash(file.read_bytes()): file for d in (3, 4) for file in files(d, slice(4))}
                for _, name, content, row in plain(opened):
                    encoded = other_model.encode([expected[content]]).embeddings[0].numpy()
                    np.testing.assert_allclose(row, encoded, rtol=1e-5, atol=1e-6)
                    assert name == f"digit {expected[content].parent.name}"

    def test_without_originals_another_model_is_refused_with_the_reason(
        self, gallery: lw.Gallery, other_model: lw.Model, files: Files
    ) -> None:
        gallery.enrol("three", files(3, slice(2)), keep_originals=True)
        gallery.enrol("four", files(4, slice(2)))
        before = plain(gallery)
        with pytest.raises(lw.DataError, match=r"2 of 4 records without one, such as of 'four'.*--keep-originals"):
            gallery.rebuild(other_model)
        assert plain(gallery) == before
        assert gallery.info()["fingerprint"] != other_model.fingerprint

    def test_a_model_exchanged_while_items_are_encoded(
        self, tmp_path: Path, model: lw.Model, other_model: lw.Model, files: Files
    ) -> None:
        """Between encoding and writing, another process rebuilds: the old model's embeddings do not get in."""

        def slowly(items: object) -> object:
            encoded = model.encode(items)
            with lw.Gallery.open(tmp_path / "b.gallery") as other:
                other.rebuild(other_model)
            return encoded

        lw.Gallery.open(tmp_path / "b.gallery", model).close()
        with lw.Gallery.open(tmp_path / "b.gallery", encode=slowly) as gallery:
            with pytest.raises(lw.LikewiseError):
                gallery.enrol("three", files(3, slice(1)))
            assert gallery.names() == {}


@pytest.fixture(scope="module")
def forty_people(tmp_path_factory: pytest.TempPathFactory, crowd: Callable[..., lw.Dataset]) -> Path:
    """40 people with 4 pictures each, and a model that never saw them; to be copied."""
    people, place = crowd([f"person {i}" for i in range(40)], each=4), tmp_path_factory.mktemp("whole") / "a.gallery"
    encoder = Encoder("mlp", 16, preprocessing=Pictures.of(people.sources), seed=0)
    with lw.Gallery.open(place, lw.Model(encoder)) as gallery:
        for person in range(40):
            gallery.enrol(people.names[person], [people.sources[4 * person + i] for i in range(4)])
    return place


class TestCalibrate:
    @pytest.fixture
    def people(self, tmp_path: Path, forty_people: Path) -> Iterator[lw.Gallery]:
        with lw.Gallery.open(shutil.copy(forty_people, tmp_path / "people.gallery")) as gallery:
            yield gallery

    @pytest.mark.parametrize("rule", ["vote", "mean"])
    def test_keeps_its_promise_on_what_is_enrolled(
        self, people: lw.Gallery, crowd: Callable[..., lw.Dataset], rule: str
    ) -> None:
        found = people.calibrate(0.1, loose_fpir=0.3, rule=rule)
        for line in (found.strict, found.loose):
            assert 0 < line.fpir.value <= line.promised
            assert line.fpir.low <= line.fpir.value <= line.fpir.high
            assert line.fnir is not None
        assert found.strict.threshold <= found.loose.threshold
        lines = people.lines()
        assert (lines.strict, lines.loose, lines.source, lines.grown) == (
            found.strict.threshold, found.loose.threshold, "gallery", 1,
        )  # fmt: skip
        strangers = crowd([f"stranger {i}" for i in range(200)], each=1, seed=7)
        outcomes = Counter(probe.decision.outcome for probe in people.identify(list(strangers.sources)))
        # Within the 95% interval of 160 looks and the spread of 200 strangers.
        assert outcomes["known"] / 200 <= found.strict.fpir.high + 0.05
        assert (outcomes["known"] + outcomes["unsure"]) / 200 <= found.loose.fpir.high + 0.05

    def test_is_remembered_and_told(self, people: lw.Gallery) -> None:
        found = people.calibrate(0.1)
        with lw.Gallery.open(people.uri) as again:
            assert again.calibration == found
            assert again.info()["calibration"] == found.as_dict()

    def test_is_no_promise_for_another_rule(self, people: lw.Gallery) -> None:
        people.calibrate(0.1, rule="vote", k=5)
        with pytest.raises(lw.ModelError):
            people.lines("mean")
        with pytest.raises(lw.ModelError):
            people.lines("vote", 3)

    def test_a_gallery_that_grew_promises_less(self, people: lw.Gallery, crowd: Callable[..., lw.Dataset]) -> None:
        people.calibrate(0.1)
        more = crowd([f"other {i}" for i in range(40)], each=4, seed=3)
        for person in range(40):
            people.enrol(more.names[person], [more.sources[4 * person + i] for i in range(4)])
        lines = people.lines()
        assert lines.grown == 2
        assert lines.fpir == pytest.approx(1 - 0.9**2)
        assert "calibrate it again" in lines.in_words()

    def test_too_little_is_refused_with_what_is_missing(self, people: lw.Gallery) -> None:
        with pytest.raises(lw.SupportError, match=r"needs 300 names; got 40\. 260 names are missing.*0\.1"):
            people.calibrate(0.01)
        assert people.calibration is None

    def test_an_empty_gallery(self, gallery: lw.Gallery) -> None:
        with pytest.raises(lw.DataError, match="nothing"):
            gallery.calibrate(0.1)

    def test_stays_with_the_embeddings_and_goes_with_them(
        self, people: lw.Gallery, tmp_path: Path, model: lw.Model
    ) -> None:
        found = people.calibrate(0.1, k=3)
        people.rebuild(people.model)  # the same embeddings
        assert people.calibration == found
        with lw.Gallery.open(tmp_path / "c.gallery", people.model) as other:
            other.enrol("person 0", np.zeros((8, 8), np.uint8), keep_originals=True)
            other._store.configure({**other._store.describe().settings, **people._store.describe().settings})
            assert other.calibration == found
            other.rebuild(model)
            assert other.calibration is None
            assert other.info()["k"] == 3

    def test_found_while_the_model_was_exchanged_is_refused(
        self, people: lw.Gallery, monkeypatch: pytest.MonkeyPatch, model: lw.Model
    ) -> None:
        found = gallery_module.leave_out

        def late(*given: object, **options: object) -> object:
            with closing(SqliteStore.open(people.uri)) as other:
                other.rebuild(replace(other.describe(), fingerprint="e" * 64), {}, other.records())
            return found(*given, **options)

        monkeypatch.setattr(gallery_module, "leave_out", late)
        with pytest.raises(lw.ModelError, match="exchanged meanwhile"):
            people.calibrate(0.1)
        assert people.calibration is None

    @pytest.mark.parametrize("fpir", [0.4, 0.5, 0.6, 0.9])
    def test_a_small_gallery_can_promise_little(self, people: lw.Gallery, fpir: float) -> None:
        found = people.calibrate(fpir)
        assert (found.strict.promised, found.loose.promised) == (fpir, 0.5 if fpir < 0.5 else (1 + fpir) / 2)

    @pytest.mark.parametrize("fpir", [0, 1, 2, -0.1])
    def test_an_impossible_promise_is_told_as_it_was_given(self, people: lw.Gallery, fpir: float) -> None:
        with pytest.raises(lw.UsageError, match=rf"between 0 and 1; got {fpir:g}\."):
            people.calibrate(fpir)


class TestExchange:
    def test_out_and_in_again(self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path) -> None:
        for digit in (3, 4):
            gallery.enrol(f"digit {digit}", files(digit, slice(3)), metadata={"d": digit}, keep_originals=True)
        assert gallery.export(tmp_path / "all.parquet", originals=True) == 6
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            assert len(other.import_(tmp_path / "all.parquet").added) == 6
            assert plain(other) == plain(gallery)
            for mine, its in zip(gallery.records(originals=True), other.records(originals=True), strict=True):
                assert list(mine.originals) == list(its.originals)
                assert list(mine.metadata) == list(its.metadata)
                assert mine.times.tolist() == its.times.tolist()
            again = other.import_(tmp_path / "all.parquet")
            assert (len(again.added), len(again.already)) == (0, 6)

    def test_other_programs_can_read_it(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(3)), keep_originals=True)
        gallery.export(tmp_path / "all.parquet")
        table = pq.read_table(tmp_path / "all.parquet")
        assert table.column_names == ["id", "name", "embedding", "hash", "time", "metadata", "original"]
        assert table["name"].to_pylist() == ["three"] * 3
        assert table["original"].to_pylist() == [None] * 3  # unless asked for
        assert table.schema.metadata[FINGERPRINT].decode() == gallery.info()["fingerprint"]

    def test_what_another_has_is_left_out_and_told(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        gallery.enrol("three", files(3, slice(3)))
        gallery.export(tmp_path / "all.parquet")
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            other.enrol("tree", files(3, slice(1)))
            done = other.import_(tmp_path / "all.parquet")
            assert len(done.added) == 2
            assert "enrolled already as 'tree'" in done.skipped[0][1]

    def test_content_that_comes_twice_in_a_file(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        table = pq.read_table(_exported(gallery, files, tmp_path))
        renamed = table.set_column(1, "name", pa.array(["four"] * 3))
        twice = pa.concat_tables([table, table, renamed])
        pq.write_table(twice.replace_schema_metadata(table.schema.metadata), tmp_path / "twice.parquet")
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            done = other.import_(tmp_path / "twice.parquet")
            assert (len(done.added), len(done.already), len(done.skipped)) == (3, 3, 3)
            assert all("enrolled already as 'three'" in reason for _, reason in done.skipped)
            assert plain(other) == plain(gallery)

    def test_half_of_a_character_in_metadata(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        """JSON can hold it, UTF-8 cannot; one such record must not keep the others from being exported."""
        gallery.enrol("three", files(3, slice(1)), metadata={"x": "\ud800", "y": "Größe"})
        gallery.export(tmp_path / "all.parquet")
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            other.import_(tmp_path / "all.parquet")
            (block,) = other.records()
            assert list(block.metadata) == [{"x": "\ud800", "y": "Größe"}]

    @pytest.mark.parametrize("name", ["a.gallery", "ada.jpg", "gym.csv", "gallery"])
    def test_goes_to_a_file_called_parquet(self, gallery: lw.Gallery, files: Files, tmp_path: Path, name: str) -> None:
        gallery.enrol("three", files(3, slice(1)))
        (tmp_path / "ada.jpg").write_bytes(b"a picture")
        names, before = sorted(tmp_path.iterdir()), (tmp_path / "a.gallery").read_bytes()
        with pytest.raises(lw.UsageError, match=r"a file called \.parquet"):
            gallery.export(tmp_path / name)
        assert sorted(tmp_path.iterdir()) == names
        assert (tmp_path / "a.gallery").read_bytes() == before
        assert (tmp_path / "ada.jpg").read_bytes() == b"a picture"

    def test_overwrites_only_an_earlier_export(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        gallery.enrol("three", files(3, slice(1)))
        gallery.export(tmp_path / "all.parquet")
        gallery.enrol("three", files(3, slice(2)))
        assert gallery.export(tmp_path / "all.parquet") == 2
        assert pq.read_table(tmp_path / "all.parquet").num_rows == 2
        pq.write_table(pa.table({"mine": [1]}), tmp_path / "mine.parquet")
        with lw.Gallery.open(tmp_path / "g.parquet", model) as named_so:
            for place in (tmp_path / "mine.parquet", tmp_path / "g.parquet"):
                before = place.read_bytes()
                with pytest.raises(lw.UsageError, match="overwrites only an earlier one"):
                    named_so.export(place)
                assert place.read_bytes() == before

    @pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
    def test_only_the_owner_reads_an_export(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(1)))
        gallery.export(tmp_path / "all.parquet")
        assert (tmp_path / "all.parquet").stat().st_mode & 0o777 == 0o600

    def test_of_another_model(self, gallery: lw.Gallery, other_model: lw.Model, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(3)))
        gallery.export(tmp_path / "all.parquet")
        with lw.Gallery.open(tmp_path / "b.gallery", other_model) as other:
            with pytest.raises(lw.ModelError, match="holds embeddings of one model"):
                other.import_(tmp_path / "all.parquet")
            assert other.names() == {}

    def test_files_of_another_kind(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        (tmp_path / "text.parquet").write_text("no table")
        pq.write_table(pq.read_table(_exported(gallery, files, tmp_path)).drop(["hash"]), tmp_path / "cut.parquet")
        for name, why in (("none", "none.parquet"), ("text", "text.parquet"), ("cut", "no column hash")):
            with pytest.raises(lw.DataError, match=why):
                gallery.import_(tmp_path / f"{name}.parquet")

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("hash", "xyz"), ("hash", "ab"), ("metadata", "[1"), ("metadata", None), ("name", "a/b"), ("name", None),
            ("embedding", None), ("embedding", [float("nan")] * 16), ("embedding", [None] * 16), ("time", None),
            ("time", float("nan")), ("id", None),
        ],
    )  # fmt: skip
    def test_damaged_rows_enter_nothing(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path, column: str, value: object
    ) -> None:
        table = pq.read_table(_exported(gallery, files, tmp_path))
        place, field = table.column_names.index(column), table.schema.field(column)
        rows = pa.array([*table[column].to_pylist()[:-1], value], field.type)
        pq.write_table(table.set_column(place, field, rows), tmp_path / "damaged.parquet")
        with lw.Gallery.open(tmp_path / "b.gallery", model) as other:
            with pytest.raises(lw.LikewiseError):
                other.import_(tmp_path / "damaged.parquet")
            assert other.names() == {}

    def test_lists_as_other_programs_write_them(
        self, gallery: lw.Gallery, model: lw.Model, files: Files, tmp_path: Path
    ) -> None:
        table = pq.read_table(_exported(gallery, files, tmp_path))
        place = table.column_names.index("embedding")
        for number, (change, fits) in enumerate([(lambda row: row, True), (lambda row: row[:-1], False)]):
            rows = table["embedding"].to_pylist()
            lists = pa.array([*rows[:-1], change(rows[-1])], pa.list_(pa.float64()))  # of any length each
            pq.write_table(table.set_column(place, "embedding", lists), tmp_path / "other.parquet")
            with lw.Gallery.open(tmp_path / f"{number}.gallery", model) as other:
                if fits:
                    other.import_(tmp_path / "other.parquet")
                    assert plain(other) == plain(gallery)
                else:
                    with pytest.raises(lw.DataError, match=r"other\.parquet"):
                        other.import_(tmp_path / "other.parquet")

    def test_nobody_goes_out_and_in(self, gallery: lw.Gallery, tmp_path: Path) -> None:
        assert gallery.export(tmp_path / "none.parquet") == 0
        assert gallery.import_(tmp_path / "none.parquet").added == ()

    def test_a_place_that_cannot_be_written(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(3)))
        (tmp_path / "file").touch()
        with pytest.raises((lw.DataError, OSError)):
            gallery.export(tmp_path / "file" / "all.parquet")


def _exported(gallery: lw.Gallery, files: Files, folder: Path) -> Path:
    gallery.enrol("three", files(3, slice(3)))
    gallery.export(folder / "whole.parquet")
    return folder / "whole.parquet"


class TestMove:
    def test_to_another_place(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(3)), keep_originals=True)
        before, asked = plain(gallery), gallery.identify(files(4, slice(4)))
        with gallery.move(tmp_path / "sub" / "b.gallery") as moved:
            assert plain(moved) == before
            assert moved.identify(files(4, slice(4))) == asked
            assert all(original for block in moved.records(originals=True) for original in block.originals)
        assert not list(tmp_path.glob("a.gallery*"))

    def test_not_onto_something(self, gallery: lw.Gallery, files: Files, tmp_path: Path) -> None:
        gallery.enrol("three", files(3, slice(3)))
        before = plain(gallery)
        (tmp_path / "b.gallery").write_text("mine")
        (tmp_path / "folder").mkdir()
        for place, says in (
            ("b.gallery", "a file of another kind. Give another"),
            ("folder", "a folder. Give the name of a file in it"),
            ("a.gallery", "a gallery. Open it"),
        ):
            with pytest.raises(lw.DataError, match=f"One place holds one gallery.*{says}"):
                gallery.move(tmp_path / place)
        assert plain(gallery) == before
        assert (tmp_path / "b.gallery").read_text() == "mine"

    def test_nobody_writes_meanwhile(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        done = gallery.enrol("three", files(3, slice(3)))
        before, refused = plain(gallery), list[str]()

        def write(*_: object) -> None:
            with lw.Gallery.open(gallery.uri) as other:
                for attempt in (
                    lambda: other.enrol("four", files(4, slice(2))),
                    lambda: other.forget(id=done.added[0][1]),
                    lambda: other.rename("three", "tree"),
                    lambda: other.rebuild(other.model),
                ):
                    with pytest.raises(lw.DataError, match="Try again") as told:
                        attempt()
                    refused.append(str(told.value))
                assert other.identify(files(3, slice(1))).probes[0].decision.name == "three"

        with gallery.move(tmp_path / "b.gallery", progress=write) as moved:
            assert plain(moved) == before
        assert len(refused) == 4

    def test_who_still_has_it_open_is_told_and_loses_nothing(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path
    ) -> None:
        """As a service that runs has: what it says is enrolled or forgotten has to be so."""
        gallery.enrol("three", files(3, slice(3)))
        with lw.Gallery.open(gallery.uri) as running:
            running.identify(files(3, slice(1)))
            with gallery.move(tmp_path / "b.gallery") as moved:
                for ask in (
                    lambda: running.enrol("four", files(4, slice(2))),
                    lambda: running.forget("three"),
                    lambda: running.rename("three", "tree"),
                    lambda: running.identify(files(3, slice(1))),
                    lambda: running.verify(files(3, slice(1)), "three"),
                    lambda: running.model,
                ):
                    with pytest.raises(StoreError, match="used where it was opened"):
                        ask()
                assert moved.names() == {"three": 3}

    def test_one_that_cannot_be_removed_stays_and_so_does_the_other(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery.enrol("three", files(3, slice(3)))
        before = plain(gallery)

        def fail(_: object) -> None:
            raise StoreError("A gallery's file can be read and written", "a folder that may not be written")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "remove", fail)
            with pytest.raises(StoreError, match="may not be written"):
                gallery.move(tmp_path / "b.gallery")
        assert plain(gallery) == before
        with lw.Gallery.open(tmp_path / "b.gallery") as moved:
            assert plain(moved) == before

    def test_what_a_move_that_was_killed_has_left_is_no_gallery_and_in_nobodys_way(
        self, gallery: lw.Gallery, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery.enrol("three", files(3, slice(3)))
        before, place = plain(gallery), tmp_path / "b.gallery"

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as dying:
            dying.setattr(SqliteStore, "remove", lambda store: store.close())  # nobody is left who would
            with pytest.raises(KeyboardInterrupt):
                gallery.move(place, progress=killed)
        assert place.exists()
        with pytest.raises(lw.DataError, match=r"A gallery is moved as a whole; got .*b\.gallery, where a move from"):
            lw.Gallery.open(place)
        with gallery.move(place) as moved:
            assert plain(moved) == before
        with lw.Gallery.open(place) as there:
            assert there.names() == {"three": 3}


class TestPlace:
    def test_none_there(self, tmp_path: Path) -> None:
        with pytest.raises(lw.DataError, match=r"no such file.*likewise enrol GALLERY NAME FILE"):
            lw.Gallery.open(tmp_path / "none.gallery")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("uri", ["", "ftp://host/name", "a.gallery?index=hnsw"])
    def test_addresses_that_cannot_be(self, uri: str, model: lw.Model) -> None:
        with pytest.raises(lw.UsageError):
            lw.Gallery.open(uri, model)

    def test_a_failed_first_enrolment_leaves_an_empty_gallery_that_opens(
        self, tmp_path: Path, learned: Learned
    ) -> None:
        with lw.Gallery.open(tmp_path / "b.gallery", learned.folder) as gallery, pytest.raises(lw.DataError):
            gallery.enrol("three", tmp_path / "none.png")
        with lw.Gallery.open(tmp_path / "b.gallery") as gallery:
            assert gallery.info()["records"] == 0

    def test_closed_is_closed(self, gallery: lw.Gallery) -> None:
        gallery.close()
        with pytest.raises(lw.UsageError, match="before it is closed"):
            gallery.names()
