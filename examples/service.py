"""Serve a gallery over HTTP, and ask it: enrol, identify, verify, forget.

    python examples/service.py [FOLDER]

One learns what requests look like and who may make them: the token of a door may verify, that of an office do all. The
same from a shell: `likewise serve --gallery GALLERY`. Needs the extra `serve`.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from sample_data import folder_from_arguments

import likewise as lw
from likewise.server.app import make_app
from likewise.server.audit import Audit
from likewise.server.run import running
from likewise.server.service import Service
from likewise.server.tokens import Tokens


def main() -> None:
    data = lw.folder(folder_from_arguments())
    train, tune, rest = data.split(0.5, 0.25, 0.25, by="item", seed=0)
    encoder, place = lw.Encoder("convnet-small", dim=64), Path(tempfile.mkdtemp())
    lw.fit(encoder, train, lw.SupCon(), epochs=10, seed=0)

    tokens, audit = Tokens(place / "tokens"), place / "audit.jsonl"
    door, office = tokens.make("door", ["verify"])[0], tokens.make("office", ["admin"])[0]
    *known, probe = [Path(str(file)).read_bytes() for file in rest.of_identities([0]).sources[:4]]
    service = Service(lw.calibrate(encoder, tune), str(place / "a.gallery"))
    with running(make_app(service, tokens, Audit(audit))) as url:
        print("enrol:", ask(f"{url}/v1/enrol", office, *(("files", one) for one in known), name=rest.names[0]))
        print("identify:", ask(f"{url}/v1/identify", office, ("files", probe)))
        print("verify:", ask(f"{url}/v1/verify/name", door, ("file", probe), name=rest.names[0]))
        print("not for the door:", ask(f"{url}/v1/identify", door, ("files", probe)))
    print("logged:", *audit.read_text().splitlines(), sep="\n  ")


def ask(url: str, token: str, *files: tuple[str, bytes], **fields: str) -> object:
    """Sends a form; any HTTP library can."""
    parts = [(f'"{key}"', value.encode()) for key, value in fields.items()]
    parts += [(f'"{key}"; filename="picture"', content) for key, content in files]
    head = "--x\r\nContent-Disposition: form-data; name={}\r\n\r\n"
    body = b"".join(head.format(key).encode() + value + b"\r\n" for key, value in parts) + b"--x--\r\n"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=x"}
    try:
        return json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))
    except HTTPError as error:
        return json.load(error)["error"]


if __name__ == "__main__":
    main()
