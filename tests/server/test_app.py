"""The service answers what the library and the command line answer, and refuses in their words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_client import Served, png

import likewise as lw
from likewise.cli import main


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return json.loads(out) if int(left.value.code or 0) < 2 else {"error": err.strip().removeprefix("likewise: ")}

    return call


def about(found: Any) -> Any:
    """The same with floats rounded: batches of other sizes add up in another order."""
    if isinstance(found, dict):
        return {key: about(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [about(value) for value in found]
    return pytest.approx(found, rel=1e-4, abs=1e-5) if isinstance(found, float) else found


def files_of(digit_folder: Path, digit: int) -> list[Path]:
    return sorted((digit_folder / str(digit)).iterdir())


def named(found: dict[str, Any], full: list[Path]) -> dict[str, Any]:
    """An answer of the command line with files called as an upload calls them."""
    text = json.dumps(found)
    for file in full:
        text = text.replace(str(file), file.name)
    return json.loads(text)


def test_python_command_line_and_http_give_the_same_answers(
    enrolled: Served, model_folder: Path, digit_folder: Path, cli, tmp_path: Path
) -> None:
    a, b = files_of(digit_folder, 1)[6:8]
    other = files_of(digit_folder, 7)[0]
    gallery = tmp_path / "copy.gallery"
    shutil.copy(enrolled.gallery, gallery)  # read by two without one waiting for the other
    for ending in ("-wal", "-shm"):
        if (beside := enrolled.gallery.with_name(enrolled.gallery.name + ending)).exists():
            shutil.copy(beside, gallery.with_name(gallery.name + ending))
    model = lw.load(model_folder)

    with lw.Gallery.open(gallery) as opened:
        for pair in ((a, b), (a, other)):
            http = enrolled.post("/v1/verify", [("a", pair[0]), ("b", pair[1])]).json()
            assert about(model.verify(*pair).as_dict()) == http
            assert about(cli("verify", model_folder, *pair, "--json")) == http
        for frames in ([a], [other], [a, other, b]):  # several vote
            http = enrolled.post("/v1/verify/name", [("file", file) for file in frames], name="digit 1").json()
            assert len(http["frames"]) == len(frames)
            assert about(named(opened.verify(frames, "digit 1").as_dict(), frames)) == http
            claim = cli("verify", "--gallery", gallery, "--name", "digit 1", *frames, "--json")
            assert about(named(claim, frames)) == http
        http = enrolled.post("/v1/identify", [("files", file) for file in (a, other)]).json()
        assert about(named(opened.identify([a, other]).as_dict(), [a, other])) == http
        assert about(named(cli("identify", gallery, a, other, "--json"), [a, other])) == http
        assert {"names": opened.names()} == enrolled.client.get("/v1/names").json()
        assert cli("gallery", "list", gallery, "--json") == enrolled.client.get("/v1/names").json()
        http = enrolled.client.post("/v1/records", json={"name": "digit 1"}).json()
        assert cli("gallery", "list", gallery, "digit 1", "--json") == http
        http = enrolled.post("/v1/encode", [("files", a)]).json()
        assert about(model.encode([a]).embeddings[0].tolist()) == http["items"][0]["embedding"]
        assert http["fingerprint"] == model.fingerprint

        # What fails says the same too.
        http = enrolled.post("/v1/verify/name", [("file", a)], name="digit 11")
        assert http.status_code == 422
        with pytest.raises(lw.DataError) as raised:
            opened.verify(a, "digit 11")
        assert http.json()["error"] == str(raised.value)
        assert cli("verify", "--gallery", gallery, "--name", "digit 11", a)["error"] == str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_an_unreadable_picture_is_refused_in_the_words_of_the_library(
    content: bytes, enrolled: Served, digit_folder: Path, tmp_path: Path, model_folder: Path
) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(content)
    good = files_of(digit_folder, 1)[0]
    with pytest.raises(lw.DataError) as raised:
        lw.load(model_folder).verify(file, good)
    answer = enrolled.post("/v1/verify", [("a", ("bad.png", content)), ("b", good)])
    assert answer.status_code == 422
    assert answer.json()["error"] == str(raised.value).replace(str(file), "bad.png")


def test_enrol_identify_forget(fresh: Served, digit_folder: Path) -> None:
    ones, fours = files_of(digit_folder, 1), files_of(digit_folder, 4)
    done = fresh.post("/v1/enrol", [("files", f) for f in ones[:5]], name="Größe 顔", metadata='{"door": 3}').json()
    assert done["name"] == "Größe 顔"
    assert [one["file"] for one in done["added"]] == [f.name for f in ones[:5]]
    fresh.post("/v1/enrol", [("files", f) for f in fours[:5]], name="four")
    again = fresh.post("/v1/enrol", [("files", ones[0]), ("files", ("bad.png", b"bad"))], name="Größe 顔").json()
    assert again["already"] == [ones[0].name]
    assert [one["file"] for one in again["skipped"]] == ["bad.png"]

    found = fresh.post("/v1/identify", [("files", ones[0]), ("files", fours[0])], k=3, rule="vote").json()
    assert [probe["matches"][0]["name"] for probe in found["probes"]] == ["Größe 顔", "four"]
    assert found["probes"][0]["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)
    records = fresh.client.post("/v1/records", json={"name": "Größe 顔"}).json()["records"]
    assert [record["metadata"] for record in records] == [{"door": 3}] * 5

    assert fresh.client.post("/v1/forget", json={"id": done["added"][0]["id"]}).json()["records"] == 1
    assert fresh.client.post("/v1/forget", json={"name": "Größe 顔"}).json() == {"name": "Größe 顔", "records": 4}
    assert fresh.client.get("/v1/names").json() == {"names": {"four": 5}}
    assert "Größe".encode() not in b"".join(f.read_bytes() for f in fresh.gallery.parent.glob("g.gallery*"))
    assert fresh.client.post("/v1/forget", json={"name": "Größe 顔"}).status_code == 422
    assert fresh.client.post("/v1/forget", json={}).status_code == 400


@pytest.mark.parametrize("name", ["a/b", "..", "a\nb", "x" * 10_000, "", "\u202egpj"])
def test_what_is_no_name_is_refused(name: str, enrolled: Served, digit_folder: Path) -> None:
    answer = enrolled.post("/v1/enrol", [("files", files_of(digit_folder, 7)[0])], name=name)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]
    assert answer.json()["error"].count("\n") == 0


def test_the_served_model_follows_a_rebuild(fresh: Served, digit_folder: Path, tmp_path: Path) -> None:
    files = files_of(digit_folder, 1)[:3]
    fresh.post("/v1/enrol", [("files", f) for f in files], name="one", keep_originals=True)
    before = fresh.post("/v1/encode", [("files", files[0])]).json()
    encoder = lw.Encoder("mlp", 12, preprocessing=fresh.service.asked(lw.Model).encoder.ready(), seed=3)
    other = lw.calibrate(encoder, lw.folder(digit_folder), max_fmr=0.1)
    with lw.Gallery.open(fresh.gallery) as opened:
        opened.rebuild(other)
    after = fresh.post("/v1/encode", [("files", files[0])]).json()
    assert after["fingerprint"] == other.fingerprint != before["fingerprint"]
    found = fresh.post("/v1/identify", [("files", files[0])]).json()
    assert found["probes"][0]["matches"][0]["distance"] == pytest.approx(0, abs=1e-3)


def test_wrong_requests_are_answered_as_json(enrolled: Served, digit_folder: Path) -> None:
    a = files_of(digit_folder, 1)[0]
    answers = {
        "no such place": (enrolled.client.get("/v1/nothing"), 404),
        "method": (enrolled.client.get("/v1/verify"), 405),
        "type": (enrolled.client.post("/v1/verify", json={"a": 1}), 415),
        "no type": (enrolled.client.post("/v1/forget", content=b"{}"), 415),
        "no JSON": (
            enrolled.client.post("/v1/forget", content=b"{", headers={"Content-Type": "application/json"}), 422,
        ),
        "field missing": (enrolled.post("/v1/verify", [("a", a)]), 422),
        "k": (enrolled.post("/v1/identify", [("files", a)], k=0), 400),
        "rule": (enrolled.post("/v1/identify", [("files", a)], rule="guess"), 422),
        "fmr": (enrolled.post("/v1/verify", [("a", a), ("b", a)], fmr="nan"), 400),
        "metadata": (enrolled.post("/v1/enrol", [("files", a)], name="n", metadata="[]"), 400),
        "boundary": (
            enrolled.client.post("/v1/verify", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400,
        ),
        "id": (enrolled.client.post("/v1/forget", json={"id": 10**400}), 422),
        "job": (enrolled.client.get("/v1/jobs/none"), 404),
    }  # fmt: skip
    for why, (answer, status) in answers.items():
        assert answer.status_code == status, (why, answer.text)
        assert set(answer.json()) == {"error", "rule", "received", "remedy"}, why
        assert "Traceback" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_without_a_gallery_pairs_are_compared(model_folder: Path, digit_folder: Path) -> None:
    from likewise.server.service import Service, Upload

    service = Service(lw.load(model_folder))
    a, b = (Upload(file.name, file.read_bytes()) for file in files_of(digit_folder, 1)[:2])
    try:
        assert service.verify(a, b, None).distance == pytest.approx(
            lw.load(model_folder).distance(a.read(), b.read()), rel=1e-4
        )
        with pytest.raises(lw.UsageError, match="a gallery is served"):
            service.identify([a], None, None)
    finally:
        service.close()


def test_health_and_description_need_no_token(enrolled: Served) -> None:
    import httpx

    assert httpx.get(f"{enrolled.url}/health", trust_env=False).json() == {"status": "ok"}
    described = httpx.get(f"{enrolled.url}/openapi.json", trust_env=False).json()
    assert {"/v1/verify", "/v1/identify", "/v1/enrol", "/v1/forget", "/v1/names", "/v1/cluster"} <= set(
        described["paths"]
    )
    examples = [schema for schema in described["components"]["schemas"].values() if "examples" in schema]
    assert len(examples) >= 10


def test_large_pictures_are_shrunk_as_the_library_does(enrolled: Served, model_folder: Path) -> None:
    rng = np.random.default_rng(0)
    big = png(rng.integers(0, 256, (211, 173, 3), dtype=np.uint8))
    expected = lw.load(model_folder).encode([big]).embeddings[0].tolist()
    found = enrolled.post("/v1/encode", [("files", ("big.png", big))]).json()["items"][0]["embedding"]
    assert about(expected) == found
