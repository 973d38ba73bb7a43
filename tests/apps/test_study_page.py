"""The page that asks: what it tells, to whom, and which answers count."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import CHROMIUM

from likewise.apps.study.asking import Question
from likewise.apps.study.page import LONGEST, Page


def question(number: int, of: int = 3) -> Question:
    pixels = np.full((8, 8), 20 * number, np.uint8)
    return Question(number, of, pixels, None, ("day", "night"))


def wait_for(found: list[int], count: int = 1) -> None:
    """Until there are so many answers."""
    for _ in range(1000):
        if len(found) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{len(found)} answers")


class Visitor:
    """Talks to the page as a browser does."""

    def __init__(self, page: Page) -> None:
        at = urlsplit(page.address)
        self.host, self.port, self.path = at.hostname, at.port, at.path

    def ask(
        self, method: str, within: str, body: Any = None, headers: dict[str, str] | None = None, path: str | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=10)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path or self.path + within, data, headers or {})
        answer = connection.getresponse()
        found = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return found

    def question(self) -> dict[str, Any]:
        return json.loads(self.ask("GET", "question")[1])

    def answer(self, number: int, choice: int) -> int:
        return self.ask("POST", "answer", {"number": number, "choice": choice})[0]


@pytest.fixture
def page() -> Iterator[Page]:
    with Page(lambda _: None) as opened:
        yield opened


@pytest.fixture
def asking(page: Page) -> Iterator[Callable[[Question], list[int]]]:
    """Asks beside the test; what is returned gets the answer."""
    threads: list[threading.Thread] = []

    def ask(what: Question) -> list[int]:
        found: list[int] = []
        page._question = what  # so that it is there when the test goes on
        threads.append(threading.Thread(target=lambda: found.append(page.ask(what)), daemon=True))
        threads[-1].start()
        return found

    yield ask
    for thread in threads:
        thread.join(timeout=5)


def test_a_question_is_answered(page: Page, asking: Callable[[Question], list[int]]) -> None:
    visitor, found = Visitor(page), asking(question(1))
    told = visitor.question()
    assert told == {"number": 1, "of": 3, "classes": ["day", "night"], "keys": ["1", "2"], "kind": "picture"}
    status, picture, headers = visitor.ask("GET", "item/1.png")
    assert (status, picture, headers["Content-Type"]) == (200, question(1).shown(), "image/png")
    assert visitor.answer(1, 1) == 204
    wait_for(found)
    assert found == [1]


def test_the_address_is_said_with_the_first_question() -> None:
    said: list[str] = []
    with Page(said.append) as page:
        assert said == []
        for number in (1, 2):
            page._answers.put((number, 0))
            assert page.ask(question(number)) == 0
        assert said == [f"open {page.address} in a browser on this machine (Ctrl-C stops, --resume goes on)"]


def test_an_answer_counts_once_and_for_what_is_asked(page: Page, asking: Callable[[Question], list[int]]) -> None:
    visitor, found = Visitor(page), asking(question(2))
    for number, choice in ((1, 0), (3, 0), (2, 2), (2, -1)):
        assert visitor.answer(number, choice) == 409
    for body in (b"", b"[]", b"{}", b"nonsense", b'{"number": "2", "choice": 0}', b'{"number": 2, "choice": true}'):
        assert visitor.ask("POST", "answer", body)[0] == 409
    assert found == []
    assert visitor.answer(2, 0) == 204
    wait_for(found)
    later = asking(question(3))
    assert visitor.answer(2, 1) == 409  # a second click on the last one
    assert later == []
    assert visitor.answer(3, 1) == 204


def test_only_the_item_that_is_asked_about_is_handed_out(page: Page, asking: Callable[..., Any]) -> None:
    visitor, found = Visitor(page), asking(question(2))
    for within in ("item/1.png", "item/3.png", "item/2.wav", "item/../2.png", "nosuch", "page.html", "question/"):
        assert visitor.ask("GET", within)[0] == 404
    visitor.answer(2, 0)
    wait_for(found)


def test_strangers_are_turned_away(page: Page, asking: Callable[..., Any]) -> None:
    """Without the path, through another name (DNS rebinding), or from another page (CSRF)."""
    visitor, found = Visitor(page), asking(question(1))
    for path in ("/", "/question", "/wrong/question", visitor.path[:-2] + "x/question", "//question"):
        assert visitor.ask("GET", "", path=path)[0] == 404
    assert visitor.ask("GET", "question", headers={"Host": "evil.example"})[0] == 404
    assert visitor.ask("GET", "question", headers={"Host": f"localhost:{visitor.port}"})[0] == 200
    answer = {"number": 1, "choice": 0}
    assert visitor.ask("POST", "answer", answer, {"Origin": "http://evil.example"})[0] == 404
    assert visitor.ask("POST", "answer", b"x" * (LONGEST + 1))[0] == 413
    assert visitor.ask("POST", "question", answer)[0] == 404
    assert found == []
    own = f"http://127.0.0.1:{visitor.port}"
    assert visitor.ask("POST", "answer", answer, {"Origin": own})[0] == 204
    wait_for(found)


def test_addresses_are_of_this_machine_and_never_the_same() -> None:
    with Page(lambda _: None) as one, Page(lambda _: None) as other:
        for page in (one, other):
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", page.address)
            assert page._server.server_address[0] == "127.0.0.1"
        assert urlsplit(one.address).path != urlsplit(other.address).path


def test_the_page_allows_itself_nothing_else(page: Page) -> None:
    status, html, headers = Visitor(page).ask("GET", "")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert "default-src 'none'" in policy
    assert html.count(f'nonce="{nonce[1]}"'.encode()) == 2
    assert headers["Cache-Control"] == "no-store"
    assert b"http" not in html


def test_the_end_is_told(page: Page) -> None:
    visitor = Visitor(page)
    assert visitor.question() == {"done": False}
    page.end()
    assert visitor.question() == {"done": True}


# A person in the browser: looks at the picture that is shown, and presses the key of "day" for a bright one.
PERSON = """
setInterval(() => {
  const picture = document.querySelector("#item img"), button = document.querySelector("#classes button:enabled");
  if (!picture || !picture.complete || !button) return;
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  const key = pen.getImageData(5, 5, 1, 1).data[0] > 100 ? "1" : "2";
  document.dispatchEvent(new KeyboardEvent("keydown", {key}));
}, 50);
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_shows_it_and_keys_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html = (files("likewise.apps.study") / "page.html").read_text("utf-8")
    assert html.count("</script>") == 1
    (tmp_path / "page.html").write_text(html.replace("</script>", PERSON), "utf-8")
    monkeypatch.setattr("likewise.apps.study.page.files", lambda _: tmp_path)
    found: list[int] = []
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --remote-debugging-port=0"
    assert CHROMIUM is not None
    with Page(lambda _: None) as page:
        numbers = (3, 9, 2, 12)  # brightness 60, 180, 40, 240
        ask = threading.Thread(target=lambda: [found.append(page.ask(question(i, 12))) for i in numbers], daemon=True)
        ask.start()
        browser = subprocess.Popen(
            [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'user'}", page.address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(found, len(numbers))
            page.end()
            assert page._heard.wait(10)  # the page has asked for more, and knows that there is none
        finally:
            browser.kill()
            browser.wait()
    assert found == [1, 0, 1, 0]
