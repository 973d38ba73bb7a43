"""Who gets in, how much may come in, and what is written down of it."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from service_client import Served, png, served

from likewise.server.door import RULES
from likewise.server.limits import Limits

SMALL = Limits(
    request_bytes=200_000, picture_bytes=50_000, pixels=10_000, files=4, cluster_files=6, queue=8, body_seconds=1.0
)


@pytest.fixture
def small(tmp_path: Path, model_folder: Path):
    with served(tmp_path, model_folder, SMALL) as running:
        yield running


def picture(i: int = 0, side: int = 8) -> tuple[str, bytes]:
    return f"{i}.png", png(np.random.default_rng(i).integers(0, 256, (side, side), dtype=np.uint8))


def lines(running: Served) -> list[dict]:
    return [json.loads(line) for line in running.audit.read_text().splitlines()]


def test_every_place_that_needs_one_refuses_without_a_token(enrolled: Served) -> None:
    for (method, path), rule in RULES.items():
        answer = httpx.request(method, f"{enrolled.url}{path}", trust_env=False)
        if rule.scope is None:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "A request carries a token" in answer.json()["error"]


def test_scopes(fresh: Served) -> None:
    headers = {scope: fresh.with_token(scope) for scope in ("verify", "identify", "enrol", "forget")}
    for (method, path), rule in RULES.items():
        if rule.scope in (None, "any"):
            continue
        for scope, header in headers.items():
            answer = fresh.client.request(method, path, headers=header)
            assert (answer.status_code == 403) == (scope != rule.scope), (path, scope)
            if scope != rule.scope:
                assert f"a token with the scope '{rule.scope}'; got {scope}" in answer.json()["error"]


def test_expired_and_wrong_tokens(fresh: Served) -> None:
    wrong = fresh.client.get("/v1/names", headers={"Authorization": "Bearer lw_000000000000_" + "a" * 43})
    assert wrong.status_code == 401
    short = fresh.with_token("admin", days=1e-9)
    time.sleep(0.01)
    expired = fresh.client.get("/v1/names", headers=short)
    assert expired.status_code == 401
    assert "has not expired" in expired.json()["error"]
    assert fresh.client.get("/v1/names", headers={"Authorization": "Basic eA=="}).status_code == 401


def test_a_token_is_good_for_so_many_requests(fresh: Served) -> None:
    header = fresh.with_token("admin", per_minute=12)  # a sixth of it at once
    answers = [fresh.client.get("/v1/names", headers=header) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 5


def test_what_is_too_large(small: Served) -> None:
    big = ("big.png", b"\x89PNG\r\n\x1a\n" + bytes(60_000))
    for answer, status in (
        (small.post("/v1/encode", [("files", big)]), 413),
        (small.post("/v1/encode", [("files", ("huge.png", bytes(300_000)))]), 413),
        (small.post("/v1/encode", [("files", picture(i)) for i in range(5)]), 413),
        (small.post("/v1/cluster", [("files", picture(i)) for i in range(7)]), 413),
        (small.post("/v1/encode", [("files", picture(0, side=101))]), 422),
    ):
        assert answer.status_code == status, answer.text
    assert "at most 10,000 pixels" in small.post("/v1/encode", [("files", picture(0, side=101))]).json()["error"]
    assert small.post("/v1/encode", [("files", picture(0, side=100))]).status_code == 200


def test_a_body_without_length_is_counted_as_it_comes(small: Served) -> None:
    def endless():
        for _ in range(1000):
            yield bytes(10_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = small.client.post("/v1/encode", content=endless(), headers=headers)
    except httpx.WriteError:  # it was refused before all was sent
        return
    assert answer.status_code == 413


def test_a_body_that_does_not_come(small: Served) -> None:
    host, port = small.url.removeprefix("http://").split(":")
    token = small.client.headers["authorization"]
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(
            f"POST /v1/encode HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode()
        )
        assert b" 408 " in slow.recv(1000).split(b"\r\n")[0]


def test_past_the_queue_there_is_503_and_when_to_come_back(small: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = small.service.model.encoder
    go, began, encode = threading.Event(), threading.Event(), encoder.encode

    def slow(items, **options):
        began.set()
        assert go.wait(20)
        return encode(items, **options)

    monkeypatch.setattr(encoder, "encode", slow)
    answers: list[int] = []

    def ask() -> None:
        answers.append(small.post("/v1/encode", [("files", picture(i)) for i in range(4)]).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert began.wait(20)
    while small.service.figures()["queue_pictures"][1] < 8:
        time.sleep(0.01)
    refused = small.post("/v1/encode", [("files", picture())])
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert httpx.get(f"{small.url}/health", trust_env=False).status_code == 200
    go.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    assert small.post("/v1/encode", [("files", picture())]).status_code == 200


def test_guessing_a_name_must_wait(fresh: Served, digit_folder: Path) -> None:
    ones, other = sorted((digit_folder / "1").iterdir()), sorted((digit_folder / "6").iterdir())[0]
    fresh.post("/v1/enrol", [("files", f) for f in ones[:3]], name="one")
    for _ in range(5):
        answer = fresh.post("/v1/verify/name", [("file", other)], name="one")
        assert answer.status_code == 200
        assert not answer.json()["same"]
    waits = fresh.post("/v1/verify/name", [("file", ones[0])], name=" one ")  # the same name
    assert waits.status_code == 429
    assert 25 <= int(waits.headers["retry-after"]) <= 30
    assert "After 5 refused verifications of a name the next one waits 30 s" in waits.json()["error"]
    assert lines(fresh)[-1]["status"] == 429


def test_a_looser_rate_gives_no_more_guesses(fresh: Served, digit_folder: Path) -> None:
    zeros = sorted((digit_folder / "0").iterdir())[:5]
    fresh.post("/v1/enrol", [("files", file) for file in zeros], name="zero")
    calibration = fresh.service.model.calibrated()
    own, loosest = calibration.threshold_for(), calibration.thresholds[0]
    files = sorted(digit_folder.glob("?/*.png"))
    rows = fresh.service.model.encode(files).embeddings
    ours = fresh.service.model.encode(zeros).embeddings
    nearest = fresh.service.model.encoder.distance_on_cpu().between(rows, ours).min(dim=1).values
    between = np.flatnonzero((nearest > 1.01 * own.threshold) & (nearest < 0.99 * loosest.threshold))
    assert len(between) >= 1
    asked = [("file", files[between[0]])]
    for _ in range(5):
        assert fresh.post("/v1/verify/name", asked, name="zero", fmr=loosest.promised).json()["same"]
    assert fresh.post("/v1/verify/name", asked, name="zero", fmr=loosest.promised).status_code == 429


def test_the_audit_log_says_who_what_and_how_it_was_decided(fresh: Served, digit_folder: Path) -> None:
    ones = sorted((digit_folder / "1").iterdir())
    fresh.post("/v1/enrol", [("files", f) for f in ones[:3]], name="one")
    claim = fresh.post("/v1/verify/name", [("file", ones[4])], name="one").json()
    fresh.post("/v1/verify/name", [("file", ("x", b"no picture"))], name="one")
    fresh.post("/v1/identify", [("files", ones[4])])
    fresh.client.get("/v1/names", headers=fresh.with_token("verify"))
    fresh.client.get("/v1/names", headers={"Authorization": "Bearer wrong"})
    fresh.client.post("/v1/forget", json={"name": "one"})
    log = lines(fresh)
    assert [(line["what"], line["status"]) for line in log] == [
        ("POST /v1/enrol", 200),
        ("POST /v1/verify/name", 200),
        ("POST /v1/verify/name", 422),
        ("POST /v1/identify", 200),
        ("GET /v1/names", 403),
        ("POST /v1/forget", 200),
    ]
    assert [line["who"]["name"] for line in log] == ["tester"] * 4 + ["a test", "tester"]
    assert all(line["when"].endswith("+00:00") for line in log)
    decided = {key: log[1][key] for key in ("name", "same", "distance", "threshold", "model")}
    assert decided == {
        **{key: claim[key] for key in ("name", "same", "distance", "threshold")},
        "model": fresh.service.fingerprint,
    }
    assert log[2]["name"] == "one"
    assert log[3]["probes"][0].keys() == {"name", "decision", "distance"}
    assert log[5]["records"] == 3
    text = fresh.audit.read_bytes()
    assert len(text) < 5000
    assert b"PNG" not in text


def test_what_cannot_be_logged_is_not_answered(fresh: Served) -> None:
    assert fresh.client.get("/v1/names").status_code == 200
    fresh.audit.unlink()
    fresh.audit.mkdir()
    answer = fresh.client.get("/v1/names")
    assert answer.status_code == 503
    assert "names" not in answer.json()
    assert "is in the audit log" in answer.json()["error"]


def test_metrics_count_and_name_nobody(fresh: Served) -> None:
    fresh.post("/v1/enrol", [("files", picture(i)) for i in range(3)], name="somebody")
    fresh.client.get("/v1/anything-made-up")
    text = fresh.client.get("/metrics", headers=fresh.with_token("verify")).text
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert figures['likewise_answers_total{what="POST /v1/enrol",status="200"}'] == "1"
    assert figures['likewise_answers_total{what="other",status="404"}'] == "1"
    assert figures['likewise_answer_seconds_bucket{what="POST /v1/enrol",le="+Inf"}'] == "1"
    assert figures["likewise_encoded_pictures_total"] == "3"
    assert figures["likewise_queue_pictures"] == "0"
    assert "somebody" not in text
    assert "made-up" not in text


def test_a_fault_is_a_line_not_a_traceback(fresh: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(fresh.service), "encode", lambda *_: 1 / 0)
    answer = fresh.post("/v1/encode", [("files", picture())])
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("The service does not fail; got ZeroDivisionError.")
    assert fresh.client.get("/v1/names").status_code == 200


def test_a_gallery_that_is_gone_is_no_fault_of_the_client(fresh: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    def gone(*_: object) -> None:
        with likewise_errors("g.gallery"):
            raise sqlite3.OperationalError("disk I/O error")

    from likewise.gallery.sqlite import SqliteStore
    from likewise.gallery.sqlite import _errors as likewise_errors

    monkeypatch.setattr(SqliteStore, "describe", gone)
    monkeypatch.setattr(SqliteStore, "names", gone)
    for answer in (fresh.client.get("/v1/names"), httpx.get(f"{fresh.url}/health", trust_env=False)):
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert "disk I/O error" in answer.json()["error"]
