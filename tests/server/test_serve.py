"""`likewise serve` and `likewise tokens`, as a person runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from service_client import Borrowed

import likewise
import likewise as lw
from likewise.cli import main
from likewise.server.tokens import Tokens


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return int(left.value.code or 0), *capsys.readouterr()

    return call


def test_tokens_are_made_listed_and_revoked(run, tmp_path: Path) -> None:
    file = tmp_path / "t"
    status, out, err = run("tokens", "make", file, "door", "--scope", "verify", "--scope", "enrol", "--days", 2)
    assert status == 0
    assert "a new file of tokens" in err
    assert "a new file" not in run("tokens", "make", file, "gone")[2]
    assert "1 token of gone revoked" in run("tokens", "revoke", file, "gone")[1]
    assert Tokens(file).holder(out.strip()).scopes == ("verify", "enrol")
    assert "good for verify, enrol until " in err
    made = json.loads(run("tokens", "make", file, "desk", "--json")[1])
    assert Tokens(file).holder(made["token"]).id == made["id"]
    status, out, _ = run("tokens", "list", file, "--json")
    assert [token["name"] for token in json.loads(out)["tokens"]] == ["door", "desk"]
    assert made["token"].split("_", 2)[2] not in out
    assert run("tokens", "revoke", file, "door")[0] == 0
    assert [token.name for token in Tokens(file).all()] == ["desk"]
    assert run("tokens", "revoke", file, "door")[0] == 3
    assert run("tokens", "make", file, "x", "--scope", "all")[0] == 2
    status, _, err = run("tokens", "make", file, "x", "--days", 0)
    assert status == 2
    assert "up to 3650 days; got 0." in err


def test_refused_before_anything_is_loaded(run, tmp_path: Path, model_folder: Path) -> None:
    status, _, err = run("serve", model_folder, "--no-tokens", "--host", "0.0.0.0")
    assert status == 2
    assert "only this computer is served" in err
    status, _, err = run("serve", "vgg19")
    assert status == 2
    assert "Pass --gallery GALLERY, or --tokens FILE and --audit FILE" in err
    files = "--tokens", tmp_path / "t", "--audit", tmp_path / "a"
    status, _, err = run("serve", *files, "--port", 0)
    assert status == 2
    assert "A service has a model, or a gallery that keeps one; got neither" in err
    assert not (tmp_path / "t").exists()
    assert run("serve", tmp_path / "none", "--gallery", tmp_path / "g")[0] == 3
    status, _, err = run("serve", model_folder, "--gallery", tmp_path / "g", "--decode-seconds", 0)
    assert status == 2


def test_a_port_in_use_is_found_before_a_token_is_made(run, tmp_path: Path, model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, _, err = run("serve", model_folder, "--gallery", tmp_path / "g", "--port", port)
    assert status == 2
    assert "A service listens where nobody else does" in err
    assert "lw_" not in err
    assert not (tmp_path / "g.tokens").exists()


@pytest.fixture
def started(run, monkeypatch: pytest.MonkeyPatch):
    """Starts the service as a person does, and ends it before it answers; what it said."""
    monkeypatch.setattr("likewise.server.run.run", lambda app, listening, started: started("here"))
    monkeypatch.setattr("likewise.server.service.Decoders", Borrowed)
    return lambda *arguments: run("serve", *arguments, "--port", 0)


def test_the_first_token_is_made_once_and_revoking_all_is_not_undone(
    run, started, tmp_path: Path, model_folder: Path
) -> None:
    gallery, file = tmp_path / "g", tmp_path / "g.tokens"
    status, _, err = started(model_folder, "--gallery", gallery)
    assert status == 0
    assert "token for everything" in err
    (first,) = Tokens(file).all()
    said = started("--gallery", gallery)[2]
    assert "token" not in said
    assert run("tokens", "revoke", file, first.id)[0] == 0
    said = started("--gallery", gallery)[2]
    assert "lw_" not in said
    assert f"`likewise tokens make {file} NAME --scope admin` makes one" in said
    assert Tokens(file).all() == []
    run("tokens", "make", file, "door")
    assert "no token may do everything" in started("--gallery", gallery)[2]


def test_the_model_is_the_gallerys_unless_it_is_given(
    started, tmp_path: Path, model_folder: Path, digit_folder: Path
) -> None:
    gallery = tmp_path / "g.gallery"
    assert started("--gallery", gallery)[0] == 3  # nothing is there, and no model to make it
    assert started(model_folder, "--gallery", gallery)[0] == 0
    encoder = lw.Encoder("mlp", 12, preprocessing=lw.load(model_folder).encoder.ready(), seed=3)
    with lw.Gallery.open(gallery) as opened:
        opened.enrol("one", next((digit_folder / "1").iterdir()), keep_originals=True)
        opened.rebuild(lw.calibrate(encoder, lw.folder(digit_folder), max_fmr=0.1))
    assert started(model_folder, "--gallery", gallery)[0] == 3
    assert started("--gallery", gallery)[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="ends the service by a signal")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_ends(
    tmp_path: Path, model_folder: Path, digit_folder: Path, ending: signal.Signals
) -> None:
    gallery = tmp_path / "g.gallery"
    path = os.pathsep.join([str(Path(str(likewise.__file__)).parents[1]), os.environ.get("PYTHONPATH", "")])
    service = subprocess.Popen(
        [sys.executable, "-m", "likewise", "serve", str(model_folder), "--gallery", str(gallery), "--port", "0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        assert service.stderr is not None
        token = re.search(r"shown only now: (lw_\S+)", service.stderr.readline())
        url = re.search(r"serving at (http://127\.0\.0\.1:\d+),", service.stderr.readline())
        assert token is not None
        assert url is not None
        file = next((digit_folder / "1").iterdir())
        answer = httpx.post(
            f"{url[1]}/v1/enrol", data={"name": "ada"}, files={"files": file.read_bytes()}, trust_env=False,
            headers={"Authorization": f"Bearer {token[1]}"}, timeout=60,
        )  # fmt: skip
        assert answer.status_code == 200
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children")
        decoders = children.read_text().split() if children.exists() else []
        service.send_signal(ending)
        left = service.stderr.read()
        assert service.wait(30) in (130, -ending, 128 + ending)
        assert "Traceback" not in left
        assert not any(Path(f"/proc/{pid}").exists() for pid in decoders)
        assert token[1].split("_", 2)[2] not in (tmp_path / "g.gallery.tokens").read_text()
        assert (tmp_path / "g.gallery.audit.jsonl").read_text().count("\n") == 1
    finally:
        service.kill()
        service.wait()
        service.stderr.close()
