"""The HTTP service under load: verifications per second beside encoding in one process, waiting times, and memory.

Run ``python benchmarks/service.py [REQUESTS]``; REQUESTS, 20,000, are those that memory is watched over. The service is
a process of its own, `likewise serve` as a person starts it; 32 clients in this process each send the next
verification of their name when the last is answered. They share the machine with the service. Beside it stands
`Model.encode` on a list of the same files, decoding included, in this process. Both take turns, and ratios are medians
over rounds.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import likewise as lw
from common import machine, show
from likewise.server.tokens import Tokens

CLIENTS, EACH, ROUNDS, SECONDS = 32, 5, 5, 6.0


@dataclass(frozen=True)
class Kind:
    """Pictures to verify: how large they come, and how large the encoder wants them."""

    name: str
    shape: tuple[int, ...]
    format: str
    size: int


KINDS = (
    Kind("photographs: JPEG of 250 x 250 in colour, encoded at 128 x 128", (250, 250, 3), "JPEG", 128),
    Kind("faces: PNG of 112 x 92 in grey, encoded at 112 x 112", (112, 92), "PNG", 112),
    Kind("digits: PNG of 28 x 28 in grey, encoded so", (28, 28), "PNG", 28),
)


def drawn(kind: Kind, identity: int, number: int) -> bytes:
    """A smooth pattern for each identity, with noise: it decodes like a photograph."""
    rng = np.random.default_rng(identity)
    rough = rng.integers(0, 256, (8, 8, *kind.shape[2:]), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(rough).resize(kind.shape[1::-1], Image.Resampling.BICUBIC), np.float32)
    noisy = smooth + np.random.default_rng((identity, number)).normal(0, 12, kind.shape)
    stream = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, kind.format)
    return stream.getvalue()


def calibrated(kind: Kind, files: Sequence[Sequence[bytes]]) -> lw.Model:
    """An encoder with weights as they come, which cost as much as trained ones."""
    labels = np.repeat([f"name {i}" for i in range(len(files))], EACH)
    pictures = [np.asarray(Image.open(io.BytesIO(one))) for row in files for one in row]
    data = lw.arrays(np.stack(pictures), labels)
    encoder = lw.Encoder("convnet-small", 128, preprocessing=lw.Pictures.of(data.sources, size=kind.size))
    return lw.calibrate(encoder, data, max_fmr=0.1)


@contextmanager
def serving(folder: Path, model: lw.Model, files: Sequence[Sequence[bytes]]):
    """The address of a service in which `files` are enrolled, a token, and its process."""
    model.save(folder / "m.model")
    gallery = folder / "g.gallery"
    with lw.Gallery.open(gallery, folder / "m.model") as opened:
        for i, row in enumerate(files):
            opened.enrol(f"name {i}", list(row))
    token, _ = Tokens(folder / "g.gallery.tokens").make("benchmark", ["admin"], per_minute=1_000_000)
    command = [sys.executable, "-m", "likewise", "serve", str(folder / "m.model"), "--gallery", str(gallery)]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"serving at http://127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found is not None
        yield int(found[1]), token, process.pid
    finally:
        process.terminate()
        process.wait()


def request(token: str, name: str, content: bytes) -> bytes:
    """A verification as bytes, so that clients have little to do."""
    head = '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + name + "\r\n--x\r\nContent-Disposition: "
    body = head.encode() + b'form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n--x--\r\n"
    return (
        f"POST /v1/verify/name HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    ).encode() + body


async def client(port: int, requests: Sequence[bytes], until: float, most: list[int]) -> list[float]:
    """Seconds of each answer, one after the other, until it is time or `most` have been asked for by all clients."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    while time.perf_counter() < until and most[0] > 0:
        most[0] -= 1
        began = time.perf_counter()
        writer.write(requests[len(taken) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        assert b" 200 " in head[:20], body
        taken.append(time.perf_counter() - began)
    writer.close()
    return taken


async def load(port: int, requests: Sequence[Sequence[bytes]], seconds: float, most: int) -> tuple[float, list[float]]:
    """Verifications per second, and the seconds each took."""
    began, left = time.perf_counter(), [most]
    found = await asyncio.gather(*(client(port, row, began + seconds, left) for row in requests))
    taken = [one for row in found for one in row]
    return len(taken) / (time.perf_counter() - began), taken


def megabytes(pid: int) -> float:
    """Memory of a process and its children that is theirs alone."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = 0
    for one in (str(pid), *children):
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        pages += sum(int(kib) for kib in re.findall(r"Private_\w+: +(\d+) kB", text))
    return pages / 1024


def rates(kind: Kind) -> None:
    """Verifications per second beside encoding, and waiting times."""
    files = [[drawn(kind, i, j) for j in range(EACH)] for i in range(CLIENTS)]
    model, flat = calibrated(kind, files), [one for row in files for one in row]
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), model, files) as (port, token, _):
        requests = [[request(token, f"name {i}", one) for one in row] for i, row in enumerate(files)]
        asyncio.run(load(port, requests, SECONDS / 2, 1 << 40))
        ratios, served, encoded, all_taken = [], [], [], []
        for _ in range(ROUNDS):
            began, done = time.perf_counter(), 0
            while time.perf_counter() - began < SECONDS / 2:
                model.encode(flat)
                done += len(flat)
            encoded.append(done / (time.perf_counter() - began))
            per_second, taken = asyncio.run(load(port, requests, SECONDS, 1 << 40))
            served.append(per_second)
            ratios.append(served[-1] / encoded[-1])
            all_taken += taken
    p50, p99 = np.percentile(all_taken, [50, 99])
    show(
        kind.name,
        [
            ("encoded in one process, per second", f"{statistics.median(encoded):,.0f}"),
            ("verified over HTTP, per second", f"{statistics.median(served):,.0f}"),
            ("ratio (at least 0.70)", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"),
            ("p50, p99", f"{1000 * p50:.1f} ms, {1000 * p99:.1f} ms"),
            ("p99 / p50 (under 10)", f"{p99 / p50:.1f}"),
        ],
    )


def memory(requests_in_all: int) -> None:
    """Growth over many requests, of which the first tenth is for warming up."""
    kind = KINDS[-1]
    files = [[drawn(kind, i, j) for j in range(EACH)] for i in range(CLIENTS)]
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), calibrated(kind, files), files) as served:
        port, token, pid = served
        requests = [[request(token, f"name {i}", one) for one in row] for i, row in enumerate(files)]
        asyncio.run(load(port, requests, 1e9, requests_in_all // 10))
        before = megabytes(pid)
        asyncio.run(load(port, requests, 1e9, requests_in_all))
        after = megabytes(pid)
    show(
        f"memory over {requests_in_all:,} requests, after {requests_in_all // 10:,}",
        [("before, after", f"{before:.1f} MB, {after:.1f} MB"), ("growth (under 5%)", f"{after / before - 1:+.1%}")],
    )


def main() -> None:
    print(machine(), f"{os.cpu_count()} cores, {CLIENTS} clients", sep=", ")
    for kind in KINDS:
        rates(kind)
    memory(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)


if __name__ == "__main__":
    main()
