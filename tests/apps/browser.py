"""A page in a browser without a window: a script visits it, and says what it saw."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# What the page shows is left in the document, which the browser prints.
_DONE = """
function done(result) {
  document.body.innerHTML = "";
  document.body.dataset.result = JSON.stringify(result);
}
"""


def visited(text: str, script: str, folder: Path) -> dict[str, Any]:
    """What `script` hands to `done(result)` once it runs at the end of the page `text`."""
    assert CHROMIUM is not None
    # A headless browser whose time is virtual paints no frames, so none are asked for.
    frames = "<script>window.requestAnimationFrame = (act) => setTimeout(act, 16);</script></head>"
    text = text.replace("</head>", frames).replace("</body>", f"<script>{_DONE}{script}</script></body>")
    (folder / "visit.html").write_text(text, "utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --window-size=900,700 --virtual-time-budget=5000 --dump-dom"
    ran = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={folder / 'user'}", (folder / "visit.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r'data-result="([^"]*)"', ran.stdout)
    assert found is not None, ran.stderr
    return json.loads(html.unescape(found[1]))
