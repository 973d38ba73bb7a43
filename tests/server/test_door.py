"""Who gets in, how much may come in, and what is written down of it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from service_client import Served, png, served

import likewise as lw
from likewise.gallery.claim import Line
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


JOB = "/v1/jobs/0123456789abcdef01234567"

# What docs/service.md says; written out, so that a place cannot get another scope unseen.
SCOPES = {
    ("POST", "/v1/verify"): "verify",
    ("POST", "/v1/verify/name"): "verify",
    ("POST", "/v1/identify"): "identify",
    ("POST", "/v1/classify"): "classify",
    ("POST", "/v1/detect"): "detect",
    ("POST", "/v1/enrol"): "enrol",
    ("POST", "/v1/forget"): "forget",
    ("GET", "/v1/names"): "admin",
    ("POST", "/v1/records"): "admin",
    ("POST", "/v1/encode"): "admin",
    ("POST", "/v1/cluster"): "admin",
    ("GET", "/v1/jobs/{id}"): "admin",
    ("DELETE", "/v1/jobs/{id}"): "admin",
    ("GET", "/metrics"): "any",
    ("GET", "/health"): None,
    ("GET", "/openapi.json"): None,
}


def test_rules_are_those_of_the_documentation_and_every_place_that_answers_has_one(enrolled: Served) -> None:
    assert {place: rule.scope for place, rule in RULES.items()} == SCOPES
    described = enrolled.client.get("/openapi.json").json()["paths"]
    there = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert there | {("GET", "/openapi.json")} == set(SCOPES)


def test_every_place_that_needs_one_refuses_without_a_token(enrolled: Served) -> None:
    for (method, path), scope in SCOPES.items():
        answer = httpx.request(method, f"{enrolled.url}{path.replace('/v1/jobs/{id}', JOB)}", trust_env=False)
        if scope is None:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "A request carries a token" in answer.json()["error"]


@pytest.mark.parametrize("token", [False, True])
def test_what_only_resembles_a_place_is_none(enrolled: Served, monkeypatch: pytest.MonkeyPatch, token: bool) -> None:
    reached: list[str] = []

    async def application(scope, receive, send) -> None:
        reached.append(scope["path"])

    monkeypatch.setattr(enrolled.door, "_app", application)
    headers = {"Host": "elsewhere.example"} | (dict(enrolled.client.headers) if token else {})
    for method, path in SCOPES:
        path = path.replace("/v1/jobs/{id}", JOB)
        for variant in (
            path + "%0A", path + "/", path + "%2F", "/" + path, path.upper(), path + ";x", path + "%20", path + "%00",
            path + "/..", "/x/.." + path, path[:-1] + "%0a" + path[-1],
        ):  # fmt: skip
            answer = raw(enrolled, method, variant, headers)
            assert answer.startswith(b"HTTP/1.1 404 "), (method, variant, answer[:100])
            assert b"elsewhere" not in answer
        assert raw(enrolled, "PUT", path, headers).startswith(b"HTTP/1.1 405 ")
        assert raw(enrolled, "HEAD", path, headers).startswith(b"HTTP/1.1 405 ")
    assert reached == []


def raw(running: Served, method: str, target: str, headers: dict[str, str]) -> bytes:
    """An answer to a target as it stands, which clients would tidy up."""
    with socket.create_connection(running.service_address, timeout=20) as line:
        head = "".join(f"{key}: {value}\r\n" for key, value in headers.items() if key.lower() != "connection")
        line.sendall(f"{method} {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        found = b""
        while part := line.recv(65536):
            found += part
    return found


def test_another_method_is_told_which_there_are(enrolled: Served) -> None:
    answer = enrolled.client.get("/v1/verify")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "This place takes POST; got 'GET'. See /openapi.json."
    assert enrolled.client.post(JOB).headers["allow"] == "DELETE, GET"
    missing = enrolled.client.get("/v1/nothing").json()["error"]
    assert missing == "There is such a place; got '/v1/nothing'. See /openapi.json."


def test_strangers_who_hold_requests_open_stop_nobody(small: Served) -> None:
    held: list[tuple[socket.socket, bytes]] = []
    try:
        for path, status in (
            ("/health", b"200"),
            ("/openapi.json", b"200"),
            ("/metrics", b"401"),
            ("/v1/names", b"401"),
        ):
            for _ in range(5):  # more than the queue of 8, all in all
                line = socket.create_connection(small.service_address, timeout=20)
                line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx".encode())
                held.append((line, status))
        assert small.client.get("/v1/names").status_code == 200
        for line, status in held:  # each is answered without its body
            assert line.recv(1000).startswith(b"HTTP/1.1 " + status)
    finally:
        for line, _ in held:
            line.close()


def test_scopes(fresh: Served) -> None:
    headers = {scope: fresh.with_token(scope) for scope in ("verify", "identify", "enrol", "forget")}
    for (method, path), needed in SCOPES.items():
        if needed in (None, "any"):
            continue
        for scope, header in headers.items():
            answer = fresh.client.request(method, path.replace("/v1/jobs/{id}", JOB), headers=header)
            assert (answer.status_code == 403) == (scope != needed), (path, scope)
            if scope != needed:
                assert f"a token with the scope '{needed}'; got {scope}" in answer.json()["error"]


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
        (small.post("/v1/encode", [("files", picture(0, side=101))]), 413),
    ):
        assert answer.status_code == status, answer.text
    assert "at most 10,000 pixels" in small.post("/v1/encode", [("files", picture(0, side=101))]).json()["error"]
    assert "max_pixels" not in small.post("/v1/encode", [("files", picture(0, side=101))]).json()["error"]
    assert small.post("/v1/encode", [("files", picture(0, side=100))]).status_code == 200


def test_json_is_small_as_it_is_parsed_while_others_wait(fresh: Served) -> None:
    kind = {"Content-Type": "application/json"}
    long = b'{"name": "a", "id": [' + b"[]," * 30_000 + b"[]]}"

    def without_length():
        yield from (long[i : i + 1000] for i in range(0, len(long), 1000))

    answer = fresh.client.post("/v1/forget", content=long, headers=kind)
    assert answer.status_code == 413
    assert "at most 65,536 bytes" in answer.json()["error"]
    with suppress(httpx.WriteError):  # it was refused before all was sent
        assert fresh.client.post("/v1/forget", content=without_length(), headers=kind).status_code == 413


def test_pictures_stay_in_memory(fresh: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from tempfile import SpooledTemporaryFile

    rolled: list[object] = []
    monkeypatch.setattr(SpooledTemporaryFile, "rollover", rolled.append)
    name, content = picture(side=1300)
    assert len(content) > 1 << 20
    assert fresh.post("/v1/encode", [("files", (name, content))]).status_code == 200
    assert rolled == []


def test_unknown_fields_are_refused(fresh: Served) -> None:
    misspelt = fresh.post("/v1/enrol", [("files", picture())], name="one", keep_original="true")
    assert misspelt.status_code == 422
    assert misspelt.json()["error"] == (
        "The fields of this request are files, keep_originals, metadata, name; got 'keep_original'. Leave it out."
    )
    assert fresh.client.get("/v1/names").json() == {"names": {}}
    assert fresh.client.post("/v1/records", json={"name": "one", "k": 1}).status_code == 422
    asked = fresh.post("/v1/identify?k=3", [("files", picture())])
    assert asked.status_code == 400
    assert "What is asked is in the body; got '?k=3'" in asked.json()["error"]


def test_what_is_wrong_with_a_field_is_said_in_words(fresh: Served) -> None:
    kind = {"Content-Type": "application/json"}
    for answer, said in (
        (fresh.client.post("/v1/encode", files={"other": (None, "x")}), "The fields of this request are files"),
        (fresh.client.post("/v1/encode", files={"files": (None, "door.jpg")}), "A picture is sent as a file"),
        (fresh.client.post("/v1/encode", files={"files": (None, "door.jpg")}), "With curl: -F files=@door.jpg"),
        (fresh.client.post("/v1/forget", content=b"{bad", headers=kind), "The body of this request is JSON"),
        (fresh.post("/v1/enrol", [("files", picture())]), "A request has all fields that it needs; got no name"),
    ):
        assert answer.status_code == 422
        assert said in answer.json()["error"]


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
    token = small.client.headers["authorization"]
    with socket.create_connection(small.service_address, timeout=20) as slow:
        slow.sendall(
            f"POST /v1/encode HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode()
        )
        assert b" 408 " in slow.recv(1000).split(b"\r\n")[0]


def test_past_the_queue_there_is_503_and_when_to_come_back(small: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = small.service.asked(lw.Model).encoder
    go, began, encode = threading.Event(), threading.Event(), encoder.encode

    def slow(items, **options):
        began.set()
        assert go.wait(20)
        return encode(items, **options)

    monkeypatch.setattr(encoder, "encode", slow)
    answers: list[int] = []

    def ask(headers: dict[str, str]) -> None:
        sent = [("files", picture(i)) for i in range(4)]
        answers.append(small.client.post("/v1/encode", files=sent, headers=headers).status_code)

    others = [small.with_token("admin", per_minute=600) for _ in range(2)]
    threads = [threading.Thread(target=ask, args=(headers,)) for headers in others]
    for thread in threads:
        thread.start()
    assert began.wait(20)
    while small.service.figures()["queue_pictures"][1] < 8:
        time.sleep(0.01)
    refused = small.post("/v1/encode", [("files", picture())])
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert httpx.get(f"{small.url}/health", trust_env=False).status_code == 200
    share = small.client.post("/v1/encode", files=[("files", picture())], headers=others[0])
    assert share.status_code == 429
    assert "A token has at most 4 pictures here at a time; got 1 more than 4" in share.json()["error"]
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


def test_forgetting_a_record_lets_nobody_guess_again(fresh: Served, digit_folder: Path) -> None:
    ones, other = sorted((digit_folder / "1").iterdir()), sorted((digit_folder / "6").iterdir())[0]
    ids = [one["id"] for one in fresh.post("/v1/enrol", [("files", f) for f in ones[:3]], name="one").json()["added"]]
    for _ in range(5):
        assert not fresh.post("/v1/verify/name", [("file", other)], name="one").json()["same"]
    assert fresh.client.post("/v1/forget", json={"id": ids[0]}).status_code == 200
    assert fresh.post("/v1/verify/name", [("file", other)], name="one").status_code == 429
    for id in ids[1:]:
        assert fresh.client.post("/v1/forget", json={"id": id}).status_code == 200
    fresh.post("/v1/enrol", [("files", ones[0])], name="one")
    assert fresh.post("/v1/verify/name", [("file", other)], name="one").status_code == 200


def test_who_may_not_list_names_learns_none(enrolled: Served, digit_folder: Path) -> None:
    files = sorted((digit_folder / "1").iterdir())

    def asked(scope: str, path: str, field: str, file: Path, **fields: object) -> dict:
        sent = {field: (file.name, file.read_bytes())}
        data = {key: str(value) for key, value in fields.items()}
        answer = enrolled.client.post(path, files=sent, data=data, headers=enrolled.with_token(scope))
        return answer.json() | {"status": answer.status_code}

    guessed = asked("verify", "/v1/verify/name", "file", files[0], name="digit")
    assert guessed["status"] == 422
    assert guessed["error"] == "A name that is asked for is enrolled; got 'digit'."
    assert "Perhaps 'digit" in enrolled.post("/v1/verify/name", [("file", files[0])], name="digit").json()["error"]
    headers = enrolled.with_token("forget")
    assert "digit " not in enrolled.client.post("/v1/forget", json={"name": "digit"}, headers=headers).text

    taken = asked("enrol", "/v1/enrol", "files", files[0], name="another")
    assert taken["status"] == 422
    assert "another name" in taken["error"]
    assert "digit 1" not in str(taken)

    unknown = 0
    for file in sorted(digit_folder.glob("[16789]/*.png"))[::7]:
        full = enrolled.post("/v1/identify", [("files", file)], k=100).json()["probes"][0]
        (seen,) = asked("identify", "/v1/identify", "files", file, k=100)["probes"]
        assert seen["decision"] == full["decision"]
        if full["decision"] == "known":
            assert seen["name"] == full["name"]
            assert [match["name"] for match in seen["matches"]] == [full["name"]]
        else:
            assert (seen["name"], seen["matches"]) == (None, [])
            unknown += bool(full["matches"])
    assert unknown > 0  # else nothing was hidden


def test_a_looser_rate_gives_no_more_guesses(fresh: Served, digit_folder: Path) -> None:
    zeros = sorted((digit_folder / "0").iterdir())[:5]
    fresh.post("/v1/enrol", [("files", file) for file in zeros], name="zero")
    calibration = fresh.service.asked(lw.Model).calibrated()
    own, loosest = Line.of_model(calibration, None), calibration.thresholds[0]
    files = sorted(digit_folder.glob("?/*.png"))
    rows = fresh.service.asked(lw.Model).encode(files).embeddings
    ours = fresh.service.asked(lw.Model).encode(zeros).embeddings
    nearest = fresh.service.asked(lw.Model).encoder.distance_on_cpu().between(rows, ours).min(dim=1).values
    between = np.flatnonzero((nearest > 1.01 * own.strict) & (nearest < 0.99 * loosest.threshold))
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
        ("POST /v1/verify/name", 200),
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
