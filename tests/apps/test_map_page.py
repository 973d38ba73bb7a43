from __future__ import annotations

import base64
import html
import html.parser
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, visited
from PIL import Image

from likewise.apps.map import Layout, page, thumbnails
from likewise.apps.map.thumbnails import sheet_of
from likewise.apps.map.webpage import Times
from likewise.errors import DataError, UsageError

HOSTILE = [
    '</script><img src="https://evil.example/x" onerror="window.broken=1">',
    "<!--<script>",
    "'\"><svg/onload=window.broken=1>",
    "src=//evil.example/x.js",
    "@import url(https://evil.example/x.css)",
    "$data ${script} $$ {{title}}",
    "a\u2028b\u2029c\nd\x00",
    "\udcff\udc80 not UTF-8",
    "日本語 & Ünïcode",
    "",
]


class Parts(html.parser.HTMLParser):
    """Tags in order, and the text of every element that has an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def decoded(self, part: str) -> bytes:
        return base64.b64decode(self.texts.get(part, ""))


def written(
    file: Path,
    *,
    items: int = 30,
    dimensions: int = 2,
    names: list[str] = HOSTILE,
    texts: list[str] | None = None,
    **options: object,
):
    """A page with classes of these names in turn; returns (its text, its layout, its labels)."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(items, dimensions)).astype(np.float32)
    layout = Layout(points, "pca", 0.9, {"metric": "cosine"})
    labels = np.arange(items) % len(names)
    page(layout, labels, names, file, items=texts, **options)
    return file.read_text("utf-8"), layout, labels


def pictures(items: int, height: int, width: int, channels: int) -> np.ndarray:
    """Smooth pictures of one colour each, brighter towards one side."""
    rng = np.random.default_rng(1)
    colours = rng.uniform(40, 200, size=(items, 1, 1, channels))
    return (colours + np.linspace(0, 50, width)[None, None, :, None] + np.zeros((1, height, 1, 1))).astype(np.uint8)


# ---- The file ----


def test_a_page_fetches_nothing_whatever_its_names(tmp_path: Path):
    text, _, _ = written(
        tmp_path / "map.html", items=10, texts=HOSTILE, thumbnails=pictures(10, 8, 8, 3), title=HOSTILE[0]
    )
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import\s+url\(\s*["']?https?:""", text)
    policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]


def test_hostile_names_stay_text(tmp_path: Path):
    text, _, _ = written(tmp_path / "map.html", items=10, texts=HOSTILE, title=HOSTILE[0])
    plain, _, _ = written(tmp_path / "plain.html", items=10, names=["a"] * 10)
    assert Parts(text).tags == Parts(plain).tags
    assert text.count("</script") == plain.count("</script")
    data = Parts(text).texts["data"]
    assert not set("<>&\u2028\u2029") & set(data)
    assert json.loads(data)["items"] == HOSTILE
    assert json.loads(data)["title"] == HOSTILE[0]
    shown = [entry["name"] for entry in json.loads(data)["classes"]]
    assert shown[:6] == HOSTILE[:6]
    assert shown[6:] == ["a b c d", "not UTF-8", "日本語 & Ünïcode", "(class 9)"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_embedded_points_are_those_of_the_layout(dimensions: int, tmp_path: Path):
    text, layout, labels = written(tmp_path / "map.html", dimensions=dimensions)
    parts = Parts(text)
    points = np.frombuffer(parts.decoded("points"), "<f4").reshape(-1, dimensions)
    np.testing.assert_array_equal(points, layout.points)
    np.testing.assert_array_equal(np.frombuffer(parts.decoded("class-of"), "<i4"), labels)
    data = json.loads(parts.texts["data"])
    assert data["dimensions"] == dimensions
    assert data["media"] == {"kind": "none"}
    assert data["items"][0] == "item 1"
    assert [entry["size"] for entry in data["classes"]] == [3] * 10


def test_what_does_not_fit_together_is_refused(tmp_path: Path):
    for wrong in (
        {"texts": ["a"]},
        {"thumbnails": pictures(29, 8, 8, 3)},
        {"thumbnails": pictures(30, 8, 8, 3).astype(np.float32)},
        {"thumbnails": pictures(30, 8, 8, 2)},
        {"thumbnails": pictures(30, 8, 8, 1)[..., 0]},
    ):
        with pytest.raises(UsageError):
            written(tmp_path / "map.html", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "map.html"
    file.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(DataError, match="No space left"):
            written(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# ---- Thumbnails ----


@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (40, 24, 3), (16, 16, 3), (300, 200, 3)])
def test_every_cell_of_the_sheet_shows_its_item(height: int, width: int, channels: int, tmp_path: Path):
    given = pictures(50, height, width, channels)
    text, _, _ = written(tmp_path / "map.html", items=50, thumbnails=given)
    parts = Parts(text)
    media = json.loads(parts.texts["data"])["media"]
    (w, h), (cell_w, cell_h) = media["size"], media["cell"]
    assert max(w, h) == min(max(height, width), 128)
    assert w / h == pytest.approx(width / height, rel=0.02)
    with Image.open(io.BytesIO(parts.decoded("sheet"))) as image:
        assert image.format == "JPEG"
        sheet = np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(*image.size[::-1], channels)
    for i in range(50):
        row, column = divmod(i, media["columns"])
        tile = sheet[row * cell_h : row * cell_h + h, column * cell_w : column * cell_w + w].astype(int)
        across = np.linspace(given[i, 0, 0], given[i, 0, -1], w)
        assert np.abs(tile - across).max() < 10, i


def test_a_sheet_keeps_within_its_bounds(monkeypatch: pytest.MonkeyPatch):
    noise = np.random.default_rng(0).integers(0, 255, size=(400, 64, 64, 3), dtype=np.uint8)
    roomy = sheet_of(noise)
    assert (roomy.size, roomy.every) == ((64, 64), 1)
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 400 * 33**2)
    assert (sheet_of(noise).size, sheet_of(noise).every) == ((32, 32), 1)
    monkeypatch.setattr(thumbnails, "MOST_BYTES", 20_000)
    small = sheet_of(noise)
    assert len(small.jpeg) <= 20_000
    assert small.every > 1


def test_a_page_says_when_only_some_items_have_thumbnails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 15 * 16**2)
    text, _, _ = written(tmp_path / "map.html", items=30, thumbnails=pictures(30, 16, 16, 1))
    data = json.loads(Parts(text).texts["data"])
    assert data["media"]["every"] == 2
    assert any("15 thumbnails" in note for note in data["notes"])


# ---- In a browser ----

# Walks the pointer over the map until an item answers, selects it, then everything by lasso, hides a class, and
# searches; what the page shows after each step is left in the document.
VISIT = """
const result = {};
window.addEventListener("error", (event) => { result.error = event.message; });
const text = (id) => document.getElementById(id).innerText.trim();
const map = document.getElementById("map"), box = map.getBoundingClientRect();
map.setPointerCapture = () => {};
const send = (type, x, y, more) => map.dispatchEvent(
  new PointerEvent(type, { clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true, ...more }));
setTimeout(() => {
  const tip = document.getElementById("tip");
  result.hovered = [];
  for (let y = 0; y < box.height; y += 3) for (let x = 0; x < box.width; x += 3) {
    send("pointermove", x, y);
    if (!tip.hidden && result.hovered.at(-1) !== text("tip")) {
      result.hovered.push(text("tip"));
      result.last = [x, y];
    }
  }
  send("pointerdown", ...result.last);
  send("pointerup", ...result.last);
  result.clicked = text("count");
  const corners = [[0, 0], [box.width, 0], [box.width, box.height], [0, box.height]];
  send("pointerdown", ...corners[0], { shiftKey: true });
  for (const corner of corners.slice(1)) send("pointermove", ...corner);
  send("pointerup", ...corners[3]);
  result.lassoed = text("count");
  result.cells = document.querySelectorAll("#grid button").length;
  document.querySelector("#legend button").click();
  result.pressed = [...document.querySelectorAll("#legend button")].map((entry) => entry.ariaPressed);
  const search = document.getElementById("search");
  search.value = "ITEM 1";
  search.dispatchEvent(new Event("input"));
  result.searched = text("count");
  result.broken = window.broken ?? null;
  done(result);
}, 1000);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("dimensions", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_browser_shows_what_is_pointed_at_selected_and_searched(dimensions: int, tmp_path: Path):
    names = [HOSTILE[0], "Ada", "Grace"]
    text, _, _ = written(
        tmp_path / "map.html", items=12, dimensions=dimensions, names=names, thumbnails=pictures(12, 16, 16, 3)
    )
    result = visited(text, VISIT, tmp_path)
    assert "error" not in result
    assert result["broken"] is None
    shown = {f"{names[i % 3]}\nitem {i + 1}" for i in range(12)}
    assert set(result["hovered"]) <= shown
    assert len(set(result["hovered"])) >= 10  # one may lie under another
    assert result["clicked"] == "1 selected"
    assert (result["lassoed"], result["cells"]) == ("12 selected", 12)
    assert result["pressed"] == ["false", "true", "true"]
    assert result["searched"] == "2 selected"  # of items 1, 10, 11 and 12, those whose class is not hidden


def three_times(items: int = 6) -> Times:
    """Items in a row that turns upright in two steps; the first is taken for another at first, and the last at last."""
    along = np.linspace(-1, 1, items)
    rows = [np.stack([np.cos(turn) * along, np.sin(turn) * along], axis=1) for turn in (0, np.pi / 4, np.pi / 2)]
    wrong = np.zeros((3, items), bool)
    wrong[0, 0] = wrong[2, -1] = True
    said = np.tile(np.arange(3, dtype=np.int32)[:, None], (1, items))
    return Times(
        np.stack(rows).astype(np.float32), ("start", "epoch 1", HOSTILE[0]), ("P@1 10%", "P@1 50%", "P@1 90%"), said,
        ("nearest to a", "nearest to b", HOSTILE[1]), wrong,
    )  # fmt: skip


def paged(file: Path, times: Times) -> str:
    layout = Layout(times.points[-1], "umap", 0.9, {"metric": "cosine", "n_neighbors": 15, "min_dist": 0.3})
    labels = np.arange(len(layout.points)) % 2
    page(layout, labels, ["Ada", "Grace"], file, times=times)
    return file.read_text("utf-8")


TIMES = """
const text = (id) => document.getElementById(id).textContent, slider = document.getElementById("time");
const result = { moments: [] };
function look() {
  const i = 0, box = canvas.getBoundingClientRect();
  point(i);
  result.moments.push({
    moment: text("moment"), caption: text("caption"), tip: document.getElementById("tip").innerText,
    upright: Math.round(Math.atan2(points[1], -points[0]) * -180 / Math.PI), wrong: [0, 5].map((k) => isWrong(k)),
    inside: Array.from(screenX).every((x) => x >= 0 && x <= box.width),
  });
}
const set = (value) => { slider.value = value; slider.dispatchEvent(new Event("input")); };
setTimeout(look, 900);
setTimeout(() => set(0), 1000);
setTimeout(look, 2000);
setTimeout(() => set(1), 2100);
setTimeout(look, 3000);
setTimeout(() => {
  result.shown = !document.getElementById("times").hidden;
  result.most = slider.max;
  result.broken = window.broken ?? null;
  done(result);
}, 3500);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_slider_goes_through_times(tmp_path: Path):
    result = visited(paged(tmp_path / "map.html", three_times()), TIMES, tmp_path)
    assert (result["shown"], result["most"], result["broken"]) == (True, "2", None)
    last, first, middle = result["moments"]
    assert [one["moment"] for one in (first, middle, last)] == ["start", "epoch 1", HOSTILE[0]]
    assert [one["caption"] for one in (first, middle, last)] == ["P@1 10%", "P@1 50%", "P@1 90%"]
    assert [one["upright"] for one in (first, middle, last)] == [0, 45, 90]
    assert [one["wrong"] for one in (first, middle, last)] == [[1, 0], [0, 0], [0, 1]]
    assert "nearest to a (wrong)" in first["tip"]
    assert "nearest to b" in middle["tip"]
    assert "wrong" not in middle["tip"]
    assert all(one["inside"] for one in result["moments"])


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_play_goes_to_the_end_and_stops(tmp_path: Path):
    script = """
    const told = [], look = () => told.push(document.getElementById("moment").textContent);
    setTimeout(() => document.getElementById("play").click(), 500);
    for (let k = 0; k < 8; k++) setTimeout(look, 600 + 400 * k);
    setTimeout(() => done({ told, play: document.getElementById("play").textContent }), 4200);
    """
    times = three_times()
    result = visited(paged(tmp_path / "map.html", times), script, tmp_path)
    seen = list(dict.fromkeys(result["told"]))
    assert seen == list(times.names)
    assert result["play"] == "Play"


def test_a_page_without_times_has_no_slider_and_what_is_embedded_is_what_was_given(tmp_path: Path):
    text, _, _ = written(tmp_path / "map.html")
    assert Parts(text).texts.get("time-points", "") == ""
    assert json.loads(Parts(text).texts["data"])["times"] is None
    times = three_times()
    parts = Parts(paged(tmp_path / "times.html", times))
    np.testing.assert_array_equal(np.frombuffer(parts.decoded("time-points"), "<f4").reshape(3, 6, 2), times.points)
    np.testing.assert_array_equal(np.frombuffer(parts.decoded("time-said"), "<i4").reshape(3, 6), times.said)
    np.testing.assert_array_equal(np.frombuffer(parts.decoded("time-wrong"), "u1").reshape(3, 6), times.wrong)


@pytest.mark.parametrize("change", ["points", "said", "names"])
def test_times_of_other_items_are_refused(change: str, tmp_path: Path):
    times = three_times()
    wrong = {"points": times.points[:, 1:], "said": times.said[:, 1:], "names": times.names[1:]}[change]
    with pytest.raises(UsageError, match="At each time there are"):
        paged(tmp_path / "map.html", replace(times, **{change: wrong}))
