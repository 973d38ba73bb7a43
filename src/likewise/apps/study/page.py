"""Asking a person in a browser on the same machine."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from queue import SimpleQueue
from string import Template
from types import TracebackType
from typing import Any, Self, final

from likewise.apps.study.asking import KEYS, Asker, Question

HERE = "127.0.0.1"
LONGEST = 200  # bytes of an answer
PATIENCE = 10.0  # seconds that a request may take to arrive
ENDED_WITHIN = 0.05  # seconds in which the server notices that it is to end
FAREWELL = 3.0  # seconds in which an open page asks for the next question and hears that there is none
TYPES = {".png": "image/png", ".wav": "audio/wav"}


@final
class Page(Asker):
    """A page that only this machine can reach, at an address that nobody can guess.

    It listens on 127.0.0.1, at a port that was free, below a random path; requests that name another host, as after DNS
    rebinding, and answers that come from another page are refused. The page holds nothing but the question: neither the
    truth nor the name of a file. To be used in a with block.

    Args:
        say: told the address, with the first question.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._path = f"/{secrets.token_urlsafe(24)}/"
        self._question: Question | None = None
        self._said, self._over, self._heard = False, False, threading.Event()
        self._answers: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._server = ThreadingHTTPServer((HERE, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(ENDED_WITHIN,), daemon=True)

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{HERE}:{self._server.server_port}{self._path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over:
            self._heard.wait(FAREWELL)
        self._server.shutdown()
        self._server.server_close()

    def ask(self, question: Question) -> int:
        """See `Asker`."""
        if not self._said:
            self._said = True
            self._say(f"open {self.address} in a browser on this machine (Ctrl-C stops, --resume goes on)")
        self._question = question
        while True:
            number, choice = self._answers.get()
            if number == question.number:
                return choice

    def end(self) -> None:
        """See `Asker`."""
        self._question, self._over = None, True

    def told(self) -> dict[str, Any]:
        """What the page is to know now."""
        question = self._question
        if question is None:
            if self._over:
                self._heard.set()
            return {"done": self._over}
        return {
            "number": question.number, "of": question.of, "classes": question.classes,
            "keys": list(KEYS[: len(question.classes)]), "kind": "picture" if question.rate is None else "sound",
        }  # fmt: skip

    def _answered(self, body: bytes) -> bool:
        """Whether this was an answer to what is asked; else nothing happens."""
        question = self._question
        try:
            given = json.loads(body)
            number, choice = given["number"], given["choice"]
        except (ValueError, TypeError, KeyError):
            return False
        if question is None or type(number) is not int or type(choice) is not int:
            return False
        if number != question.number or not 0 <= choice < len(question.classes):
            return False
        self._answers.put((number, choice))
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            timeout = PATIENCE
            server_version, sys_version = "likewise", ""

            def do_GET(self) -> None:
                within, question = self._within(), page._question
                if within == "":
                    self._page()
                elif within == "question":
                    self._send(200, json.dumps(page.told()).encode(), "application/json")
                elif question is not None and within == f"item/{question.number}{question.suffix}":
                    self._send(200, question.shown(), TYPES[question.suffix])
                else:
                    self._send(404, b"", "text/plain")

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if self._within() != "answer" or self.headers.get("Origin", self._origin()) != self._origin():
                    self._send(404, b"", "text/plain")
                elif not length.isdecimal() or int(length) > LONGEST:
                    self._send(413, b"", "text/plain")
                else:
                    self._send(204 if page._answered(self.rfile.read(int(length))) else 409, b"", "text/plain")

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: who answers is in the study."""

            def _origin(self) -> str:
                return f"http://{self.headers.get('Host', '')}"

            def _within(self) -> str | None:
                """The path below the secret one; None elsewhere."""
                port = page._server.server_port
                if self.headers.get("Host") not in (f"{HERE}:{port}", f"localhost:{port}"):
                    return None
                start = self.path[: len(page._path)].encode("utf-8", "replace")
                return self.path[len(page._path) :] if hmac.compare_digest(start, page._path.encode()) else None

            def _page(self) -> None:
                nonce = secrets.token_urlsafe(16)
                template = Template((files("likewise.apps.study") / "page.html").read_text("utf-8"))
                policy = (
                    f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self';"
                    " media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                )
                body = template.substitute(nonce=nonce).encode()
                self._send(200, body, "text/html; charset=utf-8", {"Content-Security-Policy": policy})

            def _send(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
                self.send_response(status)
                held = {
                    "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
                    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
                    "Cross-Origin-Resource-Policy": "same-origin", **(more or {}),
                }  # fmt: skip
                for name, value in held.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler
